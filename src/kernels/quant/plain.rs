//! Quantized panels in plain Rust: what a group of columns with one scale holds, for one row of a panel.
//!
//! In every format a value is `scale * q - minimum` with an unsigned `q` of at most 8 bits: where ggml's is signed, the
//! minimum is a multiple of the scale. Products of scale and `q` fit the 24 bits of an f32, so that the difference is
//! the only rounding, and it is that of ggml's formula.

pub(super) mod tiles;

use half::f16;

use super::format::{Format, LINE_BYTES};

/// What turns a group's numbers into values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) scale: f32,
    pub(super) minimum: f32,
}

impl Format {
    /// Columns that share a scale.
    pub(super) fn group(self) -> usize {
        match self {
            Self::Q6K => 16,
            Self::Q4K | Self::Q5K | Self::Q8_0 => 32,
        }
    }

    /// What is added to ggml's signed numbers; `None` where numbers are unsigned and a group stores its minimum.
    pub(super) fn offset(self) -> Option<i32> {
        match self {
            Self::Q4K | Self::Q5K => None,
            Self::Q6K => Some(32),
            Self::Q8_0 => Some(128),
        }
    }
}

/// One row of one block of a panel.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) format: Format,
    pub(super) block: &'a [u8],
    pub(super) lane: usize,
}

impl Row<'_> {
    /// Four bytes of the row.
    fn word(self, line: usize) -> [u8; 4] {
        let at = line * LINE_BYTES + self.lane * 4;
        [self.block[at], self.block[at + 1], self.block[at + 2], self.block[at + 3]]
    }

    fn float(self, half: usize) -> f32 {
        let word = self.word(0);
        f16::from_le_bytes([word[half * 2], word[half * 2 + 1]]).to_f32()
    }

    /// The scale of a group of the block.
    pub(super) fn scale(self, group: usize) -> Scale {
        let of = |scale: f32, offset: f32| Scale { scale, minimum: scale * offset };
        match self.format {
            Format::Q4K | Format::Q5K => {
                let byte = group % 4;
                let (scales, minima, rest) = (self.word(1)[byte], self.word(2)[byte], self.word(3)[byte]);
                let (scale, minimum) = if group < 4 {
                    (scales & 63, minima & 63)
                } else {
                    (rest & 15 | scales >> 6 << 4, rest >> 4 | minima >> 6 << 4)
                };
                Scale { scale: self.float(0) * f32::from(scale), minimum: self.float(1) * f32::from(minimum) }
            }
            Format::Q6K => of(self.float(0) * f32::from(self.word(1 + group / 4)[group % 4].cast_signed()), 32.0),
            Format::Q8_0 => of(self.float(group), 128.0),
        }
    }

    /// The numbers of four columns of a group.
    pub(super) fn quad(self, group: usize, quad: usize) -> [u8; 4] {
        // Nibbles of one line belong to two groups, or, in q6_k, to pairs of them.
        let nibble = |line: usize, half: usize| self.word(line).map(|byte| byte >> (half * 4) & 15);
        match self.format {
            Format::Q4K => nibble(4 + group / 2 * 8 + quad, group % 2),
            Format::Q5K => {
                let (low, high) = (nibble(12 + group / 2 * 8 + quad, group % 2), self.word(4 + quad));
                std::array::from_fn(|byte| low[byte] | (high[byte] >> group & 1) << 4)
            }
            Format::Q6K => {
                // 128 columns are four runs of 32: two lots of low nibbles, then their high ones.
                let (half, run, quad) = (group / 8, group % 8 / 2, group % 2 * 4 + quad);
                let (low, high) =
                    (nibble(21 + half * 16 + run % 2 * 8 + quad, run / 2), self.word(5 + half * 8 + quad));
                std::array::from_fn(|byte| low[byte] | (high[byte] >> (run * 2) & 3) << 4)
            }
            Format::Q8_0 => self.word(1 + group * 8 + quad).map(|byte| byte ^ 128),
        }
    }
}

/// The blocks of a panel, each with its columns.
pub(super) fn blocks(
    format: Format,
    panel: &[u8],
    columns: usize,
) -> impl Iterator<Item = (std::ops::Range<usize>, &[u8])> {
    let (block_columns, lines) = format.panel_block();
    let starts = (0..columns).step_by(block_columns);
    let ranges = starts.map(move |start| start..columns.min(start + block_columns));
    ranges.zip(panel.chunks(lines * LINE_BYTES))
}

/// One row of a panel.
pub(super) fn widen_row(format: Format, panel: &[u8], lane: usize, values: &mut [f32]) {
    for (columns, block) in blocks(format, panel, values.len()) {
        let row = Row { format, block, lane };
        for (group, values) in values[columns].chunks_exact_mut(format.group()).enumerate() {
            let Scale { scale, minimum } = row.scale(group);
            for (quad, values) in values.chunks_exact_mut(4).enumerate() {
                for (value, q) in values.iter_mut().zip(row.quad(group, quad)) {
                    *value = scale * f32::from(q) - minimum;
                }
            }
        }
    }
}
