//! A judge on a server that misbehaves, asked by the program itself: what is kept, what is asked again, what is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::data::{Folder, arg, eval, golden, lines, list, published};
use crate::support::judge::{Act, Judge};
use crate::support::process::{PATIENCE, Running, wait_for};
use crate::support::{Run, command, run};

const KEY: &str = "sk-very-secret-key";

const YES: Act = Act::Say("{'pred': 'yes', 'score': 4.8}");

/// Answers about ActivityNet-QA's rows, whose questions hold these words.
fn activitynetqa(folder: &Folder, words: &[&str]) -> PathBuf {
    let doc = |(row, word): (usize, &&str)| {
        json!({ "video_name": format!("v{row}"), "question": format!("is there <{word}>"), "answer": "yes",
            "question_id": row.to_string(), "type": 3 })
    };
    let data = folder.rows("rows.json", &words.iter().enumerate().map(doc).collect::<Vec<_>>());
    let predictions = folder.outputs("p.jsonl", None, &vec!["yes"; words.len()]);
    results(folder, &["score", "activitynetqa", "--data", arg(&data), arg(&predictions)])
}

/// What `eval score` prints, as a file.
fn results(folder: &Folder, args: &[&str]) -> PathBuf {
    let run = eval(args);
    folder.text("results.jsonl", run.stdout_of_success())
}

fn args<'a>(judge: &'a Judge, results: &'a Path, extra: &[&'a str]) -> Vec<&'a str> {
    let common =
        ["eval", "judge", arg(results), "--judge-url", &judge.url, "--judge-model", "judge", "--pause", "0.01"];
    [&common[..], extra].concat()
}

#[track_caller]
fn judged(judge: &Judge, results: &Path, extra: &[&str]) -> Run {
    let run = run(command().args(args(judge, results, extra)).env("LLAVA_VIDEO_JUDGE_KEY", KEY));
    assert!(!format!("{run:?}").contains("secret"), "{run:?}");
    run
}

/// The last record of each row.
fn records(results: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(results).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect()
}

#[test]
fn failures_that_pass_are_lived_through_and_the_key_is_shown_to_the_server_alone() {
    let folder = Folder::new();
    let rate = "{\"error\": {\"message\": \"slow down, sk-very-secret-key\"}}";
    let judge = Judge::new(&[
        ("<busy>", vec![Act::Status(429, "Retry-After: 1\r\n", rate), YES]),
        ("<broken>", vec![Act::Status(500, "", "x"), Act::Status(502, "", ""), YES]),
        ("<cut>", vec![Act::Cut, YES]),
        ("<slow>", vec![Act::Slow(Duration::from_secs(2)), YES]),
        ("<page>", vec![Act::Status(200, "", "<html>sk-very-secret-key"), YES]),
        ("<echo>", vec![Act::Say("{'pred': 'no: sk-very-secret-key', 'score': 1}")]),
        ("", vec![Act::Say("{'pred': 'no', 'score': 2}")]),
    ]);
    let words = ["fine", "busy", "broken", "cut", "slow", "page", "echo", "other"];
    let results = activitynetqa(&folder, &words);
    let run = judged(&judge, &results, &["--json", "--timeout", "1", "-v"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!std::fs::read_to_string(&results).unwrap().contains("secret"));
    let asked = judge.asked();
    let key = format!("authorization: bearer {KEY}");
    assert!(asked.iter().all(|asked| asked.head.to_lowercase().contains(&key)));
    let of = |word: &str| {
        asked.iter().filter(|asked| asked.body.to_string().contains(&format!("<{word}>"))).collect::<Vec<_>>()
    };
    let counts: Vec<usize> = words.iter().map(|word| of(word).len()).collect();
    assert_eq!(counts, [1, 2, 3, 2, 2, 2, 1, 1]);
    let busy = of("busy");
    assert!(busy[1].at - busy[0].at >= Duration::from_secs(1), "the server's pause is kept");
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    // Yes to busy, broken, cut, slow and page.
    assert_eq!((&figures["score"], &figures["scored"]), (&json!(62.5), &json!(8)));
    assert_eq!(figures["harness_figures"][0]["figures"], json!({ "gpt_eval_accuracy": 62.5, "gpt_eval_score": 3.125 }));
    let about = &figures["judged_by"];
    assert_eq!(
        (&about["model"], &about["models"], &about["requests"]),
        (&json!("judge"), &json!(["judge-v2"]), &json!(14))
    );
    let day = about["from"].as_str().unwrap();
    assert!(day.len() == 10 && day.starts_with("20"), "{day}");
    let verdict = &records(&results)["activitynetqa/1"]["eval"]["verdicts"][0];
    assert_eq!(
        (&verdict["judge"], &verdict["model"], &verdict["requests"]),
        (&json!("judge"), &json!("judge-v2"), &json!(2))
    );
    assert_eq!(verdict["reason"], "HTTP 429: slow down, [key]");
    // The messages are the harness's.
    let body = &of("fine")[0].body;
    let expected = &golden("activitynetqa.json")["judge_requests"][0]["expect"]["head"]["request"]["json"];
    assert_eq!(body["messages"][0], expected["messages"][0]);
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0), &json!(64)));
    // Another run asks nothing.
    judge.act(&[("", vec![Act::Status(500, "", "")])]);
    let again = judged(&judge, &results, &[]);
    assert_eq!((again.code, judge.asked().len()), (Some(0), 0), "{again:?}");
    assert!(again.stdout.contains(&format!("judged by judge (calls itself judge-v2) on {day}")), "{again:?}");
    assert!(again.stdout.contains("are not comparable"), "{again:?}");
}

