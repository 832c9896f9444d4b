//! One entry: a safetensors file of one tensor, with its key, its facts and a checksum in the metadata.
//!
//! It is believed only if every byte is what [`Encoded`] would write: the header is compared with one made from what it
//! says, and the checksum covers that header and the data.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use blake3::Hasher;
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use half::slice::HalfFloatSliceExt;
use half::vec::HalfBitsVecExt;
use half::{bf16, f16};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Error;
use super::facts;
use super::key::Key;
use crate::pages::prefer_huge_pages;

/// The tensor's name.
const TENSOR: &str = "visual_tokens";

/// Bytes in front of the header, which tell its length.
const LENGTH_BYTES: usize = 8;

/// Data begin at a multiple of it, as the format wants.
const ALIGNMENT: usize = 8;

/// The longest header that is read: facts of a million frames.
const MAX_HEADER_BYTES: u64 = 128 << 20;

/// Digits of a checksum.
const CHECKSUM_DIGITS: usize = 64;

/// The dtypes that models compute in, with the format's names for them.
const DTYPES: [(DType, &str); 3] = [(DType::F32, "F32"), (DType::BF16, "BF16"), (DType::F16, "F16")];

/// What an entry holds.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Visual tokens `[N_v, D]` on the CPU, in the dtype of the key's arithmetic.
    pub tokens: Tensor,
    /// What was told when they were kept.
    pub facts: Value,
}

/// Why a file is no entry.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be read.
    Io(std::io::Error),
    /// It is not what was written.
    Damaged(String),
}

/// An entry as it is written.
pub(super) struct Encoded {
    header: Vec<u8>,
    /// On the CPU, contiguous, of one of [`DTYPES`].
    tokens: Tensor,
}

impl Encoded {
    /// # Errors
    /// A dtype that is not kept, or a failing device.
    pub(super) fn new(key: &Key, tokens: &Tensor, facts: &Value) -> Result<Self, Error> {
        let dtype = tokens.dtype();
        if format_name(dtype).is_none() {
            return Err(Error::Dtype { dtype });
        }
        let tokens = tokens.to_device(&Device::Cpu)?.contiguous()?;
        let facts = facts::to_text(facts);
        let unsigned = header(key, &facts, dtype, tokens.dims(), None);
        let checksum = with_bytes(&tokens, |bytes| checksum(&unsigned, bytes))?;
        Ok(Self { header: header(key, &facts, dtype, tokens.dims(), Some(&checksum)), tokens })
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        (self.header.len() + self.tokens.elem_count() * self.tokens.dtype().size_in_bytes()) as u64
    }

    /// # Errors
    /// What `out` fails with.
    pub(super) fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        out.write_all(&self.header)?;
        with_bytes(&self.tokens, |bytes| out.write_all(bytes)).map_err(std::io::Error::other)?
    }
}

/// Reads the entry of `key` from a file of `file_bytes` bytes.
///
/// # Errors
/// A file that cannot be read, or that differs in one byte from what was written for this key.
pub(super) fn read(file: &mut File, file_bytes: u64, key: &Key) -> Result<Entry, Failure> {
    let mut length = [0; LENGTH_BYTES];
    file.read_exact(&mut length).map_err(read_failure)?;
    let header_bytes = u64::from_le_bytes(length);
    let room = file_bytes.saturating_sub(LENGTH_BYTES as u64);
    if header_bytes > room.min(MAX_HEADER_BYTES) {
        return Err(damaged("its header is longer than the file"));
    }
    let mut found = length.to_vec();
    Read::by_ref(file).take(header_bytes).read_to_end(&mut found).map_err(read_failure)?;
    let Ok(said) = serde_json::from_slice::<Header>(&found[LENGTH_BYTES..]) else {
        return Err(damaged("its header cannot be read"));
    };
    let Header { metadata: Metadata { key: key_text, facts, checksum: stated }, tokens: Info { dtype: name, shape } } =
        said;
    if key_text != key.text() {
        return Err(damaged("it belongs to another clip or request"));
    }
    let dtype = DTYPES.iter().find(|(_, known)| *known == name).map(|(dtype, _)| *dtype);
    let (Some(dtype), &[rows, width]) = (dtype, shape.as_slice()) else {
        return Err(damaged("it holds no visual tokens"));
    };
    if (dtype, width) != (key.dtype(), key.width()) {
        return Err(damaged("its visual tokens have another dtype or width"));
    }
    let count = rows.checked_mul(width);
    let data_bytes = count.and_then(|count| count.checked_mul(dtype.size_in_bytes()));
    let (Some(count), true) = (count, data_bytes.map(|bytes| bytes as u64) == room.checked_sub(header_bytes)) else {
        return Err(damaged("it is not as long as its header says"));
    };
    if header(key, &facts, dtype, &shape, Some(&stated)) != found {
        return Err(damaged("its header is not as it was written"));
    }
    let unsigned = header(key, &facts, dtype, &shape, None);
    let tokens = read_tokens(file, dtype, count, &shape, &unsigned, &stated)?;
    let facts = facts::from_text(&facts).ok_or_else(|| damaged("its facts cannot be read"))?;
    Ok(Entry { tokens, facts })
}

