//! A directory of pictures as a clip, or a single picture as a clip of one frame.
//!
//! Frame k is the k-th file in natural order (`frame2.png` before `frame10.png`). Pictures keep their own sizes.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use image::{DynamicImage, ImageError, ImageReader, Limits};

use crate::video::error::{Error, ReadError};
use crate::video::frame::Frame;
use crate::video::index::entries::CountSource;
use crate::video::index::rate::RateSource;
use crate::video::info::{Access, ClipInfo, DIRECTORY, SINGLE_IMAGE};
use crate::video::names::{is_hidden, is_picture, is_video};
use crate::video::options::ClipOptions;
use crate::video::sample::distinct;
use crate::video::view::View;

/// Pictures in order.
#[derive(Debug)]
pub struct ImageClip {
    files: Vec<PathBuf>,
    max_pixels: u64,
    stop: Arc<AtomicBool>,
    info: ClipInfo,
    warnings: Vec<String>,
}

impl ImageClip {
    /// Lists the pictures of a directory. What else lies in it is left out with a warning, but videos are refused: the
    /// directory may as well be a collection of them.
    ///
    /// # Errors
    /// [`Error::VideosInDirectory`], [`Error::NoImages`] if there are no pictures, [`Error::Io`] or [`Error::BadImage`]
    /// if it or the first cannot be read.
    pub fn open_directory(path: &Path, options: &ClipOptions) -> Result<Self, Error> {
        let read = || {
            let entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
            Ok(entries.into_iter().map(|entry| entry.path()).filter(|file| !is_hidden(file)).collect())
        };
        let files: Vec<PathBuf> = read().map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let (mut pictures, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| is_picture(file) && file.is_file());
        let videos = others.iter().filter(|file| is_video(file) && file.is_file());
        if let Some(video) = videos.clone().min() {
            let name = video.file_name().unwrap_or_default().to_owned();
            let (videos, pictures) = (videos.count(), pictures.len());
            return Err(Error::VideosInDirectory { path: path.to_owned(), videos, name, pictures });
        }
        if pictures.is_empty() {
            return Err(Error::NoImages { path: path.to_owned() });
        }
        alphanumeric_sort::sort_path_slice(&mut pictures);
        let mut clip = Self::new(pictures, DIRECTORY, options)?;
        clip.warnings.extend(match others.as_slice() {
            [] => None,
            [other] => Some(format!("`{}` is not a picture and is left out", name_of(other))),
            [other, ..] => {
                let (count, name) = (others.len(), name_of(other));
                Some(format!("{count} entries, `{name}` among them, are not pictures and are left out"))
            }
        });
        Ok(clip)
    }

    /// Takes one picture for a clip of one frame.
    ///
    /// # Errors
    /// [`Error::BadImage`] if it cannot be read.
    pub fn open_file(path: &Path, options: &ClipOptions) -> Result<Self, Error> {
        Self::new(vec![path.to_owned()], SINGLE_IMAGE, options)
    }

