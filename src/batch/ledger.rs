//! The books of a batch: which input is next, and everything that is written of what came of it. A record goes to the
//! output first, what others are told and the files beside the clip come after it and are made up for where a kill came
//! in between.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::claim;
use super::claim::{ClaimError, Claims, End, Lease, Queue};
use super::inputs::Input;
use super::job::Job;
use super::journal::{self, JobState, Journal, Standing};
use super::record::{Failure, Record, Status};
use super::schedule::{Desk, Finished, Next, Stop};
use super::sidecar::{self, Format, Layout, Part, WriteError};

/// What ends a batch.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The output.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The folder that is shared with other processes.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A file beside a clip.
    #[error(transparent)]
    Sidecar(#[from] WriteError),
}

impl LedgerError {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Journal(error) => error.hint(),
            Self::Claim(_) => None,
            Self::Sidecar(_) => Some("every record that was written stays; the same command goes on".to_owned()),
        }
    }
}

/// Files beside the clips.
#[derive(Debug, Clone)]
pub struct Sidecars {
    /// Which, and where.
    pub layout: Layout,
    /// Whether files that are there are replaced; otherwise an input that has all of its files is skipped.
    pub overwrite: bool,
}

/// What is recorded of a job.
#[derive(Debug)]
pub struct Made {
    /// What came of it.
    pub status: Status,
    /// Why it failed; with [`Status::Error`].
    pub failure: Option<Failure>,
    /// Answers, and everything that led to them.
    pub body: Map<String, Value>,
}

impl Made {
    /// The record of the input that it is about.
    pub fn of(self, job: &Job) -> Record {
        let Self { status, failure, body } = self;
        Record { id: job.id.clone(), job: job.digest(), status, failure, body }
    }
}

/// What others are told of a job: it failed where one of its records says so.
fn end(records: &[Record]) -> End {
    let worst = records.iter().find(|record| !record.status.is_done()).or(records.first());
    let retryable = |record: &Record| record.failure.as_ref().is_some_and(|failure| failure.retryable);
    End { status: worst.map_or(Status::Skipped, |record| record.status), retryable: worst.is_some_and(retryable) }
}

/// Told what becomes of the batch.
pub trait Onlooker {
    /// A record was written.
    fn recorded(&mut self, record: &Record);

    /// Called often: whether to stop.
    fn stop(&mut self) -> Stop;
}

/// The books. A job may stand for several records: `recorder` makes of what came of it what is recorded.
pub struct Ledger<'b, R, O> {
    inputs: &'b [Input],
    todo: Todo,
    journal: Journal,
    sidecars: Option<Sidecars>,
    recorder: R,
    onlooker: &'b mut O,
}

/// The inputs that are left.
enum Todo {
    Alone(VecDeque<usize>),
    Shared(Box<Shared>),
}

/// Those that several processes share.
struct Shared {
    claims: Claims,
    queue: Queue,
    /// Of the inputs in the queue.
    places: Vec<usize>,
    /// What this process works on.
    leases: HashMap<usize, Lease>,
}

impl<'b, R, O: Onlooker> Ledger<'b, R, O> {
    /// The books of a run whose output says what `standing` holds, with `todo` to do, by their places among `inputs`.
    /// With `claims`, each of these is done by the process that gets it first. Files beside clips that are done and
    /// lack them are written at once. `recorder` makes of what came of a job, by its place, what is recorded of it.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn open<A>(
        inputs: &'b [Input],
        todo: Vec<usize>,
        (journal, standing): (Journal, &Standing),
        claims: Option<Claims>,
        sidecars: Option<Sidecars>,
        recorder: R,
        onlooker: &'b mut O,
    ) -> Result<Self, LedgerError>
    where
        R: FnMut(usize, Finished<A>) -> Vec<Record>,
    {
        for input in inputs {
            let JobState::Done { status } = standing.of(&input.job) else { continue };
            if let Some(claims) = &claims {
                claims.tell(&input.job.id, &input.job.digest(), End { status, retryable: false })?;
            }
            if let Some(sidecars) = sidecars.as_ref().filter(|_| status != Status::Skipped) {
                sidecars.make_up_for(input, &journal, standing)?;
            }
        }
        let todo = match claims {
            None => Todo::Alone(todo.into()),
            Some(claims) => {
                let digests: Vec<String> = todo.iter().map(|&job| inputs[job].job.digest()).collect();
                let items =
                    todo.iter().zip(&digests).map(|(&job, digest)| (inputs[job].job.id.as_str(), digest.as_str()));
                let queue = Queue::new(&claims, items);
                Todo::Shared(Box::new(Shared { claims, queue, places: todo, leases: HashMap::new() }))
            }
        };
        Ok(Self { inputs, todo, journal, sidecars, recorder, onlooker })
    }

    /// Flushes the output and lets go of it; what was claimed and is not done is given back. An output that was to be
    /// started over stays as it was where the batch ended before its first record.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn close(self, is_complete: bool) -> Result<(), LedgerError> {
        if let Todo::Shared(shared) = self.todo {
            shared.claims.leave()?;
        }
        match is_complete || self.journal.written() > 0 {
            true => Ok(self.journal.close()?),
            false => Ok(()),
        }
    }

    fn record(&mut self, job: usize, records: &[Record]) -> Result<(), LedgerError> {
        let permit = match &mut self.todo {
            Todo::Alone(_) => None,
            Todo::Shared(shared) => {
                let Some(lease) = shared.leases.remove(&job) else { return Ok(()) };
                match shared.claims.may_write(lease)? {
                    Some(permit) => Some(permit),
                    // Somebody else took it over while this process was stopped, and its answers count.
                    None => return Ok(()),
                }
            }
        };
        if let Err(error) = records.iter().try_for_each(|record| self.journal.append(record)) {
            if let (Todo::Shared(shared), Some(permit)) = (&self.todo, permit) {
                shared.claims.withdraw(permit)?;
            }
            return Err(error.into());
        }
        if let (Todo::Shared(shared), Some(permit)) = (&self.todo, permit) {
            // What others hear of must be there for them to read.
            self.journal.sync()?;
            shared.claims.finish(permit, end(records))?;
        }
        for record in records {
            self.onlooker.recorded(record);
            if let Some(sidecars) = &self.sidecars
                && matches!(record.status, Status::Ok | Status::Truncated)
            {
                sidecars.write(&self.inputs[job], &record.value(self.journal.run()))?;
            }
        }
        Ok(())
    }

    fn next_job(&mut self) -> Result<Next, LedgerError> {
        match &mut self.todo {
            Todo::Alone(todo) => Ok(todo.pop_front().map_or(Next::Over, Next::Job)),
            Todo::Shared(shared) => Ok(match shared.queue.next(&shared.claims)? {
                claim::Next::Item(place, lease) => {
                    let job = shared.places[place];
                    shared.leases.insert(job, lease);
                    Next::Job(job)
                }
                claim::Next::Wait(_) => Next::Wait,
                claim::Next::Over => Next::Over,
            }),
        }
    }
}

