//! What an output says of each input: done, failed, or asked something else by now.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::lines::{Line, Lines, Place};
use super::policy::Policy;
use crate::batch::job::Job;
use crate::batch::record::{Run, Status};
use crate::batch::shard::Shard;

/// How many ids of changed inputs are kept for a message.
const CHANGED_IDS: usize = 3;

/// Where an input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Nothing is left to do.
    Done {
        /// What came of it; never [`Status::Error`].
        status: Status,
    },
    /// Its last record says that it failed.
    Failed {
        /// Whether it may succeed at another time.
        retryable: bool,
    },
    /// It has no record.
    ToDo,
    /// Its last record is of another input with the same id.
    Changed,
}

/// How many inputs stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Nothing is left to do.
    pub done: usize,
    /// Failed for good.
    pub failed: usize,
    /// Failed, and may succeed at another time.
    pub retryable: usize,
    /// Without a record.
    pub to_do: usize,
    /// To do again, since they changed.
    pub changed: usize,
    /// Ids in the output that no input has.
    pub unknown: usize,
}

/// What the output said when it was opened.
#[derive(Debug)]
pub struct Standing {
    last: HashMap<Box<str>, Last>,
    others: BTreeMap<String, usize>,
    torn_bytes: u64,
    path: PathBuf,
    allows_changes: bool,
}

/// What is kept of an id's last record.
#[derive(Debug)]
struct Last {
    place: Place,
    /// `None` of what is no digest of a job, and equals none.
    job: Option<u64>,
    status: Status,
    retryable: bool,
}

impl Standing {
    /// Of an output that is started over.
    pub(super) fn none(path: &Path) -> Self {
        Self {
            last: HashMap::new(),
            others: BTreeMap::new(),
            torn_bytes: 0,
            path: path.to_owned(),
            allows_changes: true,
        }
    }

    /// Reads the whole output; the length of its whole records comes with it.
    ///
    /// # Errors
    /// Lines that are no records; records of another division of the inputs, or of other runs where the policy does
    /// not allow them.
    pub(super) fn read(from: impl BufRead, path: &Path, run: &Run, policy: Policy) -> Result<(Self, u64), Error> {
        let mut standing = Self { allows_changes: policy.new_digest, ..Self::none(path) };
        let mut lines = Lines::new(from, path);
        let mut shares = Shares::default();
        while let Some(line) = lines.next()? {
            if line.head.digest == run.digest {
                shares.add(&line, run.shard);
            }
            standing.add(line, run);
        }
        if let Some((line, stored)) = shares.unlike(run.shard) {
            return Err(Error::OtherShard { path: path.to_owned(), line, stored, own: run.shard });
        }
        if !policy.new_digest && !standing.others.is_empty() {
            let mut others: Vec<_> = standing.others.into_iter().collect();
            others.sort_by(|(_, a), (_, b)| b.cmp(a));
            return Err(Error::OtherRun { path: path.to_owned(), digest: run.digest.clone(), others });
        }
        standing.torn_bytes = lines.torn_bytes();
        Ok((standing, lines.end_bytes()))
    }

    fn add(&mut self, Line { place, head, .. }: Line, run: &Run) {
        if head.digest != run.digest {
            *self.others.entry(head.digest).or_default() += 1;
            return;
        }
        let retryable = head.error.is_some_and(|error| error.retryable);
        let last = Last { place, job: job_number(&head.job), status: head.status, retryable };
        self.last.insert(head.id.into_boxed_str(), last);
    }

    /// Where an input stands.
    pub fn of(&self, job: &Job) -> JobState {
        match self.last.get(job.id.as_str()) {
            None => JobState::ToDo,
            // Of a line that held no input, as `worker` records it: whatever the id now means was never tried.
            Some(last) if last.job.is_none() => JobState::Failed { retryable: true },
            Some(last) if last.job != job_number(&job.digest()) => JobState::Changed,
            Some(last) if last.status.is_done() => JobState::Done { status: last.status },
            Some(last) => JobState::Failed { retryable: last.retryable },
        }
    }

    /// Counts where all inputs stand that this run could write a record of.
    ///
    /// # Errors
    /// Inputs that changed, where the policy allows no new digest.
    pub fn survey<'a>(&self, jobs: impl IntoIterator<Item = &'a Job>) -> Result<Survey, Error> {
        let (mut survey, mut changed) = (Survey::default(), Vec::new());
        for job in jobs {
            match self.of(job) {
                JobState::Done { .. } => survey.done += 1,
                JobState::Failed { retryable: false } => survey.failed += 1,
                JobState::Failed { retryable: true } => survey.retryable += 1,
                JobState::ToDo => survey.to_do += 1,
                JobState::Changed => {
                    survey.changed += 1;
                    if changed.len() < CHANGED_IDS {
                        changed.push(job.id.clone());
                    }
                }
            }
        }
        if survey.changed > 0 && !self.allows_changes {
            return Err(Error::ChangedInputs { path: self.path.clone(), ids: changed, count: survey.changed });
        }
        let known = survey.done + survey.failed + survey.retryable + survey.changed;
        survey.unknown = self.last.len().saturating_sub(known);
        Ok(survey)
    }

    /// The length of the torn record at the end, which goes before the first record is written; 0 if there is none.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The digests of other runs in the output, and how many records have each.
    pub fn others(&self) -> &BTreeMap<String, usize> {
        &self.others
    }

    /// Where the last record of an id is.
    pub(super) fn place(&self, id: &str) -> Option<Place> {
        self.last.get(id).map(|last| last.place)
    }
}

/// Which shares of the inputs an output's records are of. A process writes those of its own share only, so an output
/// with several was joined, and a run over all inputs goes on with it.
#[derive(Default)]
struct Shares {
    first: Option<Option<Shard>>,
    is_joined: bool,
    /// The first line of another share than the run's, and that share.
    other: Option<(usize, Option<Shard>)>,
}

impl Shares {
    fn add(&mut self, line: &Line, own: Option<Shard>) {
        let shard = line.head.shard;
        self.is_joined |= *self.first.get_or_insert(shard) != shard;
        if shard != own {
            self.other.get_or_insert((line.number, shard));
        }
    }

    /// The first line that a run of the share `own` cannot go on with, and what share it is of.
    fn unlike(self, own: Option<Shard>) -> Option<(usize, Option<Shard>)> {
        self.other.filter(|_| own.is_some() || !self.is_joined)
    }
}

/// The digest of a job, which has 16 hexadecimal digits, as a number.
fn job_number(digest: &str) -> Option<u64> {
    u64::from_str_radix(digest, 16).ok()
}
