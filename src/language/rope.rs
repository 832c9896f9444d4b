//! Rotary position embedding: angles in f32 at any position, rotated halves.
//!
//! Reference: `Qwen2RotaryEmbedding` and `apply_rotary_pos_emb` (transformers 4.40). Angles are computed in f32 and
//! only cos and sin are cast to the model's dtype: positions held in bf16 would collapse past a few hundred.

use candle_core::{DType, Device, Result, Tensor};

use crate::host;

/// The inverse frequencies of one model.
#[derive(Debug, Clone)]
pub(crate) struct Rope {
    inverse_frequencies: Vec<f32>,
    dtype: DType,
    device: Device,
}

/// cos and sin of some positions, both `[S, head_dim / 2]`.
#[derive(Debug, Clone)]
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    pub(crate) fn new(head_dim: usize, theta: f64, dtype: DType, device: &Device) -> Self {
        let frequency = |i: usize| 1.0 / theta.powf((2 * i) as f64 / head_dim as f64) as f32;
        Self { inverse_frequencies: (0..head_dim / 2).map(frequency).collect(), dtype, device: device.clone() }
    }

    /// Angles of these positions.
    pub(crate) fn angles(&self, positions: impl Iterator<Item = usize>) -> Result<Angles> {
        let half = self.inverse_frequencies.len();
        // The product is rounded to f32, as in the reference; cos and sin of that angle are then taken exactly.
        let angles =
            positions.flat_map(|position| self.inverse_frequencies.iter().map(move |f| f64::from(position as f32 * f)));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        let tensor = |values: Vec<f32>| {
            let count = values.len() / half;
            Tensor::from_vec(values, (count, half), &self.device)?.to_dtype(self.dtype)
        };
        Ok(Angles { cos: tensor(cos)?, sin: tensor(sin)? })
    }
}

impl Angles {
    /// Rotates `[heads, S, head_dim]`.
    pub(crate) fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let batched = x.unsqueeze(0)?.contiguous()?;
        candle_nn::rotary_emb::rope(&batched, &self.cos, &self.sin)?.squeeze(0)
    }

    /// Gives `read` cos and sin as slices, for the CPU's kernels.
    pub(crate) fn floats<R>(&self, read: impl FnOnce(&[f32], &[f32]) -> Result<R>) -> Result<R> {
        host::floats(&self.cos, |cos| host::floats(&self.sin, |sin| read(cos, sin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dot product of two rotated vectors depends on the distance of their positions only, also far out, also
    /// with bf16 tables: with positions held in bf16, 20,001 and 20,000 would be the same position.
    #[test]
    fn rotation_depends_on_distance_only_past_position_8192() -> Result<()> {
        let device = Device::Cpu;
        let query = Tensor::new(&[[[0.5f32, -1.0, 0.25, 2.0, 1.5, -0.5, 0.75, 1.0]]], &device)?;
        let key = Tensor::new(&[[[1.0f32, 0.5, -0.75, 1.0, -1.0, 2.0, 0.5, 0.25]]], &device)?;
        for (dtype, tolerance) in [(DType::F32, 2e-3), (DType::BF16, 5e-2)] {
            let rope = Rope::new(8, 1e6, dtype, &device);
            let dot = |at: usize, distance: usize| -> Result<f32> {
                let q = rope
                    .angles(at + distance..at + distance + 1)?
                    .rotate(&query.to_dtype(dtype)?)?
                    .to_dtype(DType::F32)?;
                let k = rope.angles(at..at + 1)?.rotate(&key.to_dtype(dtype)?)?.to_dtype(DType::F32)?;
                (q * k)?.sum_all()?.to_scalar()
            };
            for distance in [0, 1, 2, 7] {
                let near = dot(0, distance)?;
                for at in [300, 8_193, 13_440, 20_000, 32_000] {
                    let far = dot(at, distance)?;
                    assert!((near - far).abs() < tolerance, "{dtype:?} distance {distance} at {at}: {near} {far}");
                }
            }
            assert!((dot(20_000, 0)? - dot(20_000, 1)?).abs() > 0.1, "neighbouring positions must differ");
        }
        Ok(())
    }

    #[test]
    fn a_table_row_does_not_depend_on_where_the_chunk_starts() -> Result<()> {
        let rope = Rope::new(16, 1e6, DType::F32, &Device::Cpu);
        let whole = rope.angles(0..9_000)?;
        let part = rope.angles(8_500..8_520)?;
        let rows = whole.cos.narrow(0, 8_500, 20)?.to_vec2::<f32>()?;
        assert_eq!(rows, part.cos.to_vec2::<f32>()?);
        Ok(())
    }
}
