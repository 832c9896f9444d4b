//! Journals that are cut, filled up and resumed: each id is done exactly once, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::{Failure, Job, JobFrames, Shard, Status};

fn run(digest: &str) -> Run {
    Run { digest: digest.to_owned(), shard: None }
}

fn job(id: &str) -> Job {
    Job {
        id: id.to_owned(),
        video: format!("{id}.mp4").into(),
        questions: vec!["What is it?".to_owned()],
        choices: Vec::new(),
        frames: JobFrames::default(),
        max_new_tokens: None,
        meta: None,
    }
}

fn jobs(count: usize) -> Vec<Job> {
    (0..count).map(|id| job(&format!("clip/{id}"))).collect()
}

/// What the scripted answerer says: always the same of one input.
fn answered(job: &Job) -> Record {
    let body =
        json!({"answers": [{"question": job.questions[0], "answer": format!("A bear \u{1f43b}\nin {}.", job.id)}]});
    let body = body.as_object().expect("an object").clone();
    Record { id: job.id.clone(), job: job.digest(), status: Status::Ok, failure: None, body }
}

fn failed(job: &Job, retryable: bool) -> Record {
    let failure = Failure { kind: "decode".to_owned(), message: "cut off".to_owned(), retryable };
    Record { status: Status::Error, failure: Some(failure), body: Map::new(), ..answered(job) }
}

fn open(path: &Path, run: &Run, policy: Policy) -> (Journal, Standing) {
    Journal::open(path, run, policy).expect("it can be resumed")
}

/// Answers what is to do, as a batch does; how many were.
fn resume(path: &Path, jobs: &[Job]) -> usize {
    let (mut journal, standing) = open(path, &run("d"), Policy::default());
    let to_do: Vec<_> = jobs.iter().filter(|job| !matches!(standing.of(job), JobState::Done { .. })).collect();
    to_do.iter().for_each(|job| journal.append(&answered(job)).expect("writable"));
    assert_eq!(journal.written(), to_do.len());
    // As a process that is killed after its last record.
    if to_do.is_empty() {
        journal.close().expect("writable");
    }
    to_do.len()
}

fn lines(bytes: &[u8]) -> BTreeSet<String> {
    let text = std::str::from_utf8(bytes).expect("text");
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines: BTreeSet<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), text.lines().count(), "a record is doubled");
    lines
}

/// Cuts a journal at each of `ends`, puts `tail` there, and resumes it.
fn cut_and_resume(count: usize, ends: impl Fn(&[u8]) -> std::ops::RangeInclusive<usize>, tail: &[u8]) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    let jobs = jobs(count);
    assert_eq!(resume(&path, &jobs), count);
    let whole = std::fs::read(&path).expect("readable");
    for end in ends(&whole) {
        // Some file systems flush a file that replaces its contents, hundreds of times here.
        std::fs::remove_file(&path).expect("it is there");
        std::fs::write(&path, [&whole[..end], tail].concat()).expect("writable");
        let kept = whole[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let done = lines(&whole[..kept]).len();
        assert_eq!(resume(&path, &jobs), count - done, "cut at {end}");
        let resumed = std::fs::read(&path).expect("readable");
        assert_eq!(resumed[..kept], whole[..kept], "cut at {end}");
        assert_eq!(lines(&resumed), lines(&whole), "cut at {end}");
        assert_eq!(resume(&path, &jobs), 0);
        assert_eq!(std::fs::read(&path).expect("readable"), resumed);
    }
}

#[test]
fn a_journal_cut_at_any_byte_of_its_last_records_is_finished() {
    let last_three = |whole: &[u8]| {
        let newlines: Vec<_> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
        newlines[newlines.len() - 4] + 1..=whole.len()
    };
    cut_and_resume(20, last_three, b"");
    cut_and_resume(20, last_three, &[0; 9]);
}

#[test]
fn a_small_journal_cut_at_any_byte_is_finished() {
    cut_and_resume(3, |whole| 0..=whole.len(), b"");
    cut_and_resume(3, |whole| 0..=whole.len(), b"\0");
}

#[test]
fn a_torn_record_is_told_and_goes_with_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    let jobs = jobs(2);
    resume(&path, &jobs);
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..whole.len() - 5]).expect("writable");
    let (journal, standing) = open(&path, &run("d"), Policy::default());
    let torn = standing.torn_bytes();
    assert_eq!(torn, answered(&jobs[1]).line(&run("d")).len() as u64 - 5);
    drop(journal);
    assert_eq!(std::fs::read(&path).expect("readable").len(), whole.len() - 5, "nothing was to do yet");
    open(&path, &run("d"), Policy::default()).0.close().expect("writable");
    assert_eq!(std::fs::read(&path).expect("readable").len() as u64, whole.len() as u64 - 5 - torn);
}

