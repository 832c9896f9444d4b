//! A clip read by a child process that has given up everything but the one file it reads.
//!
//! Demuxers and decoders are large, written in C, and fed by strangers. A crash, an endless loop or memory gone wild in
//! one of them costs the child, and with it one clip; the parent, which holds the model, reports an error and goes on.
//!
//! The parent starts the program of its [`Launcher`] for the one clip, the child calls [`serve`], and both talk in
//! messages over the child's standard input and output (`child.rs`, `protocol.rs`). Or, for many clips on Linux, it
//! starts the program once and has it fork a child for each ([`Launcher::forking`], [`serve_many`], `nursery`).
//!
//! The child confines itself (`sandbox.rs`) before it reads the first byte of the file. A child that was taken over by
//! the file it reads can send frames that are not in it, and no more: the parent holds all that it says against what
//! was asked (`conversation.rs`).

mod budget;
mod child;
mod conversation;
mod descriptors;
mod launcher;
#[cfg(target_os = "linux")]
mod nursery;
mod program;
mod protocol;
mod sandbox;
#[cfg(target_os = "linux")]
mod syscalls;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::error::{Error, ReadError};
use super::file::check_file;
use super::frame::Frame;
use super::info::ClipInfo;
use super::options::ClipOptions;
use super::sample::distinct;
pub use super::view::View;
use budget::Budget;
use child::Process;
use conversation::Conversation;
pub use descriptors::OWN_DESCRIPTORS;
pub use launcher::Launcher;
use protocol::{NoMessage, Reply, Request};
pub use sandbox::enter as confine;
pub use worker::serve;

/// How often the parent looks whether it should stop.
const POLL: Duration = Duration::from_millis(50);

/// Serves many clips, each in a child of its own, in a process that has nothing else to do. Returns when the parent
/// closes its end or goes away; at once where this is not Linux.
pub fn serve_many() {
    #[cfg(target_os = "linux")]
    nursery::serve();
}

/// A clip in a child process; the same calls as [`super::Clip`], but stopped in another way.
///
/// `keep_going` is asked often, always on the calling thread, and false ends the child and the call with
/// [`Error::Interrupted`]. [`ClipOptions::stop`] does not reach the child.
#[derive(Debug)]
pub struct IsolatedClip {
    /// What errors call the clip.
    name: PathBuf,
    file_bytes: u64,
    timeout: Option<Duration>,
    process: Process,
    conversation: Conversation,
    info: ClipInfo,
    warnings: Vec<String>,
    unconfined: Vec<String>,
    counts: Vec<usize>,
}

impl IsolatedClip {
    /// Starts the child and has it open the clip. `timeout` bounds each call by wall time; `None` scales with the clip.
    ///
    /// # Errors
    /// As [`super::Clip::open`], and [`Error::Launch`] if the child cannot be started, [`Error::Child`] if it dies or
    /// breaks the rules, [`Error::TimedOut`] if it takes too long.
    pub fn open(
        path: &Path,
        options: &ClipOptions,
        timeout: Option<Duration>,
        launcher: &Launcher,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        Self::open_as(path, path, options, timeout, launcher, keep_going)
    }

