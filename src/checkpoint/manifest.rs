//! Every tensor that the model will ask for, with its shape: checked against the files before anything is loaded.
//!
//! The names are those of the original layout (PyTorch modules of `LlavaQwenForCausalLM`). Sizes of the vision tower
//! come from the tensors themselves; sizes of the decoder come from the config.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::config::Config;
use super::config::language::LanguageConfig;
use super::config::video_tokens::MergeType;
use super::config::vision::ProjectorType;
use super::error::Error;
use super::layout::Layout;
use super::tensor_names::TensorNames;
use crate::role::Role;

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

/// Checks that exactly the tensors that `config` asks for are there.
pub(super) fn check(dir: &Path, config: &Config, tensors: &TensorNames<'_>) -> Result<Manifest, Error> {
    let mut expected = Expected::default();
    let vision = expect_tower(config, tensors, &mut expected);
    let projector = expect_projector(config, vision.hidden_size, &mut expected);
    let embedding_rows = expect_language(&config.language, tensors, &mut expected);
    expect_extra_tokens(config, &mut expected);
    let VisionShape { hidden_size, num_heads, .. } = vision;
    if !hidden_size.is_multiple_of(num_heads) {
        let fault =
            format!("{}: a width of {hidden_size} does not divide into {num_heads} heads", Role::Tower(None).prefix());
        expected.misshapen.push(fault);
    }
    let is_unused = |name: &str| is_never_used(name, &config.language) || Role::of(name) == Some(Role::Token);
    expected.compare(dir, tensors, is_unused)?;
    Ok(Manifest { vision, projector, embedding_rows })
}

/// Checks that exactly the tensors of a language model are there, and returns the rows of its embedding table.
pub(super) fn check_language(dir: &Path, language: &LanguageConfig, tensors: &TensorNames<'_>) -> Result<usize, Error> {
    let mut expected = Expected::default();
    let rows = expect_language(language, tensors, &mut expected);
    expected.compare(dir, tensors, |name| is_never_used(name, language))?;
    Ok(rows)
}

/// What must be there, and what is known to be wrong before the comparison.
#[derive(Default)]
struct Expected {
    /// Shapes by name; `None` where a shape cannot be known because another tensor is missing.
    shapes: BTreeMap<String, Option<Vec<usize>>>,
    /// Layers that the config promises and the files do not have.
    too_few: Vec<String>,
    misshapen: Vec<String>,
}

impl Expected {
    fn add(&mut self, name: String, shape: Option<Vec<usize>>) {
        self.shapes.insert(name, shape);
    }

    /// How many of `promised` layers, `first` and its siblings, to expect by name. A config may promise billions: of
    /// those that are not there only the first is worth naming.
    fn layers(&mut self, first: Role, promised: usize, stored: usize) -> usize {
        let named = promised.min(stored + 1);
        if named < promised {
            self.too_few.push(format!("{}.* has {stored} layers, config.json promises {promised}", first.layers()));
        }
        named
    }

    fn compare(mut self, dir: &Path, tensors: &TensorNames<'_>, is_unused: impl Fn(&str) -> bool) -> Result<(), Error> {
        let missing = self.shapes.keys().filter(|name| !tensors.holds(name)).cloned().collect::<Vec<_>>();
        let is_unexpected = |name: &&str| !self.shapes.contains_key(*name) && !is_unused(name);
        let foreign = tensors.foreign().iter().map(String::as_str);
        let unexpected = tensors.names().filter(is_unexpected).chain(foreign).map(str::to_owned).collect::<Vec<_>>();
        for (name, shape) in &self.shapes {
            let Some(found) = tensors.shape(name) else { continue };
            match shape {
                // Sizes that are read off a tensor agree with it, whatever they are.
                _ if found.is_empty() || found.contains(&0) => {
                    self.misshapen.push(format!("{name} is {found:?}, which holds no matrix or vector"));
                }
                Some(shape) if found != shape => {
                    self.misshapen.push(format!("{name} is {found:?}, expected {shape:?}"));
                }
                _ => {}
            }
        }
        let kinds = [("missing", missing), ("unexpected", unexpected), ("wrongly shaped", self.misshapen)];
        let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty()).map(describe);
        let message = self.too_few.into_iter().chain(kinds).collect::<Vec<_>>();
        match message.is_empty() {
            true => Ok(()),
            false => Err(Error::Tensors { dir: dir.to_owned(), message: message.join("; ") }),
        }
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
    match Role::split(name) {
        Some((Role::Tower(None), part)) if part.starts_with("post_layernorm.") || part.starts_with("head.") => true,
        Some((Role::Head, "weight")) => language.tie_word_embeddings,
        _ => name.ends_with(".rotary_emb.inv_freq"),
    }
}

