//! Whether a request fits the memory of its devices, and which request like it would.

use super::error::Error;
use crate::checkpoint::{Checkpoint, ConfigOverride};
use crate::device::{self, DeviceMap, DeviceName, DeviceRequest, Devices, DtypeRequest, Placement};
use crate::memory::{self, Demand, MemoryPlan, Room, Split, WayOut};
use crate::quantization::{Quantization, Scheme};
use crate::search::most_below;

/// Where the model runs.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// The devices.
    pub device: DeviceRequest,
    /// The arithmetic.
    pub dtype: DtypeRequest,
    /// Decoder layers to put on GPUs, the rest on the CPU; `None` leaves it to what is free.
    pub gpu_layers: Option<usize>,
    /// Memory to plan with on each device; `None`: what is free.
    pub memory_limit_bytes: Option<u64>,
}

/// What does not change between the requests that are compared.
pub(crate) struct Budget<'a> {
    pub(crate) options: &'a DeviceOptions,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) vocab_len: usize,
    pub(crate) devices: &'a Devices,
    /// Those of the checkpoint's config, for opening it again.
    pub(crate) overrides: &'a [ConfigOverride],
    /// In how many bits weights are held.
    pub(crate) scheme: Option<Scheme>,
}

impl Budget<'_> {
    /// Where each layer goes, and what that takes. What does not fit opens the GPUs that `auto` has left.
    ///
    /// # Errors
    /// GPU layers without a GPU.
    pub(crate) fn place(&self, demand: Demand) -> Result<(DeviceMap, MemoryPlan), Error> {
        loop {
            let (devices, plan) = self.place_on_opened(demand)?;
            if plan.fits() || !self.devices.open_another() {
                return Ok((devices, plan));
            }
        }
    }

    fn place_on_opened(&self, demand: Demand) -> Result<(DeviceMap, MemoryPlan), Error> {
        let placements = self.devices.placements();
        match self.options.gpu_layers {
            Some(layers) => self.place_on_gpus(layers, demand),
            None if self.options.device == DeviceRequest::Auto => Ok(self.divide(&Split::ByNeed(&placements), demand)),
            None => Ok(self.divide(&Split::Over(&placements), demand)),
        }
    }

    /// What another demand takes where `before` was placed, of what was free then.
    pub(super) fn place_again(&self, devices: &DeviceMap, before: &MemoryPlan, demand: Demand) -> MemoryPlan {
        let room = |slot| {
            let device = devices.placement(slot).device_name();
            before.slots.iter().find(|slot| slot.device == device).and_then(|slot| slot.room)
        };
        MemoryPlan::new(self.checkpoint, self.vocab_len, devices, demand, &room)
    }

    /// The first `layers` on the GPUs, the others on the CPU, in the arithmetic that the request has for it.
    fn place_on_gpus(&self, layers: usize, demand: Demand) -> Result<(DeviceMap, MemoryPlan), Error> {
        let (gpus, cpus): (Vec<_>, Vec<_>) = self.devices.placements().into_iter().partition(|p| !p.device.is_cpu());
        if gpus.is_empty() {
            let devices = cpus.iter().map(Placement::device_name).collect::<Vec<_>>().join(", ");
            return Err(device::Error::NoGpu { devices }.into());
        }
        let rest = cpus.into_iter().next().map_or_else(|| self.open_cpu(), Ok)?;
        Ok(self.divide(&Split::Leading { leading: &gpus, layers, rest: &rest }, demand))
    }

    fn open_cpu(&self) -> Result<Placement, Error> {
        let placement = Placement::open(DeviceName::Cpu, self.options.dtype)?;
        Ok(placement.suited_to(self.options.dtype, self.checkpoint.weights.decoder_dtype()))
    }

    fn divide(&self, split: &Split<'_>, demand: Demand) -> (DeviceMap, MemoryPlan) {
        memory::place(self.checkpoint, self.vocab_len, split, demand, &|placement| self.room(placement))
    }

    fn room(&self, placement: &Placement) -> Option<Room> {
        let limit = self.options.memory_limit_bytes.map(Room::Limit);
        limit.or_else(|| placement.free_bytes().map(Room::Free))
    }

    /// The error for a plan that does not fit, with what would: fewer frames, fewer bits, both where neither is enough,
    /// other devices. `frames` is the number that is asked for, if frames are sampled, and `demand_of` what another
    /// number takes.
    pub(crate) fn refusal(
        &self,
        plan: &MemoryPlan,
        frames: Option<usize>,
        demand_of: &dyn Fn(usize) -> Result<Demand, Error>,
    ) -> Error {
        let fewer_frames = frames.and_then(|frames| self.fewer_frames(frames, demand_of));
        let mut ways_out: Vec<WayOut> = fewer_frames.map(WayOut::FewerFrames).into_iter().collect();
        ways_out.extend(self.fewer_bits(plan.demand));
        if ways_out.is_empty() {
            ways_out.extend(frames.and_then(|frames| self.fewer_of_both(frames, demand_of)));
        }
        ways_out.extend(self.other_devices(plan.demand));
        memory::Error::does_not_fit(plan, ways_out).into()
    }

    /// The most frames below `frames` that fit.
    fn fewer_frames(&self, frames: usize, demand_of: &dyn Fn(usize) -> Result<Demand, Error>) -> Option<usize> {
        most_below(frames, |frames| Ok::<_, Error>(self.place(demand_of(frames)?)?.1.fits())).ok()?
    }

    /// The quantization that loses least and fits.
    fn fewer_bits(&self, demand: Demand) -> Option<WayOut> {
        let fits = |budget: &Budget<'_>| budget.place(demand).is_ok_and(|(_, plan)| plan.fits()).then_some(());
        let (quantization, ()) = self.quantized(fits).next()?;
        Some(WayOut::FewerBits(quantization))
    }

    /// The quantization that leaves room for the most frames, of several the one that loses least.
    fn fewer_of_both(&self, frames: usize, demand_of: &dyn Fn(usize) -> Result<Demand, Error>) -> Option<WayOut> {
        let fitting = self.quantized(|budget| budget.fewer_frames(frames, demand_of));
        let (quantization, fewer) = fitting.reduce(|best, other| if other.1 > best.1 { other } else { best })?;
        Some(WayOut::FewerOfBoth(fewer, quantization))
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
    fn other_devices(&self, demand: Demand) -> Option<WayOut> {
        if self.devices.placements().iter().all(|placement| placement.device.is_cpu()) {
            return None;
        }
        if self.options.gpu_layers.is_none() {
            let fits = |&layers: &usize| self.place_on_gpus(layers, demand).is_ok_and(|(_, plan)| plan.fits());
            if let Some(layers) = (1..self.checkpoint.config.language.num_layers).rev().find(fits) {
                return Some(WayOut::PartOnCpu { gpu_layers: layers });
            }
        }
        let cpu = self.open_cpu().ok()?;
        let (_, plan) = self.divide(&Split::Over(&[cpu]), demand);
        plan.fits().then_some(WayOut::CpuAlone)
    }
}
