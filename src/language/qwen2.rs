//! Qwen2: embeddings `[S, D]` in, logits of the last position out.
//!
//! Reference: transformers 4.40 `modeling_qwen2.py`. candle-transformers has a `qwen2` too; it cannot be used here: it
//! takes ids only, builds RoPE positions in the model's dtype, and materialises the whole score matrix.

use candle_core::{D, DType, IndexOp, Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::rope::{Angles, Rope};
use crate::attention::CausalBlocks;
use crate::checkpoint::{Error, LanguageConfig, Weights};
use crate::device::{DeviceMap, Placed, Placement, SlotId};
use crate::interrupt::Interrupt;
use crate::linear::{Linear, Matrix, Use};

/// Positions whose logits are computed together where all are wanted: about 80 MB at this family's vocabulary.
const LOGITS_POSITIONS: usize = 128;

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
    slot: SlotId,
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

/// What all layers on one slot share about the positions of one chunk.
struct Chunk {
    angles: Angles,
    blocks: CausalBlocks,
}

/// The language model.
#[derive(Debug)]
pub struct Qwen2 {
    config: LanguageConfig,
    devices: DeviceMap,
    /// `[rows, D]` as stored or quantized; rows are looked up and widened one by one.
    embed_tokens: Matrix,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    /// `[vocab, D]`: rows that no token id reaches are not loaded, so they can never be generated.
    lm_head: Linear,
    vocab_len: usize,
    /// One per slot.
    ropes: Vec<Rope>,
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
        devices: &DeviceMap,
        progress: &mut dyn FnMut(usize, usize) -> std::result::Result<(), crate::Error>,
    ) -> std::result::Result<Self, crate::Error> {
        let tensor = |name: &str, slot: SlotId| {
            let placement = devices.placement(slot);
            weights.load(name, Some(placement.dtype), &placement.device)
        };
        let norm = |name: &str, slot| Ok::<_, Error>(RmsNorm::new(tensor(name, slot)?, config.rms_norm_eps));
        let mut layers = Vec::with_capacity(config.num_layers);
        for index in 0..config.num_layers {
            progress(index, config.num_layers)?;
            let slot = devices.layer_slot(index);
            let placement = devices.placement(slot);
            let matrix = |name: &str| Matrix::load(weights, name, usize::MAX, Use::Product, placement);
            let name = |rest: &str| format!("model.layers.{index}.{rest}");
            let plain = |rest: &str| Ok::<_, Error>(Linear::new(matrix(&name(&format!("{rest}.weight")))?, None));
            let biased = |rest: &str| {
                let weight = matrix(&name(&format!("{rest}.weight")))?;
                Ok::<_, Error>(Linear::new(weight, Some(tensor(&name(&format!("{rest}.bias")), slot)?)))
            };
            layers.push(DecoderLayer {
                slot,
                input_layernorm: norm(&name("input_layernorm.weight"), slot)?,
                q_proj: biased("self_attn.q_proj")?,
                k_proj: biased("self_attn.k_proj")?,
                v_proj: biased("self_attn.v_proj")?,
                o_proj: plain("self_attn.o_proj")?,
                post_attention_layernorm: norm(&name("post_attention_layernorm.weight"), slot)?,
                gate_proj: plain("mlp.gate_proj")?,
                up_proj: plain("mlp.up_proj")?,
                down_proj: plain("mlp.down_proj")?,
            });
        }
        let rope =
            |placement: &Placement| Rope::new(config.head_dim(), config.rope_theta, placement.dtype, &placement.device);
        let table = "model.embed_tokens.weight";
        let (first, last) = (devices.placement(devices.embedding_slot()), devices.placement(devices.head_slot()));
        let embed_tokens = Matrix::load(weights, table, usize::MAX, Use::Lookup, first)?;
        // A tied table is one in memory, unless lookup and products want it on two devices or in two types.
        let one_device = devices.embedding_slot() == devices.head_slot();
        let head = match config.tie_word_embeddings {
            true if one_device && embed_tokens.suits_products(last) => embed_tokens.first_rows(vocab_len),
            true => Matrix::load(weights, table, vocab_len, Use::Product, last)?,
            false => Matrix::load(weights, "lm_head.weight", vocab_len, Use::Product, last)?,
        };
        let model = Self {
            ropes: devices.slots().iter().map(rope).collect(),
            embed_tokens,
            norm: norm("model.norm.weight", devices.head_slot())?,
            vocab_len: head.rows(),
            lm_head: Linear::new(head, None),
            config: config.clone(),
            devices: devices.clone(),
            layers,
        };
        progress(config.num_layers, config.num_layers)?;
        Ok(model)
    }

    /// Ids that can be generated.
    pub fn vocab_len(&self) -> usize {
        self.vocab_len
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
    pub fn embed(&self, ids: &[u32]) -> Result<Placed> {
        let slot = self.devices.embedding_slot();
        let placement = self.devices.placement(slot);
        Ok(Placed::new(self.embed_tokens.lookup(ids, placement)?, slot))
    }

    /// Runs `embeds: [S, D]` at the cache's next positions, in chunks, and returns the f32 logits `[vocab]` of the last
    /// position. `progress` is told how many positions are done, as if the layers of a chunk went through it one by
    /// one.
    ///
    /// # Errors
    /// An interrupt, a full cache, or a failing device.
    pub fn prefill(
        &self,
        embeds: &Placed,
        cache: &mut KvCache,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(usize, usize),
    ) -> std::result::Result<Tensor, crate::Error> {
        let slot = self.devices.embedding_slot();
        let embeds = embeds.on(slot)?;
        let total = embeds.dim(0)?;
        let mut done = 0;
        loop {
            let count = self.devices.prefill_chunk_tokens().min(total - done);
            let chunk = Placed::new(embeds.narrow(0, done, count)?, slot);
            let transfer = |x, slot| self.devices.transfer(x, slot);
            let mut on_layer = |layer| progress(done + self.part_of(count, layer), total);
            let hidden = self.forward_embeds(chunk, cache, interrupt, &transfer, &mut on_layer)?;
            done += count;
            if done == total {
                progress(done, total);
                return Ok(self.last_logits(&hidden)?);
            }
        }
    }

    /// The share of `count` positions that the first `layers` of all layers stand for.
    fn part_of(&self, count: usize, layers: usize) -> usize {
        count * layers / self.layers.len().max(1)
    }

    /// Gives `on_logits` the f32 logits of every position of `ids`, in order, a few rows at a time. `progress` is told
    /// how many positions are done, as by [`Self::prefill`].
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub fn all_logits(
        &self,
        ids: &[u32],
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(usize),
        on_logits: &mut dyn FnMut(Vec<Vec<f32>>),
    ) -> std::result::Result<(), crate::Error> {
        let mut cache = self.new_cache(ids.len());
        let transfer = |x, slot| self.devices.transfer(x, slot);
        for ids in ids.chunks(self.devices.prefill_chunk_tokens()) {
            let done = cache.len();
            let mut on_layer = |layer| progress(done + self.part_of(ids.len(), layer));
            let hidden = self.forward_embeds(self.embed(ids)?, &mut cache, interrupt, &transfer, &mut on_layer)?;
            let hidden = hidden.on(self.devices.head_slot())?;
            for first in (0..ids.len()).step_by(LOGITS_POSITIONS) {
                let rows = hidden.narrow(0, first, LOGITS_POSITIONS.min(ids.len() - first))?;
                let logits = self.lm_head.forward(&self.norm.forward(&rows)?)?;
                on_logits(logits.to_dtype(DType::F32)?.to_vec2()?);
            }
        }
        Ok(())
    }

    /// One chunk: `[S, D]` at the cache's next positions -> hidden states `[S, D]` before the final norm. `transfer`
    /// brings hidden states to the next layer's slot, `on_layer` is told which layer comes next.
    fn forward_embeds(
        &self,
        embeds: Placed,
        cache: &mut KvCache,
        interrupt: &Interrupt,
        transfer: &dyn Fn(Placed, SlotId) -> Result<Placed>,
        on_layer: &mut dyn FnMut(usize),
    ) -> std::result::Result<Placed, crate::Error> {
        let (count, position) = (embeds.tensor().dim(0)?, cache.len());
        if position + count > cache.capacity {
            let capacity = cache.capacity;
            return Err(candle_core::Error::msg(format!(
                "a KV cache of {capacity} positions cannot take {count} more at position {position}"
            ))
            .into());
        }
        let chunk = |(placement, rope): (&Placement, &Rope)| {
            Ok(Chunk {
                angles: rope.angles(position, count)?,
                blocks: CausalBlocks::new(count, position, self.config.num_heads, placement)?,
            })
        };
        let chunks = self.devices.slots().iter().zip(&self.ropes).map(chunk).collect::<Result<Vec<_>>>()?;
        let mut hidden = embeds;
        for (index, (layer, cache)) in self.layers.iter().zip(&mut cache.layers).enumerate() {
            interrupt.check()?;
            on_layer(index);
            let moved = transfer(hidden, layer.slot)?;
            hidden = Placed::new(self.layer(layer, moved.on(layer.slot)?, &chunks[layer.slot], cache)?, layer.slot);
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
    fn last_logits(&self, hidden: &Placed) -> Result<Tensor> {
        let hidden = hidden.on(self.devices.head_slot())?;
        let last = hidden.i(hidden.dim(0)? - 1)?.unsqueeze(0)?;
        self.lm_head.forward(&self.norm.forward(&last)?)?.squeeze(D::Minus2)?.to_dtype(DType::F32)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::checkpoint::Checkpoint;

    /// A window of a large model takes minutes on a CPU: what is told moves with every layer, not with the window
    /// alone.
    #[test]
    fn progress_moves_with_every_layer() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/golden/ckpt/a_9x9_untied_sharded_bf16");
        let checkpoint = Checkpoint::open(&dir, &[]).expect("a golden checkpoint");
        let (config, weights) = (&checkpoint.config.language, &checkpoint.weights);
        let cpu = Placement { device: Device::Cpu, dtype: DType::F32 };
        let devices = DeviceMap::single(cpu, config.num_layers);
        let model = Qwen2::load(config, weights, 10, &devices, &mut |_, _| Ok(())).expect("it loads");
        let ids = vec![1; 10 * config.num_layers];
        let expected: Vec<usize> = (0..config.num_layers).map(|layer| 10 * layer).collect();
        let (interrupt, mut told) = (Interrupt::default(), Vec::new());
        model.all_logits(&ids, &interrupt, &mut |done| told.push(done), &mut |_| ()).expect("it runs");
        assert_eq!(told, expected);
        told.clear();
        let embeds = model.embed(&ids).expect("known ids");
        let mut on_positions = |done, _| told.push(done);
        model.prefill(&embeds, &mut model.new_cache(ids.len()), &interrupt, &mut on_positions).expect("it runs");
        assert_eq!(told[..expected.len()], expected);
        assert_eq!(told.last(), Some(&ids.len()));
    }

    /// Between two CPU slots a forgotten transfer would compute the right numbers all the same; the slots notice.
    #[test]
    fn a_transfer_that_is_left_out_is_an_error() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/golden/ckpt/a_9x9_untied_sharded_bf16");
        let checkpoint = Checkpoint::open(&dir, &[]).expect("a golden checkpoint");
        let cpu = Placement { device: Device::Cpu, dtype: DType::F32 };
        let devices = DeviceMap::new(vec![cpu.clone(), cpu], &[1, checkpoint.config.language.num_layers - 1]);
        let (config, weights) = (&checkpoint.config.language, &checkpoint.weights);
        let model = Qwen2::load(config, weights, 10, &devices, &mut |_, _| Ok(())).expect("it loads");
        let run = |transfer: &dyn Fn(Placed, SlotId) -> Result<Placed>| {
            let embeds = model.embed(&[1, 2, 3])?;
            model.forward_embeds(embeds, &mut model.new_cache(3), &Interrupt::default(), transfer, &mut |_| ())
        };
        assert!(run(&|x, slot| devices.transfer(x, slot)).is_ok());
        let error = run(&|x, _| Ok(x)).expect_err("the second slot gets a tensor of the first");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("on device slot 0 reached a stage on slot 1"), "{error}: {cause}");
    }
}
