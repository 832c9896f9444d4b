//! Attention against its definition in f64, and against itself, bit for bit, where rows are taken together or apart.

use half::bf16;
use proptest::prelude::*;

use super::*;

/// Numbers that look random, from -1 to 1.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// What a kernel may be off by, in units of the greatest value.
fn bound(operands: Operands) -> f64 {
    match operands {
        Operands::Exact | Operands::Bytes => 1e-5,
        // A bf16 is off by up to 2^-9 of itself: so are weights and values, and scores by as much of their size, which
        // here is a few units.
        Operands::Bf16 => 1e-2,
    }
}

/// The definition: for one query, over rows of keys and values.
fn defined<'a>(query: &[f32], rows: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let scale = (query.len() as f64).sqrt();
    let (scores, values): (Vec<f64>, Vec<_>) = rows.map(|(key, value)| (dot(query, key) / scale, value)).unzip();
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..query.len())
        .map(|column| weights.iter().zip(&values).map(|(w, value)| w * f64::from(value[column])).sum::<f64>() / total)
        .collect()
}

fn assert_close(outputs: &[f32], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(outputs.len(), expected.len());
    let off = outputs
        .iter()
        .zip(expected)
        .map(|(&a, &b)| (f64::from(a) - b).abs())
        .fold(0.0, |a: f64, b| if b.is_nan() { f64::INFINITY } else { a.max(b) });
    assert!(off <= bound, "{what}: off by {off}");
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

const BOTH: [Operands; 2] = [Operands::Exact, Operands::Bf16];

fn run_full(isa: Isa, operands: Operands, qkv: &[f32], shape: Full) -> Vec<f32> {
    let mut out = vec![f32::NAN; shape.frames * shape.patches * shape.heads * shape.width];
    full(isa, operands, qkv, shape, Out::F32(&mut out));
    out
}

/// The sizes of a call with one cache.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rows: usize,
    first_position: usize,
    heads: usize,
    kv_heads: usize,
    width: usize,
    query_stride: usize,
}

impl Sizes {
    fn causal(self) -> Causal {
        let Self { heads, kv_heads, width, query_stride, .. } = self;
        Causal { heads, kv_heads, width, query_stride }
    }
}

/// Queries, a cache filled up to the last row and beyond that with NaN, and what to expect.
struct Case {
    shape: Sizes,
    capacity: usize,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Case {
    fn new(seed: u64, shape: Sizes, spare: usize, range: f32) -> Self {
        let filled = shape.first_position + shape.rows;
        let capacity = filled + spare;
        let cache = |seed: u64, range: f32| {
            let mut values = numbers(seed, shape.kv_heads * capacity * shape.width);
            for head in values.chunks_exact_mut(capacity * shape.width) {
                head.iter_mut().for_each(|value| *value *= range);
                head[filled * shape.width..].fill(f32::NAN);
            }
            values
        };
        let queries = numbers(seed + 2, shape.rows * shape.query_stride);
        Self { shape, capacity, queries, keys: cache(seed, range), values: cache(seed + 1, 1.0) }
    }

    /// What some of its rows attend to.
    fn cached(&self, first: usize, rows: usize) -> Cached<'_> {
        let (keys, values) = (Values::F32(&self.keys), Values::F32(&self.values));
        Cached { keys, values, capacity: self.capacity, first_position: self.shape.first_position + first, rows }
    }

    fn run(&self, isa: Isa, operands: Operands) -> Vec<f32> {
        self.run_rows(isa, operands, 0, self.shape.rows)
    }

    fn run_rows(&self, isa: Isa, operands: Operands, first: usize, rows: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; rows * self.shape.heads * self.shape.width];
        let queries = &self.queries[first * self.shape.query_stride..];
        causal(isa, operands, queries, &[self.cached(first, rows)], self.shape.causal(), Out::F32(&mut out));
        out
    }

    fn expected(&self) -> Vec<f64> {
        let Sizes { rows, heads, kv_heads, width, first_position, query_stride } = self.shape;
        let mut all = Vec::new();
        for row in 0..rows {
            for head in 0..heads {
                let start = row * query_stride + head * width;
                let of_head = head / (heads / kv_heads) * self.capacity * width;
                let seen = (first_position + row + 1) * width;
                let rows_of = |all| rows_of(all, of_head, seen, width);
                let query = &self.queries[start..start + width];
                all.extend(defined(query, rows_of(&self.keys).zip(rows_of(&self.values))));
            }
        }
        all
    }
}

