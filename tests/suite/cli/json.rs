//! `docs/json.md` and the binary, held against each other: every key printed is described, every key described is
//! printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use llava_video::device::Isa;
use serde_json::{Value, json};

use crate::eval::fetch::shelf::Shelf;
use crate::support::hub_home::{REPO, hub_with};
use crate::support::judge::{Act, Judge};
use crate::support::{Run, SHARDED, ask, clip_arg, command, device, fixtures, llava_video, run, tiny_checkpoint_arg};

/// The tables of the document: by title, the keys with their types.
struct Schema {
    tables: BTreeMap<String, BTreeMap<String, String>>,
    /// Keys that were printed, with something in them: (table, key).
    seen: BTreeSet<(String, String)>,
}

impl Schema {
    fn read() -> Self {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
        let (mut tables, mut title) = (BTreeMap::<String, BTreeMap<String, String>>::new(), String::new());
        for line in text.lines() {
            if line.starts_with('#') {
                title = line.trim_matches(['#', ' ', '*', '`']).to_owned();
            }
            let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            if let [key, kind, _] = cells.as_slice()
                && key.starts_with('`')
            {
                let twice = tables.entry(title.clone()).or_default().insert(key.replace('`', ""), kind.to_string());
                assert!(twice.is_none(), "{title}: {key} has two lines");
            }
        }
        Self { tables, seen: BTreeSet::new() }
    }

    /// Checks an object against a table, and marks its keys.
    #[track_caller]
    fn check(&mut self, table: &str, value: &Value) {
        let keys = self.tables.get(table).unwrap_or_else(|| panic!("no table `{table}`")).clone();
        let object = value.as_object().unwrap_or_else(|| panic!("{table}: {value} is no object"));
        let printed: BTreeSet<&String> = object.keys().collect();
        assert_eq!(printed, keys.keys().collect(), "{table}: printed on the left, in the document on the right");
        for (key, kind) in &keys {
            self.check_type(&format!("{table}.{key}"), kind, &object[key]);
            if !object[key].is_null() {
                self.seen.insert((table.to_owned(), key.clone()));
            }
        }
    }

    fn check_type(&mut self, place: &str, kind: &str, value: &Value) {
        if let Some((one, other)) = kind.split_once(" / ") {
            assert_eq!(other, "null", "{place}: {kind}");
            if !value.is_null() {
                self.check_type(place, one, value);
            }
        } else if let Some(inner) = kind.strip_prefix("array of ") {
            let values = value.as_array().unwrap_or_else(|| panic!("{place}: {value} is no array"));
            values.iter().for_each(|value| self.check_type(place, inner, value));
        } else if let Some(inner) = kind.strip_prefix("map of ") {
            let values = value.as_object().unwrap_or_else(|| panic!("{place}: {value} is no map"));
            values.values().for_each(|value| self.check_type(place, inner, value));
        } else if kind.starts_with('*') {
            self.check(kind.trim_matches('*'), value);
        } else {
            let is_right = match kind {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_u64(),
                "number" => value.is_number(),
                "object" => value.is_object(),
                other => panic!("{place}: unknown type `{other}`"),
            };
            assert!(is_right, "{place}: {value} is not of type {kind}");
        }
    }
}

fn ask_why(input: &str, extra: &[&str]) -> Run {
    ask(&[input, "Why?"], &[&["--json"], extra].concat())
}

