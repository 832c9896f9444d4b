//! Quantized weights from end to end: at load, in a file, by perplexity, and in memory.

use std::path::Path;
use std::time::{Duration, Instant};

use candle_core::DType;
use llava_video::checkpoint::{Checkpoint, LanguageCheckpoint, TensorPlan, fallbacks};
use llava_video::device::{DeviceMap, DeviceName, DtypeRequest, Operands, Placement};
use llava_video::interrupt::Interrupt;
use llava_video::language::Qwen2;
use llava_video::memory::StageBytes;
use llava_video::model::vocab_len;
use llava_video::prompt::Tokenizer;
use llava_video::quantization::{Format, Quantization, Scheme};
use llava_video::score::{kl_divergence, log_probabilities};
use serde_json::Value;

use crate::support::process::{PATIENCE, Running, limit_file_size, wait_for};
use crate::support::shapes::{self, SEVEN_B, original_tensors};
use crate::support::small_disk::SmallDisk;
use crate::support::wide::{self, HUGE, LARGE, SMALL};
use crate::support::{
    CheckpointCopy, Run, SINGLE, ask, clip, clip_arg, command, device, golden, golden_checkpoint, llava_video,
    rounding, run, tiny_checkpoint,
};

const TEXT: &str = "a video of the moon and the sun, second by second, on and on: it is what it is.\n";

fn ask_model(model: &Path, extra: &[&str]) -> Run {
    let model = ["--model", model.to_str().unwrap(), "--frames", "3", "--json"];
    ask(&[&clip_arg("sk_bigbuckbunny.mp4"), "What is this?"], &[&model, extra].concat())
}

fn quantize(model: &Path, file: &Path, extra: &[&str]) -> Run {
    let args = ["model", "quantize", model.to_str().unwrap(), "--output", file.to_str().unwrap()];
    llava_video(args.into_iter().chain(extra.iter().copied()))
}

fn score(model: &Path, text: &Path, extra: &[&str]) -> Run {
    let args =
        ["score", "--text-only", text.to_str().unwrap(), "--model", model.to_str().unwrap(), "--device", device()];
    llava_video(args.into_iter().chain(extra.iter().copied()))
}

/// The tool that compares quantizations, as a part of this test.
#[path = "../../../examples/compare-quantization.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod compare_quantization;

fn text_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn scheme(quantization: Quantization) -> Scheme {
    Scheme { quantization, vision: false }
}

#[test]
fn weights_that_are_no_numbers_are_not_quantized() {
    let copy = wide::checkpoint(SMALL, false);
    let name = "model.layers.0.mlp.down_proj.weight";
    copy.edit_tensors(|tensors| {
        let tensor = tensors[name].clone();
        tensors.insert(name.to_owned(), ((&tensor - &tensor).unwrap() / 0.0).unwrap());
    });
    ask_model(copy.path(), &["--quantize", "q4_k"]).fails_with(&[name, "not finite numbers"]);
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("nan.gguf");
    quantize(copy.path(), &file, &[]).fails_with(&[name, "not finite numbers"]);
    assert!(!file.exists());
}

#[test]
fn a_file_gives_the_ids_that_quantizing_at_load_gives() {
    let checkpoint = wide::checkpoint(SMALL, false);
    let out = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for (quantization, vision) in [("q8_0", false), ("q6_k", true), ("q5_k", false), ("q4_k", true)] {
        let flags = if vision {
            vec!["--quantize", quantization, "--quantize-vision"]
        } else {
            vec!["--quantize", quantization]
        };
        let at_load = ask_model(checkpoint.path(), &flags).json();
        let file = out.path().join(format!("{quantization}.gguf"));
        assert_eq!(quantize(checkpoint.path(), &file, &flags).stdout_of_success(), "");
        let from_file = ask_model(&file, &[]).json();
        assert_eq!(at_load["token_ids"], from_file["token_ids"], "{quantization}");
        assert_eq!((at_load["quantize"].as_str(), &from_file["quantize"]), (Some(quantization), &Value::Null));
        assert!(at_load["token_ids"].as_array().unwrap().len() > 1);
        seen.push(std::fs::metadata(&file).unwrap().len());
    }
    assert!(seen.is_sorted_by(|a, b| a > b), "files of fewer bits are smaller: {seen:?}");
    let left: Vec<_> = std::fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing but the files: {left:?}");
}

