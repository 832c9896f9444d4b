//! An open stream whose frames are counted: how far it is read, and what is known of it.

use std::path::{Path, PathBuf};

use ffmpeg_next::ffi;

use crate::video::codec::Codec;
use crate::video::error::{Error, Fault};
use crate::video::ffmpeg::convert::Converter;
use crate::video::ffmpeg::decoder::Decoder;
use crate::video::ffmpeg::source::Source;
use crate::video::index::entries::{CountSource, Index};
use crate::video::index::rate::{RateSource, StatedRate};
use crate::video::info::ClipInfo;
use crate::video::options::ClipOptions;

/// The chosen stream of a file, with all that reading it needs and finds out.
pub(crate) struct IndexedStream {
    pub(crate) path: PathBuf,
    pub(crate) options: ClipOptions,
    pub(crate) source: Source,
    /// Position in the index of the packet `source` gives next, where that is known.
    pub(crate) position: Option<usize>,
    /// A read was interrupted, and `source` may have stopped anywhere.
    pub(crate) is_spoiled: bool,
    pub(crate) index: Index,
    /// Frames the container speaks of; more than the index holds where the file is cut short.
    pub(crate) promised: usize,
    pub(crate) codec: Codec,
    /// Frames may be woven from fields.
    pub(crate) interlaced: bool,
    /// The file ends before its container does.
    pub(crate) is_cut: bool,
    /// Damage was met, of which several threads would make something else each time.
    pub(crate) single_thread: bool,
    pub(crate) stated: StatedRate,
    pub(crate) info: ClipInfo,
    pub(crate) warnings: Vec<String>,
}

impl IndexedStream {
    /// Notes damage: an error if the caller is strict, else a warning.
    pub(crate) fn damaged(&mut self, what: String) -> Result<(), Error> {
        if self.options.strict {
            return Err(Error::Damaged { path: self.path.clone(), what });
        }
        self.warnings.push(what);
        Ok(())
    }

    /// Replaces the container's own index, which turned out wrong, by that of the packets.
    pub(super) fn index_packets(&mut self) -> Result<(), Error> {
        self.reopen()?;
        self.position = None;
        self.index = Index::scan(&mut self.source, &self.path, self.codec)?;
        if self.index.presented.is_empty() {
            return Err(Error::NoFrames { path: self.path.clone() });
        }
        self.promised = self.index.presented.len();
        self.info.frame_count = self.promised;
        self.info.count_source = CountSource::Packets;
        self.choose_rate(self.index.span());
        Ok(())
    }

    /// Goes back to the start of the file, with nothing left of what was read.
    pub(super) fn reopen(&mut self) -> Result<(), Error> {
        self.source = Source::open(&self.path, self.options.max_pixels, &self.options.stop)?;
        self.position = Some(0);
        self.is_spoiled = false;
        Ok(())
    }

    /// A decoder with `threads` threads of its own.
    pub(super) fn decoder(&self, threads: usize) -> Result<Decoder, Error> {
        open_decoder(&self.source, &self.path, &self.options, threads)
    }

    /// A converter to frames as they are shown.
    pub(super) fn converter(&self) -> Converter {
        Converter::new(self.info.orientation, (self.info.width, self.info.height))
    }

    /// The error of a reader that was asked to stop.
    pub(super) fn interrupted(&self) -> Error {
        Error::Interrupted { path: self.path.clone() }
    }

    /// Works out the rate from the number of frames and the span of their time stamps in stream units.
    pub(crate) fn choose_rate(&mut self, span: Option<i64>) {
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

/// A decoder for the chosen stream, with errors for people.
pub(crate) fn open_decoder(
    source: &Source,
    path: &Path,
    options: &ClipOptions,
    threads: usize,
) -> Result<Decoder, Error> {
    source.decoder(threads, options.max_pixels).map_err(|fault| match fault {
        Fault(ffi::AVERROR_DECODER_NOT_FOUND) => {
            Error::DecoderMissing { path: path.to_owned(), codec: source.codec_name() }
        }
        fault => fault.at(path, "opening the decoder"),
    })
}
