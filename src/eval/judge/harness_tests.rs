//! The harness's own messages, verdicts, retries and pairs, met exactly.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::eval::Row;

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval/scores").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

const TREES: [(&str, Harness); 2] = [("2024-10", Harness::October2024), ("head", Harness::Head)];

fn side(name: &str) -> Side {
    Side::ALL.into_iter().find(|side| side.name() == name).unwrap()
}

#[test]
fn every_request_is_the_harness_s() {
    let mut checked = 0;
    for file in ["activitynetqa", "videochatgpt", "videodc"] {
        for case in list(&read(&format!("{file}.json"))["judge_requests"]) {
            let part = case.get("config").and_then(Value::as_str);
            let benchmark: Benchmark = file.parse().unwrap();
            let sides = sides(benchmark, part).unwrap();
            if let Some(order) = case.get("order") {
                let order: Vec<Side> = list(order).iter().map(|name| side(name.as_str().unwrap())).collect();
                assert_eq!(order, sides);
            }
            let row = Row { row: 0, part: None, columns: case["doc"].as_object().unwrap().clone() };
            let question = Question::of(&row, case["pred"].as_str().unwrap()).unwrap();
            for (tree, harness) in TREES {
                let expected = &case["expect"][tree];
                let requests =
                    expected.get("requests").map_or(vec![&expected["request"]], |all| list(all).iter().collect());
                assert_eq!(requests.len(), sides.len());
                for (&side, expected) in sides.iter().zip(requests) {
                    check_body(&request_body(default_model(harness), side, &question), &expected["json"]);
                    assert_eq!(expected["timeout"], 60);
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 2 * (7 + 3 * 3 + 2 + 3));
}

/// Equal, and with their members in the same order.
fn check_body(body: &str, expected: &Value) {
    let found: Value = serde_json::from_str(body).unwrap();
    assert_eq!(found, *expected);
    assert_eq!(found.to_string(), expected.to_string());
}

#[test]
fn every_reply_is_read_as_the_harness_reads_it() {
    for case in list(&read("activitynetqa.json")["judge_replies"]) {
        let (reply, expected) = (text(&case["reply"]), &case["expect"]["all"]);
        let parsed = read_activitynetqa(&reply).map(|verdict| json!([verdict.correctness, verdict.score]));
        assert_eq!(parsed.unwrap_or_default(), expected["parse_score"], "{reply}");
        let found = verdict(Side::ActivityNetQa, &Outcome::Reply(reply.clone()));
        check_verdict(&found, &expected["process_results"], &reply);
    }
    for case in list(&read("videochatgpt.json")["judge_replies"]) {
        let reply = text(&case["reply"]);
        assert_eq!(case["expect"]["all"]["parse_score"], read_score(&reply), "{reply}");
    }
    for case in list(&read("videodc.json")["judge_replies"]) {
        let (reply, expected) = (text(&case["reply"]), &case["expect"]["all"]);
        assert_eq!((&expected["score"], &expected["review"]), (&json!(read_score(&reply)), &json!(reply)), "{reply}");
    }
}

fn check_verdict(found: &Result<Verdict, VerdictError>, expected: &Value, case: &str) {
    match (found, expected.get("error")) {
        (found, Some(_)) => assert_eq!(*found, Err(VerdictError), "{case}"),
        (Ok(verdict), None) => {
            assert_eq!(expected["score"], verdict.score, "{case}");
            if let Some(correctness) = expected.get("correctness") {
                assert_eq!(Some(correctness), verdict.correctness.clone().map(Value::from).as_ref(), "{case}");
            }
        }
        (Err(error), None) => panic!("{case}: {error}"),
    }
}

/// An attempt as the goldens describe it.
fn attempt(response: &Value) -> Attempt {
    if response.get("exc").is_some() {
        return Attempt::NoAnswer;
    }
    let status = response.get("status").map_or(200, |status| status.as_u64().unwrap() as u16);
    let body = match (response.get("raw"), response.get("error_message"), response.get("content")) {
        (Some(raw), ..) => text(raw),
        (_, Some(message), _) => json!({ "error": { "message": message } }).to_string(),
        (.., Some(content)) => {
            json!({ "choices": [{ "message": { "content": content } }], "model": "judge" }).to_string()
        }
        _ => panic!("{response}"),
    };
    Attempt::Answer { status, body: body.into_bytes() }
}

/// Posts, pauses and outcome of a question to which these responses come, the last again and again.
fn asked(side: Side, responses: &mut dyn Iterator<Item = Attempt>) -> (u32, Vec<u64>, Outcome) {
    let (mut retry, mut pauses) = (Retry::new(side, Persistence::AsHarness), Vec::new());
    loop {
        match retry.after(responses.next().unwrap(), None) {
            Step::Again { pause: Duration::ZERO } => {}
            Step::Again { pause } => pauses.push(pause.as_secs()),
            Step::Done(outcome) => return (retry.attempts(), pauses, outcome),
        }
    }
}

fn responses(case: &Value) -> Box<dyn Iterator<Item = Attempt> + '_> {
    let all = list(&case["responses"]);
    let last = all.last().filter(|_| case["last_repeats"] == true).into_iter();
    Box::new(all.iter().chain(last.cycle()).map(attempt))
}

#[test]
fn every_retry_is_the_harness_s() {
    let mut checked = 0;
    for (file, key, side) in [
        ("activitynetqa.json", "judge_retry", Side::ActivityNetQa),
        ("videochatgpt.json", "judge_retry_temporal", Side::Temporal),
        ("videodc.json", "judge_retry", Side::VideoDc),
    ] {
        for (index, case) in list(&read(file)[key]).iter().enumerate() {
            let (posts, pauses, outcome) = asked(side, &mut responses(case));
            let (expected, case) = (&case["expect"]["all"], format!("{file} {index}"));
            assert_eq!((&expected["posts"], &expected["sleeps"]), (&json!(posts), &json!(pauses)), "{case}");
            check_verdict(&verdict(side, &outcome), &expected["result"], &case);
            if let Some(review) = expected["result"].get("review") {
                let found = match &outcome {
                    Outcome::Reply(reply) => reply,
                    Outcome::NoReply => "",
                    Outcome::Failed => "Failed to Get a Proper Review.",
                };
                assert_eq!(review, found, "{case}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 33);
}

#[test]
fn one_failed_request_makes_all_three_scores_0() {
    for case in list(&read("videochatgpt.json")["generic_three_scores"]) {
        let (mut all, mut posts, mut scores) = (responses(case), 0, Map::new());
        let sides = sides(Benchmark::VideoChatGpt, Some("Generic")).unwrap();
        let score = |side: Side, score: i64| (format!("gpt_eval_score_{}", side.name()), json!(score));
        for &side in sides {
            let (more, _, outcome) = asked(side, &mut all);
            posts += more;
            if outcome == Outcome::Failed {
                scores = sides.iter().map(|&side| score(side, 0)).collect();
                break;
            }
            scores.extend([score(side, verdict(side, &outcome).unwrap().score)]);
        }
        let expected = &case["expect"]["all"];
        assert_eq!((&expected["posts"], &expected["result"]), (&json!(posts), &Value::Object(scores)));
    }
}

#[test]
fn pairs_are_the_harness_s() {
    for case in list(&read("videochatgpt.json")["consistency"]) {
        let answers: Vec<_> =
            list(&case["results"]).iter().enumerate().map(|(row, result)| answer(row, result)).collect();
        let (pairs, alone) = pair(&answers);
        assert_eq!(pairs.len() * 2 + alone.len(), answers.len());
        for (tree, harness) in TREES {
            let expected = &case["expect"][tree];
            let records: Vec<_> = pairs.iter().map(|pair| Value::Object(pair.record.clone())).collect();
            assert_eq!(Value::Array(records), expected["paired"]);
            assert_eq!(list(&expected["requests"]).len(), pairs.len());
            for (pair, request) in pairs.iter().zip(list(&expected["requests"])) {
                check_body(&request_body(default_model(harness), Side::Consistency, &pair.question), request);
            }
            let replies =
                list(&case["judge_replies"]).iter().map(|reply| read_score(reply["content"].as_str().unwrap()));
            let scores: Vec<i64> = replies.take(pairs.len()).collect();
            assert_eq!(json!(scores), expected["scores"]);
            let verdict = |&score: &i64| Verdict { correctness: None, score }.record();
            let records: Vec<_> = scores.iter().map(verdict).collect();
            let split = crate::eval::Split::Card;
            let found = crate::eval::score::aggregate(Benchmark::VideoChatGpt, harness, split, &records).unwrap();
            assert_eq!(found.value(), expected["value"].as_f64());
        }
    }
}

fn answer(row: usize, result: &Value) -> ConsistencyAnswer {
    let is_second = result.get("Q2").is_some();
    let (question, prediction) = if is_second { ("Q2", "pred2") } else { ("Q1", "pred1") };
    ConsistencyAnswer {
        row,
        video: text(&result["video_name"]),
        answer: text(&result["A"]),
        is_second,
        question: text(&result[question]),
        prediction: text(&result[prediction]),
    }
}
