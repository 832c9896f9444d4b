//! A checkpoint, quantized, to a GGUF file (version 3): sizes first, then one tensor after the other, each compared
//! with its size.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use candle_core::{DType, Device};

use super::super::error::Error;
use super::super::opened::Checkpoint;
use super::super::plan::TensorPlan;
use super::keys::{DEFAULT_ALIGNMENT, MAGIC};
use super::metadata::{Value, metadata};
use super::names;
use crate::disk;
use crate::interrupt::Interrupt;
use crate::quantization::{Format, Scheme};

/// Writes `checkpoint`, quantized as `scheme` says, to `path`, which appears when it is whole. What is there is
/// replaced only if `replace` says so. `progress` is told how many of the file's bytes are made. Returns the file's
/// bytes.
///
/// # Errors
/// A checkpoint that is quantized already or cannot be read, too little space, a file that is there, an interrupt.
pub fn write(
    checkpoint: &mut Checkpoint,
    scheme: Scheme,
    path: &Path,
    replace: bool,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    checkpoint.quantize(scheme)?;
    checkpoint.weights.stop_with(interrupt);
    if path.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    if !replace && path.exists() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    let plan: Vec<TensorPlan> = checkpoint.plan().into_iter().map(as_filed).collect();
    let mut head = Head::default();
    head.all(&metadata(checkpoint, scheme)?, &plan);
    let total_bytes = (head.bytes.len() + plan.iter().map(padded_bytes).sum::<usize>()) as u64;

    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk::check(dir, total_bytes)?;
    let temporary = temporary_file(dir).map_err(failed)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary);
    out.write_all(&head.bytes).map_err(failed)?;
    let mut done = head.bytes.len() as u64;
    for tensor in &plan {
        interrupt.check()?;
        let mut part = Part { out: &mut out, bytes: 0, interrupt };
        let mut on_values = |values| progress(done + tensor.held.bytes(values) as u64, total_bytes);
        let outcome = write_tensor(checkpoint, tensor, &mut part, path, &mut on_values);
        // An interrupt comes out of a write as its failure.
        interrupt.check()?;
        outcome?;
        let padding = padded_bytes(tensor) - tensor.bytes();
        out.write_all(&[0; DEFAULT_ALIGNMENT][..padding]).map_err(failed)?;
        done += padded_bytes(tensor) as u64;
        progress(done, total_bytes);
    }
    let temporary = out.into_inner().map_err(|error| failed(error.into_error()))?;
    temporary.as_file().sync_all().map_err(failed)?;
    let persisted = match replace {
        true => temporary.persist(path),
        false => temporary.persist_noclobber(path),
    };
    persisted.map_err(|error| failed(error.error))?;
    Ok(total_bytes)
}

/// Values of one dimension are f32 in these files.
fn as_filed(mut tensor: TensorPlan) -> TensorPlan {
    if tensor.shape.len() == 1 {
        tensor.held = Format::Float(DType::F32);
        tensor.wanted = tensor.held;
    }
    tensor
}

fn padded_bytes(tensor: &TensorPlan) -> usize {
    tensor.bytes().next_multiple_of(DEFAULT_ALIGNMENT)
}

/// Writes the bytes of one tensor, which are as many as the plan says.
fn write_tensor(
    checkpoint: &Checkpoint,
    tensor: &TensorPlan,
    out: &mut Part<'_, impl Write>,
    path: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let name = tensor.name.as_str();
    match checkpoint.weights.load_blocks(name, usize::MAX, progress)? {
        Some(blocks) => out.write_all(blocks.bytes()).map_err(failed)?,
        None => {
            let floats = checkpoint.weights.load(name, tensor.held.float(), &Device::Cpu)?;
            floats.write_bytes(out).map_err(|source| match source {
                candle_core::Error::Io(source) => failed(source),
                source => Error::Load { name: name.to_owned(), source },
            })?;
        }
    }
    let (written, planned) = (out.bytes, tensor.bytes() as u64);
    match written == planned {
        true => Ok(()),
        false => Err(Error::Miscounted { path: path.to_owned(), name: name.to_owned(), written, planned }),
    }
}

