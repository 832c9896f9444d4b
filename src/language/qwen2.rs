//! Qwen2: embeddings `[S, D]` in, logits of the last position out.
//!
//! Reference: transformers 4.40 `modeling_qwen2.py`. candle-transformers has a `qwen2` too; it cannot be used here: it
//! takes ids only, builds RoPE positions in the model's dtype, and materialises the whole score matrix.

use candle_core::{D, DType, IndexOp, Result, Tensor};

use super::kv_cache::KvCache;
use super::rope::Rope;
use super::self_attention::SelfAttention;
use crate::checkpoint::{LanguageConfig, Weights};
use crate::device::{DeviceMap, Placed, Placement, SlotId};
use crate::interrupt::Interrupt;
use crate::linear::{Gated, Joint, Linear, Matrix, Pass, Then, Use};
use crate::norm::Norm;
use crate::role::Role;

/// Positions whose logits are computed together where all are wanted: about 80 MB at this family's vocabulary.
const LOGITS_POSITIONS: usize = 128;

#[derive(Debug)]
struct DecoderLayer {
    slot: SlotId,
    input_layernorm: Norm,
    /// Queries, keys and values.
    qkv: Joint,
    o_proj: Linear,
    post_attention_layernorm: Norm,
    gate_up: Gated,
    down_proj: Linear,
}

impl DecoderLayer {
    fn steps_differ(&self) -> bool {
        let linear = [&self.o_proj, &self.down_proj];
        self.qkv.steps_differ() || self.gate_up.steps_differ() || linear.into_iter().any(Linear::steps_differ)
    }
}

