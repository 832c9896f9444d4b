//! What can be read only once, such as standard input: read so that a signal ends the wait, and spooled for a clip.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use llava_video::interrupt::Interrupt;
#[cfg(target_os = "linux")]
use llava_video::video::isolated::OWN_DESCRIPTORS;

use super::output::Printer;

/// Most bytes of a video that is spooled: 8 GiB.
const MAX_SPOOLED_BYTES: u64 = 8 << 30;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// How often the wait for the next piece looks for a signal.
const POLL: Duration = Duration::from_millis(50);

/// Names that mean another stream in every process, so that the one that decodes cannot open them.
const OWN_STREAMS: [&str; 3] = ["/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"];

/// Something that is read from its start to its end, and not again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard input.
    Stdin,
    /// A pipe, or a file that this process was started with.
    Path(PathBuf),
}

impl Stream {
    /// What `argument` names, if that is a stream.
    pub(crate) fn named(argument: &OsStr) -> Option<Self> {
        if argument == "-" || argument == "/dev/stdin" {
            return Some(Self::Stdin);
        }
        let path = Path::new(argument);
        let is_own = || argument.to_str().is_some_and(|path| OWN_STREAMS.iter().any(|own| path.starts_with(own)));
        (is_pipe(path) || (is_own() && path.exists())).then(|| Self::Path(path.to_owned()))
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("standard input"),
            Self::Path(path) => path,
        }
    }

    /// Says that `what` is expected where somebody sits at a keyboard.
    pub(crate) fn announce(&self, what: &str, printer: &mut Printer) {
        if *self == Self::Stdin && std::io::stdin().is_terminal() {
            printer.note(&format!("waiting for {what} on standard input, which is a terminal; Ctrl-C stops"));
        }
    }

    /// Hands all that comes to `take`, piece by piece.
    pub(crate) fn read(self, interrupt: &Interrupt, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut pieces = self.pieces()?;
        while let Some(piece) = pieces.next(interrupt)? {
            take(&piece)?;
        }
        Ok(())
    }

    /// Begins to read. A thread does the reading, so that a signal ends even a read that nothing answers.
    pub(crate) fn pieces(self) -> Result<Pieces> {
        let failed = format!("cannot read {}", self.name().display());
        let (sender, pieces) = sync_channel(1);
        let reader = std::thread::Builder::new().name("stream".to_owned());
        reader.spawn(move || self.send_to(&sender)).context("cannot start a thread")?;
        Ok(Pieces { failed, pieces })
    }

    fn send_to(self, pieces: &SyncSender<std::io::Result<Vec<u8>>>) {
        let source: std::io::Result<Box<dyn Read>> = match self {
            Self::Stdin => Ok(Box::new(std::io::stdin().lock())),
            Self::Path(path) => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let mut source = match source {
            Ok(source) => source,
            Err(error) => return drop(pieces.send(Err(error))),
        };
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let piece = match source.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(buffer[..count].to_vec()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if pieces.send(piece).is_err() || is_last {
                return;
            }
        }
    }
}

/// What comes out of a stream.
pub(crate) struct Pieces {
    /// What is said of a read that fails.
    failed: String,
    pieces: Receiver<std::io::Result<Vec<u8>>>,
}

impl Pieces {
    /// The next bytes, once they are there; `None` at the end.
    pub(crate) fn next(&mut self, interrupt: &Interrupt) -> Result<Option<Vec<u8>>> {
        loop {
            interrupt.check()?;
            match self.pieces.recv_timeout(POLL) {
                Ok(piece) => return piece.map(Some).with_context(|| self.failed.clone()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// A stream's bytes in a temporary file, since a clip is read more than once.
///
/// On Linux the file has no name, so that nothing is left of it however this process ends. Elsewhere it goes with this
/// value.
pub(crate) struct Spool {
    file: SpoolFile,
    path: PathBuf,
}

#[cfg(target_os = "linux")]
type SpoolFile = File;
#[cfg(not(target_os = "linux"))]
type SpoolFile = tempfile::NamedTempFile;

impl Spool {
    /// Copies a video.
    pub(crate) fn fill(stream: Stream, interrupt: &Interrupt, printer: &mut Printer) -> Result<Self> {
        stream.announce("a video", printer);
        let name = stream.name().display().to_string();
        let mut spool = Self::new().context("cannot create a temporary file")?;
        let mut total = 0;
        stream.read(interrupt, &mut |piece| {
            total += piece.len() as u64;
            if total > MAX_SPOOLED_BYTES {
                let limit = MAX_SPOOLED_BYTES >> 30;
                bail!("{name}: the video is over the limit of {limit} GiB; save it to a file");
            }
            spool.file.write_all(piece).context("cannot copy the video to a temporary file")
        })?;
        match total {
            0 => bail!("{name}: nothing came, where a video was expected"),
            _ => Ok(spool),
        }
    }

    #[cfg(target_os = "linux")]
    fn new() -> std::io::Result<Self> {
        use std::os::fd::AsRawFd;
        let file = tempfile::tempfile()?;
        // The process that decodes inherits it, and finds it under the same number.
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
        let path = format!("{OWN_DESCRIPTORS}{}", file.as_raw_fd()).into();
        Ok(Self { file, path })
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> std::io::Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        let path = file.path().to_owned();
        Ok(Self { file, path })
    }

    /// Where the bytes are; the file is there as long as this value is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_from_files() {
        assert_eq!(Stream::named(OsStr::new("-")), Some(Stream::Stdin));
        assert_eq!(Stream::named(OsStr::new("/dev/stdin")), Some(Stream::Stdin));
        for file in ["clip.mp4", "/dev/null", "/dev/fd/none", "Cargo.toml", "./-"] {
            assert_eq!(Stream::named(OsStr::new(file)), None, "{file}");
        }
    }
}
