//! An animated WebP as a clip, which FFmpeg does not read: all frames are decoded, and those that are wanted kept.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError};

use super::index::CountSource;
use super::info::{Access, ClipInfo};
use super::rate::RateSource;
use super::sample::distinct;
use super::{ClipOptions, Error, Frame, ReadError, View};

/// Container and codec of such a clip.
const NAME: &str = "webp";

/// An animation, its frames counted.
#[derive(Debug)]
pub struct WebpClip {
    path: PathBuf,
    /// When each frame appears, in seconds.
    starts_secs: Vec<f64>,
    info: ClipInfo,
}

/// Whether a file is an animated WebP.
pub(super) fn is_animation(path: &Path) -> bool {
    let decoder = File::open(path).ok().and_then(|file| WebPDecoder::new(BufReader::new(file)).ok());
    decoder.is_some_and(|decoder| decoder.has_animation())
}

impl WebpClip {
    /// Opens the animation and counts its frames.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::BadImage`] for damage, [`Error::FrameTooLarge`], or [`Error::NoFrames`].
    pub fn open(path: &Path, options: &ClipOptions) -> Result<Self, Error> {
        let decoder = decoder(path)?;
        let (width, height) = decoder.dimensions();
        let max_pixels = options.max_pixels;
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(Error::FrameTooLarge { path: path.to_owned(), width, height, max_pixels });
        }
        let mut starts_secs = Vec::new();
        let mut end_secs = 0.0;
        for frame in decoder.into_frames() {
            starts_secs.push(end_secs);
            end_secs += Duration::from(frame.map_err(|source| bad(path, &source))?.delay()).as_secs_f64();
        }
        let frame_count = starts_secs.len();
        if frame_count == 0 {
            return Err(Error::NoFrames { path: path.to_owned() });
        }
        let (avg_fps, rate_source) = match end_secs > 0.0 {
            true => (frame_count as f64 / end_secs, RateSource::Duration),
            false => (options.image_fps, RateSource::Asked),
        };
        let info = ClipInfo {
            frame_count,
            avg_fps,
            width,
            height,
            container: NAME.to_owned(),
            codec: NAME.to_owned(),
            decoder: NAME.to_owned(),
            count_source: CountSource::Decoded,
            rate_source,
            access: Access::Linear("this codec is always decoded from the start".into()),
            start_secs: Some(0.0),
            span_secs: Some(end_secs),
            pixel_format: "rgb24".to_owned(),
            ..ClipInfo::unknown()
        };
        Ok(Self { path: path.to_owned(), starts_secs, info })
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// As [`super::Clip::frames_before`].
    pub fn frames_before(&self, secs: f64) -> usize {
        self.starts_secs.partition_point(|&start| start < secs)
    }

    /// As [`super::Clip::read`]. Alpha is dropped.
    ///
    /// # Errors
    /// As [`super::Clip::read`], and [`Error::BadImage`] for damage.
    pub fn read<E>(
        &self,
        indices: &[usize],
        view: View,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let wanted = distinct(indices);
        if let Some(&index) = wanted.last().filter(|&&index| index >= self.info.frame_count) {
            let (path, frame_count) = (self.path.clone(), self.info.frame_count);
            return Err(ReadError::Clip(Error::IndexOutOfRange { path, index, frame_count }));
        }
        let mut frames = decoder(&self.path)?.into_frames().enumerate();
        for index in wanted {
            if !keep_going() {
                return Err(ReadError::Clip(Error::Interrupted { path: self.path.clone() }));
            }
            let frame = frames.find_map(|(number, frame)| match frame {
                Ok(frame) => (number == index).then_some(Ok(frame)),
                Err(source) => Some(Err(bad(&self.path, &source))),
            });
            let frame = frame.unwrap_or_else(|| Err(Error::NoFrames { path: self.path.clone() }))?;
            let picture = DynamicImage::ImageRgba8(frame.into_buffer()).into_rgb8();
            let (width, height) = picture.dimensions();
            let pts_secs = self.starts_secs.get(index).copied();
            let frame = Frame { index, pts_secs, width, height, rgb: picture.into_raw() };
            sink(view.of(frame)).map_err(ReadError::Sink)?;
        }
        Ok(())
    }
}

fn decoder(path: &Path) -> Result<WebPDecoder<BufReader<File>>, Error> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    WebPDecoder::new(BufReader::new(file)).map_err(|source| bad(path, &source))
}

fn bad(path: &Path, source: &ImageError) -> Error {
    Error::BadImage { path: path.to_owned(), reason: source.to_string() }
}
