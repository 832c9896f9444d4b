//! Times the reading of uniformly sampled frames as RGB24 of their own size, without hashing or resizing them.
//!
//! `decode-frames CLIP FRAMES [--child PROGRAM]` prints one JSON object: processor and wall seconds of opening and
//! reading in this process, or in a child started from the `llava-video` binary PROGRAM. `scripts/compare-decoders.py`
//! runs it beside other decoders.

#![expect(clippy::print_stdout, reason = "a tool for scripts")]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use llava_video::video::isolated::{IsolatedClip, Launcher, View};
use llava_video::video::{Clip, ClipOptions, Error, Frame, ReadError, SamplePolicy, plan};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let path = PathBuf::from(args.next().context("usage: CLIP FRAMES [--child PROGRAM]")?);
    let frames = args.next().and_then(|n| n.to_str()?.parse().ok()).context("FRAMES must be a number")?;
    let policy = SamplePolicy { max_frames: frames, fps: None };
    let child = match args.next() {
        None => None,
        Some(flag) if flag == "--child" => Some(PathBuf::from(args.next().context("--child needs a program")?)),
        Some(other) => bail!("unknown flag {other:?}"),
    };
    let started = Instant::now();
    let before = cpu_secs();
    let bytes = match child {
        None => here(&path, &policy)?,
        Some(program) => in_child(&path, &policy, program)?,
    };
    let (cpu, wall) = (cpu_secs() - before, started.elapsed().as_secs_f64());
    println!("{{\"cpu_secs\":{cpu:.4},\"wall_secs\":{wall:.4},\"rgb_bytes\":{bytes}}}");
    Ok(())
}

fn here(path: &Path, policy: &SamplePolicy) -> Result<usize> {
    let mut clip = Clip::open(path, &ClipOptions::default())?;
    let plan = plan(clip.info().frame_count, clip.info().avg_fps, policy);
    let mut bytes = 0;
    let mut sink = |frame: Frame| {
        bytes += frame.rgb.len();
        Ok::<(), Infallible>(())
    };
    clip.read(&plan.indices, View::Native, &mut sink).map_err(error)?;
    Ok(bytes)
}

fn in_child(path: &Path, policy: &SamplePolicy, program: PathBuf) -> Result<usize> {
    let launcher = Launcher::new(program, ["decode-worker"]);
    let mut clip = IsolatedClip::open(path, &ClipOptions::default(), None, &launcher, &|| true)?;
    let plan = plan(clip.info().frame_count, clip.info().avg_fps, policy);
    let mut bytes = 0;
    let mut sink = |frame: Frame| {
        bytes += frame.rgb.len();
        Ok::<(), Infallible>(())
    };
    clip.read(&plan.indices, View::Native, &|| true, &mut sink).map_err(error)?;
    Ok(bytes)
}

fn error(error: ReadError<Infallible>) -> Error {
    match error {
        ReadError::Clip(error) => error,
        ReadError::Sink(never) => match never {},
    }
}

/// Processor time of this process and of the children it has waited for.
fn cpu_secs() -> f64 {
    let of = |who| {
        // SAFETY: a plain C structure that the call fills; zeros are valid values of it.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &raw mut usage);
            usage
        };
        let secs = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
        secs(usage.ru_utime) + secs(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}
