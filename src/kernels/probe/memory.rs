//! How fast all threads together read memory in order.

use std::hint::black_box;
use std::io;

use memmap2::MmapMut;

use super::best_seconds;
use crate::kernels::out::Disjoint;
use crate::kernels::pool;
use crate::pages::prefer_huge_pages;

/// What a thread reads at a time, about as much as kernels read of a weight matrix.
const PART_BYTES: usize = 1 << 20;
/// Sums in flight.
const LANES: usize = 16;

/// Bytes a second that all threads read of a fresh buffer of `bytes` bytes, in huge pages where the system has them.
/// Only a buffer much larger than the caches says something about memory.
///
/// # Errors
/// No such buffer.
pub(crate) fn read_bytes_per_sec(bytes: usize) -> io::Result<f64> {
    let buffer = filled(bytes)?;
    let secs = best_seconds(|| {
        pool::run(bytes.div_ceil(PART_BYTES), |part| {
            let start = part * PART_BYTES;
            black_box(sum(&buffer[start..bytes.min(start + PART_BYTES)]));
        });
    });
    Ok(bytes as f64 / secs)
}

/// A buffer that has been written to: pages of which nothing is written are all one and the same, in the cache.
fn filled(bytes: usize) -> io::Result<MmapMut> {
    let mut buffer = MmapMut::map_anon(bytes)?;
    prefer_huge_pages(&mut buffer);
    let all = Disjoint::new(&mut buffer);
    pool::run(bytes.div_ceil(PART_BYTES), |part| {
        let start = part * PART_BYTES;
        // SAFETY: each task has a part of its own.
        unsafe { all.part(start, PART_BYTES.min(bytes - start)) }.fill(part as u8 | 1);
    });
    Ok(buffer)
}

/// The sum of the words, which takes less time than loading them from memory in the least of vectors.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let (rows, words) = words.as_chunks::<LANES>();
    let mut sums = [0u64; LANES];
    for row in rows {
        for (sum, &word) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_add(u64::from_ne_bytes(word));
        }
    }
    let words = words.iter().map(|&word| u64::from_ne_bytes(word));
    let rest = rest.iter().map(|&byte| u64::from(byte));
    words.chain(rest).chain(sums).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_and_read() -> io::Result<()> {
        for bytes in [1, 7, 8, 129, PART_BYTES - 1, 3 * PART_BYTES + 139] {
            let buffer = filled(bytes)?;
            assert!(buffer.iter().enumerate().all(|(at, &byte)| byte == (at / PART_BYTES) as u8 | 1));
            let whole = bytes / 8 * 8;
            let words =
                buffer[..whole].chunks(8).map(|word| word.iter().rev().fold(0, |sum, &b| sum << 8 | u64::from(b)));
            let expected = words.fold(0, u64::wrapping_add);
            let rest: u64 = buffer[whole..].iter().map(|&byte| u64::from(byte)).sum();
            if cfg!(target_endian = "little") {
                assert_eq!(sum(&buffer), expected.wrapping_add(rest), "{bytes}");
            }
        }
        Ok(())
    }

    #[test]
    fn reading_takes_time() -> io::Result<()> {
        let rate = read_bytes_per_sec(8 << 20)?;
        assert!((1e7..1e13).contains(&rate), "{rate}");
        Ok(())
    }
}
