//! Tiles in plain Rust: the twin of the others, and what runs where the machine has nothing better.

use half::f16;

use super::tile::Shape;
use crate::kernels::panels::{Element, PANEL_ROWS};

/// The most rows of a tile.
pub(super) const ROWS: usize = 2;

/// Sums of products in f32, one panel after the other.
pub(super) fn exact(element: Element, shape: &Shape, x: &[f32], stride: usize, panels: &[u8], sums: &mut [f32]) {
    for (panel, bytes) in panels.chunks_exact(element.panel_bytes(shape.columns)).enumerate() {
        for row in 0..shape.rows {
            let x = &x[row * stride..][..shape.columns];
            let to = &mut sums[row * shape.sum_stride + panel * PANEL_ROWS..][..PANEL_ROWS];
            let sum = match element {
                Element::Bf16 => pairs(x, bytes, |half| f32::from_bits(u32::from(half) << 16)),
                Element::F16 => pairs(x, bytes, |half| f16::from_bits(half).to_f32()),
                Element::F32 => singles(x, bytes),
            };
            to.copy_from_slice(&sum);
        }
    }
}

#[inline(always)]
fn pairs(x: &[f32], panel: &[u8], widen: impl Fn(u16) -> f32) -> [f32; PANEL_ROWS] {
    let mut sums = [0.0; PANEL_ROWS];
    let (lines, _) = panel.as_chunks::<{ PANEL_ROWS * 4 }>();
    for (x, line) in x.chunks(2).zip(lines) {
        let (words, _) = line.as_chunks::<4>();
        for (half, &x) in x.iter().enumerate() {
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum += x * widen((u32::from_le_bytes(*word) >> (16 * half)) as u16);
            }
        }
    }
    sums
}

#[inline(always)]
fn singles(x: &[f32], panel: &[u8]) -> [f32; PANEL_ROWS] {
    let mut sums = [0.0; PANEL_ROWS];
    let (lines, _) = panel.as_chunks::<{ PANEL_ROWS * 4 }>();
    for (x, line) in x.iter().zip(lines) {
        let (words, _) = line.as_chunks::<4>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum += x * f32::from_le_bytes(*word);
        }
    }
    sums
}
