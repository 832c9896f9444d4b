//! Turns 16 rows into a panel: words of 4 bytes, 16 by 16 in vectors where the machine has them.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::PANEL_ROWS;
use crate::kernels::isa::Isa;

const WORD: usize = 4;
/// Bytes of one line of a panel: a word of each row.
const LINE: usize = PANEL_ROWS * WORD;

/// Writes word w of row r of `stripe`, 16 rows of `row_bytes`, as word r of line w of `panel`. A row's last word may be
/// half a word; the other half becomes zero.
pub(in crate::kernels) fn transpose(isa: Isa, stripe: &[u8], row_bytes: usize, panel: &mut [u8]) {
    assert_eq!(stripe.len(), PANEL_ROWS * row_bytes);
    assert_eq!(panel.len(), row_bytes.div_ceil(WORD) * LINE);
    let done = match isa {
        // SAFETY: an `Isa` other than the plain one is only made where the machine has it, and the lengths were
        // checked above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe {
            blocks_avx512(stripe, row_bytes, panel)
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { blocks_avx2(stripe, row_bytes, panel) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { blocks_neon(stripe, row_bytes, panel) },
        _ => 0,
    };
    for (index, row) in stripe.chunks_exact(row_bytes).enumerate() {
        let column = panel[done * LINE..].chunks_exact_mut(LINE).map(|line| &mut line[index * WORD..][..WORD]);
        for (word, to) in row[done * WORD..].chunks(WORD).zip(column) {
            match <[u8; WORD]>::try_from(word) {
                Ok(word) => to.copy_from_slice(&word),
                Err(_) => {
                    to.fill(0);
                    to[..word.len()].copy_from_slice(word);
                }
            }
        }
    }
}

/// Does the lines that come in blocks of 16 and returns their number.
///
/// # Safety
/// `stripe` has 16 rows of `row_bytes`, `panel` a line for each of their words.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn blocks_avx512(stripe: &[u8], row_bytes: usize, panel: &mut [u8]) -> usize {
    let blocks = row_bytes / LINE;
    for block in 0..blocks {
        // SAFETY: the caller's: the 64 bytes lie inside row r.
        let rows: [__m512i; 16] = std::array::from_fn(|r| unsafe {
            _mm512_loadu_si512(stripe.as_ptr().add(r * row_bytes + block * LINE).cast())
        });
        let lines = transpose_16(rows);
        for (index, line) in lines.into_iter().enumerate() {
            // SAFETY: the caller's: the panel has a line for each word of the block.
            unsafe { _mm512_storeu_si512(panel.as_mut_ptr().add((block * 16 + index) * LINE).cast(), line) };
        }
    }
    blocks * 16
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_16(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut pairs = rows;
    for i in (0..16).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // Now quarter q of fours[4 i + j] is word 4 q + j of rows 4 i to 4 i + 3.
    let mut fours = pairs;
    for i in (0..16).step_by(4) {
        fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    let mut lines = fours;
    for j in 0..4 {
        let even_top = _mm512_shuffle_i32x4(fours[j], fours[4 + j], 0x88);
        let odd_top = _mm512_shuffle_i32x4(fours[j], fours[4 + j], 0xdd);
        let even_bottom = _mm512_shuffle_i32x4(fours[8 + j], fours[12 + j], 0x88);
        let odd_bottom = _mm512_shuffle_i32x4(fours[8 + j], fours[12 + j], 0xdd);
        lines[j] = _mm512_shuffle_i32x4(even_top, even_bottom, 0x88);
        lines[8 + j] = _mm512_shuffle_i32x4(even_top, even_bottom, 0xdd);
        lines[4 + j] = _mm512_shuffle_i32x4(odd_top, odd_bottom, 0x88);
        lines[12 + j] = _mm512_shuffle_i32x4(odd_top, odd_bottom, 0xdd);
    }
    lines
}

/// Does the lines that come in blocks of 8 and returns their number.
///
/// # Safety
/// `stripe` has 16 rows of `row_bytes`, `panel` a line for each of their words.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn blocks_avx2(stripe: &[u8], row_bytes: usize, panel: &mut [u8]) -> usize {
    const BYTES: usize = 8 * WORD;
    let blocks = row_bytes / BYTES;
    for block in 0..blocks {
        for half in 0..2 {
            // SAFETY: the caller's: the 32 bytes lie inside row 8 half + r.
            let rows: [__m256i; 8] = std::array::from_fn(|r| unsafe {
                _mm256_loadu_si256(stripe.as_ptr().add((half * 8 + r) * row_bytes + block * BYTES).cast())
            });
            let lines = transpose_8(rows);
            for (index, line) in lines.into_iter().enumerate() {
                // SAFETY: the caller's: the panel has a line for each word of the block, and this is one half of it.
                unsafe {
                    let to = panel.as_mut_ptr().add((block * 8 + index) * LINE + half * BYTES);
                    _mm256_storeu_si256(to.cast(), line);
                }
            }
        }
    }
    blocks * 8
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_8(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut pairs = rows;
    for i in (0..8).step_by(2) {
        pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // Now half h of fours[4 i + j] is word 4 h + j of rows 4 i to 4 i + 3.
    let mut fours = pairs;
    for i in (0..8).step_by(4) {
        fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    let mut lines = fours;
    for j in 0..4 {
        lines[j] = _mm256_permute2x128_si256(fours[j], fours[4 + j], 0x20);
        lines[4 + j] = _mm256_permute2x128_si256(fours[j], fours[4 + j], 0x31);
    }
    lines
}

/// Does the lines that come in blocks of 4 and returns their number.
///
/// # Safety
/// `stripe` has 16 rows of `row_bytes`, `panel` a line for each of their words.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn blocks_neon(stripe: &[u8], row_bytes: usize, panel: &mut [u8]) -> usize {
    const BYTES: usize = 4 * WORD;
    let blocks = row_bytes / BYTES;
    for block in 0..blocks {
        for quarter in 0..4 {
            // SAFETY: the caller's: the 16 bytes lie inside row 4 quarter + r.
            let rows: [uint32x4_t; 4] = std::array::from_fn(|r| unsafe {
                vld1q_u32(stripe.as_ptr().add((quarter * 4 + r) * row_bytes + block * BYTES).cast())
            });
            for (index, line) in transpose_4(rows).into_iter().enumerate() {
                // SAFETY: the caller's: the panel has a line for each word of the block, and this is a quarter of it.
                unsafe {
                    let to = panel.as_mut_ptr().add((block * 4 + index) * LINE + quarter * BYTES);
                    vst1q_u32(to.cast(), line);
                }
            }
        }
    }
    blocks * 4
}

#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
fn transpose_4(rows: [uint32x4_t; 4]) -> [uint32x4_t; 4] {
    // Lane 2 h + i of evens[p] is word 2 h of row 2 p + i; odds have words 2 h + 1.
    let (evens, odds) = (
        [vtrn1q_u32(rows[0], rows[1]), vtrn1q_u32(rows[2], rows[3])].map(|pair| vreinterpretq_u64_u32(pair)),
        [vtrn2q_u32(rows[0], rows[1]), vtrn2q_u32(rows[2], rows[3])].map(|pair| vreinterpretq_u64_u32(pair)),
    );
    [
        vreinterpretq_u32_u64(vtrn1q_u64(evens[0], evens[1])),
        vreinterpretq_u32_u64(vtrn1q_u64(odds[0], odds[1])),
        vreinterpretq_u32_u64(vtrn2q_u64(evens[0], evens[1])),
        vreinterpretq_u32_u64(vtrn2q_u64(odds[0], odds[1])),
    ]
}
