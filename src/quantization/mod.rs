//! Which weights are held in fewer bits, in which format, and what that takes; the only place that decides it.
//!
//! | weights | `q8_0` | `q6_k` | `q5_k` | `q4_k` |
//! | --- | --- | --- | --- | --- |
//! | linear layers of the decoder | q8_0 | q6_k | q5_k | q4_k |
//! | embedding table, output head | q8_0 | q6_k | q6_k | q6_k |
//! | tower's and projector's linear layers, if asked for | q8_0 | q6_k | q5_k | q4_k |
//!
//! A row that does not divide into a format's blocks (256 values for the K-quants) is held in q8_0 (blocks of 32), and
//! as it is stored where that does not divide it either. Everything else stays as it is stored: norms, biases, the
//! patch and position embeddings, the newline token. The head gets six bits under the smaller formats, as llama.cpp
//! does it: its errors go straight into the logits. A tied table is one table, in the head's format.

pub(crate) mod blocks;
mod encode;
mod format;

pub use format::Format;

use crate::checkpoint::Weights;

/// A way to hold weights in fewer bits, as llama.cpp names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Quantization {
    /// 8.5 bits a weight.
    #[value(name = "q8_0")]
    Q8_0,
    /// 6.6 bits a weight.
    #[value(name = "q6_k")]
    Q6K,
    /// 5.5 bits a weight.
    #[value(name = "q5_k")]
    Q5K,
    /// 4.5 bits a weight.
    #[value(name = "q4_k")]
    Q4K,
}

impl Quantization {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Q8_0, Self::Q6K, Self::Q5K, Self::Q4K];

    /// As `--quantize` writes it.
    pub fn name(self) -> &'static str {
        self.format().name()
    }

    /// The quantization of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quantization| quantization.name() == name)
    }

    /// The format of linear layers whose rows divide into its blocks.
    fn format(self) -> Format {
        match self {
            Self::Q8_0 => Format::Q8_0,
            Self::Q6K => Format::Q6K,
            Self::Q5K => Format::Q5K,
            Self::Q4K => Format::Q4K,
        }
    }

    /// The format of the embedding table and the output head.
    fn table_format(self) -> Format {
        match self {
            Self::Q8_0 => Format::Q8_0,
            Self::Q6K | Self::Q5K | Self::Q4K => Format::Q6K,
        }
    }
}

/// What to quantize, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// How.
    pub quantization: Quantization,
    /// Whether the vision tower and the projector are quantized, too; the decoder always is.
    pub vision: bool,
}

impl Scheme {
    /// How the tensor `name` (original layout) of `shape`, stored as `stored`, is to be held.
    pub fn format_for(&self, name: &str, shape: &[usize], stored: Format) -> Format {
        match (self.wanted(name, shape), shape) {
            (Some(wanted), &[_, columns]) => wanted.fitting(columns).unwrap_or(stored),
            _ => stored,
        }
    }

    /// The format that this scheme has for a tensor whose rows any format can hold; `None` for one it leaves alone.
    fn wanted(&self, name: &str, shape: &[usize]) -> Option<Format> {
        if shape.len() != 2 || !name.ends_with(".weight") {
            return None;
        }
        let is_below = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
        if matches!(name, "model.embed_tokens.weight" | "lm_head.weight") {
            return Some(self.quantization.table_format());
        }
        let tower_layers = format!("{}.encoder.layers", crate::checkpoint::TOWER_PREFIX);
        let is_vision = is_below(&tower_layers) || is_below("model.mm_projector");
        (is_below("model.layers") || is_vision && self.vision).then(|| self.quantization.format())
    }
}

/// What becomes of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPlan {
    /// Its name in the original layout.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub stored: Format,
    /// How it would be held if its rows divided into the blocks.
    pub wanted: Format,
    /// How it is held.
    pub held: Format,
}

impl TensorPlan {
    /// The plan for one tensor of `weights`, from headers alone; `None` if it is not there.
    pub(crate) fn of(weights: &Weights, name: &str, scheme: Option<Scheme>) -> Option<Self> {
        let (shape, stored) = (weights.shape(name)?, weights.format(name)?);
        let held = scheme.map_or(stored, |scheme| scheme.format_for(name, shape, stored));
        let wanted = scheme.and_then(|scheme| scheme.wanted(name, shape)).unwrap_or(held);
        Some(Self { name: name.to_owned(), shape: shape.to_vec(), stored, wanted, held })
    }

    /// Bytes as it is held.
    pub fn bytes(&self) -> usize {
        self.held.bytes(self.shape.iter().product())
    }

