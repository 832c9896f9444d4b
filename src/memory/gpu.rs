//! Bytes of the tensors that are alive at once where candle computes: of each stage, from the shapes of its operations.
//!
//! Each function follows the code of its stage and takes the moment at which most is alive. A trace of real passes on
//! the CPU, in the pieces and by the operations of a GPU, holds them to 5 % (`gpu_tests.rs`). CUDA differs from that
//! CPU in this, which is counted here and not in the trace: the workspaces of quantized products stay (`WORKSPACE_*`).
//! What the two have alike by reading candle 0.11.1: outputs of operations, casts, copies that make a tensor
//! contiguous or put two side by side, flash attention's sums, and norms, which widen nothing. cuBLAS and its workspace
//! are in the allowance of [`Placement::base_bytes`](crate::device::Placement::base_bytes); kernels' parameters are
//! some bytes.

use candle_core::DType;

use super::{Demand, StagePeaks};
use crate::attention::block_rows;
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, Placement, SlotId};
use crate::linear::{bias_columns, biases_are_columns, columns_with_bias};
use crate::quantization::Format;
use crate::role::Role;

const F32: usize = size_of::<f32>();

/// What quantized products keep on NVIDIA GPUs (candle's `fast_mmq.rs`): partial sums, and by position blocks of 128
/// values in 144 bytes.
const WORKSPACE_SUMS: usize = 256 * 128 * 128 * F32;
const WORKSPACE_BLOCK: (usize, usize) = (128, 144);

/// What all formulas need.
struct Model<'a> {
    checkpoint: &'a Checkpoint,
    devices: &'a DeviceMap,
    slot: SlotId,
    placement: &'a Placement,
    demand: &'a Demand,
    /// Of a value in the arithmetic.
    size: usize,
}

/// What follows a product, as far as it takes memory.
#[derive(Clone, Copy)]
enum After {
    Nothing,
    Bias,
    Add,
    BiasAdd,
    BiasGelu,
}

/// The most that is alive at once on `slot` in each stage, weights and KV cache apart.
pub(super) fn stage_peaks(checkpoint: &Checkpoint, devices: &DeviceMap, slot: SlotId, demand: &Demand) -> StagePeaks {
    let placement = devices.placement(slot);
    let model = Model { checkpoint, devices, slot, placement, demand, size: placement.dtype.size_in_bytes() };
    let workspace = model.workspace();
    let with = |bytes: usize| if bytes == 0 { 0 } else { (bytes + workspace) as u64 };
    StagePeaks {
        load: model.load() as u64,
        vision: with(model.vision()),
        prefill: with(model.prefill()),
        decode: with(model.decode()),
    }
}

