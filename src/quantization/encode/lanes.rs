//! What both searches share: the sub-blocks of a block side by side, and arithmetic on them that vectorizes.

/// Values of a block of the K-quants.
pub(super) const BLOCK: usize = 256;

/// `values` by position and sub-block; zeros for sub-blocks that are not there.
#[inline(always)]
pub(super) fn side_by_side<const LANES: usize, const N: usize>(values: &[f32]) -> [[f32; LANES]; N] {
    let mut x = [[0f32; LANES]; N];
    let (sub_blocks, _) = values.as_chunks::<N>();
    for (lane, values) in sub_blocks.iter().enumerate().take(LANES) {
        for (x, value) in x.iter_mut().zip(values) {
            x[lane] = *value;
        }
    }
    x
}

/// The nearest whole number, halves to even, below 2^22: sums of this size have no bits left for a fraction.
#[inline(always)]
pub(super) fn nearest(value: f32) -> f32 {
    const NO_FRACTIONS: f32 = 12_582_912.0;
    (value + NO_FRACTIONS) - NO_FRACTIONS
}

/// `low` for what is not a number.
#[inline(always)]
pub(super) fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = if value > low { value } else { low };
    if value < high { value } else { high }
}
