//! The formats, and where each dword of a row's block lies in a panel.
//!
//! ggml stores a row as a run of blocks. A panel takes the blocks of 16 rows that hold the same columns, reads each as
//! 32-bit words, and transposes: 64 bytes hold one word of 16 rows. So four bytes of every row, which ggml's order
//! makes four columns in a row (or eight, by nibbles), are one vector, and no value changes. What does not fill a word
//! (the scale of q6_k, that of q8_0) gets one of its own, or shares it with the next block's.

use crate::kernels::panels::PANEL_ROWS;

/// A format of ggml's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Q4K,
    Q5K,
    Q6K,
    Q8_0,
}

/// Bytes of one word of 16 rows.
pub(super) const LINE_BYTES: usize = PANEL_ROWS * 4;

impl Format {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [Self::Q4K, Self::Q5K, Self::Q6K, Self::Q8_0];

    /// Columns and bytes of one of ggml's blocks.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
            Self::Q8_0 => (32, 34),
        }
    }

    /// Bytes of a row as ggml stores it.
    pub(crate) fn row_bytes(self, columns: usize) -> usize {
        let (block_columns, block_bytes) = self.block();
        columns / block_columns * block_bytes
    }

    /// Columns and lines of a block of a panel, which is two of ggml's for q8_0.
    pub(super) fn panel_block(self) -> (usize, usize) {
        match self {
            Self::Q4K => (256, 36),
            Self::Q5K => (256, 44),
            Self::Q6K => (256, 53),
            Self::Q8_0 => (64, 17),
        }
    }

    /// Bytes of a panel. The last block of q8_0 may be half a one.
    pub(super) fn panel_bytes(self, columns: usize) -> usize {
        let (block_columns, lines) = self.panel_block();
        let whole = columns / block_columns * lines;
        let half = if columns.is_multiple_of(block_columns) { 0 } else { 1 + 8 };
        (whole + half) * LINE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_take_little_more_than_the_blocks_of_ggml() {
        for format in Format::ALL {
            for columns in [256, 896, 3584, 18944].into_iter().filter(|columns| columns % format.block().0 == 0) {
                let (panel, rows) = (format.panel_bytes(columns), 16 * format.row_bytes(columns));
                assert!(panel >= rows && panel as f64 <= 1.01 * rows as f64, "{format:?}: {panel} for {rows}");
                assert_eq!(panel % LINE_BYTES, 0);
            }
        }
    }
}
