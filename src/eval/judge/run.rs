//! Many questions to a judge: a bounded number at a time, each answer stored as it comes, so that a run can go on where
//! another ended.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, ClientError};
use super::messages::{Question, Side, request_body};
use super::reply::{Verdict, verdict};
use super::retry::{Attempt, Outcome, Persistence, Retry, Step};

/// A pause is looked up from this often.
const BLINK: Duration = Duration::from_millis(50);

/// What is to be judged of one row, or of one pair of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Names it among all.
    pub id: String,
    /// The question with its answers.
    pub question: Question,
    /// On which sides, in this order.
    pub sides: &'static [Side],
}

/// What one side came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The task.
    pub id: String,
    /// The side.
    pub side: Side,
    /// The verdict; `None` where there is none: the reply cannot be read, or patience ended.
    pub verdict: Option<Verdict>,
    /// Whether the verdict is the harness's for failures, and no judge's.
    pub is_by_failure: bool,
    /// The judge's words.
    pub reply: Option<String>,
    /// The judge's name, by its own word.
    pub model: Option<String>,
    /// Requests made.
    pub requests: u32,
    /// What went wrong last.
    pub reason: Option<String>,
}

/// Where verdicts are kept.
pub trait Store {
    /// Whether the verdicts of a task are all there.
    fn has(&self, id: &str) -> bool;

    /// Keeps what all sides of a task came to.
    ///
    /// # Errors
    /// They cannot be kept, at which the run ends.
    fn put(&mut self, judged: Vec<Judged>) -> std::io::Result<()>;
}

/// Why a run ended before its end. What was stored stays stored.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No question would fare better.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A verdict cannot be kept.
    #[error("a verdict cannot be stored")]
    Store(#[from] std::io::Error),
    /// The run was stopped from outside.
    #[error("stopped")]
    Stopped,
}

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The judge.
    pub model: &'a str,
    /// How failures are taken.
    pub persistence: Persistence,
    /// Questions at a time.
    pub at_once: usize,
    /// Set from outside to end the run; questions that are open then are asked again by the next.
    pub stop: &'a AtomicBool,
}

/// Asks about all tasks that the store does not have, and gives how many those are.
///
/// # Errors
/// The server refuses us, a verdict cannot be stored, or the run was stopped.
pub fn judge_all(
    client: &Client,
    manner: Manner<'_>,
    tasks: &[Task],
    store: &mut dyn Store,
) -> Result<usize, RunError> {
    let open: Vec<&Task> = tasks.iter().filter(|task| !store.has(&task.id)).collect();
    let (next, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let refused: Mutex<Option<ClientError>> = Mutex::new(None);
    let worker = |done: Sender<Vec<Judged>>| {
        let asker = Asker { client, manner, ends: &ends };
        while let Some(task) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            match asker.judge(task) {
                Ok(Some(judged)) => {
                    if done.send(judged).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    ends.store(true, Ordering::Relaxed);
                    // Of several refusals the first is told.
                    if let Ok(mut refused) = refused.lock() {
                        refused.get_or_insert(error);
                    }
                    return;
                }
            }
        }
    };
    let stored = thread::scope(|scope| {
        let (done, judged) = channel();
        for _ in 0..manner.at_once.clamp(1, open.len().max(1)) {
            let done = done.clone();
            scope.spawn(move || worker(done));
        }
        drop(done);
        let mut stored = Ok(());
        for judged in judged {
            if stored.is_ok() {
                stored = store.put(judged);
                ends.fetch_or(stored.is_err(), Ordering::Relaxed);
            }
        }
        stored
    });
    stored?;
    if let Some(error) = refused.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error.into());
    }
    match manner.stop.load(Ordering::Relaxed) {
        true => Err(RunError::Stopped),
        false => Ok(open.len()),
    }
}

/// One of those that ask at a time.
struct Asker<'a> {
    client: &'a Client,
    manner: Manner<'a>,
    /// The run ends, for whatever reason.
    ends: &'a AtomicBool,
}

impl Asker<'_> {
    fn is_over(&self) -> bool {
        self.ends.load(Ordering::Relaxed) || self.manner.stop.load(Ordering::Relaxed)
    }

    /// All sides of a task; `None` where the run ends meanwhile. Where one side fails, the harness asks for no other,
    /// and all sides of the task get its verdict for failures.
    fn judge(&self, task: &Task) -> Result<Option<Vec<Judged>>, ClientError> {
        let mut all = Vec::new();
        for &side in task.sides {
            let Some((judged, outcome)) = self.judge_side(task, side)? else { return Ok(None) };
            if outcome == Outcome::Failed {
                let of = |&side: &Side| {
                    let verdict = match self.manner.persistence {
                        Persistence::AsHarness => verdict(side, &outcome).ok(),
                        Persistence::Patient { .. } => None,
                    };
                    let is_by_failure = verdict.is_some();
                    Judged { side, verdict, is_by_failure, ..judged.clone() }
                };
                return Ok(Some(task.sides.iter().map(of).collect()));
            }
            all.push(judged);
        }
        Ok(Some(all))
    }

    fn judge_side(&self, task: &Task, side: Side) -> Result<Option<(Judged, Outcome)>, ClientError> {
        let body = request_body(self.manner.model, side, &task.question);
        let mut retry = Retry::new(side, self.manner.persistence);
        let mut reason = None;
        loop {
            if self.is_over() {
                return Ok(None);
            }
            let answer = self.client.ask(&body)?;
            let model = model(&answer.attempt);
            reason = Some(answer.reason).filter(|reason| !reason.is_empty()).or(reason);
            match retry.after(answer.attempt, answer.retry_after) {
                Step::Again { pause } => self.wait(pause),
                Step::Done(outcome) => {
                    let reply = match &outcome {
                        Outcome::Reply(reply) => Some(reply.clone()),
                        Outcome::NoReply | Outcome::Failed => None,
                    };
                    let verdict = verdict(side, &outcome).ok();
                    let is_by_failure = reply.is_none() && verdict.is_some();
                    let (id, requests) = (task.id.clone(), retry.attempts());
                    let judged = Judged { id, side, verdict, is_by_failure, reply, model, requests, reason };
                    return Ok(Some((judged, outcome)));
                }
            }
        }
    }

    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_over() {
            match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return,
                rest => thread::sleep(rest.min(BLINK)),
            }
        }
    }
}

/// The name that a judge gives itself.
fn model(attempt: &Attempt) -> Option<String> {
    let Attempt::Answer { body, .. } = attempt else { return None };
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(value.get("model")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests;
