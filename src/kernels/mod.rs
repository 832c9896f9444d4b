//! Arithmetic on the CPU: matrix products, attention and what runs over rows, on every core, in the widest
//! instructions that the machine has.
//!
//! Slices in, slices out: nothing here knows candle, checkpoints or the model. Weights lie in [`panels`], one layout
//! for every kernel; work is handed out by [`pool`]; [`choice`] says with which instructions. A kernel has a plain twin
//! in safe Rust, which its tests compare it with and which runs where nothing better is known.

#[cfg(target_arch = "x86_64")]
mod amx;
pub(crate) mod attention;
pub(crate) mod choice;
pub(crate) mod isa;
pub(crate) mod norms;
pub(crate) mod operands;
pub(crate) mod out;
pub(crate) mod panels;
pub(crate) mod pool;
mod prefetch;
pub(crate) mod probe;
pub(crate) mod product;
pub(crate) mod quant;
pub(crate) mod rope;
#[cfg(target_arch = "aarch64")]
mod sdot;
mod trial;
pub(crate) mod values;
