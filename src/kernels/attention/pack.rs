//! Packing, and writing of outputs, in plain Rust: for kernels whose words are f32. It is a small part of the work.

use half::bf16;

use super::super::operands::Operands;
use super::Values;
use super::kernel::MOST_LANES;
use super::problem::{OutRow, Rows};

pub(super) fn rounded(operands: Operands, value: f32) -> f32 {
    match operands {
        Operands::Exact | Operands::Bytes => value,
        Operands::Bf16 => bf16::from_f32(value).to_f32(),
    }
}

/// As [`super::kernel::Kernel::pack_queries`].
pub(super) fn queries<const LANES: usize>(operands: Operands, queries: &[&[f32]], width: usize, into: &mut [f32]) {
    for (lane, query) in queries.iter().enumerate() {
        for column in 0..width {
            into[column * LANES + lane] = rounded(operands, query.get(column).copied().unwrap_or(0.0));
        }
    }
}

/// As [`super::kernel::Kernel::pack_keys`].
pub(super) fn keys<const ROWS: usize>(
    operands: Operands,
    keys: Rows<'_>,
    first: usize,
    count: usize,
    width: usize,
    into: &mut [f32],
) {
    let (there, spare) = into[..count.next_multiple_of(ROWS) * width].split_at_mut(count * width);
    for (row, into) in (first..).zip(there.chunks_exact_mut(width)) {
        keys.copy_row(row, into);
        into.iter_mut().for_each(|value| *value = rounded(operands, *value));
    }
    spare.fill(0.0);
}

/// As [`super::kernel::Kernel::pack_values`].
pub(super) fn values<const ROWS: usize>(
    operands: Operands,
    values: Rows<'_>,
    first: usize,
    count: usize,
    width: usize,
    into: &mut [f32],
) {
    let panel = count.next_multiple_of(ROWS) * ROWS;
    for (index, into) in into.chunks_exact_mut(panel).take(width.div_ceil(ROWS)).enumerate() {
        into.fill(0.0);
        let columns = ROWS.min(width - index * ROWS);
        let values = values.skip_columns(index * ROWS);
        for (row, into) in (first..first + count).zip(into.chunks_exact_mut(ROWS)) {
            match values.row(row, columns) {
                // Of a length that the compiler knows: no call for a few values.
                Values::F32(row) if columns == ROWS => into[..ROWS].copy_from_slice(&row[..ROWS]),
                _ => values.copy_row(row, &mut into[..columns]),
            }
            into.iter_mut().for_each(|value| *value = rounded(operands, *value));
        }
    }
}

/// As [`super::kernel::Kernel::finish`].
pub(super) fn finish<const LANES: usize>(sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
    for (lane, row) in rows.iter_mut().enumerate() {
        let Some(row) = row else { continue };
        let output = sums[lane..].iter().step_by(LANES).map(|sum| sum / totals[lane]);
        match row {
            OutRow::F32(row) => row.iter_mut().zip(output).for_each(|(into, value)| *into = value),
            OutRow::Bf16(row) => row.iter_mut().zip(output).for_each(|(into, value)| *into = bf16::from_f32(value)),
        }
    }
}

/// The methods of a [`super::kernel::Kernel`] that pack and write with the functions above, for one that has
/// `operands`, in terms of `LANES` and `ROWS`.
macro_rules! packing_methods {
    () => {
        fn pack_queries(self, queries: &[&[f32]; MOST_LANES], width: usize, into: &mut [f32]) {
            pack::queries::<LANES>(self.operands, &queries[..Self::VECTOR], width, into);
        }

        fn pack_keys(self, keys: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
            pack::keys::<ROWS>(self.operands, keys, first, count, width, into);
        }

        fn pack_values(self, values: Rows<'_>, first: usize, count: usize, width: usize, into: &mut [f32]) {
            pack::values::<ROWS>(self.operands, values, first, count, width, into);
        }

        fn finish(self, sums: &[f32], totals: &[f32], rows: &mut [Option<OutRow<'_>>; MOST_LANES]) {
            pack::finish::<LANES>(sums, totals, rows);
        }
    };
}
pub(super) use packing_methods;
