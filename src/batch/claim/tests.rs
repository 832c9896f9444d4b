//! Claims within one process: what is taken, by whom, and what the dead leave.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::batch::record::{Failure, Record, Run, Status};

pub(super) const PACE: Pace = Pace { heartbeat: Duration::from_millis(50), stale: Duration::from_millis(500) };
pub(super) const OK: End = End { status: Status::Ok, retryable: false };
const RETRYABLE: End = End { status: Status::Error, retryable: true };
const FAILED: End = End { status: Status::Error, retryable: false };
pub(super) const DIGEST: &str = "digest";
pub(super) const JOB: &str = "job";

/// A folder of claims, and outputs beside it.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn claims(&self) -> PathBuf {
        self.0.path().join("claims")
    }

    pub(super) fn output(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.jsonl"))
    }

    fn join(&self, name: &str) -> Claims {
        self.join_to(name, false)
    }

    fn join_to(&self, name: &str, retry_errors: bool) -> Claims {
        Claims::join(&self.claims(), DIGEST, &self.output(name), PACE, retry_errors).expect("it joins")
    }

    /// How often each id is in the outputs.
    pub(super) fn answered(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in std::fs::read_dir(self.0.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                for line in std::fs::read_to_string(path).expect("text").split_inclusive('\n') {
                    let record: serde_json::Value = serde_json::from_str(line).expect("a whole record");
                    *counts.entry(record["id"].as_str().expect("an id").to_owned()).or_default() += 1;
                }
            }
        }
        counts
    }
}

pub(super) fn ids(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("clips/{i}.mp4")).collect()
}

pub(super) fn queue(claims: &Claims, ids: &[String]) -> Queue {
    Queue::new(claims, ids.iter().map(|id| (id.as_str(), JOB)))
}

/// Appends the record of an id that ended so, as a batch does.
pub(super) fn append(output: &Path, id: &str, end: End) {
    let failure = (end.status == Status::Error).then(|| Failure {
        kind: "test".to_owned(),
        message: String::new(),
        retryable: end.retryable,
    });
    let record =
        Record { id: id.to_owned(), job: JOB.to_owned(), status: end.status, failure, body: serde_json::Map::new() };
    let line = record.line(&Run { digest: DIGEST.to_owned(), shard: None });
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(output).expect("an output");
    file.write_all(line.as_bytes()).expect("room");
}

/// Answers all that it gets until nothing is left, `answer` being the work.
pub(super) fn work(claims: &Claims, ids: &[String], output: &Path, mut answer: impl FnMut()) {
    let mut queue = queue(claims, ids);
    loop {
        match queue.next(claims).expect("the folder is there") {
            Next::Over => return,
            Next::Wait(wait) => std::thread::sleep(wait),
            Next::Item(place, lease) => {
                answer();
                if let Some(permit) = claims.may_write(lease).expect("the folder is there") {
                    append(output, &ids[place], OK);
                    claims.finish(permit, OK).expect("the folder is there");
                }
            }
        }
    }
}

fn mine(claims: &Claims, id: &str) -> Lease {
    match claims.take(id, JOB).expect("the folder is there") {
        Taken::Mine(lease) => lease,
        other => panic!("{id} is {other:?}"),
    }
}

/// Asks until it is ours, as for an item of a process that died.
pub(super) fn mine_in_time(claims: &Claims, id: &str) -> Lease {
    let begun = std::time::Instant::now();
    loop {
        match claims.take(id, JOB).expect("the folder is there") {
            Taken::Mine(lease) => return lease,
            other => assert!(begun.elapsed() < Duration::from_secs(60), "{id} stays {other:?}"),
        }
        std::thread::sleep(PACE.heartbeat / 4);
    }
}

fn permit(claims: &Claims, lease: Lease) -> Permit {
    claims.may_write(lease).expect("the folder is there").expect("it is ours")
}

fn done(claims: &Claims, id: &str) -> Option<End> {
    match claims.take(id, JOB).expect("the folder is there") {
        Taken::Done(end) => Some(end),
        Taken::Mine(_) | Taken::Held => None,
    }
}

