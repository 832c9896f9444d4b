//! A weight matrix as it is held: floats, blocks of few bits on the CPU, or such blocks on a GPU.

use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Module, Result, Shape, Tensor};

use crate::checkpoint::{Error, Weights};
use crate::device::Placement;
use crate::quantization::blocks::Blocks;

/// `[rows, columns]`; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    storage: Storage,
    /// May be fewer than are stored, for a head that shares the embedding table.
    rows: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Storage {
    Floats(Tensor),
    /// On the CPU.
    Blocks(Arc<Blocks>),
    /// On a GPU, where candle has kernels of its own.
    Gpu(Arc<QTensor>),
}

/// What floats are held as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// To be multiplied: see [`Placement::matrix_dtype`].
    Product,
    /// To look rows up: as they are stored.
    Lookup,
}

impl Matrix {
    /// Loads the first `rows` rows of `name` as `weights` says they are to be held.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(crate) fn load(
        weights: &Weights,
        name: &str,
        rows: usize,
        purpose: Use,
        placement: &Placement,
    ) -> std::result::Result<Self, Error> {
        let device = &placement.device;
        if let Some(blocks) = weights.load_blocks(name, rows, &mut |_| ())? {
            if device.is_cpu() {
                return Ok(Self::of_blocks(blocks));
            }
            let upload = || {
                let Some(ggml) = blocks.format().ggml() else {
                    candle_core::bail!("there are no kernels for {}", blocks.format().name());
                };
                let storage = QStorage::from_data(blocks.bytes().into(), device, ggml)?;
                QTensor::new(storage, (blocks.rows(), blocks.columns()))
            };
            let tensor = upload().map_err(|source| Error::Load { name: name.to_owned(), source })?;
            return Ok(Self { rows: blocks.rows(), storage: Storage::Gpu(Arc::new(tensor)) });
        }
        let dtype = match purpose {
            Use::Product => placement.matrix_dtype(weights.dtype(name)),
            Use::Lookup => None,
        };
        Ok(Self::of_floats(weights.load_rows(name, rows, dtype, device)?))
    }

    /// A matrix of floats, `[rows, columns]`.
    pub(crate) fn of_floats(floats: Tensor) -> Self {
        Self { rows: floats.dims().first().copied().unwrap_or(0), storage: Storage::Floats(floats) }
    }

    /// A matrix in blocks, on the CPU.
    pub(super) fn of_blocks(blocks: Blocks) -> Self {
        Self { rows: blocks.rows(), storage: Storage::Blocks(Arc::new(blocks)) }
    }

    /// The first rows of this matrix, without a copy.
    pub(crate) fn first_rows(&self, rows: usize) -> Self {
        Self { storage: self.storage.clone(), rows: rows.min(self.rows) }
    }

    /// Whether its floats are held as products take them; always so for blocks.
    pub(crate) fn suits_products(&self, placement: &Placement) -> bool {
        match &self.storage {
            Storage::Floats(floats) => placement.matrix_dtype(Some(floats.dtype())) == Some(floats.dtype()),
            Storage::Blocks(_) | Storage::Gpu(_) => true,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> Result<usize> {
        match &self.storage {
            Storage::Floats(floats) => floats.dim(D::Minus1),
            Storage::Blocks(blocks) => Ok(blocks.columns()),
            Storage::Gpu(tensor) => Ok(tensor.shape().dims2()?.1),
        }
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// All its floats, if it is held in floats.
    pub(super) fn floats(&self) -> Option<Result<Tensor>> {
        match &self.storage {
            Storage::Floats(floats) => Some(floats.narrow(0, 0, self.rows)),
            Storage::Blocks(_) | Storage::Gpu(_) => None,
        }
    }

    /// `count` rows from `first` on, in `dtype`.
    pub(super) fn widened(&self, first: usize, count: usize, dtype: DType) -> Result<Tensor> {
        match &self.storage {
            Storage::Floats(floats) => {
                let rows = floats.narrow(0, first, count)?;
                let widens = floats.device().is_cpu() && super::is_16_bit(floats) && dtype == DType::F32;
                if widens { rows.apply_op1_no_bwd(&super::rows::Widen) } else { rows.to_dtype(dtype) }
            }
            Storage::Blocks(blocks) => {
                let values = blocks.widen(first..first + count);
                Tensor::from_vec(values, (count, blocks.columns()), &candle_core::Device::Cpu)?.to_dtype(dtype)
            }
            Storage::Gpu(tensor) => tensor.dequantize(&tensor.device())?.narrow(0, first, count)?.to_dtype(dtype),
        }
    }

    /// The rows of these ids: `[ids]` -> `[ids, columns]` in `dtype`. Only those are widened.
    ///
    /// # Errors
    /// An id beyond the table, or a failing device.
    pub(crate) fn lookup(&self, ids: &[u32], placement: &Placement) -> Result<Tensor> {
        let on_device = |ids: &[u32]| Tensor::new(ids, &placement.device);
        match &self.storage {
            Storage::Floats(floats) => floats.index_select(&on_device(ids)?, 0)?.to_dtype(placement.dtype),
            Storage::Gpu(tensor) => tensor.embedding(&on_device(ids)?)?.to_dtype(placement.dtype),
            Storage::Blocks(blocks) => {
                let mut values = Vec::with_capacity(ids.len() * blocks.columns());
                for &id in ids {
                    let row = id as usize;
                    if row >= blocks.rows() {
                        candle_core::bail!("id {id} is beyond the {} rows of the table", blocks.rows());
                    }
                    values.extend(blocks.widen(row..row + 1));
                }
                Tensor::from_vec(values, (ids.len(), blocks.columns()), &placement.device)?.to_dtype(placement.dtype)
            }
        }
    }
}

/// The product of a few f32 rows with the first `rows` rows of a matrix in blocks: `[positions, in]` -> `[positions,
/// rows]`.
pub(super) struct BlockProduct<'b> {
    pub(super) blocks: &'b Blocks,
    pub(super) rows: usize,
}

impl CustomOp1 for BlockProduct<'_> {
    fn name(&self) -> &'static str {
        "block-row-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_at: &Layout) -> Result<(CpuStorage, Shape)> {
        let (positions, width) = x_at.shape().dims2()?;
        let (CpuStorage::F32(x), Some((start, end))) = (x, x_at.contiguous_offsets()) else {
            candle_core::bail!("block product: expected contiguous f32 input");
        };
        if width != self.blocks.columns() {
            candle_core::bail!("block product: {width} values do not meet {:?}", self.blocks);
        }
        let product = self.blocks.product(&x[start..end], self.rows);
        Ok((CpuStorage::F32(product), Shape::from((positions, self.rows))))
    }
}

/// candle's own product on a GPU, `[positions, in]` -> `[positions, rows]`; its kernels take f32.
pub(super) fn gpu_product(tensor: &Arc<QTensor>, rows: usize, x: &Tensor) -> Result<Tensor> {
    let product = candle_core::quantized::QMatMul::QTensor(tensor.clone()).forward(&x.to_dtype(DType::F32)?)?;
    product.narrow(D::Minus1, 0, rows)?.to_dtype(x.dtype())
}
