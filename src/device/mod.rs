//! Where the computation runs and in which arithmetic: chosen, checked and explained in this one place.

mod capability;
#[cfg(feature = "cuda")]
mod cuda;
mod limits;
mod opened;
#[cfg(feature = "cuda")]
mod pool;
mod request;
mod split;
#[cfg(any(test, feature = "cuda"))]
#[cfg_attr(
    not(feature = "cuda"),
    allow(dead_code, unreachable_pub, reason = "builds without CUDA test its words alone")
)]
mod switches;

use candle_core::{DType, Device};

use crate::kernels::choice;

pub use crate::kernels::isa::Isa;
pub use crate::kernels::operands::Operands;
pub use capability::{Capability, NoTarget, Target};
pub use limits::Limits;
pub use opened::{Devices, Skipped};
#[cfg(all(test, feature = "cuda"))]
pub(crate) use pool::{pool_bytes, reset_most_used};
pub use request::{DeviceName, DeviceRequest, DtypeRequest};
pub use split::{DeviceMap, Placed, SlotId, share_by_room};
#[cfg(feature = "cuda")]
pub(crate) use switches::Switches;

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
    /// Layers for the GPU where there is none.
    #[error("--gpu-layers needs a GPU; the devices are: {devices}")]
    NoGpu {
        /// The devices as `--device` writes them.
        devices: String,
    },
    /// An arithmetic that the CPU's kernels do not have.
    #[error("there is no f16 arithmetic on the CPU")]
    NoF16OnCpu,
    /// The set of instructions in the environment.
    #[error("cannot choose the instructions of the CPU's kernels")]
    Instructions(#[from] choice::Error),
    /// What is asked to be done otherwise on NVIDIA GPUs.
    #[cfg(feature = "cuda")]
    #[error("cannot choose how the GPU computes")]
    Switches(#[from] switches::Error),
    /// A GPU that the kernels of this build do not run on. They would not fail: they would leave whatever was in memory.
    #[error("`{device}` has compute capability {capability}, and this build's kernels are for {target}")]
    OtherCapability {
        /// The device as requested.
        device: String,
        /// The GPU's.
        capability: Capability,
        /// The build's.
        target: Target,
    },
    /// An arithmetic that a GPU has no kernels for.
    #[error("`{device}` has no bf16 arithmetic: its compute capability is {capability}, below 8.0")]
    NoBf16 {
        /// The device as requested.
        device: String,
        /// The GPU's.
        capability: Capability,
    },
    /// The device is supported by this build but does not work here.
    #[error("cannot use device `{device}`")]
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
            Self::NoGpu { .. } => Some("leave --gpu-layers out, or name a GPU with --device".to_owned()),
            Self::NoF16OnCpu => Some("use `--dtype f32`, or `--dtype bf16`".to_owned()),
            Self::Instructions(_) => Some(format!("unset {}", choice::VARIABLE)),
            #[cfg(feature = "cuda")]
            Self::Switches(_) => Some(format!("unset {}", switches::VARIABLE)),
            Self::OtherCapability { capability, .. } => {
                let digits = capability.digits();
                Some(format!("build for this GPU, with `CUDA_COMPUTE_CAP={digits}` set, or use `--device cpu`"))
            }
            Self::NoBf16 { .. } => Some("use `--dtype f32`, or leave --dtype out".to_owned()),
            Self::Unusable { source, .. } => Some(unusable_hint(&source.to_string()).to_owned()),
        }
    }
}

/// What helps against a failure of the driver, whose names of errors the backend hands on (`CUresult` in CUDA's driver
/// API).
fn unusable_hint(reason: &str) -> &'static str {
    let is = |name: &str| reason.contains(name);
    if is("UNSUPPORTED_PTX_VERSION") {
        "the NVIDIA driver is older than the CUDA toolkit of this build: update the driver, or build with an older toolkit"
    } else if is("INVALID_PTX") || is("NO_BINARY_FOR_GPU") {
        "build on this machine, or with `CUDA_COMPUTE_CAP` set to what this GPU has"
    } else if is("OUT_OF_MEMORY") {
        "other programs hold this GPU's memory, as `nvidia-smi` shows: end them, or use `--device cpu`"
    } else if is("INVALID_DEVICE") || is("NO_DEVICE") {
        "`nvidia-smi` lists the GPUs; name one of those, or use `--device cpu`"
    } else {
        "use `--device cpu`, or name another GPU"
    }
}

/// Where the model lives and in which arithmetic it computes.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The device.
    pub device: Device,
    /// What is computed in between products, and on all devices but the CPU in products, too.
    pub dtype: DType,
    /// What the kernels of the CPU make of the operands of products.
    pub operands: Operands,
    /// Whether candle's operations compute, one after the other and with masks, as on a GPU. Tests ask for that on the
    /// CPU, where the kernels do it better, to hold the way of a GPU to the reference without one.
    pub is_gpu: bool,
    /// Whether attention in 16 bits is left to the flash kernels.
    pub has_flash: bool,
    /// How much is computed at once.
    pub limits: Limits,
}

