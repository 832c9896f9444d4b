//! The SigLIP vision tower: pixel_values `[T, 3, S, S]` -> patch features `[T, P, D_v]`.
//!
//! All stored layers run (LLaVA-NeXT deletes the published last one) and the output is taken before post_layernorm.
//! Reference: `SigLipVisionTower` and `SigLipVisionModel` in LLaVA-NeXT `siglip_encoder.py`. candle-transformers has a
//! `siglip` too, which always applies post_layernorm and multiplies patches by a slow convolution.

use candle_core::{DType, Result, Tensor};
use candle_nn::{LayerNorm, Module};

use crate::attention;
use crate::checkpoint::{Checkpoint, Error, VisionShape};
use crate::device::Placement;
use crate::interrupt::Interrupt;
use crate::linear::{Linear, Matrix, Pass, Use};
use crate::role::Role;

#[derive(Debug)]
struct EncoderLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// The vision tower.
#[derive(Debug)]
pub struct VisionTower {
    shape: VisionShape,
    dtype: DType,
    /// The patch convolution as a matrix `[D_v, 3 * patch * patch]`; kernel and stride are equal.
    patch_embedding: Linear,
    /// `[P, D_v]`
    position_embedding: Tensor,
    layers: Vec<EncoderLayer>,
}

impl VisionTower {
    /// Loads the tower.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub fn load(checkpoint: &Checkpoint, placement: &Placement) -> std::result::Result<Self, Error> {
        let (shape, around_layers) = (checkpoint.vision, Role::Tower(None));
        let tensor = |name: &str| checkpoint.weights.load(name, Some(placement.dtype), &placement.device);
        let linear = |name: &str| {
            let weight_name = format!("{name}.weight");
            let weight = Matrix::load(&checkpoint.weights, &weight_name, usize::MAX, Use::Product, placement)?;
            Ok::<_, Error>(Linear::new(weight, Some(tensor(&format!("{name}.bias"))?)))
        };
        let norm = |name: &str| {
            let (weight, bias) = (tensor(&format!("{name}.weight"))?, tensor(&format!("{name}.bias"))?);
            Ok::<_, Error>(LayerNorm::new(weight, bias, shape.layer_norm_eps))
        };
        let layer = |index: usize| {
            let name = |part: &str| Role::Tower(Some(index)).tensor(part);
            Ok(EncoderLayer {
                layer_norm1: norm(&name("layer_norm1"))?,
                q_proj: linear(&name("self_attn.q_proj"))?,
                k_proj: linear(&name("self_attn.k_proj"))?,
                v_proj: linear(&name("self_attn.v_proj"))?,
                out_proj: linear(&name("self_attn.out_proj"))?,
                layer_norm2: norm(&name("layer_norm2"))?,
                fc1: linear(&name("mlp.fc1"))?,
                fc2: linear(&name("mlp.fc2"))?,
            })
        };
        let patch = around_layers.tensor("embeddings.patch_embedding.weight");
        let dtype = placement.matrix_dtype(checkpoint.weights.dtype(&patch));
        let patch_matrix = checkpoint
            .weights
            .load(&patch, dtype, &placement.device)?
            .flatten_from(1)
            .map_err(|source| Error::Load { name: patch, source })?;
        Ok(Self {
            shape,
            dtype: placement.dtype,
            patch_embedding: Linear::new(
                Matrix::of_floats(patch_matrix),
                Some(tensor(&around_layers.tensor("embeddings.patch_embedding.bias"))?),
            ),
            position_embedding: tensor(&around_layers.tensor("embeddings.position_embedding.weight"))?,
            layers: (0..shape.num_layers).map(layer).collect::<std::result::Result<_, Error>>()?,
        })
    }

    /// Number of encoder layers.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// `[T, 3, S, S]` -> `[T, P, D_v]`. All frames run at once: the caller bounds T. `on_layer` is called after each
    /// layer.
    ///
    /// # Errors
    /// An interrupt or a failing device.
    pub fn forward(
        &self,
        pixel_values: &Tensor,
        interrupt: &Interrupt,
        on_layer: &mut dyn FnMut(),
    ) -> std::result::Result<Tensor, crate::Error> {
        let patches = self.patches(&pixel_values.to_dtype(self.dtype)?)?;
        let mut x = self.patch_embedding.forward(&patches, Pass::Prefill)?.broadcast_add(&self.position_embedding)?;
        for layer in &self.layers {
            interrupt.check()?;
            x = self.layer(layer, &x)?;
            on_layer();
        }
        Ok(x)
    }

    /// `[T, 3, S, S]` -> `[T, P, 3 * patch * patch]`, patches row-major; pixels beyond the last patch are dropped.
    fn patches(&self, pixel_values: &Tensor) -> Result<Tensor> {
        let (frames, channels, _, _) = pixel_values.dims4()?;
        let (grid, patch) = (self.shape.grid(), self.shape.patch_size);
        pixel_values
            .narrow(2, 0, grid * patch)?
            .narrow(3, 0, grid * patch)?
            .reshape(&[frames, channels, grid, patch, grid, patch])?
            .permute([0, 2, 4, 1, 3, 5])?
            .reshape((frames, grid * grid, channels * patch * patch))
    }

    fn layer(&self, layer: &EncoderLayer, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention(layer, &layer.layer_norm1.forward(x)?)?)?;
        let mlp = layer.fc1.forward(&layer.layer_norm2.forward(&x)?, Pass::Prefill)?;
        // `Tensor::gelu` is the tanh approximation, which is what SigLIP was trained with.
        x + layer.fc2.forward(&mlp.gelu()?, Pass::Prefill)?
    }

    /// Every patch attends to every patch of its own frame.
    fn attention(&self, layer: &EncoderLayer, x: &Tensor) -> Result<Tensor> {
        let (frames, patches, width) = x.dims3()?;
        let heads = self.shape.num_heads;
        let head_dim = width / heads;
        // [T, P, heads * d] -> [T * heads, P, d]
        let split = |x: Tensor| {
            x.reshape((frames, patches, heads, head_dim))?.transpose(1, 2)?.reshape((frames * heads, patches, head_dim))
        };
        let [q, k, v] =
            [&layer.q_proj, &layer.k_proj, &layer.v_proj].map(|linear| split(linear.forward(x, Pass::Prefill)?));
        let attended = attention::full(&q?, &k?, &v?)?.reshape((frames, heads, patches, head_dim))?;
        layer.out_proj.forward(&attended.transpose(1, 2)?.reshape((frames, patches, width))?, Pass::Prefill)
    }
}
