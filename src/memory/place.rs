//! Which decoder layers go to which of the opened devices, by the memory that each has free.

use super::{Demand, MemoryPlan, Need, StageBytes, activations};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, Placement, SlotId, share_by_room};
use crate::size::shown;

/// A request that cannot be placed on its devices.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// More than a device has free.
    #[error("not enough memory: {needs}")]
    DoesNotFit {
        /// What each device that is too small needs and has.
        needs: String,
        /// Requests like this one that would fit.
        ways_out: Vec<String>,
    },
}

impl Error {
    /// The error for a plan that does not fit.
    pub fn does_not_fit(plan: &MemoryPlan, ways_out: Vec<String>) -> Self {
        let short = plan.slots.iter().filter_map(|slot| {
            let free = slot.free.filter(|&free| free < slot.need.total())?;
            let Need { weights, kv_cache, activations, base } = slot.need;
            Some(format!(
                "{} needs {} (weights {}, KV cache {}, activations {}) and has {} free",
                slot.device,
                shown(slot.need.total()),
                shown(weights),
                shown(kv_cache),
                shown(activations + base),
                shown(free)
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
            Self::DoesNotFit { ways_out, .. } => Some(format!("what would fit: {}", ways_out.join(", or "))),
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
/// else it must hold; `free` tells what a device has.
///
/// # Panics
/// Without any device.
pub fn place(
    checkpoint: &Checkpoint,
    vocab_len: usize,
    split: &Split<'_>,
    demand: Demand,
    free: &dyn Fn(&Placement) -> Option<u64>,
) -> (DeviceMap, MemoryPlan) {
    let num_layers = checkpoint.config.language.num_layers;
    let planned = |devices: DeviceMap| {
        let plan = MemoryPlan::new(checkpoint, vocab_len, &devices, demand, &|slot| free(devices.placement(slot)));
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
            + activations::peak_bytes(checkpoint, &even, slot, &demand);
        // Devices that do not tell count alike.
        free(placement).unwrap_or(u64::MAX >> 8).saturating_sub(beside)
    };
    planned(map(share_by_room(layers, &sharing.iter().enumerate().map(room).collect::<Vec<_>>())))
}
