//! Files of results that no model made: every benchmark with all of its rows or few, missing ones and hostile names.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Names that break out of markup, columns, lines or the direction of writing where nobody escapes them.
pub(super) const HOSTILE: [&str; 6] = [
    "<script>window.hostile = 1</script>",
    "\"><img src=https://evil.example/x.png onerror=window.hostile=1>",
    "</title></style><link rel=stylesheet href=//evil.example/x.css>",
    "a|b`c`*d*_e_[f](https://evil.example)\n\n# g",
    "\u{202e}4pm.elif\u{1b}[2J\u{0}",
    "'&lt;b&gt; {{7*7}} ${x} https://evil.example @you",
];

/// What a made-up benchmark is like.
struct Plan {
    name: &'static str,
    parts: &'static [(&'static str, usize)],
    rows: usize,
    rows_of_a_video: usize,
    /// How often answers are right, or a judge's mean score.
    card: f64,
    length_secs: (f64, f64),
    groups: &'static [(&'static str, &'static [&'static str])],
}

const MVBENCH: [(&str, usize); 20] = [
    ("object_interaction", 200),
    ("action_sequence", 200),
    ("action_prediction", 200),
    ("action_localization", 200),
    ("moving_count", 200),
    ("fine_grained_pose", 200),
    ("character_order", 200),
    ("object_shuffle", 200),
    ("egocentric_navigation", 200),
    ("moving_direction", 200),
    ("episodic_reasoning", 200),
    ("fine_grained_action", 200),
    ("scene_transition", 200),
    ("state_change", 200),
    ("moving_attribute", 200),
    ("action_antonym", 200),
    ("unexpected_action", 200),
    ("counterfactual_inference", 200),
    ("object_existence", 200),
    ("action_count", 200),
];

const LONGVIDEOBENCH: [&str; 17] = [
    "E2O", "E3E", "O2E", "O3O", "S2A", "S2E", "S2O", "SAA", "SOS", "SSS", "T2A", "T2E", "T2O", "T3E", "T3O", "TAA",
    "TOS",
];

const VIDEOMME_TASKS: [&str; 12] = [
    "Temporal Perception",
    "Spatial Perception",
    "Attribute Perception",
    "Action Recognition",
    "Object Recognition",
    "OCR Problems",
    "Counting Problem",
    "Temporal Reasoning",
    "Spatial Reasoning",
    "Action Reasoning",
    "Object Reasoning",
    "Information Synopsis",
];

const DOMAINS: [&str; 6] =
    ["Knowledge", "Film & Television", "Sports Competition", "Artistic Performance", "Life Record", "Multilingual"];

const PLANS: [Plan; 11] = [
    plan(
        "activitynetqa",
        &[],
        8000,
        10,
        0.582,
        (20.0, 240.0),
        &[("question type", &["0", "1", "2", "3", "4", "5", "6", "7", "8"])],
    ),
    plan("egoschema", &[], 5031, 1, 0.573, (180.0, 180.0), &[]),
    plan("egoschema_subset", &[], 500, 1, 0.59, (180.0, 180.0), &[]),
    plan(
        "mlvu",
        &[],
        2174,
        2,
        0.698,
        (180.0, 7200.0),
        &[("task type", &["plotQA", "needle", "ego", "count", "order", "anomaly_reco", "topic_reasoning"])],
    ),
    plan("mvbench", &MVBENCH, 4000, 1, 0.584, (5.0, 35.0), &[]),
    plan(
        "nextqa",
        &[],
        8564,
        9,
        0.822,
        (10.0, 180.0),
        &[
            ("kind", &["causal", "temporal", "descriptive"]),
            ("question type", &["CW", "TN", "DC", "CH", "TC", "DL", "TP", "DO"]),
        ],
    ),
    plan(
        "perceptiontest",
        &[],
        19140,
        8,
        0.717,
        (8.0, 35.0),
        &[
            ("area", &["memory", "abstraction", "physics", "semantics"]),
            ("reasoning", &["descriptive", "explanatory", "predictive", "counterfactual"]),
        ],
    ),
    plan(
        "videochatgpt",
        &[("Generic", 1996), ("Temporal", 499), ("Consistency", 998)],
        3493,
        4,
        3.54,
        (20.0, 240.0),
        &[],
    ),
    plan("videodc", &[], 499, 1, 3.71, (20.0, 240.0), &[]),
    plan(
        "longvideobench",
        &[],
        1337,
        2,
        0.573,
        (8.0, 3600.0),
        &[("duration group", &["15", "60", "600", "3600"]), ("question category", &LONGVIDEOBENCH)],
    ),
    plan(
        "videomme",
        &[],
        2700,
        3,
        0.632,
        (11.0, 3600.0),
        &[("duration", &["short", "medium", "long"]), ("domain", &DOMAINS), ("task type", &VIDEOMME_TASKS)],
    ),
];

