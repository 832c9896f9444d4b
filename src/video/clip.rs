//! An open clip: what it is, how many frames it has, and how they are best reached.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffmpeg_next::ffi;

use super::codec::Codec;
use super::error::{Error, Fault};
use super::ffmpeg::colour;
use super::ffmpeg::decoder::Decoder;
use super::ffmpeg::ffi::{Packet, Picture, was_stopped};
use super::ffmpeg::source::Source;
use super::file::check_file;
use super::index::entries::{CountSource, Index};
use super::index::extent;
use super::index::moments::frames_before;
use super::index::mp4;
use super::index::rate::{RateSource, StatedRate};
use super::index::trust;
use super::info::{Access, ClipInfo};
use super::options::ClipOptions;
use super::read::linear;

/// A video file, its frames counted. [`Clip::read`] gets them.
pub struct Clip {
    pub(super) path: PathBuf,
    pub(super) options: ClipOptions,
    pub(super) source: Source,
    /// Position in the index of the packet `source` gives next, where that is known.
    pub(super) position: Option<usize>,
    pub(super) index: Index,
    /// Frames the container speaks of; more than the index holds where the file is cut short.
    pub(super) promised: usize,
    pub(super) codec: Codec,
    /// Frames may be woven from fields.
    pub(super) interlaced: bool,
    /// Damage was met, of which several threads would make something else each time.
    pub(super) single_thread: bool,
    stated: StatedRate,
    pub(super) info: ClipInfo,
    pub(super) warnings: Vec<String>,
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
        let decoder = open_decoder(&source, path, options, 1)?.name();
        let (codec, container) = (source.codec(), source.container());
        let cut = extent::cut(path, &container, source.indexed_end());
        let simple = match cut.is_some() || options.linear {
            true => None,
            false => simple_index(path, &mut source, codec)?,
        };
        let position = simple.as_ref().map(|_| 1);
        let index = match simple {
            Some(index) => index,
            None => {
                // A first packet may be gone by now.
                source = Source::open(path, options.max_pixels, &options.stop)?;
                scan(path, &mut source, codec)?
            }
        };
        if index.presented.is_empty() {
            return Err(Error::NoFrames { path: path.to_owned() });
        }
        let promised = match cut.is_some() && container.starts_with("mov") {
            true => index.presented.len().max(source.sample_count()),
            false => index.presented.len(),
        };
        let orientation = source.orientation();
        let shown = orientation.size(width, height);
        let (pixel_format, color_space, color_range) = colour::names(source.colour());
        let info = ClipInfo {
            frame_count: index.presented.len(),
            lost_frames: promised - index.presented.len(),
            avg_fps: 0.0,
            width: shown.0,
            height: shown.1,
            orientation,
            container,
            codec: source.codec_name(),
            decoder,
            stream_index: source.stream_index(),
            count_source: index.source,
            rate_source: RateSource::Assumed,
            access: Access::Linear("".into()),
            start_secs: index.first_pts().map(|pts| source.time_base().secs(pts)),
            span_secs: None,
            pixel_format,
            color_space,
            color_range,
            sample_aspect: source.sample_aspect(),
        };
        let mut clip = Clip {
            path: path.to_owned(),
            options: options.clone(),
            position,
            promised,
            codec,
            interlaced: source.is_interlaced(),
            single_thread: false,
            stated: StatedRate::of(&source),
            source,
            index,
            info,
            warnings: Vec::new(),
        };
        if let Some(cut) = cut {
            clip.damaged(format!("the file is cut short: it has {} of {} bytes", cut.have_bytes, cut.want_bytes))?;
        }
        let ends_within_packet =
            clip.info.container == "mpegts" && extent::ends_within_packet(path, clip.source.stream_id());
        if ends_within_packet {
            clip.damaged("the file ends in the middle of a packet, and the last frame may be damaged".to_owned())?;
        }
        clip.single_thread = ends_within_packet;
        clip.info.access = clip.choose_access(cut.is_some() || ends_within_packet);
        clip.choose_rate(clip.index.span());
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

    /// Number of frames that appear before `secs`: by presentation time where every frame has one, otherwise by the
    /// average rate.
    pub fn frames_before(&self, secs: f64) -> usize {
        // An index that does not have the frames that were decoded tells nothing of them.
        let is_known = self.index.presented.len() == self.info.frame_count;
        let counted = is_known.then(|| frames_before(&self.index, self.source.time_base(), secs)).flatten();
        counted.unwrap_or_else(|| self.info.frames_before(secs))
    }

    /// Notes damage: an error if the caller is strict, else a warning.
    pub(super) fn damaged(&mut self, what: String) -> Result<(), Error> {
        if self.options.strict {
            return Err(Error::Damaged { path: self.path.clone(), what });
        }
        self.warnings.push(what);
        Ok(())
    }

    /// The shortest way to frames that can be verified.
    fn choose_access(&self, is_cut: bool) -> Access {
        if !self.codec.starts_midway() {
            return Access::Linear("this codec is only decoded from the start".into());
        }
        if self.options.linear {
            return Access::Linear("asked for".into());
        }
        if is_cut {
            return Access::Linear("the file is damaged".into());
        }
        let seeks = ["mov", "matroska"].iter().any(|name| self.info.container.starts_with(name));
        if matches!(self.codec, Codec::H264(_)) && self.interlaced && !seeks {
            return Access::Linear("fields may come in packets of their own".into());
        }
        let reorder_frames = self.source.reorder_frames();
        match trust::objection(&self.index, reorder_frames) {
            Some(reason) => Access::Linear(reason.into()),
            None if seeks => Access::Seek,
            None => Access::Skip,
        }
    }

