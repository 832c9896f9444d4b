//! Where the queries, keys, values and outputs of one call lie, and what each query sees.

use std::marker::PhantomData;

use half::bf16;

use super::fetch::fetch;
use super::{Out, Values};

/// Where the rows of a head lie, in values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The first row of the first head of the first frame.
    pub(super) first: usize,
    /// From frame to frame.
    pub(super) frame: usize,
    /// From head to head.
    pub(super) head: usize,
    /// From row to row.
    pub(super) row: usize,
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem<'a> {
    pub(super) frames: usize,
    pub(super) kv_heads: usize,
    /// Query heads for each of those.
    pub(super) group: usize,
    /// Queries of a head.
    pub(super) rows: usize,
    /// Values of a head.
    pub(super) width: usize,
    pub(super) queries: (&'a [f32], Layout),
    pub(super) keys: (Values<'a>, Layout),
    pub(super) values: (Values<'a>, Layout),
    /// Keys that the first row sees.
    pub(super) seen_by_first: usize,
    /// How many more each row sees than the one before.
    pub(super) more_by_each_row: usize,
}

/// The keys or the values of one head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: Values<'a>,
    /// From row to row.
    pub(super) stride: usize,
}

impl<'a> Rows<'a> {
    /// The same rows without their first values.
    pub(super) fn skip_columns(&self, column: usize) -> Self {
        Self { values: self.values.skip(column), stride: self.stride }
    }

    /// Fetches a row into the cache; there need not be one.
    #[inline]
    pub(super) fn fetch(&self, row: usize, width: usize) {
        match self.values {
            Values::F32(values) => fetch(values.as_ptr().wrapping_add(row * self.stride), width),
            Values::Bf16(values) => fetch(values.as_ptr().wrapping_add(row * self.stride), width),
        }
    }

    /// A row's first values.
    pub(super) fn row(&self, row: usize, width: usize) -> Values<'a> {
        let range = row * self.stride..row * self.stride + width;
        match self.values {
            Values::F32(values) => Values::F32(&values[range]),
            Values::Bf16(values) => Values::Bf16(&values[range]),
        }
    }

    /// Copies a row's first values.
    pub(super) fn copy_row(&self, row: usize, into: &mut [f32]) {
        match self.row(row, into.len()) {
            Values::F32(values) => into.copy_from_slice(values),
            Values::Bf16(values) => {
                into.iter_mut().zip(values).for_each(|(into, value)| *into = value.to_f32());
            }
        }
    }
}

/// A row of the output.
#[derive(Debug)]
pub(super) enum OutRow<'a> {
    F32(&'a mut [f32]),
    Bf16(&'a mut [bf16]),
}

#[cfg(target_arch = "x86_64")]
impl OutRow<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(row) => row.len(),
            Self::Bf16(row) => row.len(),
        }
    }
}

impl<'a> Problem<'a> {
    /// Queries that share keys: lane `row * group + head`.
    pub(super) fn lanes(&self) -> usize {
        self.rows * self.group
    }

    /// Values of the output.
    pub(super) fn outputs(&self) -> usize {
        self.frames * self.rows * self.kv_heads * self.group * self.width
    }

    /// Sets of keys, each with its own lanes.
    pub(super) fn parts(&self) -> usize {
        self.frames * self.kv_heads
    }

    /// What makes a product of query and key the exponent of a power of two: `log2(e) / sqrt(width)`.
    pub(super) fn scale(&self) -> f32 {
        (std::f64::consts::LOG2_E / (self.width as f64).sqrt()) as f32
    }

    /// Keys that a lane sees.
    pub(super) fn seen(&self, lane: usize) -> usize {
        self.seen_by_first + lane / self.group * self.more_by_each_row
    }

    /// The query of a lane.
    pub(super) fn query(&self, part: usize, lane: usize) -> &'a [f32] {
        let (queries, layout) = self.queries;
        let (frame, head, row) = self.place(part, lane);
        let start = layout.first + frame * layout.frame + head * layout.head + row * layout.row;
        &queries[start..start + self.width]
    }

    pub(super) fn keys(&self, part: usize) -> Rows<'a> {
        self.rows_of(self.keys, part)
    }

    pub(super) fn values(&self, part: usize) -> Rows<'a> {
        self.rows_of(self.values, part)
    }

    fn rows_of(&self, (values, layout): (Values<'a>, Layout), part: usize) -> Rows<'a> {
        let start = layout.first + part / self.kv_heads * layout.frame + part % self.kv_heads * layout.head;
        Rows { values: values.skip(start), stride: layout.row }
    }

    /// The frame, query head and row of a lane.
    fn place(&self, part: usize, lane: usize) -> (usize, usize, usize) {
        let head = part % self.kv_heads * self.group + lane % self.group;
        (part / self.kv_heads, head, lane / self.group)
    }

    /// The output, to be written by many threads.
    pub(super) fn shared<'o>(&self, out: Out<'o>) -> SharedOut<'o> {
        let length = self.outputs();
        let (target, given) = match out {
            Out::F32(values) => (Target::F32(values.as_mut_ptr()), values.len()),
            Out::Bf16(values) => (Target::Bf16(values.as_mut_ptr()), values.len()),
        };
        assert_eq!(given, length, "an output for every query");
        SharedOut { target, length, memory: PhantomData }
    }

    /// Where the output of a lane begins.
    pub(super) fn out_start(&self, part: usize, lane: usize) -> usize {
        let (frame, head, row) = self.place(part, lane);
        ((frame * self.rows + row) * self.kv_heads * self.group + head) * self.width
    }

    /// The output of a lane.
    ///
    /// # Safety
    /// No other row of the same lane of the same part is alive.
    pub(super) unsafe fn out_row<'o>(&self, out: &'o SharedOut<'_>, part: usize, lane: usize) -> OutRow<'o> {
        let start = self.out_start(part, lane);
        assert!(start + self.width <= out.length, "a row of the output");
        // SAFETY: the row lies within the output, which `out` borrows mutably; rows of other lanes do not overlap it,
        // and the caller holds no second one of this lane.
        unsafe {
            match out.target {
                Target::F32(values) => OutRow::F32(std::slice::from_raw_parts_mut(values.add(start), self.width)),
                Target::Bf16(values) => OutRow::Bf16(std::slice::from_raw_parts_mut(values.add(start), self.width)),
            }
        }
    }
}

/// An output of which many threads write disjoint rows.
#[derive(Debug)]
pub(super) struct SharedOut<'a> {
    target: Target,
    length: usize,
    memory: PhantomData<&'a mut [f32]>,
}

impl SharedOut<'_> {
    /// Fetches a row into the cache.
    #[inline]
    pub(super) fn fetch(&self, start: usize, width: usize) {
        match self.target {
            Target::F32(values) => fetch(values.wrapping_add(start), width),
            Target::Bf16(values) => fetch(values.wrapping_add(start), width),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Target {
    F32(*mut f32),
    Bf16(*mut bf16),
}

// SAFETY: it is only written through `Problem::out_row`, whose caller sees to it that rows are disjoint.
unsafe impl Sync for SharedOut<'_> {}