#[test]
fn an_item_is_taken_once_and_then_done() {
    let place = Place::new();
    let (a, b) = (place.join("a"), place.join("b"));
    let lease = mine(&a, "x");
    assert!(matches!(a.take("x", JOB), Ok(Taken::Held)), "by this process itself");
    assert!(matches!(b.take("x", JOB), Ok(Taken::Held)));
    let other = b.take("x", "changed").expect("the folder is there");
    assert!(matches!(other, Taken::Mine(_)), "another input under the same id");
    let held = permit(&a, lease);
    assert!(matches!(b.take("x", JOB), Ok(Taken::Held)));
    append(&place.output("a"), "x", OK);
    a.finish(held, OK).expect("the folder is there");
    std::thread::sleep(PACE.heartbeat);
    assert_eq!([done(&a, "x"), done(&b, "x"), done(&place.join("c"), "x")], [Some(OK); 3]);
}

#[test]
fn another_run_is_refused_and_a_pace_without_room() {
    let place = Place::new();
    let _claims = place.join("a");
    let join = |digest, pace| Claims::join(&place.claims(), digest, &place.output("b"), pace, false).map(drop);
    assert!(matches!(join("other", PACE), Err(ClaimError::AnotherRun { .. })));
    let pace = Pace { stale: 3 * PACE.heartbeat, ..PACE };
    assert!(matches!(join(DIGEST, pace), Err(ClaimError::Pace { .. })));
    assert!(matches!(join(DIGEST, Pace { heartbeat: Duration::ZERO, ..PACE }), Err(ClaimError::Pace { .. })));
}

#[test]
fn what_is_given_back_and_what_is_left_is_free_at_once() {
    let place = Place::new();
    let (a, b) = (place.join("a"), place.join("b"));
    a.release(mine(&a, "released")).expect("the folder is there");
    let writing = permit(&a, mine(&a, "withdrawn"));
    a.withdraw(writing).expect("the folder is there");
    let _left = (mine(&a, "left"), permit(&a, mine(&a, "unwritten")));
    let ended = permit(&a, mine(&a, "written"));
    append(&place.output("a"), "written", OK);
    drop(ended);
    assert!(matches!(b.take("left", JOB), Ok(Taken::Held)));
    a.leave().expect("it leaves");
    std::thread::sleep(PACE.heartbeat);
    for id in ["released", "withdrawn", "left", "unwritten"] {
        let _lease = mine(&b, id);
    }
    assert_eq!(done(&b, "written"), Some(OK), "its output has it");
    let left = std::fs::read_dir(folder::workers(&place.claims())).expect("a folder").count();
    assert_eq!(left, 4, "two heartbeats and the files of one process");
}

#[test]
fn what_the_dead_held_is_taken_over_and_what_they_wrote_is_done() {
    let place = Place::new();
    let (a, b, c) = (place.join("a"), place.join("b"), place.join("c"));
    let _held = (mine(&a, "worked on"), permit(&a, mine(&a, "to be written")), permit(&a, mine(&a, "written")));
    append(&place.output("a"), "written", RETRYABLE);
    a.die();
    let _lease = mine_in_time(&b, "worked on");
    let _other = mine_in_time(&b, "to be written");
    assert_eq!(done(&b, "written"), Some(RETRYABLE));
    assert!(matches!(c.take("worked on", JOB), Ok(Taken::Held)), "one takes it over");
}

/// A listing from before tells nothing of it, and the output is elsewhere.
#[test]
fn what_the_dead_marked_is_done_although_nobody_can_read_their_output() {
    let place = Place::new();
    let pace = Pace { heartbeat: Duration::from_secs(100), stale: Duration::from_secs(1000) };
    let a = place.join("a");
    let b = Claims::join(&place.claims(), DIGEST, &place.output("b"), pace, false).expect("it joins");
    let permit = permit(&a, mine(&a, "x"));
    a.finish(permit, FAILED).expect("the folder is there");
    a.leave().expect("it leaves");
    assert_eq!(done(&b, "x"), Some(FAILED));
}

#[test]
fn who_was_taken_for_dead_does_not_write() {
    let place = Place::new();
    let (a, b) = (place.join("a"), place.join("b"));
    let (lost, kept) = (mine(&a, "lost"), mine(&a, "kept"));
    a.pulse().die();
    let taken = mine_in_time(&b, "lost");
    assert!(a.may_write(lost).expect("the folder is there").is_none());
    let permit = a.may_write(kept).expect("the folder is there").expect("nobody has taken it");
    assert!(b.may_write(taken).expect("the folder is there").is_some());
    a.finish(permit, OK).expect("the folder is there");
    assert_eq!(done(&b, "kept"), Some(OK));
}