fn damaged(what: &str) -> Failure {
    Failure::Damaged(what.to_owned())
}

fn read_failure(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof => damaged("it is cut short"),
        _ => Failure::Io(error),
    }
}

/// Reads into the vector that the tensor keeps, so that nothing is held twice.
fn read_tokens(
    file: &mut File,
    dtype: DType,
    count: usize,
    shape: &[usize],
    unsigned: &[u8],
    stated: &str,
) -> Result<Tensor, Failure> {
    let mut fill = |bytes: &mut [u8]| {
        file.read_exact(bytes).map_err(read_failure)?;
        match checksum(unsigned, bytes) == stated {
            true => Ok(()),
            false => Err(damaged("its checksum is wrong")),
        }
    };
    let tensor = if dtype == DType::F32 {
        let mut values: Vec<f32> = bytemuck::zeroed_vec(count);
        prefer_huge_pages(&mut values);
        fill(bytemuck::cast_slice_mut(&mut values))?;
        Tensor::from_vec(values, shape, &Device::Cpu)
    } else {
        let mut bits: Vec<u16> = bytemuck::zeroed_vec(count);
        prefer_huge_pages(&mut bits);
        fill(bytemuck::cast_slice_mut(&mut bits))?;
        match dtype {
            DType::BF16 => Tensor::from_vec(bits.reinterpret_into::<bf16>(), shape, &Device::Cpu),
            _ => Tensor::from_vec(bits.reinterpret_into::<f16>(), shape, &Device::Cpu),
        }
    };
    tensor.map_err(|error| Failure::Damaged(error.to_string()))
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Metadata,
    #[serde(rename = "visual_tokens")]
    tokens: Info,
}

#[derive(Deserialize)]
struct Metadata {
    key: String,
    facts: String,
    checksum: String,
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
}

/// The length field and the header; zeros stand for a checksum that is not known yet.
fn header(key: &Key, facts: &str, dtype: DType, shape: &[usize], checksum: Option<&str>) -> Vec<u8> {
    let unknown = "0".repeat(CHECKSUM_DIGITS);
    let data_bytes = shape.iter().product::<usize>() * dtype.size_in_bytes();
    let header = json!({
        "__metadata__": { "key": key.text(), "checksum": checksum.unwrap_or(&unknown), "facts": facts },
        TENSOR: { "dtype": format_name(dtype), "shape": shape, "data_offsets": [0, data_bytes] },
    });
    let mut json = header.to_string().into_bytes();
    json.resize((LENGTH_BYTES + json.len()).next_multiple_of(ALIGNMENT) - LENGTH_BYTES, b' ');
    [&(json.len() as u64).to_le_bytes()[..], &json].concat()
}

fn format_name(dtype: DType) -> Option<&'static str> {
    DTYPES.iter().find(|(known, _)| *known == dtype).map(|(_, name)| *name)
}

fn checksum(unsigned_header: &[u8], data: &[u8]) -> String {
    Hasher::new().update(unsigned_header).update_rayon(data).finalize().to_string()
}

