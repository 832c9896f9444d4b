//! Every tensor that the model will ask for, with its shape: checked against the files before anything is loaded.
//!
//! The names are those of the original layout (PyTorch modules of `LlavaQwenForCausalLM`). Sizes of the vision tower
//! come from the tensors themselves; sizes of the decoder come from the config.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::{Config, LanguageConfig, MergeType, ProjectorType};
use super::{Error, Weights};

/// Prefix of the vision tower's tensors.
pub(super) const TOWER: &str = "model.vision_tower.vision_tower.vision_model";

/// Layers of SigLIP-SO400M as published; LLaVA-NeXT deletes the last one and stores 26 (`siglip_encoder.py`).
const SO400M_PUBLISHED_LAYERS: usize = 27;

/// Most names that one error message lists of each kind.
const MAX_LISTED: usize = 40;

/// Sizes of the vision tower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisionShape {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Encoder layers that are stored; all of them run.
    pub num_layers: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Side of the input image, in pixels.
    pub image_size: usize,
    /// LayerNorm epsilon.
    pub layer_norm_eps: f64,
}

impl VisionShape {
    /// Patches along one side; pixels beyond the last whole patch are dropped.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// The projector's layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectorShape {
    /// Tensor name prefixes of its linear layers, in order; GELUs stand between them.
    pub layers: Vec<String>,
}

/// What the check learned from the tensors.
pub(super) struct Manifest {
    pub(super) vision: VisionShape,
    pub(super) projector: ProjectorShape,
    pub(super) embedding_rows: usize,
}

/// A name and the shape it must have; `None` where the shape cannot be known because another tensor is missing.
type Expected = BTreeMap<String, Option<Vec<usize>>>;

/// Checks that exactly the tensors that `config` asks for are there.
pub(super) fn check(dir: &Path, config: &Config, weights: &Weights) -> Result<Manifest, Error> {
    let mut expected = Expected::new();
    let vision = expect_tower(config, weights, &mut expected);
    let projector = expect_projector(config, vision.hidden_size, &mut expected);
    let embedding_rows = expect_language(&config.language, weights, &mut expected);
    expect_extra_tokens(config, &mut expected);
    let mut faults = Vec::new();
    let VisionShape { hidden_size, num_heads, .. } = vision;
    if !hidden_size.is_multiple_of(num_heads) {
        faults.push(format!("{TOWER}: a width of {hidden_size} does not divide into {num_heads} heads"));
    }
    let is_unused = |name: &str| {
        is_never_used(name, &config.language) || matches!(name, "model.faster_token" | "model.image_newline")
    };
    compare(dir, &expected, weights, is_unused, faults)?;
    Ok(Manifest { vision, projector, embedding_rows })
}

/// Checks that exactly the tensors of a language model are there, and returns the rows of its embedding table.
pub(super) fn check_language(dir: &Path, language: &LanguageConfig, weights: &Weights) -> Result<usize, Error> {
    let mut expected = Expected::new();
    let rows = expect_language(language, weights, &mut expected);
    compare(dir, &expected, weights, |name| is_never_used(name, language), Vec::new())?;
    Ok(rows)
}

/// Compares what is there with what is expected; `misshapen` holds faults that are known already.
fn compare(
    dir: &Path,
    expected: &Expected,
    weights: &Weights,
    is_unused: impl Fn(&str) -> bool,
    mut misshapen: Vec<String>,
) -> Result<(), Error> {
    let found: Vec<&str> = weights.names().collect();
    let missing = expected.keys().filter(|name| weights.shape(name).is_none()).cloned().collect::<Vec<_>>();
    let unexpected = found
        .into_iter()
        .filter(|name| !expected.contains_key(*name) && !is_unused(name))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for (name, shape) in expected {
        if let (Some(shape), Some(found)) = (shape, weights.shape(name))
            && found != shape
        {
            misshapen.push(format!("{name} is {found:?}, expected {shape:?}"));
        }
    }
    let faults = [("missing", missing), ("unexpected", unexpected), ("wrongly shaped", misshapen)];
    let message = faults.into_iter().filter(|(_, names)| !names.is_empty()).map(describe).collect::<Vec<_>>();
    match message.is_empty() {
        true => Ok(()),
        false => Err(Error::Tensors { dir: dir.to_owned(), message: message.join("; ") }),
    }
}

