//! Writes a checkpoint of random weights with the real names, shapes and shards, to measure loading, memory and speed.
//!
//! `cargo run --release --example generate-checkpoint -- SIZE DIR [--tower-layers N] [--layers N] [--sparse]`
//! where SIZE is 0.5b, 7b or 72b. `--sparse` writes zeros that take no disk space (shapes only). The tokenizer is the
//! real vocabulary from the test data, so run it in the repository.

#![expect(clippy::print_stderr, reason = "a tool for people")]

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use llava_video::checkpoint::generated::{
    HALF_B, SEVEN_B, SEVENTY_TWO_B, Shape, Values, config, header, original_tensors,
};
use serde_json::{Map, Value, json};

/// Most bytes of one shard, as transformers' `save_pretrained` cuts them.
const SHARD_BYTES: usize = 5_000_000_000;

/// Bytes that are made at a time.
const BUFFER_BYTES: usize = 1 << 20;

fn main() -> Result<()> {
    generate(std::env::args().skip(1))
}

/// Writes what the arguments ask for.
pub fn generate(args: impl IntoIterator<Item = String>) -> Result<()> {
    let mut args = args.into_iter();
    let (name, dir) = (args.next().unwrap_or_default(), PathBuf::from(args.next().context("usage: SIZE DIR")?));
    let mut size = match name.as_str() {
        "0.5b" => HALF_B,
        "7b" => SEVEN_B,
        "72b" => SEVENTY_TWO_B,
        other => bail!("unknown size `{other}`, known are 0.5b, 7b and 72b"),
    };
    let mut sparse = false;
    while let Some(flag) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).with_context(|| format!("{flag} needs a number"));
        match flag.as_str() {
            "--tower-layers" => size.tower_layers = number()?,
            "--layers" => size.layers = number()?,
            "--sparse" => sparse = true,
            other => bail!("unknown flag `{other}`"),
        }
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    write_json(&dir.join("config.json"), &config(&size))?;
    let generation =
        json!({ "eos_token_id": [151_645, 151_643], "repetition_penalty": 1.05, "top_k": 20, "top_p": 0.8 });
    write_json(&dir.join("generation_config.json"), &generation)?;
    write_tokenizer(&dir)?;
    let tensors = original_tensors(&size);
    let parameters: usize = tensors.iter().map(count).sum();
    let shards = write_shards(&dir, tensors, sparse)?;
    eprintln!("{parameters} parameters, {shards} shards in {}", dir.display());
    Ok(())
}

/// Values of a tensor.
fn count(tensor: &Shape) -> usize {
    tensor.2.iter().product()
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, format!("{value:#}\n")).with_context(|| format!("cannot write `{}`", path.display()))
}

fn write_tokenizer(dir: &Path) -> Result<()> {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/qwen2_tokenizer/tokenizer.json.gz");
    let file = File::open(&packed).with_context(|| format!("cannot read `{}`", packed.display()))?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes)?;
    std::fs::write(dir.join("tokenizer.json"), bytes).context("cannot write tokenizer.json")
}

/// Cuts the list into shards and writes them, with an index if there is more than one.
fn write_shards(dir: &Path, tensors: Vec<Shape>, sparse: bool) -> Result<usize> {
    let mut shards: Vec<Vec<Shape>> = vec![Vec::new()];
    let mut shard_bytes = 0;
    for tensor in tensors {
        let bytes = 2 * count(&tensor);
        if shard_bytes + bytes > SHARD_BYTES && shard_bytes > 0 {
            shards.push(Vec::new());
            shard_bytes = 0;
        }
        shard_bytes += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    let count = shards.len();
    let mut weight_map = Map::new();
    for (index, shard) in shards.iter().enumerate() {
        let name = match count {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        weight_map.extend(shard.iter().map(|(tensor, ..)| (tensor.clone(), json!(name))));
        write_shard(&dir.join(name), shard, sparse)?;
    }
    if count > 1 {
        write_json(&dir.join("model.safetensors.index.json"), &json!({ "metadata": {}, "weight_map": weight_map }))?;
    }
    Ok(count)
}

fn write_shard(path: &Path, tensors: &[Shape], sparse: bool) -> Result<()> {
    let (header, data_bytes) = header(tensors);
    let file = File::create(path).with_context(|| format!("cannot create `{}`", path.display()))?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    out.write_all(&header)?;
    if sparse {
        let total_bytes = (header.len() + data_bytes) as u64;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.set_len(total_bytes)?;
        return Ok(());
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    for (index, tensor) in tensors.iter().enumerate() {
        let (values, len) = (Values::of(index, &tensor.0), 2 * count(tensor));
        for start in (0..len).step_by(BUFFER_BYTES) {
            let part = &mut buffer[..BUFFER_BYTES.min(len - start)];
            values.fill(start, part);
            out.write_all(part)?;
        }
    }
    out.flush().with_context(|| format!("cannot write `{}`", path.display()))
}
