//! Which decoder layers go to which of the opened devices, by the memory that each has free.

use std::fmt;

use super::{Demand, MemoryPlan, Need, Room, StageBytes, StagePeaks};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, Placement, SlotId, share_by_room};
use crate::quantization::Quantization;
use crate::size::{shown, shown_apart};

/// A request that cannot be placed on its devices.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// More than a device has free, or than the user allows.
    #[error("not enough memory: {needs}")]
    DoesNotFit {
        /// What each device that is too small needs and has.
        needs: String,
        /// Requests like this one that would fit.
        ways_out: Vec<WayOut>,
    },
}

/// A request like one that does not fit, which would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// So many frames.
    FewerFrames(usize),
    /// The language model in fewer bits.
    FewerBits(Quantization),
    /// So many frames, and the language model in fewer bits.
    FewerOfBoth(usize, Quantization),
    /// So many decoder layers on the GPU, the rest on the CPU.
    PartOnCpu {
        /// Layers on the GPU.
        gpu_layers: usize,
    },
    /// The CPU alone.
    CpuAlone,
}

impl fmt::Display for WayOut {
    /// As a hint lists it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerFrames(frames) => write!(f, "fewer frames (`--frames {frames}`)"),
            Self::FewerBits(quantization) => write!(f, "fewer bits (`--quantize {}`)", quantization.name()),
            Self::FewerOfBoth(frames, quantization) => {
                let name = quantization.name();
                write!(f, "fewer frames in fewer bits (`--frames {frames} --quantize {name}`)")
            }
            Self::PartOnCpu { gpu_layers } => write!(f, "part of the model on the CPU (`--gpu-layers {gpu_layers}`)"),
            Self::CpuAlone => write!(f, "the CPU alone (`--device cpu`)"),
        }
    }
}

impl Error {
    /// The error for a plan that does not fit.
    pub fn does_not_fit(plan: &MemoryPlan, ways_out: Vec<WayOut>) -> Self {
        let short = plan.slots.iter().filter_map(|slot| {
            let room = slot.room.filter(|room| room.bytes() < slot.need.total())?;
            let Need { weights, kv_cache, activations, base } = slot.need;
            let (needed, there) = shown_apart(slot.need.total(), room.bytes());
            let has = match room {
                Room::Free(_) => format!("has {there} free"),
                Room::Limit(_) => format!("may take {there}"),
            };
            Some(format!(
                "{} needs {needed} (weights {}, KV cache {}, activations {}) and {has}",
                slot.device,
                shown(weights),
                shown(kv_cache),
                shown(activations + base)
            ))
        });
        Self::DoesNotFit { needs: short.collect::<Vec<_>>().join("; "), ways_out }
    }

    /// What the user can try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::DoesNotFit { ways_out, .. } if ways_out.is_empty() => {
                Some("free memory, or use a machine or a GPU with that much".to_owned())
            }
            Self::DoesNotFit { ways_out, .. } => {
                let ways_out: Vec<String> = ways_out.iter().map(WayOut::to_string).collect();
                Some(format!("what would fit: {}", ways_out.join(", or ")))
            }
        }
    }
}

/// How the decoder's layers are divided.
#[derive(Debug, Clone)]
pub enum Split<'a> {
    /// All on the first single device on which everything fits, since every change of device costs a transfer; over all
    /// of them if there is none.
    ByNeed(&'a [Placement]),
    /// Over all of them.
    Over(&'a [Placement]),
    /// The first `layers` over `leading`, what is left on `rest`.
    Leading {
        /// Where the first layers go.
        leading: &'a [Placement],
        /// How many those are.
        layers: usize,
        /// Where the others go.
        rest: &'a Placement,
    },
}

/// Divides the layers and counts the memory. Several devices share layers by the room that each has left beside what
/// else it must hold; `available` tells what may be taken of a device.
///
/// # Panics
/// Without any device.
pub fn place(
    checkpoint: &Checkpoint,
    vocab_len: usize,
    split: &Split<'_>,
    demand: Demand,
    available: &dyn Fn(&Placement) -> Option<Room>,
) -> (DeviceMap, MemoryPlan) {
    let num_layers = checkpoint.config.language.num_layers;
    let planned = |devices: DeviceMap| {
        let plan = MemoryPlan::new(checkpoint, vocab_len, &devices, demand, &|slot| available(devices.placement(slot)));
        (devices, plan)
    };
    let (sharing, layers, rest) = match *split {
        Split::ByNeed(placements) => {
            let mut alone = placements.iter().map(|one| planned(DeviceMap::single(one.clone(), num_layers)));
            if let Some(fitting) = alone.find(|(_, plan)| plan.fits()) {
                return fitting;
            }
            (placements, num_layers, None)
        }
        Split::Over(placements) => (placements, num_layers, None),
        Split::Leading { leading, layers, rest } if layers < num_layers => (leading, layers, Some(rest)),
        Split::Leading { leading, .. } => (leading, num_layers, None),
    };
    let slots: Vec<Placement> = sharing.iter().chain(rest).cloned().collect();
    let map = |mut counts: Vec<usize>| {
        counts.extend(rest.map(|_| num_layers - layers));
        DeviceMap::new(slots.clone(), &counts)
    };
    // A first, even division tells what each slot holds beside its layers.
    let even = map(share_by_room(layers, &vec![1; sharing.len()]));
    let stages = StageBytes::of(checkpoint, vocab_len, &even);
    let room = |(slot, placement): (SlotId, &Placement)| {
        let beside = stages.beside_layers(slot, &even, demand.distinct_frames.is_some())
            + placement.base_bytes()
            + StagePeaks::of(checkpoint, &even, slot, &demand).most();
        // Devices that do not tell count alike.
        available(placement).map_or(u64::MAX >> 8, Room::bytes).saturating_sub(beside)
    };
    planned(map(share_by_room(layers, &sharing.iter().enumerate().map(room).collect::<Vec<_>>())))
}