/// The questions that the server was asked, each with its side.
fn asked(judge: &Judge) -> Vec<(String, String)> {
    let sides = [
        ("factual accuracy", "correctness"),
        ("detail orientation", "detailed_orientation"),
        ("contextual understanding", "context"),
    ];
    let question = |body: &str| (0..10).map(|row| format!("What is <{row}>?")).find(|question| body.contains(question));
    let named = |body: String| {
        let (_, side) = sides.iter().find(|(words, _)| body.contains(words)).unwrap();
        (question(&body).unwrap(), (*side).to_owned())
    };
    judge.asked().iter().map(|asked| named(asked.body.to_string())).collect()
}

/// The questions about which a file holds a reply, each with its side.
fn recorded(results: &Path) -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(results).unwrap();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = whole.flat_map(|record| {
        let question = record["eval"]["record"]["Q"].as_str().unwrap().to_owned();
        let verdicts = list(&record["eval"]["verdicts"]).to_vec();
        verdicts
            .into_iter()
            .filter(|said| !said["reply"].is_null())
            .map(move |said| (question.clone(), said["side"].as_str().unwrap().to_owned()))
    });
    said.collect()
}

/// Generic answers to VideoChatGPT, each judged on three sides.
fn videochatgpt(folder: &Folder, rows: usize) -> PathBuf {
    let doc =
        |row| json!({ "video_name": format!("v{}", row / 2), "question": format!("What is <{row}>?"), "answer": "it" });
    let data = folder.rows("rows.json", &(0..rows).map(doc).collect::<Vec<_>>());
    let predictions = folder.outputs("p.jsonl", Some("Generic"), &vec!["that"; rows]);
    results(folder, &["score", "videochatgpt", "--part", "gen", "--data", arg(&data), arg(&predictions)])
}

#[test]
fn a_killed_run_goes_on_and_pays_for_nothing_twice_that_is_in_the_file() {
    let folder = Folder::new();
    let judge = Judge::new(&[]);
    let results = videochatgpt(&folder, 10);
    for _ in 0..3 {
        let kept = recorded(&results);
        judge.act(&[("", vec![Act::Late(Duration::from_millis(60), "{'score': 3}")])]);
        let running = Running::start(command().args(args(&judge, &results, &["--concurrency", "3"])));
        wait_for("verdicts", PATIENCE, || recorded(&results).len() > kept.len() + 3);
        running.kill();
        assert!(asked(&judge).iter().all(|asked| !kept.contains(asked)), "{kept:?}");
        // What a loss of power leaves.
        let mut text = std::fs::read_to_string(&results).unwrap();
        text.truncate(text.rfind('\n').unwrap() + 1);
        text += "{\"id\":\"videochatgpt/Generic/0\",\"sta";
        std::fs::write(&results, text).unwrap();
    }
    let kept = recorded(&results);
    judge.act(&[("", vec![Act::Say("{'score': 3}")])]);
    let run = judged(&judge, &results, &["--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(asked(&judge).len(), 30 - kept.len(), "what is in the file is not asked for");
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&figures["score"], &figures["harness_mean"], &figures["scored"]),
        (&json!(3.0), &json!(3.0), &json!(30))
    );
    let parts: Vec<&Value> = list(&figures["harness_figures"]).iter().map(|part| &part["part"]).collect();
    assert_eq!(parts, ["correctness", "detailed_orientation", "context"]);
}

