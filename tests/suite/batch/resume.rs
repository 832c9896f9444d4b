//! A run that goes on where an earlier one ended, or is refused as it would do something else.

use serde_json::json;

use super::workplace::{QUESTION, QUESTIONS, Workplace, ends_with, first_line, refused, statuses};

#[test]
fn a_run_goes_on_where_an_earlier_one_ended() {
    let place = Workplace::with_clips(4);
    let args =
        |last: &'static str| [&["clips/000.mp4", "clips/001.mp4", last, "-o", "out.jsonl"], &QUESTION[..]].concat();
    let run = place.batch(&args("clips/002.mp4"));
    ends_with(&run, 0);
    assert_eq!(first_line(&run), "0 done, 0 failed, 3 to do");
    assert!(!place.path("out.jsonl.lock").exists());
    let before = place.read("out.jsonl");
    // Another list under the same options: what is new is done, what is not asked for any more is told.
    let run = place.batch(&args("clips/003.mp4"));
    ends_with(&run, 0);
    assert_eq!(
        first_line(&run),
        "2 done, 0 failed, 1 to do; the output has records of 1 id that are not among the inputs"
    );
    let after = place.read("out.jsonl");
    assert!(after.starts_with(&before) && place.said("out.jsonl").len() == 4);
    let run = place.batch(&args("clips/003.mp4"));
    ends_with(&run, 0);
    assert!(first_line(&run).starts_with("3 done, 0 failed, 0 to do"), "{run:?}");
    assert_eq!(place.read("out.jsonl"), after);
}

#[test]
fn other_options_are_another_run() {
    let place = Workplace::with_clips(2);
    let go = |extra: &[&str]| place.batch(&[&["clips", "-o", "out.jsonl"], &QUESTION[..], extra].concat());
    ends_with(&go(&[]), 0);
    let before = place.read("out.jsonl");
    for extra in [
        &["-n", "3"][..],
        &["--dtype", "bf16"],
        &["--quantize", "q8_0"],
        &["--max-new-tokens", "5"],
        &["--temperature", "0.5"],
        &["--window", "1s"],
        &["--system", "Be brief."],
        &["--time-instruction", "newline"],
        &["--strict"],
        &["--set", "mm_newline_position=one_token"],
    ] {
        let run = go(extra);
        refused(&run, 1, &["holds records of another run than this one", "--new-digest", "--force"]);
        assert_eq!(place.read("out.jsonl"), before, "{extra:?}");
    }
    // What changes no answer makes no other run.
    for extra in [
        &["--concurrency", "2", "--threads", "1"][..],
        &["--cache", "off", "--item-timeout", "600"],
        &["--ordered", "--fsync"],
    ] {
        let run = go(extra);
        ends_with(&run, 0);
        assert!(first_line(&run).starts_with("2 done, 0 failed, 0 to do"), "{extra:?}");
    }
    let run = go(&["-n", "3", "--new-digest"]);
    ends_with(&run, 0);
    let both = place.read("out.jsonl");
    assert!(both.starts_with(&before) && place.records("out.jsonl").len() == 4);
    // Both runs are in it now, and either can be gone on with.
    for extra in [&["--new-digest"][..], &["-n", "3", "--new-digest"]] {
        assert!(first_line(&go(extra)).starts_with("2 done, 0 failed, 0 to do"));
    }
    refused(&go(&[]), 1, &["2 records of "]);
    let run = go(&["-n", "3", "--force"]);
    ends_with(&run, 0);
    assert!(first_line(&run).starts_with("0 done, 0 failed, 2 to do"));
    assert_eq!(place.said("out.jsonl").len(), 2);
    assert_eq!(go(&["--force", "--new-digest"]).code, Some(2));
}

#[test]
fn other_questions_under_the_same_ids_are_refused() {
    let place = Workplace::with_clips(5);
    let go = |extra: &[&str]| place.batch(&[&["clips", "-o", "out.jsonl"], extra].concat());
    ends_with(&go(&QUESTION), 0);
    let before = place.read("out.jsonl");
    refused(
        &go(&QUESTIONS),
        1,
        &[
            "holds records of 5 changed inputs under the same id: `clips/000.mp4`, ",
            " and 2 more",
            "--new-digest",
            "--force",
        ],
    );
    assert_eq!(place.read("out.jsonl"), before);
    let run = go(&[&QUESTIONS[..], &["--new-digest"]].concat());
    ends_with(&run, 0);
    assert!(first_line(&run).starts_with("0 done, 0 failed, 5 to do"), "{run:?}");
    assert_eq!(place.records("out.jsonl").len(), 10);
    // The last record of an id counts.
    let run = go(&QUESTIONS);
    ends_with(&run, 0);
    assert!(first_line(&run).starts_with("5 done, 0 failed, 0 to do"), "{run:?}");
    refused(&go(&QUESTION), 1, &["5 changed inputs"]);
}

#[test]
fn an_answer_that_is_cut_off_is_done_and_said() {
    let place = Workplace::with_clips(1);
    let line = json!({ "id": "a", "video": "clips/000.mp4", "max_new_tokens": 3, "meta": { "source": 7 } });
    place.list("jobs.jsonl", &[line]);
    let go = || place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &QUESTION[..]].concat());
    let run = go();
    ends_with(&run, 0);
    assert!(run.stderr.contains("1 truncated"), "{run:?}");
    let records = place.records("out.jsonl");
    assert_eq!(statuses(&records), ["truncated"]);
    let [record] = &records[..] else { panic!("{records:?}") };
    let answer = &record["answers"][0];
    assert_eq!((&answer["stop_reason"], &answer["completion_tokens"]), (&json!("length"), &json!(3)));
    assert_eq!(record["meta"], json!({ "source": 7 }));
    assert_eq!(first_line(&go()), "1 done, 0 failed, 0 to do");
}

#[test]
fn what_is_no_output_is_not_appended_to() {
    let place = Workplace::with_clips(1);
    let go = |output: &str| place.batch(&["clips", "-o", output, QUESTION[0], QUESTION[1]]);
    place.write("notes.txt", "Things to do\n");
    refused(&go("notes.txt"), 1, &["line 1 of `notes.txt` is not a record of a batch", "--force"]);
    assert_eq!(place.read("notes.txt"), "Things to do\n");
    refused(&go("clips"), 1, &["it is not a regular file"]);
    refused(&go("no/such/folder.jsonl"), 1, &["no/such/folder.jsonl"]);
    refused(&go("-"), 2, &["`worker` writes to standard output"]);
}