impl Model<'_> {
    fn sees(&self) -> bool {
        self.devices.vision_slot() == self.slot && self.demand.distinct_frames.is_some()
    }

    fn decodes(&self) -> bool {
        self.devices.layers_on(self.slot) > 0
    }

    /// Of a copy in f32 beside a tensor in the arithmetic's type; none where that is f32.
    fn wide_copy(&self) -> usize {
        if self.placement.dtype == DType::F32 { 0 } else { F32 }
    }

    fn in_blocks(&self, role: Role, part: &str) -> bool {
        self.checkpoint.weights.held_format(&role.tensor(part)).is_some_and(|format| format.float().is_none())
    }

    /// `rows` of `input` values become `rows` of `output`, the operand not counted.
    fn linear(&self, rows: usize, (input, output): (usize, usize), after: After, in_blocks: bool) -> usize {
        let (size, wide) = (self.size, self.wide_copy());
        // The copy of the operand that goes on with a one for the bias.
        let is_biased = matches!(after, After::Bias | After::BiasAdd | After::BiasGelu);
        let is_widened = is_biased && !in_blocks && biases_are_columns(self.placement);
        let widened = if is_widened { columns_with_bias(input) } else { 0 };
        let product =
            if in_blocks { wide * input + (F32 + wide.min(size)) * output } else { size * (widened + output) };
        // `linear::after`: more than one step is computed in f32.
        let after = match after {
            After::Nothing => size,
            After::Bias if is_widened => size,
            After::BiasAdd if is_widened => 2 * size,
            After::Bias | After::Add => 2 * size,
            After::BiasGelu => 2 * F32,
            After::BiasAdd => 2 * F32 + wide,
        };
        rows * product.max(after * output)
    }

    /// Several linear layers with biases whose outputs follow each other.
    fn joined(&self, rows: usize, input: usize, outputs: &[usize], in_blocks: bool) -> usize {
        let total: usize = outputs.iter().sum();
        match in_blocks {
            false => self.linear(rows, (input, total), After::Bias, false),
            true => {
                let last = outputs.last().copied().unwrap_or(0);
                let parts = self.size * rows * (total - last) + self.linear(rows, (input, last), After::Bias, true);
                parts.max(2 * self.size * rows * total)
            }
        }
    }

    /// The product of `rows` by `keys` scores, their softmax, and the result of `width` values a row.
    fn weighted_sum(&self, rows: usize, keys: usize, width: usize) -> usize {
        let scores = 2 * F32 * rows * keys;
        scores.max((self.wide_copy() + self.size) * rows * keys + self.size * rows * width)
    }

    /// While a weight is read: what it is stored as beside what it is held as, or beside the matrix that it joins.
    fn load(&self) -> usize {
        let weights = &self.checkpoint.weights;
        let transient = |name: &str| {
            let Some(Format::Float(stored)) = weights.format(name) else { return 0 };
            let values: usize = weights.shape(name).unwrap_or(&[]).iter().product();
            let gains_bias = |layer| bias_columns(weights, layer, self.placement) > 0;
            let joins = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"].iter().any(|part| name.contains(part))
                || name.strip_suffix(".weight").is_some_and(gains_bias);
            let is_here = match Role::of(name) {
                Some(Role::Decoder(layer)) => {
                    layer < self.checkpoint.config.language.num_layers && self.devices.layer_slot(layer) == self.slot
                }
                Some(Role::Head | Role::Norm) => self.devices.head_slot() == self.slot,
                Some(Role::Embedding) => false,
                _ => self.sees(),
            };
            let is_float = weights.held_dtype(name).is_some();
            let is_cast = stored != self.placement.dtype;
            let cast = if is_cast { stored.size_in_bytes() } else { 0 };
            let part = if joins { self.size } else { 0 };
            if is_here && is_float { values * (cast + part) } else { 0 }
        };
        weights.names().map(transient).max().unwrap_or(0)
    }

    /// Tokens of the clip or the pictures.
    fn visual_bytes(&self) -> usize {
        self.size * self.demand.visual_tokens * self.checkpoint.config.language.hidden_size
    }

    fn vision(&self) -> usize {
        let Some(frames) = self.demand.distinct_frames.filter(|_| self.sees()) else { return 0 };
        let batch = self.placement.limits.vision_batch_frames;
        // Of a clip each batch leaves its tokens, frame by frame as they are pooled.
        let tokens = |frames_so_far: usize| match self.demand.tiles_at_once {
            0 => self.visual_bytes() * frames_so_far / frames,
            _ => 0,
        };
        let of_batch = |first: usize| {
            let count = batch.min(frames - first);
            let seen = self.tower(count).max(self.projector(count));
            tokens(first) + seen.max(self.pooling(count) + tokens(count))
        };
        let most = (0..frames).step_by(batch).map(of_batch).max().unwrap_or(0);
        most.max(2 * self.visual_bytes()) + self.pictures()
    }

    fn patches(&self) -> usize {
        self.checkpoint.vision.grid() * self.checkpoint.vision.grid()
    }

    /// Prepared frames, in f32.
    fn pixels(&self, frames: usize) -> usize {
        let side = self.checkpoint.vision.image_size;
        frames * 3 * side * side
    }

    fn tower(&self, frames: usize) -> usize {
        let (vision, size) = (self.checkpoint.vision, self.size);
        let (rows, width, mlp) = (frames * self.patches(), vision.hidden_size, self.checkpoint.tower_mlp_width());
        let blocks = |part: &str| self.in_blocks(Role::Tower(Some(0)), part);
        let pixels = F32 * self.pixels(frames);
        let patch_values = 3 * vision.patch_size * vision.patch_size;
        let cut = rows * patch_values * size;
        let narrowed = if self.wide_copy() == 0 { 0 } else { size * self.pixels(frames) };
        let patches = self.linear(rows, (patch_values, width), After::Bias, false);
        let embedding = narrowed + cut + cut.max(patches).max(2 * size * rows * width);
        // Everything below beside a layer's input.
        let qkv = size * rows * width + self.joined(rows, width, &[width; 3], blocks("self_attn.q_proj.weight"));
        let attention = match self.placement.uses_flash_attention() && (width / vision.num_heads).is_multiple_of(8) {
            true => size * rows * 4 * width + F32 * rows * vision.num_heads,
            false => {
                let scored = self.weighted_sum(rows * vision.num_heads, self.patches(), width / vision.num_heads);
                size * rows * 3 * width + (size * rows * 4 * width).max(size * rows * 3 * width + scored)
            }
        };
        let out = size * rows * width
            + self.linear(rows, (width, width), After::BiasAdd, blocks("self_attn.out_proj.weight"));
        let first =
            2 * size * rows * width + self.linear(rows, (width, mlp), After::BiasGelu, blocks("mlp.fc1.weight"));
        let second =
            size * rows * (width + mlp) + self.linear(rows, (mlp, width), After::BiasAdd, blocks("mlp.fc2.weight"));
        let layer = [qkv, attention, out, first, second].into_iter().max().unwrap_or(0);
        pixels + embedding.max(size * rows * width + layer)
    }

    fn projector(&self, frames: usize) -> usize {
        let (rows, hidden) = (frames * self.patches(), self.checkpoint.config.language.hidden_size);
        let width = self.checkpoint.vision.hidden_size;
        let layers = &self.checkpoint.projector.layers;
        let (mut most, mut input) = (0, width);
        for (index, layer) in layers.iter().enumerate() {
            let after = if index + 1 == layers.len() { After::Bias } else { After::BiasGelu };
            let held = self.checkpoint.weights.held_format(&format!("{layer}.weight"));
            let in_blocks = held.is_some_and(|format| format.float().is_none());
            // The features are there all along.
            let operand = if index == 0 { 0 } else { self.size * rows * input };
            most = most.max(operand + self.linear(rows, (input, hidden), after, in_blocks));
            input = hidden;
        }
        F32 * self.pixels(frames) + self.size * rows * width + most
    }

    /// Frames are pooled one by one, in f32, first down and then across.
    fn pooling(&self, frames: usize) -> usize {
        let hidden = self.checkpoint.config.language.hidden_size;
        let grid = self.checkpoint.vision.grid();
        let side = grid.div_ceil(self.checkpoint.config.video_tokens.pool_stride.max(1));
        // Each way: what it is made of, two neighbours, their shares, and the sum.
        let (down, across) = (4 * side * grid, side * grid + 4 * side * side);
        let frame = self.wide_copy() * grid * grid + F32 * down.max(across);
        (self.size * frames * self.patches() + frame) * hidden
    }

    /// All tiles of a picture: by batch, together, as a map, and as that in f32 to be shrunk.
    fn pictures(&self) -> usize {
        let patches = self.demand.tiles_at_once * self.patches();
        patches * self.checkpoint.config.language.hidden_size * (3 * self.size + F32)
    }

    /// What of the prompt is there while layers run.
    fn prompt_bytes(&self) -> usize {
        let hidden = self.checkpoint.config.language.hidden_size;
        let visual = if self.sees() { self.visual_bytes() } else { 0 };
        let embeds =
            if self.devices.embedding_slot() == self.slot { self.size * self.demand.prompt_tokens * hidden } else { 0 };
        visual + embeds
    }

    fn prefill(&self) -> usize {
        let joined = match self.devices.embedding_slot() == self.slot {
            true => 2 * self.size * self.demand.prompt_tokens * self.checkpoint.config.language.hidden_size,
            false => 0,
        };
        if !self.decodes() {
            return joined;
        }
        let (total, chunk) = (self.demand.prompt_tokens, self.devices.prefill_chunk_tokens());
        let of_chunk = |first: usize| {
            let rows = chunk.min(total - first);
            self.mask(rows, first) + self.layer(rows, self.attended(rows, first))
        };
        let chunks = (0..total).step_by(chunk).map(of_chunk);
        joined.max(self.prompt_bytes() + chunks.max().unwrap_or(0))
    }

    /// `rows` positions through a decoder layer, whose attention takes so many bytes.
    fn layer(&self, rows: usize, attended: usize) -> usize {
        let (language, size) = (&self.checkpoint.config.language, self.size);
        let (hidden, width) = (language.hidden_size, language.head_dim());
        let (q, kv) = (language.num_heads * width, language.num_kv_heads * width);
        let joined = q + 2 * kv;
        let blocks = |part: &str| self.in_blocks(Role::Decoder(0), part);
        let in_blocks = blocks("self_attn.q_proj.weight");
        let norm = size * rows * hidden;
        let qkv = norm + self.joined(rows, hidden, &[q, kv, kv], in_blocks);
        // Queries are split, made contiguous and rotated beside the joined tensor; then keys and values.
        let split = size * rows * (joined + 2 * q).max(joined + q + 2 * kv + kv);
        let attention = size * rows * 2 * joined + attended;
        let out = size * rows * q + self.linear(rows, (q, hidden), After::Add, blocks("self_attn.o_proj.weight"));
        let mlp = language.intermediate_size;
        let gated = match blocks("mlp.gate_proj.weight") {
            false => {
                let activated = if self.wide_copy() == 0 { F32 } else { 2 * F32 };
                2 * norm + rows * mlp * (2 * size + activated.max(2 * size))
            }
            true => {
                let gate = self.linear(rows, (hidden, mlp), After::Nothing, true);
                2 * norm + gate.max(size * rows * mlp + gate).max(rows * mlp * 3 * size)
            }
        };
        let down =
            norm + size * rows * mlp + self.linear(rows, (mlp, hidden), After::Add, blocks("mlp.down_proj.weight"));
        let layer = [qkv, split, attention, out, gated, down].into_iter().max().unwrap_or(0);
        // The layer's input, and the angles.
        norm + size * rows * width + layer
    }

    /// Rows of a block of scores.
    fn block(&self, rows: usize, first: usize) -> usize {
        let heads = self.checkpoint.config.language.num_heads;
        block_rows(rows, first, heads, self.placement.limits.attention_scores_bytes, true)
    }

    /// The mask of a block's own positions, which is there while layers run.
    fn mask(&self, rows: usize, first: usize) -> usize {
        match self.block(rows, first) {
            block if block > 1 && !self.placement.flash_attends(rows) => F32 * block * block,
            _ => 0,
        }
    }

    /// Attention of `rows` positions over themselves and the `first` before them, its result included.
    fn attended(&self, rows: usize, first: usize) -> usize {
        let language = &self.checkpoint.config.language;
        let (size, heads, width) = (self.size, language.num_heads, language.head_dim());
        let q = heads * width;
        if self.placement.flash_attends(rows) {
            return size * rows * q + F32 * rows * heads;
        }
        let block = self.block(rows, first);
        let has_one = block == rows;
        let last = rows - (rows - 1) / block * block;
        let largest = |block: usize, done: usize| {
            let keys = first + done + block;
            let queries = if has_one { 0 } else { size * block * q };
            let scored = match block_rows_are_single(rows) {
                true => 4 * F32 * heads * block * keys,
                false => self.weighted_sum(heads * block, keys, width),
            };
            size * done * q + queries + scored
        };
        let before_last = (rows - last).saturating_sub(block);
        let blocks = largest(last, rows - last).max(largest(block, before_last));
        // Blocks put together, and laid out by position.
        let together = 2 * size * rows * q;
        blocks.max(together)
    }

    /// One position of each answer that is decoded.
    fn decode(&self) -> usize {
        if !self.decodes() {
            return 0;
        }
        let language = &self.checkpoint.config.language;
        let answers = self.demand.kv_caches;
        let visual = if self.sees() { self.visual_bytes() } else { 0 };
        // Answers attend one after the other; their results are put together.
        let results = 2 * self.size * language.num_heads * language.head_dim() * (answers - answers.min(1));
        let layer = self.layer(answers, results + self.attended(1, self.demand.cache_positions.saturating_sub(1)));
        let head = match self.devices.head_slot() == self.slot {
            true => {
                let role = if language.tie_word_embeddings { Role::Embedding } else { Role::Head };
                let rows = self.checkpoint.embedding_rows;
                let in_blocks = self.in_blocks(role, "weight");
                let product = self.linear(answers, (language.hidden_size, rows), After::Nothing, in_blocks);
                product.max(answers * rows * (self.size + self.wide_copy()))
            }
            false => 0,
        };
        visual + layer.max(head)
    }

    /// What quantized products keep.
    fn workspace(&self) -> usize {
        let language = &self.checkpoint.config.language;
        let in_blocks = self.in_blocks(Role::Decoder(0), "mlp.down_proj.weight");
        if !self.placement.device.is_cuda() || !in_blocks || !self.decodes() {
            return 0;
        }
        let rows = self.devices.prefill_chunk_tokens().min(self.demand.prompt_tokens);
        let (values, bytes) = WORKSPACE_BLOCK;
        WORKSPACE_SUMS + (rows * language.intermediate_size.div_ceil(values) + values) * bytes
    }
}

/// Rows of decode steps go another way through the softmax, which makes more copies.
fn block_rows_are_single(rows: usize) -> bool {
    rows == 1
}
