//! `ask` from end to end: the real binary, a lossless clip, the reference's ids.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use candle_core::Device;
use llava_video::device::Isa;
use serde_json::{Value, json};

use crate::support::{
    Case, CheckpointCopy, Run, ask, ask_args, assert_close, clip, clip_arg, command, device, golden, golden_checkpoint,
    ids, llava_video, lossless, rgb_frames, run, set_flags, tiny_checkpoint,
};

/// A real clip, for what any clip would do.
const CLIP: &str = "sk_bigbuckbunny.mp4";

/// The golden clips' rate: their stamps were made with it.
const FPS: i32 = 2;

/// A case as a user would ask it: its clip, and the arguments that lead to its prompt.
struct Asked {
    clip: tempfile::NamedTempFile,
    question: String,
    time_instruction: &'static str,
    frames: usize,
}

impl Asked {
    fn of(case: &Case) -> Self {
        let (frames, width, height) = case.frames();
        let content = case.str("prompt").split("<|im_start|>user\n<image>").nth(1).unwrap();
        let content = content.strip_suffix("<|im_end|>\n<|im_start|>assistant\n").unwrap();
        let (time_instruction, question) = match content.split_once("related to this video.\n") {
            Some((instruction, question)) if instruction.starts_with('\n') => ("newline", question),
            Some((_, question)) => ("inline", question),
            None => ("none", content.strip_prefix('\n').unwrap()),
        };
        Self {
            clip: lossless_clip(&frames, width, height),
            question: question.to_owned(),
            time_instruction,
            frames: frames.len(),
        }
    }

    fn args(&self, checkpoint: &Path) -> Vec<String> {
        let clip = self.clip.path().to_str().unwrap();
        let (frames, model) = (self.frames.to_string(), checkpoint.to_str().unwrap());
        ["ask", clip, &self.question, "--model", model, "--frames", &frames, "--device", device(), "--dtype", "f32"]
            .into_iter()
            .chain(["--time-instruction", self.time_instruction, "--max-new-tokens", "32"])
            .map(str::to_owned)
            .collect()
    }
}

fn lossless_clip(frames: &[Vec<u8>], width: usize, height: usize) -> tempfile::NamedTempFile {
    let clip = tempfile::Builder::new().suffix(".mkv").tempfile().unwrap();
    lossless::write(clip.path(), frames, width, height, FPS);
    clip
}

/// Arguments for a quick question to the tiny checkpoint about a real clip.
fn quick(extra: &[&str]) -> Vec<String> {
    ask_args(&[&clip_arg(CLIP), "What is this?"], &[&["--frames", "3", "--max-new-tokens", "12"], extra].concat())
}

#[test]
fn every_video_case_through_the_binary() {
    for case in Case::all("video") {
        let dir = case.checkpoint();
        let asked = Asked::of(&case);
        let mut args = asked.args(dir.path());
        args.extend(set_flags(&case.facts["config_overrides"]));
        args.push("--json".to_owned());
        let record = llava_video(&args).json();
        assert_eq!(ids(&record["token_ids"]), case.ids("generated_ids"), "{}", case.name);
        assert_eq!(record["visual_tokens"], case.facts["num_video_tokens"], "{}", case.name);
        assert_eq!(record["prompt_tokens"], case.facts["seq_len"], "{}", case.name);
        assert_eq!(record["answer"], case.facts["generated_text_stripped"], "{}", case.name);
        assert_eq!(record["completion_tokens"], json!(case.ids("generated_ids").len()), "{}", case.name);
    }
}

#[test]
fn text_cases_without_a_video() {
    for case in Case::all("text_only") {
        let question = case.str("prompt").split("user\n").nth(1).unwrap().split("<|im_end|>").next().unwrap();
        let dir = case.checkpoint();
        let model = dir.path().to_str().unwrap();
        let args = ["ask", "--no-video", question, "--model", model, "--device", device(), "--dtype", "f32"];
        let record = llava_video(args.into_iter().chain(["--max-new-tokens", "32", "--json"])).json();
        assert_eq!(ids(&record["token_ids"]), case.ids("generated_ids"), "{}", case.name);
        assert_eq!((&record["video"], &record["frames"]), (&Value::Null, &json!([])));
    }
}

