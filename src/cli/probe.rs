//! `probe`: the facts of a clip that everything else rests on.

use anyhow::Result;
use llava_video::video::Access;
use serde_json::{Value, json};

use super::args::ProbeArgs;
use super::exit::Exit;
use super::output::Printer;
use super::request::PlannedClip;
use super::signals;

pub(crate) fn run(args: &ProbeArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let clip = PlannedClip::open(&args.clip, &interrupt, printer)?;
    let info = clip.info();
    let access = match &info.access {
        Access::Seek => "seek to groups of pictures".to_owned(),
        Access::Skip => "read through, decode only what is needed".to_owned(),
        Access::Files => "opening pictures".to_owned(),
        Access::Linear(reason) => format!("decode from the start ({reason})"),
    };
    let orientation = &info.orientation;
    let facts = [
        ("container", json!(info.container)),
        ("stream_index", json!(info.stream_index)),
        ("codec", json!(info.codec)),
        ("decoder", json!(info.decoder)),
        ("width", json!(info.width)),
        ("height", json!(info.height)),
        ("frame_count", json!(info.frame_count)),
        ("frame_count_from", json!(info.count_source.name())),
        ("avg_fps", json!(info.avg_fps)),
        ("avg_fps_from", json!(info.rate_source.name())),
        ("duration_secs", json!(info.duration_secs())),
        ("start_secs", json!(info.start_secs)),
        ("span_secs", json!(info.span_secs)),
        ("transposed", json!(orientation.transpose)),
        ("mirrored_left_right", json!(orientation.mirror_x)),
        ("mirrored_top_bottom", json!(orientation.mirror_y)),
        ("pixel_format", json!(info.pixel_format)),
        ("color_space", json!(info.color_space)),
        ("color_range", json!(info.color_range)),
        ("sample_aspect", json!(info.sample_aspect)),
        ("frames_by", json!(access)),
    ];
    if args.json {
        let object: serde_json::Map<String, Value> =
            facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        printer.line(&Value::Object(object).to_string())?;
        return Ok(Exit::Done);
    }
    for (key, value) in facts {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        printer.line(&format!("{key:<22}{text}"))?;
    }
    Ok(Exit::Done)
}
