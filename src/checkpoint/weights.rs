//! Safetensors or GGUF files -> tensors by name; headers are read at once, a tensor's data when it is loaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::Metadata;

use super::bulk::{self, Data};
use super::error::Error;
use super::generated::{GeneratedFile, Size};
use super::gguf::header::Header;
use super::head::{self, WeightHead};
use super::layout::Layout;
use super::rows::HeldRows;
use super::shards::weight_files;
use super::source::{BuiltInFiles, Source};
use super::tensor_names::{TensorNames, is_index_buffer};
use crate::interrupt::Interrupt;
use crate::quantization::blocks::Blocks;
use crate::quantization::{Format, Scheme};
use crate::role::Role;
use crate::stamp::Stamp;

/// Values that are quantized between two looks at the interrupt: a fraction of a second.
const BATCH_VALUES: usize = 1 << 23;

/// Where one tensor lies.
#[derive(Debug)]
struct Entry {
    /// Its name in the file.
    stored_name: String,
    file: usize,
    format: Format,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// All tensors of a checkpoint, under their names in the original layout.
#[derive(Debug, Default)]
pub struct Weights {
    files: Vec<Data>,
    /// Of the files on this machine, as they were right before they were opened.
    stamps: Vec<Stamp>,
    entries: BTreeMap<String, Entry>,
    /// Tensors that the layout does not have.
    foreign: Vec<String>,
    /// How to hold matrices that are stored as floats; `None`: as floats.
    scheme: Option<Scheme>,
    /// Ends loading.
    interrupt: Interrupt,
}

impl Weights {
    /// Opens the weight files of `dir`: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// No weight files, unreadable ones, or ones cut short; a shard that is listed but not there.
    pub fn open(dir: &Path, layout: Layout) -> Result<Self, Error> {
        let mut weights = Self::default();
        for path in weight_files(dir)? {
            weights.add_file(&path, layout)?;
        }
        Ok(weights)
    }

    /// The tensors of a GGUF file whose head was read.
    pub(super) fn of_gguf(path: &Path, header: Header) -> Result<Self, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let stamp = Stamp::of(path).map_err(unreadable)?;
        let file = File::open(path).map_err(unreadable)?;
        let mut weights = Self { stamps: vec![stamp], ..Self::default() };
        for tensor in header.tensors {
            let stored_name = tensor.name.clone();
            let entry = Entry { stored_name, file: 0, format: tensor.format, shape: tensor.shape, bytes: tensor.bytes };
            weights.add(path, tensor.name, entry)?;
        }
        weights.files.push(Data::File(file));
        Ok(weights)
    }

    /// The tensors of a checkpoint inside the program.
    pub(super) fn of_built_in(name: &str, files: BuiltInFiles, layout: Layout) -> Result<Self, Error> {
        let mut weights = Self::default();
        let none = || Error::NoWeights { dir: name.into() };
        let bytes = Source::built_in(files, "model.safetensors").ok_or_else(none)?;
        let path = Path::new(name);
        let damaged = |message: String| Error::DamagedWeights { path: path.to_owned(), message };
        let head_len = head::head_bytes(bytes, bytes.len() as u64).map_err(damaged)? as usize;
        let (data_start, metadata) = head::parse(&bytes[..head_len], bytes.len() as u64).map_err(damaged)?;
        weights.add_entries(path, data_start, &metadata, layout)?;
        weights.files.push(Data::BuiltIn(bytes));
        Ok(weights)
    }

    /// Tensors under their names in the original layout, for tests.
    #[cfg(test)]
    pub(crate) fn of_tensors(tensors: &[(&str, &Tensor)]) -> Self {
        let bytes = safetensors::serialize(tensors.iter().copied(), None).expect("tensors");
        let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
        let files = Box::leak(Box::new([("model.safetensors", bytes)]));
        Self::of_built_in("tensors of a test", files, Layout::Original).expect("weights")
    }

    /// Tensors of random values, made when they are loaded.
    pub(super) fn generated(name: &str, size: &Size) -> Result<Self, Error> {
        let mut weights = Self::default();
        let (path, file) = (Path::new(name), GeneratedFile::new(size));
        let damaged = |message: String| Error::DamagedWeights { path: path.to_owned(), message };
        let (data_start, metadata) = head::parse(file.head(), file.len() as u64).map_err(damaged)?;
        weights.add_entries(path, data_start, &metadata, Layout::Original)?;
        weights.files.push(Data::Generated(file));
        Ok(weights)
    }

    /// The tensors of weight files of `dir` that are not here: everything but their data.
    pub(super) fn of_heads(dir: &Path, heads: &[WeightHead], layout: Layout) -> Result<Self, Error> {
        let mut weights = Self::default();
        for head in heads {
            let path = dir.join(&head.name);
            let damaged = |message: String| Error::DamagedWeights { path: path.clone(), message };
            let (data_start, metadata) = head::parse(&head.bytes, head.file_bytes).map_err(damaged)?;
            weights.add_entries(&path, data_start, &metadata, layout)?;
            weights.files.push(Data::Absent);
        }
        Ok(weights)
    }

