//! Exit codes, which scripts rely on, and which error means which.

use std::process::ExitCode;

use llava_video::interrupt::Interrupted;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, or the reader of stdout went away.
    Done,
    /// 1: failed.
    Failed,
    /// 2: used wrongly.
    Usage,
    /// 3: finished, and some of what was asked failed.
    SomeFailed,
    /// 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM.
    Interrupted(usize),
}

/// Whoever reads stdout closed it: nothing is left to do, and nothing went wrong.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct ClosedPipe;

/// A mistake on the command line that only shows while it is carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

impl Exit {
    /// What an error that reached the top means.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<ClosedPipe>() {
                return Self::Done;
            }
            if cause.is::<UsageError>() {
                return Self::Usage;
            }
            if let Some(Interrupted { signal }) = cause.downcast_ref() {
                return Self::Interrupted(*signal);
            }
            if let Some(llava_video::Error::Interrupted(Interrupted { signal })) = cause.downcast_ref() {
                return Self::Interrupted(*signal);
            }
        }
        Self::Failed
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::SomeFailed => Self::from(3),
            Exit::Interrupted(signal) => Self::from(u8::try_from(128 + signal).unwrap_or(1)),
        }
    }
}
