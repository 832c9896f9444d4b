//! An open clip: what it is, and its frames on demand.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ffmpeg_next::ffi;

use super::convert::Converter;
use super::decoder::Decoder;
use super::error::{Error, Fault, ReadError};
use super::ffi::{Packet, Picture};
use super::index::{CountSource, Index};
use super::info::{Access, ClipInfo, colour};
use super::linear::{self, Outcome};
use super::rate::{RateSource, StatedRate};
use super::source::Source;
use super::{Frame, damage};

/// Pixels a frame may have unless the caller says otherwise: 8192 x 8192.
const MAX_PIXELS: u64 = 1 << 26;

/// How a clip is read.
#[derive(Debug, Clone)]
pub struct ClipOptions {
    /// Damage is an error; otherwise what can be decoded is used, with a warning.
    pub strict: bool,
    /// The most pixels a frame may have.
    pub max_pixels: u64,
    /// Always decode from the first frame to the last: slower, for comparison.
    pub linear: bool,
    /// Threads to decode with; 0 takes as many as there are cores.
    pub threads: usize,
    /// Set by the caller, from any thread, to stop whatever is going on.
    pub stop: Arc<AtomicBool>,
}

impl Default for ClipOptions {
    fn default() -> ClipOptions {
        ClipOptions { strict: false, max_pixels: MAX_PIXELS, linear: false, threads: 0, stop: Arc::default() }
    }
}

impl ClipOptions {
    /// The number of threads to decode with.
    pub(super) fn thread_count(&self) -> usize {
        match self.threads {
            // More than eight frame threads cost memory and no longer help.
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8)),
            threads => threads.min(16),
        }
    }
}

/// A video file, its frames counted.
pub struct Clip {
    path: PathBuf,
    options: ClipOptions,
    source: Source,
    /// Nothing was read from `source` yet.
    fresh: bool,
    index: Index,
    /// Frames the container speaks of; more than the index holds where the file is cut short.
    promised: usize,
    stated: StatedRate,
    info: ClipInfo,
    warnings: Vec<String>,
}

/// Refuses what cannot be a clip, before FFmpeg sees it; returns the file's length in bytes.
pub(super) fn check_file(path: &Path) -> Result<u64, Error> {
    let path = || path.to_owned();
    let metadata = match std::fs::metadata(path()) {
        Ok(metadata) => metadata,
        Err(_) if is_url(&path()) => return Err(Error::Url { path: path() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { path: path() });
        }
        Err(source) => {
            return Err(Error::Io { path: path(), source });
        }
    };
    if metadata.is_dir() {
        return Err(Error::Directory { path: path() });
    }
    if !metadata.is_file() {
        return Err(Error::NotRegular { path: path() });
    }
    if metadata.len() == 0 {
        return Err(Error::EmptyFile { path: path() });
    }
    // FFmpeg's own words for a refusal are poorer than the system's.
    match std::fs::File::open(path()) {
        Ok(_) => Ok(metadata.len()),
        Err(source) => Err(Error::Io { path: path(), source }),
    }
}

/// True for `scheme://...`.
fn is_url(path: &Path) -> bool {
    let Some((scheme, _)) = path.to_str().and_then(|path| path.split_once("://")) else {
        return false;
    };
    scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+.-".contains(letter))
}

