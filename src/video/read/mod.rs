//! How frames are got: the shortest way that can be verified, and surer ones where it turns out wrong.

mod damage;
mod group;
mod handover;
mod ladder;
pub(crate) mod linear;
mod parallel;
mod picker;
mod reader;
