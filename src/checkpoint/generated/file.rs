//! A weight file that is not there: its header, and data that are made when they are read.

use std::io;

use serde_json::{Map, Value, json};

use super::sizes::{Shape, Size, original_tensors};
use super::values::Values;

/// The beginning of a safetensors file that holds these tensors one after the other, and the bytes that follow it.
pub fn header(tensors: &[Shape]) -> (Vec<u8>, usize) {
    let mut entries = Map::new();
    let mut offset = 0;
    for (name, dtype, shape) in tensors {
        let width = match *dtype {
            "I64" => 8,
            "F32" => 4,
            _ => 2,
        };
        let end = offset + width * shape.iter().product::<usize>();
        entries.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, end] }));
        offset = end;
    }
    let mut text = Value::Object(entries).to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    ([&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat(), offset)
}

/// The one weight file of a generated checkpoint.
#[derive(Debug)]
pub(in super::super) struct GeneratedFile {
    head: Vec<u8>,
    /// Where each tensor ends, and what it holds, in order.
    tensors: Vec<(usize, Values)>,
}

impl GeneratedFile {
    pub(in super::super) fn new(size: &Size) -> Self {
        let tensors = original_tensors(size);
        let (head, _) = header(&tensors);
        let mut end = head.len();
        let place = |(index, (name, _, shape)): (usize, &Shape)| {
            end += 2 * shape.iter().product::<usize>();
            (end, Values::of(index, name))
        };
        let tensors = tensors.iter().enumerate().map(place).collect();
        Self { head, tensors }
    }

    /// The length field and the JSON.
    pub(in super::super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Bytes of the whole file.
    pub(in super::super) fn len(&self) -> usize {
        self.tensors.last().map_or(self.head.len(), |(end, _)| *end)
    }

    /// Makes what stands from byte `offset` on.
    ///
    /// # Errors
    /// A place before the data or past the end.
    pub(in super::super) fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: usize) -> io::Result<()> {
        if offset < self.head.len() || offset.checked_add(bytes.len()).is_none_or(|end| end > self.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut index = self.tensors.partition_point(|(end, _)| *end <= offset);
        while !bytes.is_empty() {
            let (end, values) = self.tensors[index];
            let start = index.checked_sub(1).map_or(self.head.len(), |before| self.tensors[before].0);
            let (filled, rest) = bytes.split_at_mut(bytes.len().min(end - offset));
            values.fill(offset - start, filled);
            (offset, index, bytes) = (end, index + 1, rest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sizes::HALF_B;
    use super::*;

    const SMALL: Size =
        Size { hidden: 64, intermediate: 96, layers: 1, heads: 2, kv_heads: 1, rows: 40, tower_layers: 1, ..HALF_B };

    #[test]
    fn tensors_follow_each_other_as_the_header_says() {
        let file = GeneratedFile::new(&SMALL);
        let (head, data_bytes) = header(&original_tensors(&SMALL));
        assert_eq!((file.head(), file.len()), (&*head, head.len() + data_bytes));
        let mut whole = vec![7; data_bytes];
        file.read_exact_at(&mut whole, head.len()).expect("all of the data");
        let (mut start, mut part) = (0, [0; 9]);
        for (index, (name, _, shape)) in original_tensors(&SMALL).iter().enumerate() {
            let mut expected = vec![0; 2 * shape.iter().product::<usize>()];
            Values::of(index, name).fill(0, &mut expected);
            assert_eq!(expected, whole[start..start + expected.len()], "{name}");
            start += expected.len();
            if start + 4 <= data_bytes {
                file.read_exact_at(&mut part, head.len() + start - 5).expect("a part");
                assert_eq!(part, whole[start - 5..start + 4], "across the end of {name}");
            }
        }
        assert!(file.read_exact_at(&mut part, file.len() - 8).is_err(), "past the end");
        assert!(file.read_exact_at(&mut part, head.len() - 1).is_err(), "in the header");
    }
}
