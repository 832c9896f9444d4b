//! Causal attention in query blocks, so that scores never take more than a fixed number of bytes.
//!
//! Grouped queries: each key-value head serves `G` query heads, which are stacked as rows of one product, so keys and
//! values are never repeated.

use candle_core::{DType, Device, Result, Tensor};

use super::softmax::Visible;
use super::weighted_sum;
use crate::device::Placement;

/// How the query rows of one chunk are cut into blocks; the same for every layer.
#[derive(Debug)]
pub(crate) struct CausalBlocks {
    blocks: Vec<Block>,
    /// `[R, R]` for the largest block, 0 at and below the diagonal and minus infinity above it: what a block sees of its
    /// own positions. Absent on the CPU, and where no block has several rows.
    diagonal: Option<Tensor>,
    /// One kernel does it all; then there are no blocks.
    flash: bool,
    is_gpu: bool,
}

#[derive(Debug)]
struct Block {
    first_row: usize,
    rows: usize,
    /// Keys that the last row of the block sees.
    visible: usize,
}

/// On GPUs, rows of a block are a multiple of this where there are as many: products of odd heights are slower.
const ROWS_MULTIPLE: usize = 64;

impl CausalBlocks {
    /// Blocks for `rows` query rows, the first at `first_position`, of `heads` heads; the f32 scores of one block take
    /// at most what the placement allows (but a block has at least one row).
    pub(crate) fn new(rows: usize, first_position: usize, heads: usize, placement: &Placement) -> Result<Self> {
        if placement.flash_attends(rows) {
            return Ok(Self { blocks: Vec::new(), diagonal: None, flash: true, is_gpu: true });
        }
        let masks_on = placement.is_gpu.then_some(&placement.device);
        Self::with_scores(rows, first_position, heads, placement.limits.attention_scores_bytes, masks_on)
    }

    fn with_scores(
        rows: usize,
        first_position: usize,
        heads: usize,
        max_scores_bytes: usize,
        masks_on: Option<&Device>,
    ) -> Result<Self> {
        let block_rows = block_rows(rows, first_position, heads, max_scores_bytes, masks_on.is_some());
        let block = |first_row: usize| {
            let rows = block_rows.min(rows - first_row);
            Block { first_row, rows, visible: first_position + first_row + rows }
        };
        let diagonal = masks_on.filter(|_| block_rows > 1).map(|device| diagonal(block_rows, device)).transpose()?;
        Ok(Self {
            blocks: (0..rows).step_by(block_rows).map(block).collect(),
            diagonal,
            flash: false,
            is_gpu: masks_on.is_some(),
        })
    }

    /// Attends `q: [H, S, d]` to `k, v: [K, L, d]`, where query row `i` sits at position `L - S + i` and sees all keys
    /// up to itself. Returns `[S, H, d]`.
    pub(crate) fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        if self.flash {
            #[cfg(any(test, feature = "flash-attn"))]
            return super::flash::causal(q, k, v);
        }
        let (heads, rows, head_dim) = q.dims3()?;
        let kv_heads = k.dim(0)?;
        let group = heads / kv_heads;
        let q = q.reshape((kv_heads, group, rows, head_dim))?;
        let attend_block = |block: &Block| {
            let &Block { first_row, rows, visible } = block;
            let q = q.narrow(2, first_row, rows)?.reshape((kv_heads, group * rows, head_dim))?;
            let (k, v) = (k.narrow(1, 0, visible)?, v.narrow(1, 0, visible)?);
            let diagonal = self.diagonal.as_ref().map(|of_largest| of_largest.narrow(0, 0, rows)?.narrow(1, 0, rows));
            let diagonal = diagonal.transpose()?;
            let seen = Visible::Causal { block_rows: rows, diagonal: diagonal.as_ref() };
            weighted_sum(&q, &k, &v, seen, self.is_gpu)?.reshape((kv_heads, group, rows, head_dim))
        };
        let attended = self.blocks.iter().map(attend_block).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&attended, 2)?.reshape((heads, rows, head_dim))?.transpose(0, 1)
    }
}