impl Placement {
    /// Opens a device and settles its arithmetic.
    ///
    /// On the CPU everything but the operands of products is f32 whatever is asked for. `auto` is exact there until it
    /// is known how the weights are stored ([`Self::suited_to`]). On GPUs it takes bf16, the type the checkpoints are
    /// trained and stored in, at half the memory of f32; on NVIDIA GPUs before Ampere, which have no bf16, f32. f16 is
    /// never picked, since its range overflows in this family of models.
    ///
    /// # Errors
    /// [`Error`] if this build lacks the device, or the machine does; arithmetic that the device does not have.
    pub fn open(name: DeviceName, dtype: DtypeRequest) -> Result<Self, Error> {
        match name {
            DeviceName::Cpu => Self::open_cpu(dtype),
            DeviceName::Cuda(index) => open_cuda(index, dtype),
            DeviceName::Metal => Ok(Self::whole(metal()?, gpu_dtype(dtype, true).unwrap_or(DType::BF16))),
        }
    }

    fn open_cpu(dtype: DtypeRequest) -> Result<Self, Error> {
        choice::made()?;
        let operands = match dtype {
            DtypeRequest::Auto | DtypeRequest::F32 => Operands::Exact,
            DtypeRequest::Bf16 => Operands::Bf16,
            DtypeRequest::F16 => return Err(Error::NoF16OnCpu),
        };
        Ok(Self { operands, ..Self::whole(Device::Cpu, DType::F32) })
    }

    /// A device on which everything is computed in `dtype`, as GPUs do it. On the CPU that is candle's arithmetic, not
    /// the kernels', unless it is f32.
    pub fn whole(device: Device, dtype: DType) -> Self {
        let is_gpu = !device.is_cpu();
        let has_flash = cfg!(feature = "flash-attn") && device.is_cuda();
        let limits = if is_gpu { Limits::GPU } else { Limits::CPU };
        Self { device, dtype, operands: Operands::Exact, is_gpu, has_flash, limits }
    }

    /// The same with the arithmetic that `auto` takes for weights that are stored as `stored` (`None`: in blocks). On a
    /// CPU that multiplies bf16 natively those are bf16 operands where the weights are bf16, too.
    #[must_use]
    pub fn suited_to(self, request: DtypeRequest, stored: Option<DType>) -> Self {
        if request != DtypeRequest::Auto || !self.uses_kernels() {
            return self;
        }
        let is_bf16 = stored.is_none_or(|stored| stored == DType::BF16) && self.isa().multiplies_bf16();
        Self { operands: if is_bf16 { Operands::Bf16 } else { Operands::Bytes }, ..self }
    }

    /// Whether products and attention run in this program's kernels, on f32 tensors.
    pub(crate) fn uses_kernels(&self) -> bool {
        !self.is_gpu && self.dtype == DType::F32
    }

