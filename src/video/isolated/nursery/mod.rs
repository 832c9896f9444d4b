//! The forking reader: one process that has the program and its hundred libraries loaded and linked, and forks a child
//! for each clip. To start the program anew takes 30 ms of a core, to fork it two.
//!
//! The nursery itself (`serve.rs`) reads no clip, holds no file of the parent's open, and has one thread. Its children
//! are children of the *parent*, which alone listens to them, kills them and waits for them: no child is lost with its
//! nursery. Each confines itself before it reads the first byte, as every child does.
//!
//! What children of one nursery share, and programs that are started one by one do not, is where things lie in memory.
//! A file that takes over a decoder has to know that or to guess it, and a wrong guess crashes the child: after a crash
//! the next child comes from a new nursery, so that nobody guesses twice.

mod forked;
mod nurse;
mod serve;
mod wire;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};

use super::descriptors::own_descriptor;
use super::program::{Program, Streams, pipes};
pub(super) use forked::Forked;
use nurse::{NoChild, Nurse};
pub(super) use serve::serve;

/// So many nurseries may fail before children are started one by one.
const MAX_FAILURES: usize = 2;

/// The nursery of one parent, started anew where it fails.
#[derive(Debug)]
pub(super) struct Nursery {
    program: Program,
    state: Mutex<State>,
    warnings: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct State {
    nurse: Option<Arc<Nurse>>,
    failures: usize,
}

impl Nursery {
    /// `program` calls [`serve`]; it is started when it is needed.
    pub(super) fn new(program: Program) -> Self {
        Self { program, state: Mutex::default(), warnings: Mutex::default() }
    }

    /// Starts the nursery if it does not run.
    pub(super) fn prepare(&self) {
        let mut state = lock(&self.state);
        self.nurse(&mut state);
    }

    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.warnings))
    }

    /// A child that is to read `path`; `None` where children are to be started one by one.
    ///
    /// # Errors
    /// The system has no room for a child now, or nobody wants it any more.
    pub(super) fn start(
        &self,
        path: &Path,
        keep_going: &dyn Fn() -> bool,
    ) -> std::io::Result<Option<(Forked, Streams)>> {
        let mut state = lock(&self.state);
        while let Some(nurse) = self.nurse(&mut state) {
            // New ones each time: a child of which a failed nursery told nothing may hold the last ones.
            let (ours, theirs) = pipes()?;
            let reason = match nurse.fork(&theirs, left_open(path), keep_going) {
                Ok(pid) => match Forked::new(pid, Arc::clone(&nurse)) {
                    Some(child) => return Ok(Some((child, ours))),
                    None => "its children are not those of this process".to_owned(),
                },
                Err(NoChild::Refused(error)) => return Err(error),
                Err(NoChild::Interrupted) => {
                    // It may answer yet, and nobody would know what.
                    state.nurse = None;
                    return Err(std::io::ErrorKind::Interrupted.into());
                }
                Err(NoChild::Broken(reason)) => reason,
            };
            self.failed(&mut state, &reason);
        }
        Ok(None)
    }

    /// The nursery, if there is to be one.
    fn nurse(&self, state: &mut State) -> Option<Arc<Nurse>> {
        state.nurse.take_if(|nurse| nurse.is_spent());
        while state.nurse.is_none() && state.failures < MAX_FAILURES {
            match Nurse::start(&self.program) {
                Ok(nurse) => state.nurse = Some(Arc::new(nurse)),
                Err(error) => self.failed(state, &error.to_string()),
            }
        }
        state.nurse.clone()
    }

    /// Counts a failure and tells what follows from it.
    fn failed(&self, state: &mut State, reason: &str) {
        state.nurse = None;
        state.failures += 1;
        let follows = match state.failures < MAX_FAILURES {
            true => "it is started again",
            false => "from now on each clip starts a program of its own, which takes longer",
        };
        lock(&self.warnings).push(format!("the process that forks readers of clips failed ({reason}); {follows}"));
    }
}

/// The open file that `path` names, if children are to have it.
fn left_open(path: &Path) -> Option<(u32, OwnedFd)> {
    let number = own_descriptor(path)?;
    // SAFETY: looked at and duplicated at once, and whoever passed the path keeps the file open.
    let file = unsafe { BorrowedFd::borrow_raw(number.cast_signed()) };
    let is_left_open = fcntl_getfd(file).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC));
    is_left_open.then(|| fcntl_dupfd_cloexec(file, 0).ok().map(|file| (number, file))).flatten()
}

/// What a panic left behind is whole: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
