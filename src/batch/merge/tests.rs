//! Outputs of shards and of claiming processes, joined.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::batch::{Failure, Record, Run, Status};

const JOB: &str = "0123456789abcdef";

/// Outputs in a folder of their own.
struct Outputs {
    dir: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Outputs {
    fn new<const N: usize>(outputs: [&[String]; N]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |(index, lines): (usize, &[String])| {
            let path = dir.path().join(format!("{index}.jsonl"));
            fs::write(&path, lines.concat()).expect("writable");
            path
        };
        let paths = outputs.into_iter().enumerate().map(write).collect();
        Self { dir, paths }
    }

    fn joined(&self) -> PathBuf {
        self.dir.path().join("all.jsonl")
    }

    fn merge(&self, options: Options<'_>) -> Result<(Merged, String), Error> {
        let merged = merge(&self.paths, options, &self.joined())?;
        Ok((merged, fs::read_to_string(self.joined()).expect("readable")))
    }

    /// What is in the folder beside the outputs.
    fn others(&self) -> usize {
        fs::read_dir(self.dir.path()).expect("readable").count() - self.paths.len()
    }
}

fn run(digest: &str, shard: Option<&str>) -> Run {
    Run { digest: digest.to_owned(), shard: shard.map(|shard| shard.parse().expect("a shard")) }
}

fn record(id: &str, answer: &str) -> Record {
    let body = json!({"answers": [{"question": "What?", "answer": answer}], "seconds": answer.len()});
    let body = body.as_object().expect("an object").clone();
    Record { id: id.to_owned(), job: JOB.to_owned(), status: Status::Ok, failure: None, body }
}

fn failed(id: &str) -> Record {
    let failure = Failure { kind: "decode".to_owned(), message: "cut off".to_owned(), retryable: true };
    Record { status: Status::Error, failure: Some(failure), body: serde_json::Map::new(), ..record(id, "") }
}

fn ok(id: &str, answer: &str) -> String {
    record(id, answer).line(&run("d", None))
}

fn error(id: &str) -> String {
    failed(id).line(&run("d", None))
}

#[test]
fn an_id_is_there_once_by_its_last_record() {
    let first = [ok("a", "old"), ok("b", "1"), ok("a", "new"), error("c"), error("d"), ok("e", "1")];
    let second = [ok("c", "2"), ok("b", "1"), error("a"), error("d"), ok("e", "old"), ok("e", "1"), ok("f", "2")];
    let outputs = Outputs::new([&first, &second]);
    let (merged, text) = outputs.merge(Options::default()).expect("they agree");
    let expected = [ok("a", "new"), ok("b", "1"), ok("c", "2"), error("d"), ok("e", "1"), ok("f", "2")];
    assert_eq!(text, expected.concat());
    let digest = Some("d".to_owned());
    assert_eq!(merged, Merged { digest, records: 6, failed: 1, doubled: 2, ..Merged::default() });
    assert_eq!(outputs.others(), 1, "neither a lock nor a part is left");
}

#[test]
fn inputs_give_the_order_and_tell_what_is_missing() {
    let outputs = Outputs::new([&[ok("b", "1"), ok("x", "1")], &[ok("a", "2")]]);
    let ids = ["c", "a", "b", "d", "a", "c"].map(str::to_owned);
    let (merged, text) = outputs.merge(Options { ids: Some(&ids), ..Options::default() }).expect("they agree");
    assert_eq!(text, [ok("a", "2"), ok("b", "1"), ok("x", "1")].concat());
    assert_eq!((merged.missing, merged.unknown), (vec!["c".to_owned(), "d".to_owned()], vec!["x".to_owned()]));
}

#[test]
fn answers_must_agree_and_nothing_else() {
    let slower = |line: &str| {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        record["seconds"] = json!(9);
        format!("{record}\n")
    };
    let outputs = Outputs::new([&[ok("a", "1")], &[slower(&ok("a", "1"))]]);
    assert!(outputs.merge(Options::default()).is_ok_and(|(merged, text)| merged.doubled == 1 && text == ok("a", "1")));
    let truncated = Record { status: Status::Truncated, ..record("a", "1") }.line(&run("d", None));
    for other in [ok("a", "2"), truncated] {
        let outputs = Outputs::new([&[ok("a", "1")], &[other]]);
        let refused = outputs.merge(Options::default()).expect_err("they differ");
        assert!(matches!(&refused, Error::Differs { id, .. } if id == "a"), "{refused:?}");
        let [first, second] = [0, 1].map(|index| outputs.paths[index].display().to_string());
        assert_eq!(refused.to_string(), format!("`a` has different answers in `{first}` and in `{second}`"));
        assert_eq!(outputs.others(), 0);
    }
    let other_input = Record { job: "f".repeat(16), ..failed("a") }.line(&run("d", None));
    let outputs = Outputs::new([&[ok("a", "1")], &[other_input]]);
    assert!(matches!(outputs.merge(Options::default()), Err(Error::OtherInput { .. })));
}

#[test]
fn one_run_is_joined() {
    let other = record("a", "other").line(&run("e", None));
    let outputs = Outputs::new([&[ok("a", "1"), other.clone()], &[ok("b", "1")]]);
    let refused = outputs.merge(Options::default()).expect_err("two runs");
    assert_eq!(refused.to_string(), "there are records of several runs: 2 records of d and 1 record of e");
    assert!(refused.hint().is_some_and(|hint| hint.contains("--digest")));
    let by = |digest| outputs.merge(Options { digest: Some(digest), force: true, ..Options::default() });
    let (merged, text) = by("e").expect("one run");
    assert_eq!((text, merged.of_other_runs, merged.records), (other, 2, 1));
    let (merged, text) = by("d").expect("one run");
    assert_eq!((text, merged.of_other_runs), ([ok("a", "1"), ok("b", "1")].concat(), 1));
    assert!(matches!(by("f"), Err(Error::NoSuchRun { found, .. }) if found.len() == 2));
}

#[test]
fn shards_that_are_missing_are_named() {
    // Of eight shards, "a" is in 7, "b" in 0, "clip.mp4" in 5.
    let of = |id: &str, shard: &str| record(id, "1").line(&run("d", Some(shard)));
    let outputs = Outputs::new([&[of("a", "7/8")], &[of("b", "0/8")]]);
    let missing = |options: Options<'_>| {
        let merged = outputs.merge(Options { force: true, ..options }).expect("they agree").0;
        merged.missing_shards.iter().map(|shard| shard.index).collect::<Vec<_>>()
    };
    assert_eq!(missing(Options::default()), [1, 2, 3, 4, 5, 6]);
    let ids = ["a", "b", "clip.mp4"].map(str::to_owned);
    assert_eq!(missing(Options { ids: Some(&ids), ..Options::default() }), [5]);
    assert_eq!(missing(Options { ids: Some(&ids[..2]), ..Options::default() }), [0; 0]);
    // A run over all inputs went on with what was joined.
    let gone_on = Outputs::new([&[of("a", "7/8"), of("b", "0/8"), ok("clip.mp4", "1")]]);
    for ids in [None, Some(&ids[..])] {
        let (merged, _) = gone_on.merge(Options { ids, force: true, ..Options::default() }).expect("they agree");
        assert_eq!((merged.missing_shards, merged.missing), (Vec::new(), Vec::new()));
    }
    let outputs = Outputs::new([&[of("a", "7/8")], &[of("b", "0/4")]]);
    let refused = outputs.merge(Options::default()).expect_err("two divisions");
    assert!(matches!(refused, Error::SeveralDivisions { first: 4, second: 8, .. }), "{refused:?}");
    assert!(
        outputs
            .merge(Options { ids: Some(&ids), ..Options::default() })
            .is_ok_and(|(merged, _)| { merged.missing == ["clip.mp4"] && merged.missing_shards.is_empty() })
    );
}

