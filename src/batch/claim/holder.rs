//! Who holds a step: what stands in the file that its name leads to. A process has one file for all the steps that it
//! works on and one for all that it writes the record of, and links them: a step needs no file of its own.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{ClaimError, at};
use super::process::Process;

/// Who holds a step, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// Its heartbeat's file has this name.
    pub(super) worker: String,
    /// Its process, where its system tells.
    pub(super) process: Option<Process>,
    /// Where its records go.
    pub(super) output: PathBuf,
    /// Whether it writes the record; else it works on the answers.
    pub(super) writes: bool,
}

/// A name for this process that no other has: where it runs, for people, and a random number.
pub(super) fn worker() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    // The standard library's only random numbers: keys of its hash maps, which are the system's.
    let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::time::Instant::now());
    let host = if host.is_empty() { "host" } else { &host };
    format!("{host}-{}-{:016x}{:016x}", std::process::id(), random(), random())
}

/// A file that is linked to many names.
pub(super) struct Stencil {
    holder: Holder,
    path: PathBuf,
    /// How many there were before it.
    earlier: u32,
}

impl Stencil {
    pub(super) fn new(workers: &Path, holder: Holder) -> Result<Self, ClaimError> {
        let word = if holder.writes { "writes" } else { "works" };
        let path = workers.join(format!("{}.{word}", holder.worker));
        let stencil = Self { holder, path, earlier: 0 };
        stencil.write()?;
        Ok(stencil)
    }

    /// On the disk before anything leads to it, so that no step is ever found empty.
    fn write(&self) -> Result<(), ClaimError> {
        let text = serde_json::to_string(&self.holder)
            .map_err(|_| ClaimError::PathNotUnicode { path: self.holder.output.clone() })?;
        let write = || {
            let mut file = File::create(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(at(&self.path))
    }

    /// Tries to be the one whom the name leads to, and tells who is.
    ///
    /// Only what stands there afterwards counts: over NFS a link may be made although its reply was lost and the call
    /// says that it failed or that the name exists, and some clients say that it was made where it existed.
    pub(super) fn claim(&mut self, name: &Path) -> Result<Holder, ClaimError> {
        loop {
            let linked = std::fs::hard_link(&self.path, name);
            match (linked, Holder::at(name)?) {
                (_, Some(holder)) => return Ok(holder),
                // ext4 leads at most 65,000 names to one file.
                (Err(error), None) if error.kind() == io::ErrorKind::TooManyLinks => self.renew()?,
                (Err(source), None) => return Err(at(name)(source)),
                (Ok(()), None) => return Err(at(name)(io::ErrorKind::NotFound.into())),
            }
        }
    }

    /// Whether this is who was found.
    pub(super) fn is(&self, holder: &Holder) -> bool {
        self.holder == *holder
    }

    fn renew(&mut self) -> Result<(), ClaimError> {
        let earlier = self.earlier + 1;
        self.remove();
        self.path.set_extension(format!("{}{earlier}", if self.holder.writes { "writes" } else { "works" }));
        self.earlier = earlier;
        self.write()
    }

    /// Removes the file's own name; the steps still lead to it. Nothing but tidiness depends on it.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Holder {
    /// Who holds the step of this name; `None` where there is none.
    pub(super) fn at(name: &Path) -> Result<Option<Self>, ClaimError> {
        match std::fs::read(name) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|_| ClaimError::Damaged { path: name.to_owned() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(at(name)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stencil(dir: &Path) -> Stencil {
        let output = dir.join("out.jsonl");
        Stencil::new(dir, Holder { worker: worker(), process: None, output, writes: false }).expect("a file")
    }

    #[test]
    fn a_name_is_given_once_and_what_stands_there_decides() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut ours, mut theirs) = (stencil(dir.path()), stencil(dir.path()));
        let name = dir.path().join("step");
        assert_eq!(Holder::at(&name).expect("readable"), None);
        let holder = theirs.claim(&name).expect("it is made");
        assert!(theirs.is(&holder) && !ours.is(&holder));
        let holder = ours.claim(&name).expect("it is read");
        assert!(theirs.is(&holder) && !ours.is(&holder));
        std::fs::write(dir.path().join("torn"), "{").expect("a file");
        assert!(matches!(ours.claim(&dir.path().join("torn")), Err(ClaimError::Damaged { .. })));
        assert!(matches!(ours.claim(&dir.path().join("no/folder")), Err(ClaimError::Io { .. })));
    }

    /// Over NFS the system may say that a link failed that was made.
    #[test]
    fn a_link_whose_reply_was_lost_is_ours() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut ours = stencil(dir.path());
        let name = dir.path().join("step");
        std::fs::hard_link(ours.path(), &name).expect("made, and nobody was told");
        let holder = ours.claim(&name).expect("the system says that it exists");
        assert!(ours.is(&holder));
    }

    #[test]
    fn a_file_that_takes_no_more_links_is_renewed() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut ours = stencil(dir.path());
        let first = ours.path().to_owned();
        for name in ["a", "b", "c"] {
            let holder = ours.claim(&dir.path().join(name)).expect("it is made");
            assert!(ours.is(&holder));
            ours.renew().expect("another file");
        }
        assert!(ours.path() != first && ours.path().exists() && !first.exists());
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 4);
        assert!(Holder::at(&dir.path().join("a")).expect("readable").is_some_and(|holder| ours.is(&holder)));
    }
}