#[test]
fn what_every_command_prints_is_documented_and_the_other_way_round() {
    let mut schema = Schema::read();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (clip, picture) = (clip_arg("plain_h264.mp4"), path("picture.png"));
    image::RgbImage::from_pixel(160, 100, image::Rgb([9, 8, 7])).save(&picture).unwrap();

    let answers = [
        ask_why(&clip, &["-n", "2", "--temperature", "1", "--quantize", "q8_0"]),
        ask_why(&clip_arg("trunc_half_faststart.mp4"), &["-n", "2"]),
        ask_why(&picture, &[]),
        ask_why("-", &["--no-video"]),
        ask_why(&clip, &["-n", "2", "--choices", "a,b"]),
    ];
    answers.iter().for_each(|answer| schema.check("ask --json", &answer.json()));
    let questions = path("questions.txt");
    std::fs::write(&questions, "Who?\nWhere?\n").unwrap();
    let mut chat = command();
    chat.args(["chat", &clip, "--model", &tiny_checkpoint_arg(), "--device", device(), "--max-new-tokens", "3"]);
    chat.args(["-n", "2", "--temperature", "1", "--json"]).stdin(std::fs::File::open(&questions).unwrap());
    let turns = run(&mut chat);
    let turns: Vec<Value> = turns.stdout_of_success().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(turns.len(), 2);
    turns.iter().for_each(|turn| schema.check("chat --json", turn));
    for extra in [&["--dry-run", "-n", "3"][..], &["--dry-run", "--quantize", "q8_0"]] {
        schema.check("ask --dry-run --json", &ask_why(&clip, extra).json());
    }
    schema.check("ask --dry-run --json", &ask_why(&picture, &["--dry-run"]).json());
    for extra in [&["--out", &path("frames")][..], &[]] {
        let lines = llava_video(["frames", &clip, "-n", "2"].iter().chain(extra));
        let lines = lines.stdout_of_success().lines().map(|line| serde_json::from_str(line).unwrap());
        lines.for_each(|line| schema.check("frames", &line));
    }
    for clip in [&clip, &clip_arg("trunc_half_faststart.mp4"), &clip_arg("no_duration.h264"), &picture] {
        schema.check("probe --json", &llava_video(["probe", clip, "--json"]).json());
    }

    let (_hub, home, commit) = hub_with(SHARDED, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    schema.check("model verify --json", &home.run(["model", "verify", REPO, "--json"]).json());
    // A second snapshot that lacks its weights, and a byte that is wrong.
    let snapshots = home.folder(REPO).join("snapshots");
    let other = snapshots.join("0".repeat(40));
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(snapshots.join(&commit).join("config.json"), other.join("config.json")).unwrap();
    schema.check("model list --json", &run(&mut home.command(["model", "list", "--json"])).json());
    let blob = snapshots.join(&commit).join("model-00003-of-00005.safetensors").canonicalize().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let damaged = run(&mut home.command(["model", "verify", REPO, "--json"]));
    assert_eq!(damaged.code, Some(1));
    schema.check("model verify --json", &serde_json::from_str(&damaged.stdout).unwrap());

    let gguf = path("model.gguf");
    llava_video(["model", "quantize", &tiny_checkpoint_arg(), "-o", &gguf, "--quantize", "q8_0"]).stdout_of_success();
    for model in [&tiny_checkpoint_arg(), &gguf, "demo"] {
        schema.check("model info --json", &llava_video(["model", "info", model, "--json"]).json());
    }
    let cache = run(command().args(["cache", "info", "--json"]).env("LLAVA_VIDEO_CACHE", path("cache")));
    schema.check("cache info --json", &cache.json());
    let text = path("text.txt");
    std::fs::write(&text, "A keyframe is a frame that needs no other frame.").unwrap();
    for extra in [&[][..], &["--quantize", "q8_0"]] {
        let score = ["score", "--text-only", &text, "--model", &tiny_checkpoint_arg(), "--device", device(), "--json"];
        schema.check("score --json", &llava_video(score.iter().chain(extra)).json());
    }
    schema.check("doctor --json", &llava_video(["doctor", "--json"]).json());
    let bench = ["bench", "-m", "demo", "--device", device(), "-n", "1", "--prompt-tokens", "8", "--new-tokens", "2"];
    for extra in [&["--video", &clip][..], &["--quantize", "q8_0", "--stages", "decode"]] {
        let bench = bench.iter().chain(&["--repeat", "1", "--json"]).chain(extra);
        schema.check("bench --json", &llava_video(bench).json());
    }
    check_batches(&mut schema, dir.path(), &clip, &picture);
    check_evaluations(&mut schema, dir.path(), &clip);
    check_what_needs_no_model(&mut schema, dir.path());
    let shelf = Shelf::new();
    shelf.hub.set_terms("mit", false);
    schema.check("eval fetch --dry-run --json", &shelf.fetch(&["--dry-run", "--json"]).json());
    schema.check("eval fetch --json", &shelf.fetch(&["--json"]).json());
    let random = ["bench", "--size", "0.5b", "--stages", "preprocess", "-n", "1", "--repeat", "1", "--json"];
    schema.check("bench --json", &llava_video(random).json());

    let all = schema.tables.iter().flat_map(|(table, keys)| keys.keys().map(move |key| (table.clone(), key.clone())));
    // Only some processors have instructions for it, and only some builds kernels for GPUs.
    let multiplies_bytes = Isa::available().iter().any(|isa| isa.multiplies_bf16());
    let may_lack = |(_, key): &(String, String)| match key.as_str() {
        "peak_int8_ops_per_sec" => !multiplies_bytes,
        "cuda_target" => !cfg!(feature = "cuda"),
        _ => false,
    };
    let never: Vec<_> = all.filter(|key| !schema.seen.contains(key) && !may_lack(key)).collect();
    assert!(never.is_empty(), "in the document, and never printed: {never:?}");
}

/// Records of every sort: answered, in windows, skipped, failed, and of a line that means nothing.
fn check_batches(schema: &mut Schema, dir: &Path, clip: &str, picture: &str) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let model = tiny_checkpoint_arg();
    let program = |command_name: &str, extra: &[&str]| {
        let mut program = command();
        program.args([command_name, "--model", &model, "--device", device(), "--max-new-tokens", "3", "-q"]);
        program.args(extra);
        program
    };
    let read = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let batch = |schema: &mut Schema, name: &str, code: i32, extra: &[&str]| {
        let output = path(name);
        let run = run(&mut program("batch", &[&["-o", &output], extra].concat()));
        assert_eq!(run.code, Some(code), "{run:?}");
        let records = read(&std::fs::read_to_string(&output).unwrap());
        records.iter().for_each(|record| schema.check("batch", record));
        records
    };
    let (jobs, summary, sidecars) = (path("jobs.jsonl"), path("summary.json"), path("sidecars"));
    let lines = [
        json!({ "id": "a", "video": clip, "questions": ["Who?", "Where?"], "frames": 2, "meta": { "set": "train" } }),
        json!({ "id": "b", "video": clip, "question": "Who?", "frames": 2, "choices": ["a", "b"] }),
        json!({ "id": "c", "video": picture, "question": "Who?" }),
        json!({ "id": "d", "video": path("none.mp4"), "question": "Who?" }),
        json!({ "id": "e", "video": clip, "question": "Who?", "frames": 2 }),
    ];
    let lines = lines.map(|line| format!("{line}\n")).concat();
    std::fs::write(&jobs, &lines).unwrap();
    let sampled = ["--temperature", "1", "--quantize", "q8_0", "--shard", "0/1"];
    let records = batch(schema, "out.jsonl", 3, &[&["--input", &jobs], &sampled[..]].concat());
    assert_eq!(records.len(), 5);
    let windows = ["-Q", "Who?", "-n", "2", "--window", "1s", "--sidecar", "json", "--output-dir", &sidecars];
    let records = batch(schema, "windows.jsonl", 0, &[&[clip], &windows[..]].concat());
    assert!(!records[0]["windows"].as_array().unwrap().is_empty(), "{records:?}");
    let records = batch(schema, "skipped.jsonl", 0, &[&[clip], &windows[..]].concat());
    assert_eq!(records[0]["status"], "skipped");
    // The same answer twice, and a failure, for the summary.
    batch(schema, "summed.jsonl", 3, &["--input", &jobs, "--summary", &summary]);
    schema.check("batch --summary", &serde_json::from_str(&std::fs::read_to_string(&summary).unwrap()).unwrap());

    std::fs::write(&jobs, format!("{lines}\nnot an object\n")).unwrap();
    let run = run(program("worker", &[]).stdin(std::fs::File::open(&jobs).unwrap()));
    let records = read(&run.stdout);
    assert_eq!((run.code, records.len()), (Some(3), 6), "{run:?}");
    records.iter().for_each(|record| schema.check("batch", record));
}

