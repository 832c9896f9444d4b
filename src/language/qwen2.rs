//! Qwen2: embeddings `[S, D]` in, logits of the last position out.
//!
//! Reference: transformers 4.40 `modeling_qwen2.py`. candle-transformers has a `qwen2` too; it cannot be used here: it
//! takes ids only, builds RoPE positions in the model's dtype, and materialises the whole score matrix.

use candle_core::{D, DType, IndexOp, Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::rope::{Angles, Rope};
use crate::attention::CausalBlocks;
use crate::checkpoint::{Error, LanguageConfig, Weights};
use crate::device::Placement;
use crate::interrupt::Interrupt;
use crate::linear::Linear;

/// Keys and values of all positions so far, one pair per layer, each `[kv_heads, capacity, head_dim]`; allocated once.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<candle_nn::kv_cache::KvCache>,
    capacity: usize,
}

impl KvCache {
    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.k_cache().current_seq_len())
    }

    /// Whether no position is filled yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Positions that it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

#[derive(Debug)]
struct DecoderLayer {
    input_layernorm: RmsNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// What all layers share about the positions of one chunk.
struct Chunk {
    angles: Angles,
    blocks: CausalBlocks,
}

/// The language model.
#[derive(Debug)]
pub struct Qwen2 {
    config: LanguageConfig,
    placement: Placement,
    /// `[rows, D]` as stored; rows are looked up and widened one by one.
    embed_tokens: Tensor,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    /// `[vocab, D]`: rows that no token id reaches are not loaded, so they can never be generated.
    lm_head: Linear,
    rope: Rope,
}

impl Qwen2 {
    /// Loads the decoder. `vocab_len` is the number of ids that can be generated (at most the rows stored); `progress`
    /// is told how many layers are done.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub fn load(
        config: &LanguageConfig,
        weights: &Weights,
        vocab_len: usize,
        placement: &Placement,
        progress: &mut dyn FnMut(usize, usize) -> std::result::Result<(), crate::Error>,
    ) -> std::result::Result<Self, crate::Error> {
        let (device, dtype) = (&placement.device, placement.dtype);
        let tensor = |name: &str| weights.load(name, Some(dtype), device);
        let matrix = |name: &str| weights.load(name, placement.matrix_dtype(weights.dtype(name)), device);
        let norm = |name: &str| Ok::<_, Error>(RmsNorm::new(tensor(name)?, config.rms_norm_eps));
        let mut layers = Vec::with_capacity(config.num_layers);
        for index in 0..config.num_layers {
            progress(index, config.num_layers)?;
            let name = |rest: &str| format!("model.layers.{index}.{rest}");
            let plain = |rest: &str| Ok::<_, Error>(Linear::new(matrix(&name(&format!("{rest}.weight")))?, None));
            let biased = |rest: &str| {
                let weight = matrix(&name(&format!("{rest}.weight")))?;
                Ok::<_, Error>(Linear::new(weight, Some(tensor(&name(&format!("{rest}.bias")))?)))
            };
            layers.push(DecoderLayer {
                input_layernorm: norm(&name("input_layernorm.weight"))?,
                q_proj: biased("self_attn.q_proj")?,
                k_proj: biased("self_attn.k_proj")?,
                v_proj: biased("self_attn.v_proj")?,
                o_proj: plain("self_attn.o_proj")?,
                post_attention_layernorm: norm(&name("post_attention_layernorm.weight"))?,
                gate_proj: plain("mlp.gate_proj")?,
                up_proj: plain("mlp.up_proj")?,
                down_proj: plain("mlp.down_proj")?,
            });
        }
        let head = if config.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
        let model = Self {
            rope: Rope::new(config.head_dim(), config.rope_theta, dtype, device),
            embed_tokens: weights.load("model.embed_tokens.weight", None, device)?,
            norm: norm("model.norm.weight")?,
            lm_head: Linear::new(
                weights.load_rows(head, vocab_len, placement.matrix_dtype(weights.dtype(head)), device)?,
                None,
            ),
            config: config.clone(),
            placement: placement.clone(),
            layers,
        };
        progress(config.num_layers, config.num_layers)?;
        Ok(model)
    }

    /// Ids that can be generated.
    pub fn vocab_len(&self) -> usize {
        self.lm_head.weight().dims()[0]
    }

