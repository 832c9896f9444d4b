//! Weight matrices in the panels of the CPU's kernels, packed while they are read.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use super::Pass;
use crate::checkpoint::{Error, HeldRows, Weights};
use crate::device::{Operands, Placement};
use crate::host;
use crate::kernels::isa::Isa;
use crate::kernels::panels::{self, Element, PANEL_ROWS, Panels};
use crate::kernels::product::{Epilogue, product};
use crate::kernels::quant::{self, QuantPanels};
use crate::quantization::Format;

/// How the rows of several matrices lie in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// All rows of one after those of the one before.
    Stacked,
    /// A panel of one, then the panel of the same rows of the other.
    Paired,
}

/// A matrix in panels; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    panels: Held,
    placement: Placement,
}

#[derive(Debug, Clone)]
enum Held {
    Floats(Arc<Panels>),
    Blocks(Arc<QuantPanels>),
}

impl Packed {
    /// Reads the matrices `names` into one, at most `rows` rows of each; `None` if they are not held alike.
    ///
    /// # Errors
    /// A tensor that cannot be loaded.
    pub(super) fn load(
        weights: &Weights,
        names: &[String],
        rows: usize,
        arrangement: Arrangement,
        placement: &Placement,
    ) -> std::result::Result<Option<Self>, Error> {
        let Some(parts) =
            names.iter().map(|name| weights.held_rows(name)).collect::<std::result::Result<Option<Vec<_>>, _>>()?
        else {
            return Ok(None);
        };
        let Some(first) = parts.first() else { return Ok(None) };
        let (format, columns) = (first.format(), first.columns());
        if parts.iter().any(|part| (part.format(), part.columns()) != (format, columns)) {
            return Ok(None);
        }
        let layout = RowLayout::new(&parts, rows, arrangement);
        let read = |panel: usize, bytes: &mut [u8]| layout.read(panel, bytes);
        let failed = |source| weights.failed(names.first().map_or("", String::as_str), source);
        let total = layout.total;
        let panels = match element(format) {
            Some(element) => {
                let panels = Panels::pack(placement.isa(), element, total, columns, read);
                Held::Floats(Arc::new(panels.map_err(|error| failed(cause(error)))?))
            }
            None => {
                let Some(blocks) = quant_format(format) else { return Ok(None) };
                let panels = QuantPanels::pack(placement.isa(), blocks, total, columns, read);
                Held::Blocks(Arc::new(panels.map_err(|error| failed(cause(error)))?))
            }
        };
        Ok(Some(Self { panels, placement: placement.clone() }))
    }

    /// Zeros in bf16.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn of_zeros(rows: usize, columns: usize, placement: &Placement) -> Result<Self> {
        let panels = Panels::pack(placement.isa(), Element::Bf16, rows, columns, |_, _| Ok(()));
        let panels = panels.map_err(cause)?;
        Ok(Self { panels: Held::Floats(Arc::new(panels)), placement: placement.clone() })
    }

    /// Where it is multiplied, and in which arithmetic.
    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Outputs; of paired matrices those of both.
    pub(super) fn rows(&self) -> usize {
        match &self.panels {
            Held::Floats(panels) => panels.rows(),
            Held::Blocks(panels) => panels.rows(),
        }
    }

    pub(super) fn columns(&self) -> usize {
        match &self.panels {
            Held::Floats(panels) => panels.columns(),
            Held::Blocks(panels) => panels.columns(),
        }
    }

    /// Whether a decode step's positions come out otherwise than by prefill, beyond the last bits.
    pub(super) fn steps_differ(&self) -> bool {
        self.multiplies_bytes(Pass::Step) && !self.multiplies_bytes(Pass::Prefill)
    }

    /// The rows of these ids: `[ids]` -> `[ids, columns]`.
    ///
    /// # Errors
    /// An id beyond the table.
    pub(super) fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        let columns = self.columns();
        let mut values = vec![0f32; ids.len() * columns];
        for (&id, values) in ids.iter().zip(values.chunks_exact_mut(columns)) {
            let row = id as usize;
            match &self.panels {
                Held::Floats(panels) => panels.widen_row(row, values),
                Held::Blocks(panels) => panels.widen_row(row, values),
            }
        }
        Tensor::from_vec(values, (ids.len(), columns), &self.placement.device)?.to_dtype(self.placement.dtype)
    }

    /// Whether rows are multiplied in bytes in this stage.
    pub(super) fn multiplies_bytes(&self, pass: Pass) -> bool {
        matches!(self.panels, Held::Blocks(_)) && self.way(pass) == Way::Stored(quant::Arithmetic::Int8)
    }

    /// How blocks are multiplied in this stage.
    fn way(&self, pass: Pass) -> Way {
        Way::of(self.placement.operands, pass, self.placement.isa())
    }

    /// `[..., in]` -> `[..., width]` in `dtype`, an output for each row, or for each pair of rows.
    pub(super) fn product(
        &self,
        x: &Tensor,
        pass: Pass,
        epilogue: &Epilogue<'_>,
        width: usize,
        dtype: DType,
    ) -> Result<Tensor> {
        let (isa, columns) = (self.placement.isa(), self.columns());
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == columns => *last = width,
            _ => candle_core::bail!("{:?} does not meet {columns} columns of weights", x.dims()),
        }
        host::values(&x.contiguous()?, |x| {
            let operands = self.placement.operands;
            host::written(shape, dtype, |out| {
                match &self.panels {
                    Held::Floats(panels) => product(isa, x, &**panels, operands, epilogue, width, out),
                    Held::Blocks(panels) => match self.way(pass) {
                        Way::Stored(arithmetic) => {
                            quant::multiply(isa, x, panels, arithmetic, epilogue, width, out);
                        }
                        Way::Widened(element) => {
                            product(isa, x, &panels.widened(element), operands, epilogue, width, out);
                        }
                    },
                }
                Ok(())
            })
        })
    }
}

