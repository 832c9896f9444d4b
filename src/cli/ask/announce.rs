//! How long an answer will take on a CPU, said before it is begun.

use anyhow::Result;
use llava_video::device::DeviceMap;
use llava_video::estimate::{self, Work};
use llava_video::model;

use super::request::{Request, SizedPrompt, Views};
use crate::cli::output::Printer;
use crate::cli::request::PlannedClip;

/// Work on a CPU that takes longer than this is announced.
const LONG_WORK_SECS: f64 = 60.0;

/// Says how long a long run on a CPU will take, and which `--frames` would take less.
pub(super) fn announce_long_work(
    request: &Request<'_>,
    clip: Option<&PlannedClip>,
    views: Views,
    prompt: &SizedPrompt,
    devices: &DeviceMap,
    printer: &mut Printer,
) -> Result<()> {
    let placement = devices.placement(devices.vision_slot());
    if !devices.slots().iter().all(|slot| slot.device.is_cpu()) {
        return Ok(());
    }
    let work = Work::of(request.checkpoint);
    let flops = work.flops(views.distinct, prompt.tokens);
    // Below this no machine takes a minute, and measuring would only cost time.
    if flops < LONG_WORK_SECS * 1e9 {
        return Ok(());
    }
    let rate = estimate::sustained_flops_per_sec(placement)?;
    let expected_secs = flops / rate;
    if expected_secs < LONG_WORK_SECS {
        return Ok(());
    }
    let mut message = format!("the answer will start after about {} on the CPU", rounded_time(expected_secs));
    if let Some(clip) = clip {
        let rule = model::video_tokens(request.checkpoint)?;
        let text_tokens = prompt.tokens - prompt.visual_tokens;
        let secs_with = |frames: usize| {
            let distinct = frames.min(clip.info().frame_count);
            work.flops(distinct, text_tokens + rule.count(frames)) / rate
        };
        let frames = clip.plan.indices.len();
        let halves = std::iter::successors(Some(frames / 2), |n| Some(n / 2)).take_while(|&n| n > 0);
        // The largest that stays under a minute, else a single frame.
        let fewer = halves.clone().find(|&n| secs_with(n) < LONG_WORK_SECS).or(halves.last());
        if let Some(fewer) = fewer {
            message += &format!("; with `--frames {fewer}` after about {}", rounded_time(secs_with(fewer)));
        }
    }
    printer.note(&message);
    Ok(())
}

/// A time in words, as exact as the estimate deserves.
fn rounded_time(secs: f64) -> String {
    match secs {
        s if s < 90.0 => format!("{} s", s.ceil()),
        s if s < 5400.0 => format!("{} min", (s / 60.0).round()),
        s => format!("{:.1} h", s / 3600.0),
    }
}
