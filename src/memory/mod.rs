//! How much memory a request takes on each device, known from headers alone, before anything is loaded.
//!
//! Weights and KV cache are counted exactly; activations are bounded by the sizes of the largest tensors that live at
//! once: for the CPU's kernels in `activations.rs`, which `docs/performance.md` compares with measured peaks, for GPUs
//! in `gpu.rs`, which a trace of allocations holds to 5 %.

mod activations;
mod gpu;
#[cfg(test)]
mod gpu_tests;
mod place;
mod stages;
mod weights;

use std::fmt;

use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, SlotId};
use crate::size::shown;

pub use place::{Error, Split, WayOut, place};
pub use stages::StagePeaks;
pub use weights::StageBytes;

/// What a request asks of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Distinct frames, or tiles of pictures, that are kept for the tower; `None`: the tower is not loaded.
    pub distinct_frames: Option<usize>,
    /// The most tiles of one picture, whose patches are merged together; 0 for a clip.
    pub tiles_at_once: usize,
    /// Positions of the prompt that are visual tokens.
    pub visual_tokens: usize,
    /// Positions of the prompt.
    pub prompt_tokens: usize,
    /// Positions that a KV cache holds: at least the prompt, and the longest answer.
    pub cache_positions: usize,
    /// KV caches that there are at once, one for each answer that is decoded together with others.
    pub kv_caches: usize,
}

/// Bytes of one device, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// Weights as they are held.
    pub weights: u64,
    /// Keys and values of this device's layers.
    pub kv_cache: u64,
    /// The most that intermediate results take at once, frames and embeddings included.
    pub activations: u64,
    /// What the process and the backend's libraries take.
    pub base: u64,
}

impl Need {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.kv_cache + self.activations + self.base
    }
}

/// What a request may take of a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// As many bytes as are free.
    Free(u64),
    /// As many bytes as the user allows.
    Limit(u64),
}

impl Room {
    /// How much that is.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Free(bytes) | Self::Limit(bytes) => bytes,
        }
    }
}

impl StagePeaks {
    /// Counts what `demand` has alive on one slot.
    pub fn of(checkpoint: &Checkpoint, devices: &DeviceMap, slot: SlotId, demand: &Demand) -> Self {
        match devices.placement(slot).is_gpu {
            true => gpu::stage_peaks(checkpoint, devices, slot, demand),
            false => activations::stage_peaks(checkpoint, devices, slot, demand),
        }
    }
}

/// One device's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPlan {
    /// The device as `--device` writes it.
    pub device: String,
    /// Decoder layers that it holds.
    pub layers: usize,
    /// What it has to hold.
    pub need: Need,
    /// What may be taken of it; `None` where that cannot be found out.
    pub room: Option<Room>,
}

/// The memory of one request over all its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// One per device.
    pub slots: Vec<SlotPlan>,
    /// What the plan is for.
    pub demand: Demand,
}

impl MemoryPlan {
    /// Counts what `demand` takes when its stages run where `devices` says; `room` tells what each slot has.
    pub fn new(
        checkpoint: &Checkpoint,
        vocab_len: usize,
        devices: &DeviceMap,
        demand: Demand,
        room: &dyn Fn(SlotId) -> Option<Room>,
    ) -> Self {
        let stages = StageBytes::of(checkpoint, vocab_len, devices);
        let slot_plan = |(slot, placement): (SlotId, &crate::device::Placement)| {
            let layers = devices.layers_on(slot);
            SlotPlan {
                device: placement.device_name(),
                layers,
                need: Need {
                    weights: stages.on(slot, devices, demand.distinct_frames.is_some()),
                    kv_cache: layers as u64 * activations::kv_bytes(checkpoint, placement, &demand),
                    activations: StagePeaks::of(checkpoint, devices, slot, &demand).most(),
                    base: placement.base_bytes(),
                },
                room: room(slot),
            }
        };
        let mut slots: Vec<SlotPlan> = devices.slots().iter().enumerate().map(slot_plan).collect();
        merge_same_device(&mut slots);
        Self { slots, demand }
    }

    /// Whether every device has room, as far as it is known.
    pub fn fits(&self) -> bool {
        self.slots.iter().all(|slot| slot.room.is_none_or(|room| slot.need.total() <= room.bytes()))
    }
}

/// Slots on the same processor share its memory.
fn merge_same_device(slots: &mut Vec<SlotPlan>) {
    let mut merged: Vec<SlotPlan> = Vec::new();
    for slot in slots.drain(..) {
        match merged.iter_mut().find(|other| other.device == slot.device) {
            Some(other) => {
                other.layers += slot.layers;
                other.need.weights += slot.need.weights;
                other.need.kv_cache += slot.need.kv_cache;
                // Stages run one after the other, and the process is one.
                other.need.activations = other.need.activations.max(slot.need.activations);
            }
            None => merged.push(slot),
        }
    }
    *slots = merged;
}

impl fmt::Display for MemoryPlan {
    /// A table with one line per device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_limited = self.slots.iter().any(|slot| matches!(slot.room, Some(Room::Limit(_))));
        writeln!(
            f,
            "{:<10}{:>8}{:>12}{:>12}{:>14}{:>12}{:>12}",
            "device",
            "layers",
            "weights",
            "KV cache",
            "activations",
            "total",
            if is_limited { "limit" } else { "free" }
        )?;
        for SlotPlan { device, layers, need, room } in &self.slots {
            let room = room.map_or_else(|| "unknown".to_owned(), |room| shown(room.bytes()));
            let [weights, cache, working, total] =
                [need.weights, need.kv_cache, need.activations + need.base, need.total()].map(shown);
            writeln!(f, "{device:<10}{layers:>8}{weights:>12}{cache:>12}{working:>14}{total:>12}{room:>12}")?;
        }
        Ok(())
    }
}
