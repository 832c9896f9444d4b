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
mod codec;
mod error;
mod ffmpeg;
mod file;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod info;
pub mod isolated;
mod media;
pub(crate) mod names;
mod options;
mod read;
pub mod sample;
mod still;
mod view;

pub use clip::Clip;
pub use error::{Error, ReadError};
pub use ffmpeg::orientation::Orientation;
pub use ffmpeg::version::ffmpeg_versions;
pub use frame::Frame;
pub use index::entries::CountSource;
pub use index::rate::RateSource;
pub use info::{Access, ClipInfo, SINGLE_IMAGE};
pub use options::ClipOptions;
pub use sample::{FramePlan, SamplePolicy, distinct, label_text, plan, plan_moments, plan_part};
pub use still::images::ImageClip;
pub use still::webp::WebpClip;
pub use view::View;