fn rows_of(all: &[f32], start: usize, length: usize, width: usize) -> std::slice::ChunksExact<'_, f32> {
    all[start..start + length].chunks_exact(width)
}

fn causal_shape(rows: usize, group: usize, kv_heads: usize, width: usize, first_position: usize) -> Sizes {
    let heads = group * kv_heads;
    Sizes { rows, heads, kv_heads, width, first_position, query_stride: heads * width }
}

fn widths() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(1_usize),
        Just(8),
        Just(16),
        Just(17),
        Just(18),
        Just(33),
        Just(64),
        Just(72),
        Just(128),
        1..80_usize
    ]
}

/// Counts around the sizes of tiles and blocks.
fn counts() -> impl Strategy<Value = usize> {
    prop_oneof![1..70_usize, 250..262_usize, 508..518_usize]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn full_attention_is_as_defined(
        seed in 0..1000_u64, frames in 1..3_usize, patches in counts(), heads in 1..3_usize, width in widths(),
    ) {
        let shape = Full { frames, patches, heads, width };
        let row = 3 * heads * width;
        let qkv = numbers(seed, frames * patches * row);
        let mut expected = Vec::new();
        for patch in 0..frames * patches {
            let frame = patch / patches * patches;
            for head in 0..heads {
                let part = |patch: usize, part: usize| &qkv[patch * row + (part * heads + head) * width..][..width];
                let rows = (frame..frame + patches).map(|other| (part(other, 1), part(other, 2)));
                expected.extend(defined(part(patch, 0), rows));
            }
        }
        for isa in Isa::available() {
            for operands in BOTH {
                let out = run_full(isa, operands, &qkv, shape);
                assert_close(&out, &expected, bound(operands), &format!("{isa:?} {operands:?} {shape:?}"));
            }
        }
    }

    #[test]
    fn causal_attention_is_as_defined(
        seed in 0..1000_u64, rows in counts(), group in 1..8_usize, kv_heads in 1..3_usize, width in widths(),
        first_position in prop_oneof![Just(0_usize), 1..20_usize, 250..260_usize, 600..900_usize],
        spare in 0..20_usize, gap in 0..5_usize,
    ) {
        // Keep the definition's time in bounds.
        let rows = if group * kv_heads * width > 256 { rows.min(40) } else { rows };
        let mut shape = causal_shape(rows, group, kv_heads, width, first_position);
        shape.query_stride += gap;
        let case = Case::new(seed, shape, spare, 4.0);
        let expected = case.expected();
        for isa in Isa::available() {
            for operands in BOTH {
                let out = case.run(isa, operands);
                assert_close(&out, &expected, bound(operands), &format!("{isa:?} {operands:?} {shape:?}"));
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_each_other(
        seed in 0..1000_u64, rows in 2..90_usize, group in 1..8_usize, width in widths(),
        first_position in prop_oneof![Just(0_usize), 200..257_usize, 500..600_usize], chunk in 1..40_usize,
        range in prop_oneof![Just(1_f32), Just(100.0)],
    ) {
        let case = Case::new(seed, causal_shape(rows, group, 2, width, first_position), 3, range);
        for isa in Isa::available() {
            for operands in BOTH {
                let whole = case.run(isa, operands);
                for chunk in [1, chunk] {
                    let parts = (0..rows).step_by(chunk);
                    let parts = parts.flat_map(|first| case.run_rows(isa, operands, first, chunk.min(rows - first)));
                    let parts: Vec<_> = parts.collect();
                    prop_assert!(bits(&whole) == bits(&parts), "{isa:?} {operands:?}, chunks of {chunk}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// As the rows of a decode step, of which each has a cache of its own.
    #[test]
    fn caches_do_not_depend_on_each_other(
        seed in 0..1000_u64, group in 1..8_usize, width in widths(), rows in 1..3_usize,
        positions in prop::collection::vec(prop_oneof![0_usize..40, 250..260_usize, 500..1100_usize], 1..9),
    ) {
        let case = |(seed, &first_position): (u64, &usize)| {
            Case::new(seed, causal_shape(rows, group, 2, width, first_position), (seed % 5) as usize, 1.0)
        };
        let cases: Vec<Case> = (seed..).zip(&positions).map(case).collect();
        let queries: Vec<f32> = cases.iter().flat_map(|case| case.queries.iter().copied()).collect();
        let cached: Vec<_> = cases.iter().map(|case| case.cached(0, rows)).collect();
        for isa in Isa::available() {
            for operands in BOTH {
                let each: Vec<f32> = cases.iter().flat_map(|case| case.run(isa, operands)).collect();
                let mut all = vec![f32::NAN; each.len()];
                causal(isa, operands, &queries, &cached, cases[0].shape.causal(), Out::F32(&mut all));
                prop_assert!(bits(&all) == bits(&each), "{isa:?} {operands:?}");
            }
        }
    }
}

#[test]
fn frames_do_not_depend_on_each_other() {
    let shape = Full { frames: 3, patches: 59, heads: 2, width: 72 };
    let frame = shape.patches * 3 * shape.heads * shape.width;
    let qkv = numbers(5, shape.frames * frame);
    for isa in Isa::available() {
        for operands in BOTH {
            let all = run_full(isa, operands, &qkv, shape);
            let one = |qkv| run_full(isa, operands, qkv, Full { frames: 1, ..shape });
            let each: Vec<_> = qkv.chunks_exact(frame).flat_map(one).collect();
            assert_eq!(bits(&all), bits(&each), "{isa:?} {operands:?}");
        }
    }
}

#[test]
fn scores_of_any_size_do_not_overflow() {
    // With scores this far apart one key has all the weight.
    for range in [1e4, 1e12, 1e30] {
        for (rows, first_position) in [(1, 700), (40, 290)] {
            let mut case = Case::new(11, causal_shape(rows, 3, 1, 64, first_position), 5, range);
            // Few bits, so that operands are the same in bf16 and the highest score is the same key's.
            for value in case.keys.iter_mut().chain(&mut case.queries).chain(&mut case.values) {
                *value = bf16::from_f32(*value).to_f32();
            }
            let expected = case.expected();
            for isa in Isa::available() {
                for operands in BOTH {
                    let out = case.run(isa, operands);
                    assert_close(&out, &expected, bound(operands), &format!("{isa:?} {operands:?} {range}"));
                }
            }
        }
    }
}

#[test]
fn caches_and_outputs_may_be_bf16() {
    for (width, rows) in [(64, 50), (128, 1), (17, 9)] {
        let mut case = Case::new(3, causal_shape(rows, 7, 2, width, 300), 4, 3.0);
        let halved = |values: &mut Vec<f32>| {
            let halves: Vec<_> = values.iter().map(|value| bf16::from_f32(*value)).collect();
            values.iter_mut().zip(&halves).for_each(|(value, half)| *value = half.to_f32());
            halves
        };
        let (keys, values) = (halved(&mut case.keys), halved(&mut case.values));
        let (keys, values) = (Values::Bf16(&keys), Values::Bf16(&values));
        let cached = Cached { keys, values, ..case.cached(0, rows) };
        for isa in Isa::available() {
            for operands in BOTH {
                let wide = case.run(isa, operands);
                let mut out = vec![f32::NAN; wide.len()];
                causal(isa, operands, &case.queries, &[cached], case.shape.causal(), Out::F32(&mut out));
                assert_eq!(bits(&out), bits(&wide), "{isa:?} {operands:?}: the cache");
                let mut out = vec![bf16::NAN; wide.len()];
                causal(isa, operands, &case.queries, &[cached], case.shape.causal(), Out::Bf16(&mut out));
                let rounded: Vec<_> = wide.iter().map(|value| bf16::from_f32(*value)).collect();
                assert_eq!(out, rounded, "{isa:?} {operands:?}: the output");
            }
        }
    }
}

#[test]
fn nothing_is_fine() {
    let shape = Full { frames: 0, patches: 9, heads: 2, width: 8 };
    assert!(run_full(Isa::Plain, Operands::Exact, &[], shape).is_empty());
    let case = Case::new(0, causal_shape(0, 2, 1, 8, 4), 0, 1.0);
    assert!(case.run(Isa::Plain, Operands::Exact).is_empty());
}