/// Runs of `eval`, of a part of a benchmark, of questions that are answered badly, and of a benchmark for a server.
fn check_evaluations(schema: &mut Schema, dir: &Path, clip: &str) {
    let data = |name: &str| fixtures().join("eval/fixtures").join(name).to_str().unwrap().to_owned();
    let videos = dir.join("videos");
    std::fs::create_dir(&videos).unwrap();
    let mut eval = |name: &str, code: i32, args: &[&str]| {
        let output = dir.join(name).to_str().unwrap().to_owned();
        let common = ["--model", &tiny_checkpoint_arg(), "--device", device(), "-n", "2", "--json"];
        let run =
            run(command().current_dir(&videos).args(["eval", "--videos", ".", "-o", &output]).args(common).args(args));
        assert_eq!(run.code, Some(code), "{run:?}");
        schema.check("eval --json", &serde_json::from_str(&run.stdout).unwrap());
        for line in std::fs::read_to_string(&output).unwrap().lines() {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let evaluation = record.as_object_mut().unwrap().remove("eval").unwrap();
            schema.check("batch", &record);
            schema.check("eval", &json!({ "eval": evaluation }));
        }
        output
    };
    let folders = ["mvbench", "nextqa", "egoschema", "mlvu"].map(data);
    let [mvbench, nextqa, egoschema, mlvu] = &folders;
    // MLVU's types are today's, at which the harness of 2024 ends.
    let runs = [
        ("mvbench.jsonl", vec!["mvbench", "--data", mvbench, "--part", "moving_count"]),
        ("nextqa.jsonl", vec!["nextqa", "--data", nextqa]),
        ("egoschema.jsonl", vec!["egoschema", "--data", egoschema]),
        ("mlvu.jsonl", vec!["mlvu", "--data", mlvu]),
    ];
    let outputs: Vec<String> = runs.iter().map(|(name, args)| eval(name, 3, args)).collect();
    for output in outputs {
        for line in std::fs::read_to_string(output).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let message = record["error"]["message"].as_str().unwrap();
            let path = videos.join(message.split(": no such file").next().unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::copy(clip, path).unwrap();
        }
    }
    for (name, args) in &runs {
        eval(name, 0, args);
    }
    let (_, nextqa) = &runs[1];
    eval("share.jsonl", 0, &[nextqa.as_slice(), &["--shard", "0/1"]].concat());
}

