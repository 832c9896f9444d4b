//! `probe`: the facts of a clip that everything else rests on.

use std::path::Path;

use anyhow::Result;
use llava_video::engine::PlannedClip;
use llava_video::video::{Access, ClipInfo};
use serde_json::{Value, json};

use super::args::ProbeArgs;
use super::exit::Exit;
use super::input::Input;
use super::observer::{Onlooker, surface};
use super::output::Printer;
use super::signals;

pub(crate) fn run(args: &ProbeArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let input = Input::new(&args.clip.video, &args.clip.frames, &interrupt, printer)?;
    let clip = PlannedClip::open(&input.request, &interrupt, &mut Onlooker::new(printer)).map_err(surface)?;
    match args.json {
        true => printer.line(&record(clip.path(), clip.info(), printer.warnings()).to_string())?,
        false => table(clip.info()).iter().try_for_each(|(label, fact)| printer.line(&format!("{label:<14}{fact}")))?,
    }
    Ok(Exit::Done)
}

fn access(info: &ClipInfo) -> String {
    match &info.access {
        Access::Seek => "seek to groups of pictures".to_owned(),
        Access::Skip => "read through, decode only what is needed".to_owned(),
        Access::Files => "opening pictures".to_owned(),
        Access::Linear(reason) => format!("decode from the start ({reason})"),
    }
}

/// What `--json` prints; `docs/json.md` has the keys.
fn record(path: &Path, info: &ClipInfo, warnings: &[String]) -> Value {
    json!({
        "path": path.to_string_lossy(),
        "container": info.container,
        "stream_index": info.stream_index,
        "codec": info.codec,
        "decoder": info.decoder,
        "width": info.width,
        "height": info.height,
        "frame_count": info.frame_count,
        "frame_count_from": info.count_source.name(),
        "lost_frames": info.lost_frames,
        "avg_fps": info.avg_fps,
        "avg_fps_from": info.rate_source.name(),
        "duration_secs": info.duration_secs(),
        "start_secs": info.start_secs,
        "span_secs": info.span_secs,
        "transposed": info.orientation.transpose,
        "mirrored_left_right": info.orientation.mirror_x,
        "mirrored_top_bottom": info.orientation.mirror_y,
        "pixel_format": info.pixel_format,
        "color_space": info.color_space,
        "color_range": info.color_range,
        "sample_aspect": info.sample_aspect,
        "frames_by": access(info),
        "warnings": warnings,
    })
}

/// The same for people: rounded, and without what is unknown or as it always is.
fn table(info: &ClipInfo) -> Vec<(&'static str, String)> {
    let mut facts = vec![("container", info.container.clone())];
    if info.stream_index > 0 {
        facts.push(("stream", info.stream_index.to_string()));
    }
    facts.push(match info.codec == info.decoder {
        true => ("codec", info.codec.clone()),
        false => ("codec", format!("{}, decoded by {}", info.codec, info.decoder)),
    });
    let turned = info.orientation.in_words().map_or_else(String::new, |words| format!(", {words}"));
    facts.push(("size", format!("{}x{}{turned}", info.width, info.height)));
    if info.is_picture() {
        facts.push(("frames", "1, a picture".to_owned()));
    } else {
        facts.extend(times(info));
    }
    let colours =
        [("pixel format", &info.pixel_format), ("color matrix", &info.color_space), ("color range", &info.color_range)];
    let known = colours.into_iter().filter(|(_, name)| !name.is_empty() && *name != "unknown");
    facts.extend(known.map(|(label, name)| (label, name.clone())));
    let (across, down) = info.sample_aspect;
    if across > 0 && down > 0 && across != down {
        facts.push(("pixel aspect", format!("{across}:{down}, not applied")));
    }
    facts.push(("read by", access(info)));
    facts
}

/// How many frames, and when.
fn times(info: &ClipInfo) -> Vec<(&'static str, String)> {
    let mut facts = vec![("frames", format!("{} ({})", info.frame_count, info.count_source.name()))];
    if info.lost_frames > 0 {
        facts.push(("lost frames", info.lost_frames.to_string()));
    }
    let secs = |secs: f64| format!("{} s", rounded(secs, 2));
    facts.push(("rate", format!("{} frames per second ({})", rounded(info.avg_fps, 3), info.rate_source.name())));
    facts.push(("duration", secs(info.duration_secs())));
    facts.extend(info.start_secs.filter(|&start| start != 0.0).map(|start| ("starts at", secs(start))));
    let differs = |span: &f64| secs(*span) != secs(info.duration_secs());
    facts.extend(info.span_secs.filter(differs).map(|span| ("timestamps", format!("span {}", secs(span)))));
    facts
}

/// At most so many decimals, one at least.
fn rounded(number: f64, decimals: usize) -> String {
    let text = format!("{number:.0$}", decimals.max(1));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn numbers_keep_no_more_decimals_than_they_need() {
        let shown = [30.0, 29.970_029_97, 0.2, 100.0, 0.001].map(|number| rounded(number, 2));
        assert_eq!(shown, ["30", "29.97", "0.2", "100", "0"]);
    }
}