/// The golden checkpoints: widths that K-quants do not divide, tied tables, and the HF layout.
#[test]
fn narrow_tied_and_hf_checkpoints_fall_back_and_load() {
    let out = tempfile::tempdir().unwrap();
    for name in [
        "ckpt/a_9x9_untied_sharded_bf16",
        "ckpt/b_7x7_tied_single_bf16",
        "hf/b_7x7_tied_single_bf16_hf",
        "hf/transformers5",
    ] {
        let dir = golden().join(name);
        let file = out.path().join(format!("{}.GGUF", name.replace('/', "-")));
        let run = quantize(&dir, &file, &["--quantize", "q4_k", "--quantize-vision"]);
        run.stdout_of_success();
        let note = "model.layers.*.mlp.up_proj.weight falls back to q8_0: rows of";
        assert!(run.stderr.contains(note), "{}", run.stderr);
        let at_load = ask_model(&dir, &["--quantize", "q4_k", "--quantize-vision"]).json();
        assert_eq!(ask_model(&file, &[]).json()["token_ids"], at_load["token_ids"], "{name}");
        // What the layout decides beside the weights, such as the ids that the repetition penalty counts.
        let config = |path: &Path| Checkpoint::open(path, &[]).unwrap().config;
        assert_eq!(config(&file), config(&dir), "{name}");

        let info = |path: &Path| llava_video(["model", "info", path.to_str().unwrap(), "--json"]).json();
        let (before, after) = (info(&dir), info(&file));
        let lines = before["quantization_fallbacks"].as_array().unwrap();
        assert!(lines.iter().any(|line| line.as_str().unwrap().contains(note)), "{lines:?}");
        let stored = &before["weight_bytes"];
        assert!(before["weight_bytes_by_quantization"]["q8_0"].as_u64() < stored.as_u64(), "{before}");
        assert!(after["parameters_by_dtype"]["q8_0"].as_u64() > Some(0) && after["quantization_fallbacks"].is_null());
    }
}

#[test]
fn files_are_not_lost_and_not_guessed() {
    let checkpoint = golden_checkpoint(SINGLE);
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("b.gguf");
    std::fs::write(&file, "mine").unwrap();
    quantize(&checkpoint, &file, &[]).fails_with(&["b.gguf", "exists"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    quantize(&checkpoint, &file, &["--force"]).stdout_of_success();
    let run = quantize(&checkpoint, &out.path().join("b.bin"), &[]);
    assert_eq!((run.code, run.stderr.contains("does not end in .gguf")), (Some(2), true), "{run:?}");

    ask_model(&file, &["--quantize", "q8_0"]).fails_with(&["already quantized", "hint: "]);
    quantize(&file, &out.path().join("again.gguf"), &[]).fails_with(&["already quantized"]);

    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 100]).unwrap();
    ask_model(&file, &[]).fails_with(&["b.gguf", "past the end of the file"]);
    std::fs::write(&file, b"GGUF but not really").unwrap();
    ask_model(&file, &[]).fails_with(&["b.gguf", "GGUF version"]);

    let foreign = out.path().join("foreign.gguf");
    let tensor = candle_core::Tensor::zeros((4, 32), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let tensor = candle_core::quantized::QTensor::quantize(&tensor, candle_core::quantized::GgmlDType::Q8_0).unwrap();
    let architecture = candle_core::quantized::gguf_file::Value::String("qwen2".to_owned());
    let mut written = std::fs::File::create(&foreign).unwrap();
    let metadata = [("general.architecture", &architecture)];
    candle_core::quantized::gguf_file::write(&mut written, &metadata, &[("token_embd.weight", &tensor)]).unwrap();
    ask_model(&foreign, &[]).fails_with(&["another program", "hint: ", "model quantize"]);
    score(&foreign, text_file(TEXT).path(), &[]).fails_with(&["another program", "hint: "]);
}

#[test]
fn a_file_is_not_begun_without_the_room_for_it() {
    let checkpoint = wide::checkpoint(SMALL, false);
    let out = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(out.path(), 64 << 10, "a quantized file without room") else {
        return;
    };
    let file = disk.path().join("small.gguf");
    quantize(checkpoint.path(), &file, &["--quantize", "q8_0"]).fails_with(&[
        "not enough disk space",
        "65.5 kB free",
        "hint: ",
    ]);
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "nothing was begun");
}

/// Room that was there at the beginning and is not at the end.
#[test]
fn a_file_that_cannot_be_ended_is_not_left_behind() {
    let checkpoint = wide::checkpoint(SMALL, false);
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("small.gguf");
    let mut command = command();
    command.args(["model", "quantize", checkpoint.path().to_str().unwrap(), "--output", file.to_str().unwrap()]);
    limit_file_size(&mut command, 100_000);
    run(&mut command).fails_with(&["cannot write", "small.gguf"]);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "a part was left behind");
}

