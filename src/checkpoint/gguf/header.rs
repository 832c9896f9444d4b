//! The head of a GGUF file: its texts and numbers, and where its tensors lie. Nothing of it is trusted.
//!
//! The format is described in ggml's `docs/gguf.md`; versions 2 and 3 are alike in what is read here.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::super::document_names::{self, NAMES};
use super::super::error::Error;
use super::keys::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, VERSION, VERSION_KEY, document_key};
use super::names;
use crate::quantization::Format;

/// Most dimensions of a tensor in a GGUF file.
const MAX_DIMENSIONS: u32 = 4;

/// One tensor as the file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct TensorInfo {
    /// Its name in the original layout.
    pub(in super::super) name: String,
    /// Its shape, slowest dimension first (the file has it the other way round).
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) format: Format,
    /// Where its data are in the file.
    pub(in super::super) bytes: Range<usize>,
}

/// A value of the metadata that this program uses.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(u64),
    Text(String),
    Other,
}

/// A value of the metadata where it lies.
enum RawValue<'b> {
    Number(u64),
    Text(&'b str),
    Other,
}

/// The key under which a file names its architecture.
const ARCHITECTURE_KEY: &str = "general.architecture";

/// Most bytes of a text under `key` that are kept; `None` for keys that this program does not use.
fn max_bytes(key: &str) -> Option<u64> {
    let document = NAMES.into_iter().find(|name| document_key(name) == key);
    match key {
        VERSION_KEY | ALIGNMENT_KEY | ARCHITECTURE_KEY => Some(1 << 10),
        _ => document.map(document_names::max_bytes),
    }
}

/// What the head of a GGUF file says.
#[derive(Debug)]
pub(in super::super) struct Header {
    pub(in super::super) path: PathBuf,
    metadata: BTreeMap<String, Value>,
    pub(in super::super) tensors: Vec<TensorInfo>,
}

impl Header {
    /// Reads the head of the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is not GGUF, or whose head does not fit its length.
    pub(in super::super) fn read(path: &Path) -> Result<Self, Error> {
        let read_error = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read_error)?;
        // SAFETY: the map is read-only, private to this process, and gone before this function returns.
        let map = unsafe { Mmap::map(&file) }.map_err(read_error)?;
        let damaged = |message: String| Error::DamagedWeights { path: path.to_owned(), message };
        let (metadata, tensors) = parse(&map).map_err(damaged)?;
        Ok(Self { path: path.to_owned(), metadata, tensors })
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The text files that it carries, by name.
    ///
    /// # Errors
    /// [`Error::ForeignGguf`] for a file that this program did not write.
    pub(in super::super) fn texts(&self) -> Result<BTreeMap<&'static str, String>, Error> {
        match self.metadata.get(VERSION_KEY) {
            Some(Value::Number(version)) if *version == u64::from(VERSION) => {}
            Some(Value::Number(version)) => {
                let message = format!("it has layout version {version}; this program reads version {VERSION}");
                return Err(Error::ForeignGguf { path: self.path.clone(), message });
            }
            _ => {
                let architecture = self.text(ARCHITECTURE_KEY).unwrap_or("unknown");
                let message = format!(
                    "another program made it from a model of architecture `{architecture}`: it holds no video tower, \
                     projector and config that belong together"
                );
                return Err(Error::ForeignGguf { path: self.path.clone(), message });
            }
        }
        let text = |name: &&'static str| Some((*name, self.text(&document_key(name))?.to_owned()));
        Ok(NAMES.iter().filter_map(text).collect())
    }
}

type Parsed = (BTreeMap<String, Value>, Vec<TensorInfo>);

fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.take(4)? != MAGIC {
        return Err("it does not start like a GGUF file".to_owned());
    }
    match cursor.u32()? {
        2 | 3 => {}
        other => return Err(format!("its GGUF version is {other}; versions 2 and 3 are supported")),
    }
    let (tensor_count, value_count) = (cursor.u64()?, cursor.u64()?);
    let mut metadata = BTreeMap::new();
    for _ in 0..value_count {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        let value = cursor.value(kind).map_err(|message| format!("{message} (key `{key}`)"))?;
        let Some(max_bytes) = max_bytes(key) else { continue };
        let kept = match value {
            RawValue::Text(text) if text.len() as u64 > max_bytes => {
                return Err(format!("a text has {} bytes, at most {max_bytes} are read (key `{key}`)", text.len()));
            }
            RawValue::Text(text) => Value::Text(text.to_owned()),
            RawValue::Number(number) => Value::Number(number),
            RawValue::Other => Value::Other,
        };
        metadata.insert(key.to_owned(), kept);
    }
    let mut tensors = Vec::new();
    for _ in 0..tensor_count {
        tensors.push(cursor.tensor()?);
    }
    let alignment = match metadata.get(ALIGNMENT_KEY) {
        None => DEFAULT_ALIGNMENT,
        Some(Value::Number(alignment)) if alignment.is_power_of_two() && *alignment <= 1 << 20 => *alignment as usize,
        Some(other) => return Err(format!("its alignment is {other:?}")),
    };
    let start = cursor.at.next_multiple_of(alignment);
    for tensor in &mut tensors {
        let range = &tensor.bytes;
        let end = start.checked_add(range.end).filter(|&end| end <= bytes.len());
        let Some(end) = end else {
            return Err(format!("tensor `{}` ends past the end of the file", tensor.name));
        };
        tensor.bytes = start + range.start..end;
    }
    Ok((metadata, tensors))
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], String> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("its header is cut short at byte {}", self.at))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "its header is cut short".to_owned())
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize, String> {
        let size = self.u64()?;
        usize::try_from(size).map_err(|_| format!("it states a size of {size}"))
    }

    fn text(&mut self) -> Result<&'b str, String> {
        let len = self.size()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| "a string is not UTF-8".to_owned())
    }

    /// A value of the kind that the format numbers `kind`.
    fn value(&mut self, kind: u32) -> Result<RawValue<'b>, String> {
        Ok(match kind {
            4 => RawValue::Number(self.u32()?.into()),
            10 => RawValue::Number(self.u64()?),
            8 => RawValue::Text(self.text()?),
            9 => {
                let (kind, count) = (self.u32()?, self.size()?);
                match fixed_size(kind) {
                    Some(size) => {
                        let len = count.checked_mul(size).ok_or("an array is too long")?;
                        self.take(len)?;
                    }
                    None if kind == 8 => (0..count).try_for_each(|_| self.text().map(|_| ()))?,
                    None => return Err(format!("an array holds values of type {kind}")),
                }
                RawValue::Other
            }
            other => {
                let size = fixed_size(other).ok_or_else(|| format!("a value has unknown type {other}"))?;
                self.take(size)?;
                RawValue::Other
            }
        })
    }

    /// A tensor's description; its range counts from the start of the data.
    fn tensor(&mut self) -> Result<TensorInfo, String> {
        let gguf_name = self.text()?;
        let name = names::from_gguf(gguf_name);
        let dimensions = self.u32()?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(format!("tensor `{gguf_name}` has {dimensions} dimensions"));
        }
        let mut shape = (0..dimensions).map(|_| self.size()).collect::<Result<Vec<_>, _>>()?;
        let id = self.u32()?;
        let format = Format::of_gguf_id(id).ok_or_else(|| format!("tensor `{gguf_name}` has unknown format {id}"))?;
        if !format.holds(shape[0]) {
            return Err(format!("tensor `{gguf_name}` has rows of {} values in {}", shape[0], format.name()));
        }
        let values = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        // Formats take at most four bytes a value.
        let len = values.filter(|&values| values <= usize::MAX / 8).map(|values| format.bytes(values));
        let start = self.size()?;
        let end = len.and_then(|len| start.checked_add(len));
        let end = end.ok_or_else(|| format!("tensor `{gguf_name}` is too large"))?;
        shape.reverse();
        Ok(TensorInfo { name, shape, format, bytes: start..end })
    }
}

/// Bytes of a value of this kind, for kinds of one size.
fn fixed_size(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
