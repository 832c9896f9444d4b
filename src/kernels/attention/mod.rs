//! Attention in tiles: scores of a block of keys, their softmax as it goes, and the weighted sum of the values, without
//! ever holding more scores than one tile of queries has with one block of keys.
//!
//! A lane of a vector is a query (one row of one head); the query heads that share keys and values stand side by side,
//! so that those are read once for all of them. Blocks of keys begin at fixed positions and are taken in order, and a
//! lane never meets another: what comes out for a row depends neither on the rows beside it, be they of the same cache
//! or of another, nor on how a prompt is cut.

mod ahead;
mod exp2;
mod fetch;
mod item;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod plain;
mod problem;
mod scratch;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tiles;
#[cfg(target_arch = "x86_64")]
mod x86;

use self::item::Split;
use self::kernel::Kernel;
use self::plain::Plain;
use self::problem::{Layout, Problem};
use super::isa::Isa;
use super::operands::Operands;
pub(crate) use super::out::Out;
use super::pool;
pub(crate) use super::values::Values;

/// Attention within each frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Full {
    pub(crate) frames: usize,
    /// Rows of a frame.
    pub(crate) patches: usize,
    pub(crate) heads: usize,
    /// Values of a head.
    pub(crate) width: usize,
}

/// Attention to what came before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Causal {
    /// Query heads.
    pub(crate) heads: usize,
    /// Heads of keys and values; `heads` is a multiple of it.
    pub(crate) kv_heads: usize,
    /// Values of a head.
    pub(crate) width: usize,
    /// From one row of queries to the next, at least `heads * width`.
    pub(crate) query_stride: usize,
}

/// Keys and values up to some position, `[kv_heads, capacity, width]` each, and the rows that attend to them. What lies
/// beyond is not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached<'a> {
    pub(crate) keys: Values<'a>,
    pub(crate) values: Values<'a>,
    pub(crate) capacity: usize,
    /// The first row's position. A row sees every position up to its own.
    pub(crate) first_position: usize,
    /// Queries of each head.
    pub(crate) rows: usize,
}

/// Every patch attends to every patch of its frame. `qkv` is `[frames * patches, 3 * heads * width]`: the heads'
/// queries, their keys, their values. `out` is `[frames * patches, heads * width]`.
pub(crate) fn full(isa: Isa, operands: Operands, qkv: &[f32], shape: Full, out: Out<'_>) {
    let Full { frames, patches, heads, width } = shape;
    assert_eq!(qkv.len(), frames * patches * 3 * heads * width, "queries, keys and values");
    if qkv.is_empty() {
        return;
    }
    let row = 3 * heads * width;
    let layout = |first: usize| Layout { first, frame: patches * row, head: width, row };
    let problem = Problem {
        frames,
        kv_heads: heads,
        group: 1,
        rows: patches,
        width,
        queries: (qkv, layout(0)),
        keys: (Values::F32(qkv), layout(heads * width)),
        values: (Values::F32(qkv), layout(2 * heads * width)),
        seen_by_first: patches,
        more_by_each_row: 0,
    };
    attend(isa, operands, &[problem], out);
}

/// Rows of `q`, `[rows, heads * width]`, against the cache that each belongs to: those of the first of `caches` come
/// first, and so on. Row `i` of a cache stands at position `first_position + i` and attends to the positions up to its
/// own. `out` is `[rows, heads * width]`.
pub(crate) fn causal(isa: Isa, operands: Operands, q: &[f32], caches: &[Cached<'_>], shape: Causal, out: Out<'_>) {
    let Causal { heads, kv_heads, width, query_stride } = shape;
    if heads * width == 0 {
        return;
    }
    assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "query heads in equal groups");
    assert!(query_stride >= heads * width, "rows of queries do not overlap");
    let mut first_row = 0;
    let mut problems = Vec::with_capacity(caches.len());
    for &Cached { keys, values, capacity, first_position, rows } in caches.iter().filter(|cache| cache.rows > 0) {
        assert!(first_position + rows <= capacity, "the cache holds every position that is seen");
        let layout = Layout { first: 0, frame: 0, head: capacity * width, row: width };
        let of_queries = Layout { first: first_row * query_stride, frame: 0, head: width, row: query_stride };
        problems.push(Problem {
            frames: 1,
            kv_heads,
            group: heads / kv_heads,
            rows,
            width,
            queries: (q, of_queries),
            keys: (keys, layout),
            values: (values, layout),
            seen_by_first: first_position + 1,
            more_by_each_row: 1,
        });
        first_row += rows;
    }
    attend(isa, operands, &problems, out);
}

fn attend(isa: Isa, operands: Operands, problems: &[Problem<'_>], out: Out<'_>) {
    match (isa, operands) {
        // SAFETY: a set of instructions is one that the machine has: they come from `Isa::available`.
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx, Operands::Bf16) => attend_with(unsafe { x86::amx::Amx::new() }, problems, out),
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Bf16, Operands::Bf16) => attend_with(unsafe { x86::avx512_bf16::Avx512Bf16::new() }, problems, out),
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx, _) => {
            attend_with(unsafe { x86::avx512::Avx512::new(operands) }, problems, out);
        }
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => attend_with(unsafe { x86::avx2::Avx2::new(operands) }, problems, out),
        // SAFETY: the same.
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, _) => attend_with(unsafe { neon::Neon::new(operands) }, problems, out),
        _ => attend_with(Plain::new(operands), problems, out),
    }
}

/// All items of all problems, whose outputs follow each other, are shared out together.
fn attend_with<K: Kernel>(kernel: K, problems: &[Problem<'_>], out: Out<'_>) {
    let mut rest = out;
    let mut calls: Vec<_> = Vec::with_capacity(problems.len());
    for problem in problems {
        let (own, others) = rest.split_at(problem.outputs());
        rest = others;
        calls.push((Split::new::<K>(problem), problem, problem.shared(own)));
    }
    assert!(rest.is_empty(), "a query for every output");
    // Those that take longest come first, so that no thread begins them when the others are nearly done.
    calls.sort_by_key(|(_, problem, _)| std::cmp::Reverse(problem.seen_by_first));
    let items = calls.iter().map(|(split, ..)| split.items()).sum();
    pool::run(items, |index| {
        let mut index = index;
        for (split, problem, out) in &calls {
            match index.checked_sub(split.items()) {
                None => return split.item(index).attend(kernel, problem, out),
                Some(left) => index = left,
            }
        }
    });
}
