//! A child that a nursery forked for this process.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::nurse::Nurse;

/// A child, running or not yet waited for, unless its status is known.
#[derive(Debug)]
pub(in super::super) struct Forked {
    pid: Pid,
    status: Option<ExitStatus>,
    is_killed: bool,
    /// Lives as long as its children: what belongs to it is killed with it.
    nurse: Arc<Nurse>,
}

impl Forked {
    /// The process of this number, if it is a child of this one.
    pub(super) fn new(pid: Pid, nurse: Arc<Nurse>) -> Option<Self> {
        let mut forked = Self { pid, status: None, is_killed: false, nurse };
        forked.look(WaitOptions::NOHANG).ok()?;
        Some(forked)
    }

    pub(in super::super) fn kill(&mut self) {
        // As long as nobody waited for it, the number is its own.
        if self.status.is_none() {
            self.is_killed = true;
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// How it ended, if it has.
    pub(in super::super) fn try_wait(&mut self) -> Option<ExitStatus> {
        let _ = self.look(WaitOptions::NOHANG);
        self.status
    }

    /// Waits for its end.
    pub(in super::super) fn wait(&mut self) {
        while self.status.is_none() && matches!(self.look(WaitOptions::empty()), Ok(()) | Err(Errno::INTR)) {}
    }

    fn look(&mut self, how: WaitOptions) -> Result<(), Errno> {
        if self.status.is_some() {
            return Ok(());
        }
        match waitpid(Some(self.pid), how) {
            Ok(Some((_, status))) => {
                let status = ExitStatus::from_raw(status.as_raw());
                self.status = Some(status);
                if !self.is_killed {
                    self.nurse.child_ended(status);
                }
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(errno) => {
                // Where this process was started to ignore its children, the system waits for them. The number is
                // another's by now, or will be.
                if errno == Errno::CHILD {
                    self.status = Some(ExitStatus::default());
                }
                Err(errno)
            }
        }
    }
}
