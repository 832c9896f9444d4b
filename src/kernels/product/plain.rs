//! Tiles in plain Rust: the twin of the others, and what runs where the machine has nothing better.

use super::shape::Shape;
use crate::kernels::panels::{Element, PANEL_ROWS};

/// The most rows of a tile.
pub(super) const ROWS: usize = 2;

/// Sums of products in f32, one panel after the other.
pub(super) fn multiply(element: Element, shape: &Shape, x: &[f32], stride: usize, panels: &[u8], sums: &mut [f32]) {
    match shape.rows {
        1 => rows::<1>(element, shape, x, stride, panels, sums),
        2 => rows::<2>(element, shape, x, stride, panels, sums),
        rows => unreachable!("a tile of {rows} rows"),
    }
}

fn rows<const R: usize>(element: Element, shape: &Shape, x: &[f32], stride: usize, panels: &[u8], sums: &mut [f32]) {
    let x: [&[f32]; R] = std::array::from_fn(|row| &x[row * stride..][..shape.columns]);
    for (panel, bytes) in panels.chunks_exact(element.panel_bytes(shape.columns)).enumerate() {
        let (lines, _) = bytes.as_chunks::<{ PANEL_ROWS * 4 }>();
        let tile = match element {
            Element::Bf16 => pairs(x, lines, |half| f32::from_bits(u32::from(half) << 16)),
            Element::F16 => pairs(x, lines, widen_f16),
            Element::F32 => singles(x, lines),
        };
        for (row, tile) in tile.iter().enumerate() {
            sums[row * shape.sum_stride + panel * PANEL_ROWS..][..PANEL_ROWS].copy_from_slice(tile);
        }
    }
}

type Line = [u8; PANEL_ROWS * 4];
type Sums<const R: usize> = [[f32; PANEL_ROWS]; R];

#[inline(always)]
fn pairs<const R: usize>(x: [&[f32]; R], lines: &[Line], widen: impl Fn(u16) -> f32) -> Sums<R> {
    let mut sums = [[0.0; PANEL_ROWS]; R];
    let columns = x[0].len();
    for (pair, line) in lines.iter().enumerate() {
        let words = words(line);
        add(&mut sums, x.map(|x| x[2 * pair]), words.map(|word| widen(word as u16)));
        if 2 * pair + 1 < columns {
            add(&mut sums, x.map(|x| x[2 * pair + 1]), words.map(|word| widen((word >> 16) as u16)));
        }
    }
    sums
}

#[inline(always)]
fn singles<const R: usize>(x: [&[f32]; R], lines: &[Line]) -> Sums<R> {
    let mut sums = [[0.0; PANEL_ROWS]; R];
    for (column, line) in lines.iter().enumerate() {
        add(&mut sums, x.map(|x| x[column]), words(line).map(f32::from_bits));
    }
    sums
}

#[inline(always)]
fn words(line: &Line) -> [u32; PANEL_ROWS] {
    let (words, _) = line.as_chunks::<4>();
    std::array::from_fn(|row| u32::from_le_bytes(words[row]))
}

#[inline(always)]
fn add<const R: usize>(sums: &mut Sums<R>, x: [f32; R], weights: [f32; PANEL_ROWS]) {
    for (sums, x) in sums.iter_mut().zip(x) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += x * weight;
        }
    }
}

/// An f16 as f32, without the branches and tables that would keep a loop from becoming vectors.
#[inline(always)]
fn widen_f16(half: u16) -> f32 {
    /// 2^112: what the exponents' biases differ by. Multiplying also makes the smallest numbers normal ones.
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    const INFINITY: u32 = 0x7c00 << 13;
    let bits = u32::from(half & 0x7fff) << 13;
    let finite = (f32::from_bits(bits) * SCALE).to_bits();
    let magnitude = if bits >= INFINITY { bits | f32::INFINITY.to_bits() } else { finite };
    f32::from_bits(magnitude | u32::from(half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (got, expected) = (widen_f16(bits), half::f16::from_bits(bits).to_f32());
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{bits:#x}: {got}");
        }
    }
}
