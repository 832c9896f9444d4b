//! How fast each stage of an answer is on this machine, and how much of what the machine can do that is.
//!
//! [`Bench::open`] opens a checkpoint, or makes one of random weights ([`Preset`]), and refuses what does not fit in
//! memory; [`Bench::run`] measures one stage after the other and tells an onlooker of each [`Row`]. It prints nothing.

mod ceilings;
mod counts;
mod kernels;
mod language;
mod load;
mod machine;
mod meter;
mod preset;
mod row;
mod stage;
mod vision;

use candle_core::DType;

pub use ceilings::Ceilings;
pub use machine::Machine;
pub use meter::{Event, Onlooker};
pub use preset::Preset;
pub use row::{Row, Unit, Work};
pub use stage::Stage;

use self::meter::Meter;
use crate::checkpoint::{Checkpoint, Source};
use crate::device::{DeviceMap, Devices, Placement};
use crate::engine::{Budget, ClipRequest, DeviceOptions, Error};
use crate::interrupt::Interrupt;
use crate::memory::Demand;
use crate::model;
use crate::prompt::Tokenizer;
use crate::quantization::Scheme;

/// What is measured, and how.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Devices and arithmetic.
    pub devices: DeviceOptions,
    /// In how many bits weights are held; `None`: as they are stored.
    pub scheme: Option<Scheme>,
    /// The stages.
    pub stages: Vec<Stage>,
    /// Numbers of frames for the tower and the projector; the largest one for what comes before.
    pub frames: Vec<usize>,
    /// Lengths of prompts.
    pub prompt_tokens: Vec<usize>,
    /// New tokens after each of them.
    pub new_tokens: usize,
    /// Answers that are decoded together; at least one is.
    pub rows: usize,
    /// Runs of each measurement; at least one is made.
    pub repeat: usize,
    /// The clip whose decoding is measured; without one, that stage is left out.
    pub clip: Option<ClipRequest>,
}

/// A model that is to be measured.
#[derive(Debug)]
pub struct Bench<'i> {
    options: BenchOptions,
    checkpoint: Checkpoint,
    vocab_len: usize,
    devices: DeviceMap,
    interrupt: &'i Interrupt,
}

