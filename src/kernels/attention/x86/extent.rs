//! The extents of tiles in AVX-512, which the narrower tiles beside them share where they walk over packed rows.

use super::lanes512::VECTOR;

/// Vectors of a tile's lanes.
pub(super) const VECTORS: usize = 3;
pub(super) const LANES: usize = VECTORS * VECTOR;
pub(super) const ROWS: usize = 8;
/// Columns that are multiplied at once: one of f32.
pub(super) const EXACT_PAIR: usize = 1;
/// Two of bf16.
pub(super) const BF16_PAIR: usize = 2;
