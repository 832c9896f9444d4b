//! Self-attention of the decoder over positions that run together, of one KV cache or of several: rotate, remember,
//! attend.

use candle_core::{DType, Result, Tensor};

use super::kv_cache::{KvCache, Rows};
use super::rope::{Angles, Rope};
use crate::attention::CausalBlocks;
use crate::checkpoint::LanguageConfig;
use crate::device::Placement;
use crate::host;
use crate::kernels::attention::{self, Cached, Causal};
use crate::kernels::out;
use crate::kernels::rope::{self, CacheMut, Heads, Rotation};

/// One layer's keys and values of a cache, and where this pass's are written.
struct Written<'c> {
    rows: &'c mut Rows,
    capacity: usize,
    first: usize,
}

impl Written<'_> {
    fn cached(&self, rows: usize) -> Cached<'_> {
        let [keys, values] = self.rows.values();
        Cached { keys, values, capacity: self.capacity, first_position: self.first, rows }
    }
}

/// What all layers on one slot share about the positions that run together: as many of each cache.
pub(super) struct SelfAttention {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Positions of each cache.
    count: usize,
    /// Of all positions, one cache's after the other's.
    angles: Angles,
    /// Of devices without kernels of this program, for each cache.
    blocks: Option<Vec<CausalBlocks>>,
    placement: Placement,
}

impl SelfAttention {
    /// For `count` positions of each cache, of which the first of each is given.
    ///
    /// # Errors
    /// A failing device.
    pub(super) fn new(
        config: &LanguageConfig,
        rope: &Rope,
        first_positions: &[usize],
        count: usize,
        placement: &Placement,
    ) -> Result<Self> {
        let new_blocks = |&first: &usize| CausalBlocks::new(count, first, config.num_heads, placement);
        let blocks = match placement.uses_kernels() {
            true => None,
            false => Some(first_positions.iter().map(new_blocks).collect::<Result<_>>()?),
        };
        Ok(Self {
            heads: config.num_heads,
            kv_heads: config.num_kv_heads,
            head_dim: config.head_dim(),
            count,
            angles: rope.angles(first_positions.iter().flat_map(|&first| first..first + count))?,
            blocks,
            placement: placement.clone(),
        })
    }

    /// `qkv: [S, (heads + 2 * kv_heads) * d]`, queries, keys and values of one layer -> `[S, heads * d]`. Keys and
    /// values are written at the next positions of their caches.
    ///
    /// # Errors
    /// A full cache, or a failing device.
    pub(super) fn attend(&self, qkv: &Tensor, layer: usize, caches: &mut [&mut KvCache]) -> Result<Tensor> {
        match &self.blocks {
            None => self.by_kernels(qkv, layer, caches),
            Some(blocks) => self.by_tensors(blocks, qkv, layer, caches),
        }
    }

    fn by_tensors(
        &self,
        blocks: &[CausalBlocks],
        qkv: &Tensor,
        layer: usize,
        caches: &mut [&mut KvCache],
    ) -> Result<Tensor> {
        let rows = qkv.dim(0)?;
        // [S, heads * d] -> [heads, S, d]
        let split = |first: usize, heads: usize| {
            let part = qkv.narrow(1, first * self.head_dim, heads * self.head_dim)?;
            part.reshape((rows, heads, self.head_dim))?.transpose(0, 1)?.contiguous()
        };
        let q = self.angles.rotate(&split(0, self.heads)?)?;
        let k = self.angles.rotate(&split(self.heads, self.kv_heads)?)?;
        let v = split(self.heads + self.kv_heads, self.kv_heads)?;
        let mut attended = Vec::with_capacity(caches.len());
        for (index, (cache, blocks)) in caches.iter_mut().zip(blocks).enumerate() {
            let own = |x: &Tensor| x.narrow(1, index * self.count, self.count)?.contiguous();
            let (keys, values) = cache.write(layer, &own(&k)?, &own(&v)?)?;
            attended.push(blocks.attend(&own(&q)?, &keys, &values)?);
        }
        Tensor::cat(&attended, 0)?.reshape((rows, self.heads * self.head_dim))
    }

    fn by_kernels(&self, qkv: &Tensor, layer: usize, caches: &mut [&mut KvCache]) -> Result<Tensor> {
        let Self { heads, kv_heads, head_dim: width, count, ref angles, ref placement, .. } = *self;
        let (isa, operands, total) = (placement.isa(), placement.operands, count * caches.len());
        let is_bf16 = placement.operand_dtype() == DType::BF16;
        let mut written = Vec::with_capacity(caches.len());
        for cache in caches {
            let (capacity, first) = (cache.capacity(), cache.len());
            written.push(Written { rows: cache.rows(layer, count, (kv_heads, width), is_bf16)?, capacity, first });
        }
        let mut queries = out::zeros::<f32>(total * heads * width);
        angles.floats(|cos, sin| {
            host::floats(qkv, |qkv| {
                let shape = Heads { queries: heads, keys: kv_heads, width };
                for (index, &mut Written { ref mut rows, capacity, first }) in written.iter_mut().enumerate() {
                    let own = |row_len: usize| index * count * row_len..(index + 1) * count * row_len;
                    let angles = own(width / 2);
                    let rotation = Rotation { cos: &cos[angles.clone()], sin: &sin[angles] };
                    let (qkv, queries) = (&qkv[own(shape.row())], &mut queries[own(heads * width)]);
                    match rows {
                        Rows::F32([keys, values]) => {
                            let cache = CacheMut { keys, values, capacity, first };
                            rope::rotate_and_store(isa, shape, qkv, rotation, queries, cache);
                        }
                        Rows::Bf16([keys, values]) => {
                            let cache = CacheMut { keys, values, capacity, first };
                            rope::rotate_and_store(isa, shape, qkv, rotation, queries, cache);
                        }
                    }
                }
                Ok(())
            })
        })?;
        let cached: Vec<Cached<'_>> = written.iter().map(|written| written.cached(count)).collect();
        let shape = Causal { heads, kv_heads, width, query_stride: heads * width };
        host::written((total, heads * width), placement.operand_dtype(), |out| {
            attention::causal(isa, operands, &queries, &cached, shape, out);
            Ok(())
        })
    }
}
