//! Writes a checkpoint of random weights with the real names, shapes and shards, to measure loading, memory and speed.
//!
//! `cargo run --release --example generate-checkpoint -- SIZE DIR [--tower-layers N] [--layers N] [--sparse]`
//! where SIZE is 0.5b, 7b or 72b. `--sparse` writes zeros that take no disk space (shapes only). The tokenizer is the
//! real vocabulary from the test data, so run it in the repository.

#![expect(clippy::print_stderr, reason = "a tool for people")]

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use half::bf16;
use serde_json::{Map, Value, json};

/// Most bytes of one shard, as transformers' `save_pretrained` cuts them.
const SHARD_BYTES: usize = 5_000_000_000;

const TOWER: &str = "model.vision_tower.vision_tower.vision_model";

/// Sizes of one member of the family.
struct Size {
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    vocab: usize,
    tied: bool,
    tower_layers: usize,
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
}

impl Tensor {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (name, dir) = (args.next().unwrap_or_default(), PathBuf::from(args.next().context("usage: SIZE DIR")?));
    let mut size = match name.as_str() {
        "0.5b" => size(896, 4864, 24, (14, 2), 151_936, true),
        "7b" => size(3584, 18_944, 28, (28, 4), 152_064, false),
        "72b" => size(8192, 29_568, 80, (64, 8), 152_064, false),
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
    let tensors = tensors(&size);
    let parameters: usize = tensors.iter().map(Tensor::len).sum();
    let shards = write_shards(&dir, tensors, sparse)?;
    eprintln!("{parameters} parameters, {shards} shards in {}", dir.display());
    Ok(())
}

fn size(
    hidden: usize,
    intermediate: usize,
    layers: usize,
    (heads, kv_heads): (usize, usize),
    vocab: usize,
    tied: bool,
) -> Size {
    Size { hidden, intermediate, layers, heads, kv_heads, vocab, tied, tower_layers: 26 }
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
        "vocab_size": size.vocab,
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

/// All tensors, in the order in which PyTorch's modules list them.
fn tensors(size: &Size) -> Vec<Tensor> {
    let mut out = Vec::new();
    let mut add = |name: String, shape: &[usize]| out.push(Tensor { name, shape: shape.to_vec() });
    let (hidden, kv) = (size.hidden, size.kv_heads * size.hidden / size.heads);
    add("model.embed_tokens.weight".to_owned(), &[size.vocab, hidden]);
    for layer in 0..size.layers {
        let mut add = |name: &str, shape: &[usize]| add(format!("model.layers.{layer}.{name}"), shape);
        for (name, rows) in [("q_proj", hidden), ("k_proj", kv), ("v_proj", kv)] {
            add(&format!("self_attn.{name}.weight"), &[rows, hidden]);
            add(&format!("self_attn.{name}.bias"), &[rows]);
        }
        add("self_attn.o_proj.weight", &[hidden, hidden]);
        add("mlp.gate_proj.weight", &[size.intermediate, hidden]);
        add("mlp.up_proj.weight", &[size.intermediate, hidden]);
        add("mlp.down_proj.weight", &[hidden, size.intermediate]);
        add("input_layernorm.weight", &[hidden]);
        add("post_attention_layernorm.weight", &[hidden]);
    }
    add("model.norm.weight".to_owned(), &[hidden]);
    let mut tower = |name: &str, shape: &[usize]| add(format!("{TOWER}.{name}"), shape);
    tower("embeddings.patch_embedding.weight", &[1152, 3, 14, 14]);
    tower("embeddings.patch_embedding.bias", &[1152]);
    tower("embeddings.position_embedding.weight", &[729, 1152]);
    for layer in 0..size.tower_layers {
        let mut pair = |name: &str, weight: &[usize]| {
            tower(&format!("encoder.layers.{layer}.{name}.weight"), weight);
            tower(&format!("encoder.layers.{layer}.{name}.bias"), &weight[..1]);
        };
        for name in ["k_proj", "v_proj", "q_proj", "out_proj"] {
            pair(&format!("self_attn.{name}"), &[1152, 1152]);
        }
        pair("layer_norm1", &[1152]);
        pair("mlp.fc1", &[4304, 1152]);
        pair("mlp.fc2", &[1152, 4304]);
        pair("layer_norm2", &[1152]);
    }
    tower("post_layernorm.weight", &[1152]);
    tower("post_layernorm.bias", &[1152]);
    for (layer, input) in [(0, 1152), (2, hidden)] {
        add(format!("model.mm_projector.{layer}.weight"), &[hidden, input]);
        add(format!("model.mm_projector.{layer}.bias"), &[hidden]);
    }
    add("model.image_newline".to_owned(), &[hidden]);
    if !size.tied {
        add("lm_head.weight".to_owned(), &[size.vocab, hidden]);
    }
    out
}

/// Cuts the list into shards and writes them, with an index if there is more than one.
fn write_shards(dir: &Path, tensors: Vec<Tensor>, sparse: bool) -> Result<usize> {
    let mut shards: Vec<Vec<Tensor>> = vec![Vec::new()];
    let mut shard_bytes = 0;
    for tensor in tensors {
        let bytes = 2 * tensor.len();
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
        weight_map.extend(shard.iter().map(|tensor| (tensor.name.clone(), json!(name))));
        write_shard(&dir.join(name), shard, sparse)?;
    }
    if count > 1 {
        write_json(&dir.join("model.safetensors.index.json"), &json!({ "metadata": {}, "weight_map": weight_map }))?;
    }
    Ok(count)
}

fn write_shard(path: &Path, tensors: &[Tensor], sparse: bool) -> Result<()> {
    let mut header = Map::new();
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + 2 * tensor.len();
        let entry = json!({ "dtype": "BF16", "shape": tensor.shape, "data_offsets": [offset, end] });
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let file = File::create(path).with_context(|| format!("cannot create `{}`", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    if sparse {
        let start = out.stream_position()?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.set_len(start + offset as u64)?;
        return Ok(());
    }
    let noise = noise();
    for (index, tensor) in tensors.iter().enumerate() {
        match tensor.name.rsplit_once('.') {
            Some((name, "weight")) if name.contains("norm") => fill(&mut out, &[1.0], tensor.len())?,
            Some((_, "bias")) => fill(&mut out, &[0.0], tensor.len())?,
            _ => fill_bytes(&mut out, &noise, 2 * tensor.len(), 2 * (index * 7919 % 100_000))?,
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
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    // A sum of three uniform values of variance 1/12 each has a deviation of one half.
    let value = |_| bf16::from_f32((uniform() + uniform() + uniform()) * 0.04).to_le_bytes();
    (0..2_097_143).flat_map(value).collect()
}
