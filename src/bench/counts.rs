//! How many operations each stage takes, and how many bytes a decode step reads: counted from sizes, not measured.
//!
//! A multiplication and an addition are two operations. Only products and attention count; norms, activations and
//! softmax are a small part of the work, and what they cost shows as a lower share of the peak.

use crate::checkpoint::Checkpoint;
use crate::device::DeviceMap;
use crate::memory::StageBytes;
use crate::quantization::Format;
use crate::role::Role;

/// Operations of a product of `rows` rows with a matrix of so many values.
pub(super) fn product(rows: usize, matrix_values: usize) -> u64 {
    2 * rows as u64 * matrix_values as u64
}

/// Operations of one frame in the vision tower.
pub(super) fn tower_flops(checkpoint: &Checkpoint) -> u64 {
    let vision = checkpoint.vision;
    let (patches, width) = (vision.grid() * vision.grid(), vision.hidden_size);
    let embedding = product(patches, width * 3 * vision.patch_size * vision.patch_size);
    let linear = product(patches, 4 * width * width + 2 * width * checkpoint.tower_mlp_width());
    embedding + vision.num_layers as u64 * (linear + tower_attention_flops(patches, width))
}

/// Operations of attention in one layer of the tower: scores, and the sum of values, each patch with each.
pub(super) fn tower_attention_flops(patches: usize, width: usize) -> u64 {
    2 * product(patches, patches * width)
}

/// Operations of causal attention in one layer, of `count` positions after `depth` others; `width` is that of the
/// queries of all heads.
pub(super) fn causal_attention_flops(width: usize, depth: usize, count: usize) -> u64 {
    2 * 2 * width as u64 * seen(depth, count)
}

/// Operations of one frame in the projector.
pub(super) fn projector_flops(checkpoint: &Checkpoint) -> u64 {
    let patches = checkpoint.vision.grid() * checkpoint.vision.grid();
    let weight = |layer: &String| {
        let shape = checkpoint.weights.shape(&format!("{layer}.weight"))?;
        Some(shape.iter().product::<usize>())
    };
    product(patches, checkpoint.projector.layers.iter().filter_map(weight).sum())
}

/// What the work of the decoder follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoder {
    layers: usize,
    /// Values of the matrices of one layer.
    layer_values: usize,
    head_values: usize,
    /// Width of the queries of all heads.
    query_width: usize,
    /// Bytes of the weights that a step reads, as they are held.
    weight_bytes: u64,
    /// Keys and values of one position in all layers.
    kv_bytes: u64,
}

impl Decoder {
    pub(super) fn of(checkpoint: &Checkpoint, vocab_len: usize, devices: &DeviceMap) -> Self {
        let config = &checkpoint.config.language;
        let (hidden, head_dim) = (config.hidden_size, config.head_dim());
        let (query_width, kv_width) = (config.num_heads * head_dim, config.num_kv_heads * head_dim);
        let head_values = vocab_len * hidden;
        let layers = StageBytes::of(checkpoint, vocab_len, devices).layers.iter().sum::<u64>();
        let kv_bytes =
            |layer| 2 * kv_width * devices.placement(devices.layer_slot(layer)).operand_dtype().size_in_bytes();
        Self {
            layers: config.num_layers,
            layer_values: 2 * hidden * query_width + 2 * hidden * kv_width + 3 * hidden * config.intermediate_size,
            head_values,
            query_width,
            weight_bytes: layers + head_bytes(checkpoint, head_values, devices),
            kv_bytes: (0..config.num_layers).map(kv_bytes).sum::<usize>() as u64,
        }
    }

    /// Operations of `count` positions after `depth` others, with the logits of the last one.
    pub(super) fn prefill_flops(&self, depth: usize, count: usize) -> u64 {
        self.layers_flops(depth, count) + product(1, self.head_values)
    }

    /// Operations of `count` steps of `rows` answers each, from `depth` positions on.
    pub(super) fn steps_flops(&self, depth: usize, count: usize, rows: usize) -> u64 {
        rows as u64 * (self.layers_flops(depth, count) + product(count, self.head_values))
    }

    /// Bytes that `count` steps of `rows` answers each, from `depth` positions on, must read: all weights once and the
    /// whole KV cache of each answer, each time.
    pub(super) fn steps_bytes(&self, depth: usize, count: usize, rows: usize) -> u64 {
        count as u64 * self.weight_bytes + rows as u64 * self.kv_bytes * seen(depth, count)
    }

