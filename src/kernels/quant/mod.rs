//! Products with weights in ggml's blocks: q4_k, q5_k, q6_k and q8_0 in panels of 16 rows.
//!
//! [`multiply`] multiplies the blocks themselves: a few rows of activations, or many in bytes. Others of many rows go
//! through [`product`](super::product), for which [`Widened`](widened::Widened) makes panels of floats in the cache, a
//! few at a time.

mod activations;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod blocks;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod bytes;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod exact;
mod format;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod many;
mod multiply;
mod panels;
mod plain;
mod rounded;
mod step;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tile;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vectors;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod widen;
mod widened;

pub(crate) use format::Format;
pub(crate) use multiply::multiply;
pub(crate) use panels::QuantPanels;
pub(crate) use step::Arithmetic;
