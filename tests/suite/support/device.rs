//! The device under test.

use std::sync::LazyLock;

use candle_core::{DType, Device};
use llava_video::device::{Devices, DtypeRequest, Limits, Operands, Placement};

/// The device under test as `--device` writes it: the CPU, or what `LLAVA_VIDEO_TEST_DEVICE` names.
pub(crate) fn device() -> &'static str {
    static DEVICE: LazyLock<String> =
        LazyLock::new(|| std::env::var("LLAVA_VIDEO_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned()));
    &DEVICE
}

/// The first of the devices under test, in one arithmetic.
pub(crate) fn placement(dtype: DtypeRequest) -> Placement {
    Devices::open(&device().parse().unwrap(), dtype).unwrap().placements().remove(0)
}

/// The same in f32, with what `operands` rounds.
pub(crate) fn rounding(operands: Operands) -> Placement {
    Placement { operands, ..placement(DtypeRequest::F32) }
}

/// The GPU under test, or the CPU going the way of a GPU: by candle's
/// operations, in the same pieces, with the same masks.
pub(crate) fn gpu(dtype: DtypeRequest) -> Placement {
    if device() != "cpu" {
        return placement(dtype);
    }
    let dtype = if dtype == DtypeRequest::Bf16 { DType::BF16 } else { DType::F32 };
    Placement { is_gpu: true, limits: Limits::GPU, ..Placement::whole(Device::Cpu, dtype) }
}

/// The same once more, on a GPU with an order of work of its own.
pub(crate) fn other_gpu(dtype: DtypeRequest) -> Placement {
    let placement = gpu(dtype);
    #[cfg(feature = "cuda")]
    if let candle_core::DeviceLocation::Cuda { gpu_id } = placement.device.location() {
        return Placement { device: Device::new_cuda_with_stream(gpu_id).unwrap(), ..placement };
    }
    placement
}
