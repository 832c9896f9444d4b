//! Qwen2: embeddings `[S, D]` in, logits of the last position out.
//!
//! Reference: transformers 4.40 `modeling_qwen2.py`. candle-transformers has a `qwen2` too; it cannot be used here: it
//! takes ids only, builds RoPE positions in the model's dtype, and materialises the whole score matrix.

use candle_core::{D, DType, IndexOp, Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::kv_cache::KvCache;
use super::rope::{Angles, Rope};
use crate::attention::CausalBlocks;
use crate::checkpoint::{Error, LanguageConfig, Weights};
use crate::device::{DeviceMap, Placed, Placement, SlotId};
use crate::interrupt::Interrupt;
use crate::linear::{Linear, Matrix, Pass, Use};
use crate::role::Role;

/// Positions whose logits are computed together where all are wanted: about 80 MB at this family's vocabulary.
const LOGITS_POSITIONS: usize = 128;

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

impl DecoderLayer {
    fn steps_differ(&self) -> bool {
        let attention = [&self.q_proj, &self.k_proj, &self.v_proj, &self.o_proj];
        attention.into_iter().chain([&self.gate_proj, &self.up_proj, &self.down_proj]).any(Linear::steps_differ)
    }
}

/// What all layers on one slot share about the positions of one chunk.
struct Chunk {
    pass: Pass,
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
            let name = |part: &str| Role::Decoder(index).tensor(part);
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
        let table = &Role::Embedding.tensor("weight");
        let (first, last) = (devices.placement(devices.embedding_slot()), devices.placement(devices.head_slot()));
        let embed_tokens = Matrix::load(weights, table, usize::MAX, Use::Lookup, first)?;
        // A tied table is one in memory, unless lookup and products want it on two devices or in two types.
        let one_device = devices.embedding_slot() == devices.head_slot();
        let head = match config.tie_word_embeddings {
            true if one_device && embed_tokens.suits_products(last) => embed_tokens.first_rows(vocab_len),
            true => Matrix::load(weights, table, vocab_len, Use::Product, last)?,
            false => Matrix::load(weights, &Role::Head.tensor("weight"), vocab_len, Use::Product, last)?,
        };
        let model = Self {
            ropes: devices.slots().iter().map(rope).collect(),
            embed_tokens,
            norm: norm(&Role::Norm.tensor("weight"), devices.head_slot())?,
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

    /// Whether decode steps leave other keys and values in the cache than prefill would, beyond the last bits: so it is
    /// with quantized weights.
    pub fn steps_differ(&self) -> bool {
        self.layers.iter().any(DecoderLayer::steps_differ)
    }

    /// An empty cache for `capacity` positions.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        KvCache::new(self.layers.len(), capacity)
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
    /// one. However it ends, the cache holds the chunks that every layer has seen.
    ///
    /// # Errors
    /// No positions, an interrupt, a full cache, or a failing device.
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
        let chunk = |first, count| Ok(Placed::new(embeds.narrow(0, first, count)?, slot));
        let mut last = None;
        let mut on_hidden = |hidden| {
            last = Some(hidden);
            Ok(())
        };
        self.run_chunks(total, &chunk, cache, interrupt, &mut |done| progress(done, total), &mut on_hidden)?;
        let Some(hidden) = last else {
            return Err(candle_core::Error::msg("there are no positions to run").into());
        };
        progress(total, total);
        Ok(self.last_logits(&hidden)?)
    }

    /// One decode step: runs `id` at the cache's next position and returns the f32 logits `[vocab]` after it.
    ///
    /// # Errors
    /// An interrupt, a full cache, an id beyond the table, or a failing device. The cache is then as before.
    pub fn step(
        &self,
        id: u32,
        cache: &mut KvCache,
        interrupt: &Interrupt,
    ) -> std::result::Result<Tensor, crate::Error> {
        let transfer = |x, slot| self.devices.transfer(x, slot);
        let hidden = self.forward_embeds(self.embed(&[id])?, Pass::Step, cache, interrupt, &transfer, &mut |_| ())?;
        Ok(self.last_logits(&hidden)?)
    }

    /// Runs `ids` at the cache's next positions as [`Self::prefill`] does, and gives `on_logits` the f32 logits of each
    /// of them, in order, a few rows at a time. `progress` is told how many positions are done.
    ///
    /// # Errors
    /// As [`Self::prefill`]; no ids are no error.
    pub fn all_logits(
        &self,
        ids: &[u32],
        cache: &mut KvCache,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(usize),
        on_logits: &mut dyn FnMut(Vec<Vec<f32>>),
    ) -> std::result::Result<(), crate::Error> {
        let chunk = |first, count| self.embed(&ids[first..first + count]);
        let mut on_hidden = |hidden: Placed| {
            let hidden = hidden.on(self.devices.head_slot())?;
            let count = hidden.dim(0)?;
            for first in (0..count).step_by(LOGITS_POSITIONS) {
                let rows = hidden.narrow(0, first, LOGITS_POSITIONS.min(count - first))?;
                on_logits(self.logits(&rows, Pass::Prefill)?.to_vec2()?);
            }
            Ok(())
        };
        self.run_chunks(ids.len(), &chunk, cache, interrupt, progress, &mut on_hidden)
    }

    /// Runs `total` positions in chunks. `embeds` gives the embeddings of `count` positions from the given one on;
    /// `on_hidden` takes each chunk's hidden states before the final norm.
    fn run_chunks(
        &self,
        total: usize,
        embeds: &dyn Fn(usize, usize) -> Result<Placed>,
        cache: &mut KvCache,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(usize),
        on_hidden: &mut dyn FnMut(Placed) -> Result<()>,
    ) -> std::result::Result<(), crate::Error> {
        let chunk_tokens = self.devices.prefill_chunk_tokens();
        let transfer = |x, slot| self.devices.transfer(x, slot);
        for done in (0..total).step_by(chunk_tokens) {
            let count = chunk_tokens.min(total - done);
            // As many positions as the layers so far stand for.
            let mut on_layer = |layer: usize| progress(done + count * layer / self.layers.len());
            let chunk = embeds(done, count)?;
            on_hidden(self.forward_embeds(chunk, Pass::Prefill, cache, interrupt, &transfer, &mut on_layer)?)?;
        }
        Ok(())
    }

    /// One chunk: `[S, D]` at the cache's next positions -> hidden states `[S, D]` before the final norm. `transfer`
    /// brings hidden states to the next layer's slot, `on_layer` is told which layer comes next.
    fn forward_embeds(
        &self,
        embeds: Placed,
        pass: Pass,
        cache: &mut KvCache,
        interrupt: &Interrupt,
        transfer: &dyn Fn(Placed, SlotId) -> Result<Placed>,
        on_layer: &mut dyn FnMut(usize),
    ) -> std::result::Result<Placed, crate::Error> {
        let (count, position) = (embeds.tensor().dim(0)?, cache.len());
        cache.check_room(count)?;
        let chunk = |(placement, rope): (&Placement, &Rope)| {
            Ok(Chunk {
                pass,
                angles: rope.angles(position, count)?,
                blocks: CausalBlocks::new(count, position, self.config.num_heads, placement)?,
            })
        };
        let chunks = self.devices.slots().iter().zip(&self.ropes).map(chunk).collect::<Result<Vec<_>>>()?;
        let mut hidden = embeds;
        for (index, layer) in self.layers.iter().enumerate() {
            interrupt.check()?;
            on_layer(index);
            let moved = transfer(hidden, layer.slot)?;
            hidden = Placed::new(self.layer(index, moved.on(layer.slot)?, &chunks[layer.slot], cache)?, layer.slot);
        }
        cache.advance(count);
        Ok(hidden)
    }

    /// One layer, `[S, D]` -> `[S, D]`, its keys and values written at the cache's next positions.
    fn layer(&self, index: usize, x: &Tensor, chunk: &Chunk, cache: &mut KvCache) -> Result<Tensor> {
        let (layer, pass) = (&self.layers[index], chunk.pass);
        let (count, _) = x.dims2()?;
        let head_dim = self.config.head_dim();
        let normed = layer.input_layernorm.forward(x)?;
        // [S, heads * d] -> [heads, S, d]
        let split = |x: Tensor, heads: usize| x.reshape((count, heads, head_dim))?.transpose(0, 1)?.contiguous();
        let q = chunk.angles.rotate(&split(layer.q_proj.forward(&normed, pass)?, self.config.num_heads)?)?;
        let k = chunk.angles.rotate(&split(layer.k_proj.forward(&normed, pass)?, self.config.num_kv_heads)?)?;
        let v = split(layer.v_proj.forward(&normed, pass)?, self.config.num_kv_heads)?;
        let (keys, values) = cache.write(index, &k, &v)?;
        let attended = chunk.blocks.attend(&q, &keys, &values)?;
        let attended = attended.transpose(0, 1)?.reshape((count, self.config.num_heads * head_dim))?;
        let x = (x + layer.o_proj.forward(&attended, pass)?)?;

        let normed = layer.post_attention_layernorm.forward(&x)?;
        let gate = layer.gate_proj.forward(&normed, pass)?.silu()?;
        let mlp = layer.down_proj.forward(&(gate * layer.up_proj.forward(&normed, pass)?)?, pass)?;
        x + mlp
    }

    /// Logits of the last of `[S, D]` hidden states only: `[vocab]`, in f32. It is one position after a prompt as after
    /// a step, so it goes the way of a step, which does not widen a whole head for it.
    fn last_logits(&self, hidden: &Placed) -> Result<Tensor> {
        let hidden = hidden.on(self.devices.head_slot())?;
        let last = hidden.i(hidden.dim(0)? - 1)?.unsqueeze(0)?;
        self.logits(&last, Pass::Step)?.squeeze(D::Minus2)
    }

    /// Logits of `[S, D]` hidden states: `[S, vocab]`, in f32.
    fn logits(&self, hidden: &Tensor, pass: Pass) -> Result<Tensor> {
        self.lm_head.forward(&self.norm.forward(hidden)?, pass)?.to_dtype(DType::F32)
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
        let mut cache = model.new_cache(ids.len());
        model.all_logits(&ids, &mut cache, &interrupt, &mut |done| told.push(done), &mut |_| ()).expect("it runs");
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
            let (embeds, mut cache) = (model.embed(&[1, 2, 3])?, model.new_cache(3));
            model.forward_embeds(embeds, Pass::Prefill, &mut cache, &Interrupt::default(), transfer, &mut |_| ())
        };
        assert!(run(&|x, slot| devices.transfer(x, slot)).is_ok());
        let error = run(&|x, _| Ok(x)).expect_err("the second slot gets a tensor of the first");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("on device slot 0 reached a stage on slot 1"), "{error}: {cause}");
    }
}
