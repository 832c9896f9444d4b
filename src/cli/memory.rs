//! Whether a request fits the memory of its devices, and which request like it would.

use anyhow::Result;
use llava_video::Error;
use llava_video::checkpoint::{Checkpoint, ConfigOverride};
use llava_video::device::{DeviceMap, DeviceName, DeviceRequest, Placement};
use llava_video::memory::{self, Demand, MemoryPlan};
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
        self.place_on(self.placements, self.args.gpu_layers, demand)
    }

    fn place_on(
        &self,
        placements: &[Placement],
        gpu_layers: Option<usize>,
        demand: Demand,
    ) -> Result<(DeviceMap, MemoryPlan)> {
        let by_need = self.args.device == DeviceRequest::Auto;
        let free = |placement: &Placement| self.free_bytes(placement);
        let placed = memory::place(self.checkpoint, self.vocab_len, placements, by_need, gpu_layers, demand, &free);
        Ok(placed.map_err(Error::from)?)
    }

    fn free_bytes(&self, placement: &Placement) -> Option<u64> {
        self.args.memory_limit.map(|limit| limit.as_u64()).or_else(|| placement.free_bytes())
    }

    /// The error for a plan that does not fit, with what would: fewer frames, fewer bits, other devices. `frames` is the number that
    /// is asked for, if frames are sampled, and `demand_of` what another number takes.
    pub(crate) fn refusal(
        &self,
        plan: &MemoryPlan,
        frames: Option<usize>,
        demand_of: &dyn Fn(usize) -> Result<Demand>,
    ) -> anyhow::Error {
        let mut ways_out = Vec::new();
        if let Some(fewer) = frames.and_then(|frames| self.frames_that_fit(frames, demand_of)) {
            ways_out.push(format!("fewer frames (`--frames {fewer}`)"));
        }
        ways_out.extend(self.fewer_bits(plan.demand));
        ways_out.extend(self.other_devices(plan.demand));
        Error::from(memory::Error::does_not_fit(plan, ways_out)).into()
    }

    /// The largest number below `frames` that fits; more frames never take less.
    fn frames_that_fit(&self, frames: usize, demand_of: &dyn Fn(usize) -> Result<Demand>) -> Option<usize> {
        let fits = |frames| demand_of(frames).and_then(|demand| self.place(demand)).is_ok_and(|(_, plan)| plan.fits());
        let (mut fitting, mut too_many) = (0, frames);
        while too_many - fitting > 1 {
            let middle = fitting + (too_many - fitting) / 2;
            *(if fits(middle) { &mut fitting } else { &mut too_many }) = middle;
        }
        (fitting > 0).then_some(fitting)
    }

    /// The quantization that loses least and fits; only headers are read for it.
    fn fewer_bits(&self, demand: Demand) -> Option<String> {
        if self.scheme.is_some() {
            return None;
        }
        let fits = |quantization: Quantization| {
            let mut checkpoint = Checkpoint::open(&self.checkpoint.source, self.overrides).ok()?;
            checkpoint.quantize(Scheme { quantization, vision: false }).ok()?;
            let (_, plan) = Budget { checkpoint: &checkpoint, ..*self }.place(demand).ok()?;
            plan.fits().then_some(quantization)
        };
        let quantization = Quantization::ALL.into_iter().find_map(fits)?;
        Some(format!("fewer bits (`--quantize {}`)", quantization.name()))
    }

    /// The most layers that fit on the GPUs with the rest on the CPU, else the CPU alone, else what would be needed.
    fn other_devices(&self, demand: Demand) -> Option<String> {
        let fits = |placements: &[Placement], gpu_layers| {
            self.place_on(placements, gpu_layers, demand).is_ok_and(|(_, plan)| plan.fits())
        };
        let has_gpu = self.placements.iter().any(|placement| !placement.device.is_cpu());
        if has_gpu && self.args.gpu_layers.is_none() {
            let layers = self.checkpoint.config.language.num_layers;
            if let Some(on_gpu) = (1..layers).rev().find(|&count| fits(self.placements, Some(count))) {
                return Some(format!("part of the model on the CPU (`--gpu-layers {on_gpu}`)"));
            }
        }
        let cpu = Placement::open(DeviceName::Cpu, self.args.dtype).ok().filter(|_| has_gpu)?;
        fits(&[cpu], None).then(|| "the CPU alone (`--device cpu`)".to_owned())
    }
}
