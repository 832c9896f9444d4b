//! Whether a request fits the memory of its devices, and which request like it would.

use anyhow::Result;
use llava_video::Error;
use llava_video::checkpoint::{Checkpoint, ConfigOverride};
use llava_video::device::{self, DeviceMap, DeviceName, DeviceRequest, Placement};
use llava_video::memory::{self, Demand, MemoryPlan, Room, Split};
use llava_video::quantization::{Quantization, Scheme};

use super::args::DeviceArgs;

/// What does not change between the requests that are compared.
pub(crate) struct Budget<'a> {
    pub(crate) args: &'a DeviceArgs,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) vocab_len: usize,
    pub(crate) placements: &'a [Placement],
    /// `--set`, for opening the checkpoint anew.
    pub(crate) overrides: &'a [ConfigOverride],
    /// `--quantize`.
    pub(crate) scheme: Option<Scheme>,
}

impl Budget<'_> {
    /// Where each layer goes, and what that takes.
    ///
    /// # Errors
    /// `--gpu-layers` without a GPU.
    pub(crate) fn place(&self, demand: Demand) -> Result<(DeviceMap, MemoryPlan)> {
        match self.args.gpu_layers {
            Some(layers) => self.place_on_gpus(layers, demand),
            None if self.args.device == DeviceRequest::Auto => Ok(self.divide(&Split::ByNeed(self.placements), demand)),
            None => Ok(self.divide(&Split::Over(self.placements), demand)),
        }
    }

    /// The first `layers` on the GPUs, the others on the CPU, in the arithmetic that the request has for it.
    fn place_on_gpus(&self, layers: usize, demand: Demand) -> Result<(DeviceMap, MemoryPlan)> {
        let (gpus, cpus): (Vec<_>, Vec<_>) = self.placements.iter().cloned().partition(|p| !p.device.is_cpu());
        if gpus.is_empty() {
            let devices = cpus.iter().map(Placement::device_name).collect::<Vec<_>>().join(", ");
            return Err(Error::from(device::Error::NoGpu { devices }).into());
        }
        let rest = cpus.into_iter().next().map_or_else(|| self.open_cpu(), Ok)?;
        Ok(self.divide(&Split::Leading { leading: &gpus, layers, rest: &rest }, demand))
    }

    fn open_cpu(&self) -> Result<Placement> {
        Ok(Placement::open(DeviceName::Cpu, self.args.dtype).map_err(Error::from)?)
    }

    fn divide(&self, split: &Split<'_>, demand: Demand) -> (DeviceMap, MemoryPlan) {
        memory::place(self.checkpoint, self.vocab_len, split, demand, &|placement| self.room(placement))
    }

    fn room(&self, placement: &Placement) -> Option<Room> {
        let limit = self.args.memory_limit.map(|limit| Room::Limit(limit.as_u64()));
        limit.or_else(|| placement.free_bytes().map(Room::Free))
    }

    /// The error for a plan that does not fit, with what would: fewer frames, fewer bits, both where neither is enough,
    /// other devices. `frames` is the number that is asked for, if frames are sampled, and `demand_of` what another
    /// number takes.
    pub(crate) fn refusal(
        &self,
        plan: &MemoryPlan,
        frames: Option<usize>,
        demand_of: &dyn Fn(usize) -> Result<Demand>,
    ) -> anyhow::Error {
        let fewer_frames = frames.and_then(|frames| self.fewer_frames(frames, demand_of));
        let mut ways_out: Vec<String> =
            fewer_frames.map(|fewer| format!("fewer frames (`--frames {fewer}`)")).into_iter().collect();
        ways_out.extend(self.fewer_bits(plan.demand));
        if ways_out.is_empty() {
            ways_out.extend(frames.and_then(|frames| self.fewer_of_both(frames, demand_of)));
        }
        ways_out.extend(self.other_devices(plan.demand));
        Error::from(memory::Error::does_not_fit(plan, ways_out)).into()
    }

    /// The most frames below `frames` that fit.
    fn fewer_frames(&self, frames: usize, demand_of: &dyn Fn(usize) -> Result<Demand>) -> Option<usize> {
        most_frames_below(frames, |frames| Ok(self.place(demand_of(frames)?)?.1.fits())).ok()?
    }

    /// The quantization that loses least and fits.
    fn fewer_bits(&self, demand: Demand) -> Option<String> {
        let fits = |budget: &Budget<'_>| budget.place(demand).is_ok_and(|(_, plan)| plan.fits()).then_some(());
        let (quantization, ()) = self.quantized(fits).next()?;
        Some(format!("fewer bits (`--quantize {}`)", quantization.name()))
    }

    /// The quantization that leaves room for the most frames, of several the one that loses least.
    fn fewer_of_both(&self, frames: usize, demand_of: &dyn Fn(usize) -> Result<Demand>) -> Option<String> {
        let fitting = self.quantized(|budget| budget.fewer_frames(frames, demand_of));
        let (quantization, fewer) = fitting.reduce(|best, other| if other.1 > best.1 { other } else { best })?;
        Some(format!("fewer frames in fewer bits (`--frames {fewer} --quantize {}`)", quantization.name()))
    }

    /// What `find` finds with each quantization, those that lose least first; none if one is chosen already. Only
    /// headers are read for it.
    fn quantized<T>(&self, find: impl Fn(&Budget<'_>) -> Option<T>) -> impl Iterator<Item = (Quantization, T)> {
        let choices = self.scheme.is_none().then_some(Quantization::ALL).into_iter().flatten();
        choices.filter_map(move |quantization| {
            let mut checkpoint = Checkpoint::open(&self.checkpoint.source, self.overrides).ok()?;
            checkpoint.quantize(Scheme { quantization, vision: false }).ok()?;
            Some((quantization, find(&Budget { checkpoint: &checkpoint, ..*self })?))
        })
    }

    /// The most layers that fit on the GPUs with the rest on the CPU, else the CPU alone.
    fn other_devices(&self, demand: Demand) -> Option<String> {
        if self.placements.iter().all(|placement| placement.device.is_cpu()) {
            return None;
        }
        if self.args.gpu_layers.is_none() {
            let fits = |&layers: &usize| self.place_on_gpus(layers, demand).is_ok_and(|(_, plan)| plan.fits());
            if let Some(layers) = (1..self.checkpoint.config.language.num_layers).rev().find(fits) {
                return Some(format!("part of the model on the CPU (`--gpu-layers {layers}`)"));
            }
        }
        let cpu = self.open_cpu().ok()?;
        let (_, plan) = self.divide(&Split::Over(&[cpu]), demand);
        plan.fits().then(|| "the CPU alone (`--device cpu`)".to_owned())
    }
}

/// The largest number of frames below `frames` that `fits`, found by halving: more frames never take less room.
///
/// # Errors
/// The first of `fits`.
pub(crate) fn most_frames_below(frames: usize, fits: impl Fn(usize) -> Result<bool>) -> Result<Option<usize>> {
    let (mut fitting, mut too_many) = (0, frames);
    while too_many - fitting > 1 {
        let middle = fitting + (too_many - fitting) / 2;
        *(if fits(middle)? { &mut fitting } else { &mut too_many }) = middle;
    }
    Ok((fitting > 0).then_some(fitting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frames_are_found_whatever_the_limit() {
        for limit in 0..20 {
            for frames in 1..20 {
                let found = most_frames_below(frames, |n| Ok(n <= limit)).expect("nothing fails");
                assert_eq!(found, Some(limit.min(frames - 1)).filter(|&n| n > 0), "{limit} of {frames}");
            }
        }
    }
}