const fn plan(
    name: &'static str,
    parts: &'static [(&'static str, usize)],
    rows: usize,
    rows_of_a_video: usize,
    card: f64,
    length_secs: (f64, f64),
    groups: &'static [(&'static str, &'static [&'static str])],
) -> Plan {
    Plan { name, parts, rows, rows_of_a_video, card, length_secs, groups }
}

/// A set of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeUp {
    /// At most so many rows of each part.
    pub(super) rows: usize,
    /// Leaves rows out, lets clips fail, and gives everything hostile names.
    pub(super) is_hostile: bool,
    /// The settings' name for the protocol, and what tells this run from another.
    pub(super) protocol: &'static str,
    /// How much better than the card.
    pub(super) gain: f64,
}

impl MadeUp {
    /// Writes a file for each benchmark.
    pub(super) fn write(&self, dir: &Path) -> Vec<PathBuf> {
        PLANS.iter().map(|plan| self.write_one(dir, plan.name)).collect()
    }

    /// Writes the file of one benchmark.
    pub(super) fn write_one(&self, dir: &Path, benchmark: &str) -> PathBuf {
        let plan = PLANS.iter().find(|plan| plan.name == benchmark).unwrap();
        let path = dir.join(format!("{benchmark}-{}.jsonl", self.protocol));
        let whole = [("", plan.rows)];
        let parts = if plan.parts.is_empty() { &whole[..] } else { plan.parts };
        let mut text = String::new();
        for &(part, rows) in parts {
            for row in 0..rows.min(self.rows) {
                if let Some(record) = self.record(plan, Some(part).filter(|part| !part.is_empty()), rows, row) {
                    writeln!(text, "{record}").unwrap();
                }
            }
        }
        std::fs::write(&path, text).unwrap();
        path
    }

    fn record(&self, plan: &Plan, part: Option<&str>, rows: usize, row: usize) -> Option<Value> {
        // Without a random number an equal input is an equal file, whatever runs beside.
        let of_row = |what: u64| noise(plan.name, part, row as u64, what);
        if self.is_hostile && row == 5 {
            return None;
        }
        let video = format!("{}_{:04}.mp4", plan.name, row / plan.rows_of_a_video);
        let of_video = noise(plan.name, part, (row / plan.rows_of_a_video) as u64, 9);
        let is_judged = matches!(plan.name, "activitynetqa" | "videochatgpt" | "videodc");
        let share = if plan.card > 1.0 { 0.5 } else { plan.card + self.gain };
        // Now and then the video decides, so that its questions are right or wrong together.
        let is_right = if of_row(3) < 0.3 { of_video } else { of_row(1) } < share;
        let groups: Vec<Value> = plan
            .groups
            .iter()
            .map(|(dimension, names)| {
                let clip = row / plan.rows_of_a_video;
                let by_clip = dimension.starts_with("duration") || *dimension == "domain";
                let name = names[if by_clip { clip } else { row } % names.len()];
                let name = if self.is_hostile && row % 41 == 3 { HOSTILE[row % HOSTILE.len()] } else { name };
                json!({ "dimension": dimension, "name": name })
            })
            .collect();
        let gold = (!is_judged && plan.name != "egoschema").then_some("B");
        let is_drawn = plan.name == "nextqa" && row % 50 == 7;
        let answer = if is_right { "B" } else { "C" };
        let is_correct = gold.map(|gold| gold == answer);
        let (least, most) = plan.length_secs;
        let mut record = json!({
            "id": format!("{}/{}{row}", plan.name, part.map(|part| format!("{part}/")).unwrap_or_default()),
            "status": "ok", "error": null, "digest": format!("9f2c{}", self.protocol), "job": "j", "shard": null,
            "answers": [{ "question": "q", "answer": answer }],
            "model": if self.is_hostile { HOSTILE[0] } else { "lmms-lab/LLaVA-NeXT-Video-7B-Qwen2-Video-Only" },
            "device": "cuda:0", "dtype": "bf16", "kernels": "flash-attn", "quantize": null,
            "eval": {
                "benchmark": plan.name, "harness": "2024-09", "split": "card", "protocol": self.protocol,
                "scoring": "parse", "part": part, "row": row, "rows": rows.min(self.rows), "video": video,
                "groups": groups, "length_secs": least * (most / least).powf(of_video), "output": answer,
                "parsed": match is_drawn {
                    true => json!({ "kind": "random", "value": 5 }),
                    false => json!({ "kind": "letter", "value": answer }),
                },
                "answer": answer, "drawn": is_drawn.then_some(answer), "gold": gold, "is_correct": is_correct,
                "value": is_correct.map(|right| f64::from(u8::from(right))), "record": record_of(plan, row, answer),
                "settings": self.settings(plan),
                "verdicts": if is_judged { self.verdicts(plan, part, is_right, of_row(2)) } else { json!([]) },
            },
        });
        if self.is_hostile && row % 9 == 1 {
            let kind = if row.is_multiple_of(2) { "no-video" } else { "video" };
            let name = HOSTILE[row / 9 % HOSTILE.len()];
            record["status"] = json!("error");
            record["error"] =
                json!({ "kind": kind, "message": format!("{name}.mp4: no such file"), "retryable": false });
            record["eval"]["output"] = Value::Null;
        }
        Some(record)
    }

