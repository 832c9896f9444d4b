//! The loop of a batch: jobs go to threads that look at clips ahead of the model, what these saw goes to the model, and
//! what the model answers goes to the output.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use super::job::Job;
use super::record::Failure;

/// How often the loop looks around while there is nothing to compute.
const POLL: Duration = Duration::from_millis(20);

/// Looks at clips, on several threads at once.
pub trait Scout: Sync {
    /// What was seen of a clip, or of one window of it.
    type Seen: Send;

    /// Looks at a job's clip and hands over each piece of it: one, or one a window. `hand_over` waits while the model
    /// is behind, and returns false once nothing more is wanted.
    ///
    /// # Errors
    /// A clip that cannot be looked at; pieces handed over before stay.
    fn look(&self, job: &Job, hand_over: &mut dyn FnMut(Self::Seen) -> bool) -> Result<(), Failure>;
}

/// One piece of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The job, by its place in the list.
    pub job: usize,
    /// The piece of it, counted from 0.
    pub index: usize,
}

/// Answers about what was seen, several pieces at once: the model, or what stands in for it in tests.
pub trait Answerer {
    /// What it answers about.
    type Seen;
    /// What comes of a piece.
    type Answered;

    /// Whether another piece can begin.
    fn has_room(&self) -> bool;

    /// Whether no piece is being answered.
    fn is_idle(&self) -> bool;

    /// Begins to answer a piece; its end is told by [`Self::step`].
    fn begin(&mut self, piece: Piece, job: &Job, seen: Self::Seen);

    /// Computes a little of every piece that was begun, and returns those that ended.
    fn step(&mut self) -> Vec<(Piece, Result<Self::Answered, Failure>)>;
}

/// Which job is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This one, by its place in the list.
    Job(usize),
    /// None now; perhaps later.
    Wait,
    /// None any more.
    Over,
}

/// What came of a job.
#[derive(Debug)]
pub struct Finished<A> {
    /// What came of each piece, in order.
    pub pieces: Vec<Result<A, Failure>>,
    /// Why the clip could not be looked at, if so.
    pub failure: Option<Failure>,
}

/// Whether the loop is to end before its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// No.
    No,
    /// After the jobs that the model has begun.
    WhenBegunAreDone,
    /// At once.
    Now,
}

/// Where jobs come from, and where their results go. All of it is called by the thread that computes.
pub trait Desk<A> {
    /// What ends the loop with an error.
    type Error;

    /// The next job to look at.
    ///
    /// # Errors
    /// What ends the batch.
    fn next(&mut self) -> Result<Next, Self::Error>;

    /// Takes what came of a job.
    ///
    /// # Errors
    /// What ends the batch.
    fn finish(&mut self, job: usize, finished: Finished<A>) -> Result<(), Self::Error>;

    /// Called between steps, and often while there is nothing to do: says whether to stop.
    ///
    /// # Errors
    /// What ends the batch.
    fn look_around(&mut self) -> Result<Stop, Self::Error>;
}

/// How far the loop goes ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Threads that look at clips.
    pub scouts: usize,
    /// Pieces that wait for the model at most, beside one in the hands of each thread.
    pub queue: usize,
    /// Jobs that have begun in any way and are not finished, at most.
    pub jobs_in_flight: usize,
    /// Whether results keep the order in which [`Desk::next`] gave the jobs.
    pub is_ordered: bool,
}

/// Runs until the desk has no job any more and all are finished, or until it says stop; returns whether that came
/// first.
///
/// # Errors
/// What the desk fails with.
pub fn run<J, S, A, D>(jobs: &[J], scout: &S, answerer: &mut A, desk: &mut D, pace: Pace) -> Result<bool, D::Error>
where
    J: AsRef<Job> + Sync,
    S: Scout,
    A: Answerer<Seen = S::Seen>,
    D: Desk<A::Answered>,
{
    let (to_scouts, orders) = sync_channel::<usize>(pace.jobs_in_flight.max(1));
    let (report, reports) = sync_channel(pace.queue);
    let orders = Mutex::new(orders);
    thread::scope(|scope| {
        for _ in 0..pace.scouts.max(1) {
            let (orders, report) = (&orders, report.clone());
            scope.spawn(move || look_ahead(jobs, scout, orders, &report));
        }
        drop(report);
        // The channels end with the loop, and the threads with them.
        Loop { jobs, answerer, desk, pace, to_scouts, reports, states: BTreeMap::new(), order: VecDeque::new() }.run()
    })
}

/// What a thread that looks at clips tells.
enum Report<S> {
    Seen(Piece, S),
    /// No piece comes after these.
    Over {
        job: usize,
        pieces: usize,
        failure: Option<Failure>,
    },
}

