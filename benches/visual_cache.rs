//! How fast clips are hashed, and visual tokens kept and found: `cargo bench --bench visual_cache -- FILE`.
//!
//! Entries have the size of 110 frames for the 7B model in f32. From the second round on the file is in memory.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use llava_video::checkpoint::{Checkpoint, Identity};
use llava_video::demo;
use llava_video::device::{DeviceName, DtypeRequest, Placement};
use llava_video::engine::visual_cache::{AskedFrames, Content, DEFAULT_CAP_BYTES, Key, KeyParts, Lookup, VisualCache};
use llava_video::interrupt::Interrupt;

/// 110 frames of 14 rows of 15 tokens of 3584 values of 4 bytes.
const ENTRY_BYTES: usize = 110 * 14 * 15 * 3584 * 4;

const ROUNDS: [&str; 3] = ["first", "second", "third"];

fn main() -> Result<()> {
    // cargo passes `--bench`; without a file there is nothing to measure.
    let Some(file) = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map(PathBuf::from) else {
        println!("usage: cargo bench --bench visual_cache -- FILE");
        return Ok(());
    };
    let report = |what: &str, round: &str, bytes: f64, started: Instant| {
        let (gigabytes, secs) = (bytes / 1e9, started.elapsed().as_secs_f64());
        println!("{what}, {round} round: {gigabytes:.2} GB in {secs:.2} s, {:.2} GB/s", gigabytes / secs);
    };
    let file_bytes = file.metadata().with_context(|| format!("cannot read `{}`", file.display()))?.len();
    let mut content = None;
    for round in ROUNDS {
        let started = Instant::now();
        content = Some(Content::of(&file, &Interrupt::default())?);
        report("hash", round, file_bytes as f64, started);
    }
    let checkpoint = Checkpoint::open(demo::source(), &[])?;
    let identity = Identity::of(&checkpoint)?;
    let key = Key::new(&KeyParts {
        content: &content.context("it was hashed")?,
        frames: AskedFrames::Moments(&[]),
        image_fps: 1.0,
        is_strict: false,
        checkpoint: &checkpoint,
        identity: &identity,
        scheme: None,
        placement: &Placement::open(DeviceName::Cpu, DtypeRequest::F32)?,
    });
    let width = checkpoint.config.language.hidden_size;
    let tokens = Tensor::randn(0f32, 1f32, (ENTRY_BYTES / 4 / width, width), &Device::Cpu)?;
    let dir = tempfile::tempdir()?;
    let cache = VisualCache::open(dir.path().to_owned(), DEFAULT_CAP_BYTES)?;
    for round in ROUNDS {
        let started = Instant::now();
        cache.put(&key, &tokens, &serde_json::Value::Null)?;
        report("put", round, ENTRY_BYTES as f64, started);
        let started = Instant::now();
        let Lookup::Hit(_) = cache.get(&key, Ok) else { bail!("what was kept is not found") };
        report("get", round, ENTRY_BYTES as f64, started);
    }
    Ok(())
}
