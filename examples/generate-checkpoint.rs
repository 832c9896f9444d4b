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
use half::bf16;
use serde_json::{Map, Value, json};

use self::family::random::Random;
use self::family::{Shape, Size, header, original_tensors};

pub mod family;

/// Most bytes of one shard, as transformers' `save_pretrained` cuts them.
const SHARD_BYTES: usize = 5_000_000_000;

fn main() -> Result<()> {
    generate(std::env::args().skip(1))
}

/// Writes what the arguments ask for.
pub fn generate(args: impl IntoIterator<Item = String>) -> Result<()> {
    let mut args = args.into_iter();
    let (name, dir) = (args.next().unwrap_or_default(), PathBuf::from(args.next().context("usage: SIZE DIR")?));
    let mut size = match name.as_str() {
        "0.5b" => family::HALF_B,
        "7b" => family::SEVEN_B,
        "72b" => family::SEVENTY_TWO_B,
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
    let parameters: usize = tensors.iter().map(values).sum();
    let shards = write_shards(&dir, tensors, sparse)?;
    eprintln!("{parameters} parameters, {shards} shards in {}", dir.display());
    Ok(())
}

/// Values of a tensor.
fn values(tensor: &Shape) -> usize {
    tensor.2.iter().product()
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, format!("{value:#}\n")).with_context(|| format!("cannot write `{}`", path.display()))
}

/// The keys that the originals have and this program reads.
fn config(size: &Size) -> Value {
    json!({
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "hidden_size": size.hidden,
        "intermediate_size": size.intermediate,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "vocab_size": size.rows,
        "tie_word_embeddings": size.tied,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "max_position_embeddings": 32_768,
        "tokenizer_model_max_length": 32_768,
        "use_sliding_window": false,
        "mm_hidden_size": 1152,
        "mm_newline_position": "grid",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_spatial_pool_mode": "bilinear",
        "mm_spatial_pool_stride": 2,
        "mm_use_im_patch_token": false,
        "mm_use_im_start_end": false,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "torch_dtype": "bfloat16",
    })
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
        let bytes = 2 * values(&tensor);
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
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&header)?;
    if sparse {
        let total_bytes = (header.len() + data_bytes) as u64;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.set_len(total_bytes)?;
        return Ok(());
    }
    let noise = noise();
    for (index, tensor) in tensors.iter().enumerate() {
        match tensor.0.rsplit_once('.') {
            Some((name, "weight")) if name.contains("norm") => fill(&mut out, &[1.0], values(tensor))?,
            Some((_, "bias")) => fill(&mut out, &[0.0], values(tensor))?,
            _ => fill_bytes(&mut out, &noise, 2 * values(tensor), 2 * (index * 7919 % 100_000))?,
        }
    }
    out.flush().with_context(|| format!("cannot write `{}`", path.display()))
}

fn fill(out: &mut impl Write, values: &[f32], len: usize) -> Result<()> {
    let bytes: Vec<u8> = values.iter().cycle().take(4096).flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect();
    fill_bytes(out, &bytes, 2 * len, 0)
}

/// Writes `len` bytes of `pattern` over and over, the first time from `start` on.
fn fill_bytes(out: &mut impl Write, pattern: &[u8], mut len: usize, start: usize) -> Result<()> {
    let mut from = start % pattern.len();
    while len > 0 {
        let count = len.min(pattern.len() - from);
        out.write_all(&pattern[from..from + count])?;
        len -= count;
        from = 0;
    }
    Ok(())
}

/// Values of standard deviation 0.02, always the same ones; an odd number of them, so that rows do not repeat.
fn noise() -> Vec<u8> {
    let mut random = Random::new(1);
    // A sum of three uniform values of variance 1/12 each has a deviation of one half.
    let value = |_| bf16::from_f32((random.centered() + random.centered() + random.centered()) * 0.04).to_le_bytes();
    (0..2_097_143).flat_map(value).collect()
}
