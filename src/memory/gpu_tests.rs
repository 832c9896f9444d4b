//! The plan of a GPU's memory against a trace of the tensors that real passes have alive, stage by stage.
//!
//! On the CPU the passes go the way of a GPU, in f16, whose tensors are as large as those of bf16: candle widens bf16
//! products there. With `LLAVA_VIDEO_TEST_DEVICE=cuda` the GPU's own memory pool is asked.

use std::path::Path;

use candle_core::{DType, Device};
use serde_json::{Value, json};

use super::{Demand, MemoryPlan, StagePeaks};
use crate::allocations;
use crate::checkpoint::generated::{SEVEN_B, Shape, header};
use crate::checkpoint::{Checkpoint, Source};
use crate::device::{DeviceMap, Limits, Placement};
use crate::engine::session::{Session, VisualTokens, step_many};
use crate::interrupt::Interrupt;
use crate::model::{ClipFrames, LlavaVideo, video_tokens};
use crate::prompt::{Prompt, Segment};
use crate::quantization::{Quantization, Scheme};
use crate::trace::Trace;

/// Sizes of a model, small, and in the relations of the published ones.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    hidden: usize,
    mlp: usize,
    heads: usize,
    kv_heads: usize,
    rows: usize,
    tower: usize,
    tower_heads: usize,
    tower_mlp: usize,
    grid: usize,
}

const PATCH: usize = 14;
const LAYERS: usize = 2;

/// Like the 7B model's: a wide feed-forward part, few key heads.
const LARGE: Sizes = Sizes {
    hidden: 256,
    mlp: 1280,
    heads: 4,
    kv_heads: 2,
    rows: 8000,
    tower: 144,
    tower_heads: 2,
    tower_mlp: 536,
    grid: 9,
};

/// A tower whose heads flash attention does not take, and a narrow decoder.
const NARROW: Sizes = Sizes { hidden: 96, mlp: 192, heads: 6, tower: 40, tower_heads: 2, tower_mlp: 80, ..LARGE };