    fn settings(&self, plan: &Plan) -> Value {
        let is_docs = self.protocol == "docs";
        json!({
            "frames": if is_docs { 64 } else { 110 },
            "fps": if is_docs { json!(1.0) } else { Value::Null },
            "time_instruction": if self.protocol == "train" { "newline" } else { "none" },
            "pooling": if is_docs { "average" } else { "bilinear" },
            "pooling_stride": 2,
            "newline_position": "grid",
            "max_new_tokens": if plan.card > 1.0 { 1024 } else { 16 },
            "temperature": 0,
            "repetition_penalty": 1.05,
            "draw_seed": 0,
            "parts": plan.parts.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "note": if self.is_hostile { HOSTILE[3] } else { "" },
        })
    }

    fn verdicts(&self, plan: &Plan, part: Option<&str>, is_right: bool, noise: f64) -> Value {
        let sides: &[&str] = match (plan.name, part) {
            ("videochatgpt", Some("Generic")) => &["correctness", "detailed_orientation", "context"],
            ("videochatgpt", Some("Temporal")) => &["temporal"],
            ("videochatgpt", _) => &["consistency"],
            (name, _) => &[name],
        };
        let model = if self.is_hostile { HOSTILE[1] } else { "gpt-4o-2024-11-20" };
        let verdict = |(index, side): (usize, &&str)| {
            let score = (plan.card.min(5.0) + (noise - 0.5) * 2.4 + 0.2 * index as f64).round().clamp(0.0, 5.0) as i64;
            let verdict = match plan.name {
                "activitynetqa" => json!({ "Correctness": if is_right { "yes" } else { "no" }, "score": 3 }),
                _ => json!({ "score": score }),
            };
            json!({
                "side": side, "verdict": verdict, "is_by_failure": noise > 0.998, "reply": "…", "model": model,
                "requests": 1, "reason": null, "at": format!("2026-11-{:02}T08:00:00Z", 24 + usize::from(noise > 0.5)),
            })
        };
        sides.iter().enumerate().map(verdict).collect()
    }
}

/// What the harness's aggregates read.
fn record_of(plan: &Plan, row: usize, answer: &str) -> Value {
    let group = |index: usize| plan.groups.get(index).map(|(_, names)| names[row % names.len()]);
    json!({
        "pred": answer, "ground_truth": "B", "task_type": group(0), "pred_answer": answer, "answer": "B",
        "score": i32::from(answer == "B"), "exact_match": answer == "B", "correct": i32::from(answer == "B"),
        "duration_group": 15, "question_category": group(1), "parsed_pred": answer, "id": row.to_string(),
        "duration": group(0), "category": group(1), "sub_category": "Geography", "task_category": group(2),
    })
}

/// A number from 0 to 1 that only depends on what it is for.
fn noise(name: &str, part: Option<&str>, row: u64, what: u64) -> f64 {
    let text = format!("{name} {part:?} {row} {what}");
    let mut state = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^= state >> 33;
    (state >> 11) as f64 / (1u64 << 53) as f64
}