#[test]
fn a_torn_record_is_left_out_and_told() {
    let whole = ok("b", "1");
    let torn = whole[..whole.len() - 3].to_owned();
    let outputs = Outputs::new([&[ok("a", "1"), torn], &[ok("c", "1")], &[]]);
    let (merged, text) = outputs.merge(Options::default()).expect("they agree");
    assert_eq!(text, [ok("a", "1"), ok("c", "1")].concat());
    assert_eq!(merged.torn, [(outputs.paths[0].clone(), whole.len() as u64 - 3)]);
    assert!(fs::read_to_string(&outputs.paths[0]).is_ok_and(|text| text.len() > ok("a", "1").len()), "it stays");
}

#[test]
fn what_is_there_is_replaced_only_by_force_and_an_input_never() {
    let outputs = Outputs::new([&[ok("a", "1")], &[ok("b", "1")]]);
    fs::write(outputs.joined(), "mine").expect("writable");
    let force = Options { force: true, ..Options::default() };
    assert!(matches!(outputs.merge(Options::default()), Err(Error::Exists { .. })));
    assert!(fs::read_to_string(outputs.joined()).is_ok_and(|text| text == "mine"));
    let held = Lock::take(&outputs.joined()).expect("free");
    assert!(matches!(outputs.merge(force), Err(Error::Output(journal::Error::Held { .. }))));
    drop(held);
    assert!(outputs.merge(force).is_ok_and(|(_, text)| text == [ok("a", "1"), ok("b", "1")].concat()));
    let twice = [outputs.paths[0].clone(), outputs.dir.path().join("./0.jsonl")];
    assert!(matches!(merge(&twice, force, &outputs.joined()), Err(Error::Twice { .. })));
    assert!(matches!(merge(&outputs.paths, force, &outputs.paths[1]), Err(Error::Itself { .. })));
    let folder = merge(&outputs.paths, force, outputs.dir.path());
    assert!(matches!(folder, Err(Error::Output(journal::Error::NotAFile { .. }))));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode(&outputs.joined()), mode(&outputs.paths[0]), "as any file");
    }
}