fn language(path: &Path, quantization: Option<Quantization>) -> (Qwen2, Tokenizer) {
    let tokenizer = Tokenizer::open(path).unwrap();
    let mut checkpoint = LanguageCheckpoint::open(path, |seeing| vocab_len(seeing, &tokenizer)).unwrap();
    if let Some(quantization) = quantization {
        checkpoint.quantize(scheme(quantization)).unwrap();
    }
    let LanguageCheckpoint { config, weights, vocab_len, .. } = &checkpoint;
    let devices = DeviceMap::single(rounding(Operands::Bytes), config.num_layers);
    (Qwen2::load(config, weights, *vocab_len, &devices, &mut |_, _| Ok(())).unwrap(), tokenizer)
}

/// Mean divergence of next-token distributions from those of the weights as they are, in nats: by long inputs (widened
/// blocks) and token by token (products in integers).
#[test]
fn fewer_bits_diverge_more_and_none_diverges_much() {
    let checkpoint = wide::checkpoint(SMALL, false);
    let interrupt = Interrupt::default();
    let (exact, tokenizer) = language(checkpoint.path(), None);
    let ids = tokenizer.encode_plain(TEXT).unwrap();
    let whole = |model: &Qwen2| {
        let mut rows = Vec::new();
        let (mut cache, mut on_logits) = (model.new_cache(ids.len()), |logits| rows.extend(logits));
        model.all_logits(&ids, &mut cache, &interrupt, &mut |_| (), &mut on_logits).unwrap();
        rows
    };
    let stepwise = |model: &Qwen2| {
        let mut cache = model.new_cache(ids.len());
        let step = |id: &u32| model.step(*id, &mut cache, &interrupt).unwrap().to_vec1::<f32>().unwrap();
        ids.iter().map(step).collect::<Vec<_>>()
    };
    let divergence = |got: &[Vec<f32>], expected: &[Vec<f32>]| {
        let pairs = got.iter().zip(expected);
        let all: f64 = pairs.map(|(got, e)| kl_divergence(&log_probabilities(e), &log_probabilities(got))).sum();
        all / ids.len() as f64
    };
    let expected = whole(&exact);
    assert!(divergence(&stepwise(&exact), &expected) < 1e-6);
    let mut last = 1e-7;
    for (quantization, bound) in
        [(Quantization::Q8_0, 1e-3), (Quantization::Q6K, 1e-2), (Quantization::Q5K, 3e-2), (Quantization::Q4K, 1e-1)]
    {
        let (model, _) = language(checkpoint.path(), Some(quantization));
        let (long, steps) = (divergence(&whole(&model), &expected), divergence(&stepwise(&model), &expected));
        assert!(long > last && long < bound && steps < bound, "{}: {long:.2e}, {steps:.2e}", quantization.name());
        last = long;
    }
}

/// The tool's table for two questions: the answers of the checkpoint itself are right by definition, and 8 bits hardly
/// change a distribution.
#[test]
fn the_comparison_tool_measures_answers_and_distributions() {
    let checkpoint = wide::checkpoint(SMALL, false);
    let answer = ask_model(checkpoint.path(), &["--dtype", "f32"]).json()["answer"].clone();
    let question = serde_json::json!({ "clip": "sk_bigbuckbunny.mp4", "question": "What is this?", "frames": 3 });
    let (mut right, mut wrong) = (question.clone(), question);
    right["answer"] = answer;
    wrong["answer"] = "something else".into();
    wrong["time_instruction"] = "newline".into();
    let folder = tempfile::tempdir().unwrap();
    let name = "sk_bigbuckbunny.mp4";
    std::fs::copy(clip(name), folder.path().join(name)).unwrap();
    let list = folder.path().join("questions.json");
    std::fs::write(&list, serde_json::json!([right, wrong]).to_string()).unwrap();

    let args = [checkpoint.path().to_str().unwrap(), list.to_str().unwrap(), "--max-new-tokens", "12"];
    let rest = ["--quantize", "q8_0,q4_k", "--quantize-vision", "--device", device()];
    let mut out = Vec::new();
    compare_quantization::compare(args.into_iter().chain(rest).map(str::to_owned), &mut out).unwrap();
    let table = String::from_utf8(out).unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.len(), 5, "{table}");
    assert_eq!((rows[2][0], rows[2][5], rows[2][6]), ("as they are", "1", "0.5000"), "{table}");
    let divergence = |row: usize| rows[row][2].parse::<f64>().unwrap();
    assert_eq!((rows[3][0], rows[4][0]), ("q8_0", "q4_k"), "{table}");
    assert!(divergence(3) > 0.0 && divergence(3) < 1e-2 && divergence(4) > divergence(3), "{table}");
    assert!(rows[3][4].parse::<f64>().unwrap() > 0.7, "{table}");
}