impl<'i> Bench<'i> {
    /// Opens devices and checkpoint, and finds a place for each layer; no weights are read.
    ///
    /// # Errors
    /// A device, checkpoint or tokenizer that cannot be used, or too little memory.
    ///
    /// # Panics
    /// Without a number of frames, or without a length of prompts.
    pub fn open(source: &Source, mut options: BenchOptions, interrupt: &'i Interrupt) -> Result<Self, Error> {
        assert!(!options.frames.is_empty() && !options.prompt_tokens.is_empty(), "something to measure");
        let has_clip = options.clip.is_some();
        options.stages.retain(|stage| has_clip || *stage != Stage::VideoDecode);
        let devices = Devices::open(&options.devices.device, options.devices.dtype)?;
        let mut checkpoint = Checkpoint::open(source, &[])?;
        checkpoint.weights.stop_with(interrupt);
        if let Some(scheme) = options.scheme {
            checkpoint.quantize(scheme)?;
        }
        let devices = devices.suited_to(checkpoint.weights.decoder_dtype());
        let vocab_len = match source {
            Source::Generated { .. } => checkpoint.embedding_rows,
            _ => model::vocab_len(&checkpoint, &Tokenizer::open(source)?),
        };
        let demand = demand(&checkpoint, &options)?;
        let budget = Budget {
            options: &options.devices,
            checkpoint: &checkpoint,
            vocab_len,
            devices: &devices,
            overrides: &[],
            scheme: options.scheme,
        };
        let (devices, plan) = budget.place(demand)?;
        if !plan.fits() {
            return Err(budget.refusal(&plan, None, &|_| Ok(demand)));
        }
        Ok(Self { options, checkpoint, vocab_len, devices, interrupt })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Where the stages run.
    pub fn devices(&self) -> &DeviceMap {
        &self.devices
    }

    /// The stages that are measured, in order.
    pub fn stages(&self) -> impl Iterator<Item = Stage> {
        Stage::ALL.into_iter().filter(|stage| self.measures(*stage))
    }

    /// Probes what the machine can do at most, where all stages run on the CPU; of other devices nothing is known. What
    /// the probes take counts in no peak of memory.
    ///
    /// # Errors
    /// An interrupt.
    pub fn ceilings(&self) -> Result<Ceilings, Error> {
        if self.devices.slots().iter().any(|placement| !placement.device.is_cpu()) {
            return Ok(Ceilings::default());
        }
        let ceilings = Ceilings::probe(self.first());
        machine::forget_peak_rss();
        self.interrupt.check()?;
        Ok(ceilings)
    }

    /// Measures all stages, and tells `onlooker` of each.
    ///
    /// # Errors
    /// A clip that cannot be read, a failing device, an interrupt, or an onlooker who has seen enough.
    pub fn run(&self, ceilings: Ceilings, onlooker: &mut Onlooker<'_>) -> Result<(), Error> {
        let repeat = self.options.repeat.max(1);
        let mut meter = Meter { repeat, ceilings, interrupt: self.interrupt, onlooker };
        let loaded = load::measure(self, &mut meter)?;
        if let Some(clip) = self.options.clip.as_ref().filter(|_| self.measures(Stage::VideoDecode)) {
            vision::decode(self, clip, &mut meter)?;
        }
        if self.measures(Stage::Preprocess) {
            vision::preprocess(self, &mut meter)?;
        }
        if let Some(stack) = &loaded.vision {
            if self.measures(Stage::Tower) {
                vision::tower(self, stack, &mut meter)?;
            }
            if self.measures(Stage::Projector) {
                vision::projector(self, stack, &mut meter)?;
            }
        }
        if let Some(language) = loaded.language.as_ref().filter(|_| self.stages().any(Stage::needs_language)) {
            language::measure(self, language, &mut meter)?;
        }
        drop(loaded);
        kernels::measure(self, &mut meter)
    }

    fn measures(&self, stage: Stage) -> bool {
        self.options.stages.contains(&stage)
    }

    /// Whether the vision tower is loaded: for a stage that needs it, or for the sake of loading alone.
    fn loads_vision(&self) -> bool {
        loads(&self.options.stages, Stage::needs_vision)
    }

    fn loads_language(&self) -> bool {
        loads(&self.options.stages, Stage::needs_language)
    }

    fn most_frames(&self) -> usize {
        self.options.frames.iter().copied().max().unwrap_or(1)
    }

    /// Whose kernels multiply.
    pub fn kernels_name(&self) -> String {
        self.devices.kernels_name()
    }

    /// Where the decoder's first layer runs.
    fn first(&self) -> &Placement {
        self.devices.placement(self.devices.embedding_slot())
    }

    /// In what its operands are multiplied.
    fn dtype(&self) -> DType {
        self.first().operand_dtype()
    }

    /// Waits until devices that work by themselves are done.
    fn wait(&self) -> Result<(), Error> {
        Ok(self.devices.synchronize()?)
    }
}

/// Whether weights that `needs` asks for are loaded: where a stage takes them, or all where only loading is measured.
fn loads(stages: &[Stage], needs: fn(Stage) -> bool) -> bool {
    let takes_weights = |stage: &Stage| stage.needs_vision() || stage.needs_language();
    stages.iter().any(|stage| needs(*stage)) || stages.contains(&Stage::Load) && !stages.iter().any(takes_weights)
}

/// The memory that the largest measurement takes.
fn demand(checkpoint: &Checkpoint, options: &BenchOptions) -> Result<Demand, Error> {
    let frames = options.frames.iter().copied().max().unwrap_or(1);
    let (sees, decodes) = (loads(&options.stages, Stage::needs_vision), loads(&options.stages, Stage::needs_language));
    let prompt_tokens = options.prompt_tokens.iter().copied().max().filter(|_| decodes).unwrap_or(1);
    let visual_tokens = if sees { model::video_tokens(checkpoint)?.count(frames) } else { 0 };
    Ok(Demand {
        distinct_frames: sees.then_some(frames),
        tiles_at_once: 0,
        visual_tokens,
        prompt_tokens,
        cache_positions: prompt_tokens + options.new_tokens,
        kv_caches: if options.stages.contains(&Stage::BatchDecode) { options.rows.max(1) } else { 1 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_weights_that_a_stage_takes_are_loaded() {
        for (stages, vision, language) in [
            (&Stage::ALL[..], true, true),
            (&[Stage::Load, Stage::Tower], true, false),
            (&[Stage::Load, Stage::Decode], false, true),
            (&[Stage::Load], true, true),
            (&[Stage::Preprocess], false, false),
        ] {
            let loaded =
                [Stage::needs_vision as fn(Stage) -> bool, Stage::needs_language].map(|need| loads(stages, need));
            assert_eq!(loaded, [vision, language], "{stages:?}");
        }
    }
}
