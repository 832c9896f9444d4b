//! Attention in tiles: scores of a block of keys, their softmax as it goes, and the weighted sum of the values, without
//! ever holding more scores than one tile of queries has with one block of keys.
//!
//! A lane of a vector is a query (one row of one head); the query heads that share keys and values stand side by side,
//! so that those are read once for all of them. Blocks of keys begin at fixed positions and are taken in order, and a
//! lane never meets another: what comes out for a row depends neither on the rows beside it nor on how a prompt is cut.

mod ahead;
mod exp2;
mod fetch;
mod item;
mod kernel;
mod pack;
mod plain;
mod problem;
mod scratch;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
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
    /// Queries of each head.
    pub(crate) rows: usize,
    /// Query heads.
    pub(crate) heads: usize,
    /// Heads of keys and values; `heads` is a multiple of it.
    pub(crate) kv_heads: usize,
    /// Values of a head.
    pub(crate) width: usize,
    /// The first row's position. A row sees every position up to its own.
    pub(crate) first_position: usize,
    /// From one row of queries to the next, at least `heads * width`.
    pub(crate) query_stride: usize,
}

/// Keys and values up to some position, `[kv_heads, capacity, width]` each. What lies beyond is not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cache<'a> {
    pub(crate) keys: Values<'a>,
    pub(crate) values: Values<'a>,
    pub(crate) capacity: usize,
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
    attend(isa, operands, &problem, out);
}

/// Row `i` of `q`, `[rows, heads * width]`, stands at position `first_position + i` and attends to the positions up to
/// its own. `out` is `[rows, heads * width]`.
pub(crate) fn causal(isa: Isa, operands: Operands, q: &[f32], cache: Cache<'_>, shape: Causal, out: Out<'_>) {
    let Causal { rows, heads, kv_heads, width, first_position, query_stride } = shape;
    if rows * heads * width == 0 {
        return;
    }
    assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "query heads in equal groups");
    assert!(query_stride >= heads * width, "rows of queries do not overlap");
    assert!(first_position + rows <= cache.capacity, "the cache holds every position that is seen");
    let layout = Layout { first: 0, frame: 0, head: cache.capacity * width, row: width };
    let group = heads / kv_heads;
    let problem = Problem {
        frames: 1,
        kv_heads,
        group,
        rows,
        width,
        queries: (q, Layout { first: 0, frame: 0, head: width, row: query_stride }),
        keys: (cache.keys, layout),
        values: (cache.values, layout),
        seen_by_first: first_position + 1,
        more_by_each_row: 1,
    };
    attend(isa, operands, &problem, out);
}

fn attend(isa: Isa, operands: Operands, problem: &Problem<'_>, out: Out<'_>) {
    match (isa, operands) {
        // SAFETY: a set of instructions is one that the machine has: they come from `Isa::available`.
        #[cfg(target_arch = "x86_64")]
        (Isa::Amx, Operands::Bf16) => attend_with(unsafe { x86::amx::Amx::new() }, problem, out),
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Bf16, Operands::Bf16) => attend_with(unsafe { x86::avx512_bf16::Avx512Bf16::new() }, problem, out),
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512 | Isa::Avx512Bf16 | Isa::Amx, _) => {
            attend_with(unsafe { x86::avx512::Avx512::new(operands) }, problem, out);
        }
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, _) => attend_with(unsafe { x86::avx2::Avx2::new(operands) }, problem, out),
        _ => attend_with(Plain::new(operands), problem, out),
    }
}

fn attend_with<K: Kernel>(kernel: K, problem: &Problem<'_>, out: Out<'_>) {
    let split = Split::new::<K>(problem);
    let out = problem.shared(out);
    pool::run(split.items(), |index| split.item(index).attend(kernel, problem, &out));
}
