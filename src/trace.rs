//! Tensors at every seam, kept for comparison with the reference (`--dump-tensors`); off unless asked for.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};

/// Collects named tensors; one that is recorded in batches is joined along its first dimension.
#[derive(Debug, Default)]
pub struct Trace {
    parts: Option<BTreeMap<&'static str, Vec<Tensor>>>,
}

impl Trace {
    /// A trace that records.
    pub fn recording() -> Self {
        Self { parts: Some(BTreeMap::new()) }
    }

    /// Whether anything is recorded; callers skip making tensors that nobody wants.
    pub fn is_recording(&self) -> bool {
        self.parts.is_some()
    }

    /// Adds a tensor, as f32 if it holds floats. Does nothing when not recording.
    ///
    /// # Errors
    /// A failing device.
    pub fn record(&mut self, name: &'static str, tensor: &Tensor) -> Result<()> {
        if let Some(parts) = &mut self.parts {
            let dtype = if tensor.dtype().is_float() { DType::F32 } else { tensor.dtype() };
            let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(dtype)?;
            parts.entry(name).or_default().push(tensor);
        }
        Ok(())
    }

    /// The recorded tensors, joined.
    ///
    /// # Errors
    /// Parts of one name that do not fit together.
    pub fn tensors(&self) -> Result<BTreeMap<&'static str, Tensor>> {
        let join = |(name, parts): (&&'static str, &Vec<Tensor>)| Ok((*name, Tensor::cat(parts, 0)?));
        self.parts.iter().flatten().map(join).collect()
    }

    /// Writes the recorded tensors to a safetensors file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let tensors = self.tensors()?;
        safetensors::serialize_to_file(tensors.iter().map(|(name, tensor)| (*name, tensor)), None, path)?;
        Ok(())
    }
}