    /// As [`Self::open`]; errors and warnings call the clip `name`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(
        path: &Path,
        name: &Path,
        options: &ClipOptions,
        timeout: Option<Duration>,
        launcher: &Launcher,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        // A directory of pictures has no length of its own that matters.
        let file_bytes = if path.is_dir() { 0 } else { check_file(path)? };
        let max_pixels = options.max_pixels;
        let process = Process::start(launcher, path, max_pixels.saturating_mul(3), keep_going)
            .map_err(|source| Error::Launch { program: launcher.program().to_owned(), source })?;
        let mut clip = Self {
            name: name.to_owned(),
            file_bytes,
            timeout,
            process,
            conversation: Conversation::opening(max_pixels),
            info: ClipInfo::unknown(),
            warnings: Vec::new(),
            unconfined: Vec::new(),
            counts: Vec::new(),
        };
        let budget = Budget::to_open(file_bytes, timeout);
        clip.process.ask(&Request::Open {
            path: path.as_os_str().to_owned(),
            name: name.as_os_str().to_owned(),
            strict: options.strict,
            linear: options.linear,
            threads: options.threads,
            max_pixels,
            image_fps: options.image_fps,
            cpu_secs: budget.cpu_secs,
        });
        clip.follow_without_frames(&budget, keep_going)?;
        Ok(clip)
    }

    /// As [`super::Clip::frames_before`], for each of `secs`.
    ///
    /// # Errors
    /// [`Error::Child`] if the child dies or breaks the rules, [`Error::TimedOut`] if it takes too long,
    /// [`Error::Recounted`] if the rest of a read that was broken off tells so.
    pub fn frames_before(&mut self, secs: &[f64], keep_going: &dyn Fn() -> bool) -> Result<Vec<usize>, Error> {
        self.settle(keep_going)?;
        self.conversation.count(secs.len());
        self.process.ask(&Request::FramesBefore { secs: secs.to_vec() });
        self.follow_without_frames(&Budget::to_open(self.file_bytes, self.timeout), keep_going)?;
        Ok(std::mem::take(&mut self.counts))
    }

    /// What is known of the clip.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// Warnings since the last call, one sentence each.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// What the child could not give up, because this system has no means for it.
    pub fn unconfined(&self) -> &[String] {
        &self.unconfined
    }

    /// As [`super::Clip::read`]; frames come as `view` says. A sink that fails breaks the read off; the next call waits
    /// for what the child is still sending, and passes it over.
    ///
    /// # Errors
    /// As [`super::Clip::read`], and [`Error::Child`] if the child dies or breaks the rules, [`Error::TimedOut`] if it
    /// takes too long.
    pub fn read<E>(
        &mut self,
        indices: &[usize],
        view: View,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        self.settle(keep_going)?;
        let distinct = distinct(indices);
        let budget = Budget::to_read(self.file_bytes, &self.info, self.timeout);
        self.conversation.read(distinct.clone(), view);
        self.process.ask(&Request::Read { indices: distinct, view, cpu_secs: budget.cpu_secs });
        self.follow(&budget, keep_going, sink)
    }

    /// Ends the child, of which nothing more is wanted; what is known of the clip stays.
    pub fn close(&mut self) {
        self.conversation.give_up();
        self.process.end();
    }

    /// Makes sure that the next reply answers the next request.
    fn settle(&mut self, keep_going: &dyn Fn() -> bool) -> Result<(), Error> {
        if self.conversation.is_over() {
            return Err(self.child_error("it was stopped before"));
        }
        if !self.conversation.is_reading() {
            return Ok(());
        }
        let budget = Budget::to_read(self.file_bytes, &self.info, self.timeout);
        match self.follow_without_frames(&budget, keep_going) {
            // Whoever wanted those frames has an error already.
            Err(Error::Reported { .. }) => Ok(()),
            other => other,
        }
    }

    fn follow_without_frames(&mut self, budget: &Budget, keep_going: &dyn Fn() -> bool) -> Result<(), Error> {
        let pass_over = &mut |_| Ok::<(), std::convert::Infallible>(());
        match self.follow(budget, keep_going, pass_over) {
            Ok(()) => Ok(()),
            Err(ReadError::Clip(error)) => Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }

    /// Takes replies until the request is done. Everything the child says is checked: it may have been taken over.
    fn follow<E>(
        &mut self,
        budget: &Budget,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let started = Instant::now();
        loop {
            if !keep_going() {
                return Err(self.give_up(Error::Interrupted { path: self.name.clone() }));
            }
            if started.elapsed() > budget.wall {
                let secs = budget.wall.as_secs();
                return Err(self.give_up(Error::TimedOut { path: self.name.clone(), secs }));
            }
            let (reply, bytes) = match self.process.reply(POLL) {
                Ok(Ok(received)) => received,
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(Err(NoMessage::Nonsense)) => {
                    return Err(self.give_up(self.child_error("it sent a malformed message")));
                }
                Ok(Err(NoMessage::Ended)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.ended(budget, keep_going));
                }
            };
            if let Err(violation) = self.conversation.accept(&reply, bytes.len()) {
                return Err(self.give_up(self.child_error(violation.0)));
            }
            match reply {
                Reply::Opened { info, unconfined } => {
                    self.info = info;
                    self.unconfined = unconfined;
                    return Ok(());
                }
                Reply::FramesBefore { counts } => {
                    self.counts = counts;
                    return Ok(());
                }
                Reply::Warning { message } => self.warnings.push(message),
                Reply::Frame { index, pts_secs, width, height } => {
                    sink(Frame { index, pts_secs, width, height, rgb: bytes }).map_err(ReadError::Sink)?;
                }
                Reply::Done => return Ok(()),
                Reply::Recounted { info } => {
                    let frame_count = info.frame_count;
                    self.info = info;
                    return Err(ReadError::Clip(Error::Recounted { frame_count }));
                }
                Reply::Failed { message, hint } => {
                    return Err(ReadError::Clip(Error::Reported { message, hint }));
                }
            }
        }
    }

    fn child_error(&self, reason: &str) -> Error {
        Error::Child { path: self.name.clone(), reason: reason.to_owned() }
    }

    fn give_up<E>(&mut self, error: Error) -> ReadError<E> {
        self.conversation.give_up();
        self.process.kill();
        ReadError::Clip(error)
    }

    /// The child's stream ended: says why.
    fn ended<E>(&mut self, budget: &Budget, keep_going: &dyn Fn() -> bool) -> ReadError<E> {
        let status = self.process.exit_status();
        let path = || self.name.clone();
        let error = match status {
            // Ctrl-C reaches the child, too, and may end it first.
            _ if !keep_going() => Error::Interrupted { path: path() },
            Some(status) if budget::ran_out_of_cpu(status) => Error::TimedOut { path: path(), secs: budget.cpu_secs },
            Some(status) => self.child_error(&child::describe(status)),
            None => self.child_error("it stopped answering"),
        };
        self.give_up(error)
    }
}

/// Takes `bytes` for the replies of a child that is asked to open a clip, to count, and to read, over and over.
pub(super) fn listen(mut bytes: &[u8]) {
    const MAX_PIXELS: u64 = 1 << 16;
    let mut conversation = Conversation::opening(MAX_PIXELS);
    let mut requests = 0;
    while let Ok((reply, pixels)) = protocol::receive(&mut bytes, 3 * MAX_PIXELS) {
        if conversation.accept(&reply, pixels.len()).is_err() {
            return;
        }
        if conversation.is_idle() {
            requests += 1;
            match requests % 3 {
                0 => conversation.count(2),
                1 => conversation.read(vec![0, 1], View::Native),
                _ => conversation.read(vec![1, 2], View::Resized(2)),
            }
        }
    }
}
