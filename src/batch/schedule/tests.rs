//! The loop with scripted threads and a scripted model.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proptest::prelude::*;

use super::super::job::JobFrames;
use super::*;

/// Pieces of a job by what its question says: so many pieces, or a failure after them.
struct Threads {
    /// How many looks are going on now, and the most that ever were.
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Scout for Threads {
    type Seen = String;

    fn look(&self, job: &Job, hand_over: &mut dyn FnMut(String) -> bool) -> Result<(), Failure> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        if job.id.contains("late") {
            thread::sleep(Duration::from_millis(500));
        }
        let pieces: usize = job.questions[0].parse().expect("a number of pieces");
        for piece in 0..pieces {
            if !hand_over(format!("{}.{piece}", job.id)) {
                break;
            }
        }
        if job.id.contains("slow") {
            thread::sleep(Duration::from_millis(2));
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
        match job.id.contains("panic") {
            true => panic!("as the test wants"),
            false if job.id.contains("broken") => Err(Failure::new("video", "broken", false)),
            false => Ok(()),
        }
    }
}

/// Answers each piece after as many steps as its text is long, `lanes` at once.
struct Model {
    lanes: usize,
    begun: Vec<(Piece, String, usize)>,
    most: usize,
}

impl Answerer for Model {
    type Seen = String;
    type Answered = String;

    fn has_room(&self) -> bool {
        self.begun.len() < self.lanes
    }

    fn is_idle(&self) -> bool {
        self.begun.is_empty()
    }

    fn begin(&mut self, piece: Piece, _: &Job, seen: String) {
        assert!(self.has_room());
        let steps = seen.len() % 4;
        self.begun.push((piece, seen, steps));
        self.most = self.most.max(self.begun.len());
    }

    fn step(&mut self) -> Vec<(Piece, Result<String, Failure>)> {
        self.begun.iter_mut().for_each(|(_, _, steps)| *steps = steps.saturating_sub(1));
        let (ended, going) = std::mem::take(&mut self.begun).into_iter().partition(|(.., steps)| *steps == 0);
        self.begun = going;
        let ended: Vec<(Piece, String, usize)> = ended;
        ended.into_iter().map(|(piece, seen, _)| (piece, Ok(seen.to_uppercase()))).collect()
    }
}

/// Gives the jobs in order, and keeps what came of them.
#[derive(Default)]
struct Office {
    total: usize,
    given: usize,
    finished: Vec<(usize, Vec<String>, bool)>,
    in_flight_most: usize,
    /// Fails at this finished job.
    fails_at: Option<usize>,
    /// Says stop after so many finished jobs.
    stops_after: Option<(usize, Stop)>,
    /// Says from then on that what is begun is to be done.
    stops_from: Option<Instant>,
    /// Waits every other time.
    hesitates: bool,
    waited: bool,
}

impl Desk<String> for Office {
    type Error = &'static str;

    fn next(&mut self) -> Result<Next, Self::Error> {
        self.waited = !self.waited;
        if self.hesitates && self.waited {
            return Ok(Next::Wait);
        }
        if self.given == self.total {
            return Ok(Next::Over);
        }
        self.given += 1;
        self.in_flight_most = self.in_flight_most.max(self.given - self.finished.len());
        Ok(Next::Job(self.given - 1))
    }

    fn finish(&mut self, job: usize, finished: Finished<String>) -> Result<(), Self::Error> {
        let answers = finished.pieces.into_iter().map(|piece| piece.expect("the model never fails")).collect();
        self.finished.push((job, answers, finished.failure.is_some()));
        match self.fails_at == Some(self.finished.len()) {
            true => Err("the disk is full"),
            false => Ok(()),
        }
    }

