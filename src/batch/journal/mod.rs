//! The output of a batch as a journal: what is in it is done, whenever the process that wrote it was killed.
//!
//! A record is appended whole, in one write. A kill, a crash of the system or a loss of power can leave the beginning
//! of one at the end, which the next run cuts off before it appends; its input then runs again. Nothing else is ever
//! removed, except by [`Policy::force`], and that not before there is a first record to put in its place.

mod error;
mod holder;
pub(super) mod lines;
mod lock;
mod output;
mod policy;
mod standing;
#[cfg(test)]
mod tests;

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

pub use error::Error;
pub(super) use error::shown_digests;
pub use holder::Holder;
pub(crate) use lock::Lock;
pub(crate) use output::Output;
pub use output::same_file;
pub(super) use output::{check, identity, read_line, sync_folder};
pub use policy::{Fsync, Policy};
pub use standing::{JobState, Standing, Survey};

use super::record::{Record, Run};

/// The longest that a record is not flushed with [`Fsync::EverySecond`].
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// The output is read in pieces of this size.
const READ_BYTES: usize = 1 << 16;

/// An output that this process alone appends to.
#[derive(Debug)]
pub struct Journal {
    output: Output,
    run: Run,
    fsync: Fsync,
    /// Of this run.
    written: usize,
    unflushed: usize,
    unflushed_since: Option<Instant>,
    /// The last to go.
    lock: Lock,
}

impl Journal {
    /// Takes an output, which need not be there yet, and reads what it says.
    ///
    /// # Errors
    /// Another process has it; it is no file, or cannot be written; a line in it is no record; it has records of
    /// another run that `policy` does not allow, or of another division of the inputs. It is then as it was.
    pub fn open(path: &Path, run: &Run, policy: Policy) -> Result<(Self, Standing), Error> {
        check(path)?;
        let path = &resolved(path);
        let lock = Lock::take(path)?;
        let mut output = Output::open(path)?;
        let (standing, whole_bytes) = match policy.force {
            true => (Standing::none(path), 0),
            false => {
                let from = BufReader::with_capacity(READ_BYTES, output.file());
                Standing::read(from, path, run, policy)?
            }
        };
        output.keep(whole_bytes);
        let (run, fsync) = (run.clone(), policy.fsync);
        Ok((Self { output, run, fsync, written: 0, unflushed: 0, unflushed_since: None, lock }, standing))
    }

    /// Appends a record, and flushes it if it is time.
    ///
    /// # Errors
    /// It cannot be written; nothing of it is left then, unless the error says so. It cannot be flushed.
    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        let line = record.line(&self.run);
        if let Err(source) = self.output.append(line.as_bytes()) {
            let (path, half) = (self.path().to_owned(), !self.output.is_whole());
            return Err(Error::Append { path, written: self.written, half, source });
        }
        self.written += 1;
        self.unflushed += 1;
        self.unflushed_since.get_or_insert_with(Instant::now);
        match self.fsync {
            Fsync::EachRecord => self.sync(),
            Fsync::EverySecond => self.sync_if_due(),
        }
    }

    /// How long until records are to be flushed; `None` while all are.
    pub fn sync_due_in(&self) -> Option<Duration> {
        self.unflushed_since.map(|since| FLUSH_AFTER.saturating_sub(since.elapsed()))
    }

    /// Flushes if it is time: to be called at least about once a second.
    ///
    /// # Errors
    /// Records that cannot be flushed.
    pub fn sync_if_due(&mut self) -> Result<(), Error> {
        match self.sync_due_in() {
            Some(Duration::ZERO) => self.sync(),
            _ => Ok(()),
        }
    }

    /// Flushes all records.
    ///
    /// # Errors
    /// Records that cannot be flushed.
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.unflushed > 0 {
            let (path, unflushed) = (self.path(), self.unflushed);
            let failed = |source| Error::Flush { path: path.to_owned(), unflushed, source };
            self.output.sync().map_err(failed)?;
        }
        (self.unflushed, self.unflushed_since) = (0, None);
        Ok(())
    }

    /// The last record of an id, of those that were there when the output was opened; `None` if it had none.
    ///
    /// # Errors
    /// A file that cannot be read, or has changed since.
    pub fn read(&self, standing: &Standing, id: &str) -> Result<Option<Map<String, Value>>, Error> {
        let Some(place) = standing.place(id) else { return Ok(None) };
        let line = read_line(self.output.file(), place).map_err(Error::read(self.path()))?;
        match serde_json::from_slice::<Map<String, Value>>(&line) {
            Ok(record) if record.get("id").and_then(Value::as_str) == Some(id) => Ok(Some(record)),
            _ => Err(Error::Changed { path: self.path().to_owned(), id: id.to_owned() }),
        }
    }

    /// Where the output is.
    pub fn path(&self) -> &Path {
        self.output.path()
    }

    /// The run whose records it takes.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// How many records this run has written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The process that had the output before and ended without letting go of it.
    pub fn taken_over_from(&self) -> Option<&Holder> {
        self.lock.previous()
    }

    /// Cuts off what is not whole, flushes, and lets go of the output. Dropped without it, a journal lets go too, and
    /// what is written is in the file.
    ///
    /// # Errors
    /// Records that cannot be flushed.
    pub fn close(mut self) -> Result<(), Error> {
        self.output.cut().map_err(Error::write(self.output.path()))?;
        self.sync()
    }
}

/// Where a link leads, to nothing yet perhaps, so that all who name the file lock the same; other paths as they are.
fn resolved(path: &Path) -> PathBuf {
    match (path.read_link(), path.canonicalize()) {
        (Err(_), _) => path.to_owned(),
        (Ok(_), Ok(path)) => path,
        (Ok(target), Err(_)) => path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target)),
    }
}
