//! Self-attention of the decoder over one chunk of positions: rotate, remember, attend.

use candle_core::{DType, Result, Tensor};

use super::kv_cache::{KvCache, Rows};
use super::rope::{Angles, Rope};
use crate::attention::CausalBlocks;
use crate::checkpoint::LanguageConfig;
use crate::device::Placement;
use crate::host;
use crate::kernels::attention::{self, Cache, Causal};
use crate::kernels::out;
use crate::kernels::rope::{self, CacheMut, Heads, Rotation};

/// What all layers on one slot share about the positions of one chunk.
pub(super) struct SelfAttention {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    angles: Angles,
    /// Of devices without kernels of this program.
    blocks: Option<CausalBlocks>,
    placement: Placement,
}

impl SelfAttention {
    /// For `count` positions from `position` on.
    ///
    /// # Errors
    /// A failing device.
    pub(super) fn new(
        config: &LanguageConfig,
        rope: &Rope,
        position: usize,
        count: usize,
        placement: &Placement,
    ) -> Result<Self> {
        let blocks = match placement.uses_kernels() {
            true => None,
            false => Some(CausalBlocks::new(count, position, config.num_heads, placement)?),
        };
        Ok(Self {
            heads: config.num_heads,
            kv_heads: config.num_kv_heads,
            head_dim: config.head_dim(),
            angles: rope.angles(position, count)?,
            blocks,
            placement: placement.clone(),
        })
    }

    /// `qkv: [S, (heads + 2 * kv_heads) * d]`, queries, keys and values of one layer -> `[S, heads * d]`. Keys and
    /// values are written at the cache's next positions.
    ///
    /// # Errors
    /// A full cache, or a failing device.
    pub(super) fn attend(&self, qkv: &Tensor, layer: usize, cache: &mut KvCache) -> Result<Tensor> {
        match &self.blocks {
            None => self.by_kernels(qkv, layer, cache),
            Some(blocks) => self.by_tensors(blocks, qkv, layer, cache),
        }
    }

    fn by_tensors(&self, blocks: &CausalBlocks, qkv: &Tensor, layer: usize, cache: &mut KvCache) -> Result<Tensor> {
        let count = qkv.dim(0)?;
        // [S, heads * d] -> [heads, S, d]
        let split = |first: usize, heads: usize| {
            let part = qkv.narrow(1, first * self.head_dim, heads * self.head_dim)?;
            part.reshape((count, heads, self.head_dim))?.transpose(0, 1)?.contiguous()
        };
        let q = self.angles.rotate(&split(0, self.heads)?)?;
        let k = self.angles.rotate(&split(self.heads, self.kv_heads)?)?;
        let v = split(self.heads + self.kv_heads, self.kv_heads)?;
        let (keys, values) = cache.write(layer, &k, &v)?;
        let attended = blocks.attend(&q, &keys, &values)?;
        attended.transpose(0, 1)?.reshape((count, self.heads * self.head_dim))
    }

    fn by_kernels(&self, qkv: &Tensor, layer: usize, cache: &mut KvCache) -> Result<Tensor> {
        let (count, position, capacity) = (qkv.dim(0)?, cache.len(), cache.capacity());
        let Self { heads, kv_heads, head_dim: width, ref angles, ref placement, .. } = *self;
        let (isa, operands) = (placement.isa(), placement.operands);
        let is_bf16 = placement.operand_dtype() == DType::BF16;
        let rows = cache.rows(layer, count, (kv_heads, width), is_bf16)?;
        let mut queries = out::zeros::<f32>(count * heads * width);
        angles.floats(|cos, sin| {
            host::floats(qkv, |qkv| {
                let (shape, rotation) = (Heads { queries: heads, keys: kv_heads, width }, Rotation { cos, sin });
                match rows {
                    Rows::F32([keys, values]) => {
                        let cache = CacheMut { keys, values, capacity, first: position };
                        rope::rotate_and_store(isa, shape, qkv, rotation, &mut queries, cache);
                    }
                    Rows::Bf16([keys, values]) => {
                        let cache = CacheMut { keys, values, capacity, first: position };
                        rope::rotate_and_store(isa, shape, qkv, rotation, &mut queries, cache);
                    }
                }
                Ok(())
            })
        })?;
        let shape =
            Causal { rows: count, heads, kv_heads, width, first_position: position, query_stride: heads * width };
        let [keys, values] = rows.values();
        let cache = Cache { keys, values, capacity };
        host::written((count, heads * width), placement.operand_dtype(), |out| {
            attention::causal(isa, operands, &queries, cache, shape, out);
            Ok(())
        })
    }
}
