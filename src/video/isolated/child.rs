//! The child process itself: started, written to, listened to and ended, so that it can never make the parent wait.

use std::io::{BufReader, PipeReader, PipeWriter, Write};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use super::launcher::{Handle, Launcher};
use super::program::Streams;
use super::protocol::{self, NoMessage, Reply, Request};

/// How long a child that closed its output has to end.
const TIME_TO_END: Duration = Duration::from_secs(1);

/// A message and the bytes that come with it.
pub(super) type Received = Result<(Reply, Vec<u8>), NoMessage>;

/// A child that is running, or was.
#[derive(Debug)]
pub(super) struct Process {
    child: Handle,
    requests: Sender<Vec<u8>>,
    replies: Receiver<Received>,
}

impl Process {
    /// Starts the child that is to read `path`; each of its messages may bring `max_bytes` of pixels.
    ///
    /// # Errors
    /// The program cannot be started, or no thread for one of its streams.
    pub(super) fn start(
        launcher: &Launcher,
        path: &Path,
        max_bytes: u64,
        keep_going: &dyn Fn() -> bool,
    ) -> std::io::Result<Self> {
        let (child, Streams { input, output }) = launcher.start(path, keep_going)?;
        let (requests, to_write) = channel();
        // One message waits here and one with its reader, so that frames do not pile up.
        let (received, replies) = sync_channel(1);
        // From here on Drop ends the child.
        let process = Self { child, requests, replies };
        let thread = || std::thread::Builder::new().name("decode-worker".to_owned());
        thread().spawn(move || write_all(input, &to_write))?;
        thread().spawn(move || read_all(output, max_bytes, &received))?;
        Ok(process)
    }

    /// Sends a request, without waiting for the child to take it.
    pub(super) fn ask(&self, request: &Request) {
        let mut message = Vec::new();
        // Neither can fail but for a child that is gone, which says why through its exit status.
        let _ = protocol::send(&mut message, request, &[]);
        let _ = self.requests.send(message);
    }

    /// The next message, if it comes in time.
    pub(super) fn reply(&self, patience: Duration) -> Result<Received, RecvTimeoutError> {
        self.replies.recv_timeout(patience)
    }

    /// Ends the child.
    pub(super) fn kill(&mut self) {
        self.child.kill();
    }

    /// Ends the child and waits for its end.
    pub(super) fn end(&mut self) {
        self.child.kill();
        self.child.wait();
    }

    /// How the child ended; it has a moment to do so.
    pub(super) fn exit_status(&mut self) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < TIME_TO_END {
            if let Some(status) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // It holds on without its output: Drop ends it.
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without this a finished child would stay a zombie, and a hanging one would stay. It also frees both threads.
        self.end();
    }
}

/// Writes requests in a thread of its own: a child that stops reading holds up nobody else.
fn write_all(mut input: PipeWriter, requests: &Receiver<Vec<u8>>) {
    for request in requests {
        if input.write_all(&request).is_err() {
            return;
        }
    }
}

fn read_all(output: PipeReader, max_bytes: u64, received: &SyncSender<Received>) {
    let mut output = BufReader::new(output);
    loop {
        let reply = protocol::receive(&mut output, max_bytes);
        let is_last = reply.is_err();
        if received.send(reply).is_err() || is_last {
            return;
        }
    }
}

/// How a child ended, in words.
pub(super) fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return match signal {
                libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => {
                    format!("it crashed with signal {signal}")
                }
                libc::SIGABRT => "it aborted, perhaps because it ran out of memory".to_owned(),
                _ => format!("it was ended by signal {signal}"),
            };
        }
    }
    format!("it ended without an answer ({status})")
}