#[test]
fn inputs_stand_where_their_last_record_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    let jobs = jobs(7);
    let (mut journal, _) = open(&path, &run("d"), Policy { fsync: Fsync::EachRecord, ..Policy::default() });
    let skipped = Record { status: Status::Skipped, ..answered(&jobs[2]) };
    let gone = answered(&job("gone"));
    let records =
        [failed(&jobs[0], true), answered(&jobs[0]), failed(&jobs[1], true), skipped, failed(&jobs[3], false)];
    for record in records.iter().chain([&answered(&jobs[4]), &gone]) {
        journal.append(record).expect("writable");
        assert_eq!(journal.sync_due_in(), None);
    }
    journal.close().expect("writable");
    let changed = Job { questions: vec!["Who?".to_owned()], ..jobs[4].clone() };
    let asked = [&jobs[0], &jobs[1], &jobs[2], &jobs[3], &changed, &jobs[5], &jobs[6]];
    let (journal, standing) = open(&path, &run("d"), Policy::default());
    let states = asked.map(|job| standing.of(job));
    let done = |status| JobState::Done { status };
    let (retryable, for_good) = (JobState::Failed { retryable: true }, JobState::Failed { retryable: false });
    let (ok, skipped, to_do) = (done(Status::Ok), done(Status::Skipped), JobState::ToDo);
    assert_eq!(states, [ok, retryable, skipped, for_good, JobState::Changed, to_do, to_do]);
    let refused = standing.survey(asked).expect_err("one has changed");
    let ids = [changed.id.clone()];
    assert!(matches!(&refused, Error::ChangedInputs { ids: named, count: 1, .. } if *named == ids), "{refused:?}");
    drop(journal);
    let (journal, standing) = open(&path, &run("d"), Policy { new_digest: true, ..Policy::default() });
    let survey = Survey { done: 2, failed: 1, retryable: 1, to_do: 2, changed: 1, unknown: 1 };
    assert_eq!(standing.survey(asked).ok(), Some(survey));
    let read = |id: &str| journal.read(&standing, id).expect("readable");
    assert_eq!(
        read(&jobs[0].id).map(|record| record["answers"].clone()),
        Some(answered(&jobs[0]).body["answers"].clone())
    );
    assert!(read("gone").is_some_and(|record| record["job"] == job("gone").digest()) && read(&jobs[6].id).is_none());
    std::fs::write(&path, "").expect("writable");
    assert!(journal.read(&standing, &jobs[0].id).is_err());
}

#[test]
fn another_run_is_refused_appended_or_started_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    let jobs = jobs(3);
    resume(&path, &jobs);
    let before = std::fs::read(&path).expect("readable");
    let refused = Journal::open(&path, &run("e"), Policy::default()).expect_err("another digest");
    let others = [("d".to_owned(), 3)];
    assert!(matches!(&refused, Error::OtherRun { others: named, .. } if *named == others), "{refused:?}");
    assert!(!dir.path().join("out.jsonl.lock").exists());
    let (mut journal, standing) = open(&path, &run("e"), Policy { new_digest: true, ..Policy::default() });
    assert_eq!(standing.others(), &BTreeMap::from(others));
    assert!(jobs.iter().all(|job| standing.of(job) == JobState::ToDo));
    journal.append(&answered(&jobs[0])).expect("writable");
    journal.close().expect("writable");
    let appended = std::fs::read(&path).expect("readable");
    assert!(appended.starts_with(&before) && appended.len() > before.len());
    let (mut journal, standing) = open(&path, &run("f"), Policy { force: true, ..Policy::default() });
    assert_eq!(standing.survey(&jobs).ok(), Some(Survey { to_do: 3, ..Survey::default() }));
    assert_eq!(std::fs::read(&path).expect("readable"), appended, "nothing is lost before there is a record");
    journal.append(&answered(&jobs[1])).expect("writable");
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), answered(&jobs[1]).line(&run("f")));
}

#[test]
fn another_division_of_the_inputs_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    let shard = |text: Option<&str>| Run { shard: text.map(|text| text.parse().expect("a shard")), ..run("d") };
    let (mut journal, _) = open(&path, &shard(Some("1/4")), Policy::default());
    journal.append(&answered(&job("a"))).expect("writable");
    journal.close().expect("writable");
    for other in [Some("1/8"), Some("2/4"), None] {
        let new_digest = Policy { new_digest: true, ..Policy::default() };
        let refused = Journal::open(&path, &shard(other), new_digest).expect_err("another division");
        let stored = Some(Shard { index: 1, count: 4 });
        assert!(
            matches!(&refused, Error::OtherShard { line: 1, stored: named, .. } if *named == stored),
            "{refused:?}"
        );
    }
    let (_, standing) = open(&path, &shard(Some("1/4")), Policy::default());
    assert_eq!(standing.of(&job("a")), JobState::Done { status: Status::Ok });
}

