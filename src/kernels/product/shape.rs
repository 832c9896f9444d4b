//! The extent of a tile.

/// The most rows of any tile.
pub(super) const MOST_ROWS: usize = 12;

/// The extent of a tile. The sums of row r, 16 for each panel, start at `r * sum_stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) panels: usize,
    pub(super) columns: usize,
    pub(super) sum_stride: usize,
}
