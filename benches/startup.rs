//! How long the program takes to do little: `cargo bench --bench startup [-- PROGRAM]`. Fails above the bars.
//!
//! The bars are for the time on the clock of an idle machine. On a busy one, `LLAVA_VIDEO_STARTUP_BUSY=1` holds the
//! processor time of the program and of the child that reads the clip against them. That grows, too, when others use the
//! caches: by up to a third where we looked.
//!
//! With the system's FFmpeg the loader takes most of the time: on Debian it opens 130 libraries, in the program and in
//! the child. That is allowed for. With `--features static-ffmpeg` it is not.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

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

/// Milliseconds of one run.
struct Taken {
    clock: f64,
    processor: f64,
}

fn main() -> Result<()> {
    let program = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map(PathBuf::from);
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_llava-video").into());
    let busy = std::env::var_os("LLAVA_VIDEO_STARTUP_BUSY").is_some_and(|value| value == "1");
    let cache = tempfile::tempdir()?;
    println!("medians of {RUNS} runs");
    let mut slow = Vec::new();
    for (name, args, bar, processes) in TASKS {
        let bar = bar + processes * LOADER_MS;
        // The first run finds nothing in memory, and keeps visual tokens for those after it.
        run(&program, args, cache.path())?;
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(run(&program, args, cache.path())?);
        }
        let clock = median(runs.iter().map(|taken| taken.clock));
        let processor = median(runs.iter().map(|taken| taken.processor));
        println!("{name:<24} clock {clock:>6.1} ms, processor {processor:>6.1} ms, bar {bar:.0} ms");
        let counted = if busy { processor } else { clock };
        if counted > bar {
            slow.push(name);
        }
    }
    ensure!(slow.is_empty(), "above the bar: {}", slow.join("; "));
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(program: &Path, args: &[&str], cache: &Path) -> Result<Taken> {
    let mut command = Command::new(program);
    command.args(args).env("XDG_CACHE_HOME", cache).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let before = children_ms();
    let started = Instant::now();
    let output = command.output().with_context(|| format!("cannot start `{}`", program.display()))?;
    let taken = Taken { clock: started.elapsed().as_secs_f64() * 1e3, processor: children_ms() - before };
    if !output.status.success() {
        bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(taken)
}

/// Processor time of all children so far, and of theirs, in milliseconds.
fn children_ms() -> f64 {
    // SAFETY: a plain C structure that the call fills; zeros are valid values of it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 * 1e-3;
    ms(usage.ru_utime) + ms(usage.ru_stime)
}