    fn look_around(&mut self) -> Result<Stop, Self::Error> {
        if self.stops_from.is_some_and(|from| from <= Instant::now()) {
            return Ok(Stop::WhenBegunAreDone);
        }
        Ok(self.stops_after.filter(|(after, _)| self.finished.len() >= *after).map_or(Stop::No, |(_, stop)| stop))
    }
}

fn job(id: String, pieces: usize) -> Job {
    let (questions, choices, frames) = (vec![pieces.to_string()], Vec::new(), JobFrames::default());
    Job { video: id.clone().into(), id, questions, choices, frames, max_new_tokens: None, meta: None }
}

fn jobs(pieces: &[usize]) -> Vec<Job> {
    pieces.iter().enumerate().map(|(index, &pieces)| job(format!("job{index}"), pieces)).collect()
}

fn go(jobs: &[Job], lanes: usize, office: &mut Office, pace: Pace) -> (Result<bool, &'static str>, usize, usize) {
    let threads = Threads { now: AtomicUsize::new(0), most: AtomicUsize::new(0) };
    let mut model = Model { lanes, begun: Vec::new(), most: 0 };
    office.total = jobs.len();
    let outcome = run(jobs, &threads, &mut model, office, pace);
    (outcome, model.most, threads.most.into_inner())
}

const PACE: Pace = Pace { scouts: 2, queue: 1, jobs_in_flight: 4, is_ordered: false };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_job_ends_once_with_all_its_pieces(
        pieces in prop::collection::vec(0usize..5, 0..20),
        lanes in 1usize..5,
        (scouts, queue, jobs_in_flight) in (1usize..4, 0usize..3, 1usize..6),
        is_ordered: bool,
        hesitates: bool,
    ) {
        let pace = Pace { scouts, queue, jobs_in_flight, is_ordered };
        let jobs = jobs(&pieces);
        let mut office = Office { hesitates, ..Office::default() };
        let (outcome, lanes_most, scouts_most) = go(&jobs, lanes, &mut office, pace);
        prop_assert_eq!(outcome, Ok(true));
        prop_assert!(lanes_most <= lanes && scouts_most <= scouts && office.in_flight_most <= jobs_in_flight);
        if is_ordered {
            prop_assert!(office.finished.is_sorted_by_key(|(job, ..)| *job));
        }
        prop_assert_eq!(office.finished.iter().map(|(job, ..)| *job).collect::<BTreeSet<_>>().len(), jobs.len());
        for (job, answers, failed) in office.finished {
            let expected: Vec<String> = (0..pieces[job]).map(|piece| format!("JOB{job}.{piece}")).collect();
            prop_assert_eq!(answers, expected);
            prop_assert!(!failed);
        }
    }
}

#[test]
fn what_cannot_be_looked_at_fails_alone() {
    let jobs = [job("a".into(), 1), job("broken".into(), 2), job("panic".into(), 0), job("slow".into(), 1)];
    let mut office = Office::default();
    assert_eq!(go(&jobs, 2, &mut office, PACE).0, Ok(true));
    office.finished.sort();
    let answers = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected = [
        (0, answers(&["A.0"]), false),
        (1, answers(&["BROKEN.0", "BROKEN.1"]), true),
        (2, answers(&[]), true),
        (3, answers(&["SLOW.0"]), false),
    ];
    assert_eq!(office.finished, expected);
}

#[test]
fn an_output_that_fails_ends_the_batch() {
    let mut office = Office { fails_at: Some(3), ..Office::default() };
    assert_eq!(go(&jobs(&[1; 50]), 2, &mut office, PACE).0, Err("the disk is full"));
    assert_eq!(office.finished.len(), 3);
}

#[test]
fn a_stop_leaves_the_rest() {
    for stop in [Stop::WhenBegunAreDone, Stop::Now] {
        let mut office = Office { stops_after: Some((5, stop)), ..Office::default() };
        assert_eq!(go(&jobs(&[3; 50]), 2, &mut office, PACE).0, Ok(false));
        assert!((5..15).contains(&office.finished.len()), "{}", office.finished.len());
        assert!(office.finished.iter().all(|(_, answers, _)| answers.len() == 3), "none is half done");
    }
}

/// A clip that takes its time must not keep the answers after it from an output that keeps the order.
#[test]
fn a_stop_waits_for_nothing_that_has_not_begun() {
    let jobs = [job("late".into(), 1), job("a".into(), 2), job("b".into(), 1), job("c".into(), 1)];
    let stops_from = Some(Instant::now() + Duration::from_millis(200));
    let mut office = Office { stops_from, ..Office::default() };
    let pace = Pace { is_ordered: true, ..PACE };
    assert_eq!(go(&jobs, 2, &mut office, pace).0, Ok(false));
    let finished: Vec<usize> = office.finished.iter().map(|(job, ..)| *job).collect();
    assert_eq!(finished, [1, 2, 3]);
}
