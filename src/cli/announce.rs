//! What a command says before and after long work: what is about to be done, how long it will take, and why an answer
//! was cut short.

use anyhow::Result;
use llava_video::Error;
use llava_video::checkpoint::{TensorPlan, fallbacks};
use llava_video::device::{DeviceMap, DeviceRequest, Devices, DtypeRequest, Placement, Skipped};
use llava_video::engine::{Engine, LongWork, Media, SizedPrompt};
use llava_video::generate::StopReason;
use llava_video::size::shown;

use super::output::Printer;

/// Opens the devices that are asked for. That GPUs are left out is told with `-v`; that no GPU works, always.
pub(crate) fn opened(request: &DeviceRequest, dtype: DtypeRequest, printer: &mut Printer) -> Result<Devices> {
    let devices = Devices::open(request, dtype).map_err(Error::from)?;
    let is_on_cpu = devices.placements().iter().all(|placement| placement.device.is_cpu());
    for skipped in devices.take_skipped() {
        match is_on_cpu {
            true => printer.warning(&left_out(skipped)),
            false => printer.detail(&left_out(skipped)),
        }
    }
    Ok(devices)
}

fn left_out(Skipped { device, error }: Skipped) -> String {
    format!("`{device}` is left out: {:#}", anyhow::Error::from(error))
}

/// Warns of instructions that the CPU has and that do not work.
pub(crate) fn failed_instructions<'p>(placements: impl IntoIterator<Item = &'p Placement>, printer: &mut Printer) {
    if let Some(isa) = placements.into_iter().find_map(|placement| placement.failed_instructions().first()) {
        printer.warning(&format!(
            "this machine's {} instructions give wrong numbers; lower ones are used, which is slower",
            isa.name()
        ));
    }
}

/// Says what is about to be done, for `-v`.
pub(crate) fn describe(
    engine: &Engine,
    media: &Media,
    prompt: &SizedPrompt,
    devices: &DeviceMap,
    printer: &mut Printer,
) {
    failed_instructions(devices.slots(), printer);
    for skipped in engine.devices().take_skipped() {
        printer.detail(&left_out(skipped));
    }
    let plan = engine.checkpoint().plan();
    let size = shown(plan.iter().map(TensorPlan::bytes).sum::<usize>() as u64);
    let (names, dtype, kernels) = (devices.names(), devices.dtype_name(), devices.kernels_name());
    printer.detail(&format!(
        "model: `{}`, {size} of weights, on {names} in {dtype} by {kernels}",
        engine.checkpoint().source.path().display()
    ));
    fallbacks(&plan).iter().for_each(|line| printer.detail(line));
    if let Some(clip) = media.clip() {
        let info = clip.info();
        printer.detail(&format!(
            "video: {} in {}, {}x{}, {} frames at {:.3} frames per second",
            info.codec, info.container, info.width, info.height, info.frame_count, info.avg_fps
        ));
        let (sampled, distinct) = (clip.plan().indices.len(), clip.distinct_frames());
        printer.detail(&format!("sampled: {sampled} frames, {distinct} of them distinct"));
    }
    let SizedPrompt { tokens, visual_tokens, .. } = prompt;
    printer.detail(&format!("prompt: {tokens} positions, {visual_tokens} of them visual tokens"));
    for picture in media.pictures() {
        let tiles = match picture.tiles().layout.tiles_across_and_down() {
            Some((across, down)) => format!("cut in {across}x{down} tiles, "),
            None => String::new(),
        };
        let ((width, height), path) = (picture.size(), picture.path().display());
        printer
            .detail(&format!("picture: `{path}`, {width}x{height}, {tiles}{} visual tokens", picture.visual_tokens()));
    }
}

/// How long a long run will take, and which `--frames` would take less.
pub(crate) fn long_work(work: &LongWork) -> String {
    let mut message = format!("the answer will start after about {} on the CPU", rounded_time(work.secs));
    if let Some((frames, secs)) = work.fewer_frames {
        message += &format!("; with `--frames {frames}` after about {}", rounded_time(secs));
    }
    message
}

/// A time in words, as exact as the estimate deserves.
fn rounded_time(secs: f64) -> String {
    match secs {
        s if s < 90.0 => format!("{} s", s.ceil()),
        s if s < 5400.0 => format!("{} min", (s / 60.0).round()),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Why an answer ends before its end, if a limit ended it.
pub(crate) fn cut_short(stop_reason: StopReason, tokens: usize) -> Option<String> {
    match stop_reason {
        StopReason::Length => {
            Some(format!("the answer was cut off after {tokens} tokens; `--max-new-tokens` allows more"))
        }
        StopReason::Context => {
            Some(format!("the answer was cut off after {tokens} tokens: the model's context is full"))
        }
        StopReason::Stop | StopReason::Interrupted => None,
    }
}