/// The language model.
#[derive(Debug)]
pub struct Qwen2 {
    config: LanguageConfig,
    devices: DeviceMap,
    /// `[rows, D]` as stored or quantized; rows are looked up and widened one by one.
    embed_tokens: Matrix,
    layers: Vec<DecoderLayer>,
    norm: Norm,
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
        let mut layers = Vec::with_capacity(config.num_layers);
        for index in 0..config.num_layers {
            progress(index, config.num_layers)?;
            let slot = devices.layer_slot(index);
            let placement = devices.placement(slot);
            let name = |part: &str| Role::Decoder(index).tensor(part);
            let norm = |part: &str| Norm::rms(weights, &name(part), config.rms_norm_eps, placement);
            let plain = |part: &str| Linear::load(weights, &name(part), false, placement);
            let qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].map(name);
            layers.push(DecoderLayer {
                slot,
                input_layernorm: norm("input_layernorm.weight")?,
                qkv: Joint::load(weights, &qkv, placement)?,
                o_proj: plain("self_attn.o_proj")?,
                post_attention_layernorm: norm("post_attention_layernorm.weight")?,
                gate_up: Gated::load(weights, &name("mlp.gate_proj"), &name("mlp.up_proj"), placement)?,
                down_proj: plain("mlp.down_proj")?,
            });
        }
        let rope =
            |placement: &Placement| Rope::new(config.head_dim(), config.rope_theta, placement.dtype, &placement.device);
        let table = &Role::Embedding.tensor("weight");
        let (first, last) = (devices.placement(devices.embedding_slot()), devices.placement(devices.head_slot()));
        // A tied table is one in memory, unless lookup and products want it on two devices or in two types.
        let is_shared = config.tie_word_embeddings && devices.shares_table(weights.held_dtype(table));
        let purpose = if is_shared { Use::Product } else { Use::Lookup };
        let embed_tokens = Matrix::load(weights, table, usize::MAX, purpose, first)?;
        let head = match config.tie_word_embeddings {
            true if is_shared => embed_tokens.first_rows(vocab_len),
            true => Matrix::load(weights, table, vocab_len, Use::Product, last)?,
            false => Matrix::load(weights, &Role::Head.tensor("weight"), vocab_len, Use::Product, last)?,
        };
        let model = Self {
            ropes: devices.slots().iter().map(rope).collect(),
            embed_tokens,
            norm: Norm::rms(weights, &Role::Norm.tensor("weight"), config.rms_norm_eps, last)?,
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

    /// Whether the CPU multiplies bytes in prefill.
    pub(crate) fn prefill_multiplies_bytes(&self) -> bool {
        self.layers.iter().any(|layer| layer.down_proj.multiplies_bytes(Pass::Prefill))
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
        Ok(self.step_many(&[id], &mut [cache], interrupt)?.squeeze(0)?)
    }

    /// One decode step of several answers at once, for which the weights are read once: runs `ids[i]` at the next
    /// position of `caches[i]`, and returns the f32 logits `[N, vocab]` after them. The CPU's kernels give each row the
    /// bits that [`Self::step`] gives it alone.
    ///
    /// # Errors
    /// Not one id for each cache, an interrupt, a full cache, an id beyond the table, or a failing device. All caches
    /// are then as before.
    pub fn step_many(
        &self,
        ids: &[u32],
        caches: &mut [&mut KvCache],
        interrupt: &Interrupt,
    ) -> std::result::Result<Tensor, crate::Error> {
        if ids.is_empty() || ids.len() != caches.len() {
            let message = format!("a decode step of {} ids over {} KV caches", ids.len(), caches.len());
            return Err(candle_core::Error::msg(message).into());
        }
        let transfer = |x, slot| self.devices.transfer(x, slot);
        let hidden = self.forward_embeds(self.embed(ids)?, Pass::Step, caches, interrupt, &transfer, &mut |_| ())?;
        let logits = self.logits(hidden.on(self.devices.head_slot())?, Pass::Step)?;
        caches.iter_mut().for_each(|cache| cache.advance(1));
        Ok(logits)
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
            let caches = &mut [&mut *cache];
            let hidden = self.forward_embeds(chunk, Pass::Prefill, caches, interrupt, &transfer, &mut on_layer)?;
            cache.advance(count);
            on_hidden(hidden)?;
        }
        Ok(())
    }

    /// Positions that run together, `[S, D]`, as many of each cache, one cache's after the other's -> hidden states
    /// `[S, D]` before the final norm. Keys and values are written at the caches' next positions, which do not count as
    /// filled yet. `transfer` brings hidden states to the next layer's slot, `on_layer` is told which layer comes next.
    fn forward_embeds(
        &self,
        embeds: Placed,
        pass: Pass,
        caches: &mut [&mut KvCache],
        interrupt: &Interrupt,
        transfer: &dyn Fn(Placed, SlotId) -> Result<Placed>,
        on_layer: &mut dyn FnMut(usize),
    ) -> std::result::Result<Placed, crate::Error> {
        let rows = embeds.tensor().dim(0)?;
        let count = rows / caches.len();
        caches.iter().try_for_each(|cache| cache.check_room(count))?;
        caches.iter_mut().try_for_each(|cache| self.allocate(cache))?;
        let firsts: Vec<usize> = caches.iter().map(|cache| cache.len()).collect();
        let attention =
            |(placement, rope): (&Placement, &Rope)| SelfAttention::new(&self.config, rope, &firsts, count, placement);
        let attentions = self.devices.slots().iter().zip(&self.ropes).map(attention).collect::<Result<Vec<_>>>()?;
        let mut hidden = embeds;
        for (index, layer) in self.layers.iter().enumerate() {
            interrupt.check()?;
            on_layer(index);
            let moved = transfer(hidden, layer.slot)?;
            let layer_of = |x| self.layer(index, x, pass, &attentions[layer.slot], caches);
            hidden = Placed::new(moved.on(layer.slot).and_then(layer_of)?, layer.slot);
        }
        Ok(hidden)
    }

    /// Memory for what is written to a cache, where candle computes.
    fn allocate(&self, cache: &mut KvCache) -> Result<()> {
        let heads = (self.config.num_kv_heads, self.config.head_dim());
        for (index, layer) in self.layers.iter().enumerate() {
            let placement = self.devices.placement(layer.slot);
            if !placement.uses_kernels() {
                cache.allocate(index, heads, placement.dtype, &placement.device)?;
            }
        }
        Ok(())
    }

    /// One layer, `[S, D]` -> `[S, D]`, its keys and values written at the caches' next positions.
    fn layer(
        &self,
        index: usize,
        x: &Tensor,
        pass: Pass,
        attention: &SelfAttention,
        caches: &mut [&mut KvCache],
    ) -> Result<Tensor> {
        let layer = &self.layers[index];
        // What is not needed any more makes room: the tensors of a layer are what a GPU has to hold.
        let attended = {
            let qkv = layer.qkv.forward(&layer.input_layernorm.forward(x)?, pass)?;
            attention.attend(&qkv, index, caches)?
        };
        let x = layer.o_proj.forward_then(&attended, pass, Then::Add(x))?;
        drop(attended);
        let mlp = layer.gate_up.forward(&layer.post_attention_layernorm.forward(&x)?, pass)?;
        layer.down_proj.forward_then(&mlp, pass, Then::Add(&x))
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
        let cpu = Placement::whole(Device::Cpu, DType::F32);
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
        let cpu = Placement::whole(Device::Cpu, DType::F32);
        let devices = DeviceMap::new(vec![cpu.clone(), cpu], &[1, checkpoint.config.language.num_layers - 1]);
        let (config, weights) = (&checkpoint.config.language, &checkpoint.weights);
        let model = Qwen2::load(config, weights, 10, &devices, &mut |_, _| Ok(())).expect("it loads");
        let run = |transfer: &dyn Fn(Placed, SlotId) -> Result<Placed>| {
            let (embeds, cache) = (model.embed(&[1, 2, 3])?, &mut model.new_cache(3));
            model.forward_embeds(embeds, Pass::Prefill, &mut [cache], &Interrupt::default(), transfer, &mut |_| ())
        };
        assert!(run(&|x, slot| devices.transfer(x, slot)).is_ok());
        let error = run(&|x, _| Ok(x)).expect_err("the second slot gets a tensor of the first");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("on device slot 0 reached a stage on slot 1"), "{error}: {cause}");
    }
}
