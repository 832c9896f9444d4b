//! How frames are got: the shortest way that can be verified, and surer ones where it turns out wrong.

mod damage;
mod group;
mod handover;
pub(crate) mod ladder;
pub(crate) mod linear;
mod parallel;
mod partial;
mod picker;
mod reader;
pub(crate) mod stream;
mod whole;