#[test]
fn more_outputs_than_open_files_are_joined() {
    let lines: Vec<_> = (0..600).map(|id| ok(&id.to_string(), "1")).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> = (0..300).map(|index| dir.path().join(format!("{index}.jsonl"))).collect();
    for (path, lines) in paths.iter().zip(lines.chunks(2)) {
        fs::write(path, lines.concat()).expect("writable");
    }
    let ids: Vec<_> = (0..600).map(|id| (id * 7 % 600).to_string()).collect();
    let into = dir.path().join("all.jsonl");
    let merged = merge(&paths, Options { ids: Some(&ids), ..Options::default() }, &into).expect("they agree");
    assert_eq!((merged.records, merged.missing.len()), (600, 0));
    let expected: String = (0..600).map(|id| lines[id * 7 % 600].as_str()).collect();
    assert_eq!(fs::read_to_string(into).expect("readable"), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The model is what each output last says of each id: an answer, or nothing but a failure.
    #[test]
    fn each_id_is_there_once_or_the_outputs_disagree(
        said in prop::collection::vec((0..3_usize, 0..6_usize, prop::option::weighted(0.7, 0..10_usize)), 0..30)
    ) {
        let mut lines = [const { Vec::new() }; 3];
        let mut model: BTreeMap<usize, BTreeMap<usize, Option<usize>>> = BTreeMap::new();
        for (output, id, answer) in said {
            // Most answers agree.
            let answer = answer.map(|answer| answer / 9);
            let name = id.to_string();
            lines[output].push(answer.map_or_else(|| error(&name), |answer| ok(&name, &answer.to_string())));
            model.entry(id).or_default().insert(output, answer);
        }
        let outputs = Outputs::new([&lines[0], &lines[1], &lines[2]]);
        let ids: Vec<_> = (0..6).map(|id| id.to_string()).collect();
        let merged = outputs.merge(Options { ids: Some(&ids), ..Options::default() });
        let disagree = model.values().any(|said| {
            let answers: HashSet<_> = said.values().flatten().collect();
            answers.len() > 1
        });
        if disagree {
            let refused = matches!(merged, Err(Error::Differs { .. }));
            prop_assert!(refused, "{:?}", merged);
        } else {
            let (merged, text) = merged.expect("they agree");
            let answer = |said: &BTreeMap<usize, Option<usize>>| said.values().flatten().next().copied();
            let line = |(id, said): (&usize, &BTreeMap<usize, Option<usize>>)| {
                let name = id.to_string();
                answer(said).map_or_else(|| error(&name), |answer| ok(&name, &answer.to_string()))
            };
            prop_assert_eq!(text, model.iter().map(line).collect::<String>());
            let missing: Vec<_> = (0..6).filter(|id| !model.contains_key(id)).map(|id| id.to_string()).collect();
            prop_assert_eq!(merged.missing, missing);
            prop_assert_eq!(merged.failed, model.values().filter(|said| answer(said).is_none()).count());
        }
    }
}
