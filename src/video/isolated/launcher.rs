//! How children are started: each as a program of its own, or forked from one process that has the program loaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
#[cfg(target_os = "linux")]
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::nursery::{Forked, Nursery};
use super::program::{Program, Streams};

/// How to start the child: this program, with arguments that make it call [`serve`](super::serve).
#[derive(Debug, Clone)]
pub struct Launcher {
    program: Program,
    #[cfg(target_os = "linux")]
    nursery: Option<Arc<Nursery>>,
}

impl Launcher {
    /// Each child is `program`, started with `args`; the clip's path is not among them.
    pub fn new<A: Into<OsString>>(program: impl Into<PathBuf>, args: impl IntoIterator<Item = A>) -> Self {
        let program = Program { path: program.into(), args: args.into_iter().map(Into::into).collect() };
        Self {
            program,
            #[cfg(target_os = "linux")]
            nursery: None,
        }
    }

    /// For many clips: where this is Linux, children are forked from one process of the same program, which `args` make
    /// call [`serve_many`](super::serve_many). So the program is loaded and linked once, and not for each clip. Where
    /// that fails, children are started one by one after all, and [`Self::take_warnings`] says so. Clones share the
    /// process, which ends with the last of them and of their clips.
    #[must_use]
    pub fn forking<A: Into<OsString>>(self, args: impl IntoIterator<Item = A>) -> Self {
        #[cfg(target_os = "linux")]
        {
            let args = args.into_iter().map(Into::into).collect();
            let program = Program { path: self.program.path.clone(), args };
            Self { nursery: Some(Arc::new(Nursery::new(program))), ..self }
        }
        #[cfg(not(target_os = "linux"))]
        {
            drop(args);
            self
        }
    }

    /// Starts now what the first clip would start. Whoever has other work to do before it waits for nothing then, and
    /// does not depend on the program's file any more.
    pub fn prepare(&self) {
        #[cfg(target_os = "linux")]
        if let Some(nursery) = &self.nursery {
            nursery.prepare();
        }
    }

    /// What was unexpected in starting children since the last call, one sentence each. It stops nothing, and is the
    /// fault of no clip.
    pub fn take_warnings(&self) -> Vec<String> {
        #[cfg(target_os = "linux")]
        if let Some(nursery) = &self.nursery {
            return nursery.take_warnings();
        }
        Vec::new()
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program.path
    }

    /// Starts a child that is to read `path`; `keep_going` as in [`IsolatedClip`](super::IsolatedClip).
    ///
    /// # Errors
    /// There is no child.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "children inherit what they need"))]
    pub(super) fn start(&self, path: &Path, keep_going: &dyn Fn() -> bool) -> std::io::Result<(Handle, Streams)> {
        #[cfg(target_os = "linux")]
        if let Some(nursery) = &self.nursery
            && let Some((child, streams)) = nursery.start(path, keep_going)?
        {
            return Ok((Handle::Forked(child), streams));
        }
        let (child, streams) = self.program.spawn()?;
        Ok((Handle::Spawned(child), streams))
    }
}

/// A child, however it was started.
#[derive(Debug)]
pub(super) enum Handle {
    Spawned(Child),
    #[cfg(target_os = "linux")]
    Forked(Forked),
}

impl Handle {
    /// Asks the system to end the child, unless it has ended.
    pub(super) fn kill(&mut self) {
        match self {
            // It may be gone already.
            Self::Spawned(child) => drop(child.kill()),
            #[cfg(target_os = "linux")]
            Self::Forked(child) => child.kill(),
        }
    }

    /// How it ended, if it has.
    pub(super) fn try_wait(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Spawned(child) => child.try_wait().ok().flatten(),
            #[cfg(target_os = "linux")]
            Self::Forked(child) => child.try_wait(),
        }
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) {
        match self {
            Self::Spawned(child) => drop(child.wait()),
            #[cfg(target_os = "linux")]
            Self::Forked(child) => child.wait(),
        }
    }
}