#[test]
fn an_interrupted_run_keeps_what_came() {
    let folder = Folder::new();
    let judge = Judge::new(&[("", vec![Act::Late(Duration::from_millis(100), "{'score': 3}")])]);
    let results = videochatgpt(&folder, 10);
    let running = Running::start(command().args(args(&judge, &results, &["--concurrency", "3"])));
    wait_for("verdicts", PATIENCE, || recorded(&results).len() > 3);
    running.signal(libc::SIGINT);
    let run = running.end_within(PATIENCE);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert_eq!(judge.most_at_once(), 3);
    // What was asked at that moment was waited for.
    assert_eq!(recorded(&results).len(), judge.asked().len());
    let done = judge.asked().len();
    assert_eq!(judged(&judge, &results, &[]).code, Some(0));
    assert_eq!((done < 30, judge.asked().len()), (true, 30));
}

#[test]
fn a_refusal_ends_the_run_and_is_told_without_the_key() {
    let folder = Folder::new();
    let words = "{\"error\": {\"message\": \"Incorrect API key provided: sk-very-secret-key.\"}}";
    let judge = Judge::new(&[("", vec![Act::Status(401, "", words)])]);
    let results = activitynetqa(&folder, &["a", "b"]);
    let before = std::fs::read(&results).unwrap();
    let run = judged(&judge, &results, &["--concurrency", "1"]);
    run.fails_with(&["answers HTTP 401: Incorrect API key provided: [key].", "--judge-model"]);
    assert_eq!((judge.asked().len(), std::fs::read(&results).unwrap() == before), (1, true));
}

#[test]
fn a_server_that_answers_nothing_ends_the_run() {
    let folder = Folder::new();
    let judge = Judge::new(&[("<good>", vec![YES]), ("", vec![Act::Status(503, "", "")])]);
    let results = activitynetqa(&folder, &["good", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let run = judged(&judge, &results, &["--concurrency", "1", "--attempts", "2"]);
    run.fails_with(&[
        "gave no answer to 6 questions in a row, the last time because of: HTTP 503",
        "another run goes on",
    ]);
    assert_eq!(judge.asked().len(), 1 + 6 * 2);
    judge.act(&[("", vec![YES])]);
    assert_eq!(judged(&judge, &results, &[]).code, Some(0));
    assert_eq!(judge.asked().len(), 9, "the one that was answered is not asked again");
}

#[test]
fn replies_that_cannot_be_read_are_named_and_not_asked_for_again() {
    let folder = Folder::new();
    let judge = Judge::new(&[("<odd>", vec![Act::Say("It is right.")]), ("", vec![YES])]);
    let results = activitynetqa(&folder, &["a", "odd", "c"]);
    for asked in [3, 0] {
        let run = judged(&judge, &results, &["--json"]);
        assert_eq!((run.code, judge.asked().len()), (Some(3), asked), "{run:?}");
        let figures: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((&figures["score"], &figures["judged_by"]["unreadable"]), (&Value::Null, &json!(1)));
        assert_eq!(figures["absent"], json!({ "no_verdict": 1 }));
        judge.act(&[("", vec![YES])]);
    }
    let run = judged(&judge, &results, &["--partial"]);
    assert!(run.stdout.starts_with("activitynetqa: ") && run.stdout.contains("100.00"), "{run:?}");
    assert!(run.stdout.contains("1 reply cannot be read, at which the harness ends its run"), "{run:?}");
}

#[test]
fn the_harness_s_verdict_for_failures_is_taken_when_asked_for_and_told() {
    let folder = Folder::new();
    let judge = Judge::new(&[("<bad>", vec![Act::Status(500, "", "x")]), ("", vec![Act::Say("{'score': 4}")])]);
    let doc = |word: &str| json!({ "video_name": word, "question": format!("Describe <{word}>"), "answer": "it" });
    let data = folder.rows("rows.json", &[doc("good"), doc("bad")]);
    let predictions = folder.outputs("p.jsonl", None, &["that", "that"]);
    let results = results(&folder, &["score", "videodc", "--data", arg(&data), arg(&predictions)]);
    // Without it there is no verdict, and so no figure.
    let run = judged(&judge, &results, &["--attempts", "1"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stdout.contains("1 row without a judge's verdict: 1") && !run.stdout.contains("2.00"), "{run:?}");
    // VideoDC's judge gives up at the first failure that its server does not explain.
    let run = judged(&judge, &results, &["--failures", "harness", "--json"]);
    assert_eq!((run.code, judge.asked().len()), (Some(0), 3), "{run:?}");
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&figures["score"], &figures["judged_by"]["by_failure"]), (&json!(2.0), &json!(1)));
    // A later run that has patience asks again.
    judge.act(&[("", vec![Act::Say("{'score': 5}")])]);
    let run = judged(&judge, &results, &["--json"]);
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&figures["score"], judge.asked().len()), (&json!(4.5), 1));
}