    fn new(files: Vec<PathBuf>, container: &str, options: &ClipOptions) -> Result<Self, Error> {
        let info = ClipInfo::unknown();
        let mut clip =
            Self { files, max_pixels: options.max_pixels, stop: Arc::clone(&options.stop), info, warnings: Vec::new() };
        let reader = clip.reader(0)?;
        let format = reader.format();
        let (width, height) = reader.into_dimensions().map_err(|source| clip.bad(0, &source))?;
        clip.check_size(0, width, height)?;
        let name = format.and_then(|format| format.extensions_str().first().copied()).unwrap_or_default();
        clip.info = ClipInfo {
            frame_count: clip.files.len(),
            avg_fps: options.image_fps,
            width,
            height,
            container: container.to_owned(),
            codec: name.to_owned(),
            decoder: name.to_owned(),
            count_source: CountSource::Files,
            rate_source: RateSource::Asked,
            access: Access::Files,
            pixel_format: "rgb24".to_owned(),
            ..ClipInfo::unknown()
        };
        Ok(clip)
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// As [`crate::video::Clip::take_warnings`].
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// As [`crate::video::Clip::frames_before`].
    pub fn frames_before(&self, secs: f64) -> usize {
        self.info.frames_before(secs)
    }

    /// As [`crate::video::Clip::read`].
    ///
    /// # Errors
    /// As [`crate::video::Clip::read`], and [`Error::BadImage`] for a picture that cannot be read.
    pub fn read<E>(
        &mut self,
        indices: &[usize],
        view: View,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        for index in distinct(indices) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(ReadError::Clip(Error::Interrupted { path: self.files[0].clone() }));
            }
            sink(view.of(self.frame(index)?)).map_err(ReadError::Sink)?;
        }
        Ok(())
    }

    fn frame(&mut self, index: usize) -> Result<Frame, Error> {
        if index >= self.files.len() {
            let (path, frame_count) = (self.files[0].clone(), self.files.len());
            return Err(Error::IndexOutOfRange { path, index, frame_count });
        }
        let picture = self.reader(index)?.decode().map_err(|source| self.bad(index, &source))?;
        let (width, height) = (picture.width(), picture.height());
        self.check_size(index, width, height)?;
        if matches!(picture, DynamicImage::ImageLuma16(_)) {
            let which =
                if self.info.is_picture() { "it".to_owned() } else { format!("`{}`", name_of(&self.files[index])) };
            self.warnings
                .push(format!("{which} is 16-bit grey; as in the reference, every value above 255 becomes white"));
        }
        Ok(Frame { index, pts_secs: None, width, height, rgb: to_rgb(picture) })
    }

    fn reader(&self, index: usize) -> Result<ImageReader<BufReader<File>>, Error> {
        let path = &self.files[index];
        let open = || ImageReader::open(path)?.with_guessed_format();
        let mut reader = open().map_err(|source| Error::Io { path: path.clone(), source })?;
        let side = u32::try_from(self.max_pixels).unwrap_or(u32::MAX);
        let mut limits = Limits::default();
        limits.max_image_width = Some(side);
        limits.max_image_height = Some(side);
        reader.limits(limits);
        Ok(reader)
    }

    fn bad(&self, index: usize, source: &ImageError) -> Error {
        Error::BadImage { path: self.files[index].clone(), reason: source.to_string() }
    }

    fn check_size(&self, index: usize, width: u32, height: u32) -> Result<(), Error> {
        let (path, max_pixels) = (self.files[index].clone(), self.max_pixels);
        match u64::from(width) * u64::from(height) {
            0 => Err(Error::BadImage { path, reason: "it has no pixels".to_owned() }),
            pixels if pixels > max_pixels => Err(Error::FrameTooLarge { path, width, height, max_pixels }),
            _ => Ok(()),
        }
    }
}

/// Packed RGB24 as Pillow's `convert("RGB")` makes it: alpha is dropped, of 16 bits the upper eight are taken, but
/// 16-bit grey is cut off at 255. Orientation in EXIF is not looked at.
fn to_rgb(picture: DynamicImage) -> Vec<u8> {
    let upper = |value: u16| (value >> 8) as u8;
    match picture {
        DynamicImage::ImageLuma16(grey) => grey.iter().flat_map(|&value| [value.min(255) as u8; 3]).collect(),
        DynamicImage::ImageLumaA16(grey) => grey.pixels().flat_map(|pixel| [upper(pixel.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(rgb) => rgb.iter().copied().map(upper).collect(),
        DynamicImage::ImageRgba16(rgba) => rgba.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]].map(upper)).collect(),
        other => other.into_rgb8().into_raw(),
    }
}

fn name_of(path: &Path) -> std::path::Display<'_> {
    Path::new(path.file_name().unwrap_or_default()).display()
}

/// Whether a file begins like a picture that can be read here.
pub(crate) fn can_read(path: &Path) -> bool {
    let guessed = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    guessed.is_ok_and(|reader| reader.format().is_some_and(|format| format.reading_enabled()))
}
