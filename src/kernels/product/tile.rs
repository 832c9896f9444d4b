//! Which tile multiplies what, how large it is, and the one place from which they are called.

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::operands::{Ready, Wanted};
use super::shape::Shape;
use super::{Operands, plain};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, avx512bf16};
use crate::kernels::isa::Isa;
use crate::kernels::panels::{Element, PANEL_ROWS};

/// The tiles that multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel {
    isa: Isa,
    element: Element,
    wanted: Wanted,
}

impl Kernel {
    pub(super) fn new(isa: Isa, element: Element, operands: Operands) -> Self {
        let wanted = match (element, operands) {
            (Element::Bf16, Operands::Bf16) if isa >= Isa::Avx512Bf16 => Wanted::Bf16,
            (Element::Bf16, Operands::Bf16) => Wanted::F32OfBf16,
            _ => Wanted::F32,
        };
        Self { isa, element, wanted }
    }

    /// The activations it takes.
    pub(super) fn wanted(self) -> Wanted {
        self.wanted
    }

    /// The most rows of a tile.
    pub(super) fn rows(self) -> usize {
        match (self.isa, self.wanted) {
            (_, Wanted::Bf16) => 12,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx, _) => avx512::ROWS,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => avx2::ROWS,
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, _) => neon::ROWS,
            _ => plain::ROWS,
        }
    }

    /// The most panels of a tile of so many rows.
    pub(super) fn panels(self, rows: usize) -> usize {
        match (self.isa, self.wanted) {
            (_, Wanted::Bf16) => {
                if rows <= 6 {
                    4
                } else {
                    2
                }
            }
            (Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx, _) => 4,
            #[cfg(target_arch = "x86_64")]
            (Isa::Avx2, _) => avx2::panels(rows),
            #[cfg(target_arch = "aarch64")]
            (Isa::Neon, _) => neon::panels(rows),
            _ => 1,
        }
    }

    /// Multiplies a tile: rows of `x` from `first_row` on by panels that follow each other.
    pub(super) fn multiply(self, shape: &Shape, x: Ready<'_>, first_row: usize, panels: &[u8], sums: &mut [f32]) {
        let Shape { rows, panels: count, columns, sum_stride } = *shape;
        assert!(rows > 0 && rows <= self.rows() && count > 0 && count <= self.panels(rows));
        assert_eq!(panels.len(), count * self.element.panel_bytes(columns));
        assert!(sum_stride >= count * PANEL_ROWS && sums.len() >= (rows - 1) * sum_stride + count * PANEL_ROWS);
        match x {
            #[cfg(target_arch = "x86_64")]
            Ready::Bf16(x, stride) => {
                let x = &x[first_row * stride..][..(rows - 1) * stride + columns.next_multiple_of(2)];
                assert_eq!(self.wanted, Wanted::Bf16);
                // SAFETY: bf16 are only wanted where `isa` has their products, and such an `Isa` is only made where the
                // machine has them; the lengths were checked above.
                unsafe { avx512bf16::multiply(shape, x, stride, panels, sums) }
            }
            #[cfg(not(target_arch = "x86_64"))]
            Ready::Bf16(..) => unreachable!("no set of instructions here wants bf16"),
            Ready::F32(x, stride) => {
                let x = &x[first_row * stride..][..(rows - 1) * stride + columns];
                match self.isa {
                    // SAFETY: an `Isa` other than the plain one is only made where the machine has it; the lengths were
                    // checked above.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => unsafe {
                        avx512::multiply(self.element, shape, x, stride, panels, sums);
                    },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { avx2::multiply(self.element, shape, x, stride, panels, sums) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => unsafe { neon::multiply(self.element, shape, x, stride, panels, sums) },
                    _ => plain::multiply(self.element, shape, x, stride, panels, sums),
                }
            }
        }
    }
}
