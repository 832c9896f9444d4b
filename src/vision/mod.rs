//! Frames and pictures to visual tokens: resize or cut, normalise, vision tower, projector, merging.

pub mod anyres;
pub mod pool;
pub mod preprocess;
mod projector;
mod siglip;

pub use projector::Projector;
pub use siglip::VisionTower;