/// Hands on a tensor's values as they lie in memory; files of this format are little-endian (`checkpoint::bulk` refuses
/// to be compiled for anything else).
fn with_bytes<T>(tokens: &Tensor, work: impl FnOnce(&[u8]) -> T) -> candle_core::Result<T> {
    let (storage, layout) = tokens.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        candle_core::bail!("visual tokens must be contiguous and on the CPU");
    };
    let bytes: &[u8] = match storage {
        CpuStorage::F32(values) => bytemuck::cast_slice(&values[start..end]),
        CpuStorage::BF16(values) => bytemuck::cast_slice(values[start..end].reinterpret_cast()),
        CpuStorage::F16(values) => bytemuck::cast_slice(values[start..end].reinterpret_cast()),
        _ => candle_core::bail!("visual tokens in {:?} cannot be kept", tokens.dtype()),
    };
    Ok(work(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Seek;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::key::tests::{expecting, numbered_key};
    use super::*;

    static KEY: LazyLock<Key> = LazyLock::new(|| key_of(1));

    fn key_of(number: usize) -> Key {
        let clip = tempfile::NamedTempFile::new().expect("a file");
        numbered_key(clip.path(), number)
    }

    fn tokens(dtype: DType) -> Tensor {
        let values = Tensor::arange(0f32, (3 * KEY.width()) as f32, &Device::Cpu).expect("the CPU");
        let values = values.affine(0.37, -11.0).and_then(|values| values.reshape((3, KEY.width())));
        values.and_then(|values| values.to_dtype(dtype)).expect("the CPU")
    }

    fn facts() -> Value {
        json!({ "indices": [0, 5, 9], "label_secs": [0.0, 0.1 + 0.2, 29.97], "warnings": ["a \"word\""] })
    }

    fn encoded(dtype: DType) -> Vec<u8> {
        let encoded = Encoded::new(&KEY, &tokens(dtype), &facts()).expect("floats");
        let mut bytes = Vec::new();
        encoded.write_to(&mut bytes).expect("memory");
        assert_eq!(encoded.bytes(), bytes.len() as u64);
        bytes
    }

    fn read_bytes(bytes: &[u8], key: &Key) -> Result<Entry, Failure> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).and_then(|()| file.rewind()).expect("written");
        read(&mut file, bytes.len() as u64, key)
    }

    fn bits(tensor: &Tensor) -> Vec<u8> {
        with_bytes(tensor, <[u8]>::to_vec).expect("on the CPU")
    }

    #[test]
    fn what_was_written_is_read_bit_for_bit() {
        let narrow = [DType::BF16, DType::F16].map(|dtype| expecting(&KEY, dtype, KEY.width()));
        for key in [KEY.clone()].iter().chain(&narrow) {
            let tokens = tokens(key.dtype());
            let mut bytes = Vec::new();
            Encoded::new(key, &tokens, &facts()).expect("floats").write_to(&mut bytes).expect("memory");
            let entry = read_bytes(&bytes, key).expect("an entry");
            assert_eq!((entry.tokens.dtype(), entry.tokens.dims()), (tokens.dtype(), tokens.dims()));
            assert_eq!((bits(&entry.tokens), entry.facts), (bits(&tokens), facts()));
        }
        assert!(matches!(Encoded::new(&KEY, &tokens(DType::F64), &facts()), Err(Error::Dtype { .. })));
    }

    /// A view into a larger tensor, whose values do not lie one behind the other.
    #[test]
    fn tokens_need_not_be_contiguous() {
        let wide = Tensor::cat(&[&tokens(DType::F32), &tokens(DType::F32)], 1).expect("the CPU");
        let view = wide.narrow(1, 1, KEY.width()).expect("a view");
        let mut bytes = Vec::new();
        Encoded::new(&KEY, &view, &Value::Null).expect("floats").write_to(&mut bytes).expect("memory");
        let read = read_bytes(&bytes, &KEY).expect("an entry");
        assert_eq!(bits(&read.tokens), bits(&view.contiguous().expect("a copy")));
    }

    #[test]
    fn any_program_that_reads_safetensors_can_read_it() {
        let bytes = encoded(DType::F32);
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("the format");
        let (_, head) = safetensors::SafeTensors::read_metadata(&bytes).expect("the format");
        assert_eq!(file.tensor("visual_tokens").expect("the tensor").data(), bits(&tokens(DType::F32)));
        let metadata = head.metadata().as_ref().expect("metadata");
        assert_eq!(metadata["key"], KEY.text());
        assert!((bytes.len() - file.tensor("visual_tokens").expect("the tensor").data().len()).is_multiple_of(8));
    }

    #[test]
    fn what_is_whole_and_of_something_else_is_refused() {
        let bytes = encoded(DType::F32);
        let what = |bytes: &[u8], key: &Key| match read_bytes(bytes, key) {
            Err(Failure::Damaged(what)) => what,
            other => panic!("{other:?}"),
        };
        assert!(what(&bytes, &key_of(2)).contains("another clip"));
        assert!(what(&bytes, &expecting(&KEY, DType::BF16, KEY.width())).contains("another dtype or width"));
        assert!(what(&bytes, &expecting(&KEY, DType::F32, KEY.width() + 1)).contains("another dtype or width"));
        // Signed as it should be, and of a dtype and shapes that were not asked for.
        let signed = |tokens: candle_core::Result<Tensor>| {
            let mut bytes = Vec::new();
            let encoded = Encoded::new(&KEY, &tokens.expect("the CPU"), &facts()).expect("floats");
            encoded.write_to(&mut bytes).expect("memory");
            bytes
        };
        let f32s = tokens(DType::F32);
        for wrong in [f32s.flatten_all(), f32s.unsqueeze(0)] {
            assert!(what(&signed(wrong), &KEY).contains("no visual tokens"));
        }
        for wrong in [Ok(tokens(DType::F16)), f32s.t()] {
            assert!(what(&signed(wrong), &KEY).contains("another dtype or width"));
        }
        assert!(what(&[], &KEY).contains("cut short"));
        assert!(what(&[0xff; 64], &KEY).contains("longer than the file"));
        assert!(what(&[&2u64.to_le_bytes()[..], b"{}"].concat(), &KEY).contains("header"));
    }

    /// Not even where the header means the same: white space, or another way to write a character.
    #[test]
    fn a_header_that_means_the_same_in_other_bytes_is_refused() {
        let bytes = encoded(DType::F32);
        let header_bytes = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let json = std::str::from_utf8(&bytes[8..8 + header_bytes]).expect("text");
        for (from, to) in [("\"shape\":[", "\"shape\": ["), ("warnings", "w\\u0061rnings"), ("[0,", "[0 ,")] {
            assert!(json.contains(from), "{json}");
            let json = json.replace(from, to);
            let changed = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &bytes[8 + header_bytes..]];
            assert!(matches!(read_bytes(&changed.concat(), &KEY), Err(Failure::Damaged(_))), "{from}");
        }
    }

    #[test]
    fn every_damaged_byte_of_the_header_is_noticed() {
        let bytes = encoded(DType::F32);
        let header_bytes = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        for at in 0..header_bytes {
            for flip in [0x01, 0x20, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                assert!(matches!(read_bytes(&damaged, &KEY), Err(Failure::Damaged(_))), "byte {at} ^ {flip}");
            }
        }
    }

    proptest! {
        #[test]
        fn damage_anywhere_is_never_believed(
            at: prop::sample::Index,
            flip in 1u8..,
            cut: prop::sample::Index,
            more in prop::collection::vec(any::<u8>(), 1..9),
        ) {
            let bytes = encoded(DType::F32);
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= flip;
            let longer = [&bytes[..], &more].concat();
            for damaged in [&flipped, &bytes[..cut.index(bytes.len())], &longer] {
                prop_assert!(matches!(read_bytes(damaged, &KEY), Err(Failure::Damaged(_))));
            }
        }

        #[test]
        fn noise_is_no_entry(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(matches!(read_bytes(&noise, &KEY), Err(Failure::Damaged(_))));
        }
    }
}
