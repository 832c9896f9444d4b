//! What tests of all subjects share.

pub(crate) mod archives;
mod case;
mod checkpoint;
mod code;
pub(crate) mod control_group;
#[cfg(target_os = "linux")]
pub(crate) mod denied;
mod device;
mod digest;
#[cfg(target_os = "linux")]
pub(crate) mod family;
mod files;
pub(crate) mod hub;
pub(crate) mod hub_home;
pub(crate) mod judge;
pub(crate) mod lossless;
pub(crate) mod mp4;
pub(crate) mod process;
mod random;
mod readers;
pub(crate) mod remux;
mod run;
pub(crate) mod shapes;
#[cfg(target_os = "linux")]
pub(crate) mod sitting;
pub(crate) mod small_disk;
pub(crate) mod wide;
pub(crate) mod wire;

pub(crate) use self::case::{Case, assert_close, ids, rgb_frames, set_flags};
pub(crate) use self::checkpoint::CheckpointCopy;
pub(crate) use self::code::rust_files;
pub(crate) use self::device::{device, gpu, other_gpu, placement, rounding};
pub(crate) use self::digest::{git_blob_hex, sha256_hex};
pub(crate) use self::files::{
    SHARDED, SINGLE, clip, clip_arg, fixtures, golden, golden_checkpoint, json, tiny_checkpoint, tiny_checkpoint_arg,
};
pub(crate) use self::random::Random;
pub(crate) use self::readers::{forking, launchers, plain};
pub(crate) use self::run::{Run, ask, ask_args, command, llava_video, run};

/// The tool that writes checkpoints of the published sizes, as a part of the tests: they need no example built before.
#[path = "../../../examples/generate-checkpoint.rs"]
#[expect(dead_code, unreachable_pub, reason = "its main is not called, and as an example it is a crate")]
pub(crate) mod generate_checkpoint;