#[test]
fn judges_are_told_apart() {
    let folder = Folder::new();
    let judge = Judge::new(&[("", vec![YES])]);
    let results = activitynetqa(&folder, &["a", "b"]);
    assert_eq!(judged(&judge, &results, &[]).code, Some(0));
    let first = folder.text("first.jsonl", &std::fs::read_to_string(&results).unwrap());
    judge.act(&[("", vec![Act::Say("{'pred': 'no', 'score': 0}")])]);
    let run = judged(&judge, &results, &["--judge-model", "other", "--json"]);
    let figures: Value = serde_json::from_str(run.stdout_of_success()).unwrap();
    assert_eq!((&figures["score"], judge.asked().len()), (&json!(0.0), 2));
    eval(&["compare", arg(&first), arg(&results)])
        .fails_with(&["cannot be compared: the judge is judge in one and other in the other"]);
    // What the first one said is in the file still.
    let run = judged(&judge, &results, &["--json"]);
    let figures: Value = serde_json::from_str(run.stdout_of_success()).unwrap();
    assert_eq!((&figures["score"], judge.asked().len()), (&json!(100.0), 2));
    let said =
        |results: &Path| records(results).values().map(|record| record["eval"]["verdicts"].clone()).collect::<Vec<_>>();
    assert_eq!(said(&results), said(&first));
}

#[test]
fn pairs_are_judged_together() {
    let (folder, data) = (Folder::new(), published("videochatgpt"));
    let context = lines(&eval(&["context", "videochatgpt", "--data", arg(&data)]));
    let text: Vec<String> = context
        .iter()
        .map(|line| {
            json!({ "row": line["row"], "part": line["part"], "output": format!("answer {}", line["row"]) }).to_string()
        })
        .collect();
    let predictions = folder.text("p.jsonl", &text.join("\n"));
    let results = results(&folder, &["score", "videochatgpt", "--data", arg(&data), arg(&predictions)]);
    let judge = Judge::new(&[
        ("temporal understanding", vec![Act::Say("{'score': 2}")]),
        ("similar video-based question-answer pairs", vec![Act::Say("{'score': 5}")]),
        ("", vec![Act::Say("{'score': 3}")]),
    ]);
    let run = judged(&judge, &results, &["--json", "--concurrency", "8"]);
    let figures: Value = serde_json::from_str(run.stdout_of_success()).unwrap();
    // 8 rows on three sides, 6 on one, 3 pairs.
    assert_eq!(judge.asked().len(), 24 + 6 + 3);
    assert_eq!(figures["harness_mean"].as_f64(), Some((3.0 * 3.0 + 2.0 + 5.0) / 5.0));
    assert_eq!(figures["score"], figures["harness_mean"]);
    let all = records(&results);
    let with: Vec<&Value> =
        all.values().map(|record| &record["eval"]["judged_with"]).filter(|row| !row.is_null()).collect();
    assert_eq!(with.len(), 3);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let (folder, judge) = (Folder::new(), Judge::new(&[("", vec![YES])]));
    let data = published("nextqa");
    let predictions = folder.outputs("p.jsonl", None, &["A"; 10]);
    let nextqa = results(&folder, &["score", "nextqa", "--data", arg(&data), arg(&predictions)]);
    let run = judged(&judge, &nextqa, &[]);
    run.fails_with(&["cannot judge `", "nextqa has no judge: its answers are compared"]);
    assert_eq!(run.stderr.matches("has no judge").count(), 1, "{run:?}");
    judged(&judge, &folder.path("gone.jsonl"), &[]).fails_with(&["cannot read the results from `"]);
    assert_eq!(std::fs::read_dir(folder.path("")).unwrap().count(), 2, "nothing is made beside them");
    for (url, said) in [
        ("a.example", "`a.example` is no http or https address"),
        ("https://me:word@a.example/v1", "holds a user's name or password"),
        ("https://a.example/sk-very-secret-key", "holds a user's name or password"),
    ] {
        let run = judged(&judge, &nextqa, &["--judge-url", url]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(said) && !run.stderr.contains("word@"), "{run:?}");
    }
    assert_eq!(judge.asked().len(), 0);
    let run = eval(&["judge", arg(&nextqa)]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("--judge-url"), "{run:?}");
}