impl Clip {
    /// Opens a local video file: finds the stream, counts its presented frames and works out its rate.
    ///
    /// # Errors
    /// Any [`Error`] but `Recounted` and `IndexOutOfRange`. That no frame can be decoded may only turn out when
    /// frames are read.
    pub fn open(path: &Path, options: &ClipOptions) -> Result<Clip, Error> {
        check_file(path)?;
        let mut source = Source::open(path, options.max_pixels, &options.stop)?;
        // The size first: a decoder refuses one over the limit in words of its own.
        let (width, height) = frame_size(&source, path, options)?;
        let decoder = open_decoder(&source, path, options, 1)?;
        let codec = source.codec();
        let mut packet = Packet::new().map_err(|fault| fault.at(path, "reading"))?;
        let index = Index::scan(&mut source, &mut packet, &codec)
            .ok_or_else(|| Error::Interrupted { path: path.to_owned() })?;
        if index.presented.is_empty() {
            return Err(Error::NoFrames { path: path.to_owned() });
        }
        let orientation = source.orientation();
        let shown = orientation.size(width, height);
        let (pixel_format, color_space, color_range) = colour(&source);
        let aspect = source.parameters().sample_aspect_ratio;
        let first_pts = index.entries[index.presented[0] as usize].pts;
        let info = ClipInfo {
            frame_count: index.presented.len(),
            avg_fps: 0.0,
            width: shown.0,
            height: shown.1,
            orientation,
            container: source.container(),
            codec,
            decoder: decoder.name(),
            stream_index: source.stream_index(),
            count_source: index.source,
            rate_source: RateSource::Assumed,
            access: Access::Linear("not yet".into()),
            start_secs: first_pts.map(|pts| source.seconds(pts)),
            pixel_format,
            color_space,
            color_range,
            sample_aspect: (aspect.num, aspect.den),
        };
        let span_secs = index.span().map(|span| source.seconds(span));
        let mut clip = Clip {
            path: path.to_owned(),
            options: options.clone(),
            stated: source.stated_rate(),
            source,
            fresh: false,
            promised: index.presented.len(),
            index,
            info,
            warnings: Vec::new(),
        };
        clip.choose_rate(span_secs);
        Ok(clip)
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// Warnings since the last call, one sentence each.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Reads the frames at `indices`, and gives each distinct one to `sink` once, in ascending order.
    ///
    /// `keep_going` is asked often, always on this thread; false ends the call with [`Error::Interrupted`].
    ///
    /// # Errors
    /// [`ReadError::Sink`] as soon as `sink` fails. [`Error::Recounted`] if decoding shows another number of frames
    /// than [`Clip::info`] said, or that frames given to `sink` may be others than asked for: drop them, plan again
    /// from the new `info`, and read again. [`Error::NoFrames`] if nothing can be decoded.
    pub fn read<E>(
        &mut self,
        indices: &[usize],
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let mut targets = indices.to_vec();
        targets.sort_unstable();
        targets.dedup();
        if let Some(&index) = targets.last()
            && index >= self.info.frame_count
        {
            return Err(ReadError::Clip(Error::IndexOutOfRange {
                path: self.path.clone(),
                index,
                frame_count: self.info.frame_count,
            }));
        }
        self.read_linear(&targets, keep_going, sink)
    }

    fn read_linear<E>(
        &mut self,
        targets: &[usize],
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        if !self.fresh {
            self.source = Source::open(&self.path, self.options.max_pixels, &self.options.stop)?;
        }
        self.fresh = false;
        let mut decoder = open_decoder(&self.source, &self.path, &self.options, self.options.thread_count())?;
        let mut converter = Converter::new(self.info.orientation, (self.info.width, self.info.height));
        let mut wanted = targets.iter().copied().peekable();
        // A count that is known to be right needs no decoding past the last target.
        let until_end = self.info.count_source != CountSource::Decoded;
        let (path, info) = (&self.path, &self.info);
        let base = self.source.stream().time_base;
        let stop = Arc::clone(&self.options.stop);
        let go_on = || match keep_going() && !super::ffi::was_stopped(&stop) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(Some(ReadError::Clip(Error::Interrupted { path: path.clone() }))),
        };
        let mut visit = |number: usize, picture: &Picture| {
            if wanted.next_if_eq(&number).is_some() {
                let frame = to_frame(number, picture, &mut converter, base, info)
                    .map_err(|fault| fault.at(path, "converting to RGB"));
                match frame.map(&mut *sink) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return ControlFlow::Break(Some(ReadError::Sink(error))),
                    Err(error) => return ControlFlow::Break(Some(ReadError::Clip(error))),
                }
            }
            match wanted.peek().is_none() && !until_end {
                true => ControlFlow::Break(None),
                false => ControlFlow::Continue(()),
            }
        };
        let outcome = linear::decode(&mut self.source, &mut decoder, &go_on, &mut visit);
        match outcome.map_err(|fault| fault.at(&self.path, "decoding"))? {
            ControlFlow::Continue(outcome) => Ok(self.settle(&outcome)?),
            ControlFlow::Break(None) => Ok(()),
            ControlFlow::Break(Some(error)) => Err(error),
        }
    }

    /// Takes over what a decode of the whole clip found.
    fn settle(&mut self, outcome: &Outcome) -> Result<(), Error> {
        if super::ffi::was_stopped(&self.options.stop) {
            return Err(Error::Interrupted { path: self.path.clone() });
        }
        if outcome.frame_count == 0 {
            return Err(Error::NoFrames { path: self.path.clone() });
        }
        let first_time = self.info.count_source != CountSource::Decoded;
        if first_time {
            let report = damage::report(&self.index, self.promised, outcome);
            if self.options.strict && !report.is_empty() {
                return Err(Error::Damaged { path: self.path.clone(), what: report.join("; ") });
            }
            self.warnings.extend(report);
        }
        let was = std::mem::replace(&mut self.info.frame_count, outcome.frame_count);
        self.info.count_source = CountSource::Decoded;
        if was == outcome.frame_count {
            return Ok(());
        }
        let span = match (outcome.times.iter().min(), outcome.times.iter().max()) {
            (Some(first), Some(last)) if outcome.times.len() >= 2 => {
                Some(last.saturating_sub(*first).saturating_add(outcome.last_duration))
            }
            _ => None,
        };
        self.choose_rate(span.map(|span| self.source.seconds(span)));
        Err(Error::Recounted { frame_count: outcome.frame_count })
    }

    /// Works out the rate from the number of frames and the span of their time stamps.
    fn choose_rate(&mut self, span_secs: Option<f64>) {
        let had = self.info.rate_source;
        let (rate, source) = self.stated.choose(self.info.frame_count, span_secs);
        (self.info.avg_fps, self.info.rate_source) = (rate, source);
        if let (RateSource::Span, Some(stated)) = (source, self.stated.stated())
            && had != RateSource::Span
        {
            self.warnings.push(format!(
                "the stated rate of {stated:.3} frames per second contradicts the time stamps, using {rate:.3}"
            ));
        }
    }
}