    /// Data are read, not mapped, so that a file that shrinks later is an error and not a crash.
    fn add_file(&mut self, path: &Path, layout: Layout) -> Result<(), Error> {
        let stamp = Stamp::of(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let (data_start, metadata) = head::read(path)?;
        self.add_entries(path, data_start, &metadata, layout)?;
        let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        self.files.push(Data::File(file));
        self.stamps.push(stamp);
        Ok(())
    }

    /// The weight files on this machine, as they were right before they were opened.
    pub(super) fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    /// Adds the tensors that the head of a safetensors file lists; the file itself is to be added next.
    fn add_entries(
        &mut self,
        path: &Path,
        data_start: usize,
        metadata: &Metadata,
        layout: Layout,
    ) -> Result<(), Error> {
        let damaged = |message: String| Error::DamagedWeights { path: path.to_owned(), message };
        for (name, info) in metadata.tensors() {
            let dtype = match info.dtype {
                safetensors::Dtype::BF16 => DType::BF16,
                safetensors::Dtype::F16 => DType::F16,
                safetensors::Dtype::F32 => DType::F32,
                // Index buffers that old exports carry; none is ever loaded.
                safetensors::Dtype::I64 if is_index_buffer(&name) => continue,
                other => {
                    return Err(damaged(format!("tensor `{name}` is {other:?}; only BF16, F16 and F32 are supported")));
                }
            };
            let Some(original_name) = layout.original_name(&name) else {
                self.foreign.push(name);
                continue;
            };
            let (start, end) = info.data_offsets;
            let entry = Entry {
                stored_name: name,
                file: self.files.len(),
                format: Format::Float(dtype),
                shape: info.shape.clone(),
                bytes: data_start + start..data_start + end,
            };
            self.add(path, original_name, entry)?;
        }
        Ok(())
    }

    /// Adds a tensor; which of two is meant cannot be known.
    fn add(&mut self, path: &Path, original_name: String, entry: Entry) -> Result<(), Error> {
        let name = entry.stored_name.clone();
        match self.entries.insert(original_name, entry) {
            None => Ok(()),
            Some(other) if other.stored_name == name => {
                let message = format!("it holds tensor `{name}` again");
                Err(Error::DamagedWeights { path: path.to_owned(), message })
            }
            Some(other) => {
                let message = format!("`{name}` and `{}` are two names of one tensor", other.stored_name);
                Err(Error::Tensors { dir: path.to_owned(), message })
            }
        }
    }

    /// Names and shapes, for the manifest check.
    pub(super) fn tensor_names(&self) -> TensorNames<'_> {
        let shapes = self.entries.iter().map(|(name, entry)| (name.as_str(), entry.shape.as_slice()));
        TensorNames::of_headers(shapes, &self.foreign)
    }