    /// Whose kernels multiply: this program's, named by their instructions, or candle's.
    pub fn kernels_name(&self) -> &'static str {
        if self.uses_kernels() { self.isa().name() } else { "candle" }
    }

    /// Instructions that the CPU has and that its kernels do not use, since they gave wrong numbers in a trial.
    pub fn failed_instructions(&self) -> &'static [Isa] {
        choice::made().ok().filter(|_| self.uses_kernels()).map_or(&[], |choice| &choice.failed)
    }

    /// The instructions of the kernels.
    pub(crate) fn isa(&self) -> Isa {
        // A variable that cannot be followed was refused when the device was opened.
        choice::made().map_or(Isa::Plain, |choice| choice.isa)
    }

    /// In what tensors are kept that go into products or attention next and nowhere else.
    pub fn operand_dtype(&self) -> DType {
        match self.operands {
            Operands::Bf16 => DType::BF16,
            Operands::Exact | Operands::Bytes => self.dtype,
        }
    }

    /// In which dtype a weight matrix stored as `stored` is held: the CPU's kernels multiply what is stored; everything
    /// else is held as it is computed.
    pub fn matrix_dtype(&self, stored: Option<DType>) -> Option<DType> {
        Some(stored.filter(|_| self.uses_kernels()).unwrap_or(self.dtype))
    }

    /// The device as `--device` writes it.
    pub fn device_name(&self) -> String {
        let name = match self.device.location() {
            candle_core::DeviceLocation::Cpu => DeviceName::Cpu,
            candle_core::DeviceLocation::Cuda { gpu_id } => DeviceName::Cuda(gpu_id),
            candle_core::DeviceLocation::Metal { .. } => DeviceName::Metal,
        };
        name.to_string()
    }

    /// The arithmetic as `--dtype` writes it.
    pub fn dtype_name(&self) -> &'static str {
        match self.operands {
            Operands::Bf16 => DType::BF16.as_str(),
            Operands::Exact | Operands::Bytes => self.dtype.as_str(),
        }
    }

    /// What a GPU is sold as, and what it can do; `None` on other devices, and where that cannot be found out.
    pub fn gpu_model(&self) -> Option<String> {
        match &self.device {
            Device::Cpu | Device::Metal(_) => None,
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => cuda::model(device).ok(),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => None,
        }
    }

    /// Memory that is free on the device, in bytes, for this process; `None` where that cannot be found out.
    pub fn free_bytes(&self) -> Option<u64> {
        match &self.device {
            // Apple's GPU shares the memory of the CPU.
            Device::Cpu | Device::Metal(_) => free_host_bytes(),
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => cuda::free_bytes(device).ok(),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => None,
        }
    }

    /// What is taken beside the model: code, tokenizer and buffers of the process, or a GPU's context and the
    /// workspaces of its libraries. An allowance, not a count.
    pub fn base_bytes(&self) -> u64 {
        if self.is_gpu { 700_000_000 } else { 150_000_000 }
    }

    /// Whether attention is left to the flash kernels, which know 16-bit floats on NVIDIA GPUs only.
    pub fn uses_flash_attention(&self) -> bool {
        self.has_flash && matches!(self.dtype, DType::BF16 | DType::F16)
    }

    /// Whether the flash kernels attend so many rows of the decoder to the keys before them. For a single row they are
    /// slower than products: they give it to one of the GPU's multiprocessors for each head.
    pub(crate) fn flash_attends(&self, rows: usize) -> bool {
        self.uses_flash_attention() && rows > 1
    }
}

/// The features of this build that concern devices, for `--version`.
pub fn built_in_features() -> Vec<&'static str> {
    [
        ("cuda", cfg!(feature = "cuda")),
        ("flash-attn", cfg!(feature = "flash-attn")),
        ("metal", cfg!(feature = "metal")),
        ("accelerate", cfg!(feature = "accelerate")),
        ("mkl", cfg!(feature = "mkl")),
    ]
    .into_iter()
    .filter_map(|(name, built_in)| built_in.then_some(name))
    .collect()
}

/// Free memory of the machine or of the control groups around this process, whichever is less.
fn free_host_bytes() -> Option<u64> {
    use sysinfo::{MemoryRefreshKind, System};
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = Some(system.available_memory()).filter(|&bytes| bytes > 0);
    let group = crate::cgroup::memory_room_bytes(std::path::Path::new("/"));
    machine.into_iter().chain(group).min()
}

/// The arithmetic of a GPU; `None` for bf16 on one that does not have it.
fn gpu_dtype(request: DtypeRequest, has_bf16: bool) -> Option<DType> {
    match request {
        DtypeRequest::F32 => Some(DType::F32),
        DtypeRequest::F16 => Some(DType::F16),
        DtypeRequest::Auto if !has_bf16 => Some(DType::F32),
        DtypeRequest::Auto | DtypeRequest::Bf16 => has_bf16.then_some(DType::BF16),
    }
}

#[cfg(feature = "cuda")]
use cuda::open as open_cuda;

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: usize, _: DtypeRequest) -> Result<Placement, Error> {
    Err(Error::NotBuiltIn { device: "CUDA", feature: "cuda" })
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
    fn auto_is_f32_on_the_cpu() {
        let placement = Placement::open(DeviceName::Cpu, DtypeRequest::Auto).expect("the CPU is always there");
        assert_eq!((placement.device_name().as_str(), placement.dtype_name()), ("cpu", "f32"));
    }

    #[test]
    fn auto_is_f32_on_gpus_without_bf16() {
        assert_eq!(gpu_dtype(DtypeRequest::Auto, true), Some(DType::BF16));
        assert_eq!(gpu_dtype(DtypeRequest::Auto, false), Some(DType::F32));
        assert_eq!(gpu_dtype(DtypeRequest::Bf16, false), None);
        assert_eq!(gpu_dtype(DtypeRequest::F16, false), Some(DType::F16));
    }

    #[test]
    fn hints_go_by_what_the_driver_says() {
        for (reason, hint) in [
            ("DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, ...)", "update the driver"),
            ("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")", "nvidia-smi"),
            ("DriverError(CUDA_ERROR_INVALID_DEVICE, ...)", "lists the GPUs"),
            ("something else", "--device cpu"),
        ] {
            assert!(unusable_hint(reason).contains(hint), "{reason}");
        }
    }
}
