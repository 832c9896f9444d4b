//! One writer an output: a file beside it, locked for as long as its process lives, that says whose it is.
//!
//! The lock (`flock`) ends with its process, so that a killed one's is simply taken, on another machine too where the
//! file system carries locks between machines, as NFS does. Where it cannot lock at all, making the file is the lock:
//! it then outlives a killed process, and is taken over only if its content names this machine and a process that is
//! gone.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::holder::Holder;
use crate::file_lock::{Mode, Taken, is_still_at, try_lock};

/// Between the making, or the taking, of a lock and the writing of its holder's name pass microseconds.
const LOOKS: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The most that is read of a lock file.
const HOLDER_BYTES: u64 = 4096;

/// Held until it is dropped, which removes its file.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
    previous: Option<Holder>,
}

impl Lock {
    /// Takes the lock of an output.
    ///
    /// # Errors
    /// Another process has it; a lock file that cannot be made.
    pub(crate) fn take(output: &Path) -> Result<Self, Error> {
        Self::take_by(output, |file| try_lock(file, Mode::Exclusive))
    }

    fn take_by(output: &Path, try_lock: impl Fn(&File) -> io::Result<Taken>) -> Result<Self, Error> {
        let path = beside(output, ".lock");
        let write = || Error::write(&path);
        let mut looks = LOOKS;
        loop {
            let Some((file, is_new)) = open(&path).map_err(write())? else { continue };
            let taken = try_lock(&file).map_err(write())?;
            let (is_ours, certain) = match taken {
                Taken::Held => (is_still_at(&file, &path), true),
                Taken::ByAnother => (false, true),
                Taken::NoLocks => (is_new, false),
            };
            let holder = if is_new { None } else { holder(&file) };
            if is_ours {
                return Self { file, path: path.clone(), previous: holder }.signed().map_err(write());
            }
            let is_dead = holder.as_ref().is_some_and(Holder::is_dead);
            if taken == Taken::NoLocks && is_dead && remove_dead(&path).map_err(write())? {
                continue;
            }
            if looks == 0 || taken != Taken::Held && holder.is_some() && !is_dead {
                return Err(Error::Held { path: output.to_owned(), lock: path, holder, certain });
            }
            looks -= 1;
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Whose it was, if that process ended without letting go of it.
    pub(crate) fn previous(&self) -> Option<&Holder> {
        self.previous.as_ref()
    }

    fn signed(mut self) -> io::Result<Self> {
        let holder = serde_json::to_string(&Holder::this_process())? + "\n";
        self.file.rewind()?;
        self.file.write_all(holder.as_bytes())?;
        // Not emptied before: some file systems flush what is written to an emptied file, and take milliseconds for it.
        self.file.set_len(holder.len() as u64)?;
        Ok(self)
    }
}

impl Drop for Lock {
    /// The file goes first: who locks it after its removal sees that it is not there any more, and makes another.
    fn drop(&mut self) {
        if is_still_at(&self.file, &self.path) {
            // What cannot be removed is taken as a dead process's next time.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The lock file, and whether this call made it; `None` if it went meanwhile.
fn open(path: &Path) -> io::Result<Option<(File, bool)>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match options.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            file => Ok(Some((file?, false))),
        },
        file => Ok(Some((file?, true))),
    }
}

fn holder(mut file: &File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(HOLDER_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Removes a dead process's lock where there are no locks; whether it did. Of several that find it dead, one at a time
/// looks again and removes it, so that nobody removes the lock that another has made since.
fn remove_dead(path: &Path) -> io::Result<bool> {
    let guard = beside(path, ".takeover");
    match OpenOptions::new().write(true).create_new(true).open(&guard) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        file => file.map(drop)?,
    }
    let is_dead = File::open(path).ok().and_then(|file| holder(&file)).is_some_and(|holder| holder.is_dead());
    let removed = if is_dead { std::fs::remove_file(path).map(|()| true) } else { Ok(false) };
    std::fs::remove_file(&guard).and(removed)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_locks(_: &File) -> io::Result<Taken> {
        Ok(Taken::NoLocks)
    }

    fn dead() -> Holder {
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let holder = Holder { pid: child.id(), ..Holder::this_process() };
        child.wait().expect("it ends");
        holder
    }

    fn sign(path: &Path, holder: &Holder) {
        std::fs::write(path, serde_json::to_string(holder).expect("plain data")).expect("writable");
    }

    #[test]
    fn a_second_writer_is_told_who_has_the_output() {
        let dir = tempfile::tempdir().expect("a folder");
        let (output, lock) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.lock"));
        for by in [|file: &File| try_lock(file, Mode::Exclusive), no_locks] {
            let held = Lock::take_by(&output, by).expect("free");
            assert_eq!(held.previous(), None);
            let refused = Lock::take_by(&output, by).expect_err("it is held");
            let own = Holder::this_process();
            let named = format!("is being written by process {} on host {}", own.pid, own.host.expect("a name"));
            assert!(refused.to_string().contains(&named) && refused.to_string().ends_with(" UTC"), "{refused}");
            drop(held);
            assert!(!lock.exists());
        }
    }

    #[test]
    fn a_dead_holders_lock_is_taken_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let (output, lock) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.lock"));
        let elsewhere = Holder { host: Some("another".to_owned()), ..dead() };
        for holder in [dead(), elsewhere] {
            sign(&lock, &holder);
            let taken = Lock::take(&output).expect("nobody has it");
            assert_eq!(taken.previous(), Some(&holder));
        }
        std::fs::write(&lock, "").expect("as a kill before the signature leaves it");
        assert_eq!(Lock::take(&output).expect("nobody has it").previous(), None);
    }

    #[test]
    fn without_locks_only_a_process_of_this_machine_is_taken_for_dead() {
        let dir = tempfile::tempdir().expect("a folder");
        let (output, lock) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.lock"));
        sign(&lock, &dead());
        drop(Lock::take_by(&output, no_locks).expect("it is dead"));
        let elsewhere = Holder { host: Some("another".to_owned()), ..dead() };
        sign(&lock, &elsewhere);
        let refused = Lock::take_by(&output, no_locks).expect_err("it may live");
        assert!(matches!(&refused, Error::Held { holder: Some(holder), .. } if *holder == elsewhere), "{refused:?}");
        assert!(refused.hint().is_some_and(|hint| hint.contains("out.jsonl.lock")));
        std::fs::write(&lock, "").expect("as a kill before the signature leaves it");
        assert!(matches!(Lock::take_by(&output, no_locks), Err(Error::Held { holder: None, certain: false, .. })));
    }

    #[test]
    fn of_many_that_find_a_dead_lock_one_gets_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (output, lock) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.lock"));
        for by in [|file: &File| try_lock(file, Mode::Exclusive), no_locks] {
            for _ in 0..20 {
                sign(&lock, &dead());
                let taken: Vec<_> = std::thread::scope(|scope| {
                    let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| Lock::take_by(&output, by))).collect();
                    tries.into_iter().map(|thread| thread.join().expect("no panic")).collect()
                });
                assert_eq!(taken.iter().filter(|lock| lock.is_ok()).count(), 1, "{taken:?}");
            }
        }
    }

    #[test]
    fn a_lock_that_another_made_since_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let (output, lock) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.lock"));
        let held = Lock::take(&output).expect("free");
        std::fs::remove_file(&lock).expect("somebody removed it");
        let other = Lock::take(&output).expect("it looks free");
        drop(held);
        assert!(lock.exists());
        drop(other);
        assert!(!lock.exists());
    }
}
