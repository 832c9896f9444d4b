//! A trial of a set of instructions before its first use: small products and attention, beside plain Rust.
//!
//! Kernels are tested where they were written. An emulator, a hypervisor or a defect of a processor that nobody has met
//! is noticed here, before it answers a question.

use super::attention::{self, Full};
use super::isa::Isa;
use super::operands::Operands;
use super::out::Out;
use super::panels::{Element, PANEL_ROWS, Panels};
use super::product::{Epilogue, Rows, Then, product};

/// Odd sizes, so that the ends of tiles are tried as well.
const POSITIONS: usize = 29;
const COLUMNS: usize = 71;
const OUTPUTS: usize = 53;
const ATTENTION: Full = Full { frames: 1, patches: 37, heads: 2, width: 20 };

/// Whether the kernels of `isa` give what plain Rust gives, up to the order of sums.
pub(super) fn passes(isa: Isa) -> bool {
    [Operands::Exact, Operands::Bf16].into_iter().all(|operands| {
        // Operands in bf16 are the same in both, but attention rounds weights that differ in their last bits.
        let bound = if operands == Operands::Bf16 { 2e-2 } else { 1e-4 };
        let (got, expected) = (results(isa, operands), results(Isa::Plain, operands));
        // Not a number is never near.
        got.iter().zip(&expected).all(|(got, expected)| (got - expected).abs() <= bound * expected.abs().max(1.0))
    })
}

/// Products of few and of many rows, with all that can follow them, and attention.
fn results(isa: Isa, operands: Operands) -> Vec<f32> {
    let mut results = Vec::new();
    let x = numbers(POSITIONS * COLUMNS, 1);
    let residual = numbers(POSITIONS * OUTPUTS, 2);
    for element in [Element::Bf16, Element::F16, Element::F32] {
        let Ok(weights) = weights(isa, element) else { return results };
        for positions in [1, 3, POSITIONS] {
            let residual = &residual[..positions * OUTPUTS];
            for then in [Then::Nothing, Then::GeluTanh, Then::GeluErf, Then::Add(residual)] {
                let mut out = vec![0.0; positions * OUTPUTS];
                let (x, epilogue) = (Rows::F32(&x[..positions * COLUMNS]), Epilogue { bias: None, then });
                product(isa, x, &weights, operands, &epilogue, OUTPUTS, Out::F32(&mut out));
                results.extend(out);
            }
        }
    }
    let Full { patches, heads, width, .. } = ATTENTION;
    let mut out = vec![0.0; patches * heads * width];
    attention::full(isa, operands, &numbers(patches * 3 * heads * width, 3), ATTENTION, Out::F32(&mut out));
    results.extend(out);
    results
}

/// Numbers in -1..1 that every type holds exactly, with a period prime to the tiles.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 11) % 127) as f32 / 64.0 - 1.0).collect()
}

fn weights(isa: Isa, element: Element) -> Result<Panels, super::panels::Error<std::convert::Infallible>> {
    Panels::pack(isa, element, OUTPUTS, COLUMNS, |panel, bytes| {
        let first = panel * PANEL_ROWS;
        let values = numbers(OUTPUTS.min(first + PANEL_ROWS) * COLUMNS, 4);
        let values = &values[first * COLUMNS..];
        for (value, bytes) in values.iter().zip(bytes.chunks_exact_mut(element.bytes())) {
            match element {
                Element::Bf16 => bytes.copy_from_slice(&half::bf16::from_f32(*value).to_le_bytes()),
                Element::F16 => bytes.copy_from_slice(&half::f16::from_f32(*value).to_le_bytes()),
                Element::F32 => bytes.copy_from_slice(&value.to_le_bytes()),
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_that_is_here_passes() {
        for isa in Isa::available() {
            assert!(passes(isa), "{}", isa.name());
        }
        assert!(results(Isa::Plain, Operands::Exact).iter().any(|result| result.abs() > 1.0));
    }
}