    /// An empty cache for `capacity` positions.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        let layer = || candle_nn::kv_cache::KvCache::new(1, capacity);
        KvCache { layers: self.layers.iter().map(|_| layer()).collect(), capacity }
    }

    /// Embeddings of `ids`: `[S]` -> `[S, D]`, unscaled.
    ///
    /// # Errors
    /// An id beyond the table, or a failing device.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::new(ids, &self.placement.device)?;
        self.embed_tokens.index_select(&ids, 0)?.to_dtype(self.placement.dtype)
    }

    /// Runs `embeds: [S, D]` at the cache's next positions, in chunks, and returns the f32 logits `[vocab]` of the last
    /// position. `progress` is told how many positions are done.
    ///
    /// # Errors
    /// An interrupt, a full cache, or a failing device.
    pub fn prefill(
        &self,
        embeds: &Tensor,
        cache: &mut KvCache,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(usize, usize),
    ) -> std::result::Result<Tensor, crate::Error> {
        let total = embeds.dim(0)?;
        let mut done = 0;
        loop {
            progress(done, total);
            let count = self.placement.prefill_chunk_tokens().min(total - done);
            let hidden = self.forward_embeds(&embeds.narrow(0, done, count)?, cache, interrupt)?;
            done += count;
            if done == total {
                progress(done, total);
                return Ok(self.last_logits(&hidden)?);
            }
        }
    }

    /// One chunk: `[S, D]` at the cache's next positions -> hidden states `[S, D]` before the final norm.
    fn forward_embeds(
        &self,
        embeds: &Tensor,
        cache: &mut KvCache,
        interrupt: &Interrupt,
    ) -> std::result::Result<Tensor, crate::Error> {
        let (count, position) = (embeds.dim(0)?, cache.len());
        if position + count > cache.capacity {
            let capacity = cache.capacity;
            return Err(candle_core::Error::msg(format!(
                "a KV cache of {capacity} positions cannot take {count} more at position {position}"
            ))
            .into());
        }
        let chunk = Chunk {
            angles: self.rope.angles(position, count)?,
            blocks: CausalBlocks::new(
                count,
                position,
                self.config.num_heads,
                self.placement.attention_scores_bytes(),
                &self.placement.device,
            )?,
        };
        let mut hidden = embeds.clone();
        for (layer, cache) in self.layers.iter().zip(&mut cache.layers) {
            interrupt.check()?;
            hidden = self.layer(layer, &hidden, &chunk, cache)?;
        }
        Ok(hidden)
    }

    fn layer(
        &self,
        layer: &DecoderLayer,
        x: &Tensor,
        chunk: &Chunk,
        cache: &mut candle_nn::kv_cache::KvCache,
    ) -> Result<Tensor> {
        let (count, _) = x.dims2()?;
        let head_dim = self.config.head_dim();
        let normed = layer.input_layernorm.forward(x)?;
        // [S, heads * d] -> [heads, S, d]
        let split = |x: Tensor, heads: usize| x.reshape((count, heads, head_dim))?.transpose(0, 1)?.contiguous();
        let q = chunk.angles.rotate(&split(layer.q_proj.forward(&normed)?, self.config.num_heads)?)?;
        let k = chunk.angles.rotate(&split(layer.k_proj.forward(&normed)?, self.config.num_kv_heads)?)?;
        let v = split(layer.v_proj.forward(&normed)?, self.config.num_kv_heads)?;
        let (keys, values) = cache.append(&k, &v)?;
        let attended = chunk.blocks.attend(&q, &keys, &values)?;
        let attended = attended.transpose(0, 1)?.reshape((count, self.config.num_heads * head_dim))?;
        let x = (x + layer.o_proj.forward(&attended)?)?;

        let normed = layer.post_attention_layernorm.forward(&x)?;
        let gate = layer.gate_proj.forward(&normed)?.silu()?;
        let mlp = layer.down_proj.forward(&(gate * layer.up_proj.forward(&normed)?)?)?;
        x + mlp
    }

    /// Logits of the last of `[S, D]` hidden states only: `[vocab]`, in f32.
    fn last_logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let last = hidden.i(hidden.dim(0)? - 1)?.unsqueeze(0)?;
        self.lm_head.forward(&self.norm.forward(&last)?)?.squeeze(D::Minus2)?.to_dtype(DType::F32)
    }
}