    fn layers_flops(&self, depth: usize, count: usize) -> u64 {
        let attention = causal_attention_flops(self.query_width, depth, count);
        self.layers as u64 * (product(count, self.layer_values) + attention)
    }
}

/// How many positions `count` positions after `depth` others see in all: each sees those before it, and itself.
fn seen(depth: usize, count: usize) -> u64 {
    let (depth, count) = (depth as u64, count as u64);
    count * depth + count * (count + 1) / 2
}

/// Bytes of the output head as it is held.
fn head_bytes(checkpoint: &Checkpoint, values: usize, devices: &DeviceMap) -> u64 {
    let role = if checkpoint.config.language.tie_word_embeddings { Role::Embedding } else { Role::Head };
    let held = checkpoint.weights.held_format(&role.tensor("weight"));
    let floats = |stored| devices.placement(devices.head_slot()).matrix_dtype(Some(stored)).map(Format::Float);
    let held = held.and_then(|format| format.float().map_or(Some(format), floats));
    held.map_or(0, |format| format.bytes(values) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::preset::Preset;
    use super::*;
    use crate::device::{DeviceName, DtypeRequest, Placement};
    use crate::quantization::{Quantization, Scheme};

    fn half_b(scheme: Option<Scheme>) -> (Checkpoint, DeviceMap) {
        let mut checkpoint = Checkpoint::open(Preset::HalfB.source(), &[]).expect("generated");
        if let Some(scheme) = scheme {
            checkpoint.quantize(scheme).expect("floats");
        }
        let cpu = Placement::open(DeviceName::Cpu, DtypeRequest::F32).expect("the CPU");
        let layers = checkpoint.config.language.num_layers;
        (checkpoint, DeviceMap::single(cpu, layers))
    }

    #[test]
    fn a_frame_takes_what_its_matrices_say() {
        let (checkpoint, _) = half_b(None);
        let (patches, width, mlp) = (729_u64, 1152_u64, 4304_u64);
        let layer = patches * (4 * width * width + 2 * width * mlp) + 2 * patches * patches * width;
        assert_eq!(tower_flops(&checkpoint), 2 * (patches * width * 588 + 26 * layer));
        assert_eq!(projector_flops(&checkpoint), 2 * patches * (1152 * 896 + 896 * 896));
    }

    #[test]
    fn a_prompt_takes_its_products_and_half_a_square_of_attention() {
        let (checkpoint, devices) = half_b(None);
        let decoder = Decoder::of(&checkpoint, 151_936, &devices);
        let (layers, head) = (357_826_560_u64, 151_936 * 896_u64);
        assert_eq!(decoder.prefill_flops(0, 1), 2 * (layers + head) + 24 * 4 * 896);
        assert_eq!(decoder.prefill_flops(0, 100), 2 * (100 * layers + head) + 24 * 4 * 896 * 5050);
        // In two parts there is one more row of logits.
        let parts = decoder.prefill_flops(0, 60) + decoder.prefill_flops(60, 40);
        assert_eq!(parts, decoder.prefill_flops(0, 100) + 2 * head);
        assert_eq!(decoder.steps_flops(100, 1, 1), decoder.prefill_flops(100, 1));
        assert_eq!(decoder.steps_flops(0, 100, 1), decoder.prefill_flops(0, 100) + 99 * 2 * head);
    }

    #[test]
    fn a_step_reads_all_weights_as_they_are_held_and_the_cache() {
        let (checkpoint, devices) = half_b(None);
        let decoder = Decoder::of(&checkpoint, 151_936, &devices);
        // Matrices stay in bf16; norms and biases are held in f32.
        let vectors = 24 * (896 + 128 + 128 + 2 * 896) * 4;
        let weights = 2 * (357_826_560 + 151_936 * 896) + vectors;
        let position = 24 * 2 * 128 * 4;
        assert_eq!(decoder.steps_bytes(0, 1, 1), weights + position);
        assert_eq!(decoder.steps_bytes(10, 2, 1), 2 * weights + (11 + 12) * position);
        assert_eq!(decoder.steps_bytes(10, 2, 8), 2 * weights + 8 * (11 + 12) * position);
        assert_eq!(decoder.steps_flops(10, 2, 8), 8 * decoder.steps_flops(10, 2, 1));
        let (quantized, devices) = half_b(Some(Scheme { quantization: Quantization::Q8_0, vision: false }));
        let decoder = Decoder::of(&quantized, 151_936, &devices);
        let weights = (357_826_560 + 151_936 * 896) / 32 * 34 + vectors;
        assert_eq!(decoder.steps_bytes(0, 1, 1), weights + position);
    }
}
