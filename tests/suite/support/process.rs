//! Programs that run beside a test: their output as it comes, signals, and an end within a time limit.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::run::Run;

/// How long a test waits for what takes a moment; long enough for a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `is_there`, at most `limit`; then the test fails and names `what` did not come.
#[track_caller]
pub(crate) fn wait_for(what: &str, limit: Duration, mut is_there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_there() {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// No file of the child may grow beyond `bytes`: what a quota or a full disk does, at a byte of our choice.
pub(crate) fn limit_file_size(command: &mut Command, bytes: u64) {
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

/// A pseudo-terminal: the end that the program gets, and the end of whoever sits at it.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut user, mut program) = (0, 0);
    // SAFETY: two numbers are written, and each becomes the one owner of its descriptor.
    unsafe {
        let null = std::ptr::null_mut();
        assert_eq!(libc::openpty(&raw mut user, &raw mut program, null, null.cast(), null.cast()), 0);
        (OwnedFd::from_raw_fd(program), OwnedFd::from_raw_fd(user))
    }
}

/// The most memory a process has held, from its `/proc/PID/status`.
#[cfg(target_os = "linux")]
pub(crate) fn high_water_bytes(status: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?)
}

/// Says on standard error that a test, or a part of it, does not run here. Not through the macro: the harness swallows
/// what a passing test prints.
pub(crate) fn skipped(what: &str, why: &str) {
    std::io::stderr().write_all(format!("skipped: {what}; {why}\n").as_bytes()).unwrap();
}

/// A child that is killed if the test ends before it does, so that it does not write on in a folder that is being
/// removed.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A guarded child whose output is collected while it runs.
pub(crate) struct Running {
    child: Guarded,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Collected::from(child.stdout.take().unwrap());
        let stderr = Collected::from(child.stderr.take().unwrap());
        Self { child: Guarded(child), stdout, stderr }
    }

    /// The pipe to its standard input; open until its end.
    #[track_caller]
    pub(crate) fn input(&mut self) -> &mut ChildStdin {
        self.child.0.stdin.as_mut().unwrap()
    }

    /// Ends its standard input.
    pub(crate) fn close_input(&mut self) {
        drop(self.child.0.stdin.take());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// Waits until standard output is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&self, is_wanted: impl Fn(&str) -> bool) {
        self.stdout.wait(is_wanted);
    }

    /// Waits until standard error is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_stderr(&self, is_wanted: impl Fn(&str) -> bool) {
        self.stderr.wait(is_wanted);
    }

    /// Sends a signal; not to a child that [`Self::has_ended`], whose number may be another's by now.
    #[track_caller]
    pub(crate) fn signal(&self, number: libc::c_int) {
        // SAFETY: `kill` takes two numbers.
        assert_eq!(unsafe { libc::kill(self.id().cast_signed(), number) }, 0);
    }

    /// Ends it as no handler can notice; it has ended when this returns.
    pub(crate) fn kill(self) {
        drop(self.child);
    }

    /// Waits for its end, at most `limit`.
    #[track_caller]
    pub(crate) fn end_within(mut self, limit: Duration) -> Run {
        let mut code = None;
        wait_for("the end of the process", limit, || {
            let status = self.child.0.try_wait().unwrap();
            code = status.and_then(|status| status.code());
            status.is_some()
        });
        Run { code, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

/// What a stream has given so far.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn from(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => collected.lock().unwrap().extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    #[track_caller]
    fn wait(&self, is_wanted: impl Fn(&str) -> bool) {
        let ended = || self.reader.as_ref().is_none_or(JoinHandle::is_finished);
        let text = || String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned();
        wait_for("the awaited output", PATIENCE, || {
            let ended = ended();
            let text = text();
            let found = is_wanted(&text);
            assert!(found || !ended, "the stream ended with {text:?}");
            found
        });
    }

    /// Everything, up to the stream's end.
    fn all(&mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        String::from_utf8(std::mem::take(&mut *self.bytes.lock().unwrap())).unwrap()
    }
}