/// A file's bytes of one tensor, counted; writing stops once the interrupt asks for it.
struct Part<'w, W> {
    out: &'w mut W,
    bytes: u64,
    interrupt: &'w Interrupt,
}

impl<W: Write> Write for Part<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        /// Bytes between two looks at the interrupt.
        const STEP_BYTES: usize = 16 << 20;
        self.interrupt.check().map_err(std::io::Error::other)?;
        let written = self.out.write(&bytes[..bytes.len().min(STEP_BYTES)])?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// A file of a name of its own beside the final one, gone if it is not renamed.
fn temporary_file(dir: &Path) -> std::io::Result<tempfile::NamedTempFile<File>> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".llava-video-").suffix(".part");
    #[cfg(unix)]
    {
        // As any new file: what the umask leaves of it.
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    builder.tempfile_in(dir)
}

/// The bytes before the tensors' data.
#[derive(Default)]
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
}

impl Head {
    pub(super) fn all(&mut self, metadata: &[(String, Value)], plan: &[TensorPlan]) {
        self.bytes.extend(MAGIC);
        self.u32(3);
        self.u64(plan.len());
        self.u64(metadata.len());
        for (key, value) in metadata {
            self.text(key);
            self.value(value);
        }
        let mut offset = 0;
        for tensor in plan {
            self.text(&names::to_gguf(&tensor.name));
            self.u32(u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX));
            tensor.shape.iter().rev().for_each(|&size| self.u64(size));
            // Every float type that weights are stored in has a number.
            self.u32(tensor.held.gguf_id().unwrap_or(u32::MAX));
            self.u64(offset);
            offset += padded_bytes(tensor);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(DEFAULT_ALIGNMENT), 0);
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: usize) {
        self.bytes.extend((value as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len());
        self.bytes.extend(text.as_bytes());
    }

    /// A value after the number of its kind (`gguf_metadata_value_type`).
    fn value(&mut self, value: &Value) {
        match value {
            Value::U32(value) => {
                self.u32(4);
                self.u32(*value);
            }
            Value::F32(value) => {
                self.u32(6);
                self.bytes.extend(value.to_le_bytes());
            }
            Value::Bool(value) => {
                self.u32(7);
                self.bytes.push(u8::from(*value));
            }
            Value::Text(text) => {
                self.u32(8);
                self.text(text);
            }
            Value::Texts(texts) => {
                self.u32(9);
                self.u32(8);
                self.u64(texts.len());
                texts.iter().for_each(|text| self.text(text));
            }
            Value::I32s(values) => {
                self.u32(9);
                self.u32(5);
                self.u64(values.len());
                values.iter().for_each(|value| self.bytes.extend(value.to_le_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/ckpt/b_7x7_tied_single_bf16");
        let mut checkpoint = Checkpoint::open(&dir, &[]).expect("a golden checkpoint");
        let scheme = Scheme { quantization: crate::quantization::Quantization::Q8_0, vision: false };
        checkpoint.quantize(scheme).expect("it is in floats");
        checkpoint
    }

    #[test]
    fn bytes_that_were_not_planned_are_an_error() {
        let checkpoint = checkpoint();
        let interrupt = Interrupt::default();
        for planned in checkpoint.plan() {
            let mut sink = std::io::sink();
            let mut write = |tensor: &TensorPlan| {
                let mut part = Part { out: &mut sink, bytes: 0, interrupt: &interrupt };
                write_tensor(&checkpoint, tensor, &mut part, Path::new("x.gguf"), &mut |_| ())
            };
            write(&planned).expect("as planned");
            let mut larger = planned.clone();
            larger.shape[0] += 1;
            let error = write(&larger).expect_err("a row too few").to_string();
            assert!(
                error.contains("`x.gguf`") && error.contains(&planned.name) && error.contains("planned"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_interrupt_ends_a_write_between_its_parts() {
        let interrupt = Interrupt::default();
        let mut out = Vec::new();
        let mut part = Part { out: &mut out, bytes: 0, interrupt: &interrupt };
        part.write_all(&[1; 100]).expect("room in memory");
        interrupt.cell().store(2, std::sync::atomic::Ordering::Relaxed);
        assert!(part.write_all(&[1; 100]).is_err());
        assert_eq!((part.bytes, out.len()), (100, 100));
    }
}
