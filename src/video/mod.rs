//! Video files to RGB frames: which frames there are, which to take, and their exact pixels.
//!
//! Frame `k` is the `k`-th presented frame of a decode from start to end, whatever the container: packets that an
//! edit list cuts away do not count, nor do packets that are never shown. Pixels are those of libswscale's bilinear
//! conversion with the frame's own colour matrix and range, turned as the display matrix says.
//!
//! [`Clip::open`] finds the stream, counts its frames and works out its rate; [`sample::plan`] chooses indices;
//! [`Clip::read`] decodes them. Reading takes the shortest way that can be verified (only the groups of pictures
//! that hold a wanted frame, without the pictures nobody needs), and decodes everything where it cannot.

mod clip;
mod convert;
mod damage;
mod decoder;
mod error;
mod extent;
mod ffi;
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod handover;
mod hidden;
mod images;
mod index;
mod info;
pub mod isolated;
mod linear;
mod moments;
mod mp4;
mod nal;
mod orientation;
mod parallel;
mod picker;
mod plane;
mod rate;
mod read;
mod reader;
mod scout;
mod source;
mod trust;
mod version;
mod view;
mod webp;

pub mod sample;

pub use clip::{Clip, ClipOptions};
pub use error::{Error, ReadError};
pub use images::{ImageClip, SINGLE_IMAGE};
pub use index::CountSource;
pub use info::{Access, ClipInfo};
pub use orientation::Orientation;
pub use rate::RateSource;
pub use sample::{FramePlan, SamplePolicy, distinct, label_text, plan, plan_moments, plan_part};
pub use version::ffmpeg_versions;
pub use view::View;
pub use webp::WebpClip;

/// One frame as shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its number among the presented frames, from 0.
    pub index: usize,
    /// When it is shown, in seconds on the container's clock; `None` where the container has none.
    pub pts_secs: Option<f64>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Packed RGB24, row by row, `3 * width * height` bytes.
    pub rgb: Vec<u8>,
}
