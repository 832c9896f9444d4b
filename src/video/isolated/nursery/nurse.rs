//! One nursery, from its start to its end, as its parent sees it.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group};
use rustix::process::{waitid, waitpgid};

use super::super::program::{ChildStreams, Program};
use super::wire::{self, Order};

/// How long a nursery may take to start, or to fork, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the wait looks whether it should stop.
const POLL: Duration = Duration::from_millis(50);

/// Why there is no child.
#[derive(Debug)]
pub(super) enum NoChild {
    /// Nobody wants it any more.
    Interrupted,
    /// The system has no room for it now.
    Refused(io::Error),
    /// The nursery is of no use, for this reason.
    Broken(String),
}

/// A nursery that runs, or ran. It is a process group of its own, to which its children belong, so that a child whose
/// number it could not tell any more is found, too.
#[derive(Debug)]
pub(super) struct Nurse {
    pid: Pid,
    /// `None` once this value is being dropped, as the fields below.
    socket: Option<OwnedFd>,
    over: Option<Sender<Infallible>>,
    keeper: Option<JoinHandle<()>>,
    is_ready: AtomicBool,
    is_spent: AtomicBool,
}

impl Nurse {
    /// Starts the nursery, without waiting until it is ready.
    ///
    /// # Errors
    /// The program cannot be started, or there is no socket or thread for it.
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(POLL))?;
        let mut command = program.command();
        command.stdin(theirs).stdout(Stdio::null()).process_group(0);
        let (over, until_over) = channel();
        let (tell, started) = sync_channel(1);
        let keeper = std::thread::Builder::new().name("nursery".to_owned());
        let keeper = keeper.spawn(move || keep(command, &tell, &until_over))?;
        let pid = started.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        let (is_ready, is_spent) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { pid, socket: Some(socket), over: Some(over), keeper: Some(keeper), is_ready, is_spent })
    }

    /// A child of this process with these streams, and with `kept` under its number. One caller at a time; after an
    /// error other than a refusal, this nursery is not to be asked again.
    pub(super) fn fork(
        &self,
        streams: &ChildStreams,
        kept: Option<(u32, OwnedFd)>,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Pid, NoChild> {
        let Some(socket) = &self.socket else { unreachable!("it is not being dropped") };
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            match self.receive(keep_going)?.as_slice() {
                wire::READY => {}
                wire::HAS_THREADS => return Err(NoChild::Broken("a library has started threads in it".to_owned())),
                _ => return Err(NoChild::Broken("it is another program by now".to_owned())),
            }
        }
        let kept = kept.as_ref().map(|(number, file)| (*number, file.as_fd()));
        let order = Order { input: streams.input.as_fd(), output: streams.output.as_fd(), kept };
        order.send(socket.as_fd()).map_err(|errno| match errno {
            Errno::PIPE | Errno::CONNRESET => NoChild::Broken(self.end()),
            errno => NoChild::Refused(errno.into()),
        })?;
        let answer = self.receive(keep_going)?;
        match wire::read_answer(&answer) {
            Some(Ok(child)) => {
                Pid::from_raw(child).ok_or_else(|| NoChild::Broken("it sent a malformed message".to_owned()))
            }
            Some(Err(errno @ (Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE))) => {
                Err(NoChild::Refused(errno.into()))
            }
            Some(Err(errno)) => Err(NoChild::Broken(format!("it cannot fork: {}", io::Error::from(errno)))),
            None => Err(NoChild::Broken("it sent a malformed message".to_owned())),
        }
    }

    /// The next packet.
    fn receive(&self, keep_going: &dyn Fn() -> bool) -> Result<Vec<u8>, NoChild> {
        let Some(socket) = &self.socket else { unreachable!("it is not being dropped") };
        let started = Instant::now();
        let mut packet = vec![0; wire::MAX_BYTES];
        loop {
            match recv(socket, &mut packet[..], RecvFlags::empty()) {
                Ok((length @ 1.., _)) => {
                    packet.truncate(length);
                    return Ok(packet);
                }
                Ok(_) => return Err(NoChild::Broken(self.end())),
                Err(Errno::AGAIN | Errno::INTR) if !keep_going() => return Err(NoChild::Interrupted),
                Err(Errno::AGAIN | Errno::INTR) if started.elapsed() < PATIENCE => {}
                Err(Errno::AGAIN | Errno::INTR) => {
                    // Whether it goes on or not, nobody will hear of it.
                    let _ = kill_process(self.pid, Signal::KILL);
                    return Err(NoChild::Broken("it does not answer".to_owned()));
                }
                Err(_) => return Err(NoChild::Broken(self.end())),
            }
        }
    }

    /// How it ended, in words. Its number stays its own until this value is dropped.
    fn end(&self) -> String {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let started = Instant::now();
        while started.elapsed() < POLL {
            match waitid(WaitId::Pid(self.pid), look) {
                Ok(Some(status)) => {
                    return match (status.terminating_signal(), status.exit_status()) {
                        (Some(signal), _) => format!("it was ended by signal {signal}"),
                        (None, code) => format!("it ended with code {}", code.unwrap_or_default()),
                    };
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(_) => break,
            }
        }
        "it closed its socket".to_owned()
    }

    /// Tells that a child ended so, unasked. After a crash no other child is to be forked from this nursery: whoever
    /// guesses where things lie in memory may guess once.
    pub(super) fn child_ended(&self, status: ExitStatus) {
        use std::os::unix::process::ExitStatusExt;
        if status.signal().is_some_and(|signal| signal != libc::SIGXCPU) {
            self.is_spent.store(true, Ordering::Relaxed);
        }
    }

    /// Whether another nursery has to take its place.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }
}

impl Drop for Nurse {
    fn drop(&mut self) {
        // Its input ends, and the keeper's patience.
        drop((self.socket.take(), self.over.take()));
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Starts the nursery and stays until it is over. Children that end with their parent end with the thread that started
/// it, so this must be a thread that lives long enough.
fn keep(mut command: Command, tell: &SyncSender<io::Result<Pid>>, until_over: &Receiver<Infallible>) {
    let started = command.spawn();
    // Its end of the socket is its own now.
    drop(command);
    let pid = match started.map(|child| Pid::from_raw(child.id().cast_signed())) {
        Ok(Some(pid)) => pid,
        Ok(None) => unreachable!("a process has a number"),
        Err(error) => return drop(tell.send(Err(error))),
    };
    let _ = tell.send(Ok(pid));
    // Nothing is ever sent.
    let _ = until_over.recv();
    // Every child that is known has been waited for. Nobody waited for the nursery, so the number is still its own.
    let _ = kill_process_group(pid, Signal::KILL);
    while matches!(waitpgid(pid, WaitOptions::empty()), Ok(_) | Err(Errno::INTR)) {}
}