/// The golden checkpoint's language model as a plain Qwen2 checkpoint.
fn plain_qwen2() -> CheckpointCopy {
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_tensors(|tensors| {
        tensors.retain(|name, _| !name.contains("vision_tower") && !name.contains("mm_projector"));
        tensors.remove("model.image_newline");
    });
    copy.edit_json("config.json", |config| {
        config["architectures"] = serde_json::json!(["Qwen2ForCausalLM"]);
        config["model_type"] = "qwen2".into();
    });
    copy
}

#[test]
fn perplexity_is_that_of_predicting_each_token_in_its_window() {
    let plain = plain_qwen2();
    let (model, tokenizer) = language(plain.path(), None);
    let ids = tokenizer.encode_plain(TEXT).unwrap();
    let (window, interrupt) = (7, Interrupt::default());
    let mut nats = Vec::new();
    for window in ids.chunks(window) {
        for end in 1..window.len() {
            let (embeds, mut cache) = (model.embed(&window[..end]).unwrap(), model.new_cache(end));
            let logits = model.prefill(&embeds, &mut cache, &interrupt, &mut |_, _| ()).unwrap();
            nats.push(-log_probabilities(&logits.to_vec1::<f32>().unwrap())[window[end] as usize]);
        }
    }
    let expected = nats.iter().sum::<f64>() / nats.len() as f64;
    let text = text_file(TEXT);
    let record = score(plain.path(), text.path(), &["--context", "7", "--dtype", "f32", "--json"]).json();
    assert_eq!((record["predicted_tokens"].as_u64(), &record["quantize"]), (Some(nats.len() as u64), &Value::Null));
    let got = record["mean_nats"].as_f64().unwrap();
    assert!((got - expected).abs() < 1e-4, "{got} is not {expected}");
    assert!((record["perplexity"].as_f64().unwrap() - expected.exp()).abs() < 1e-2);

    // The same language model inside a model that sees, and as one number.
    let seeing = score(&golden_checkpoint(SINGLE), text.path(), &["--context", "7", "--dtype", "f32"]);
    assert_eq!(seeing.stdout_of_success(), format!("{:.4}\n", record["perplexity"].as_f64().unwrap()));
    let quantized = score(plain.path(), text.path(), &["--context", "7", "--dtype", "f32", "--quantize", "q8_0"]);
    let quantized: f64 = quantized.stdout_of_success().trim().parse().unwrap();
    assert!((quantized / expected.exp() - 1.0).abs() < 0.05, "{quantized} is not near {}", expected.exp());
}

#[test]
fn a_language_model_is_scored_and_cannot_be_asked() {
    let plain = plain_qwen2();
    ask_model(plain.path(), &[]).fails_with(&["config.json", "cannot see videos", "hint: ", "score --text-only"]);
    score(plain.path(), text_file("").path(), &[]).fails_with(&["has 0 tokens"]);
    let run = score(plain.path(), text_file(TEXT).path(), &["--context", "40000"]);
    assert_eq!((run.code, run.stderr.contains("32768")), (Some(2), true), "{run:?}");
}

#[test]
fn plans_come_from_headers_and_say_what_falls_back() {
    let dir = tiny_checkpoint();
    let checkpoint = Checkpoint::open(&dir, &[]).unwrap();
    let bytes = |plan: &[TensorPlan]| plan.iter().map(TensorPlan::bytes).sum::<usize>();
    let as_stored = checkpoint.plan();
    assert!(fallbacks(&as_stored).is_empty() && bytes(&as_stored) <= checkpoint.weights.total_bytes());
    let plan = checkpoint.plan_if_quantized(scheme(Quantization::Q4K));
    assert!(bytes(&plan) < bytes(&as_stored));
    let lines = fallbacks(&plan);
    assert!(
        lines.iter().any(|line| line.starts_with("model.embed_tokens.weight falls back to q8_0: rows of 96")),
        "{lines:?}"
    );
    let up = plan.iter().find(|tensor| tensor.name == "model.layers.0.mlp.up_proj.weight").unwrap();
    assert_eq!((up.held, up.wanted, up.is_fallback()), (Format::Q8_0, Format::Q4K, true));
}

