//! How much memory a checkpoint takes by device, dtype and number of frames, and what of it fits on this machine.

use anyhow::Result;
use llava_video::Error;
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{self, DeviceMap, DeviceRequest, Devices, DtypeRequest};
use llava_video::memory::{Demand, MemoryPlan, Room};
use llava_video::model;
use llava_video::prompt::Tokenizer;
use llava_video::size::shown;
use serde_json::{Value, json};

/// Numbers of frames that are counted, the default last.
const FRAMES: [usize; 3] = [8, 32, 110];

/// Positions of a prompt beside the frames': the template and a question of two or three lines.
const TEXT_TOKENS: usize = 64;

/// The longest answer unless `--max-new-tokens` says otherwise.
const ANSWER_TOKENS: usize = 4096;

/// One device of this machine with one arithmetic.
pub(super) struct Fit {
    device: String,
    dtype: &'static str,
    /// What is free now; `None` where that cannot be found out.
    free_bytes: Option<u64>,
    /// Frames, and the bytes that they take in all; `None` where the prompt is longer than the context.
    needs: Vec<(usize, Option<u64>)>,
}

/// Counts from headers alone, as `ask` does before it loads anything, the model being on one device.
pub(super) fn on_this_machine(checkpoint: &Checkpoint) -> Result<Vec<Fit>> {
    let tokenizer = Tokenizer::open(&checkpoint.source).map_err(Error::from)?;
    let vocab_len = model::vocab_len(checkpoint, &tokenizer);
    let rule = model::video_tokens(checkpoint)?;
    let context = checkpoint.config.context_length.unwrap_or(usize::MAX);
    let mut fits = Vec::new();
    for dtype in [DtypeRequest::Bf16, DtypeRequest::F16, DtypeRequest::F32] {
        let placements = match Devices::open(&DeviceRequest::Auto, dtype) {
            Err(device::Error::NoF16OnCpu) => continue,
            opened => opened.map_err(Error::from)?.all().placements(),
        };
        for placement in placements {
            let free_bytes = placement.free_bytes();
            let devices = DeviceMap::single(placement.clone(), checkpoint.config.language.num_layers);
            let need = |frames: usize| {
                let visual_tokens = rule.count(frames);
                let prompt_tokens = visual_tokens + TEXT_TOKENS;
                let cache_positions = (prompt_tokens + ANSWER_TOKENS).min(context);
                let demand = Demand {
                    distinct_frames: Some(frames),
                    tiles_at_once: 0,
                    visual_tokens,
                    prompt_tokens,
                    cache_positions,
                    kv_caches: 1,
                };
                let plan = MemoryPlan::new(checkpoint, vocab_len, &devices, demand, &|_| free_bytes.map(Room::Free));
                (prompt_tokens < context).then(|| plan.slots.iter().map(|slot| slot.need.total()).sum())
            };
            let needs = FRAMES.iter().map(|&frames| (frames, need(frames))).collect();
            fits.push(Fit { device: placement.device_name(), dtype: placement.dtype_name(), free_bytes, needs });
        }
    }
    Ok(fits)
}

impl Fit {
    fn has_room(&self, need: u64) -> Option<bool> {
        self.free_bytes.map(|free| need <= free)
    }

    /// One object per number of frames.
    pub(super) fn to_json(&self) -> Vec<Value> {
        let one = |&(frames, bytes): &(usize, Option<u64>)| {
            json!({
                "device": self.device,
                "dtype": self.dtype,
                "sampled_frames": frames,
                "bytes": bytes,
                "free_bytes": self.free_bytes,
                "fits": bytes.map_or(Some(false), |bytes| self.has_room(bytes)),
            })
        };
        self.needs.iter().map(one).collect()
    }
}

/// A table of needs by device, arithmetic and number of frames; `!` marks what does not fit what is free.
pub(super) fn table(fits: &[Fit]) -> Vec<String> {
    let frames = FRAMES.map(|frames| format!("{:>12}", format!("{frames} frames")));
    let mut lines = vec![format!("{:<10}{:<6}{}{:>12}", "memory", "", frames.concat(), "free")];
    for fit in fits {
        let need = |&(_, bytes): &(usize, Option<u64>)| match bytes {
            Some(bytes) if fit.has_room(bytes) == Some(false) => format!("{:>12}", format!("! {}", shown(bytes))),
            Some(bytes) => format!("{:>12}", shown(bytes)),
            None => format!("{:>12}", "too long"),
        };
        let needs: String = fit.needs.iter().map(need).collect();
        let free = fit.free_bytes.map_or_else(|| "unknown".to_owned(), shown);
        lines.push(format!("{:<10}{:<6}{needs}{free:>12}", fit.device, fit.dtype));
    }
    let needs = || fits.iter().flat_map(|fit| fit.needs.iter().map(move |(_, bytes)| (fit, *bytes)));
    if needs().any(|(fit, bytes)| bytes.is_some_and(|bytes| fit.has_room(bytes) == Some(false))) {
        lines.push("! needs more than is free".to_owned());
    }
    if needs().any(|(_, bytes)| bytes.is_none()) {
        lines.push("too long: the frames leave no room for an answer in the context".to_owned());
    }
    lines
}
