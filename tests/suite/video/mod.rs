//! From a file to its frames.

mod clips;
#[cfg(target_os = "linux")]
mod confinement;
mod damage;
mod frames;
mod hostile_child;
mod isolation;
mod large_frames;
#[cfg(target_os = "linux")]
mod nursery;
mod odd_heights;
mod odd_streams;
mod pictures;
mod steady;
