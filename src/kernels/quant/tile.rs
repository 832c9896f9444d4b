//! What tiles in vectors are called with, whatever multiplies in them.

/// Multiplies rows, as many as the tile has, by at least one panel and at most as many as the tile has: takes panels,
/// their columns and rows; writes the sums `[panels, 16]` of each row, and those of the next row so many floats
/// further.
pub(super) type Run<X> = unsafe fn(&[*const u8], usize, &[X], *mut f32, usize);

/// The largest tile of at most so many rows.
pub(super) type Tiles<X> = fn(usize) -> Tile<X>;

/// A tile and its size.
pub(super) struct Tile<X> {
    pub(super) rows: usize,
    pub(super) panels: usize,
    /// # Safety
    /// The instructions are there; panels are whole, of the tile's format and 64-byte aligned; rows are whole and
    /// rounded for the format, if at all; there is room for the sums.
    pub(super) run: Run<X>,
}

/// Functions `$name` that run `tile` with the instructions of `$lanes`.
macro_rules! define_tiles {
    ($name:ident, $features:literal, $lanes:ty, $row:ty) => {
        /// # Safety
        /// See [`Tile::run`].
        #[target_feature(enable = $features)]
        unsafe fn $name<F: Blocks<$lanes>, const M: usize, const P: usize>(
            panels: &[*const u8],
            columns: usize,
            x: &[$row],
            sums: *mut f32,
            stride: usize,
        ) {
            // Where there are fewer panels than the tile has, the last one is multiplied more than once.
            let all: [_; P] = std::array::from_fn(|panel| panels[panel.min(panels.len() - 1)]);
            let x: [_; M] = std::array::from_fn(|row| x[row]);
            // SAFETY: the caller's.
            unsafe {
                let tile = tile::<$lanes, F, M, P>(&all, columns, x);
                for row in 0..M {
                    for panel in 0..P.min(panels.len()) {
                        let to = sums.add(row * stride + panel * $crate::kernels::panels::PANEL_ROWS);
                        <$lanes>::store(tile[row][panel], to);
                    }
                }
            }
        }
    };
}
pub(super) use define_tiles;

/// `$of::<F>` for the type `F` of a format.
macro_rules! for_format {
    ($format:expr, $of:ident) => {
        match $format {
            Format::Q4K => $of::<Q4K>,
            Format::Q5K => $of::<Q5K>,
            Format::Q6K => $of::<Q6K>,
            Format::Q8_0 => $of::<Q8_0>,
        }
    };
}
pub(super) use for_format;