impl<A, R, O> Desk<A> for Ledger<'_, R, O>
where
    R: FnMut(usize, Finished<A>) -> Vec<Record>,
    O: Onlooker,
{
    type Error = LedgerError;

    fn next(&mut self) -> Result<Next, LedgerError> {
        loop {
            let next = self.next_job()?;
            let Next::Job(job) = next else { return Ok(next) };
            let is_complete = |sidecars: &Sidecars| !sidecars.overwrite && sidecars.is_complete(&self.inputs[job]);
            if !self.sidecars.as_ref().is_some_and(is_complete) {
                return Ok(next);
            }
            let mut body = Map::new();
            body.insert("reason".to_owned(), json!("its files were there already"));
            let made = Made { status: Status::Skipped, failure: None, body };
            self.record(job, &[made.of(&self.inputs[job].job)])?;
        }
    }

    fn finish(&mut self, job: usize, finished: Finished<A>) -> Result<(), LedgerError> {
        let records = (self.recorder)(job, finished);
        // What a signal ended is not done, and no failure.
        if records.iter().filter_map(|record| record.failure.as_ref()).any(Failure::is_interrupt) {
            return Ok(());
        }
        self.record(job, &records)
    }

    fn look_around(&mut self) -> Result<Stop, LedgerError> {
        self.journal.sync_if_due()?;
        Ok(self.onlooker.stop())
    }
}

impl Sidecars {
    fn targets(&self, input: &Input) -> Vec<(Format, PathBuf)> {
        // A clip without a name was refused before anything began.
        self.layout.targets(input).unwrap_or_default()
    }

    fn is_complete(&self, input: &Input) -> bool {
        self.layout.is_complete(input).unwrap_or(false)
    }

    fn write(&self, input: &Input, record: &Value) -> Result<(), LedgerError> {
        for (format, target) in self.targets(input) {
            write_one(input, record, format, &target, self.overwrite)?;
        }
        Ok(())
    }

    /// Writes the files that a record's input lacks. Of those that are replaced nobody can see which a kill left as
    /// they were, so all are written.
    fn make_up_for(&self, input: &Input, journal: &Journal, standing: &Standing) -> Result<(), LedgerError> {
        let mut lacking = self.targets(input);
        lacking.retain(|(_, target)| self.overwrite || !target.exists());
        if lacking.is_empty() {
            return Ok(());
        }
        let Some(record) = journal.read(standing, &input.job.id)? else { return Ok(()) };
        let record = Value::Object(record);
        for (format, target) in lacking {
            write_one(input, &record, format, &target, self.overwrite)?;
        }
        Ok(())
    }
}

fn write_one(
    input: &Input,
    record: &Value,
    format: Format,
    target: &std::path::Path,
    overwrite: bool,
) -> Result<(), LedgerError> {
    let frames = &input.job.frames;
    let part = Part { start_secs: frames.start_secs, end_secs: frames.end_secs };
    // A record without an answer makes no file.
    if let Ok(content) = sidecar::render(format, record, part) {
        sidecar::write(target, &content, overwrite)?;
    }
    Ok(())
}