#[test]
fn shares_that_were_joined_go_on_as_one_output() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.jsonl");
    let shard = |text: &str| Run { shard: Some(text.parse().expect("a shard")), ..run("d") };
    let other = Run { digest: "e".to_owned(), ..shard("0/8") };
    let line = |id: &str, run: &Run| answered(&job(id)).line(run);
    let write = |lines: &[String]| std::fs::write(&path, lines.concat()).expect("writable");
    // One share alone is no whole, whatever other runs the output holds records of.
    write(&[line("x", &other), line("a", &shard("1/4"))]);
    let policy = Policy { new_digest: true, ..Policy::default() };
    let refused = Journal::open(&path, &run("d"), policy).expect_err("another division");
    assert!(matches!(&refused, Error::OtherShard { line: 2, own: None, .. }), "{refused:?}");
    write(&[line("a", &shard("1/4")), line("b", &shard("0/4"))]);
    let (mut journal, standing) = open(&path, &run("d"), Policy::default());
    let done = JobState::Done { status: Status::Ok };
    assert_eq!(["a", "b", "c"].map(|id| standing.of(&job(id))), [done, done, JobState::ToDo]);
    journal.append(&answered(&job("c"))).expect("writable");
    journal.close().expect("writable");
    assert_eq!(open(&path, &run("d"), Policy::default()).1.of(&job("c")), done);
    let refused = Journal::open(&path, &shard("1/4"), Policy::default()).expect_err("it is no share");
    assert!(matches!(&refused, Error::OtherShard { line: 2, stored: Some(_), .. }), "{refused:?}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("none to go on with what `batch merge` joined")));
}

#[test]
fn what_is_no_journal_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("notes.jsonl");
    for text in ["{\"id\":\"a\",\"video\":\"a.mp4\"}\n", "{\"id\":\"a\",\"video\":\"a.mp4\"}", "notes", "\n\n"] {
        std::fs::write(&path, text).expect("writable");
        let refused = Journal::open(&path, &run("d"), Policy::default()).expect_err("no records");
        assert!(matches!(&refused, Error::NotARecord { line: 1, .. }), "{refused:?}");
        assert!(refused.to_string().contains("line 1 of `") && refused.hint().is_some(), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
    }
}

#[test]
fn one_process_has_an_output_under_all_its_names() {
    let dir = tempfile::tempdir().expect("a folder");
    let [path, link] = ["out.jsonl", "link.jsonl"].map(|name| dir.path().join(name));
    let held = |path: &Path| matches!(Journal::open(path, &run("d"), Policy::default()), Err(Error::Held { .. }));
    #[cfg(unix)]
    std::os::unix::fs::symlink("out.jsonl", &link).expect("a link");
    let (journal, _) = open(&link, &run("d"), Policy::default());
    assert!(path.exists() && held(&link) && held(&path));
    drop(journal);
    let (_journal, _) = open(&path, &run("d"), Policy::default());
    assert!(held(&link) && held(&path));
}

#[test]
fn records_are_flushed_within_a_second() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut journal, _) = open(&dir.path().join("out.jsonl"), &run("d"), Policy::default());
    assert_eq!(journal.sync_due_in(), None);
    journal.append(&answered(&job("a"))).expect("writable");
    let due = journal.sync_due_in().expect("something is to be flushed");
    assert!(due <= FLUSH_AFTER);
    journal.unflushed_since = Instant::now().checked_sub(FLUSH_AFTER);
    journal.append(&answered(&job("b"))).expect("writable");
    assert_eq!(journal.sync_due_in(), None, "an append flushes what is due");
    journal.append(&answered(&job("c"))).expect("writable");
    journal.unflushed_since = Instant::now().checked_sub(FLUSH_AFTER);
    journal.sync_if_due().expect("writable");
    assert_eq!(journal.sync_due_in(), None);
}

/// A limit on the size of files, which this test sets for itself in a process of its own, stands for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_whole_records_and_says_how_many() {
    const DIR: &str = "LLAVA_VIDEO_TEST_LIMITED";
    if let Some(dir) = std::env::var_os(DIR) {
        return fill(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (_, module) = module_path!().split_once("::").expect("below the crate");
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ && ulimit -f 8 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("{module}::a_full_disk_leaves_whole_records_and_says_how_many")])
        .env(DIR, dir.path())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let path = dir.path().join("out.jsonl");
    let whole = lines(&std::fs::read(&path).expect("readable")).len();
    assert!(whole > 10);
    // There is room again.
    assert_eq!(resume(&path, &jobs(100)), 100 - whole);
    assert_eq!(lines(&std::fs::read(&path).expect("readable")).len(), 100);
}

