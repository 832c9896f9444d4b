//! From a clip or from random frames to visual tokens: video decode, preprocess, vision tower, projector and pooling.

use candle_core::{Device, Tensor};

use super::Bench;
use super::counts::{projector_flops, tower_flops};
use super::load::Vision;
use super::meter::{Event, Meter};
use super::row::{Unit, Work};
use super::stage::Stage;
use crate::checkpoint::generated::Random;
use crate::engine::{self, ClipRequest, Error, Observer, PlannedClip, Selection};
use crate::video::isolated::View;
use crate::vision::preprocess;

/// Width and height of the frames that are resized: 720p, a common size of clips.
const FRAME_SIZE: (usize, usize) = (1280, 720);

/// Work on so many frames.
fn work(stage: Stage, frames: usize, flops_of_frame: Option<u64>) -> Work {
    let flops = flops_of_frame.map(|flops| frames as u64 * flops);
    Work { stage, amount: frames as u64, unit: Unit::Frames, depth: None, rows: None, flops, read_bytes: None }
}

/// Opens a clip and reads the largest number of frames from it.
pub(super) fn decode(bench: &Bench, clip: &ClipRequest, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let max_frames = Some(bench.most_frames());
    let selection = Selection::Part { start_secs: None, end_secs: None, max_frames, fps: None };
    let (request, side) = (ClipRequest { selection, ..clip.clone() }, bench.checkpoint.vision.image_size);
    let mut warnings = Warnings::default();
    let (seconds, frames) = meter.time(Stage::VideoDecode, || {
        warnings.0.clear();
        let mut clip = PlannedClip::open(&request, bench.interrupt, &mut warnings)?;
        clip.read(View::Resized(side), bench.interrupt, &mut warnings, |frame| frame.rgb)
    })?;
    for warning in &warnings.0 {
        meter.tell(Event::Warning(warning))?;
    }
    meter.report(work(Stage::VideoDecode, frames.len(), None), seconds, bench.dtype())
}

/// What the last reading of a clip warned of.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Observer for Warnings {
    fn tell(&mut self, event: engine::Event<'_>) {
        if let engine::Event::Warning(warning) = event {
            self.0.push(warning.to_owned());
        }
    }
}

/// Resizes and normalises the largest number of frames, on the CPU, one after the other.
pub(super) fn preprocess(bench: &Bench, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let ((width, height), side) = (FRAME_SIZE, bench.checkpoint.vision.image_size);
    let (rgb, frames) = (random_bytes(width * height * 3), bench.most_frames());
    let run = |frames: usize| {
        for _ in 0..frames {
            bench.interrupt.check()?;
            let resized = preprocess::resize(&rgb, width, height, side);
            preprocess::pixel_values(&[&resized], side, &Device::Cpu)?;
        }
        Ok(())
    };
    run(1)?;
    let (seconds, ()) = meter.time(Stage::Preprocess, || run(frames))?;
    meter.report(work(Stage::Preprocess, frames, None), seconds, bench.dtype())
}

/// Runs the tower on each number of frames, in batches as a model does.
pub(super) fn tower(bench: &Bench, vision: &Vision, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let placement = bench.devices.placement(bench.devices.vision_slot());
    let (side, batch) = (bench.checkpoint.vision.image_size, placement.limits.vision_batch_frames);
    let frames: Vec<Vec<u8>> = (0..batch).map(|_| random_bytes(3 * side * side)).collect();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let pixel_values = preprocess::pixel_values(&frames, side, &placement.device)?;
    let run = |frames: usize| {
        for count in batches(frames, batch) {
            vision.tower.forward(&pixel_values.narrow(0, 0, count)?, bench.interrupt, &mut || ())?;
        }
        Ok(placement.device.synchronize()?)
    };
    run(1)?;
    for &frames in &bench.options.frames {
        let (seconds, ()) = meter.time(Stage::Tower, || run(frames))?;
        let work = work(Stage::Tower, frames, Some(tower_flops(&bench.checkpoint)));
        meter.report(work, seconds, placement.operand_dtype())?;
    }
    Ok(())
}

/// Runs projector and pooling on each number of frames, in the same batches.
pub(super) fn projector(bench: &Bench, vision: &Vision, meter: &mut Meter<'_, '_>) -> Result<(), Error> {
    let placement = bench.devices.placement(bench.devices.vision_slot());
    let (shape, batch) = (bench.checkpoint.vision, placement.limits.vision_batch_frames);
    let features = random_floats(&[batch, shape.grid() * shape.grid(), shape.hidden_size])?;
    let features = features.to_dtype(placement.dtype)?.to_device(&placement.device)?;
    let run = |frames: usize| {
        let mut first = 0;
        for count in batches(frames, batch) {
            bench.interrupt.check()?;
            let projected = vision.projector.forward(&features.narrow(0, 0, count)?)?;
            vision.rule.frames(&projected, first, &vision.extra)?;
            first += count;
        }
        Ok(placement.device.synchronize()?)
    };
    run(1)?;
    for &frames in &bench.options.frames {
        let (seconds, ()) = meter.time(Stage::Projector, || run(frames))?;
        let work = work(Stage::Projector, frames, Some(projector_flops(&bench.checkpoint)));
        meter.report(work, seconds, placement.operand_dtype())?;
    }
    Ok(())
}

/// Sizes of the batches that so many frames go in.
fn batches(frames: usize, batch: usize) -> impl Iterator<Item = usize> {
    (0..frames).step_by(batch).map(move |first| batch.min(frames - first))
}

fn random_bytes(len: usize) -> Vec<u8> {
    let mut random = Random::new(2);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// Values around 0 of deviation 1, about as the tower gives them.
pub(super) fn random_floats(shape: &[usize]) -> Result<Tensor, Error> {
    let mut random = Random::new(3);
    let value = |_| random.centered() * 12f32.sqrt();
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_all_frames() {
        assert_eq!(batches(1, 2).collect::<Vec<_>>(), [1]);
        assert_eq!(batches(5, 2).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(batches(8, 8).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn random_input_has_the_length_asked_for_and_is_no_constant() {
        let bytes = random_bytes(1001);
        assert!(bytes.len() == 1001 && bytes.iter().any(|byte| *byte != bytes[0]));
        let floats = random_floats(&[3, 500]).expect("floats").flatten_all().and_then(|all| all.to_vec1::<f32>());
        let squares: f32 = floats.expect("values").iter().map(|value| value * value).sum();
        assert!((0.8..1.2).contains(&(squares / 1500.0)), "{squares}");
    }
}