    /// Whether its rows do not divide into the blocks of the format asked for.
    pub fn is_fallback(&self) -> bool {
        self.held != self.wanted
    }
}

/// One line for each kind of fallback in `plan`: row length, what it is held in, and which tensors (layers as `*`).
pub fn fallbacks(plan: &[TensorPlan]) -> Vec<String> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for tensor in plan.iter().filter(|tensor| tensor.is_fallback()) {
        let columns = tensor.shape.last().copied().unwrap_or_default();
        let general = |part: &str| if part.parse::<usize>().is_ok() { "*".to_owned() } else { part.to_owned() };
        let name = match tensor.name.starts_with("model.mm_projector") {
            true => tensor.name.clone(),
            false => tensor.name.split('.').map(general).collect::<Vec<_>>().join("."),
        };
        let (held, wanted) = (tensor.held.name(), tensor.wanted.name());
        let line =
            format!("{name} falls back to {held}: rows of {columns} values do not divide into blocks of {wanted}");
        match kinds.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => kinds.push((line, 1)),
        }
    }
    kinds.into_iter().map(|(line, count)| if count > 1 { format!("{line} ({count} tensors)") } else { line }).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    const BF16: Format = Format::Float(DType::BF16);

    fn held(quantization: Quantization, vision: bool, name: &str, shape: &[usize]) -> Format {
        Scheme { quantization, vision }.format_for(name, shape, BF16)
    }

    #[test]
    fn rows_that_a_format_cannot_hold_fall_back() {
        let layer = "model.layers.3.mlp.down_proj.weight";
        assert_eq!(held(Quantization::Q4K, false, layer, &[3584, 18_944]), Format::Q4K);
        assert_eq!(held(Quantization::Q4K, false, layer, &[896, 4864]), Format::Q4K);
        assert_eq!(held(Quantization::Q4K, false, "model.layers.0.self_attn.q_proj.weight", &[896, 896]), Format::Q8_0);
        assert_eq!(held(Quantization::Q8_0, false, layer, &[64, 30]), BF16);
        let fc = |name: &str| format!("{}.encoder.layers.0.mlp.{name}.weight", crate::checkpoint::TOWER_PREFIX);
        assert_eq!(held(Quantization::Q6K, true, &fc("fc1"), &[4304, 1152]), Format::Q8_0);
        // 4304 = 134.5 blocks of 32.
        assert_eq!(held(Quantization::Q6K, true, &fc("fc2"), &[1152, 4304]), BF16);
    }

    #[test]
    fn only_matrices_of_linear_layers_and_the_tables_are_quantized() {
        let tower = |rest: &str| format!("{}.{rest}", crate::checkpoint::TOWER_PREFIX);
        for (name, shape) in [
            ("model.layers.0.input_layernorm.weight".to_owned(), vec![3584]),
            ("model.layers.0.self_attn.q_proj.bias".to_owned(), vec![3584]),
            ("model.norm.weight".to_owned(), vec![3584]),
            ("model.image_newline".to_owned(), vec![3584]),
            (tower("embeddings.patch_embedding.weight"), vec![1152, 3, 16, 16]),
            (tower("embeddings.position_embedding.weight"), vec![729, 1024]),
            (tower("encoder.layers.0.layer_norm1.weight"), vec![1152]),
        ] {
            assert_eq!(held(Quantization::Q4K, true, &name, &shape), BF16, "{name}");
        }
        let projector = "model.mm_projector.2.weight";
        assert_eq!(held(Quantization::Q4K, false, projector, &[3584, 3584]), BF16);
        assert_eq!(held(Quantization::Q4K, true, projector, &[3584, 3584]), Format::Q4K);
    }

    #[test]
    fn the_head_gets_six_bits_under_the_smaller_formats() {
        for name in ["lm_head.weight", "model.embed_tokens.weight"] {
            assert_eq!(held(Quantization::Q4K, false, name, &[152_064, 3584]), Format::Q6K);
            assert_eq!(held(Quantization::Q8_0, false, name, &[152_064, 3584]), Format::Q8_0);
            assert_eq!(held(Quantization::Q4K, false, name, &[151_936, 896]), Format::Q8_0);
        }
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        use clap::ValueEnum;
        for quantization in Quantization::ALL {
            assert_eq!(Quantization::of_name(quantization.name()), Some(quantization));
            assert_eq!(quantization.to_possible_value().expect("not hidden").get_name(), quantization.name());
        }
        assert_eq!(Quantization::of_name("bf16"), None);
    }
}
