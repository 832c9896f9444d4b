//! `frames`: what would be sampled from a clip, one JSON object a line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use llava_video::engine::PlannedClip;
use llava_video::video::Frame;
use llava_video::video::isolated::View;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::args::FramesArgs;
use super::exit::{Exit, UsageError};
use super::input::Input;
use super::observer::{Onlooker, surface};
use super::output::Printer;
use super::pictures::{self, Grid, Look, SheetFile};
use super::signals;

/// Side of the picture that the published models' vision tower gets, in pixels.
const MODEL_VIEW_SIDE: usize = 384;

/// Lines are printed once all frames are there, so that a clip that fails leaves nothing on stdout.
pub(crate) fn run(args: &FramesArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let sheet_file = args.contact_sheet.as_deref().map(|file| SheetFile::parse(file, printer.stdout_is_terminal()));
    let sheet_file = sheet_file.transpose()?;
    if args.out.as_deref() == Some(Path::new("-")) {
        return Err(UsageError("--out takes a directory, not standard output".to_owned()).into());
    }
    let input = Input::new(&args.clip.video, &args.clip.frames, &interrupt, printer)?;
    let mut clip = PlannedClip::open(&input.request, &interrupt, &mut Onlooker::new(printer)).map_err(surface)?;
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    }
    let look = if args.model_view { Look::Model(MODEL_VIEW_SIDE) } else { Look::Frame };
    let size = match look {
        Look::Frame => (clip.info().width, clip.info().height),
        Look::Model(side) => (side as u32, side as u32),
    };
    let grid = sheet_file.map(|_| Grid::new(clip.plan().indices.len(), size));
    let on_frame = |frame| show(frame, look, args, grid);
    let shown = clip.read(View::Native, &interrupt, &mut Onlooker::new(printer), on_frame).map_err(surface)?;
    let shown = shown.into_iter().collect::<Result<Vec<_>>>()?;
    let (mut lines, mut tiles) = (Vec::new(), Vec::new());
    for (&index, time_secs) in clip.plan().indices.iter().zip(clip.label_secs()) {
        let found = shown.binary_search_by_key(&index, |shown| shown.index);
        let Shown { facts, thumbnail, .. } =
            found.map(|at| &shown[at]).map_err(|_| anyhow!("frame {index} is missing"))?;
        tiles.extend(thumbnail.as_ref().map(|picture| (picture, pictures::frame_label(index, time_secs))));
        let (lost_frames, warnings) = (clip.info().lost_frames, printer.warnings());
        lines.push(serde_json::to_string(&Line { index, time_secs, facts, lost_frames, warnings })?);
    }
    let sheet = grid.map(|grid| grid.sheet(&tiles));
    match (sheet, sheet_file) {
        (Some(sheet), Some(SheetFile::Stdout)) => {
            printer.file(&pictures::png(&sheet)?)?;
            return Ok(Exit::Done);
        }
        (Some(sheet), Some(SheetFile::Path(path, format))) => pictures::save(&sheet, path, format)?,
        _ => {}
    }
    lines.iter().try_for_each(|line| printer.line(line))?;
    Ok(Exit::Done)
}

/// What is kept of a frame once it was looked at.
struct Shown {
    index: usize,
    facts: FrameFacts,
    thumbnail: Option<RgbImage>,
}

fn show(frame: Frame, look: Look, args: &FramesArgs, grid: Option<Grid>) -> Result<Shown> {
    let index = frame.index;
    let mut facts = describe(&frame);
    let wants_picture = args.out.is_some() || grid.is_some();
    let picture = wants_picture.then(|| look.picture(frame));
    if let (Some(dir), Some(picture)) = (&args.out, &picture) {
        facts.path = Some(pictures::write_png(dir, index, picture)?);
    }
    let thumbnail = picture.and_then(|picture| Some(grid?.thumbnail(&picture)));
    Ok(Shown { index, facts, thumbnail })
}

/// One sampled frame, as `docs/json.md` describes it; a frame that is sampled twice has two lines.
#[derive(Serialize)]
struct Line<'f> {
    index: usize,
    /// Seconds, as the model is told.
    time_secs: f64,
    #[serde(flatten)]
    facts: &'f FrameFacts,
    /// Frames of the clip that could not be decoded.
    lost_frames: usize,
    warnings: &'f [String],
}

/// What there is to know about a picture.
#[derive(Serialize)]
struct FrameFacts {
    /// The container's presentation time, where it has one.
    pts_secs: Option<f64>,
    width: u32,
    height: u32,
    rgb_mean: [f64; 3],
    /// Of the packed RGB24 bytes.
    sha256: String,
    /// The picture that was written, if any.
    path: Option<PathBuf>,
}

fn describe(frame: &Frame) -> FrameFacts {
    let mut sums = [0u64; 3];
    for pixel in frame.rgb.chunks_exact(3) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(value);
        }
    }
    let pixels = f64::from(frame.width) * f64::from(frame.height);
    FrameFacts {
        pts_secs: frame.pts_secs,
        width: frame.width,
        height: frame.height,
        rgb_mean: sums.map(|sum| (sum as f64 / pixels * 1e4).round() / 1e4),
        sha256: digest(&SHA256, &frame.rgb).as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        path: None,
    }
}
