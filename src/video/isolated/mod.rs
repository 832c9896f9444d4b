//! A clip read by a child process that has given up everything but the one file it reads.
//!
//! Demuxers and decoders are large, written in C, and fed by strangers. A crash, an endless loop or memory gone wild in
//! one of them costs the child, and with it one clip; the parent, which holds the model, reports an error and goes on.
//!
//! The parent starts `LAUNCHER PATH`, the child calls [`serve`], and both talk in messages over the child's standard
//! input and output (`protocol.rs`). The child confines itself (`sandbox.rs`) before it reads the first byte of the file.

mod budget;
mod protocol;
mod sandbox;
mod worker;

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::clip::check_file;
use super::sample::distinct;
use super::{ClipInfo, ClipOptions, Error, Frame, ReadError};
use budget::Budget;
pub use protocol::View;
use protocol::{NoMessage, Reply, Request};
pub use sandbox::enter as confine;
pub use worker::serve;

/// How often the parent looks whether it should stop.
const POLL: Duration = Duration::from_millis(50);

/// How to start the child: this program, with arguments that make it call [`serve`].
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; the clip's path is not among them.
    pub args: Vec<OsString>,
}

/// A message and the bytes that come with it.
type Received = Result<(Reply, Vec<u8>), NoMessage>;

/// A clip in a child process; the same calls as [`super::Clip`].
#[derive(Debug)]
pub struct IsolatedClip {
    path: PathBuf,
    file_bytes: u64,
    timeout: Option<Duration>,
    max_pixels: u64,
    child: Child,
    requests: ChildStdin,
    replies: Receiver<Received>,
    info: ClipInfo,
    warnings: Vec<String>,
    unconfined: Vec<String>,
    counts: Vec<usize>,
}

impl IsolatedClip {
    /// Starts the child and has it open the clip. `timeout` bounds each call by wall time; `None` scales with the clip.
    ///
    /// # Errors
    /// As [`super::Clip::open`], and [`Error::Child`] if the child dies, [`Error::TimedOut`] if it takes too long.
    pub fn open(
        path: &Path,
        options: &ClipOptions,
        timeout: Option<Duration>,
        launcher: &Launcher,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        // A directory of pictures has no length of its own that matters.
        let file_bytes = if path.is_dir() { 0 } else { check_file(path)? };
        let died = |source| Error::Io { path: path.to_owned(), source };
        let mut command = Command::new(&launcher.program);
        command.args(&launcher.args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Confined, the child cannot read the quotas that the number respects.
        command.env(crate::threads::VARIABLE, crate::threads::count().to_string());
        // The dynamic linker may need these to find FFmpeg.
        for name in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut child = command.spawn().map_err(died)?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both streams were asked for");
        };
        // Two messages wait at most, so that frames do not pile up here.
        let (sender, receiver) = sync_channel(1);
        let max_pixels = options.max_pixels;
        std::thread::spawn(move || {
            let mut replies = BufReader::new(replies);
            loop {
                let reply = protocol::receive(&mut replies, max_pixels.saturating_mul(3));
                let is_last = reply.is_err();
                if sender.send(reply).is_err() || is_last {
                    return;
                }
            }
        });
        let mut clip = Self {
            path: path.to_owned(),
            file_bytes,
            timeout,
            max_pixels,
            child,
            requests,
            replies: receiver,
            info: ClipInfo::unknown(),
            warnings: Vec::new(),
            unconfined: Vec::new(),
            counts: Vec::new(),
        };
        let budget = Budget::to_open(file_bytes, timeout);
        clip.request(&Request::Open {
            path: path.as_os_str().to_owned(),
            strict: options.strict,
            linear: options.linear,
            threads: options.threads,
            max_pixels,
            image_fps: options.image_fps,
            cpu_secs: budget.cpu_secs,
        })?;
        clip.follow_without_frames(&budget, keep_going)?;
        Ok(clip)
    }

    /// As [`super::Clip::frames_before`], for each of `secs`.
    ///
    /// # Errors
    /// [`Error::Child`] if the child dies or talks nonsense, [`Error::TimedOut`] if it takes too long.
    pub fn frames_before(&mut self, secs: &[f64], keep_going: &dyn Fn() -> bool) -> Result<Vec<usize>, Error> {
        self.request(&Request::FramesBefore { secs: secs.to_vec() })?;
        self.follow_without_frames(&Budget::to_open(self.file_bytes, self.timeout), keep_going)?;
        let counts = std::mem::take(&mut self.counts);
        match counts.len() == secs.len() && counts.iter().all(|&count| count <= self.info.frame_count) {
            true => Ok(counts),
            false => Err(self.child_error("it sent nonsense")),
        }
    }

