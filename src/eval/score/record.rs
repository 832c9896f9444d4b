//! What the harness's `process_results` hand to their aggregates, with their names and types.

use serde_json::{Map, Value, json};

use super::scored::Scored;
use crate::eval::parse::Parsed;
use crate::eval::{BadColumn, Benchmark, Harness, Row};

/// The record of a row; of a judged benchmark what goes to its judge.
pub(super) fn record(
    benchmark: Benchmark,
    harness: Harness,
    row: &Row,
    output: &str,
    scored: &Scored,
) -> Result<Map<String, Value>, BadColumn> {
    // A letter drawn by nobody is null; an answer that the parser does not find is empty.
    let answer = match (scored.answer(), &scored.parsed) {
        (Some(answer), _) => Value::String(answer),
        (None, Parsed::Random(_)) => Value::Null,
        (None, _) => Value::String(String::new()),
    };
    let column = |name: &str| row.columns.get(name).cloned().ok_or_else(|| row.bad(name, "there"));
    let score = i32::from(scored.is_correct == Some(true));
    let fields = match benchmark {
        Benchmark::VideoChatGpt if row.part.as_deref() == Some("Consistency") => consistency(row, output)?,
        Benchmark::ActivityNetQa | Benchmark::VideoChatGpt | Benchmark::VideoDc => json!({
            "video_name": column("video_name")?,
            "Q": column("question")?,
            "A": column("answer")?,
            "pred": output,
        }),
        Benchmark::EgoSchema => json!({ row.text("video_idx")?: index(scored) }),
        Benchmark::EgoSchemaSubset => json!({ "pred": index(scored), "ground_truth": column("answer")? }),
        Benchmark::Mlvu => json!({
            "question_id": column("question")?,
            "task_type": column("task_type")?,
            "pred_answer": answer,
            "answer": column("answer")?,
        }),
        Benchmark::MvBench => json!({ "pred_answer": output, "gt_answer": scored.gold, "score": score }),
        Benchmark::NextQa => json!({ "exact_match": scored.answer().and(scored.is_correct) }),
        Benchmark::PerceptionTest => json!({
            "video_name": column("video_name")?,
            "question": column("question")?,
            "pred_id": index(scored),
            "answer_id": column("answer_id")?,
            "correct": score,
        }),
        Benchmark::LongVideoBench => json!({
            "id": column(longvideobench_id(harness))?,
            "duration_group": column("duration_group")?,
            "question_category": column("question_category")?,
            "answer": scored.gold,
            "parsed_pred": answer,
        }),
        Benchmark::VideoMme => {
            let mut fields = json!({
                "question_id": column("question_id")?,
                "duration": column("duration")?,
                "category": column("domain")?,
                "sub_category": column("sub_category")?,
                "task_category": column("task_type")?,
                "pred_answer": answer,
                "answer": column("answer")?,
            });
            if harness == Harness::Head {
                fields["score"] = json!(f64::from(score));
                fields["videoID"] = column("videoID")?;
            }
            fields
        }
    };
    match fields {
        Value::Object(fields) => Ok(fields),
        _ => unreachable!("each of them is an object"),
    }
}

/// One of the two questions says `None` in words.
fn consistency(row: &Row, output: &str) -> Result<Value, BadColumn> {
    let (video, answer) = (row.text("video_name")?, row.text("answer")?);
    Ok(match row.text("question_1")? {
        "None" => json!({ "video_name": video, "Q2": row.text("question_2")?, "A": answer, "pred2": output }),
        first => json!({ "video_name": video, "Q1": first, "A": answer, "pred1": output }),
    })
}

/// The column that names a row of LongVideoBench: in 2024 that of the video.
pub(super) fn longvideobench_id(harness: Harness) -> &'static str {
    match harness {
        Harness::September2024 | Harness::October2024 | Harness::LateOctober2024 => "video_id",
        Harness::Head => "id",
    }
}

/// The index of the answer's letter; -1 for none, null for one that nobody drew.
fn index(scored: &Scored) -> Value {
    match (scored.answer(), &scored.parsed) {
        (Some(answer), _) => json!(answer.bytes().next().map_or(-1, |letter| i32::from(letter) - i32::from(b'A'))),
        (None, Parsed::Random(_)) => Value::Null,
        (None, _) => json!(-1),
    }
}
