//! Large reads from a weight file: both cores copy, into memory of huge pages.
//!
//! Copying 4 KiB pages by one core takes longer than the copy itself: each page is faulted in and zeroed on its own.

use std::fs::File;
use std::io;

use candle_core::{DType, Device, Tensor};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::vec::HalfBitsVecExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::generated::GeneratedFile;
use crate::interrupt::Interrupt;
use crate::pages::prefer_huge_pages;

/// Bytes that one core copies at a time; a few huge pages.
const PIECE_BYTES: usize = 8 << 20;

/// Bytes to read from: a file, a part of the program, or what is made of nothing.
#[derive(Debug)]
pub(super) enum Data {
    File(File),
    BuiltIn(&'static [u8]),
    Generated(GeneratedFile),
    /// Bytes that are not on this machine.
    Absent,
}

impl Data {
    pub(super) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => read_exact_at(file, bytes, offset),
            Self::Generated(file) => file.read_exact_at(bytes, usize::try_from(offset).unwrap_or(usize::MAX)),
            Self::Absent => Err(io::Error::new(io::ErrorKind::NotFound, "the weights were not fetched")),
            Self::BuiltIn(data) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = data.get(start..).and_then(|rest| rest.get(..bytes.len()));
                bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// Reads a tensor of `dtype` and `shape` that starts at byte `start` of `data`.
///
/// # Errors
/// A file that cannot be read or ends too early, a dtype that no weight file has, a failing device, an interrupt.
pub(super) fn read_tensor(
    data: &Data,
    start: u64,
    dtype: DType,
    shape: &[usize],
    device: &Device,
    interrupt: &Interrupt,
) -> candle_core::Result<Tensor> {
    let (bits, floats) = (read::<u16>, read::<f32>);
    let count = shape.iter().product();
    match dtype {
        DType::BF16 => Tensor::from_vec(bits(data, start, count, interrupt)?.reinterpret_into::<bf16>(), shape, device),
        DType::F16 => Tensor::from_vec(bits(data, start, count, interrupt)?.reinterpret_into::<f16>(), shape, device),
        DType::F32 => Tensor::from_vec(floats(data, start, count, interrupt)?, shape, device),
        other => candle_core::bail!("weights are never stored as {other:?}"),
    }
}

/// Reads `count` little-endian values from byte `start` on.
fn read<T: bytemuck::Pod>(data: &Data, start: u64, count: usize, interrupt: &Interrupt) -> io::Result<Vec<T>> {
    #[cfg(target_endian = "big")]
    compile_error!("weight files are little-endian and are not swapped here");
    let mut values: Vec<T> = bytemuck::zeroed_vec(count);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
    prefer_huge_pages(bytes);
    read_into(data, start, bytes, interrupt)?;
    Ok(values)
}

/// Fills `bytes` from byte `start` of `data` on.
///
/// # Errors
/// A file that cannot be read or ends too early; [`io::ErrorKind::Interrupted`] once `interrupt` asks to stop.
pub(super) fn read_into(data: &Data, start: u64, bytes: &mut [u8], interrupt: &Interrupt) -> io::Result<()> {
    let piece = |(index, piece): (usize, &mut [u8])| {
        interrupt.check().map_err(|_| io::ErrorKind::Interrupted)?;
        data.read_exact_at(piece, start + (index * PIECE_BYTES) as u64)
    };
    bytes.par_chunks_mut(PIECE_BYTES).enumerate().try_for_each(piece)
}

/// Fills `floats` with values stored as `dtype` from byte `start` on; few of them, on the calling thread.
///
/// # Errors
/// As [`read_tensor`].
pub(super) fn read_floats(data: &Data, start: u64, dtype: DType, floats: &mut [f32]) -> candle_core::Result<()> {
    if dtype == DType::F32 {
        return Ok(data.read_exact_at(bytemuck::cast_slice_mut(floats), start)?);
    }
    let mut bits = vec![0u16; floats.len()];
    data.read_exact_at(bytemuck::cast_slice_mut(&mut bits), start)?;
    match dtype {
        DType::BF16 => bits.reinterpret_cast::<bf16>().convert_to_f32_slice(floats),
        DType::F16 => bits.reinterpret_cast::<f16>().convert_to_f32_slice(floats),
        other => candle_core::bail!("weights are never stored as {other:?}"),
    }
    Ok(())
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn pieces_come_together_in_order() -> candle_core::Result<()> {
        let count = PIECE_BYTES / 4 * 2 + 12_345;
        let values: Vec<f32> = (0..count).map(|index| index as f32).collect();
        let mut file = tempfile::tempfile()?;
        file.write_all(&[7; 24])?;
        file.write_all(bytemuck::cast_slice(&values))?;
        let data = Data::File(file);
        let interrupt = Interrupt::default();
        let read = |count| read_tensor(&data, 24, DType::F32, &[count], &Device::Cpu, &interrupt);
        assert_eq!(read(count)?.to_vec1::<f32>()?, values);
        assert!(read(count + 1).is_err(), "a file that ends too early");
        interrupt.cell().store(2, std::sync::atomic::Ordering::Relaxed);
        assert!(read(count).is_err(), "an interrupt");
        Ok(())
    }

    #[test]
    fn half_floats_keep_their_bits() -> candle_core::Result<()> {
        let mut file = tempfile::tempfile()?;
        let bits: Vec<u16> = vec![0x3f80, 0xbf80, 0x4049, 0x0001];
        file.write_all(bytemuck::cast_slice(&bits))?;
        let interrupt = Interrupt::default();
        let read = read_tensor(&Data::File(file), 0, DType::BF16, &[2, 2], &Device::Cpu, &interrupt)?.flatten_all()?;
        assert_eq!(read.to_vec1::<bf16>()?.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
        Ok(())
    }
}
