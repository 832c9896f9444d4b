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
use crate::interrupt::{Interrupt, Interrupted};

/// A pause is looked up from this often.
const BLINK: Duration = Duration::from_millis(50);

/// A patient run ends after this many questions in a row to which no answer came, or as many as are asked at a time.
const MOST_IN_A_ROW: usize = 6;

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
    /// The name of what was asked, by [`request_key`].
    pub request: String,
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

/// Names a request by a digest of its body: judge, messages and settings.
pub fn request_key(model: &str, side: Side, question: &Question) -> String {
    key(&request_body(model, side, question))
}

fn key(body: &str) -> String {
    blake3::hash(body.as_bytes()).to_hex()[..32].to_owned()
}

/// Where verdicts are kept.
pub trait Store {
    /// Whether a request need not be made: what came of it is there.
    fn has(&self, request: &str) -> bool;

    /// Keeps what one side of a task came to, or all sides of one that failed.
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
    /// The server gives no answers.
    #[error("{host} gave no answer to {questions} questions in a row, the last time because of: {reason}")]
    NoAnswers {
        /// The server.
        host: String,
        /// How many.
        questions: usize,
        /// What went wrong last.
        reason: String,
    },
    /// A verdict cannot be kept.
    #[error("a verdict cannot be stored")]
    Store(#[from] std::io::Error),
    /// The run was stopped from outside.
    #[error("stopped")]
    Stopped(#[from] Interrupted),
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
    /// Ends the run; what is asked at that moment is still waited for and kept.
    pub interrupt: &'a Interrupt,
}

/// Asks about all sides of all tasks that the store does not have, and gives how many tasks have such.
///
/// # Errors
/// The server refuses us or does not answer, a verdict cannot be stored, or the run was stopped.
pub fn judge_all(
    client: &Client,
    manner: Manner<'_>,
    tasks: &[Task],
    store: &mut dyn Store,
) -> Result<usize, RunError> {
    let is_open = |task: &Task, side: Side| !store.has(&request_key(manner.model, side, &task.question));
    let open: Vec<(&Task, Vec<Side>)> = tasks
        .iter()
        .map(|task| (task, task.sides.iter().copied().filter(|&side| is_open(task, side)).collect::<Vec<_>>()))
        .filter(|(_, sides)| !sides.is_empty())
        .collect();
    let next = AtomicUsize::new(0);
    let common =
        Common { client, manner, ends: AtomicBool::new(false), in_a_row: AtomicUsize::new(0), hold: Mutex::new(None) };
    let ended: Mutex<Option<RunError>> = Mutex::new(None);
    let worker = |done: Sender<Vec<Judged>>| {
        while let Some((task, sides)) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = common.judge(task, sides, &done) {
                common.ends.store(true, Ordering::Relaxed);
                // Of several that end at this the first is told.
                if let Ok(mut ended) = ended.lock() {
                    ended.get_or_insert(error);
                }
            }
            if common.is_over() {
                return;
            }
        }
    };
    let stored = thread::scope(|scope| {
        let (done, judged) = channel();
        for _ in 0..manner.at_once.clamp(1, open.len().max(1)) {
            let done = done.clone();
            let worker = &worker;
            scope.spawn(move || worker(done));
        }
        drop(done);
        let mut stored = Ok(());
        for judged in judged {
            if stored.is_ok() {
                stored = store.put(judged);
                common.ends.fetch_or(stored.is_err(), Ordering::Relaxed);
            }
        }
        stored
    });
    stored?;
    if let Some(error) = ended.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    manner.interrupt.check()?;
    Ok(open.len())
}

/// What those that ask at a time have in common.
struct Common<'a> {
    client: &'a Client,
    manner: Manner<'a>,
    /// The run ends, for whatever reason.
    ends: AtomicBool,
    /// Questions without an answer since the last answer.
    in_a_row: AtomicUsize,
    /// The server asked for a pause until then, whoever asks.
    hold: Mutex<Option<Instant>>,
}

