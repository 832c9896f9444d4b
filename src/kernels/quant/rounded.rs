//! Activations in 8 bits: 32 columns share a scale, the largest of them over 127.

/// Columns that share a scale.
pub(super) const SHARED: usize = 32;

/// Rows of activations `[m, columns]`, rounded.
#[derive(Debug, Default)]
pub(super) struct Rounded {
    /// `[m, columns]`, from -127 to 127.
    pub(super) numbers: Vec<i8>,
    /// `[m, columns / 32]`.
    pub(super) scales: Vec<f32>,
    /// Sums of the numbers that share a scale, `[m, columns / 32]`.
    pub(super) sums: Vec<f32>,
    /// Sums of the numbers of each group of weights, times the weights' offset, negated; `[m, columns / group]`.
    pub(super) corrections: Vec<i32>,
}

impl Rounded {
    /// Rounds whole rows. `offset` is the weights' with the columns of their groups, where they have one.
    pub(super) fn round(&mut self, x: &[f32], offset: Option<(i32, usize)>) {
        assert!(x.len().is_multiple_of(SHARED), "{} activations", x.len());
        self.numbers.resize(x.len(), 0);
        self.scales.resize(x.len() / SHARED, 0.0);
        self.sums.resize(x.len() / SHARED, 0.0);
        let scales = self.scales.iter_mut().zip(&mut self.sums);
        for ((x, numbers), (scale, sum)) in
            x.chunks_exact(SHARED).zip(self.numbers.chunks_exact_mut(SHARED)).zip(scales)
        {
            *scale = round(x, numbers);
            *sum = numbers.iter().map(|&number| i32::from(number)).sum::<i32>() as f32;
        }
        self.corrections.clear();
        if let Some((offset, group)) = offset {
            let groups = self.numbers.chunks_exact(group);
            self.corrections.extend(groups.map(|group| -offset * group.iter().map(|&x| i32::from(x)).sum::<i32>()));
        }
    }
}

/// One row, in pointers.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) numbers: *const i8,
    pub(super) scales: *const f32,
    pub(super) sums: *const f32,
    pub(super) corrections: *const i32,
}

#[cfg(target_arch = "x86_64")]
impl Rounded {
    /// A row of so many columns.
    pub(super) fn row(&self, index: usize, columns: usize) -> Row {
        let (numbers, shared) = (index * columns..(index + 1) * columns, columns / SHARED);
        let groups = self.corrections.len() * columns / self.numbers.len();
        Row {
            numbers: self.numbers[numbers].as_ptr(),
            scales: self.scales[index * shared..][..shared].as_ptr(),
            sums: self.sums[index * shared..][..shared].as_ptr(),
            corrections: self.corrections[index * groups..][..groups].as_ptr(),
        }
    }
}

/// Rounds to the nearest multiples of the scale, ties to even, and returns it.
fn round(x: &[f32], numbers: &mut [i8]) -> f32 {
    const LANES: usize = 8;
    let mut largest = [0f32; LANES];
    for x in x.as_chunks::<LANES>().0 {
        for (largest, x) in largest.iter_mut().zip(x) {
            *largest = if x.abs() > *largest { x.abs() } else { *largest };
        }
    }
    let scale = largest.into_iter().fold(0.0, f32::max) / 127.0;
    // What is smaller has no reciprocal.
    let inverse = if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
    // In a sum of this size the last place is 1, and the lowest byte of the sum's bits is the rounded number.
    const ROUNDING: f32 = 3.0 * (1 << 22) as f32;
    for (number, x) in numbers.iter_mut().zip(x) {
        *number = (x * inverse + ROUNDING).to_bits() as i8;
    }
    scale
}
