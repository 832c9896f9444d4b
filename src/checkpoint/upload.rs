//! Weights on their way to an NVIDIA GPU through two page-locked buffers: while one goes up, the other is filled.
//!
//! Off unless `LLAVA_VIDEO_GPU` has `pinned-upload`: only a GPU can tell what it gains.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, DeviceRepr, PinnedHostSlice};
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage};
use candle_core::{CpuStorage, DType, Device, Error, InplaceOp1, Layout, Result, Tensor};
use half::{bf16, f16};

use super::bulk::{Data, read_into};
use crate::device::Switches;
use crate::interrupt::Interrupt;

/// Enough for the bus to be busy while the file is read.
const BUFFER_BYTES: usize = 32 << 20;

/// Page-locked memory, and when the copy from it is done that was asked for last. `PinnedHostSlice` has an event for
/// that, too, which cudarc records only while it tracks events.
struct Buffer {
    host: PinnedHostSlice<u8>,
    copied: Option<CudaEvent>,
}

/// The buffers of each GPU that was asked for them, by its number. Page-locked memory is slow to get, so it is kept.
static BUFFERS: Mutex<Vec<(usize, [Buffer; 2])>> = Mutex::new(Vec::new());

/// Reads a tensor as `bulk::read_tensor` does; `None` on another device, without the switch, and for a tensor that is
/// smaller than a buffer.
///
/// # Errors
/// As `bulk::read_tensor`.
pub(super) fn read_tensor(
    data: &Data,
    start: u64,
    dtype: DType,
    shape: &[usize],
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Option<Tensor>> {
    match device {
        Device::Cuda(gpu) if Switches::of_this_process().is_ok_and(|switches| switches.pinned_upload) => {
            read_pinned(data, start, dtype, shape, gpu, interrupt)
        }
        _ => Ok(None),
    }
}

/// Reads a tensor through the buffers; `None` for one that is smaller than a buffer.
fn read_pinned(
    data: &Data,
    start: u64,
    dtype: DType,
    shape: &[usize],
    device: &CudaDevice,
    interrupt: &Interrupt,
) -> Result<Option<Tensor>> {
    let bytes = shape.iter().product::<usize>() * dtype.size_in_bytes();
    if bytes < BUFFER_BYTES {
        return Ok(None);
    }
    let tensor = Tensor::zeros(shape, dtype, &Device::Cuda(device.clone()))?;
    tensor.inplace_op1(&Upload { data, start, bytes, interrupt })?;
    Ok(Some(tensor))
}

struct Upload<'u> {
    data: &'u Data,
    start: u64,
    bytes: usize,
    interrupt: &'u Interrupt,
}

impl Upload<'_> {
    fn run<T: CudaDType + DeviceRepr>(&self, storage: &mut CudaStorage) -> Result<()> {
        let stream = storage.device.cuda_stream();
        let slice = storage.as_cuda_slice_mut::<T>()?;
        // SAFETY: any bytes are values of these types, and the length is checked.
        let Some(mut target) = (unsafe { slice.transmute_mut::<u8>(self.bytes) }) else {
            candle_core::bail!("a tensor of {} bytes has less memory", self.bytes)
        };
        let mut all = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
        let number = stream.context().ordinal();
        let place = match all.iter().position(|(of, _)| *of == number) {
            Some(place) => place,
            None => {
                let new = || {
                    // SAFETY: each buffer is filled before it is read. The flags are those of ordinary cached memory.
                    let host = unsafe { stream.context().alloc_pinned_with_flags::<u8>(BUFFER_BYTES, 0) };
                    host.map(|host| Buffer { host, copied: None }).map_err(Error::wrap)
                };
                all.push((number, [new()?, new()?]));
                all.len() - 1
            }
        };
        let buffers = &mut all[place].1;
        for (piece, first) in (0..self.bytes).step_by(BUFFER_BYTES).enumerate() {
            // Buffers go up whole, so the last piece begins where it ends with the tensor.
            let first = first.min(self.bytes - BUFFER_BYTES);
            let Buffer { host, copied } = &mut buffers[piece % 2];
            if let Some(copied) = copied.take() {
                copied.synchronize().map_err(Error::wrap)?;
            }
            let filled = host.as_mut_slice().map_err(Error::wrap)?;
            read_into(self.data, self.start + first as u64, filled, self.interrupt)?;
            let mut part = target.slice_mut(first..first + BUFFER_BYTES);
            stream.memcpy_htod(&*host, &mut part).map_err(Error::wrap)?;
            *copied = Some(stream.record_event(None).map_err(Error::wrap)?);
        }
        Ok(())
    }
}

impl InplaceOp1 for Upload<'_> {
    fn name(&self) -> &'static str {
        "upload"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        candle_core::bail!("the CPU needs no upload")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, _: &Layout) -> Result<()> {
        match storage.dtype() {
            DType::BF16 => self.run::<bf16>(storage),
            DType::F16 => self.run::<f16>(storage),
            DType::F32 => self.run::<f32>(storage),
            other => candle_core::bail!("weights are never stored as {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Several whole buffers, and a last one that begins before the one before it ends. Needs a GPU.
    #[test]
    fn what_goes_up_in_pieces_is_what_the_file_holds() -> Result<()> {
        if !std::env::var("LLAVA_VIDEO_TEST_DEVICE").is_ok_and(|name| name.starts_with("cuda")) {
            return Ok(());
        }
        let gpu = Device::new_cuda(0)?;
        let count = BUFFER_BYTES / 4 * 3 + 12_345;
        let values: Vec<f32> = (0..count).map(|index| index as f32).collect();
        let mut file = tempfile::tempfile()?;
        file.write_all(&[7; 24])?;
        file.write_all(bytemuck::cast_slice(&values))?;
        let (data, interrupt) = (Data::File(file), Interrupt::default());
        let read = |count: usize| read_pinned(&data, 24, DType::F32, &[count], gpu.as_cuda_device()?, &interrupt);
        assert!(read(1000)?.is_none(), "it goes up in one piece");
        for count in [count, BUFFER_BYTES / 4, count] {
            let tensor = read(count)?.expect("it is large");
            assert!(tensor.to_vec1::<f32>()? == values[..count], "{count} values");
        }
        assert!(read(count + 1).is_err(), "a file that ends too early");
        Ok(())
    }
}