#[test]
fn errors_are_tried_again_by_who_joins_later() {
    let place = Place::new();
    let early = place.join("early");
    let fail = |claims: &Claims, id: &str, end| {
        let permit = permit(claims, mine(claims, id));
        claims.finish(permit, end).expect("the folder is there");
    };
    fail(&early, "retryable", RETRYABLE);
    fail(&early, "failed", FAILED);
    assert_eq!([done(&early, "retryable"), done(&early, "failed")], [Some(RETRYABLE), Some(FAILED)]);
    let (second, third) = (place.join("second"), place.join("third"));
    fail(&second, "retryable", RETRYABLE);
    assert_eq!([done(&second, "retryable"), done(&second, "failed")], [Some(RETRYABLE), Some(FAILED)]);
    // A subfolder that was just listed, as at joining, is not listed again at once.
    std::thread::sleep(PACE.heartbeat);
    assert_eq!(done(&third, "retryable"), Some(RETRYABLE), "it was tried again since");
    let all = place.join_to("all", true);
    fail(&all, "failed", OK);
    assert_eq!(done(&place.join_to("last", true), "failed"), Some(OK));
}

#[test]
fn others_are_told_of_earlier_records() {
    let place = Place::new();
    let a = place.join("a");
    let _held = permit(&a, mine(&a, "unmarked"));
    let _lease = mine(&a, "in work");
    append(&place.output("a"), "unmarked", OK);
    a.die();
    let (again, b) = (place.join("a"), place.join("b"));
    let tell = |id: &str| again.tell(id, JOB, OK).expect("the folder is there");
    tell("unmarked");
    tell("from before there were claims");
    tell("from before there were claims");
    let lease = mine(&b, "in b's hands");
    tell("in b's hands");
    assert!(b.may_write(lease).expect("the folder is there").is_some());
    std::thread::sleep(PACE.heartbeat);
    assert_eq!([done(&b, "unmarked"), done(&b, "from before there were claims")], [Some(OK); 2]);
}

#[test]
fn a_queue_waits_for_what_others_hold() {
    let place = Place::new();
    let (a, b) = (place.join("a"), place.join("b"));
    let ids = ids(3);
    let (first, second) = (mine(&a, &ids[0]), mine(&a, &ids[1]));
    let mut queue = queue(&b, &ids);
    let next = |queue: &mut Queue| queue.next(&b).expect("the folder is there");
    let Next::Item(2, lease) = next(&mut queue) else { panic!("one is free") };
    assert!(matches!(next(&mut queue), Next::Wait(wait) if wait <= 2 * PACE.heartbeat));
    let ours = permit(&b, lease);
    b.finish(ours, OK).expect("the folder is there");
    let permit = permit(&a, first);
    a.finish(permit, OK).expect("the folder is there");
    a.release(second).expect("the folder is there");
    let mut waits = 0;
    let lease = loop {
        match next(&mut queue) {
            Next::Item(1, lease) => break lease,
            Next::Wait(wait) => std::thread::sleep(wait),
            other => panic!("{other:?}"),
        }
        waits += 1;
        assert!(waits < 10, "it was given back");
    };
    assert!(matches!(next(&mut queue), Next::Wait(_)), "our own is not finished");
    let ours = b.may_write(lease).expect("the folder is there").expect("it is ours");
    b.finish(ours, FAILED).expect("the folder is there");
    while let Next::Wait(wait) = next(&mut queue) {
        std::thread::sleep(wait);
    }
    assert!(matches!(next(&mut queue), Next::Over));
    let mut found = queue.found_done();
    found.sort_by_key(|(place, _)| *place);
    assert_eq!(found, [(0, OK), (1, FAILED), (2, OK)]);
}

#[test]
fn eight_threads_answer_each_input_once() {
    for shared in [false, true] {
        let place = Place::new();
        let ids = ids(200);
        let all = place.join("all");
        std::thread::scope(|scope| {
            for i in 0..8 {
                let (place, ids, all) = (&place, &ids, &all);
                scope.spawn(move || {
                    let name = i.to_string();
                    let own = (!shared).then(|| place.join(&name));
                    work(own.as_ref().unwrap_or(all), ids, &place.output(&name), std::thread::yield_now);
                });
            }
        });
        let answered = place.answered();
        assert_eq!(answered.len(), ids.len());
        assert!(answered.values().all(|&count| count == 1), "{answered:?}");
    }
}
