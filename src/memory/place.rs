//! Which decoder layers go to which of the opened devices, by the memory that each has free.

use bytesize::ByteSize;

use super::{Demand, MemoryPlan, Need, StageBytes};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceMap, DeviceName, DtypeRequest, Placement, share_by_room};

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
    /// `--gpu-layers` without a GPU.
    #[error("--gpu-layers needs a GPU, and the devices are: {devices}")]
    NoGpu {
        /// The devices there are.
        devices: String,
    },
}

impl Error {
    /// The error for a plan that does not fit.
    pub fn does_not_fit(plan: &MemoryPlan, ways_out: Vec<String>) -> Self {
        let size = |bytes: u64| ByteSize(bytes).display().si().to_string();
        let short = plan.slots.iter().filter_map(|slot| {
            let free = slot.free.filter(|&free| free < slot.need.total())?;
            let Need { weights, kv_cache, activations, base } = slot.need;
            Some(format!(
                "{} needs {} (weights {}, KV cache {}, activations {}) and has {} free",
                slot.device,
                size(slot.need.total()),
                size(weights),
                size(kv_cache),
                size(activations + base),
                size(free)
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
            Self::NoGpu { .. } => Some("leave --gpu-layers out, or name a GPU with --device".to_owned()),
        }
    }
}

/// Divides the layers and counts the memory.
///
/// Several devices share the layers by the room that each has left beside what else it must hold; with `by_need`, the
/// first single one on which everything fits is taken instead, since every change of device costs a transfer.
/// `gpu_layers` puts that many layers on the GPUs and the rest on the CPU. `free` tells what a device has.
///
/// # Errors
/// [`Error`] if there is no GPU for `gpu_layers`.
pub fn place(
    checkpoint: &Checkpoint,
    vocab_len: usize,
    placements: &[Placement],
    by_need: bool,
    gpu_layers: Option<usize>,
    demand: Demand,
    free: &dyn Fn(&Placement) -> Option<u64>,
) -> Result<(DeviceMap, MemoryPlan), Error> {
    let num_layers = checkpoint.config.language.num_layers;
    let plan = |devices: DeviceMap| {
        let plan = MemoryPlan::new(checkpoint, vocab_len, &devices, demand, &|slot| free(devices.placement(slot)));
        (devices, plan)
    };
    if let Some(gpu_layers) = gpu_layers {
        let (mut slots, on_cpu): (Vec<_>, Vec<_>) = placements.iter().cloned().partition(|p| !p.device.is_cpu());
        if slots.is_empty() {
            let names: Vec<String> = placements.iter().map(Placement::device_name).collect();
            return Err(Error::NoGpu { devices: names.join(", ") });
        }
        let gpu_layers = gpu_layers.min(num_layers);
        let mut counts = shared(checkpoint, vocab_len, &slots, gpu_layers, demand, free);
        let cpu = on_cpu.into_iter().next().or_else(|| Placement::open(DeviceName::Cpu, DtypeRequest::Auto).ok());
        if let Some(cpu) = cpu.filter(|_| gpu_layers < num_layers) {
            slots.push(cpu);
            counts.push(num_layers - gpu_layers);
        }
        return Ok(plan(DeviceMap::new(slots, &counts)));
    }
    if by_need || placements.len() == 1 {
        let mut alone = placements.iter().map(|one| plan(DeviceMap::single(one.clone(), num_layers)));
        let fitting = if placements.len() == 1 { alone.next() } else { alone.find(|(_, plan)| plan.fits()) };
        if let Some(found) = fitting {
            return Ok(found);
        }
    }
    let counts = shared(checkpoint, vocab_len, placements, num_layers, demand, free);
    Ok(plan(DeviceMap::new(placements.to_vec(), &counts)))
}

/// Shares `layers` over `slots` by the room that is left there beside embeddings, tower, head and activations.
fn shared(
    checkpoint: &Checkpoint,
    vocab_len: usize,
    slots: &[Placement],
    layers: usize,
    demand: Demand,
    free: &dyn Fn(&Placement) -> Option<u64>,
) -> Vec<usize> {
    let num_layers = checkpoint.config.language.num_layers;
    // A first, even division tells what each slot holds beside its layers.
    let even = share_by_room(num_layers, &vec![1; slots.len()]);
    let devices = DeviceMap::new(slots.to_vec(), &even);
    let bytes = StageBytes::of(checkpoint, vocab_len, &devices);
    let room = |(slot, placement): (usize, &Placement)| {
        let mut fixed = placement.base_bytes() + super::activations::peak_bytes(checkpoint, &devices, slot, &demand);
        if slot == devices.vision_slot() && demand.distinct_frames.is_some() {
            fixed += bytes.vision;
        }
        if slot == 0 {
            fixed += bytes.embedding;
        }
        if slot == slots.len() - 1 {
            fixed += bytes.head;
        }
        // Devices that do not tell count alike.
        free(placement).unwrap_or(u64::MAX >> 8).saturating_sub(fixed)
    };
    share_by_room(layers, &slots.iter().enumerate().map(room).collect::<Vec<_>>())
}
