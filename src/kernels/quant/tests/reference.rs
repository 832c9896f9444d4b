//! What the tests compare with: ggml's blocks decoded one value at a time from the formats' definition, and models of
//! the products in f64 and in integers.

use half::f16;

use crate::kernels::quant::Format;

/// A scale, a minimum and the numbers of columns that share them.
pub(super) struct Group {
    pub(super) scale: f32,
    pub(super) minimum: f32,
    pub(super) numbers: Vec<i32>,
}

/// A generator of bits (SplitMix64).
pub(super) struct Bits(pub(super) u64);

impl Bits {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From -1 to 1, seldom much larger, as activations are.
    pub(super) fn activation(&mut self) -> f32 {
        let value = (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        if self.next().is_multiple_of(61) { 20.0 * value } else { value }
    }

    pub(super) fn activations(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.activation()).collect()
    }
}

/// Random bytes as rows of blocks; scales are any finite f16.
pub(super) fn random_rows(format: Format, rows: usize, columns: usize, bits: &mut Bits) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..rows * format.row_bytes(columns)).map(|_| bits.next() as u8).collect();
    let scales: &[usize] = match format {
        Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q6K => &[208],
        Format::Q8_0 => &[0],
    };
    for block in bytes.chunks_exact_mut(format.block().1) {
        for &at in scales {
            // An exponent of all ones would be no number.
            block[at + 1] &= 0xfb;
        }
    }
    bytes
}

fn float(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// The groups of a row.
pub(super) fn groups(format: Format, row: &[u8]) -> Vec<Group> {
    row.chunks_exact(format.block().1).flat_map(|block| block_groups(format, block)).collect()
}

fn block_groups(format: Format, block: &[u8]) -> Vec<Group> {
    match format {
        Format::Q8_0 => {
            let numbers = block[2..].iter().map(|&byte| i32::from(byte as i8)).collect();
            vec![Group { scale: float(block, 0), minimum: 0.0, numbers }]
        }
        Format::Q4K | Format::Q5K => {
            // 12 bytes hold 8 scales and 8 minima: six bits of the first four of each, and above them two bits of the
            // last four, whose other bits are nibbles.
            let packed = &block[4..16];
            let six = |index: usize, minimum: usize| match index {
                0..4 => packed[index + 4 * minimum] & 0x3f,
                _ => packed[index + 4] >> (4 * minimum) & 0xf | packed[index - 4 + 4 * minimum] >> 6 << 4,
            };
            let (high, low) = match format {
                Format::Q4K => (None, &block[16..]),
                _ => (Some(&block[16..48]), &block[48..]),
            };
            let number = |group: usize, column: usize| {
                let nibble = low[group / 2 * 32 + column] >> (4 * (group % 2)) & 0xf;
                i32::from(nibble) + high.map_or(0, |high| i32::from(high[column] >> group & 1) * 16)
            };
            let group = |group| Group {
                scale: float(block, 0) * f32::from(six(group, 0)),
                minimum: float(block, 2) * f32::from(six(group, 1)),
                numbers: (0..32).map(|column| number(group, column)).collect(),
            };
            (0..8).map(group).collect()
        }
        Format::Q6K => {
            let number = |column: usize| {
                let (half, rest) = (column / 128, column % 128);
                let low = block[half * 64 + rest % 64] >> (4 * (rest / 64)) & 0xf;
                let high = block[128 + half * 32 + rest % 32] >> (2 * (rest / 32)) & 3;
                i32::from(low | high << 4) - 32
            };
            let group = |group: usize| Group {
                scale: float(block, 208) * f32::from(block[192 + group] as i8),
                minimum: 0.0,
                numbers: (group * 16..group * 16 + 16).map(number).collect(),
            };
            (0..16).map(group).collect()
        }
    }
}

/// The values of a row.
pub(super) fn values(format: Format, row: &[u8]) -> Vec<f32> {
    let group = |group: Group| {
        let value = move |&number: &i32| group.scale * number as f32 - group.minimum;
        group.numbers.iter().map(value).collect::<Vec<_>>()
    };
    groups(format, row).into_iter().flat_map(group).collect()
}

/// A product and the sum of the sizes of what was added.
pub(super) fn dot(values: &[f32], x: &[f32]) -> (f64, f64) {
    let products = values.iter().zip(x).map(|(&value, &x)| f64::from(value) * f64::from(x));
    products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
}

/// The same with activations rounded to multiples of 1/127 of the largest of 32.
pub(super) fn int8_dot(groups: &[Group], x: &[f32]) -> (f64, f64) {
    let (mut column, mut sum, mut size) = (0, 0.0, 0.0);
    for group in groups {
        let shared = &x[column / 32 * 32..][..32];
        let scale = shared.iter().fold(0f32, |largest, x| largest.max(x.abs())) / 127.0;
        let rounded = |x: f32| if scale > 0.0 { (x * (1.0 / scale)).round_ties_even() as i32 } else { 0 };
        let x: Vec<i32> = x[column..][..group.numbers.len()].iter().map(|&x| rounded(x)).collect();
        let dot: i32 = group.numbers.iter().zip(&x).map(|(number, x)| number * x).sum();
        let parts = [
            f64::from(group.scale) * f64::from(dot) * f64::from(scale),
            -f64::from(group.minimum) * f64::from(x.iter().sum::<i32>()) * f64::from(scale),
        ];
        sum += parts[0] + parts[1];
        size += parts[0].abs() + parts[1].abs();
        column += group.numbers.len();
    }
    (sum, size)
}
