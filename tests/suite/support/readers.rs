//! The ways in which the real binary is started to read clips.

use llava_video::video::isolated::Launcher;

/// A program for each clip.
pub(crate) fn plain() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_llava-video"), ["decode-worker"])
}

/// A fork for each clip, where the system has that.
pub(crate) fn forking() -> Launcher {
    plain().forking(["decode-worker", "for-each"])
}

/// All of them.
pub(crate) fn launchers() -> [Launcher; 2] {
    [plain(), forking()]
}