    /// The tensors' names in the original layout, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The float type in which a tensor is stored, if it is there and stored as floats.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        self.format(name)?.float()
    }

    /// How a tensor is stored, if it is there.
    pub fn format(&self, name: &str) -> Option<Format> {
        self.entries.get(name).map(|entry| entry.format)
    }

    /// How a tensor is held once it is loaded, widening of floats aside; `None` if it is not there.
    pub fn held_format(&self, name: &str) -> Option<Format> {
        self.format_under(name, self.scheme)
    }

    /// The float type in which a tensor is held once it is loaded, widening aside; `None` if it is in blocks, or not
    /// there.
    pub fn held_dtype(&self, name: &str) -> Option<DType> {
        self.held_format(name)?.float()
    }

    /// The float type in which the decoder's matrices are held; `None` where they are in blocks.
    pub fn decoder_dtype(&self) -> Option<DType> {
        self.held_dtype(&Role::Decoder(0).tensor("mlp.down_proj.weight"))
    }

    /// How a tensor would be held under `scheme` (`None`: as it is stored); `None` if it is not there.
    pub(super) fn format_under(&self, name: &str, scheme: Option<Scheme>) -> Option<Format> {
        let Entry { format, shape, .. } = self.entries.get(name)?;
        Some(scheme.zip(Role::of(name)).map_or(*format, |(scheme, role)| scheme.format_for(role, shape, *format)))
    }

    /// The scheme that matrices are held by.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// Bytes of all tensors as stored.
    pub fn total_bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.bytes.len()).sum()
    }

    /// Holds matrices as `scheme` says from now on. `path` is what to call these weights.
    ///
    /// # Errors
    /// [`Error::AlreadyQuantized`] where matrices are in blocks as they are.
    pub(crate) fn quantize(&mut self, path: &Path, scheme: Scheme) -> Result<(), Error> {
        match self.entries.iter().find(|(_, entry)| entry.format.float().is_none()) {
            Some((name, entry)) => {
                Err(Error::AlreadyQuantized { path: path.to_owned(), name: name.clone(), format: entry.format })
            }
            None => {
                self.scheme = Some(scheme);
                Ok(())
            }
        }
    }

    /// Ends loading once `interrupt` asks for it, in the middle of a large tensor, too.
    pub fn stop_with(&mut self, interrupt: &Interrupt) {
        self.interrupt = interrupt.clone();
    }

    /// The rows of a matrix, to be read a few at a time; `None` for what is not a matrix.
    ///
    /// # Errors
    /// A tensor that is not there.
    pub(crate) fn held_rows(&self, name: &str) -> Result<Option<HeldRows<'_>>, Error> {
        let (Some(entry), Some(held)) = (self.entries.get(name), self.held_format(name)) else {
            return Err(self.failed(name, candle_core::Error::msg("it is not in the checkpoint")));
        };
        let (&rows, inner) = match entry.shape.split_first() {
            Some((rows, inner)) if !inner.is_empty() => (rows, inner),
            _ => return Ok(None),
        };
        Ok(Some(HeldRows {
            data: &self.files[entry.file],
            start: entry.bytes.start as u64,
            stored: entry.format,
            held,
            rows,
            columns: inner.iter().product(),
            interrupt: &self.interrupt,
        }))
    }

    /// The error for a tensor that could not be loaded.
    pub(crate) fn failed(&self, name: &str, source: candle_core::Error) -> Error {
        match self.interrupt.check() {
            Err(interrupted) => interrupted.into(),
            Ok(()) => Error::Load { name: name.to_owned(), source },
        }
    }

    /// Copies a tensor to `device` as `dtype` (`None`: as stored).
    ///
    /// # Errors
    /// A tensor that is not there (the manifest check makes that a defect), a failing device, or an interrupt.
    pub fn load(&self, name: &str, dtype: Option<DType>, device: &Device) -> Result<Tensor, Error> {
        let rows = self.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0);
        self.load_rows(name, rows, dtype, device)
    }

    /// Like [`Self::load`], but only the first `rows` along the first dimension.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_rows(&self, name: &str, rows: usize, dtype: Option<DType>, device: &Device) -> Result<Tensor, Error> {
        let load = || {
            let Some(entry) = self.entries.get(name) else {
                candle_core::bail!("it is not in the checkpoint");
            };
            let mut shape = entry.shape.clone();
            if let Some(first) = shape.first_mut().filter(|first| rows < **first) {
                *first = rows;
            }
            let Some(stored_dtype) = entry.format.float() else {
                candle_core::bail!("it is stored as {}, not as floats", entry.format.name());
            };
            let (file, start) = (&self.files[entry.file], entry.bytes.start as u64);
            #[cfg(feature = "cuda")]
            let pinned = super::upload::read_tensor(file, start, stored_dtype, &shape, device, &self.interrupt)?;
            #[cfg(not(feature = "cuda"))]
            let pinned = None;
            let stored = match pinned {
                Some(stored) => stored,
                None => bulk::read_tensor(file, start, stored_dtype, &shape, device, &self.interrupt)?,
            };
            match dtype {
                Some(dtype) => stored.to_dtype(dtype),
                None => Ok(stored),
            }
        };
        load().map_err(|source| self.failed(name, source))
    }

    /// The first `rows` rows of a matrix that is held in blocks; `None` for one that is held in floats. What is stored
    /// in floats is quantized a few rows at a time, so that next to the blocks only those are in memory. `progress` is
    /// told how many values are done.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn load_blocks(
        &self,
        name: &str,
        rows: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Option<Blocks>, Error> {
        let (Some(entry), Some(held)) = (self.entries.get(name), self.held_format(name)) else {
            return Ok(None);
        };
        let &[stored_rows, columns] = entry.shape.as_slice() else {
            return Ok(None);
        };
        let rows = rows.min(stored_rows);
        let Some(mut blocks) = Blocks::zeros(held, rows, columns) else {
            return Ok(None);
        };
        let (file, start) = (&self.files[entry.file], entry.bytes.start);
        let mut load = || match entry.format.float() {
            None => Ok(bulk::read_into(file, start as u64, blocks.bytes_mut(), &self.interrupt)?),
            Some(dtype) => {
                let row_bytes = entry.format.bytes(columns);
                let read = |row: usize, floats: &mut [f32]| {
                    bulk::read_floats(file, (start + row * row_bytes) as u64, dtype, floats)?;
                    match floats.iter().all(|value| value.is_finite()) {
                        true => Ok(()),
                        false => candle_core::bail!("it holds values that are not finite numbers"),
                    }
                };
                let batch_rows = (BATCH_VALUES / columns.max(1)).max(1);
                for first in (0..rows).step_by(batch_rows) {
                    self.interrupt.check().map_err(candle_core::Error::wrap)?;
                    let batch = first..rows.min(first + batch_rows);
                    let values = batch.end * columns;
                    blocks.quantize_rows(batch, read)?;
                    progress(values);
                }
                Ok::<(), candle_core::Error>(())
            }
        };
        load().map_err(|source| self.failed(name, source))?;
        Ok(Some(blocks))
    }
}