/// The table of docs/models.md for the 7B model, and what its tower's rows fall back to.
#[test]
fn the_7b_model_takes_what_the_docs_say() {
    let dir = tempfile::tempdir().unwrap();
    shapes::write(dir.path(), &super::siblings::original(&SEVEN_B), &original_tensors(&SEVEN_B), 4);
    let checkpoint = Checkpoint::open(dir.path(), &[]).unwrap();
    for (quantization, language, with_vision) in [
        (Quantization::Q8_0, "8.9", "8.7"),
        (Quantization::Q6K, "7.1", "6.8"),
        (Quantization::Q5K, "6.2", "5.9"),
        (Quantization::Q4K, "5.4", "5.1"),
    ] {
        for (vision, expected) in [(false, language), (true, with_vision)] {
            let plan = checkpoint.plan_if_quantized(Scheme { quantization, vision });
            let bytes: usize = plan.iter().map(TensorPlan::bytes).sum();
            assert_eq!(format!("{:.1}", bytes as f64 / 1e9), expected, "{} {vision}", quantization.name());
            let widths = [(Format::Q8_0, "rows of 1152 values"), (Format::Float(DType::BF16), "rows of 4304 values")];
            for (format, width) in
                widths.into_iter().filter(|(format, _)| vision && quantization.name() != format.name())
            {
                let falls = format!("falls back to {}: {width}", format.name());
                assert!(fallbacks(&plan).iter().any(|line| line.contains(&falls)), "{falls}: {:?}", fallbacks(&plan));
            }
        }
    }
}

/// Stopped in the middle of a large table, `model quantize` ends within a second and leaves nothing behind.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_part_of_a_file() {
    let dir = wide::checkpoint(HUGE, true);
    let out = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(out.path()).unwrap().count();
    let args = ["model", "quantize", dir.path().to_str().unwrap(), "-o"];
    let mut running = Running::start(command().args(args).arg(out.path().join("x.gguf")));
    wait_for("a part of the file", PATIENCE, || {
        assert!(!running.has_ended(), "it ended before it could be interrupted");
        files() > 0
    });
    // Into the first of the tables.
    std::thread::sleep(Duration::from_millis(50));
    running.signal(libc::SIGINT);
    let run = running.end_within(Duration::from_secs(1));
    assert_eq!((run.code, files()), (Some(130), 0), "{run:?}");
}

/// What a process takes at most while it quantizes and answers: the quantized weights and a fixed amount, far below the
/// weights as they are stored. The weights are zeros that take no disk space.
#[cfg(target_os = "linux")]
#[test]
fn the_peak_is_that_of_the_quantized_weights() {
    use crate::support::process::high_water_bytes;

    /// The program itself, a batch of rows in f32, attention scores, and room; in a CUDA build its libraries, too.
    const BEYOND_WEIGHTS_BYTES: usize = if cfg!(feature = "cuda") { 300_000_000 } else { 200_000_000 };
    let dir = wide::checkpoint(LARGE, true);
    let mut checkpoint = Checkpoint::open(dir.path(), &[]).unwrap();
    let plan = checkpoint.plan_if_quantized(scheme(Quantization::Q4K));
    let quantized: usize = plan.iter().map(TensorPlan::bytes).sum();
    checkpoint.quantize(scheme(Quantization::Q4K)).unwrap();
    let devices = DeviceMap::single(Placement::open(DeviceName::Cpu, DtypeRequest::F32).unwrap(), LARGE.layers);
    let planned = StageBytes::of(&checkpoint, checkpoint.embedding_rows, &devices).on(0, &devices, true) as f64;
    assert!((planned / quantized as f64 - 1.0).abs() < 0.01, "the memory plan says {planned}, the tensors {quantized}");
    let bound = quantized + BEYOND_WEIGHTS_BYTES;
    assert!(checkpoint.weights.total_bytes() > bound + 300_000_000, "the bound would show nothing");

    let model = dir.path().to_str().unwrap();
    let args = ["ask", "--no-video", "Why?", "--model", model, "--device", "cpu", "--max-new-tokens", "3"];
    let mut running = Running::start(command().args(args).args(["--quantize", "q4_k"]));
    let status = format!("/proc/{}/status", running.id());
    let (mut peak, started) = (0, Instant::now());
    while !running.has_ended() {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        peak = std::fs::read_to_string(&status).ok().and_then(|status| high_water_bytes(&status)).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    running.end_within(PATIENCE).stdout_of_success();
    assert!(peak > quantized && peak < bound, "peak {peak}, quantized weights {quantized}, bound {bound}");
}
