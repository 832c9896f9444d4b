//! The SigLIP vision tower: pixel_values `[T, 3, S, S]` -> patch features `[T, P, D_v]`.
//!
//! All stored layers run (LLaVA-NeXT deletes the published last one) and the output is taken before post_layernorm.
//! Reference: `SigLipVisionTower` and `SigLipVisionModel` in LLaVA-NeXT `siglip_encoder.py`. candle-transformers has a
//! `siglip` too, which always applies post_layernorm and multiplies patches by a slow convolution.

use candle_core::{Result, Tensor};

use crate::attention;
use crate::checkpoint::{Checkpoint, Error, VisionShape};
use crate::device::Placement;
use crate::interrupt::Interrupt;
use crate::linear::{Joint, Linear, Pass, Then};
use crate::norm::Norm;
use crate::role::Role;

#[derive(Debug)]
struct EncoderLayer {
    layer_norm1: Norm,
    /// Queries, keys and values.
    qkv: Joint,
    out_proj: Linear,
    layer_norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

/// The vision tower.
#[derive(Debug)]
pub struct VisionTower {
    shape: VisionShape,
    placement: Placement,
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
        let (shape, weights, around_layers) = (checkpoint.vision, &checkpoint.weights, Role::Tower(None));
        let layer = |index: usize| {
            let name = |part: &str| Role::Tower(Some(index)).tensor(part);
            let norm = |part: &str| Norm::layer(weights, &name(part), shape.layer_norm_eps, placement);
            let linear = |part: &str| Linear::load(weights, &name(part), true, placement);
            let qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].map(name);
            Ok(EncoderLayer {
                layer_norm1: norm("layer_norm1")?,
                qkv: Joint::load(weights, &qkv, placement)?,
                out_proj: linear("self_attn.out_proj")?,
                layer_norm2: norm("layer_norm2")?,
                fc1: linear("mlp.fc1")?,
                fc2: linear("mlp.fc2")?,
            })
        };
        let positions = around_layers.tensor("embeddings.position_embedding.weight");
        Ok(Self {
            shape,
            patch_embedding: Linear::load(
                weights,
                &around_layers.tensor("embeddings.patch_embedding"),
                true,
                placement,
            )?,
            position_embedding: weights.load(&positions, Some(placement.dtype), &placement.device)?,
            layers: (0..shape.num_layers).map(layer).collect::<std::result::Result<_, Error>>()?,
            placement: placement.clone(),
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
        let mut x = self.embedded(&self.patches(&pixel_values.to_dtype(self.placement.dtype)?)?)?;
        for layer in &self.layers {
            interrupt.check()?;
            x = self.layer(layer, &x)?;
            on_layer();
        }
        Ok(x)
    }

    /// `[T, P, 3 * patch * patch]` -> `[T, P, D_v]`
    fn embedded(&self, patches: &Tensor) -> Result<Tensor> {
        self.patch_embedding.forward(patches, Pass::Prefill)?.broadcast_add(&self.position_embedding)
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
        // What is not needed any more makes room: the tensors of a layer are what a GPU has to hold.
        let attended = {
            let qkv = layer.qkv.forward(&layer.layer_norm1.forward(x)?, Pass::Prefill)?;
            attention::full(&qkv, self.shape.num_heads, &self.placement)?
        };
        let x = layer.out_proj.forward_then(&attended, Pass::Prefill, Then::Add(x))?;
        drop(attended);
        // SigLIP was trained with the approximation of GELU.
        let mlp = layer.fc1.forward_then(&layer.layer_norm2.forward(&x)?, Pass::Prefill, Then::GeluTanh)?;
        layer.fc2.forward_then(&mlp, Pass::Prefill, Then::Add(&x))
    }
}
