//! A run that was killed, divided, or shared goes to the same figures.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::desk::{Desk, object};
use crate::batch::workplace::{CLIPS, ends_with, first_line, refused};
use crate::support::process::{PATIENCE, wait_for};

const VIDEOS: usize = 12;
/// Two of each video, far from each other.
const ROWS: usize = 2 * VIDEOS;

/// Rows in NExT-QA's format.
fn desk() -> Desk {
    let desk = Desk::new();
    let mut csv = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n".to_owned();
    for row in 0..ROWS {
        let (video, answer) = (row % VIDEOS, row % 5);
        let question = ["what moves", "where does the thing go"][row % 2];
        writeln!(csv, "{video},10,64,64,{question},{answer},{row},CW,a star,a square,left,right,down").unwrap();
    }
    desk.0.write("test.csv", csv);
    (0..VIDEOS).for_each(|video| desk.0.copy(CLIPS[video % CLIPS.len()], &format!("videos/{video}.mp4")));
    desk
}

const ARGS: [&str; 4] = ["nextqa", "--data", "test.csv", "--json"];

/// What records say of their rows, without times.
fn said(desk: &Desk) -> Value {
    desk.records().into_iter().map(|(id, record)| (id, record["eval"].clone())).collect()
}

#[test]
fn a_killed_run_goes_on_to_the_same_figures() {
    let whole = desk();
    let run = whole.eval(&ARGS);
    ends_with(&run, 0);
    let (expected, figures) = (said(&whole), object(&run));
    assert_eq!((expected.as_object().unwrap().len(), &figures["rows"]), (ROWS, &ROWS.into()));
    let desk = desk();
    for records in [1, 8] {
        let mut running = desk.start(&ARGS);
        wait_for("records", PATIENCE, || desk.0.line_count("out.jsonl") >= records || running.has_ended());
        running.kill();
    }
    assert!(desk.0.line_count("out.jsonl") < ROWS, "the kills came too late to show anything");
    let run = desk.eval(&ARGS);
    ends_with(&run, 0);
    assert!(!first_line(&run).starts_with("0 done"), "{run:?}");
    assert_eq!((said(&desk), object(&run)), (expected, figures));
}