#[test]
fn the_hf_layout_case() {
    let facts = crate::support::json(&golden().join("hf/b_7x7_tied_single_bf16_hf_case.json"));
    let tensors = golden().join("hf/b_7x7_tied_single_bf16_hf_case.safetensors");
    let tensors = candle_core::safetensors::load(tensors, &Device::Cpu).unwrap();
    let (frames, width, height) = rgb_frames(&tensors["frames"]);
    let asked = Asked {
        clip: lossless_clip(&frames, width, height),
        question: "How many colors? Answer with a single word.".to_owned(),
        time_instruction: "none",
        frames: frames.len(),
    };
    let mut args = asked.args(&golden().join("hf/b_7x7_tied_single_bf16_hf"));
    args.push("--json".to_owned());
    assert_eq!(ids(&llava_video(args).json()["token_ids"]), ids(&facts["generated_ids"]));
}

/// A checkpoint of transformers 5, whose penalty counts the prompt: asked about a clip, about a picture, and nothing.
#[test]
fn the_penalty_of_the_hf_layout_counts_the_prompt() {
    let file = |name: &str| golden().join("hf").join(name);
    let facts = crate::support::json(&file("transformers5_case.json"));
    let tensors = candle_core::safetensors::load(file("transformers5_case.safetensors"), &Device::Cpu).unwrap();
    let (frames, width, height) = rgb_frames(&tensors["frames"]);
    let clip = lossless_clip(&frames, width, height);
    let (pixels, width, height) = rgb_frames(&tensors["picture"].unsqueeze(0).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("picture.png");
    let pixels = image::RgbImage::from_raw(width as u32, height as u32, pixels[0].clone()).unwrap();
    pixels.save(&picture).unwrap();
    for case in facts["cases"].as_array().unwrap() {
        let (medium, frames) = match case["name"].as_str().unwrap() {
            "video" => (clip.path().to_str().unwrap(), &["--frames", "3"][..]),
            "picture" => (picture.to_str().unwrap(), &[][..]),
            _ => ("--no-video", &[][..]),
        };
        let penalty = case["repetition_penalty"].as_f64().unwrap();
        // The checkpoint's own is 1.3.
        let flag = if penalty == 1.3 { vec![] } else { vec!["--repetition-penalty".to_owned(), penalty.to_string()] };
        let model = file("transformers5");
        let args = ["ask", medium, "Why is it red?", "--model", model.to_str().unwrap(), "--max-new-tokens", "24"];
        let device = ["--device", device(), "--dtype", "f32", "--json"];
        let args = args.iter().chain(frames).chain(&device).map(|&arg| arg.to_owned());
        let record = llava_video(args.chain(flag)).json();
        assert_eq!(ids(&record["token_ids"]), ids(&case["generated_ids"]), "{medium}, penalty {penalty}");
    }
}

/// One generation config with two stop ids; one case runs into the first of them, another into the second.
#[test]
fn each_of_two_stop_ids_ends_an_answer() {
    for (name, generated) in [("frame_bilinear_s2_a", 4), ("grid_max_s2_a", 3)] {
        let case = Case::load(name);
        let copy = CheckpointCopy::of(&golden_checkpoint(case.str("ckpt")));
        copy.edit_json("generation_config.json", |config| config["eos_token_id"] = json!([95, 314]));
        let asked = Asked::of(&case);
        let mut args = asked.args(copy.path());
        args.extend(set_flags(&case.facts["config_overrides"]));
        args.push("--json".to_owned());
        let record = llava_video(args).json();
        assert_eq!(ids(&record["token_ids"]), case.ids("generated_ids")[..generated], "{name}");
        assert_eq!(record["stop_reason"], "stop", "{name}");
    }
}

#[test]
fn dumped_tensors_are_the_references() {
    let case = Case::load("grid_average_s2_b");
    let (asked, dir, out) = (Asked::of(&case), case.checkpoint(), tempfile::tempdir().unwrap());
    let file = out.path().join("seams.safetensors");
    let mut args = asked.args(dir.path());
    args.extend(set_flags(&case.facts["config_overrides"]));
    args.extend(["--dump-tensors".to_owned(), file.to_str().unwrap().to_owned()]);
    llava_video(args).stdout_of_success();
    let seams = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    for (seam, tolerance) in [
        ("frames", 0.0),
        ("vision_features", 1e-4),
        ("projected", 1e-4),
        ("video_sequence", 1e-4),
        ("inputs_embeds", 1e-4),
        ("prefill_logits_last", 2e-3),
    ] {
        assert_close(seam, &seams[seam], &case.tensors[seam], tolerance);
    }
    let first = seams["pixel_values"].narrow(0, 0, 1).unwrap();
    assert_close("pixel_values", &first, &case.tensors["pixel_values_first"], 0.0);
    assert_eq!(seams["generated_ids"].to_vec1::<i64>().unwrap(), case.ids("generated_ids"));
}

#[test]
fn stdout_is_the_answer_and_one_newline() {
    let text = llava_video(quick(&[]));
    let record = llava_video(quick(&["--json"])).json();
    assert_eq!(text.stdout_of_success(), format!("{}\n", record["answer"].as_str().unwrap()));
    let cut = "note: the answer was cut off after 12 tokens; `--max-new-tokens` allows more\n";
    assert_eq!((record["stop_reason"].as_str(), text.stderr.as_str()), (Some("length"), cut));
    assert_eq!(llava_video(quick(&["-q"])).stderr, "");
}

#[test]
fn an_answer_that_ends_by_itself_is_not_called_cut() {
    let clip = clip("clip1-h264.mp4");
    let args = ["ask", clip.to_str().unwrap(), "describe this video", "-m", "demo", "--device", device(), "-n", "8"];
    let whole = llava_video(args);
    assert!(!whole.stderr.contains("cut off"), "{whole:?}");
    let tokens = llava_video(args.iter().chain(&["--json"])).json()["completion_tokens"].to_string();
    // The stop id counts: as many tokens as the answer has are enough.
    assert!(!llava_video(args.iter().chain(&["--max-new-tokens", &tokens])).stderr.contains("cut off"));
    assert!(llava_video(args.iter().chain(&["--max-new-tokens", "2"])).stderr.contains("cut off after 2 tokens"));
}

#[test]
fn the_environment_may_name_the_model() {
    let args = quick(&["--json"]);
    let without: Vec<&String> = args[..3].iter().chain(&args[5..]).collect();
    let model = tiny_checkpoint();
    let record = run(command().args(&without).env("LLAVA_VIDEO_MODEL", &model)).json();
    assert_eq!(record, with_timings_of(llava_video(&args).json(), &record));
    // What is typed counts more.
    let typed = run(command().args(&args).env("LLAVA_VIDEO_MODEL", "./no/such/model")).json();
    assert_eq!(typed["model"], model.to_str().unwrap());
}

/// A record with another's timings, which are never the same.
fn with_timings_of(mut record: Value, other: &Value) -> Value {
    record["timings"] = other["timings"].clone();
    record
}

#[test]
fn a_question_of_blanks_is_none() {
    for blank in [" ", "\t", "\n \n", "\u{3000}"] {
        let mut args = quick(&[]);
        args[2] = blank.to_owned();
        let run = llava_video(&args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{blank:?}: {run:?}");
        assert!(run.stderr.contains("the question is empty"), "{run:?}");
        args[2] = "-".to_owned();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_eq!(ask_on_stdin(blank.as_bytes(), &args).code, Some(2), "{blank:?}");
    }
}

#[test]
fn help_is_grouped_and_has_examples() {
    let help = llava_video(["ask", "--help"]);
    let help = help.stdout_of_success();
    let place = |part: &str| help.find(part).unwrap_or_else(|| panic!("{part}: {help}"));
    let in_order =
        ["Arguments:", "\nFrames:", "\nModel:", "\nPrompt:", "\nDevices and memory:", "\nAnswer:", "\nOutput:"];
    for group in in_order.iter().chain(&["\nExamples:", "-m, --model", "-n, --frames", "LLAVA_VIDEO_MODEL", "1m30s"]) {
        place(group);
    }
    assert!(place("\nFrames:") < place("--fps") && place("--fps") < place("\nModel:"), "{help}");
    for command in ["frames", "probe", "score"] {
        let help = llava_video([command, "--help"]);
        assert!(help.stdout_of_success().contains("Examples:\n  llava-video "), "{help:?}");
    }
}

#[test]
fn the_json_record_holds_everything() {
    let record = llava_video(quick(&["--json", "--fps", "2", "--frames", "8"])).json();
    let keys: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "question",
        "answer",
        "stop_reason",
        "token_ids",
        "completion_tokens",
        "cached_tokens",
        "frames_encoded",
        "choices",
        "seed",
        "timings",
        "prompt_tokens",
        "visual_tokens",
        "frames",
        "video",
        "pictures",
        "model",
        "device",
        "dtype",
        "kernels",
        "quantize",
        "warnings",
    ];
    assert_eq!(keys, expected);
    let best = *Isa::available().last().unwrap();
    let (dtype, kernels) = match device() {
        "cpu" => (if best.multiplies_bf16() { "bf16" } else { "f32" }, best.name()),
        _ => ("bf16", "candle"),
    };
    assert_eq!((&record["dtype"], &record["kernels"]), (&json!(dtype), &json!(kernels)), "weights in bf16");
    assert_eq!((&record["device"], &record["stop_reason"]), (&json!(device()), &json!("length")));
    let video = &record["video"];
    assert_eq!((&video["frame_count"], &video["width"], &video["height"]), (&json!(132), &json!(1280), &json!(720)));
    let duration = video["frame_count"].as_f64().unwrap() / video["avg_fps"].as_f64().unwrap();
    assert_eq!(video["duration_secs"].as_f64().unwrap(), duration);
    let frames = record["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 8, "2 frames a second of 5.28 s are more than 8, so the plan is the uniform one");
    assert_eq!(frames[7], json!({ "index": 131, "time_secs": 5.24, "pts_secs": 5.24 }));
    assert_eq!((&record["question"], &record["warnings"]), (&json!("What is this?"), &json!([])));
    assert!(record["timings"]["total_secs"].as_f64().unwrap() > 0.0);
    assert!(record["timings"]["prefill_tokens_per_sec"].as_f64().unwrap() > 0.0);
}

#[test]
fn timings_go_to_stderr() {
    let timed = llava_video(quick(&["--timings"]));
    assert_eq!(timed.stdout_of_success(), llava_video(quick(&[])).stdout);
    for stage in ["probe", "video_decode", "load", "vision", "prefill", "decode", "total"] {
        assert!(timed.stderr.lines().any(|line| line.starts_with(stage)), "{stage}: {}", timed.stderr);
    }
}

fn ask_on_stdin(question: &[u8], args: &[&str]) -> Run {
    let mut child =
        command().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may refuse its arguments without reading.
    let _ = child.stdin.take().unwrap().write_all(question);
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn a_dash_reads_the_question_from_stdin() {
    let args = quick(&["--json"]);
    let mut with_dash: Vec<&str> = args.iter().map(String::as_str).collect();
    with_dash[2] = "-";
    let expected = llava_video(&args).json();
    assert_eq!(ask_on_stdin(b"What is this?\n", &with_dash).json()["token_ids"], expected["token_ids"]);
    assert_eq!(ask_on_stdin(b"What is this?", &with_dash).json()["token_ids"], expected["token_ids"]);
    // One newline is removed and no more.
    let two = ask_on_stdin(b"What is this?\n\n", &with_dash).json();
    assert_eq!(two["prompt_tokens"].as_u64().unwrap(), expected["prompt_tokens"].as_u64().unwrap() + 1);
    for empty in [&b""[..], b"\n"] {
        assert_eq!(ask_on_stdin(empty, &with_dash).code, Some(2));
    }
    let model = tiny_checkpoint();
    assert_eq!(ask_on_stdin(b"\n", &["ask", "-", "-", "--model", model.to_str().unwrap()]).code, Some(2));
    assert_eq!(ask_on_stdin(b"a", &["ask", "-", "-", "--model", model.to_str().unwrap()]).code, Some(2));
}

#[test]
fn a_long_prompt_is_refused_with_the_number_of_frames_that_fit() {
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("config.json", |config| config["tokenizer_model_max_length"] = json!(300));
    let asked = |frames: &str| {
        let extra = ["--model", copy.path().to_str().unwrap(), "--max-new-tokens", "2", "--frames", frames];
        ask(&[&clip_arg(CLIP), "x"], &extra)
    };
    // A 9x9 grid pools to 5x5: 30 tokens a frame with newlines.
    asked("40").fails_with(&["1233 positions", "300", "hint: use `--frames 8`"]);
    assert_eq!(asked("8").code, Some(0));
    asked("9").fails_with(&["8 frames would fit"]);
}

#[test]
fn the_context_ends_an_answer() {
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("generation_config.json", |config| config["eos_token_id"] = json!([100_000]));
    copy.edit_json("config.json", |config| config["max_position_embeddings"] = json!(130));
    let args = quick(&["--json", "--max-new-tokens", "100", "--model", copy.path().to_str().unwrap()]);
    let record = llava_video(args).json();
    let total = record["prompt_tokens"].as_u64().unwrap() + record["completion_tokens"].as_u64().unwrap();
    assert_eq!((&record["stop_reason"], total), (&json!("context"), 130));
}

#[test]
fn config_keys_can_be_set_and_unknown_ones_are_refused() {
    let bilinear = llava_video(quick(&["--json"])).json();
    let average = llava_video(quick(&["--json", "--set", "mm_spatial_pool_mode=average"])).json();
    // 9x9: bilinear pools to 5x5, average to 4x4.
    assert_eq!((&bilinear["visual_tokens"], &average["visual_tokens"]), (&json!(3 * 5 * 6), &json!(3 * 4 * 5)));
    assert_eq!(llava_video(quick(&["--set", "no_such_key=1"])).code, Some(2));
    llava_video(quick(&["--set", "mm_spatial_pool_mode=median"])).fails_with(&["mm_spatial_pool_mode", "median"]);
    llava_video(quick(&["--set", "mm_spatial_pool_stride=50", "--set", "mm_spatial_pool_mode=max"]))
        .fails_with(&["stride 50", "9x9"]);
}

#[test]
fn the_system_message_can_be_changed_or_left_out() {
    let tokens = |extra: &[&str]| {
        let args = quick(&[&["--json"], extra].concat());
        llava_video(args).json()["prompt_tokens"].as_u64().unwrap()
    };
    let sentence = tokens(&["--system", "You are a helpful assistant."]);
    assert_eq!(tokens(&[]), sentence);
    assert!(tokens(&["--system", ""]) < sentence);
    assert!(tokens(&["--system", "You are a helpful assistant. Be brief."]) > sentence);
}

#[test]
fn sampling_repeats_with_its_seed() {
    let answer = |seed: &str| {
        let args = quick(&["--json", "--temperature", "1.5", "--seed", seed]);
        let record = llava_video(args).json();
        assert_eq!(record["seed"].to_string(), seed);
        record["token_ids"].clone()
    };
    assert_eq!(answer("1"), answer("1"));
    assert_ne!(answer("1"), answer("2"));
    let greedy = llava_video(quick(&["--json", "--seed", "1"])).json();
    assert_eq!(greedy["token_ids"], llava_video(quick(&["--json"])).json()["token_ids"]);
}

/// The tensors would be written after the whole answer, so that their absence shows that it ended before.
#[test]
fn a_closed_pipe_ends_the_answer_quietly() {
    let out = tempfile::tempdir().unwrap();
    let ask = |name: &str, stdout: Stdio| {
        let file = out.path().join(name);
        let run = run(command().args(quick(&["--dump-tensors", file.to_str().unwrap()])).stdout(stdout));
        (run, file.exists())
    };
    let (read, is_written) = ask("read", Stdio::piped());
    assert!(!read.stdout_of_success().is_empty() && is_written);
    // Closed before the program starts, so that the first byte already fails.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (closed, is_written) = ask("closed", writer.into());
    assert_eq!((closed.code, closed.stderr.as_str()), (Some(0), ""));
    assert!(!is_written, "the answer went on without a reader");
}

/// Any other failure to write is one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let frames = ["frames", &clip_arg(CLIP), "--frames", "2"].map(str::to_owned);
    for args in [quick(&[]), quick(&["--json"]), frames.to_vec()] {
        run(command().args(&args).stdout(full())).fails_with(&["cannot write to standard output", "No space left"]);
    }
}

#[test]
fn a_repository_id_resolves_from_the_hub_cache() {
    let home = tempfile::tempdir().unwrap();
    let repo = home.path().join("hub/models--someone--tiny");
    let snapshot = repo.join("snapshots/0123abcd");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::write(repo.join("refs/main"), "0123abcd").unwrap();
    for entry in std::fs::read_dir(tiny_checkpoint()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, snapshot.join(path.file_name().unwrap())).unwrap();
    }
    let mut args = quick(&["--json"]);
    args[4] = "someone/tiny".to_owned();
    let record = run(command().args(&args).env("HF_HOME", home.path())).json();
    assert_eq!(record["model"], "someone/tiny");
    args[4] = "someone/else".to_owned();
    run(command().args(&args).env("HF_HOME", home.path())).fails_with(&[
        "someone/else",
        home.path().to_str().unwrap(),
        "hint: ",
        "download",
    ]);
}

#[test]
fn version_names_ffmpeg_and_features() {
    let version = llava_video(["--version"]);
    let text = version.stdout_of_success();
    for part in [env!("CARGO_PKG_VERSION"), "libavcodec", "libswscale", "features: "] {
        assert!(text.contains(part), "{text}");
    }
}
