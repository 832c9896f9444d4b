//! NVIDIA GPUs, for builds with the `cuda` feature: counted, opened, and tried before anything depends on them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaContext;
use candle_core::{DType, Device, Tensor};

use super::capability::{Capability, Target};
use super::request::DtypeRequest;
use super::switches::Switches;
use super::{Error, Placement, gpu_dtype, pool};

/// How many there are; without a driver none.
pub(super) fn count() -> usize {
    CudaContext::device_count().map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

/// Opens a GPU whose kernels this build has, and runs one of them.
pub(super) fn open(index: usize, dtype: DtypeRequest) -> Result<Placement, Error> {
    let name = format!("cuda:{index}");
    let unusable = |source| Error::Unusable { device: name.clone(), source };
    let switches = Switches::of_this_process()?;
    let device = device(index).map_err(unusable)?;
    let capability = capability(&device).map_err(unusable)?;
    if let Some(target) = Target::of_this_build().filter(|target| !target.runs_on(capability)) {
        return Err(Error::OtherCapability { device: name, capability, target });
    }
    let Some(dtype) = gpu_dtype(dtype, capability.has_bf16()) else {
        return Err(Error::NoBf16 { device: name, capability });
    };
    settle(device.as_cuda_device().map_err(unusable)?, switches).map_err(unusable)?;
    run_a_kernel(&device, dtype).map_err(unusable)?;
    let whole = Placement::whole(device, dtype);
    Ok(Placement { has_flash: whole.has_flash && !switches.no_flash, ..whole })
}

/// The one device of this process for a GPU, with the one stream of it. Whoever opens the GPU and whichever threads
/// compute, they do so one after the other, and none sees what another has not finished. candle's own device would
/// take the stream that the driver gives each thread.
fn device(index: usize) -> candle_core::Result<Device> {
    static DEVICES: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
    let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = devices.get(&index) {
        return Ok(device.clone());
    }
    let device = Device::new_cuda_with_stream(index)?;
    devices.insert(index, device.clone());
    Ok(device)
}

/// How tensors are tracked and where their memory goes.
fn settle(device: &CudaDevice, switches: Switches) -> candle_core::Result<()> {
    if !switches.track_events {
        // SAFETY: candle makes two events for each tensor, to order streams among each other. Here all work of a GPU is
        // on one stream. Copies between two GPUs are ordered by `copy_in_order`, those from page-locked memory by events
        // of their own (`checkpoint::upload`).
        unsafe { device.disable_event_tracking() };
    }
    if !switches.return_memory && device.cuda_stream().context().has_async_alloc() {
        pool::keep_freed(device)?;
    }
    Ok(())
}

/// What the driver has left, and what the pool of this process holds and no tensor uses.
pub(super) fn free_bytes(device: &CudaDevice) -> candle_core::Result<u64> {
    let stream = device.cuda_stream();
    let (free, _) = stream.context().mem_get_info().map_err(candle_core::Error::wrap)?;
    let held = match stream.context().has_async_alloc() {
        true => pool::pool_bytes(device)?,
        false => return Ok(free as u64),
    };
    Ok(free as u64 + held.reserved.saturating_sub(held.used))
}

/// What a GPU is sold as, and its compute capability.
pub(super) fn model(device: &CudaDevice) -> candle_core::Result<String> {
    let name = device.cuda_stream().context().name().map_err(candle_core::Error::wrap)?;
    Ok(format!("{name}, compute capability {}", capability(&Device::Cuda(device.clone()))?))
}

fn capability(device: &Device) -> candle_core::Result<Capability> {
    let stream = device.as_cuda_device()?.cuda_stream();
    let (major, minor) = stream.context().compute_capability().map_err(candle_core::Error::wrap)?;
    Ok(Capability { major: major.unsigned_abs(), minor: minor.unsigned_abs() })
}

/// A driver that is older than the toolkit of the build, and a GPU without memory, are found here, with a hint, and not
/// after the weights were read.
fn run_a_kernel(device: &Device, dtype: DType) -> candle_core::Result<()> {
    let sum = (Tensor::ones(2, dtype, device)? + 1.0)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    match sum.as_slice() {
        [2.0, 2.0] => Ok(()),
        other => candle_core::bail!("1 + 1 gave {other:?}"),
    }
}

/// Copies from one GPU to another, or to another stream of the same. The copy runs in the target's order of work: it
/// waits for what the source was asked for before, and the source, whose memory is reused in its own order as soon as
/// the tensor is dropped, waits for it.
pub(super) fn copy_in_order<T>(
    source: &Device,
    target: &Device,
    copy: impl FnOnce() -> candle_core::Result<T>,
) -> candle_core::Result<T> {
    let (Device::Cuda(source), Device::Cuda(target)) = (source, target) else { return copy() };
    let (source, target) = (source.cuda_stream(), target.cuda_stream());
    target.join(&source).map_err(candle_core::Error::wrap)?;
    let copied = copy()?;
    source.join(&target).map_err(candle_core::Error::wrap)?;
    Ok(copied)
}
