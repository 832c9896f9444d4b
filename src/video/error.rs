//! What can go wrong between a path and its frames, in words for the person who typed the path.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::size::counted;

/// A clip that cannot be used, or not as asked.
///
/// Messages name the file and the cause in one line, lower case, without a final period. [`Error::hint`] adds
/// what to do about it where something helps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing at the path.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error("{}: is a directory, not a video", path.display())]
    Directory {
        /// The path as given.
        path: PathBuf,
    },
    /// The path is a pipe, a socket or a device, which cannot be read twice.
    #[error("{}: is not a regular file", path.display())]
    NotRegular {
        /// The path as given.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{}: the file is empty", path.display())]
    EmptyFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The path is a URL; only local files are opened.
    #[error("{}: is a URL; only local files are read", path.display())]
    Url {
        /// The path as given.
        path: PathBuf,
    },
    /// The operating system refuses the file.
    #[error("{}: cannot read the file", path.display())]
    Io {
        /// The path as given.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// No allowed demuxer recognises the file, or its header is unusable.
    #[error("{}: not a video or picture that can be read ({reason})", path.display())]
    NotVideo {
        /// The path as given.
        path: PathBuf,
        /// FFmpeg's own words, or ours.
        reason: String,
    },
    /// The container is fine and holds no moving picture.
    #[error("{}: has no video stream{}", path.display(), if *cover_art { ", only cover art" } else { "" })]
    NoVideoStream {
        /// The path as given.
        path: PathBuf,
        /// True where the only pictures are attached ones.
        cover_art: bool,
    },
    /// There is a video stream, and not one frame of it can be decoded.
    #[error("{}: no frame of the video can be decoded", path.display())]
    NoFrames {
        /// The path as given.
        path: PathBuf,
    },
    /// This build of FFmpeg has no decoder for the codec.
    #[error("{}: this FFmpeg has no decoder for {codec}", path.display())]
    DecoderMissing {
        /// The path as given.
        path: PathBuf,
        /// FFmpeg's name of the codec.
        codec: String,
    },
    /// Frames are larger than the caller allows.
    #[error("{}: frames of {width}x{height} are over the limit of {max_pixels} pixels", path.display())]
    FrameTooLarge {
        /// The path as given.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit, in pixels a frame.
        max_pixels: u64,
    },
    /// The caller asked to stop.
    #[error("{}: reading was interrupted", path.display())]
    Interrupted {
        /// The path as given.
        path: PathBuf,
    },
    /// The clip is damaged and [`ClipOptions::strict`](super::ClipOptions::strict) is set.
    #[error("{}: the clip is damaged: {what}", path.display())]
    Damaged {
        /// The path as given.
        path: PathBuf,
        /// What is lost.
        what: String,
    },
    /// The frames handed out so far are void: decoding showed that the index was wrong.
    ///
    /// [`Clip::info`](super::Clip::info) is up to date; plan again from it and read again. Each time
    /// a slower and surer way is taken, so that this ends; a decode of everything is the last.
    #[error("the clip turned out to have {frame_count} frames, plan and read it again")]
    Recounted {
        /// The number of presented frames, as decoded.
        frame_count: usize,
    },
    /// The process that reads clips cannot be started; no clip is at fault.
    #[error("cannot start `{}`, which reads the video in a process of its own", program.display())]
    Launch {
        /// The program that was to be started.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The process that reads the clip died or broke the rules.
    #[error("{}: the process that reads it failed: {reason}", path.display())]
    Child {
        /// The path as given.
        path: PathBuf,
        /// How it ended.
        reason: String,
    },
    /// Reading took longer than allowed.
    #[error("{}: gave up after reading for {secs} s", path.display())]
    TimedOut {
        /// The path as given.
        path: PathBuf,
        /// The limit that was reached.
        secs: u64,
    },
    /// What went wrong in the process that reads the clip, in its own words.
    #[error("{message}")]
    Reported {
        /// The whole message, causes included.
        message: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
    /// No frame is shown at the time asked for.
    #[error("{}: no frame at {asked_secs} s; the clip lasts {lasts_secs:.2} s", path.display())]
    NoFrameThen {
        /// The path as given.
        path: PathBuf,
        /// The time asked for, on the clip's own clock.
        asked_secs: f64,
        /// How long the clip lasts.
        lasts_secs: f64,
    },
    /// A directory that holds videos, with or without pictures beside them: one of its files must be named.
    #[error(
        "{}: holds {} (`{}`{}){}",
        path.display(),
        counted(*videos, "video"),
        name.display(),
        if *videos == 1 { "" } else { ", ..." },
        match pictures {
            0 => String::new(),
            n => format!(" beside {}", counted(*n, "picture")),
        }
    )]
    VideosInDirectory {
        /// The path as given.
        path: PathBuf,
        /// How many files are videos by their names.
        videos: usize,
        /// The name of the first of them.
        name: OsString,
        /// How many files are pictures.
        pictures: usize,
    },
    /// A directory that holds no pictures.
    #[error("{}: the directory holds no pictures", path.display())]
    NoImages {
        /// The path as given.
        path: PathBuf,
    },
    /// A picture that cannot be read.
    #[error("{}: cannot read this picture: {reason}", path.display())]
    BadImage {
        /// The picture.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// An index beyond the last frame was asked for.
    #[error("{}: there is no frame {index}; the clip has {frame_count}", path.display())]
    IndexOutOfRange {
        /// The path as given.
        path: PathBuf,
        /// The frame asked for.
        index: usize,
        /// The number of frames there are.
        frame_count: usize,
    },
    /// FFmpeg failed where no better word fits.
    #[error("{}: {action} failed: {reason}", path.display())]
    Ffmpeg {
        /// The path as given.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// FFmpeg's own words.
        reason: String,
    },
}

impl Error {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Reported { hint, .. } => return hint.clone(),
            Error::Url { .. } => "download it first",
            Error::VideosInDirectory { .. } => "name one of its videos, or a directory that holds pictures alone",
            Error::NoImages { .. } => "png, jpg, webp and bmp files count as pictures",
            Error::TimedOut { .. } => "allow more time with `--decode-timeout SECS`",
            Error::Launch { .. } => {
                "if the program was replaced while it ran, start it again; otherwise too many processes may be running \
                 (`ulimit -u`)"
            }
            Error::Directory { .. } => "give the path of one video file",
            Error::NotRegular { .. } => "copy the data to a file first",
            Error::NotVideo { .. } => {
                "if it is a video, convert it with `ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4`; playlists, scripts and \
                 image patterns are never opened"
            }
            Error::NoVideoStream { .. } => "pass a file that has a video stream",
            Error::DecoderMissing { .. } => "install an FFmpeg that was built with this codec",
            Error::FrameTooLarge { .. } => "scale the video down with `ffmpeg -i INPUT -vf scale=1920:-2 OUTPUT.mp4`",
            Error::Damaged { .. } => "without `--strict`, the frames that can be decoded are used",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Why [`Clip::read`](super::Clip::read) stopped: the clip, or the receiver of its frames.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The clip could not be read.
    #[error(transparent)]
    Clip(#[from] Error),
    /// The sink refused a frame; its own error.
    #[error("the frame could not be used")]
    Sink(E),
}

/// An FFmpeg error code before a path is known to go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault(pub(super) i32);

impl Fault {
    pub(super) fn at(self, path: &Path, action: &'static str) -> Error {
        Error::Ffmpeg { path: path.to_owned(), action, reason: self.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_plain_line() {
        let path = PathBuf::from("a b.mp4");
        let errors = [
            Error::NotFound { path: path.clone() },
            Error::Url { path: path.clone() },
            Error::NoVideoStream { path: path.clone(), cover_art: true },
            Error::FrameTooLarge { path, width: 30_000, height: 30_000, max_pixels: 1 },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.starts_with("a b.mp4: "), "{text}");
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        }
    }
}