/// The commands of `eval` that need no model.
fn check_what_needs_no_model(schema: &mut Schema, dir: &Path) {
    let data = |name: &str| fixtures().join("eval/fixtures").join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_str().unwrap().to_owned()
    };
    schema.check("eval list --json", &llava_video(["eval", "list", "--json"]).json());
    let contexts = llava_video(["eval", "context", "mvbench", "--data", &data("mvbench")]);
    let contexts = contexts.stdout_of_success().lines().map(|line| serde_json::from_str(line).unwrap());
    contexts.for_each(|line| schema.check("eval context", &line));

    let mut figures = |table: &str, own: &[&str], figures: &Value| {
        let mut figures = figures.as_object().unwrap().clone();
        let own: Value = own.iter().map(|key| ((*key).to_owned(), figures.shift_remove(*key).unwrap())).collect();
        schema.check(table, &own);
        schema.check("eval --json", &Value::Object(figures));
    };
    // A row that cannot be scored, and one without a prediction.
    let row = |answer: &str| json!({ "video": "a.mp4", "question": "Q", "candidates": ["x", "y"], "answer": answer });
    let rows = write("rows.json", &json!([row("x"), row("z"), row("y")]).to_string());
    let predictions = write("p.jsonl", "{\"row\": 0, \"output\": \"A\"}\n{\"row\": 1, \"output\": \"A\"}\n");
    let score = ["eval", "score", "mvbench", "--part", "moving_count", "--data", &rows, &predictions, "--json"];
    let scored = llava_video(score);
    let mut lines: Vec<Value> = scored.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    figures("eval score --json", &["warnings"], &lines.pop().unwrap());

    let judge = Judge::new(&[("", vec![Act::Status(500, "", ""), Act::Say("{'pred': 'yes', 'score': 4}")])]);
    let predictions =
        write("q.jsonl", &(0..10).map(|row| format!("{{\"row\": {row}, \"output\": \"yes\"}}\n")).collect::<String>());
    let answers = llava_video(["eval", "score", "activitynetqa", "--data", &data("activitynetqa"), &predictions]);
    let results = write("activitynetqa.jsonl", answers.stdout_of_success());
    let asked = ["eval", "judge", &results, "--judge-url", &judge.url, "--judge-model", "m", "--pause", "0", "--json"];
    figures("eval judge --json", &["judged_by", "warnings"], &llava_video(asked).json());
    // A run of `eval` beside answers of which some are right.
    let run = dir.join("nextqa.jsonl");
    let golds = std::fs::read_to_string(&run).unwrap();
    let golds: BTreeMap<u64, String> = golds
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["eval"].take())
        .filter_map(|eval| Some((eval["row"].as_u64()?, eval["gold"].as_str()?.to_owned())))
        .collect();
    let answer = |(row, gold): (&u64, &String)| {
        json!({ "row": row, "output": if row % 3 == 0 { gold.as_str() } else { "?" } }).to_string() + "\n"
    };
    let predictions = write("r.jsonl", &golds.iter().map(answer).collect::<String>());
    let scored = llava_video(["eval", "score", "nextqa", "--data", &data("nextqa"), &predictions, "--json"]);
    let last = scored.stdout.lines().last().expect("figures");
    figures("eval score --json", &["warnings"], &serde_json::from_str(last).unwrap());
    let answers = llava_video(["eval", "score", "nextqa", "--data", &data("nextqa"), &predictions]);
    let other = write("nextqa-scored.jsonl", answers.stdout_of_success());
    let compared = llava_video(["eval", "compare", run.to_str().unwrap(), &other, "--json"]);
    schema.check("eval compare --json", &compared.json());
    lines.extend(std::fs::read_to_string(&results).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()));
    lines.iter().for_each(|line| schema.check("eval score", line));
}

