//! The rows that a step multiplies.

use super::rounded::Rounded;

/// Most rows of a tile.
pub(super) const MOST_ROWS: usize = 8;

/// Rows as they are multiplied.
#[derive(Clone, Copy)]
pub(super) enum Activations<'a> {
    Exact(&'a [f32]),
    Int8(&'a Rounded),
}
