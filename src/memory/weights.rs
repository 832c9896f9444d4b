//! Bytes of each stage's weights as they will be held, from the headers of the weight files.

use candle_core::DType;

use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, Placement, SlotId};
use crate::linear::bias_columns;
use crate::quantization::Format;
use crate::role::Role;

/// Bytes of weights by stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageBytes {
    /// Vision tower, projector and learned tokens.
    pub vision: u64,
    /// The embedding table.
    pub embedding: u64,
    /// Each decoder layer.
    pub layers: Vec<u64>,
    /// Final norm and output head.
    pub head: u64,
}

impl StageBytes {
    /// Counts them; `vocab_len` rows of the head are loaded.
    pub fn of(checkpoint: &Checkpoint, vocab_len: usize, devices: &DeviceMap) -> Self {
        let weights = &checkpoint.weights;
        let tied = checkpoint.config.language.tie_word_embeddings;
        let shared = tied && devices.shares_table(weights.held_dtype(&Role::Embedding.tensor("weight")));
        let mut bytes =
            Self { vision: 0, embedding: 0, layers: vec![0; checkpoint.config.language.num_layers], head: 0 };
        let (vision, head) = (devices.placement(devices.vision_slot()), devices.placement(devices.head_slot()));
        let head_rows = |name: &str| {
            let shape = weights.shape(name).unwrap_or(&[]);
            let width: usize = shape.iter().skip(1).product();
            let rows = shape.first().copied().unwrap_or(0).min(vocab_len);
            as_held(checkpoint, name, rows * width, head.matrix_dtype(weights.dtype(name)))
        };
        for name in weights.names() {
            match Role::of(name) {
                Some(Role::Decoder(layer)) if layer < bytes.layers.len() => {
                    bytes.layers[layer] += held(checkpoint, name, devices.placement(devices.layer_slot(layer)));
                }
                Some(Role::Embedding) => {
                    let values = weights.shape(name).unwrap_or(&[]).iter().product();
                    bytes.embedding += as_held(checkpoint, name, values, weights.dtype(name));
                    bytes.head += if tied && !shared { head_rows(name) } else { 0 };
                }
                Some(Role::Head) => bytes.head += if tied { 0 } else { head_rows(name) },
                Some(Role::Norm) => bytes.head += held(checkpoint, name, head),
                _ => bytes.vision += held(checkpoint, name, vision),
            }
        }
        bytes
    }

    /// What one slot holds of them.
    pub fn on(&self, slot: SlotId, devices: &DeviceMap, with_vision: bool) -> u64 {
        let layers = self.layers.iter().enumerate().filter(|(layer, _)| devices.layer_slot(*layer) == slot);
        self.beside_layers(slot, devices, with_vision) + layers.map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// What one slot holds of all but the decoder's layers.
    pub fn beside_layers(&self, slot: SlotId, devices: &DeviceMap, with_vision: bool) -> u64 {
        let mut bytes = 0;
        if with_vision && devices.vision_slot() == slot {
            bytes += self.vision;
        }
        if devices.embedding_slot() == slot {
            bytes += self.embedding;
        }
        if devices.head_slot() == slot {
            bytes += self.head;
        }
        bytes
    }
}

/// Bytes of one tensor as it is held on `placement`.
fn held(checkpoint: &Checkpoint, name: &str, placement: &Placement) -> u64 {
    let shape = checkpoint.weights.shape(name).unwrap_or(&[]);
    let stored = checkpoint.weights.dtype(name);
    // Matrices of linear layers may keep a narrower dtype; tables that are added stay in the arithmetic's.
    let is_added = Role::split(name) == Some((Role::Tower(None), "embeddings.position_embedding.weight"));
    let is_matrix = shape.len() >= 2 && !is_added;
    let dtype = if is_matrix { placement.matrix_dtype(stored) } else { Some(placement.dtype) };
    let values = match name.strip_suffix(".bias") {
        // What the weight gains is the bias and zeros beside it.
        Some(layer) => shape.iter().product::<usize>() * bias_columns(&checkpoint.weights, layer, placement).max(1),
        None => shape.iter().product(),
    };
    as_held(checkpoint, name, values, dtype)
}

/// Bytes of `values` values of a tensor, which is held in `dtype` unless it is held in blocks.
fn as_held(checkpoint: &Checkpoint, name: &str, values: usize, dtype: Option<DType>) -> u64 {
    let format = match checkpoint.weights.held_format(name) {
        Some(Format::Float(stored)) => Format::Float(dtype.unwrap_or(stored)),
        Some(blocks) => blocks,
        None => return 0,
    };
    format.bytes(values) as u64
}
