//! A weight matrix as it is held: in panels for the CPU's kernels, in floats, or in blocks of few bits on a GPU.

use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{D, DType, Module, Result, Tensor};

use super::packed::{Arrangement, Packed};
use crate::checkpoint::{Error, Weights};
use crate::device::Placement;

/// `[rows, columns]`; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    storage: Storage,
    /// May be fewer than are stored, for a head that shares the embedding table.
    rows: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Storage {
    /// On the CPU.
    Packed(Packed),
    /// Where candle multiplies, in the arithmetic's dtype; or to look rows up.
    Floats(Tensor),
    /// On a GPU, where candle has kernels of its own.
    Gpu(Arc<QTensor>),
}

/// What a matrix is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// To be multiplied.
    Product,
    /// To look rows up.
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
        let is_float = weights.held_dtype(name).is_some();
        // Rows are looked up where they lie side by side.
        let is_packed = if is_float { placement.uses_kernels() && purpose == Use::Product } else { !placement.is_gpu };
        if is_packed {
            let names = [name.to_owned()];
            let packed = Packed::load(weights, &names, rows, Arrangement::Stacked, placement)?;
            return match packed {
                Some(packed) => Ok(Self::of_packed(packed)),
                None => Err(weights.failed(name, candle_core::Error::msg("it is not a matrix"))),
            };
        }
        if let Some(blocks) = weights.load_blocks(name, rows, &mut |_| ())? {
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
            Use::Product => Some(placement.dtype),
            Use::Lookup => None,
        };
        let floats = weights.load_rows(name, rows, dtype, device)?;
        let matrix = if floats.rank() > 2 { floats.flatten_from(1) } else { Ok(floats) };
        Ok(Self::of_floats(matrix.map_err(|source| Error::Load { name: name.to_owned(), source })?))
    }

    /// A matrix of floats, `[rows, columns]`.
    pub(super) fn of_floats(floats: Tensor) -> Self {
        Self { rows: floats.dims().first().copied().unwrap_or(0), storage: Storage::Floats(floats) }
    }

    pub(super) fn of_packed(packed: Packed) -> Self {
        Self { rows: packed.rows(), storage: Storage::Packed(packed) }
    }

    /// The first rows of this matrix, without a copy.
    pub(crate) fn first_rows(&self, rows: usize) -> Self {
        Self { storage: self.storage.clone(), rows: rows.min(self.rows) }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// All its floats, if it is held in floats.
    pub(super) fn floats(&self) -> Option<Result<Tensor>> {
        match &self.storage {
            Storage::Floats(floats) => Some(floats.narrow(0, 0, self.rows)),
            Storage::Packed(_) | Storage::Gpu(_) => None,
        }
    }

    /// The rows of these ids: `[ids]` -> `[ids, columns]` in the placement's dtype. Only those are widened.
    ///
    /// # Errors
    /// An id beyond the table, or a failing device.
    pub(crate) fn lookup(&self, ids: &[u32], placement: &Placement) -> Result<Tensor> {
        let rows = match &self.storage {
            Storage::Packed(packed) => packed.rows(),
            Storage::Floats(floats) => floats.dim(0)?,
            Storage::Gpu(tensor) => tensor.shape().dims()[0],
        };
        // A GPU's kernel would end all work of this process on that GPU.
        if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
            candle_core::bail!("id {id} is beyond the {rows} rows of the table");
        }
        let on_device = || Tensor::new(ids, &placement.device);
        match &self.storage {
            Storage::Packed(packed) => packed.lookup(ids),
            Storage::Floats(floats) => floats.index_select(&on_device()?, 0)?.to_dtype(placement.dtype),
            Storage::Gpu(tensor) => tensor.embedding(&on_device()?)?.to_dtype(placement.dtype),
        }
    }
}

/// candle's own product on a GPU, `[positions, in]` -> `[positions, rows]`. Its kernels for NVIDIA GPUs take 16-bit
/// floats as they are for up to 8 positions and widen those of more themselves; the others want f32.
pub(super) fn gpu_product(tensor: &Arc<QTensor>, rows: usize, x: &Tensor) -> Result<Tensor> {
    let multiply = |x: &Tensor| candle_core::quantized::QMatMul::QTensor(tensor.clone()).forward(x);
    let product = match x.device().is_cuda() {
        true => multiply(x)?,
        false => {
            let wide = x.to_dtype(DType::F32)?;
            multiply(&wide)?.to_dtype(x.dtype())?
        }
    };
    product.narrow(D::Minus1, 0, rows)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn an_id_beyond_the_table_never_gets_to_the_device() -> Result<()> {
        let placement = Placement { is_gpu: true, ..Placement::whole(Device::Cpu, DType::F32) };
        let table = Tensor::arange(0f32, 12.0, &Device::Cpu)?.reshape((4, 3))?;
        let matrix = Matrix::of_floats(table);
        assert_eq!(matrix.lookup(&[3, 0], &placement)?.to_vec2::<f32>()?, [[9.0, 10.0, 11.0], [0.0, 1.0, 2.0]]);
        let error = matrix.lookup(&[3, 4], &placement).unwrap_err().to_string();
        assert!(error.contains("id 4 is beyond the 4 rows of the table"), "{error}");
        Ok(())
    }
}