    fn follow_without_frames(&mut self, budget: &Budget, keep_going: &dyn Fn() -> bool) -> Result<(), Error> {
        let never = &mut |_| Ok::<(), std::convert::Infallible>(());
        match self.follow(budget, &[], keep_going, never) {
            Ok(()) => Ok(()),
            Err(ReadError::Clip(error)) => Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
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

    /// As [`super::Clip::read`]; frames come as `view` says.
    ///
    /// # Errors
    /// As [`super::Clip::read`], and [`Error::Child`] if the child dies, [`Error::TimedOut`] if it takes too long.
    pub fn read<E>(
        &mut self,
        indices: &[usize],
        view: View,
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let distinct = distinct(indices);
        let budget = Budget::to_read(self.file_bytes, &self.info, self.timeout);
        self.request(&Request::Read { indices: distinct.clone(), view, cpu_secs: budget.cpu_secs })?;
        self.follow(&budget, &distinct, keep_going, sink)
    }

    fn request(&mut self, request: &Request) -> Result<(), Error> {
        // A child that is gone says why through its exit status, which `follow` looks at.
        let _ = protocol::send(&mut self.requests, request, &[]);
        Ok(())
    }

    /// Takes replies until the request is done. Everything the child says is checked: it may have been taken over.
    fn follow<E>(
        &mut self,
        budget: &Budget,
        expected: &[usize],
        keep_going: &dyn Fn() -> bool,
        sink: &mut dyn FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let started = Instant::now();
        let mut expected = expected.iter().copied();
        loop {
            if !keep_going() {
                return Err(self.give_up(Error::Interrupted { path: self.path.clone() }));
            }
            if started.elapsed() > budget.wall {
                let secs = budget.wall.as_secs();
                return Err(self.give_up(Error::TimedOut { path: self.path.clone(), secs }));
            }
            let (reply, bytes) = match self.replies.recv_timeout(POLL) {
                Ok(Ok(received)) => received,
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(Err(NoMessage::Nonsense)) => return Err(self.give_up(self.child_error("it sent nonsense"))),
                Ok(Err(NoMessage::Ended)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.ended(budget, keep_going));
                }
            };
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
                    let pixels = u64::from(width) * u64::from(height);
                    let fits = pixels <= self.max_pixels && bytes.len() as u64 == 3 * pixels;
                    if !fits || expected.next() != Some(index) {
                        return Err(self.give_up(self.child_error("it sent what was not asked for")));
                    }
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
        Error::Child { path: self.path.clone(), reason: reason.to_owned() }
    }

    fn give_up<E>(&mut self, error: Error) -> ReadError<E> {
        // It may be gone already.
        let _ = self.child.kill();
        ReadError::Clip(error)
    }

    /// The child's stream ended: says why.
    fn ended<E>(&mut self, budget: &Budget, keep_going: &dyn Fn() -> bool) -> ReadError<E> {
        let status = self.exit_status();
        // Ctrl-C reaches the child, too, and may end it first.
        if !keep_going() {
            return ReadError::Clip(Error::Interrupted { path: self.path.clone() });
        }
        ReadError::Clip(match status {
            Some(status) if budget::ran_out_of_cpu(status) => {
                Error::TimedOut { path: self.path.clone(), secs: budget.cpu_secs }
            }
            Some(status) => self.child_error(&describe(status)),
            None => self.child_error("it stopped talking"),
        })
    }

    /// How the child ended; it has a moment to do so.
    fn exit_status(&mut self) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // It holds on without its output: Drop ends it.
        None
    }
}

impl Drop for IsolatedClip {
    fn drop(&mut self) {
        // Without this a finished child would stay a zombie, and a hanging one would stay.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return match signal {
                libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => format!("it crashed (signal {signal})"),
                libc::SIGABRT => "it aborted, perhaps for want of memory".to_owned(),
                _ => format!("it was ended by signal {signal}"),
            };
        }
    }
    format!("it ended without an answer ({status})")
}