#[cfg(unix)]
fn fill(dir: &Path) {
    let path = dir.join("out.jsonl");
    let (mut journal, _) = open(&path, &run("d"), Policy::default());
    let records: Vec<_> = jobs(100).iter().map(answered).collect();
    let full = records.iter().find_map(|record| journal.append(record).err()).expect("there are only some kilobytes");
    let whole = lines(&std::fs::read(&path).expect("readable")).len();
    assert_eq!(whole, journal.written());
    assert!(matches!(full, Error::Append { written, half: false, .. } if written == whole), "{full:?}");
    assert!(full.hint().is_some_and(|hint| hint.contains("make room")), "{full:?}");
    let again = journal.append(&records[whole]).expect_err("it is full still");
    assert!(matches!(again, Error::Append { written, half: false, .. } if written == whole), "{again:?}");
    assert_eq!(lines(&std::fs::read(&path).expect("readable")).len(), whole);
}

/// What happens to a journal: a record of one of some ids in one of two runs, or a new process.
#[derive(Debug, Clone)]
enum Event {
    Record { id: usize, run: usize, outcome: Outcome },
    Restart { run: usize },
    Torn { bytes: usize },
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Answered,
    Failed { retryable: bool },
    OfAnotherInput,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let outcome = prop_oneof![
        Just(Outcome::Answered),
        any::<bool>().prop_map(|retryable| Outcome::Failed { retryable }),
        Just(Outcome::OfAnotherInput),
    ];
    let event = prop_oneof![
        8 => (0..5_usize, 0..2_usize, outcome).prop_map(|(id, run, outcome)| Event::Record { id, run, outcome }),
        2 => (0..2_usize).prop_map(|run| Event::Restart { run }),
        1 => (1..80_usize).prop_map(|bytes| Event::Torn { bytes }),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The model is what was last said of each id in each run.
    #[test]
    fn the_last_record_of_an_id_and_a_run_counts(events in events()) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out.jsonl");
        let (runs, jobs) = ([run("d"), run("e")], jobs(5));
        let policy = Policy { new_digest: true, ..Policy::default() };
        let reopen = |run: usize| open(&path, &runs[run], policy);
        let mut model: BTreeMap<(usize, usize), Outcome> = BTreeMap::new();
        let (mut journal, mut current) = (Some(reopen(0).0), 0);
        let mut written = Vec::new();
        for event in events {
            match event {
                Event::Record { id, run, outcome } => {
                    let job = &jobs[id];
                    let record = match outcome {
                        Outcome::Answered => answered(job),
                        Outcome::Failed { retryable } => failed(job, retryable),
                        Outcome::OfAnotherInput => Record { job: "0".repeat(16), ..answered(job) },
                    };
                    if run != current {
                        journal = None;
                    }
                    let journal = journal.get_or_insert_with(|| reopen(run).0);
                    current = run;
                    journal.append(&record).expect("writable");
                    written.push(record.line(&runs[run]));
                    model.insert((run, id), outcome);
                }
                Event::Restart { run } => {
                    drop(journal.take());
                    let (next, standing) = reopen(run);
                    current = run;
                    for (id, job) in jobs.iter().enumerate() {
                        let expected = match model.get(&(run, id)) {
                            None => JobState::ToDo,
                            Some(Outcome::Answered) => JobState::Done { status: Status::Ok },
                            Some(Outcome::Failed { retryable }) => JobState::Failed { retryable: *retryable },
                            Some(Outcome::OfAnotherInput) => JobState::Changed,
                        };
                        prop_assert_eq!(standing.of(job), expected);
                        let read = next.read(&standing, &job.id).expect("readable");
                        prop_assert_eq!(read.is_some(), model.contains_key(&(run, id)));
                    }
                    let others = model.keys().filter(|(of, _)| *of != run).count();
                    prop_assert_eq!(standing.others().is_empty(), others == 0);
                    journal = Some(next);
                }
                // A process is killed in the middle of a write.
                Event::Torn { bytes } => {
                    drop(journal.take());
                    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("writable");
                    let line = answered(&jobs[0]).line(&runs[0]);
                    std::io::Write::write_all(&mut file, &line.as_bytes()[..bytes]).expect("writable");
                    journal = Some(reopen(current).0);
                    let first = journal.as_mut().expect("just opened");
                    first.append(&answered(&jobs[1])).expect("writable");
                    written.push(answered(&jobs[1]).line(&runs[current]));
                    model.insert((current, 1), Outcome::Answered);
                }
            }
        }
        drop(journal);
        prop_assert_eq!(std::fs::read_to_string(&path).expect("readable"), written.concat());
    }
}