fn describe((kind, names): (&str, Vec<String>)) -> String {
    let count = names.len();
    let listed = names.into_iter().take(MAX_LISTED).collect::<Vec<_>>().join(", ");
    let rest = count.saturating_sub(MAX_LISTED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{count} {kind}: {listed}{more}")
}

/// Tensors that checkpoints of this family may carry and that no computation uses.
pub(super) fn is_never_used(name: &str, language: &LanguageConfig) -> bool {
    let in_tower = name.strip_prefix(TOWER);
    in_tower.is_some_and(|rest| rest.starts_with(".post_layernorm.") || rest.starts_with(".head."))
        || name.ends_with(".rotary_emb.inv_freq")
        || (name == "lm_head.weight" && language.tie_word_embeddings)
}

fn expect_tower(config: &Config, weights: &Weights, expected: &mut Expected) -> VisionShape {
    let dim = |name: &str, axis: usize| weights.shape(name).and_then(|shape| shape.get(axis).copied());
    let patch_weight = format!("{TOWER}.embeddings.patch_embedding.weight");
    let hidden = dim(&patch_weight, 0);
    let mlp = dim(&format!("{TOWER}.encoder.layers.0.mlp.fc1.weight"), 0);
    let shape = VisionShape {
        hidden_size: hidden.unwrap_or(0),
        num_layers: tower_layers(config.vision.num_layers, weights),
        num_heads: config.vision.num_heads,
        patch_size: config.vision.patch_size,
        image_size: config.vision.image_size,
        layer_norm_eps: config.vision.layer_norm_eps,
    };
    let patch = shape.patch_size;
    let mut expect = |name: &str, dims: &[Option<usize>]| {
        expected.insert(format!("{TOWER}.{name}"), dims.iter().copied().collect());
    };
    expect("embeddings.patch_embedding.weight", &[hidden, Some(3), Some(patch), Some(patch)]);
    expect("embeddings.patch_embedding.bias", &[hidden]);
    expect("embeddings.position_embedding.weight", &[Some(shape.grid() * shape.grid()), hidden]);
    for layer in 0..shape.num_layers {
        let mut expect = |name: &str, dims: &[Option<usize>]| expect(&format!("encoder.layers.{layer}.{name}"), dims);
        for norm in ["layer_norm1", "layer_norm2"] {
            expect(&format!("{norm}.weight"), &[hidden]);
            expect(&format!("{norm}.bias"), &[hidden]);
        }
        for (linear, rows, columns) in [
            ("self_attn.q_proj", hidden, hidden),
            ("self_attn.k_proj", hidden, hidden),
            ("self_attn.v_proj", hidden, hidden),
            ("self_attn.out_proj", hidden, hidden),
            ("mlp.fc1", mlp, hidden),
            ("mlp.fc2", hidden, mlp),
        ] {
            expect(&format!("{linear}.weight"), &[rows, columns]);
            expect(&format!("{linear}.bias"), &[rows]);
        }
    }
    shape
}

/// How many encoder layers the tower has. The files decide, unless the config promises more of them than there are:
/// then the promise stands and the rest are reported missing. The published SO400M config counts the deleted layer.
fn tower_layers(promised: Option<usize>, weights: &Weights) -> usize {
    let prefix = format!("{TOWER}.encoder.layers.");
    let index = |name: &str| name.strip_prefix(&prefix)?.split('.').next()?.parse::<usize>().ok();
    let stored = weights.names().filter_map(index).max().map_or(0, |last| last + 1);
    match promised {
        Some(SO400M_PUBLISHED_LAYERS) if stored + 1 == SO400M_PUBLISHED_LAYERS => stored,
        Some(promised) => promised,
        None => stored.max(1),
    }
}

fn expect_projector(config: &Config, tower_width: usize, expected: &mut Expected) -> ProjectorShape {
    let hidden = config.language.hidden_size;
    let layers: Vec<String> = match config.projector {
        ProjectorType::Linear => vec!["model.mm_projector".to_owned()],
        // nn.Sequential numbers the GELUs in between, too.
        ProjectorType::Mlp { depth } => (0..depth).map(|i| format!("model.mm_projector.{}", 2 * i)).collect(),
    };
    let mut input = Some(tower_width).filter(|&width| width > 0);
    for layer in &layers {
        expected.insert(format!("{layer}.weight"), input.map(|input| vec![hidden, input]));
        expected.insert(format!("{layer}.bias"), Some(vec![hidden]));
        input = Some(hidden);
    }
    ProjectorShape { layers }
}

fn expect_language(language: &LanguageConfig, weights: &Weights, expected: &mut Expected) -> usize {
    let (hidden, mlp) = (language.hidden_size, language.intermediate_size);
    let kv = language.num_kv_heads * language.head_dim();
    let mut expect = |name: String, dims: &[usize]| {
        expected.insert(name, Some(dims.to_vec()));
    };
    // Fine-tunes store as many rows as their tokenizer has ids, the originals a padded number.
    let rows = weights.shape("model.embed_tokens.weight").and_then(|shape| shape.first().copied()).unwrap_or(0);
    expect("model.embed_tokens.weight".to_owned(), &[rows, hidden]);
    if !language.tie_word_embeddings {
        expect("lm_head.weight".to_owned(), &[rows, hidden]);
    }
    expect("model.norm.weight".to_owned(), &[hidden]);
    for layer in 0..language.num_layers {
        let mut expect = |name: &str, dims: &[usize]| expect(format!("model.layers.{layer}.{name}"), dims);
        expect("input_layernorm.weight", &[hidden]);
        expect("post_attention_layernorm.weight", &[hidden]);
        for (projection, rows) in [("q_proj", hidden), ("k_proj", kv), ("v_proj", kv)] {
            expect(&format!("self_attn.{projection}.weight"), &[rows, hidden]);
            expect(&format!("self_attn.{projection}.bias"), &[rows]);
        }
        expect("self_attn.o_proj.weight", &[hidden, hidden]);
        expect("mlp.gate_proj.weight", &[mlp, hidden]);
        expect("mlp.up_proj.weight", &[mlp, hidden]);
        expect("mlp.down_proj.weight", &[hidden, mlp]);
    }
    rows
}

fn expect_extra_tokens(config: &Config, expected: &mut Expected) {
    let hidden = config.language.hidden_size;
    let tokens = &config.video_tokens;
    // Pictures take it wherever videos put theirs.
    if tokens.merge_type == (MergeType::Spatial { has_newline: true }) {
        expected.insert("model.image_newline".to_owned(), Some(vec![hidden]));
    }
    if tokens.faster_video.is_some() {
        expected.insert("model.faster_token".to_owned(), Some(vec![hidden]));
    }
}