#[test]
fn questions_about_one_video_read_it_once() {
    let desk = desk();
    ends_with(&desk.eval(&ARGS), 0);
    for (id, record) in desk.records() {
        let row: usize = id.strip_prefix("nextqa/").unwrap().parse().unwrap();
        let answer = &record["answers"][0];
        let (cached, encoded) = (answer["cached_tokens"].as_u64().unwrap(), answer["frames_encoded"].as_u64().unwrap());
        assert_eq!((cached > 0, encoded == 0), (row >= VIDEOS, row >= VIDEOS), "{id}: {answer}");
        assert_eq!(record["answers"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn shares_make_up_the_whole() {
    let whole = desk();
    let figures = object(&whole.eval(&ARGS));
    let desk = desk();
    for share in ["0/2", "1/2"] {
        let output = format!("share-{}.jsonl", &share[..1]);
        let run = desk.eval(&[&ARGS[..3], &["--shard", share, "-o", &output]].concat());
        ends_with(&run, 0);
        assert!(run.stdout.contains(&format!("nextqa, share {share}: ")) && run.stdout.contains("no score of a share"));
        // The questions about one video stay together.
        let records = desk.0.records(&output);
        assert!(records.len().is_multiple_of(2) && (2..ROWS).contains(&records.len()), "{}", records.len());
    }
    ends_with(&desk.0.merge(&["share-0.jsonl", "share-1.jsonl", "-o", "out.jsonl"]), 0);
    let evals = |desk: &Desk| -> Value {
        desk.records()
            .into_iter()
            .map(|(id, record)| (id, json!([record["eval"]["output"], record["digest"]])))
            .collect()
    };
    assert_eq!(evals(&desk), evals(&whole));
    assert_eq!(figures["rows"], ROWS);
    // What was joined is the output of a whole run: it is scored, and nothing is asked again.
    let joined = desk.0.read("out.jsonl");
    let run = desk.eval(&ARGS);
    ends_with(&run, 0);
    assert!(first_line(&run).starts_with(&format!("{ROWS} done, 0 failed, 0 to do")), "{run:?}");
    assert_eq!((object(&run), desk.0.read("out.jsonl")), (figures, joined));
    refused(&desk.eval(&[&ARGS[..], &["--shard", "0/2"]].concat()), 1, &["this run has shard 0/2", "none to go on"]);
}

#[test]
fn a_joined_output_that_lacks_rows_goes_on() {
    let whole = desk();
    let figures = object(&whole.eval(&ARGS));
    let desk = desk();
    let mut kept = Vec::new();
    for share in ["0", "1"] {
        let (shard, output) = (format!("{share}/2"), format!("share-{share}.jsonl"));
        ends_with(&desk.eval(&[&ARGS[..3], &["--shard", &shard, "-o", &output]].concat()), 0);
        // A process was killed before its last record.
        let mut records = desk.0.records(&output);
        records.pop();
        desk.0.list(&output, &records);
        kept.extend(records.iter().map(|record| record["id"].clone()));
    }
    ends_with(&desk.0.merge(&["share-0.jsonl", "share-1.jsonl", "-o", "out.jsonl"]), 0);
    let run = desk.eval(&ARGS);
    ends_with(&run, 0);
    assert!(first_line(&run).starts_with(&format!("{} done, 0 failed, 2 to do", ROWS - 2)), "{run:?}");
    assert_eq!(object(&run), figures);
    let all = desk.0.records("out.jsonl");
    let (before, after) = all.split_at(ROWS - 2);
    assert!(before.iter().all(|record| kept.contains(&record["id"]) && record["shard"].is_string()));
    assert!(after.iter().all(|record| !kept.contains(&record["id"]) && record["shard"].is_null()));
}

#[test]
fn processes_that_share_a_folder_answer_each_row_once() {
    let desk = desk();
    let args = |output: &'static str| [&ARGS[..3], &["--claim", "claims", "-o", output]].concat();
    let running: Vec<_> = ["one.jsonl", "two.jsonl"].map(|output| desk.start(&args(output))).into();
    for running in running {
        ends_with(&running.end_within(Duration::from_secs(60)), 0);
    }
    let mut ids: Vec<String> = ["one.jsonl", "two.jsonl"]
        .iter()
        .filter(|output| desk.0.path(output).exists())
        .flat_map(|output| desk.0.records(output))
        .map(|record| record["id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), ROWS);
}

#[test]
fn other_prompts_or_parsers_are_another_run() {
    let desk = desk();
    ends_with(&desk.eval(&ARGS), 0);
    for extra in [&["--harness", "head"][..], &["--protocol", "docs"], &["--scoring", "logprob"], &["-n", "3"]] {
        refused(&desk.eval(&[&ARGS[..], extra].concat()), 1, &["records of another run", "--new-digest"]);
    }
    let run = desk.eval(&[&ARGS[..], &["--scoring", "logprob", "--new-digest"]].concat());
    ends_with(&run, 0);
    assert_eq!((&object(&run)["scoring"], &object(&run)["rows"]), (&"logprob".into(), &ROWS.into()));
    for record in desk.0.records("out.jsonl").iter().filter(|record| record["eval"]["scoring"] == "logprob") {
        let choices = record["answers"][0]["choices"].as_array().unwrap();
        let best =
            choices.iter().max_by(|a, b| a["logprob"].as_f64().unwrap().total_cmp(&b["logprob"].as_f64().unwrap()));
        assert_eq!((choices.len(), &record["eval"]["answer"]), (5, &best.unwrap()["text"]));
    }
}
