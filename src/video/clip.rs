//! An open clip: what it is, how many frames it has, and how they are best reached.

use std::ops::ControlFlow;
use std::path::Path;

use super::codec::Codec;
use super::error::{Error, ReadError};
use super::ffmpeg::colour;
use super::ffmpeg::ffi::{Packet, Picture};
use super::ffmpeg::source::Source;
use super::file::check_file;
use super::frame::Frame;
use super::index::entries::Index;
use super::index::extent;
use super::index::moments::frames_before;
use super::index::mp4;
use super::index::rate::StatedRate;
use super::info::ClipInfo;
use super::options::ClipOptions;
use super::read::ladder::Way;
use super::read::linear::{self, Decoded};
use super::read::stream::{IndexedStream, open_decoder};
use super::sample::distinct;
use super::view::View;

/// A video file, its frames counted. [`Clip::read`] gets them.
pub struct Clip {
    stream: IndexedStream,
    way: Way,
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
                Index::scan(&mut source, path, codec)?
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
            width: shown.0,
            height: shown.1,
            orientation,
            container,
            codec: source.codec_name(),
            decoder,
            stream_index: source.stream_index(),
            count_source: index.source,
            start_secs: index.first_pts().map(|pts| source.time_base().secs(pts)),
            pixel_format,
            color_space,
            color_range,
            sample_aspect: source.sample_aspect(),
            ..ClipInfo::unknown()
        };
        let mut stream = IndexedStream {
            path: path.to_owned(),
            options: options.clone(),
            position,
            is_spoiled: false,
            promised,
            codec,
            interlaced: source.is_interlaced(),
            is_cut: cut.is_some(),
            single_thread: false,
            stated: StatedRate::of(&source),
            source,
            index,
            info,
            warnings: Vec::new(),
        };
        if let Some(cut) = cut {
            stream.damaged(format!("the file is cut short: it has {} of {} bytes", cut.have_bytes, cut.want_bytes))?;
        }
        if stream.info.container == "mpegts" && extent::ends_within_packet(path, stream.source.stream_id()) {
            stream.damaged("the file ends in the middle of a packet, and the last frame may be damaged".to_owned())?;
            (stream.is_cut, stream.single_thread) = (true, true);
        }
        let way = Way::shortest(&stream);
        stream.info.access = way.access();
        stream.choose_rate(stream.index.span());
        Ok(Clip { stream, way })
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.stream.info
    }

    /// Warnings since the last call, one sentence each.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.stream.warnings)
    }

    /// Number of frames that appear before `secs`: by presentation time where every frame has one, otherwise by the
    /// average rate.
    pub fn frames_before(&self, secs: f64) -> usize {
        let IndexedStream { index, source, info, .. } = &self.stream;
        // An index that does not have the frames that were decoded tells nothing of them.
        let is_known = index.presented.len() == info.frame_count;
        let counted = is_known.then(|| frames_before(index, source.time_base(), secs)).flatten();
        counted.unwrap_or_else(|| info.frames_before(secs))
    }

    /// Reads the frames at `indices` as `view` says, and gives each distinct one to `sink` once, in ascending order, on
    /// this thread. Raising [`ClipOptions::stop`] ends the call with [`Error::Interrupted`].
    ///
    /// # Errors
    /// [`ReadError::Sink`] as soon as `sink` fails. [`Error::Recounted`] if decoding shows another number of frames
    /// than [`Clip::info`] said, or that frames given to `sink` may be others than asked for: drop them, plan again
    /// from the new `info`, and read again. [`Error::NoFrames`] if nothing can be decoded.
    pub fn read<E>(
        &mut self,
        indices: &[usize],
        view: View,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let Clip { stream, way } = self;
        let targets = distinct(indices);
        let frame_count = stream.info.frame_count;
        if let Some(&index) = targets.last().filter(|&&index| index >= frame_count) {
            return Err(ReadError::Clip(Error::IndexOutOfRange { path: stream.path.clone(), index, frame_count }));
        }
        let result = way.read(stream, &targets, view, sink);
        stream.info.access = way.access();
        result
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
    let mut visit =
        |_: usize, picture: &Picture| match (u32::try_from(picture.width()), u32::try_from(picture.height())) {
            (Ok(width @ 1..), Ok(height @ 1..)) => ControlFlow::Break((width, height)),
            _ => ControlFlow::Continue(()),
        };
    match linear::decode(&mut source, &mut decoder, false, &mut visit) {
        Ok(Decoded::Part(size)) => Ok(size),
        Ok(Decoded::Whole(_) | Decoded::Damaged) => Err(Error::NoFrames { path: path.to_owned() }),
        Ok(Decoded::Stopped) => Err(Error::Interrupted { path: path.to_owned() }),
        Err(fault) => Err(fault.at(path, "decoding")),
    }
}