    /// Replaces the container's own index, which turned out wrong, by that of the packets.
    pub(super) fn index_packets(&mut self) -> Result<(), Error> {
        self.reopen()?;
        self.index = scan(&self.path, &mut self.source, self.codec)?;
        self.position = None;
        if self.index.presented.is_empty() {
            return Err(Error::NoFrames { path: self.path.clone() });
        }
        self.promised = self.index.presented.len();
        self.info.frame_count = self.promised;
        self.info.count_source = CountSource::Packets;
        self.info.access = self.choose_access(false);
        self.choose_rate(self.index.span());
        Ok(())
    }

    /// Goes back to the start of the file, with nothing left of what was read.
    pub(super) fn reopen(&mut self) -> Result<(), Error> {
        self.source = Source::open(&self.path, self.options.max_pixels, &self.options.stop)?;
        self.position = Some(0);
        Ok(())
    }

    /// A decoder with `threads` threads of its own.
    pub(super) fn decoder(&self, threads: usize) -> Result<Decoder, Error> {
        open_decoder(&self.source, &self.path, &self.options, threads)
    }

    /// Works out the rate from the number of frames and the span of their time stamps in stream units.
    pub(super) fn choose_rate(&mut self, span: Option<i64>) {
        let had = self.info.rate_source;
        let span_secs = span.map(|span| self.source.time_base().secs(span));
        let (rate, source) = self.stated.choose(self.info.frame_count, span_secs);
        (self.info.avg_fps, self.info.rate_source) = (rate, source);
        self.info.span_secs = span_secs;
        if let (RateSource::Span, Some(stated)) = (source, self.stated.stated())
            && had != RateSource::Span
        {
            self.warnings.push(format!(
                "the stated rate of {stated:.3} frames per second contradicts the timestamps; using {rate:.3}"
            ));
        }
    }
}

/// The container's own index, if it is there and its first entry proves right.
fn simple_index(path: &Path, source: &mut Source, codec: Codec) -> Result<Option<Index>, Error> {
    let Some(mut index) = mp4::container_index(path, source) else {
        return Ok(None);
    };
    let mut packet = Packet::new().map_err(|fault| fault.at(path, "reading"))?;
    // Hidden frames can only be told from packets.
    if codec.has_hidden_packets() || !matches!(source.read(&mut packet), Ok(true)) {
        return Ok(None);
    }
    let first = index.entries.first().map(|first| first.size as usize);
    let is_right = first == Some(packet.data().len()) && packet.pts().is_some_and(|pts| index.shift(pts));
    Ok(is_right.then_some(index))
}

/// The index of the packets from where `source` stands to the end.
fn scan(path: &Path, source: &mut Source, codec: Codec) -> Result<Index, Error> {
    let mut packet = Packet::new().map_err(|fault| fault.at(path, "reading"))?;
    Index::scan(source, &mut packet, codec).ok_or_else(|| Error::Interrupted { path: path.to_owned() })
}

/// A decoder for the chosen stream, with errors for people.
fn open_decoder(source: &Source, path: &Path, options: &ClipOptions, threads: usize) -> Result<Decoder, Error> {
    source.decoder(threads, options.max_pixels).map_err(|fault| match fault {
        Fault(ffi::AVERROR_DECODER_NOT_FOUND) => {
            Error::DecoderMissing { path: path.to_owned(), codec: source.codec_name() }
        }
        fault => fault.at(path, "opening the decoder"),
    })
}

/// The stored size of the stream's frames in pixels, within the limit.
fn frame_size(source: &Source, path: &Path, options: &ClipOptions) -> Result<(u32, u32), Error> {
    let (width, height) = match source.size() {
        (0, _) | (_, 0) => first_picture_size(path, options)?,
        size => size,
    };
    if u64::from(width) * u64::from(height) > options.max_pixels {
        return Err(Error::FrameTooLarge { path: path.to_owned(), width, height, max_pixels: options.max_pixels });
    }
    Ok((width, height))
}

/// The size of the first picture that can be decoded, where nothing before it says.
fn first_picture_size(path: &Path, options: &ClipOptions) -> Result<(u32, u32), Error> {
    let mut source = Source::open(path, options.max_pixels, &options.stop)?;
    let mut decoder = open_decoder(&source, path, options, 1)?;
    let stop = Arc::clone(&options.stop);
    let keep_going = || match was_stopped(&stop) {
        true => ControlFlow::Break(Err(Error::Interrupted { path: path.to_owned() })),
        false => ControlFlow::Continue(()),
    };
    let mut visit =
        |_: usize, picture: &Picture| match (u32::try_from(picture.width()), u32::try_from(picture.height())) {
            (Ok(width @ 1..), Ok(height @ 1..)) => ControlFlow::Break(Ok((width, height))),
            _ => ControlFlow::Continue(()),
        };
    match linear::decode(&mut source, &mut decoder, false, &keep_going, &mut visit) {
        Ok(ControlFlow::Break(size)) => size,
        Ok(ControlFlow::Continue(_)) => Err(Error::NoFrames { path: path.to_owned() }),
        Err(fault) => Err(fault.at(path, "decoding")),
    }
}
