//! Loading: the weights that the stages need, from where they are stored to where they are used.

use super::Bench;
use super::meter::Meter;
use super::row::{Unit, Work};
use super::stage::Stage;
use crate::engine::Error;
use crate::language::Qwen2;
use crate::model;
use crate::role::Role;
use crate::vision::pool::{ExtraTokens, VideoTokens};
use crate::vision::{Projector, VisionTower};

/// What turns frames into visual tokens.
pub(super) struct Vision {
    pub(super) tower: VisionTower,
    pub(super) projector: Projector,
    pub(super) rule: VideoTokens,
    pub(super) extra: ExtraTokens,
}

/// What is loaded of a model.
pub(super) struct Loaded {
    pub(super) vision: Option<Vision>,
    pub(super) language: Option<Qwen2>,
}

/// Loads what the stages need, as often as asked if loading is one of them.
pub(super) fn measure(bench: &Bench, meter: &mut Meter<'_, '_>) -> Result<Loaded, Error> {
    if !bench.measures(Stage::Load) {
        return load(bench);
    }
    let (seconds, loaded) = meter.time(Stage::Load, || load(bench))?;
    let amount = stored_bytes(bench);
    let work =
        Work { stage: Stage::Load, amount, unit: Unit::Bytes, depth: None, rows: None, flops: None, read_bytes: None };
    meter.report(work, seconds, bench.dtype())?;
    Ok(loaded)
}

fn load(bench: &Bench) -> Result<Loaded, Error> {
    let vision = bench.loads_vision().then(|| load_vision(bench)).transpose()?;
    let language = bench.loads_language().then(|| load_language(bench)).transpose()?;
    Ok(Loaded { vision, language })
}

fn load_vision(bench: &Bench) -> Result<Vision, Error> {
    let (checkpoint, placement) = (&bench.checkpoint, bench.devices.placement(bench.devices.vision_slot()));
    let token = |name: &str| {
        let name = Role::Token.tensor(name);
        let is_there = checkpoint.weights.shape(&name).is_some();
        is_there.then(|| checkpoint.weights.load(&name, Some(placement.dtype), &placement.device)).transpose()
    };
    Ok(Vision {
        tower: VisionTower::load(checkpoint, placement)?,
        projector: Projector::load(checkpoint, placement)?,
        rule: model::video_tokens(checkpoint)?,
        extra: ExtraTokens { newline: token("image_newline")?, faster: token("faster_token")? },
    })
}

fn load_language(bench: &Bench) -> Result<Qwen2, Error> {
    let (config, weights) = (&bench.checkpoint.config.language, &bench.checkpoint.weights);
    let mut on_layer = |_, _| Ok(bench.interrupt.check()?);
    Ok(Qwen2::load(config, weights, bench.vocab_len, &bench.devices, &mut on_layer)?)
}

/// Bytes of what is loaded, as it is stored.
fn stored_bytes(bench: &Bench) -> u64 {
    let is_loaded = |name: &str| match Role::of(name) {
        Some(Role::Tower(_) | Role::Projector | Role::Token) => bench.loads_vision(),
        _ => bench.loads_language(),
    };
    let plan = bench.checkpoint.plan();
    let loaded = plan.iter().filter(|tensor| is_loaded(&tensor.name));
    loaded.map(|tensor| tensor.stored.bytes(tensor.shape.iter().product()) as u64).sum()
}