/// Looks at one ordered job after the other, until there are none.
fn look_ahead<J: AsRef<Job>, S: Scout>(
    jobs: &[J],
    scout: &S,
    orders: &Mutex<Receiver<usize>>,
    report: &SyncSender<Report<S::Seen>>,
) {
    let next = || orders.lock().ok()?.recv().ok();
    while let Some(job) = next() {
        let mut pieces = 0;
        let mut hand_over = |seen| {
            let piece = Piece { job, index: pieces };
            pieces += 1;
            report.send(Report::Seen(piece, seen)).is_ok()
        };
        // One clip that breaks the program must not take the batch with it.
        let looked = catch_unwind(AssertUnwindSafe(|| scout.look(jobs[job].as_ref(), &mut hand_over)));
        let failure = match looked {
            Ok(looked) => looked.err(),
            Err(_) => Some(Failure::new("internal", "looking at the clip panicked", false)),
        };
        if report.send(Report::Over { job, pieces, failure }).is_err() {
            return;
        }
    }
}

/// A job between its order and its end.
struct State<A> {
    /// What came of pieces so far.
    pieces: BTreeMap<usize, Result<A, Failure>>,
    /// Whether the model has seen one.
    is_begun: bool,
    /// How many pieces there are, and why not more, once that is known.
    looked: Option<(usize, Option<Failure>)>,
}

impl<A> State<A> {
    fn is_finished(&self) -> bool {
        self.looked.as_ref().is_some_and(|(pieces, _)| self.pieces.len() == *pieces)
    }
}

struct Loop<'r, J, A: Answerer, D> {
    jobs: &'r [J],
    answerer: &'r mut A,
    desk: &'r mut D,
    pace: Pace,
    to_scouts: SyncSender<usize>,
    reports: Receiver<Report<A::Seen>>,
    states: BTreeMap<usize, State<A::Answered>>,
    /// The jobs in flight, in the order in which they were given.
    order: VecDeque<usize>,
}

impl<J: AsRef<Job>, A: Answerer, D: Desk<A::Answered>> Loop<'_, J, A, D> {
    fn run(mut self) -> Result<bool, D::Error> {
        let mut is_over = false;
        loop {
            let stop = self.desk.look_around()?;
            if stop == Stop::Now || (stop == Stop::WhenBegunAreDone && !self.has_begun()) {
                return Ok(false);
            }
            let is_stopping = stop != Stop::No;
            if !is_over && !is_stopping {
                is_over = self.order_jobs()? == Next::Over;
            }
            if is_over && self.order.is_empty() {
                return Ok(true);
            }
            if is_stopping {
                self.leave_unbegun();
            }
            self.take_reports();
            for (piece, outcome) in self.answerer.step() {
                self.states.get_mut(&piece.job).expect("a job in flight").pieces.insert(piece.index, outcome);
            }
            self.finish_jobs()?;
        }
    }

    /// Whether the model works on a job, or has worked on a part of one.
    fn has_begun(&self) -> bool {
        self.states.values().any(|state| state.is_begun)
    }

    /// What has not begun when the end is near is left for another time, and nothing that has begun waits for it.
    fn leave_unbegun(&mut self) {
        self.states.retain(|_, state| state.is_begun || state.is_finished());
        self.order.retain(|job| self.states.contains_key(job));
    }

    fn order_jobs(&mut self) -> Result<Next, D::Error> {
        while self.order.len() < self.pace.jobs_in_flight.max(1) {
            match self.desk.next()? {
                Next::Job(job) => {
                    self.states.insert(job, State { pieces: BTreeMap::new(), is_begun: false, looked: None });
                    self.order.push_back(job);
                    // There is room for as many as can be in flight, and the threads outlive the loop.
                    let _ = self.to_scouts.try_send(job);
                }
                none => return Ok(none),
            }
        }
        Ok(Next::Wait)
    }

    /// Takes what was seen while the model has room; waits a little where it has nothing to do.
    fn take_reports(&mut self) {
        while self.answerer.has_room() {
            let report = match self.answerer.is_idle() {
                true => match self.reports.recv_timeout(POLL) {
                    Ok(report) => report,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
                },
                false => match self.reports.try_recv() {
                    Ok(report) => report,
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
                },
            };
            let (Report::Seen(Piece { job, .. }, _) | Report::Over { job, .. }) = &report;
            // It may have been left for another time.
            let Some(state) = self.states.get_mut(job) else { continue };
            match report {
                Report::Seen(piece, seen) => {
                    state.is_begun = true;
                    self.answerer.begin(piece, self.jobs[piece.job].as_ref(), seen);
                }
                Report::Over { pieces, failure, .. } => {
                    state.looked = Some((pieces, failure));
                    if state.is_finished() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives the desk what is finished, in order where that is wanted.
    fn finish_jobs(&mut self) -> Result<(), D::Error> {
        let mut place = 0;
        while let Some(&job) = self.order.get(place) {
            if self.states.get(&job).is_some_and(State::is_finished) {
                self.order.remove(place);
                let state = self.states.remove(&job).expect("a job in flight");
                let failure = state.looked.and_then(|(_, failure)| failure);
                self.desk.finish(job, Finished { pieces: state.pieces.into_values().collect(), failure })?;
            } else if self.pace.is_ordered {
                return Ok(());
            } else {
                place += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
