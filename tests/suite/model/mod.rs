//! From a checkpoint and frames to an answer's ids.

mod anyres;
mod choices;
mod conversations;
mod demo;
mod equal_frames;
mod gpu;
mod instructions;
mod library;
mod loaded;
mod long;
mod memory;
mod odd_checkpoints;
mod parity;
mod preprocess;
mod prompts;
mod quantize;
mod sessions;
mod siblings;
mod together;
mod visual_cache;