/// A decoder for the chosen stream, with errors for people.
fn open_decoder(source: &Source, path: &Path, options: &ClipOptions, threads: usize) -> Result<Decoder, Error> {
    Decoder::open(source, threads, options.max_pixels).map_err(|fault| match fault {
        Fault(ffi::AVERROR_DECODER_NOT_FOUND) => Error::DecoderMissing { path: path.to_owned(), codec: source.codec() },
        fault => fault.at(path, "opening the decoder"),
    })
}

/// The stored size of the stream's frames in pixels, within the limit.
fn frame_size(source: &Source, path: &Path, options: &ClipOptions) -> Result<(u32, u32), Error> {
    let parameters = source.parameters();
    let (width, height) = (u32::try_from(parameters.width).unwrap_or(0), u32::try_from(parameters.height).unwrap_or(0));
    if u64::from(width) * u64::from(height) > options.max_pixels {
        return Err(Error::FrameTooLarge { path: path.to_owned(), width, height, max_pixels: options.max_pixels });
    }
    if width == 0 || height == 0 {
        return Err(Error::NoFrames { path: path.to_owned() });
    }
    Ok((width, height))
}

/// A decoded picture as the frame with number `index`.
pub(super) fn to_frame(
    index: usize,
    picture: &Picture,
    converter: &mut Converter,
    base: ffi::AVRational,
    info: &ClipInfo,
) -> Result<Frame, Fault> {
    let seconds = |stamp: i64| stamp as f64 * f64::from(base.num) / f64::from(base.den.max(1));
    Ok(Frame {
        index,
        pts_secs: picture.best_time().map(seconds),
        width: info.width,
        height: info.height,
        rgb: converter.rgb(picture)?,
    })
}
