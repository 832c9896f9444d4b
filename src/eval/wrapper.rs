//! What the harness's model wrapper `llava_vid` makes of a video: frames of a folder, and the answer where one fails.
//!
//! Source: `llava_vid.py`. The frames of a file and the user's message are those of the program itself
//! ([`crate::video::plan`], [`crate::prompt::user_message`]); the harness has no stop text of its own.

use crate::video::{FramePlan, SamplePolicy, plan};

/// Pictures to the second in MVBench's folders of frames.
pub const FOLDER_FPS: f64 = 3.0;

/// The frames of a folder of `count` pictures, in the order of their names: always `max_frames`, evenly spread.
///
/// The harness takes them in whatever order the system lists them.
pub fn folder_plan(count: usize, max_frames: usize) -> FramePlan {
    plan(count, FOLDER_FPS, &SamplePolicy { max_frames, fps: None })
}

/// How long a folder of `count` pictures lasts, in seconds.
pub fn folder_secs(count: usize) -> f64 {
    count as f64 / FOLDER_FPS
}

/// The answer that the harness parses and scores like any other when a video at `path` cannot be decoded.
pub fn cannot_load(path: &str) -> String {
    format!("Video {path} can not load, check the source")
}