impl Sizes {
    fn tensors(&self) -> Vec<Shape> {
        let mut out = Vec::new();
        let mut add = |name: String, shape: &[usize]| out.push((name, "BF16", shape.to_vec()));
        let &Self { hidden, mlp, heads, kv_heads, rows, tower, tower_mlp, grid, .. } = self;
        let kv = hidden / heads * kv_heads;
        let mut pair = |name: String, weight: &[usize]| {
            add(format!("{name}.weight"), weight);
            add(format!("{name}.bias"), &weight[..1]);
        };
        let vision = "model.vision_tower.vision_tower.vision_model";
        pair(format!("{vision}.embeddings.patch_embedding"), &[tower, 3, PATCH, PATCH]);
        pair("model.mm_projector.0".to_owned(), &[hidden, tower]);
        pair("model.mm_projector.2".to_owned(), &[hidden, hidden]);
        for layer in 0..LAYERS {
            let (decoder, encoder) = (format!("model.layers.{layer}"), format!("{vision}.encoder.layers.{layer}"));
            for (name, rows) in [("q", hidden), ("k", kv), ("v", kv)] {
                pair(format!("{decoder}.self_attn.{name}_proj"), &[rows, hidden]);
            }
            for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                pair(format!("{encoder}.self_attn.{name}"), &[tower, tower]);
            }
            for (name, shape) in [
                ("layer_norm1", &[tower][..]),
                ("layer_norm2", &[tower][..]),
                ("mlp.fc1", &[tower_mlp, tower][..]),
                ("mlp.fc2", &[tower, tower_mlp][..]),
            ] {
                pair(format!("{encoder}.{name}"), shape);
            }
        }
        for layer in 0..LAYERS {
            let mut add = |name: &str, shape: &[usize]| add(format!("model.layers.{layer}.{name}.weight"), shape);
            add("self_attn.o_proj", &[hidden, hidden]);
            add("mlp.gate_proj", &[mlp, hidden]);
            add("mlp.up_proj", &[mlp, hidden]);
            add("mlp.down_proj", &[hidden, mlp]);
            add("input_layernorm", &[hidden]);
            add("post_attention_layernorm", &[hidden]);
        }
        add(format!("{vision}.embeddings.position_embedding.weight"), &[grid * grid, tower]);
        add("model.embed_tokens.weight".to_owned(), &[rows, hidden]);
        add("model.norm.weight".to_owned(), &[hidden]);
        add("model.image_newline".to_owned(), &[hidden]);
        add("lm_head.weight".to_owned(), &[rows, hidden]);
        out
    }

    /// A checkpoint of zeros, which take no room on disk.
    fn write(&self, dir: &Path) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/ckpt/a_9x9_untied_sharded_bf16");
        let mut config: Value = serde_json::from_slice(&std::fs::read(golden.join("config.json")).unwrap()).unwrap();
        for (key, value) in [
            ("hidden_size", self.hidden),
            ("intermediate_size", self.mlp),
            ("num_attention_heads", self.heads),
            ("num_hidden_layers", LAYERS),
            ("num_key_value_heads", self.kv_heads),
            ("vocab_size", self.rows),
            ("mm_hidden_size", self.tower),
        ] {
            config[key] = value.into();
        }
        config["image_aspect_ratio"] = "square".into();
        config["vision_config"] = json!({
            "model_type": "siglip_vision_model",
            "hidden_size": self.tower,
            // Pixels beyond the last patch, as the published tower has them.
            "image_size": self.grid * PATCH + 6,
            "intermediate_size": self.tower_mlp,
            "layer_norm_eps": 1e-6,
            "num_attention_heads": self.tower_heads,
            "num_hidden_layers": LAYERS,
            "patch_size": PATCH,
        });
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
        let (header, data_bytes) = header(&self.tensors());
        let mut file = std::fs::File::create(dir.join("model.safetensors")).unwrap();
        std::io::Write::write_all(&mut file, &header).unwrap();
        file.set_len((header.len() + data_bytes) as u64).unwrap();
    }
}

/// A run to be traced.
#[derive(Debug, Clone, Copy)]
struct Case {
    sizes: Sizes,
    frames: usize,
    text: usize,
    dtype: DType,
    flash: bool,
    quantization: Option<Quantization>,
}

const PLAIN: Case = Case { sizes: LARGE, frames: 11, text: 40, dtype: DType::F16, flash: false, quantization: None };

/// Blocks of scores and chunks are cut small, so that there are several of each.
const LIMITS: Limits = Limits { vision_batch_frames: 8, prefill_chunk_tokens: 256, attention_scores_bytes: 600 << 10 };

/// Where the passes run, and what is alive there.
struct Place {
    placement: Placement,
}

impl Place {
    fn open(dtype: DType, flash: bool) -> Self {
        #[cfg(feature = "cuda")]
        if std::env::var("LLAVA_VIDEO_TEST_DEVICE").is_ok_and(|name| name.starts_with("cuda")) {
            let placement = Placement { has_flash: flash, ..Placement::whole(Device::new_cuda(0).unwrap(), dtype) };
            return Self { placement: Placement { limits: LIMITS, ..placement } };
        }
        let placement = Placement::whole(Device::Cpu, dtype);
        Self { placement: Placement { is_gpu: true, has_flash: flash, limits: LIMITS, ..placement } }
    }

    fn alive(&self) -> i64 {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(device) = &self.placement.device {
            return crate::device::pool_bytes(device).unwrap().used as i64;
        }
        allocations::alive()
    }

    fn take_most(&self) -> i64 {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(device) = &self.placement.device {
            let most = crate::device::pool_bytes(device).unwrap().most_used as i64;
            crate::device::reset_most_used(device).unwrap();
            return most;
        }
        allocations::take_most()
    }
}

/// What does not grow with a model, such as ids and a step's angles, in bytes: much beside these small ones.
const SMALL_THINGS: f64 = 16384.0;

