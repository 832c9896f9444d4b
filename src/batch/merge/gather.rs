//! Which record of which output counts: read once, line by line, with places kept and no record.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::Error;
use crate::batch::journal;
use crate::batch::journal::lines::{Line, Lines, Place};
use crate::batch::journal::{check, identity, read_line};
use crate::batch::record::Status;

/// How many outputs are open at once; there may be one of each of thousands of processes.
const OPEN_FILES: usize = 256;

/// An id's record.
#[derive(Debug)]
pub(super) struct Found {
    /// Which output it is in.
    output: usize,
    place: Place,
    /// Counts ids as they first appear.
    order: usize,
    pub(super) status: Status,
    job: Box<str>,
}

impl Found {
    pub(super) fn order(&self) -> usize {
        self.order
    }
}

/// What outputs hold of one run.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    outputs: &'a [PathBuf],
    pub(super) found: HashMap<Box<str>, Found>,
    /// Of all runs.
    pub(super) digests: BTreeMap<String, usize>,
    /// The run that counts: what was asked for, else the first one met.
    pub(super) digest: Option<String>,
    pub(super) doubled: usize,
    pub(super) torn: Vec<(PathBuf, u64)>,
    /// The shares met, by their number: which they are, and where the first one was.
    pub(super) divisions: BTreeMap<usize, (BTreeSet<usize>, usize)>,
    /// Whether a record is of a run over all inputs.
    pub(super) is_undivided: bool,
    lines: usize,
    files: HashMap<usize, File>,
}

impl<'a> Gathered<'a> {
    /// Reads all outputs.
    ///
    /// # Errors
    /// One that cannot be read or is none, or that is named twice; an id with two inputs or two answers.
    pub(super) fn read(outputs: &'a [PathBuf], digest: Option<&str>) -> Result<Self, Error> {
        refuse_twice(outputs)?;
        let mut gathered = Self {
            outputs,
            found: HashMap::new(),
            digests: BTreeMap::new(),
            digest: digest.map(str::to_owned),
            doubled: 0,
            torn: Vec::new(),
            divisions: BTreeMap::new(),
            is_undivided: false,
            lines: 0,
            files: HashMap::new(),
        };
        for output in 0..outputs.len() {
            let found = gathered.read_one(output)?;
            for (id, found) in found {
                gathered.add(id, found)?;
            }
        }
        Ok(gathered)
    }

    /// The last record of each id in an output.
    fn read_one(&mut self, output: usize) -> Result<HashMap<Box<str>, Found>, Error> {
        let path = &self.outputs[output];
        check(path)?;
        let file = File::open(path).map_err(journal::Error::read(path))?;
        let mut lines = Lines::new(BufReader::new(file), path);
        let mut found: HashMap<Box<str>, Found> = HashMap::new();
        while let Some(Line { place, head, .. }) = lines.next()? {
            self.lines += 1;
            let is_meant = *self.digest.get_or_insert_with(|| head.digest.clone()) == head.digest;
            *self.digests.entry(head.digest).or_default() += 1;
            if !is_meant {
                continue;
            }
            match head.shard {
                Some(shard) => {
                    let (indices, _) = self.divisions.entry(shard.count).or_insert_with(|| (BTreeSet::new(), output));
                    indices.insert(shard.index);
                }
                None => self.is_undivided = true,
            }
            let (status, job) = (head.status, head.job.into_boxed_str());
            match found.entry(head.id.into_boxed_str()) {
                Entry::Vacant(entry) => {
                    entry.insert(Found { output, place, order: self.lines, status, job });
                }
                Entry::Occupied(mut entry) => {
                    let order = entry.get().order;
                    entry.insert(Found { output, place, order, status, job });
                }
            }
        }
        if lines.torn_bytes() > 0 {
            self.torn.push((path.clone(), lines.torn_bytes()));
        }
        Ok(found)
    }

    /// Adds an id's record to what earlier outputs say of it.
    fn add(&mut self, id: Box<str>, new: Found) -> Result<(), Error> {
        let Some(old) = self.found.remove(&id) else {
            self.found.insert(id, new);
            return Ok(());
        };
        let (first, second) = (&self.outputs[old.output], &self.outputs[new.output]);
        if old.job != new.job {
            return Err(Error::OtherInput { id: id.into(), first: first.clone(), second: second.clone() });
        }
        let is_better = match (old.status.is_done(), new.status.is_done()) {
            (true, true) if self.answers(&id, &old)? != self.answers(&id, &new)? => {
                return Err(Error::Differs { id: id.into(), first: first.clone(), second: second.clone() });
            }
            (true, true) => {
                self.doubled += 1;
                false
            }
            (true, false) => false,
            (false, _) => true,
        };
        let order = old.order;
        self.found.insert(id, if is_better { Found { order, ..new } } else { old });
        Ok(())
    }

    /// What two processes must agree about.
    fn answers(&mut self, id: &str, found: &Found) -> Result<Said, Error> {
        let line = self.line(id, found)?;
        serde_json::from_slice(&line).map_err(|_| self.changed(id, found))
    }

    /// A record's line, its newline included.
    ///
    /// # Errors
    /// An output that cannot be read, or has changed since it was read first.
    pub(super) fn line(&mut self, id: &str, found: &Found) -> Result<Vec<u8>, Error> {
        let path = &self.outputs[found.output];
        if self.files.len() >= OPEN_FILES && !self.files.contains_key(&found.output) {
            self.files.clear();
        }
        let file = match self.files.entry(found.output) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(File::open(path).map_err(journal::Error::read(path))?),
        };
        let line = read_line(file, found.place).map_err(journal::Error::read(path))?;
        match serde_json::from_slice::<Named>(&line) {
            Ok(named) if named.id == id && line.ends_with(b"\n") => Ok(line),
            _ => Err(self.changed(id, found)),
        }
    }

    fn changed(&self, id: &str, found: &Found) -> Error {
        journal::Error::Changed { path: self.outputs[found.output].clone(), id: id.to_owned() }.into()
    }

    /// An output, for messages.
    pub(super) fn path(&self, output: usize) -> &Path {
        &self.outputs[output]
    }
}

/// A record by its id.
#[derive(Deserialize)]
struct Named {
    id: String,
}

/// What a record says.
#[derive(Debug, PartialEq, Deserialize)]
struct Said {
    status: Status,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    windows: Vec<Window>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Window {
    start_secs: Option<f64>,
    end_secs: Option<f64>,
    #[serde(default)]
    answers: Vec<Answer>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Answer {
    answer: Option<serde_json::Value>,
}

fn refuse_twice(outputs: &[PathBuf]) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for second in outputs {
        // What leads nowhere is told when it is read.
        let Some(identity) = identity(second) else { continue };
        if let Some(first) = seen.insert(identity, second) {
            return Err(Error::Twice { first: first.clone(), second: second.clone() });
        }
    }
    Ok(())
}
