//! Frames to visual tokens: resize and normalise, vision tower, projector, pooling and newline tokens.

pub mod pool;
pub mod preprocess;
mod projector;
mod siglip;

pub use projector::Projector;
pub use siglip::VisionTower;