/// Whether `planned` is `traced`, to 5 %, small things apart.
fn agree(planned: u64, traced: i64) -> bool {
    (planned as f64 - traced as f64).abs() <= (0.05 * traced as f64).max(SMALL_THINGS)
}

/// What does not agree, in words; nothing if all does.
fn differences(case: &Case) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    case.sizes.write(dir.path());
    let mut checkpoint = Checkpoint::open(dir.path(), &[]).unwrap();
    if let Some(quantization) = case.quantization {
        checkpoint.quantize(Scheme { quantization, vision: false }).unwrap();
    }
    let place = Place::open(case.dtype, case.flash);
    let devices = DeviceMap::single(place.placement.clone(), LAYERS);
    let visual_tokens = video_tokens(&checkpoint).unwrap().count(case.frames);
    let (prompt_tokens, new_tokens) = (visual_tokens + case.text, 6);
    let demand = Demand {
        distinct_frames: Some(case.frames),
        tiles_at_once: 0,
        visual_tokens,
        prompt_tokens,
        cache_positions: prompt_tokens + new_tokens,
        kv_caches: 1,
    };
    let peaks = StagePeaks::of(&checkpoint, &devices, 0, &demand);
    let rows = checkpoint.embedding_rows;
    let need = MemoryPlan::new(&checkpoint, rows, &devices, demand, &|_| None).slots[0].need;
    assert_eq!(need.activations, peaks.most());

    println!("{case:?}");
    let (interrupt, mut trace) = (Interrupt::default(), Trace::default());
    let load = || LlavaVideo::load(&checkpoint, rows, true, &devices, &interrupt, &mut |_, _, _| ()).unwrap();
    let mut found = Vec::new();
    let mut compare = |stage: &str, planned: u64, traced: i64| {
        println!("{stage}: {planned} bytes planned, {traced} allocated");
        if !agree(planned, traced) {
            found.push(format!("{stage}: {planned} planned, {traced} allocated"));
        }
    };

    place.take_most();
    let before = place.alive();
    let model = load();
    let weights = place.alive() - before;
    compare("weights", need.weights, weights);
    let most = place.take_most() - before;
    if case.quantization.is_none() {
        compare("weights and load", need.weights + peaks.load, most);
    }
    let frames = (0..case.frames).map(|frame| vec![frame as u8; 3 * checkpoint.vision.image_size.pow(2)]).collect();
    let clip = ClipFrames::new(frames, &(0..case.frames).collect::<Vec<_>>());
    let prompt = Prompt {
        segments: vec![
            Segment::Tokens(vec![1; case.text / 2]),
            Segment::Visual,
            Segment::Tokens(vec![2; case.text / 2]),
        ],
    };
    // The first round warms up: candle's CPU keeps quantized weights in an order of its own, CUDA its workspaces. The
    // latter are planned.
    let mut kept = 0;
    for round in 0..2 {
        let before = place.alive() - kept;
        place.take_most();
        let visual = model.encode_clip(&clip, &interrupt, &mut |_, _, _| (), &mut trace).unwrap();
        let vision = place.take_most() - before;
        let visual = [VisualTokens::new(visual)];
        let mut session = Session::new(&model, &interrupt);
        session.prefill(&prompt, &visual, new_tokens, &mut |_, _, _| (), &mut trace).unwrap();
        let prefill = place.take_most() - before;
        // Logits stay on the device: their copy in the host's memory is not its own.
        (1..new_tokens as u32).for_each(|id| drop(step_many(&mut [&mut session], &[id]).unwrap()));
        let decode = place.take_most() - before;
        if round == 1 {
            compare("vision", peaks.vision, vision);
            compare("prefill and KV cache", peaks.prefill + need.kv_cache, prefill);
            compare("prefill", peaks.prefill, prefill - need.kv_cache as i64);
            compare("decode", peaks.decode, decode - need.kv_cache as i64);
        }
        drop((session, visual));
        if place.placement.device.is_cuda() {
            kept = place.alive() - before;
        }
    }
    found
}

