//! Bytes of what is computed on the way on the CPU: KV cache exactly, everything else as the sum of the largest tensors
//! that live at the same time in the code of each stage.

use candle_core::DType;

use super::{Demand, StagePeaks};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, Placement, SlotId};

/// Keys and values of one layer, in all caches.
pub(super) fn kv_bytes(checkpoint: &Checkpoint, placement: &Placement, demand: &Demand) -> u64 {
    let language = &checkpoint.config.language;
    let positions = demand.kv_caches * demand.cache_positions;
    (2 * language.num_kv_heads * language.head_dim() * positions * placement.operand_dtype().size_in_bytes()) as u64
}

/// The most that is alive at once on `slot`: prepared frames and embeddings, and the tower or a prefill chunk. What a
/// decode step takes, and what loading takes beside the weights, is less.
pub(super) fn stage_peaks(checkpoint: &Checkpoint, devices: &DeviceMap, slot: SlotId, demand: &Demand) -> StagePeaks {
    let placement = devices.placement(slot);
    let hidden = checkpoint.config.language.hidden_size;
    let size = placement.dtype.size_in_bytes();
    let sees = devices.vision_slot() == slot && demand.distinct_frames.is_some();
    let mut resident = 0;
    if sees {
        // Visual tokens by batch, and their sequence.
        resident += 2 * demand.visual_tokens * hidden * size;
        // All patches of a picture: by batch, together, as a map, and as that in f32 to be shrunk.
        let patches = demand.tiles_at_once * checkpoint.vision.grid() * checkpoint.vision.grid();
        resident += patches * hidden * (3 * size + DType::F32.size_in_bytes());
    }
    let image_size = checkpoint.vision.image_size;
    resident += demand.distinct_frames.unwrap_or(0) * 3 * image_size * image_size;
    if devices.embedding_slot() == slot {
        resident += 2 * demand.prompt_tokens * hidden * size;
    }
    let tower = if sees { tower_bytes(checkpoint, placement) } else { 0 };
    let decodes = devices.layers_on(slot) > 0;
    let chunk = if decodes { chunk_bytes(checkpoint, placement, devices.prefill_chunk_tokens(), demand) } else { 0 };
    let [vision, prefill] = [tower, chunk].map(|stage| (resident + stage) as u64);
    StagePeaks { load: 0, vision, prefill, decode: 0 }
}

/// One batch of frames through the tower and the projector.
fn tower_bytes(checkpoint: &Checkpoint, placement: &Placement) -> usize {
    let vision = checkpoint.vision;
    let size = placement.dtype.size_in_bytes();
    let patches = vision.grid() * vision.grid();
    let mlp_width = checkpoint.tower_mlp_width();
    // What the CPU's kernels do on the way to the result needs no room of its own.
    let is_ours = placement.uses_kernels();
    // The first product and its GELU; elsewhere the product with its bias, and both in f32, too.
    let mlp_bytes = if is_ours { size } else { 2 * size + 2 * DType::F32.size_in_bytes() };
    // The softmax works in place.
    let scores = if is_ours { 0 } else { DType::F32.size_in_bytes() };
    let per_frame = 2 * 3 * vision.image_size * vision.image_size * DType::F32.size_in_bytes()
        // x, its norm, queries, keys, values and their reshaped copies
        + 8 * patches * vision.hidden_size * size
        + mlp_bytes * patches * mlp_width
        + scores * vision.num_heads * patches * patches
        // two projector layers with GELU between, and the pooled grid
        + 3 * patches * checkpoint.config.language.hidden_size * size;
    placement.limits.vision_batch_frames * per_frame
}

/// One prefill chunk through a decoder layer.
fn chunk_bytes(checkpoint: &Checkpoint, placement: &Placement, chunk_tokens: usize, demand: &Demand) -> usize {
    let language = &checkpoint.config.language;
    let size = placement.dtype.size_in_bytes();
    let rows = chunk_tokens.min(demand.prompt_tokens);
    let all_scores = language.num_heads * rows * demand.prompt_tokens * DType::F32.size_in_bytes();
    let scores = if placement.uses_kernels() { 0 } else { placement.limits.attention_scores_bytes.min(all_scores) };
    // The feed-forward part: gate and up with the gate's SiLU, which is computed in f32; one result by the CPU's kernels.
    let width_bytes = if placement.uses_kernels() { size } else { 3 * size + 2 * DType::F32.size_in_bytes() };
    let feed_forward = width_bytes * rows * language.intermediate_size;
    let attention = scores + 8 * rows * language.hidden_size * size;
    let norms = 4 * rows * language.hidden_size * size;
    norms + attention.max(feed_forward)
}
