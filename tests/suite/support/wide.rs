//! A checkpoint of random weights, of a width that every quantization's blocks divide; text files of a golden one.

use std::io::{BufWriter, Write};

use half::bf16;
use serde_json::{Map, Value, json};

use super::checkpoint::CheckpointCopy;
use super::files::{SHARDED, golden_checkpoint};
use super::random::Random;

/// Sizes of the decoder; the tower and the vocabulary stay those of the golden checkpoint.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
}

/// Small and quick.
pub(crate) const SMALL: Sizes = Sizes { hidden: 256, intermediate: 512, layers: 2, heads: 4, kv_heads: 2 };

/// Half a gigabyte when quantized to eight bits; to be used sparse.
pub(crate) const LARGE: Sizes = Sizes { hidden: 2048, intermediate: 8192, layers: 8, heads: 16, kv_heads: 2 };

/// Tables of 134 million weights each, to be used sparse: one takes a slow quantizer longer than a second.
pub(crate) const HUGE: Sizes = Sizes { hidden: 2048, intermediate: 65_536, layers: 3, heads: 16, kv_heads: 2 };

/// A copy of the untied golden checkpoint with a decoder of these sizes. `sparse` leaves all weights zero, which takes
/// no room on disk.
pub(crate) fn checkpoint(sizes: Sizes, sparse: bool) -> CheckpointCopy {
    let copy = CheckpointCopy::of(&golden_checkpoint(SHARDED));
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    copy.edit_tensors(|golden| {
        for (name, tensor) in golden.drain() {
            match name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
                Some(("0", rest)) => {
                    let copies = (0..sizes.layers).map(|layer| format!("model.layers.{layer}.{rest}"));
                    tensors.extend(copies.map(|name| (name.clone(), shape(&name, tensor.dims(), sizes))));
                }
                Some(_) => {}
                None => tensors.push((name.clone(), shape(&name, tensor.dims(), sizes))),
            }
        }
    });
    tensors.sort();
    copy.edit_json("config.json", |config| {
        config["hidden_size"] = sizes.hidden.into();
        config["intermediate_size"] = sizes.intermediate.into();
        config["num_hidden_layers"] = sizes.layers.into();
        config["num_attention_heads"] = sizes.heads.into();
        config["num_key_value_heads"] = sizes.kv_heads.into();
    });
    write(&copy, &tensors, sparse);
    copy
}

/// The shape that a tensor of the golden checkpoint has at these sizes.
fn shape(name: &str, golden: &[usize], sizes: Sizes) -> Vec<usize> {
    let kv = sizes.kv_heads * sizes.hidden / sizes.heads;
    let part = |module: &str| name.contains(module);
    if part("vision_tower") {
        return golden.to_vec();
    }
    let first = match () {
        () if part("k_proj") || part("v_proj") => kv,
        () if part("gate_proj") || part("up_proj") => sizes.intermediate,
        () if part("embed_tokens") || part("lm_head") => golden[0],
        () => sizes.hidden,
    };
    let second = match () {
        () if part("down_proj") => Some(sizes.intermediate),
        () if part("mm_projector.0") => golden.get(1).copied(),
        () => Some(sizes.hidden),
    };
    [Some(first), second].into_iter().flatten().take(golden.len()).collect()
}

fn write(copy: &CheckpointCopy, tensors: &[(String, Vec<usize>)], sparse: bool) {
    let mut header = Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut out = BufWriter::new(std::fs::File::create(copy.path().join("model.safetensors")).unwrap());
    out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    out.write_all(header.as_bytes()).unwrap();
    if sparse {
        return out.into_inner().unwrap().set_len((8 + header.len() + end) as u64).unwrap();
    }
    let mut random = Random::new(1);
    for (name, shape) in tensors {
        let is_norm = name.contains("norm");
        for _ in 0..shape.iter().product() {
            // Wide enough for the logits to prefer some ids to others.
            let value = if is_norm { 1.0 + 0.1 * random.centered() } else { 0.2 * random.centered() };
            out.write_all(&bf16::from_f32(value).to_le_bytes()).unwrap();
        }
    }
    out.flush().unwrap();
}