#[test]
fn plans_of_gpu_memory_agree_with_what_is_allocated() {
    let mut wrong = Vec::new();
    for case in cases() {
        let found = differences(&case);
        if !found.is_empty() {
            wrong.push(format!("{case:?}\n    {}", found.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        PLAIN,
        Case { frames: 1, text: 8, ..PLAIN },
        Case { frames: 16, text: 20, ..PLAIN },
        Case { frames: 30, text: 300, ..PLAIN },
        Case { sizes: NARROW, ..PLAIN },
        Case { sizes: NARROW, frames: 25, ..PLAIN },
        Case { dtype: DType::F32, ..PLAIN },
        Case { dtype: DType::F32, frames: 3, ..PLAIN },
    ];
    if flash_can_be_tried() {
        cases.extend([
            Case { flash: true, ..PLAIN },
            Case { flash: true, frames: 2, ..PLAIN },
            Case { flash: true, sizes: NARROW, ..PLAIN },
        ]);
    }
    cases.extend(Quantization::ALL.map(|quantization| Case { quantization: Some(quantization), ..PLAIN }));
    cases
}

/// On the CPU the kernel has a stand-in.
fn flash_can_be_tried() -> bool {
    cfg!(feature = "flash-attn") || std::env::var_os("LLAVA_VIDEO_TEST_DEVICE").is_none()
}

/// The table of docs/gpu.md, figure by figure.
#[test]
fn the_7b_model_takes_what_the_docs_say() {
    let checkpoint = Checkpoint::open(Source::Generated { name: "7b", size: SEVEN_B }, &[]).unwrap();
    let layers = checkpoint.config.language.num_layers;
    // Without flash attention, and with it.
    let needs = [false, true].map(|has_flash| {
        let gpu = Placement { is_gpu: true, limits: Limits::GPU, ..Placement::whole(Device::Cpu, DType::BF16) };
        let devices = DeviceMap::single(Placement { has_flash, ..gpu }, layers);
        [8, 32, 64, 110].map(|frames| {
            let visual_tokens = video_tokens(&checkpoint).unwrap().count(frames);
            let demand = Demand {
                distinct_frames: Some(frames),
                tiles_at_once: 0,
                visual_tokens,
                prompt_tokens: visual_tokens + 27,
                cache_positions: visual_tokens + 27 + 4096,
                kv_caches: 1,
            };
            let need = MemoryPlan::new(&checkpoint, 152_064, &devices, demand, &|_| None).slots[0].need;
            (need, StagePeaks::of(&checkpoint, &devices, 0, &demand))
        })
    });
    let [plain, flash] = needs;
    let mut unsaid = Vec::new();
    let mut row = |name: &str, figures: [u64; 4], digits: usize| {
        let figures = figures.map(|bytes| format!("{:.digits$} GB", bytes as f64 / 1e9)).join(" | ");
        let row = format!("| {name} | {figures} |");
        if !include_str!("../../docs/gpu.md").contains(&row) {
            unsaid.push(row);
        }
    };
    row("weights", plain.map(|(need, _)| need.weights), 2);
    row("KV cache", plain.map(|(need, _)| need.kv_cache), 2);
    row("the most in the tower, visual tokens included", plain.map(|(_, peaks)| peaks.vision), 2);
    row("the most in prefill, prompt and visual tokens included", plain.map(|(_, peaks)| peaks.prefill), 2);
    row("tower with flash attention", flash.map(|(_, peaks)| peaks.vision), 2);
    row("prefill with flash attention", flash.map(|(_, peaks)| peaks.prefill), 2);
    row("context and libraries (an allowance)", plain.map(|(need, _)| need.base), 2);
    row("together, without flash attention", plain.map(|(need, _)| need.total()), 1);
    row("together, with flash attention", flash.map(|(need, _)| need.total()), 1);
    assert!(unsaid.is_empty(), "docs/gpu.md should say:\n{}", unsaid.join("\n"));
}
