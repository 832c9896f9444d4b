//! Where the computation runs and in which arithmetic: chosen, checked and explained in this one place.

use candle_core::{DType, Device};

/// `--device`: a request, not yet checked against what this build and this machine have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceRequest {
    /// The best device there is: CUDA, then Metal, then the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, by index.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl std::str::FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let index = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a GPU index"));
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => match text.strip_prefix("cuda:") {
                Some(rest) => Ok(Self::Cuda(index(rest)?)),
                None => Err("expected auto, cpu, cuda, cuda:INDEX or metal".to_owned()),
            },
        }
    }
}

/// `--dtype`: a request for the arithmetic of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DtypeRequest {
    /// f32 on the CPU, bf16 on GPUs.
    #[default]
    Auto,
    /// 32-bit floats: what the reference's golden outputs were made in.
    F32,
    /// bfloat16: what the checkpoints are trained and stored in.
    Bf16,
    /// 16-bit floats: less range than bf16, may overflow.
    F16,
}

/// A device that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device needs a cargo feature that this build lacks.
    #[error("this build has no {device} support")]
    NotBuiltIn {
        /// The device as requested.
        device: &'static str,
        /// The cargo feature that adds it.
        feature: &'static str,
    },
    /// The device is supported by this build but does not work here.
    #[error("device `{device}` cannot be used")]
    Unusable {
        /// The device as requested.
        device: String,
        /// The backend's reason.
        source: candle_core::Error,
    },
}

impl Error {
    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotBuiltIn { feature, .. } => {
                Some(format!("build with `cargo build --release --features {feature}`, or use `--device cpu`"))
            }
            Self::Unusable { .. } => Some("use `--device cpu`, or name another GPU".to_owned()),
        }
    }
}

/// Where the model lives and in which arithmetic it computes.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The device.
    pub device: Device,
    /// The arithmetic of tower, projector and decoder.
    pub dtype: DType,
}

impl Placement {
    /// Opens the requested device and settles the arithmetic.
    ///
    /// `auto` takes f32 on the CPU, the arithmetic of the golden outputs; there candle's bf16 products would widen both
    /// operands at every call, which is slower and rounds more, and the weights can stay in bf16 anyway
    /// ([`Self::matrix_dtype`]). On GPUs it takes bf16, the
    /// type the checkpoints are trained and stored in, at half the memory of f32; f16 is never picked, since its
    /// range overflows in this family of models.
    ///
    /// # Errors
    /// [`Error`] if this build lacks the device, or the machine does.
    pub fn open(device: DeviceRequest, dtype: DtypeRequest) -> Result<Self, Error> {
        let device = match device {
            DeviceRequest::Auto => best_device()?,
            DeviceRequest::Cpu => Device::Cpu,
            DeviceRequest::Cuda(index) => cuda(index)?,
            DeviceRequest::Metal => metal()?,
        };
        let dtype = match dtype {
            DtypeRequest::F32 => DType::F32,
            DtypeRequest::Bf16 => DType::BF16,
            DtypeRequest::F16 => DType::F16,
            DtypeRequest::Auto if device.is_cpu() => DType::F32,
            DtypeRequest::Auto => DType::BF16,
        };
        Ok(Self { device, dtype })
    }

    /// In which dtype a weight matrix stored as `stored` is held: on the CPU bf16 stays bf16 under f32 arithmetic, which
    /// gives the same numbers at half the memory (`linear/mod.rs`); everything else is held as it is computed.
    pub fn matrix_dtype(&self, stored: Option<DType>) -> Option<DType> {
        let stays = self.device.is_cpu() && self.dtype == DType::F32 && stored == Some(DType::BF16);
        Some(if stays { DType::BF16 } else { self.dtype })
    }

    /// The device as `--device` writes it.
    pub fn device_name(&self) -> String {
        match self.device.location() {
            candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
            candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            candle_core::DeviceLocation::Metal { .. } => "metal".to_owned(),
        }
    }

    /// The arithmetic as `--dtype` writes it.
    pub fn dtype_name(&self) -> &'static str {
        self.dtype.as_str()
    }

    /// Frames that go through the vision tower together, so that memory stays flat in the number of frames.
    pub fn vision_batch_frames(&self) -> usize {
        if self.device.is_cpu() { 2 } else { 8 }
    }

    /// Positions that go through the decoder together in prefill.
    pub fn prefill_chunk_tokens(&self) -> usize {
        if self.device.is_cpu() { 512 } else { 2048 }
    }

    /// Most bytes that one block of attention scores may take; bounds the memory of attention whatever the length.
    pub fn attention_scores_bytes(&self) -> usize {
        if self.device.is_cpu() { 64 << 20 } else { 512 << 20 }
    }
}

/// The features of this build that concern devices, for `--version`.
pub fn built_in_features() -> Vec<&'static str> {
    [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))]
        .into_iter()
        .filter_map(|(name, built_in)| built_in.then_some(name))
        .collect()
}

fn best_device() -> Result<Device, Error> {
    if cfg!(feature = "cuda") && candle_core::utils::cuda_is_available() {
        return cuda(0);
    }
    if cfg!(feature = "metal") && candle_core::utils::metal_is_available() {
        return metal();
    }
    Ok(Device::Cpu)
}

fn cuda(index: usize) -> Result<Device, Error> {
    if !cfg!(feature = "cuda") {
        return Err(Error::NotBuiltIn { device: "CUDA", feature: "cuda" });
    }
    Device::new_cuda(index).map_err(|source| Error::Unusable { device: format!("cuda:{index}"), source })
}

fn metal() -> Result<Device, Error> {
    if !cfg!(feature = "metal") {
        return Err(Error::NotBuiltIn { device: "Metal", feature: "metal" });
    }
    Device::new_metal(0).map_err(|source| Error::Unusable { device: "metal".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_parse() {
        assert_eq!("auto".parse(), Ok(DeviceRequest::Auto));
        assert_eq!("cuda:3".parse(), Ok(DeviceRequest::Cuda(3)));
        assert_eq!("cuda".parse(), Ok(DeviceRequest::Cuda(0)));
        for wrong in ["gpu", "cuda:", "cuda:x", "CPU", ""] {
            assert!(wrong.parse::<DeviceRequest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn auto_is_f32_on_the_cpu() {
        let placement = Placement::open(DeviceRequest::Cpu, DtypeRequest::Auto).expect("the CPU is always there");
        assert_eq!((placement.device_name().as_str(), placement.dtype_name()), ("cpu", "f32"));
    }
}
