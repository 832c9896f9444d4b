//! How long the program takes to do little: `cargo bench --bench startup [-- PROGRAM]`. Fails above the bars.
//!
//! The bars are for an idle machine. `LLAVA_VIDEO_STARTUP_NOISE=2` doubles them for one that is busy. With the system's
//! FFmpeg the loader takes most of the time: on Debian it opens 130 libraries, in the program and in the child that
//! reads the clip. That is allowed for. With `--features static-ffmpeg` it is not.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

const RUNS: usize = 20;

const CLIP: &str = "tests/fixtures/demo/clip1-h264.mp4";

/// What is run, the most milliseconds that it may take, and how many processes it starts.
const TASKS: [(&str, &[&str], f64, f64); 5] = [
    ("--help", &["--help"], 10.0, 1.0),
    ("frames -n 8", &["frames", CLIP, "-n", "8"], 100.0, 2.0),
    ("frames", &["frames", CLIP], 100.0, 2.0),
    ("ask", &["ask", CLIP, "describe this video", "--model", "demo", "--no-cache"], 500.0, 2.0),
    ("ask, visual tokens kept", &["ask", CLIP, "describe this video", "--model", "demo"], 500.0, 1.0),
];

/// What loading the system's FFmpeg may add to each process, in milliseconds.
const LOADER_MS: f64 = if cfg!(feature = "static-ffmpeg") { 0.0 } else { 50.0 };

fn main() -> Result<()> {
    let program = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map(PathBuf::from);
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_llava-video").into());
    let noise = match std::env::var("LLAVA_VIDEO_STARTUP_NOISE") {
        Ok(factor) => factor.parse::<f64>().context("LLAVA_VIDEO_STARTUP_NOISE is not a number")?,
        Err(_) => 1.0,
    };
    let cache = tempfile::tempdir()?;
    let mut slow = Vec::new();
    for (name, args, bar_ms, processes) in TASKS {
        let bar_ms = noise * (bar_ms + processes * LOADER_MS);
        // The first run finds nothing in memory, and keeps visual tokens for those after it.
        run(&program, args, cache.path())?;
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..RUNS {
            times.push(run(&program, args, cache.path())?.as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (fastest, median) = (times[0], times[RUNS / 2]);
        println!("{name:<24} median {median:>6.1} ms, fastest {fastest:>6.1} ms, bar {bar_ms:.0} ms");
        if median > bar_ms {
            slow.push(name);
        }
    }
    ensure!(slow.is_empty(), "above the bar: {}", slow.join("; "));
    Ok(())
}

fn run(program: &Path, args: &[&str], cache: &Path) -> Result<Duration> {
    let mut command = Command::new(program);
    command.args(args).env("XDG_CACHE_HOME", cache).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output().with_context(|| format!("cannot start `{}`", program.display()))?;
    let taken = started.elapsed();
    if !output.status.success() {
        bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(taken)
}
