//! The digest of a run: of everything beside the inputs that its answers depend on.

use super::lanes::LaneOptions;
use super::looking::LookOptions;
use crate::checkpoint::{Checkpoint, Identity};
use crate::device::DeviceMap;
use crate::quantization::Scheme;
use crate::video::ClipOptions;

/// Everything beside the inputs that the answers of a run depend on. Another number of lanes or threads, another cache
/// and other limits of time give the same answers, so they are not among it.
#[derive(Debug, Clone, Copy)]
pub struct RunParts<'a> {
    /// The checkpoint with overrides applied.
    pub checkpoint: &'a Checkpoint,
    /// Which weights it holds.
    pub identity: &'a Identity,
    /// How weights are held.
    pub scheme: Option<Scheme>,
    /// Where the model runs.
    pub devices: &'a DeviceMap,
    /// How clips are looked at.
    pub look: &'a LookOptions,
    /// How questions are answered.
    pub lanes: &'a LaneOptions,
}

impl RunParts<'_> {
    /// What is hashed, for whoever wants to know why two digests differ.
    pub fn text(&self) -> String {
        let Self { checkpoint, identity, scheme, devices, look, lanes } = self;
        let LookOptions { frames, windows, clip, timeout: _, item_timeout: _, launcher: _ } = look;
        // Other threads and another way through the file give the same frames.
        let ClipOptions { strict, max_pixels, linear: _, image_fps, threads: _, stop: _ } = clip;
        let LaneOptions { ask, sampling, lanes: _, item_timeout: _ } = lanes;
        let config = &checkpoint.config;
        // The derived forms name every field, so that one that is added later cannot be forgotten here.
        let lines = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("checkpoint", identity.content().to_owned()),
            ("config", format!("{config:?}, {:?}, {:?}", checkpoint.vision, checkpoint.generation)),
            ("quantization", format!("{scheme:?}")),
            ("arithmetic", format!("{} by {}", devices.dtype_name(), devices.kernels_name())),
            ("frames", format!("{frames:?}, {windows:?}, {strict}, {max_pixels}, {image_fps:?}")),
            ("question", format!("{ask:?}, {sampling:?}")),
        ];
        lines.map(|(label, value)| format!("{label}: {value}\n")).concat()
    }

    /// 16 hexadecimal digits.
    pub fn digest(&self) -> String {
        blake3::hash(self.text().as_bytes()).to_hex()[..16].to_owned()
    }
}
