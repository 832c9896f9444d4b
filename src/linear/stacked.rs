//! Layers of float weights as one matrix, biases included, where candle multiplies.
//!
//! In 16 bits a bias is a further column of its weight, and operands go on with a one for it: the product adds it to
//! its sums in f32, so that a result is rounded once, and not before its bias as well. Computed from the 7B model's
//! sizes, copying the operand for that moves about as many bytes as the addition that it saves in the projector's last
//! layer, and fewer in all others. In f32 nothing would be gained, and biases are added afterwards.

use candle_core::{D, DType, Device, Result, Tensor};

use super::{Linear, Matrix};
use crate::checkpoint::{Error, Weights};
use crate::device::Placement;

/// Rows of a weight with its bias are filled up with zeros to a multiple of so many values, 16 bytes, as tensor cores
/// load them.
const FILL_VALUES: usize = 8;

/// Columns of a weight of so many with its bias.
pub(crate) fn columns_with_bias(columns: usize) -> usize {
    (columns + 1).next_multiple_of(FILL_VALUES)
}

/// Whether the bias of a float weight is a column of it: in 16 bits.
pub(crate) fn biases_are_columns(placement: &Placement) -> bool {
    placement.dtype != DType::F32
}

/// How many columns the weight of `layer` gains for its bias; none where the bias is added afterwards or is not there.
pub(crate) fn bias_columns(weights: &Weights, layer: &str, placement: &Placement) -> usize {
    let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
    let is_float = weights.held_dtype(&weight).is_some();
    match weights.shape(&weight) {
        Some([_, inner @ ..])
            if !inner.is_empty() && is_float && biases_are_columns(placement) && weights.shape(&bias).is_some() =>
        {
            let columns = inner.iter().product();
            columns_with_bias(columns) - columns
        }
        _ => 0,
    }
}

/// `layers` as one; `None` where the weight of any is in blocks. Each weight is copied to its place as it comes, so
/// that no more than one is there twice.
pub(super) fn stacked(
    weights: &Weights,
    layers: &[String],
    is_biased: bool,
    placement: &Placement,
) -> std::result::Result<Option<Linear>, Error> {
    let (dtype, device) = (placement.dtype, &placement.device);
    let names: Vec<String> = layers.iter().map(|layer| format!("{layer}.weight")).collect();
    if !names.iter().all(|name| weights.held_dtype(name).is_some()) {
        return Ok(None);
    }
    let shape = |name: &String| weights.shape(name).unwrap_or(&[]);
    let columns: usize = match shape(&names[0]) {
        [_, inner @ ..] if !inner.is_empty() => inner.iter().product(),
        _ => return Err(weights.failed(&names[0], candle_core::Error::msg("it is not a matrix"))),
    };
    let added = if is_biased { bias_columns(weights, &layers[0], placement) } else { 0 };
    let rows: usize = names.iter().filter_map(|name| shape(name).first()).sum();
    let failed = |source| weights.failed(&names[0], source);
    let joined = Tensor::zeros((rows, columns + added), dtype, device).map_err(failed)?;
    let put = |name: &str, first: usize, column: usize, width: usize| {
        let part = weights.load(name, Some(dtype), device)?;
        let rows = part.dims().first().copied().unwrap_or(0);
        let place = joined.narrow(0, first, rows);
        let copied = place.and_then(|place| place.slice_set(&part.reshape((rows, width))?, 1, column));
        copied.map(|()| rows).map_err(|source| weights.failed(name, source))
    };
    let mut first = 0;
    for (layer, name) in layers.iter().zip(&names) {
        let rows = put(name, first, 0, columns)?;
        if added > 0 {
            put(&format!("{layer}.bias"), first, columns, 1)?;
        }
        first += rows;
    }
    let weight = Matrix::of_floats(joined);
    Ok(Some(match (is_biased, added) {
        (false, _) => Linear::new(weight, None),
        (true, 0) => Linear::new(weight, Some(stacked_biases(weights, layers, placement)?)),
        (true, _) => {
            Linear { continuation: Some(one(added, dtype, device).map_err(failed)?), ..Linear::new(weight, None) }
        }
    }))
}

/// The biases of `layers`, one after the other.
pub(super) fn stacked_biases(
    weights: &Weights,
    layers: &[String],
    placement: &Placement,
) -> std::result::Result<Tensor, Error> {
    let load = |layer| weights.load(&format!("{layer}.bias"), Some(placement.dtype), &placement.device);
    let biases = layers.iter().map(load).collect::<std::result::Result<Vec<_>, _>>()?;
    Tensor::cat(&biases, 0).map_err(|source| weights.failed(&layers[0], source))
}

/// A one, and zeros to `count` values.
fn one(count: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::from_iter((0..count).map(|index| f32::from(index == 0)), device)?.to_dtype(dtype)
}

/// `[..., in]` -> `[..., in + values of the continuation]`; each row goes on with the same.
pub(super) fn continued(x: &Tensor, continuation: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = continuation.elem_count();
    }
    // `cat` reads the one row again and again, so that no block of them is made first.
    Tensor::cat(&[x, &continuation.broadcast_as(shape)?], D::Minus1)
}
