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

/// Bytes that one core copies at a time; a few huge pages.
const PIECE_BYTES: usize = 8 << 20;

/// Bytes to read from: a file, or a part of the program.
#[derive(Debug)]
pub(super) enum Data {
    File(File),
    BuiltIn(&'static [u8]),
    /// Bytes that are not on this machine.
    Absent,
}

impl Data {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => read_exact_at(file, bytes, offset),
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
/// A file that cannot be read or ends too early, a dtype that no weight file has, a failing device.
pub(super) fn read_tensor(
    data: &Data,
    start: u64,
    dtype: DType,
    shape: &[usize],
    device: &Device,
) -> candle_core::Result<Tensor> {
    let count = shape.iter().product();
    match dtype {
        DType::BF16 => Tensor::from_vec(read::<u16>(data, start, count)?.reinterpret_into::<bf16>(), shape, device),
        DType::F16 => Tensor::from_vec(read::<u16>(data, start, count)?.reinterpret_into::<f16>(), shape, device),
        DType::F32 => Tensor::from_vec(read::<f32>(data, start, count)?, shape, device),
        other => candle_core::bail!("weights are never stored as {other:?}"),
    }
}

/// Reads `count` little-endian values from byte `start` on.
fn read<T: bytemuck::Pod>(data: &Data, start: u64, count: usize) -> io::Result<Vec<T>> {
    #[cfg(target_endian = "big")]
    compile_error!("weight files are little-endian and are not swapped here");
    let mut values: Vec<T> = bytemuck::zeroed_vec(count);
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
    prefer_huge_pages(bytes);
    read_into(data, start, bytes)?;
    Ok(values)
}

/// Fills `bytes` from byte `start` of `data` on.
pub(super) fn read_into(data: &Data, start: u64, bytes: &mut [u8]) -> io::Result<()> {
    let piece = |(index, piece): (usize, &mut [u8])| data.read_exact_at(piece, start + (index * PIECE_BYTES) as u64);
    bytes.par_chunks_mut(PIECE_BYTES).enumerate().try_for_each(piece)
}

/// Reads `count` values stored as `dtype` and widens them.
///
/// # Errors
/// As [`read_tensor`].
pub(super) fn read_floats(data: &Data, start: u64, dtype: DType, count: usize) -> candle_core::Result<Vec<f32>> {
    /// Values that one core widens at a time.
    const PIECE: usize = 1 << 16;
    let widen = |bits: Vec<u16>, convert: fn(&[u16], &mut [f32])| {
        let mut floats = vec![0f32; bits.len()];
        floats.par_chunks_mut(PIECE).zip(bits.par_chunks(PIECE)).for_each(|(floats, bits)| convert(bits, floats));
        floats
    };
    match dtype {
        DType::F32 => Ok(read::<f32>(data, start, count)?),
        DType::BF16 => Ok(widen(read::<u16>(data, start, count)?, |bits, floats| {
            bits.reinterpret_cast::<bf16>().convert_to_f32_slice(floats);
        })),
        DType::F16 => Ok(widen(read::<u16>(data, start, count)?, |bits, floats| {
            bits.reinterpret_cast::<f16>().convert_to_f32_slice(floats);
        })),
        other => candle_core::bail!("weights are never stored as {other:?}"),
    }
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

/// Asks for huge pages under memory that nothing has touched yet. Only a hint.
pub(crate) fn prefer_huge_pages<T>(memory: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const HUGE_PAGE_BYTES: usize = 2 << 20;
        let first = memory.as_ptr() as usize;
        let start = first.next_multiple_of(HUGE_PAGE_BYTES);
        let end = (first + std::mem::size_of_val(memory)) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        if start < end {
            // SAFETY: the range lies inside `memory`; this advice changes no contents.
            let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = memory;
    }
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
        let read = read_tensor(&data, 24, DType::F32, &[count], &Device::Cpu)?;
        assert_eq!(read.to_vec1::<f32>()?, values);
        let beyond = read_tensor(&data, 24, DType::F32, &[count + 1], &Device::Cpu);
        assert!(beyond.is_err(), "a file that ends too early");
        Ok(())
    }

    #[test]
    fn half_floats_keep_their_bits() -> candle_core::Result<()> {
        let mut file = tempfile::tempfile()?;
        let bits: Vec<u16> = vec![0x3f80, 0xbf80, 0x4049, 0x0001];
        file.write_all(bytemuck::cast_slice(&bits))?;
        let read = read_tensor(&Data::File(file), 0, DType::BF16, &[2, 2], &Device::Cpu)?.flatten_all()?;
        assert_eq!(read.to_vec1::<bf16>()?.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
        Ok(())
    }
}
