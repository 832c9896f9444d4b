//! How fast weights come from the page cache into tensors: `cargo bench --bench load -- CHECKPOINT_DIR`.
//!
//! Every tensor is loaded as stored, one after the other, and dropped; the second round finds the files in memory.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::Device;
use llava_video::checkpoint::Checkpoint;

fn main() -> Result<()> {
    // cargo passes `--bench`; without a directory there is nothing to measure.
    let Some(dir) = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map(PathBuf::from) else {
        println!("usage: cargo bench --bench load -- CHECKPOINT_DIR");
        return Ok(());
    };
    let checkpoint = Checkpoint::open(&dir, &[]).with_context(|| format!("cannot open `{}`", dir.display()))?;
    let weights = &checkpoint.weights;
    let gigabytes = weights.total_bytes() as f64 / 1e9;
    for round in ["first", "second", "third"] {
        let started = Instant::now();
        for name in weights.names() {
            weights.load(name, None, &Device::Cpu)?;
        }
        let secs = started.elapsed().as_secs_f64();
        println!("{round} round: {gigabytes:.2} GB in {secs:.2} s, {:.2} GB/s", gigabytes / secs);
    }
    Ok(())
}
