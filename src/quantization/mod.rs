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

pub(crate) use encode::encode;
pub use format::Format;

use crate::role::Role;

/// A way to hold weights in fewer bits, as llama.cpp names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// 8.5 bits a weight.
    Q8_0,
    /// 6.6 bits a weight.
    Q6K,
    /// 5.5 bits a weight.
    Q5K,
    /// 4.5 bits a weight.
    Q4K,
}

impl Quantization {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Q8_0, Self::Q6K, Self::Q5K, Self::Q4K];

    /// As GGUF's tools call it.
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
    /// How a tensor of this role and shape, stored as `stored`, is to be held.
    pub fn format_for(&self, role: Role, shape: &[usize], stored: Format) -> Format {
        match (self.wanted(role, shape), shape) {
            (Some(wanted), &[_, columns]) => wanted.fitting(columns).unwrap_or(stored),
            _ => stored,
        }
    }

    /// The format that this scheme has for a tensor whose rows any format can hold; `None` for one it leaves alone.
    pub(crate) fn wanted(&self, role: Role, shape: &[usize]) -> Option<Format> {
        if shape.len() != 2 {
            return None;
        }
        match role {
            Role::Embedding | Role::Head => Some(self.quantization.table_format()),
            Role::Decoder(_) => Some(self.quantization.format()),
            Role::Tower(Some(_)) | Role::Projector => self.vision.then(|| self.quantization.format()),
            Role::Tower(None) | Role::Norm | Role::Token => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    const BF16: Format = Format::Float(DType::BF16);

    fn held(quantization: Quantization, vision: bool, name: &str, shape: &[usize]) -> Format {
        let role = Role::of(name).expect(name);
        Scheme { quantization, vision }.format_for(role, shape, BF16)
    }

    #[test]
    fn rows_that_a_format_cannot_hold_fall_back() {
        let layer = "model.layers.3.mlp.down_proj.weight";
        assert_eq!(held(Quantization::Q4K, false, layer, &[3584, 18_944]), Format::Q4K);
        assert_eq!(held(Quantization::Q4K, false, layer, &[896, 4864]), Format::Q4K);
        assert_eq!(held(Quantization::Q4K, false, "model.layers.0.self_attn.q_proj.weight", &[896, 896]), Format::Q8_0);
        assert_eq!(held(Quantization::Q8_0, false, layer, &[64, 30]), BF16);
        let fc = |name: &str| Role::Tower(Some(0)).tensor(&format!("mlp.{name}.weight"));
        assert_eq!(held(Quantization::Q6K, true, &fc("fc1"), &[4304, 1152]), Format::Q8_0);
        // 4304 = 134.5 blocks of 32.
        assert_eq!(held(Quantization::Q6K, true, &fc("fc2"), &[1152, 4304]), BF16);
    }

    #[test]
    fn only_matrices_of_linear_layers_and_the_tables_are_quantized() {
        let tower = |rest: &str| Role::Tower(None).tensor(rest);
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
    fn a_name_leads_back_to_its_quantization() {
        for quantization in Quantization::ALL {
            assert_eq!(Quantization::of_name(quantization.name()), Some(quantization));
        }
        assert_eq!(Quantization::of_name("bf16"), None);
    }
}