fn expect_tower(config: &Config, tensors: &TensorNames<'_>, expected: &mut Expected) -> VisionShape {
    let (around, first) = (Role::Tower(None), Role::Tower(Some(0)));
    let hidden = stored_rows(tensors, &around.tensor("embeddings.patch_embedding.weight"));
    let mlp = stored_rows(tensors, &first.tensor("mlp.fc1.weight"));
    let stored = layer_count(tensors, |role| if let Role::Tower(layer) = role { layer } else { None });
    let num_layers = tower_layers(config, stored);
    let named_layers = expected.layers(first, num_layers, stored);
    let shape = VisionShape {
        hidden_size: hidden.unwrap_or(0),
        num_layers,
        num_heads: config.vision.num_heads,
        patch_size: config.vision.patch_size,
        image_size: config.vision.image_size,
        layer_norm_eps: config.vision.layer_norm_eps,
    };
    let patch = shape.patch_size;
    let mut expect = |role: Role, part: &str, dims: &[Option<usize>]| {
        expected.add(role.tensor(part), dims.iter().copied().collect());
    };
    expect(around, "embeddings.patch_embedding.weight", &[hidden, Some(3), Some(patch), Some(patch)]);
    expect(around, "embeddings.patch_embedding.bias", &[hidden]);
    expect(around, "embeddings.position_embedding.weight", &[Some(shape.grid() * shape.grid()), hidden]);
    for layer in 0..named_layers {
        let mut expect = |part: &str, dims: &[Option<usize>]| expect(Role::Tower(Some(layer)), part, dims);
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
/// then the promise stands and the rest are reported missing. The config of SO400M as published, which originals may
/// carry, counts the deleted layer.
fn tower_layers(config: &Config, stored: usize) -> usize {
    match config.vision.num_layers {
        Some(SO400M_PUBLISHED_LAYERS) if config.layout == Layout::Original && stored + 1 == SO400M_PUBLISHED_LAYERS => {
            stored
        }
        Some(promised) => promised,
        None => stored.max(1),
    }
}

/// How many of the layers that `layer_of` takes have tensors. Counted, not the highest number plus one: a name may hold
/// any number.
fn layer_count(tensors: &TensorNames<'_>, layer_of: impl Fn(Role) -> Option<usize>) -> usize {
    tensors.names().filter_map(Role::of).filter_map(layer_of).collect::<BTreeSet<_>>().len()
}

/// Rows of a tensor, if it is there and its header was read.
fn stored_rows(tensors: &TensorNames<'_>, name: &str) -> Option<usize> {
    tensors.shape(name)?.first().copied()
}

fn expect_projector(config: &Config, tower_width: usize, expected: &mut Expected) -> ProjectorShape {
    let hidden = config.language.hidden_size;
    let layers: Vec<String> = match config.projector {
        ProjectorType::Linear => vec![Role::Projector.prefix()],
        // nn.Sequential numbers the GELUs in between, too.
        ProjectorType::Mlp { depth } => {
            (0..depth).map(|index| Role::Projector.tensor(&(2 * index).to_string())).collect()
        }
    };
    let mut input = Some(tower_width).filter(|&width| width > 0);
    for layer in &layers {
        expected.add(format!("{layer}.weight"), input.map(|input| vec![hidden, input]));
        expected.add(format!("{layer}.bias"), Some(vec![hidden]));
        input = Some(hidden);
    }
    ProjectorShape { layers }
}

fn expect_language(language: &LanguageConfig, tensors: &TensorNames<'_>, expected: &mut Expected) -> usize {
    let (hidden, mlp) = (language.hidden_size, language.intermediate_size);
    let kv = language.num_kv_heads * language.head_dim();
    let stored = layer_count(tensors, |role| if let Role::Decoder(layer) = role { Some(layer) } else { None });
    let named_layers = expected.layers(Role::Decoder(0), language.num_layers, stored);
    let mut expect = |role: Role, part: &str, dims: &[usize]| expected.add(role.tensor(part), Some(dims.to_vec()));
    // Fine-tunes store as many rows as their tokenizer has ids, the originals a padded number.
    let rows = stored_rows(tensors, &Role::Embedding.tensor("weight")).unwrap_or(0);
    expect(Role::Embedding, "weight", &[rows, hidden]);
    if !language.tie_word_embeddings {
        expect(Role::Head, "weight", &[rows, hidden]);
    }
    expect(Role::Norm, "weight", &[hidden]);
    for layer in 0..named_layers {
        let mut expect = |part: &str, dims: &[usize]| expect(Role::Decoder(layer), part, dims);
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
        expected.add(Role::Token.tensor("image_newline"), Some(vec![hidden]));
    }
    if tokens.faster_video.is_some() {
        expected.add(Role::Token.tensor("faster_token"), Some(vec![hidden]));
    }
}
