//! Rows in memory from which packing takes a few columns at a time.

use std::arch::x86_64::*;

use super::super::Values;
use super::super::problem::Rows;

/// How many rows packing fetches ahead. The processor does not foresee them where rows lie far apart.
const ROWS_AHEAD: usize = 16;

/// Rows of which all lie in one slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band<'a> {
    rows: Rows<'a>,
    first: usize,
    pub(super) count: usize,
    pub(super) width: usize,
}

impl<'a> Band<'a> {
    /// `count` rows from `first` on, of `width` columns.
    pub(super) fn new(rows: Rows<'a>, first: usize, count: usize, width: usize) -> Self {
        let length = match rows.values {
            Values::F32(values) => values.len(),
            Values::Bf16(values) => values.len(),
        };
        assert!(count > 0 && (first + count - 1) * rows.stride + width <= length, "the rows lie in the slice");
        Self { rows, first, count, width }
    }

    /// Whether the rows are bf16.
    pub(super) fn is_bf16(&self) -> bool {
        matches!(self.rows.values, Values::Bf16(_))
    }

    /// Where the row of some column begins, and how many bytes lie from there to the next row's.
    pub(super) fn column(&self, column: usize) -> (*const u8, usize) {
        let start = self.first * self.rows.stride + column;
        match self.rows.values {
            Values::F32(values) => (values.as_ptr().wrapping_add(start).cast(), 4 * self.rows.stride),
            Values::Bf16(values) => (values.as_ptr().wrapping_add(start).cast(), 2 * self.rows.stride),
        }
    }
}

/// Fetches a later row of a band into the cache.
#[inline]
pub(super) fn fetch_ahead(row: *const u8, stride: usize) {
    // SAFETY: fetching is no access: any address will do.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(ROWS_AHEAD * stride).cast()) };
}
