//! An animated WebP as a clip, which FFmpeg does not read. Opening it reads the headers of its frames only; reading it
//! decodes all frames up to the last one wanted, since each is painted over those before it.
//!
//! Source: Google's WebP container specification (RIFF chunks, `ANMF`).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError};

use crate::video::error::{Error, ReadError};
use crate::video::frame::Frame;
use crate::video::index::entries::CountSource;
use crate::video::index::rate::RateSource;
use crate::video::info::{Access, ClipInfo};
use crate::video::options::ClipOptions;
use crate::video::sample::distinct;
use crate::video::view::View;

/// Container and codec of such a clip.
const NAME: &str = "webp";

/// An animation, its frames counted.
#[derive(Debug)]
pub struct WebpClip {
    path: PathBuf,
    /// When each frame appears, in seconds.
    starts_secs: Vec<f64>,
    stop: Arc<AtomicBool>,
    info: ClipInfo,
}

/// Whether a file is an animated WebP.
pub(crate) fn is_animation(path: &Path) -> bool {
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
        let io = |source| Error::Io { path: path.to_owned(), source };
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let durations_ms = frame_durations_ms(&mut file).map_err(io)?.ok_or_else(|| Error::BadImage {
            path: path.to_owned(),
            reason: "it ends in the middle of a frame".to_owned(),
        })?;
        let frame_count = durations_ms.len();
        if frame_count == 0 {
            return Err(Error::NoFrames { path: path.to_owned() });
        }
        let mut end_ms = 0;
        let mut starts_secs = Vec::with_capacity(frame_count);
        for duration_ms in durations_ms {
            starts_secs.push(end_ms as f64 / 1e3);
            end_ms += u64::from(duration_ms);
        }
        let end_secs = end_ms as f64 / 1e3;
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
            access: Access::Linear("this codec is only decoded from the start".into()),
            start_secs: Some(0.0),
            span_secs: Some(end_secs),
            pixel_format: "rgb24".to_owned(),
            ..ClipInfo::unknown()
        };
        Ok(Self { path: path.to_owned(), starts_secs, stop: Arc::clone(&options.stop), info })
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// As [`crate::video::Clip::frames_before`].
    pub fn frames_before(&self, secs: f64) -> usize {
        self.starts_secs.partition_point(|&start| start < secs)
    }

    /// As [`crate::video::Clip::read`]. Alpha is dropped.
    ///
    /// # Errors
    /// As [`crate::video::Clip::read`], and [`Error::BadImage`] for damage.
    pub fn read<E>(
        &self,
        indices: &[usize],
        view: View,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let wanted = distinct(indices);
        if let Some(&index) = wanted.last().filter(|&&index| index >= self.info.frame_count) {
            let (path, frame_count) = (self.path.clone(), self.info.frame_count);
            return Err(ReadError::Clip(Error::IndexOutOfRange { path, index, frame_count }));
        }
        let mut frames = decoder(&self.path)?.into_frames().enumerate();
        for index in wanted {
            if self.stop.load(Ordering::Relaxed) {
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

/// How long each frame of an animation is shown, in milliseconds; `None` if the file ends within a frame.
fn frame_durations_ms(file: &mut (impl Read + Seek)) -> std::io::Result<Option<Vec<u32>>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut durations_ms = Vec::new();
    // After the name, size and form of the whole file.
    let mut place: u64 = 12;
    while place + 8 <= length {
        file.seek(SeekFrom::Start(place))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [name @ .., s0, s1, s2, s3] = header;
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        let end = place + 8 + u64::from(size);
        if &name == b"ANMF" {
            if end > length || size < 16 {
                return Ok(None);
            }
            let mut frame = [0; 16];
            file.read_exact(&mut frame)?;
            // After the frame's place and size come 24 bits of duration.
            durations_ms.push(u32::from_le_bytes([frame[12], frame[13], frame[14], 0]));
        }
        place = end + u64::from(size % 2);
    }
    Ok(Some(durations_ms))
}

fn decoder(path: &Path) -> Result<WebPDecoder<BufReader<File>>, Error> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    WebPDecoder::new(BufReader::new(file)).map_err(|source| bad(path, &source))
}

fn bad(path: &Path, source: &ImageError) -> Error {
    Error::BadImage { path: path.to_owned(), reason: source.to_string() }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn animation() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/anim.webp")
    }

    /// A damaged picture is found when it is decoded, which opening does not do.
    #[test]
    fn opening_decodes_nothing() {
        let mut bytes = std::fs::read(animation()).unwrap();
        let whole = frame_durations_ms(&mut Cursor::new(&bytes)).unwrap().unwrap();
        let last = bytes.windows(4).rposition(|four| four == b"ANMF").unwrap();
        // The last frame's own chunk begins 24 bytes on; its name and size stay.
        bytes[last + 32..].fill(0xff);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let clip = WebpClip::open(file.path(), &ClipOptions::default()).unwrap();
        assert_eq!(clip.info().frame_count, whole.len());
        let mut sink = |_| Ok::<(), std::convert::Infallible>(());
        clip.read(&[0], View::Native, &mut sink).unwrap();
        let read = clip.read(&[whole.len() - 1], View::Native, &mut sink);
        assert!(matches!(read, Err(ReadError::Clip(Error::BadImage { .. }))), "{read:?}");
        std::fs::write(file.path(), &bytes[..bytes.len() - 8]).unwrap();
        assert!(WebpClip::open(file.path(), &ClipOptions::default()).is_err());
    }

    #[test]
    fn durations_are_those_of_the_decoded_frames() {
        let decoded = decoder(&animation()).unwrap().into_frames().map(|frame| {
            let (numerator, denominator) = frame.unwrap().delay().numer_denom_ms();
            numerator / denominator
        });
        let mut file = File::open(animation()).unwrap();
        assert_eq!(frame_durations_ms(&mut file).unwrap().unwrap(), decoded.collect::<Vec<u32>>());
    }

    proptest! {
        #[test]
        fn noise_ends(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut bytes = noise;
            bytes.splice(..bytes.len().min(12), *b"RIFF\0\0\0\0WEBP");
            let _ = frame_durations_ms(&mut Cursor::new(&bytes)).unwrap();
        }
    }
}