/// How many rows of scores a block has, of `rows` that begin at `first_position`.
pub(crate) fn block_rows(
    rows: usize,
    first_position: usize,
    heads: usize,
    max_scores_bytes: usize,
    is_gpu: bool,
) -> usize {
    let row_bytes = heads * (first_position + rows) * DType::F32.size_in_bytes();
    let block_rows = (max_scores_bytes / row_bytes).clamp(1, rows);
    match is_gpu && (ROWS_MULTIPLE..rows).contains(&block_rows) {
        true => block_rows - block_rows % ROWS_MULTIPLE,
        false => block_rows,
    }
}

/// `[rows, rows]`, made on the device: 0 at and below the diagonal, minus infinity above it.
fn diagonal(rows: usize, device: &Device) -> Result<Tensor> {
    let is_seen = Tensor::tril2(rows, DType::U8, device)?;
    let unseen = Tensor::full(f32::NEG_INFINITY, (rows, rows), device)?;
    is_seen.where_cond(&unseen.zeros_like()?, &unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attention written down from its definition, in f64, one query at a time.
    fn by_definition(q: &[Vec<Vec<f32>>], k: &[Vec<Vec<f32>>], v: &[Vec<Vec<f32>>]) -> Vec<Vec<Vec<f32>>> {
        let group = q.len() / k.len();
        let offset = k[0].len() - q[0].len();
        let row = |head: usize, i: usize| {
            let (query, keys, values) = (&q[head][i], &k[head / group], &v[head / group]);
            let dot = |key: &Vec<f32>| query.iter().zip(key).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let scale = (query.len() as f64).sqrt();
            let powers: Vec<f64> = keys[..=offset + i].iter().map(|key| (dot(key) / scale).exp()).collect();
            let total: f64 = powers.iter().sum();
            (0..query.len())
                .map(|d| {
                    powers.iter().zip(values).map(|(p, value)| p / total * f64::from(value[d])).sum::<f64>() as f32
                })
                .collect::<Vec<f32>>()
        };
        (0..q.len()).map(|head| (0..q[0].len()).map(|i| row(head, i)).collect()).collect()
    }

    #[test]
    fn blocks_of_any_size_match_the_definition() -> Result<()> {
        let device = Device::Cpu;
        let (heads, kv_heads, rows, keys, dim) = (6, 2, 7, 19, 8);
        let q = Tensor::randn(0f32, 1.0, (heads, rows, dim), &device)?;
        let k = Tensor::randn(0f32, 1.0, (kv_heads, keys, dim), &device)?;
        let v = Tensor::randn(0f32, 1.0, (kv_heads, keys, dim), &device)?;
        let expected = by_definition(&q.to_vec3()?, &k.to_vec3()?, &v.to_vec3()?);
        // As on the CPU, and with the mask of GPUs.
        for masks_on in [None, Some(&device)] {
            for bytes in [0, heads * keys * 4 * 2, heads * keys * 4 * 3, 1 << 20] {
                let blocks = CausalBlocks::with_scores(rows, keys - rows, heads, bytes, masks_on)?;
                let got = blocks.attend(&q, &k, &v)?.transpose(0, 1)?.to_vec3::<f32>()?;
                for (got, expected) in got.iter().flatten().flatten().zip(expected.iter().flatten().flatten()) {
                    assert!((got - expected).abs() < 1e-5, "{got} {expected} with blocks of {bytes} bytes");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn rows_of_masked_blocks_are_even_where_there_are_many() -> Result<()> {
        let rows_of = |rows, masks_on| {
            let blocks = CausalBlocks::with_scores(rows, 0, 1, 100 * 4 * rows, masks_on)?;
            Ok::<_, candle_core::Error>(blocks.blocks.iter().map(|block| block.rows).collect::<Vec<_>>())
        };
        assert_eq!(rows_of(150, Some(&Device::Cpu))?, [64, 64, 22]);
        assert_eq!(rows_of(150, None)?, [100, 50]);
        assert_eq!(rows_of(90, Some(&Device::Cpu))?, [90]);
        Ok(())
    }
}