impl Common<'_> {
    fn is_over(&self) -> bool {
        self.ends.load(Ordering::Relaxed) || self.manner.interrupt.signal().is_some()
    }

    /// These sides of a task, each handed on as it comes; where the run ends meanwhile, fewer. Where one fails, the
    /// harness asks for no other, and all sides of the task get its verdict for failures.
    fn judge(&self, task: &Task, sides: &[Side], done: &Sender<Vec<Judged>>) -> Result<(), RunError> {
        for &side in sides {
            let Some((judged, outcome)) = self.judge_side(task, side)? else { return Ok(()) };
            let reason = judged.reason.clone().unwrap_or_default();
            let (judged, is_last) = match (&outcome, self.manner.persistence) {
                (Outcome::Failed, Persistence::AsHarness) => (self.failed(task, &judged), true),
                _ => (vec![judged], false),
            };
            // The receiver is there for as long as somebody asks.
            if done.send(judged).is_err() || is_last {
                return Ok(());
            }
            match outcome {
                Outcome::Failed => self.one_more_in_a_row(reason)?,
                Outcome::Reply(_) | Outcome::NoReply => self.in_a_row.store(0, Ordering::Relaxed),
            }
        }
        Ok(())
    }

    /// The harness's verdict for failures, on all sides.
    fn failed(&self, task: &Task, judged: &Judged) -> Vec<Judged> {
        let of = |&side: &Side| {
            let verdict = verdict(side, &Outcome::Failed).ok();
            let request = request_key(self.manner.model, side, &task.question);
            Judged { side, request, is_by_failure: verdict.is_some(), verdict, reply: None, ..judged.clone() }
        };
        task.sides.iter().map(of).collect()
    }

    fn one_more_in_a_row(&self, reason: String) -> Result<(), RunError> {
        let questions = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        match questions >= MOST_IN_A_ROW.max(self.manner.at_once) {
            true => Err(RunError::NoAnswers { host: self.client.host().to_owned(), questions, reason }),
            false => Ok(()),
        }
    }

    fn judge_side(&self, task: &Task, side: Side) -> Result<Option<(Judged, Outcome)>, ClientError> {
        let body = request_body(self.manner.model, side, &task.question);
        let mut retry = Retry::new(side, self.manner.persistence);
        let mut reason = None;
        loop {
            self.wait_until(self.hold.lock().ok().and_then(|hold| *hold));
            if self.is_over() {
                return Ok(None);
            }
            let answer = self.client.ask(&body)?;
            let model = model(&answer.attempt);
            reason = Some(answer.reason).filter(|reason| !reason.is_empty()).or(reason);
            if let Some(pause) = answer.retry_after {
                self.hold_for(pause);
            }
            match retry.after(answer.attempt, answer.retry_after) {
                Step::Again { pause } => self.wait_until(Instant::now().checked_add(pause)),
                Step::Done(outcome) => {
                    let reply = match &outcome {
                        Outcome::Reply(reply) => Some(reply.clone()),
                        Outcome::NoReply | Outcome::Failed => None,
                    };
                    let is_given_up =
                        outcome == Outcome::Failed && matches!(self.manner.persistence, Persistence::Patient { .. });
                    let verdict = if is_given_up { None } else { verdict(side, &outcome).ok() };
                    let is_by_failure = reply.is_none() && verdict.is_some();
                    let (id, request, requests) = (task.id.clone(), key(&body), retry.attempts());
                    let judged = Judged { id, side, request, verdict, is_by_failure, reply, model, requests, reason };
                    return Ok(Some((judged, outcome)));
                }
            }
        }
    }

    /// Nobody asks before then.
    fn hold_for(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause);
        if let Ok(mut hold) = self.hold.lock() {
            *hold = (*hold).max(until);
        }
    }

    fn wait_until(&self, until: Option<Instant>) {
        let Some(until) = until else { return };
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
