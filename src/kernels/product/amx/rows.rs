//! Activations in tiles: rows rounded to bf16, 16 by 32 at a time one after another in memory, as the matrix unit reads
//! them.
//!
//! Tiles could be read from rows as they are. But then each takes 16 lines that lie far apart, and that is a seventh
//! slower than from one stretch of memory; to write the rows down anew takes far less.

use std::cell::Cell;

use bytemuck::Zeroable;
use half::bf16;

use super::block::STEP_COLUMNS;
use crate::kernels::amx::TILE_ROWS;
use crate::kernels::out::{Disjoint, Value};
use crate::kernels::pool;
use crate::kernels::product::{Line, Rows};

/// A buffer above this many bytes is given back after its product.
const KEPT_BYTES: usize = 64 << 20;

thread_local! {
    static TILES: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Rows in tiles: `[rows / 16][columns / 32][16][32]`. If there are fewer than 16 rows, tiles have no more.
#[derive(Clone, Copy)]
pub(super) struct RowTiles<'a> {
    lines: &'a [Line],
    /// Rows of a tile.
    pub(super) tile_rows: usize,
    /// Tiles of 16 rows.
    pub(super) steps: usize,
}

impl RowTiles<'_> {
    /// Where the tiles from a step on lie for the 16 rows of some index, if those are there.
    pub(super) fn at(&self, tile: usize, step: usize) -> *const u8 {
        self.lines[(tile * self.steps + step) * self.tile_rows..].as_ptr().cast()
    }

    /// Bytes from step to step.
    pub(super) fn step_bytes(&self) -> usize {
        self.tile_rows * size_of::<Line>()
    }

    /// Bytes from 16 rows to the next.
    pub(super) fn next_bytes(&self) -> usize {
        self.steps * self.step_bytes()
    }
}

/// Calls `multiply` with rows of so many columns in tiles; what they lack is zero.
pub(super) fn with_tiles(x: Rows<'_>, columns: usize, multiply: impl FnOnce(RowTiles<'_>)) {
    let m = match x {
        Rows::F32(x) => x.len() / columns,
        Rows::Bf16(x) => x.len() / columns,
    };
    let (tile_rows, steps) = (m.min(TILE_ROWS), columns.div_ceil(STEP_COLUMNS));
    let tile_lines = tile_rows * steps;
    let mut lines = TILES.take();
    lines.resize(m.div_ceil(TILE_ROWS) * tile_lines, Line::zeroed());
    let parts = Disjoint::new(&mut lines);
    pool::run(m.div_ceil(TILE_ROWS), |tile| {
        // SAFETY: each task runs once and takes its own part.
        let to = unsafe { parts.part(tile * tile_lines, tile_lines) };
        let rows = tile * TILE_ROWS * columns..m.min((tile + 1) * TILE_ROWS) * columns;
        // SAFETY: there are tiles only where there is AVX-512.
        unsafe {
            match x {
                Rows::F32(x) => write(&x[rows], columns, tile_rows, to, Value::of),
                Rows::Bf16(x) => write(&x[rows], columns, tile_rows, to, |x| x),
            }
        }
    });
    multiply(RowTiles { lines: &lines, tile_rows, steps });
    if size_of_val(lines.as_slice()) <= KEPT_BYTES {
        TILES.set(lines);
    }
}

/// Writes rows to the tiles of up to 16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn write<X: Copy>(x: &[X], columns: usize, tile_rows: usize, to: &mut [Line], convert: impl Fn(X) -> bf16) {
    let rows = x.len() / columns;
    for row in 0..tile_rows {
        let to = to[row..].iter_mut().step_by(tile_rows);
        if row >= rows {
            to.for_each(|line| *line = Line::zeroed());
            continue;
        }
        let mut to = to;
        let (whole, rest) = x[row * columns..][..columns].as_chunks::<STEP_COLUMNS>();
        for values in whole {
            if let Some(line) = to.next() {
                write_line(values, line, &convert);
            }
        }
        if let Some(line) = to.next() {
            *line = Line::zeroed();
            write_line(rest, line, &convert);
        }
    }
}

#[inline(always)]
fn write_line<X: Copy>(values: &[X], line: &mut Line, convert: impl Fn(X) -> bf16) {
    let line: &mut [u16] = bytemuck::cast_slice_mut(&mut line.0);
    for (to, value) in line.iter_mut().zip(values) {
        *to = convert(*value).to_bits();
    }
}
