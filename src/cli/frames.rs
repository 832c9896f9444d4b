//! `frames`: what would be sampled from a clip, one JSON object a line.

use anyhow::{Result, anyhow};
use llava_video::video::Frame;
use llava_video::video::isolated::View;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::args::FramesArgs;
use super::exit::Exit;
use super::output::Printer;
use super::request::PlannedClip;
use super::signals;

/// Lines are printed once all frames are there, so that a clip that fails leaves nothing on stdout.
pub(crate) fn run(args: &FramesArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let mut clip = PlannedClip::open(&args.clip, &interrupt, printer)?;
    let facts = clip.read(View::Native, &interrupt, printer, |frame| (frame.index, describe(&frame)))?;
    for (&index, label_secs) in clip.plan.indices.iter().zip(clip.label_secs()) {
        let found = facts.binary_search_by_key(&index, |(index, _)| *index);
        let facts = found.map(|at| &facts[at].1).map_err(|_| anyhow!("frame {index} was not delivered"))?;
        printer.line(&serde_json::to_string(&Line { index, time: label_secs, facts })?)?;
    }
    Ok(Exit::Done)
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
    }
}
