//! Numbers that a kernel reads, in one of the types that it knows.

use half::bf16;

/// Numbers that are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

impl Values<'_> {
    /// How many rows of so many numbers these are.
    ///
    /// # Panics
    /// Unless they are whole rows.
    pub(crate) fn rows(self, columns: usize) -> usize {
        let len = match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
        };
        assert!(len.is_multiple_of(columns), "{len} values are no rows of {columns}");
        len / columns
    }

    /// Without those before `start`.
    pub(crate) fn skip(self, start: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[start..]),
            Self::Bf16(values) => Self::Bf16(&values[start..]),
        }
    }
}
