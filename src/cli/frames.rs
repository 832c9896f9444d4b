//! `frames`: what would be sampled from a clip, one JSON object a line.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use llava_video::video::isolated::View;
use llava_video::video::{Frame, label_text};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::args::FramesArgs;
use super::exit::Exit;
use super::output::Printer;
use super::pictures::{self, ContactSheet, Look};
use super::request::PlannedClip;
use super::signals;

/// Side of the picture that the published models' vision tower gets, in pixels.
const MODEL_VIEW_SIDE: usize = 384;

/// Lines are printed once all frames are there, so that a clip that fails leaves nothing on stdout.
pub(crate) fn run(args: &FramesArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let mut clip = PlannedClip::open(&args.clip, &interrupt, printer)?;
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    }
    let look = if args.model_view { Look::Model(MODEL_VIEW_SIDE) } else { Look::Frame };
    let size = match look {
        Look::Frame => (clip.info().width, clip.info().height),
        Look::Model(side) => (side as u32, side as u32),
    };
    let mut sheet = args.contact_sheet.as_ref().map(|_| ContactSheet::new(clip.plan.indices.len(), size));
    let shown = clip.read(View::Native, &interrupt, printer, |frame| show(frame, look, args, sheet.as_ref()))?;
    let shown = shown.into_iter().collect::<Result<Vec<_>>>()?;
    for (slot, (&index, time)) in clip.plan.indices.iter().zip(clip.label_secs()).enumerate() {
        let found = shown.binary_search_by_key(&index, |shown| shown.index);
        let Shown { facts, thumbnail, .. } =
            found.map(|at| &shown[at]).map_err(|_| anyhow!("frame {index} is missing"))?;
        if let (Some(sheet), Some(thumbnail)) = (&mut sheet, thumbnail) {
            sheet.put(slot, thumbnail, &format!("#{index} {}", label_text(time)));
        }
        printer.line(&serde_json::to_string(&Line { index, time, facts })?)?;
    }
    if let (Some(sheet), Some(file)) = (&sheet, &args.contact_sheet) {
        sheet.save(file)?;
    }
    Ok(Exit::Done)
}

/// What is kept of a frame once it was looked at.
struct Shown {
    index: usize,
    facts: FrameFacts,
    thumbnail: Option<RgbImage>,
}

fn show(frame: Frame, look: Look, args: &FramesArgs, sheet: Option<&ContactSheet>) -> Result<Shown> {
    let index = frame.index;
    let mut facts = describe(&frame);
    let wants_picture = args.out.is_some() || sheet.is_some();
    let picture = wants_picture.then(|| look.picture(frame));
    if let (Some(dir), Some(picture)) = (&args.out, &picture) {
        facts.file = Some(pictures::write_png(dir, index, picture)?);
    }
    let thumbnail = picture.and_then(|picture| Some(sheet?.thumbnail(&picture)));
    Ok(Shown { index, facts, thumbnail })
}

/// One sampled frame; a frame that is sampled twice has two lines.
#[derive(Serialize)]
struct Line<'f> {
    index: usize,
    /// Seconds, as the model is told.
    time: f64,
    #[serde(flatten)]
    facts: &'f FrameFacts,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
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
        sha256: Sha256::digest(&frame.rgb).iter().map(|byte| format!("{byte:02x}")).collect(),
        file: None,
    }
}
