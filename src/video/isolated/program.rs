//! The program that reads clips: how it is started, and what of the environment it gets.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, pipe};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A program and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<OsString>,
}

impl Program {
    /// The program with next to no environment, whose errors nobody reads.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear().stderr(Stdio::null());
        // Confined, the child cannot read the quotas that the number respects.
        command.env(crate::threads::VARIABLE, crate::threads::count().to_string());
        // The dynamic linker may need these to find FFmpeg.
        for name in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    /// Starts the program as a process that reads one clip.
    ///
    /// # Errors
    /// It cannot be started, or there is no pipe for one of its streams.
    pub(super) fn spawn(&self) -> std::io::Result<(Child, Streams)> {
        let (ours, theirs) = pipes()?;
        let child = self.command().stdin(theirs.input).stdout(theirs.output).spawn()?;
        Ok((child, ours))
    }
}

/// What the parent writes to a child, and reads from it.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) input: PipeWriter,
    pub(super) output: PipeReader,
}

/// The other ends, which become a child's standard input and output.
#[derive(Debug)]
pub(super) struct ChildStreams {
    pub(super) input: PipeReader,
    pub(super) output: PipeWriter,
}

/// Both ends of the streams of a child to be; no other child inherits them.
pub(super) fn pipes() -> std::io::Result<(Streams, ChildStreams)> {
    let (their_input, input) = pipe()?;
    let (output, their_output) = pipe()?;
    Ok((Streams { input, output }, ChildStreams { input: their_input, output: their_output }))
}