/// Why a matrix could not be packed.
fn cause(error: panels::Error<candle_core::Error>) -> candle_core::Error {
    match error {
        panels::Error::Read(source) => source,
        memory @ panels::Error::Memory { .. } => candle_core::Error::wrap(memory),
    }
}

/// How blocks are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As they are stored.
    Stored(quant::Arithmetic),
    /// As floats, for a product of many rows.
    Widened(Element),
}

impl Way {
    /// The matrix unit multiplies bf16 several times as fast as bytes whose sums are scaled every 32 columns.
    fn of(operands: Operands, pass: Pass, isa: Isa) -> Self {
        match (operands, pass) {
            (Operands::Exact, Pass::Prefill) => Self::Widened(Element::F32),
            (Operands::Exact, Pass::Step) => Self::Stored(quant::Arithmetic::Exact),
            (Operands::Bf16, Pass::Prefill) if isa == Isa::Amx => Self::Widened(Element::Bf16),
            (Operands::Bytes | Operands::Bf16, _) => Self::Stored(quant::Arithmetic::Int8),
        }
    }
}

/// In which panels floats lie; `None` for blocks.
fn element(format: Format) -> Option<Element> {
    match format.float()? {
        DType::BF16 => Some(Element::Bf16),
        DType::F16 => Some(Element::F16),
        _ => Some(Element::F32),
    }
}

fn quant_format(format: Format) -> Option<quant::Format> {
    match format {
        Format::Float(_) => None,
        Format::Q8_0 => Some(quant::Format::Q8_0),
        Format::Q6K => Some(quant::Format::Q6K),
        Format::Q5K => Some(quant::Format::Q5K),
        Format::Q4K => Some(quant::Format::Q4K),
    }
}

/// Which rows of which matrix lie where.
struct RowLayout<'p, 'w> {
    parts: &'p [HeldRows<'w>],
    /// Rows that are taken of each.
    counts: Vec<usize>,
    arrangement: Arrangement,
    /// Rows of the whole, those that fill a panel of a pair included.
    total: usize,
}

impl<'p, 'w> RowLayout<'p, 'w> {
    fn new(parts: &'p [HeldRows<'w>], rows: usize, arrangement: Arrangement) -> Self {
        let counts: Vec<usize> = parts.iter().map(|part| part.rows().min(rows)).collect();
        let total = match arrangement {
            Arrangement::Stacked => counts.iter().sum(),
            Arrangement::Paired => {
                let most = counts.iter().copied().max().unwrap_or(0);
                most.next_multiple_of(PANEL_ROWS) * counts.len()
            }
        };
        Self { parts, counts, arrangement, total }
    }

    /// Fills `bytes` with the rows of a panel; rows that there are not stay as they are.
    fn read(&self, panel: usize, bytes: &mut [u8]) -> Result<()> {
        let row_bytes = self.parts.first().map_or(1, HeldRows::row_bytes);
        match self.arrangement {
            Arrangement::Paired => {
                let (part, first) = (panel % self.parts.len(), panel / self.parts.len() * PANEL_ROWS);
                let count = PANEL_ROWS.min(self.counts[part].saturating_sub(first));
                self.parts[part].read(first, &mut bytes[..count * row_bytes])
            }
            Arrangement::Stacked => {
                let (mut first, mut bytes) = (panel * PANEL_ROWS, bytes);
                for (part, &rows) in self.parts.iter().zip(&self.counts) {
                    if first < rows {
                        let count = (bytes.len() / row_bytes).min(rows - first);
                        let (here, rest) = bytes.split_at_mut(count * row_bytes);
                        part.read(first, here)?;
                        bytes = rest;
                        first += count;
                    }
                    first = first.saturating_sub(rows);
                    if bytes.is_empty() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}