#[test]
fn the_same_key_has_the_same_type_everywhere() {
    let mut types = BTreeMap::<String, String>::new();
    for (table, keys) in Schema::read().tables {
        for (key, kind) in keys {
            // A clip's facts, and in evaluations its name or file, as the document says.
            if ["evaluation", "eval context"].contains(&&*table) && key == "video" {
                continue;
            }
            let kind = kind.trim_end_matches(" / null").to_owned();
            let other = types.entry(key.clone()).or_insert_with(|| kind.clone());
            assert_eq!(*other, kind, "{table}.{key}");
        }
    }
    assert!(types.len() > 80, "{}", types.len());
}

#[test]
fn a_clip_that_lost_frames_says_so_in_every_record() {
    let clip = clip_arg("trunc_half_faststart.mp4");
    let warns = |record: &Value| {
        let warnings: Vec<&str> = record["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        assert!(!warnings.is_empty() && warnings.iter().all(|warning| warning.contains("faststart.mp4: ")), "{record}");
        warnings.join("\n")
    };
    let quiet = ask_why(&clip, &["-n", "2", "-q"]);
    assert_eq!(quiet.stderr, "");
    let record = quiet.json();
    assert!(warns(&record).contains("frames 44-89 could not be decoded"), "{record}");
    assert_eq!((&record["video"]["frame_count"], &record["video"]["lost_frames"]), (&44.into(), &46.into()));
    let lines = llava_video(["frames", &clip, "-n", "2", "-q"]);
    for line in lines.stdout_of_success().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        assert!(warns(&line).contains("frames 44-89 could not be decoded") && line["lost_frames"] == 46, "{line}");
    }
    let probed = llava_video(["probe", &clip, "--json", "-q"]).json();
    assert!(warns(&probed).contains("cut short") && probed["lost_frames"].as_u64().unwrap() > 40, "{probed}");
    let sound = ask_why(&clip_arg("plain_h264.mp4"), &["-n", "2"]).json();
    assert_eq!((&sound["warnings"], &sound["video"]["lost_frames"]), (&Value::Array(Vec::new()), &0.into()));
}

#[test]
fn times_are_the_same_in_ask_and_in_frames() {
    let clip = clip_arg("vfr.mp4");
    let lines = llava_video(["frames", &clip, "-n", "5"]);
    let lines = lines.stdout_of_success().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let record = ask_why(&clip, &["-n", "5"]).json();
    let frames = record["frames"].as_array().unwrap();
    for (line, frame) in lines.zip(frames) {
        for key in ["index", "time_secs", "pts_secs"] {
            assert_eq!(line[key], frame[key], "{line} {frame}");
        }
        assert!(frame["pts_secs"].is_f64(), "{frame}");
    }
    assert_eq!(frames.len(), 5);
}

#[test]
fn a_plan_that_does_not_fit_is_printed_and_refused() {
    let refused = ask_why(&clip_arg("plain_h264.mp4"), &["-n", "2", "--dry-run", "--memory-limit", "1MB"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let plan: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((&plan["fits"], &plan["devices"][0]["free_bytes"]), (&false.into(), &1_000_000.into()));
    let parts =
        ["weight_bytes", "kv_cache_bytes", "activation_bytes"].map(|key| plan["devices"][0][key].as_u64().unwrap());
    assert_eq!(plan["devices"][0]["bytes"], parts.iter().sum::<u64>());
    assert!(refused.stderr.contains("error: not enough memory"), "{refused:?}");
}

#[test]
fn a_text_on_standard_input_scores_as_in_a_file() {
    let text = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(text.path(), "A keyframe is a frame that needs no other frame.").unwrap();
    let (model, file) = (tiny_checkpoint_arg(), text.path().to_str().unwrap());
    let score = |text: &'static str| ["score", "--text-only", text, "--json", "--device", device(), "--model"];
    let from_file =
        llava_video(score("FILE").map(|arg| if arg == "FILE" { file } else { arg }).iter().chain([&&*model]));
    let mut piped = command();
    piped.args(score("-")).arg(&model).stdin(std::fs::File::open(text.path()).unwrap());
    let (from_file, piped) = (from_file.json(), run(&mut piped).json());
    assert_eq!((&piped["path"], &from_file["path"]), (&"-".into(), &file.into()));
    assert_eq!(piped["mean_nats"], from_file["mean_nats"]);
    let empty = run(command().args(score("-")).arg(&model));
    empty.fails_with(&["standard input has 0 tokens"]);
}
