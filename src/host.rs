//! The border between tensors and the CPU's kernels: contiguous CPU tensors as slices, and results as tensors.

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};
use half::bf16;

use crate::kernels::out::{self, Out};
use crate::kernels::values::Values;

/// Gives `read` the values of a CPU tensor in f32 or bf16.
///
/// # Errors
/// A tensor of another kind, or one that is not contiguous.
pub(crate) fn values<R>(tensor: &Tensor, read: impl FnOnce(Values<'_>) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a kernel of the CPU got a tensor that is not contiguous");
    };
    match &*storage {
        Storage::Cpu(CpuStorage::F32(all)) => read(Values::F32(&all[start..end])),
        Storage::Cpu(CpuStorage::BF16(all)) => read(Values::Bf16(&all[start..end])),
        _ => candle_core::bail!("a kernel of the CPU got {:?} on {:?}", tensor.dtype(), tensor.device().location()),
    }
}

/// As [`values`], of f32 alone.
///
/// # Errors
/// As [`values`]; bf16.
pub(crate) fn floats<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    values(tensor, |values| match values {
        Values::F32(values) => read(values),
        Values::Bf16(_) => candle_core::bail!("a kernel of the CPU got bf16 where it takes f32"),
    })
}

/// A tensor that `write` fills.
///
/// # Errors
/// What `write` returns; a type that kernels do not write.
pub(crate) fn written(
    shape: impl Into<candle_core::Shape>,
    dtype: DType,
    write: impl FnOnce(Out<'_>) -> Result<()>,
) -> Result<Tensor> {
    let shape = shape.into();
    match dtype {
        DType::F32 => {
            let mut values = out::zeros::<f32>(shape.elem_count());
            write(Out::F32(&mut values))?;
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        DType::BF16 => {
            let mut values = out::zeros::<bf16>(shape.elem_count());
            write(Out::Bf16(&mut values))?;
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        other => candle_core::bail!("kernels of the CPU do not write {other:?}"),
    }
}
