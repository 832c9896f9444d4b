//! The devices of a request: opened in order, and no more of them than are needed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use candle_core::DType;

use super::request::{DeviceName, DeviceRequest, DtypeRequest};
use super::{Error, Placement};

/// A GPU that is there and that `auto` leaves out.
#[derive(Debug)]
pub struct Skipped {
    /// As `--device` writes it.
    pub device: String,
    /// Why.
    pub error: Error,
}

/// The devices of a request. `auto` opens the first GPU that works, and another only when a model does not fit those
/// that are open: each takes some hundred MB for its context.
#[derive(Debug)]
pub struct Devices {
    dtype: DtypeRequest,
    /// How the weights are stored, once that is known.
    stored: Option<Option<DType>>,
    open: fn(DeviceName, DtypeRequest) -> Result<Placement, Error>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    opened: Vec<Placement>,
    waiting: VecDeque<DeviceName>,
    skipped: Vec<Skipped>,
}

impl Devices {
    /// Opens the devices of a list, or the best that there is: an NVIDIA GPU, else Apple's, else the CPU.
    ///
    /// # Errors
    /// [`Error`] if this build or the machine lacks a device of the list; arithmetic that a device does not have.
    pub fn open(request: &DeviceRequest, dtype: DtypeRequest) -> Result<Self, Error> {
        match request {
            DeviceRequest::Auto => Self::open_best(gpus(), dtype, Placement::open),
            DeviceRequest::List(names) => {
                let opened = names.iter().map(|&name| Placement::open(name, dtype)).collect::<Result<_, _>>()?;
                let state = State { opened, ..State::default() };
                Ok(Self { dtype, stored: None, open: Placement::open, state: Mutex::new(state) })
            }
        }
    }

    /// The first of `gpus` that opens, the others waiting; the CPU where none does.
    fn open_best(
        gpus: impl Iterator<Item = DeviceName>,
        dtype: DtypeRequest,
        open: fn(DeviceName, DtypeRequest) -> Result<Placement, Error>,
    ) -> Result<Self, Error> {
        let state = State { waiting: gpus.collect(), ..State::default() };
        let devices = Self { dtype, stored: None, open, state: Mutex::new(state) };
        if !devices.open_another() {
            let cpu = open(DeviceName::Cpu, dtype)?;
            devices.state().opened.push(cpu);
        }
        Ok(devices)
    }

    /// Opens the next GPU that works; false if there is none.
    pub fn open_another(&self) -> bool {
        let mut state = self.state();
        while let Some(name) = state.waiting.pop_front() {
            match (self.open)(name, self.dtype) {
                Ok(placement) => {
                    let placement = self.suited(placement);
                    state.opened.push(placement);
                    return true;
                }
                Err(error) => state.skipped.push(Skipped { device: name.to_string(), error }),
            }
        }
        false
    }

    /// Opens all that there are.
    #[must_use]
    pub fn all(self) -> Self {
        while self.open_another() {}
        self
    }

    /// The same with the arithmetic that `auto` takes for weights that are stored as `stored` (`None`: in blocks); see
    /// [`Placement::suited_to`].
    #[must_use]
    pub fn suited_to(mut self, stored: Option<DType>) -> Self {
        self.stored = Some(stored);
        let opened = std::mem::take(&mut self.state().opened);
        let opened = opened.into_iter().map(|placement| self.suited(placement)).collect();
        self.state().opened = opened;
        self
    }

    fn suited(&self, placement: Placement) -> Placement {
        match self.stored {
            Some(stored) => placement.suited_to(self.dtype, stored),
            None => placement,
        }
    }

    /// Those that are open, in order; at least one.
    pub fn placements(&self) -> Vec<Placement> {
        self.state().opened.clone()
    }

    /// What was skipped since the last call.
    pub fn take_skipped(&self) -> Vec<Skipped> {
        std::mem::take(&mut self.state().skipped)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The GPUs that there are, whether or not they work.
fn gpus() -> impl Iterator<Item = DeviceName> {
    #[cfg(feature = "cuda")]
    let count = super::cuda::count();
    #[cfg(not(feature = "cuda"))]
    let count = 0;
    let is_metal = count == 0 && cfg!(feature = "metal") && candle_core::utils::metal_is_available();
    (0..count).map(DeviceName::Cuda).chain(is_metal.then_some(DeviceName::Metal))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// GPUs with odd numbers are broken.
    fn played(name: DeviceName, _: DtypeRequest) -> Result<Placement, Error> {
        match name {
            DeviceName::Cuda(index) if index % 2 == 1 => {
                Err(Error::Unusable { device: name.to_string(), source: candle_core::Error::msg("broken") })
            }
            DeviceName::Cpu => Ok(Placement::whole(Device::Cpu, DType::F32)),
            _ => Ok(Placement::whole(Device::Cpu, DType::BF16)),
        }
    }

    fn best(count: std::ops::Range<usize>) -> Devices {
        Devices::open_best(count.map(DeviceName::Cuda), DtypeRequest::Auto, played).unwrap()
    }

    #[test]
    fn one_gpu_is_opened_until_more_are_needed() {
        let devices = best(0..4);
        assert_eq!((devices.placements().len(), devices.take_skipped().len()), (1, 0));
        assert!(devices.open_another());
        assert_eq!(devices.placements().len(), 2);
        assert!(!devices.open_another());
        let skipped: Vec<String> = devices.take_skipped().into_iter().map(|skipped| skipped.device).collect();
        assert_eq!(skipped, ["cuda:1", "cuda:3"]);
        assert!(devices.take_skipped().is_empty());
    }

    #[test]
    fn a_broken_gpu_is_passed_over() {
        let devices = best(1..3);
        assert_eq!(devices.placements()[0].dtype, DType::BF16);
        assert_eq!(devices.take_skipped().len(), 1);
    }

    #[test]
    fn without_a_gpu_that_works_it_is_the_cpu() {
        for count in [0..0, 1..2] {
            let devices = best(count.clone());
            assert_eq!(devices.placements()[0].dtype, DType::F32);
            assert_eq!(devices.take_skipped().len(), count.len());
        }
    }
}
