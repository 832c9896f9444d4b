//! `bench`: what it measures adds up, and what it cannot measure it refuses.

use serde_json::Value;

use crate::support::process::{PATIENCE, Running};
use crate::support::{Run, clip_arg, command, device, llava_video};

/// A short run on the demo model.
fn bench(extra: &[&str]) -> Run {
    let short = ["bench", "--model", "demo", "--device", device(), "--frames", "2", "--prompt-tokens", "16"];
    llava_video(short.iter().chain(&["--new-tokens", "4", "--rows", "3", "--repeat", "1"]).chain(extra))
}

fn stages(record: &Value) -> Vec<&str> {
    record["stages"].as_array().unwrap().iter().map(|row| row["stage"].as_str().unwrap()).collect()
}

#[test]
fn every_stage_is_measured_and_its_figures_agree() {
    let run = bench(&["--json"]);
    assert!(run.stderr.contains("note: video decode is not measured; `--video` names a clip for it"), "{run:?}");
    let record = run.json();
    assert_eq!(stages(&record), ["load", "preprocess", "tower", "projector", "prefill", "decode", "batch-decode"]);
    assert_eq!(record["skipped"], serde_json::json!(["video-decode"]));
    assert_eq!((&record["model"], &record["size"], &record["quantize"]), (&"demo".into(), &Value::Null, &Value::Null));
    assert_eq!(record["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record["warnings"], serde_json::json!([]));
    let is_named = |key: &str| record[key].as_str().is_some_and(|name| !name.is_empty());
    assert!(is_named("arithmetic") && is_named("kernels") && is_named("device"), "{record}");
    let machine = &record["machine"];
    assert!(machine["cores"].as_u64() > Some(0) && machine["threads"].as_u64() > Some(0), "{machine}");
    assert!(machine["memory_bytes"].as_u64() > Some(100_000_000), "{machine}");
    // Of what is stored, a few tensors are never used.
    let (loaded, stored) = (record["stages"][0]["bytes"].as_u64(), record["weight_bytes"].as_u64().unwrap());
    assert!(loaded.is_some_and(|loaded| loaded <= stored && loaded > stored / 10 * 9), "{record}");
    let mut peak = 0;
    for row in record["stages"].as_array().unwrap() {
        let number = |key: &str| row[key].as_f64();
        let seconds = row["seconds"].as_array().unwrap();
        assert!(seconds.len() == 1 && seconds[0].as_f64() > Some(0.0), "{row}");
        assert_eq!(seconds[0], row["median_secs"], "{row}");
        let (amount, unit) = match row["stage"].as_str().unwrap() {
            "load" => (row["bytes"].as_f64().unwrap(), "bytes"),
            "preprocess" | "tower" | "projector" => (2.0, "frames"),
            "prefill" => (16.0, "tokens"),
            "decode" => (4.0, "tokens"),
            _ => (3.0 * 4.0, "tokens"),
        };
        let rate = |amount: f64| amount / number("median_secs").unwrap();
        let is_about = |a: Option<f64>, b: f64| a.is_some_and(|a| (a / b - 1.0).abs() < 1e-9);
        assert!(is_about(number("per_second"), rate(amount)) && row["unit"] == unit, "{row}");
        assert_eq!(row["sampled_frames"].as_f64(), Some(amount).filter(|_| unit == "frames"), "{row}");
        assert_eq!(row["tokens"].as_f64(), Some(amount).filter(|_| unit == "tokens"), "{row}");
        assert_eq!(row["bytes"].as_f64(), Some(amount).filter(|_| unit == "bytes"), "{row}");
        let rows = [("decode", 1), ("batch-decode", 3)].into_iter().find(|(stage, _)| row["stage"] == *stage);
        let is_decode = rows.is_some();
        assert_eq!(row["rows"].as_u64(), rows.map(|(_, rows)| rows), "{row}");
        assert_eq!((row["depth"].as_u64(), row["read_bytes"].is_u64()), (is_decode.then_some(16), is_decode), "{row}");
        let computes =
            ["tower", "projector", "prefill", "decode", "batch-decode"].contains(&row["stage"].as_str().unwrap());
        assert_eq!(row["flops"].is_u64(), computes, "{row}");
        if let (Some(share), Some(peak)) = (number("share_of_peak"), machine["peak_flops_per_sec"].as_f64()) {
            assert!(!is_decode && is_about(Some(share), rate(number("flops").unwrap()) / peak), "{row}");
        }
        if let (Some(share), Some(peak)) = (number("share_of_read"), machine["read_bytes_per_sec"].as_f64()) {
            assert!(is_decode && is_about(Some(share), rate(number("read_bytes").unwrap()) / peak), "{row}");
        }
        if cfg!(target_os = "linux") {
            let rss = row["rss_bytes"].as_u64().unwrap();
            // A peak only grows, but the system counts pages in batches.
            assert!(rss + 2_000_000 > peak && rss > 5_000_000, "{row}");
            peak = peak.max(rss);
        }
    }
}

#[test]
fn several_lengths_and_runs_are_measured_in_order() {
    let lists = ["--stages", "decode,tower", "--frames", "1,3", "--prompt-tokens", "5,40", "--new-tokens", "3"];
    let rest = ["--repeat", "2", "--json", "--model", "demo", "--device", device()];
    let record = llava_video(["bench"].iter().chain(&lists).chain(&rest)).json();
    let rows = record["stages"].as_array().unwrap();
    let seen: Vec<_> =
        rows.iter().map(|row| (row["stage"].as_str().unwrap(), row["sampled_frames"].as_u64())).collect();
    assert_eq!(seen, [("tower", Some(1)), ("tower", Some(3)), ("decode", None), ("decode", None)]);
    assert_eq!((&rows[2]["depth"], &rows[3]["depth"]), (&5.into(), &40.into()));
    assert!(rows.iter().all(|row| row["seconds"].as_array().unwrap().len() == 2), "{record}");
    assert_eq!(rows[1]["flops"].as_u64(), rows[0]["flops"].as_u64().map(|flops| 3 * flops));
}

#[test]
fn kernels_are_measured_alone_where_somebody_asks() {
    let kernels = ["product", "tower-attn", "causal-attn"];
    let asked = [&kernels.join(",")[..], "--prompt-tokens", "5,40", "--frames", "2", "--repeat", "1", "--json"];
    for format in [None, Some("q8_0")] {
        let quantize = format.map(|format| ["--quantize", format]);
        let model = ["bench", "--model", "demo", "--device", device(), "--stages"];
        let record = llava_video(model.iter().chain(&asked).chain(quantize.iter().flatten())).json();
        assert_eq!(stages(&record), ["product", "product", "tower-attn", "causal-attn", "causal-attn"]);
        let flops: Vec<u64> =
            record["stages"].as_array().unwrap().iter().map(|row| row["flops"].as_u64().unwrap()).collect();
        // Sizes of the demo model: 256 and 256 in the decoder, 64 patches of 96 in the tower.
        let (product, causal) = (2 * 256 * 256, 4 * 256);
        assert_eq!(flops, [5 * product, 40 * product, 2 * 4 * 64 * 64 * 96, 15 * causal, 820 * causal], "{record}");
        assert_eq!(record["skipped"].as_array().unwrap().len(), 8, "parts of stages are not missed: {record}");
    }
}

#[test]
fn a_clip_is_decoded_where_one_is_named() {
    let record = bench(&["--video", &clip_arg("plain_h264.mp4"), "--stages", "video-decode", "--json"]).json();
    assert_eq!((stages(&record), &record["stages"][0]["sampled_frames"]), (vec!["video-decode"], &2.into()));
    let missing = bench(&["--video", "nowhere.mp4"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("nowhere.mp4"), "{missing:?}");
}

#[test]
fn people_get_a_table() {
    let run = bench(&["--quantize", "q8_0"]);
    let lines: Vec<&str> = run.stdout_of_success().lines().collect();
    let heading = lines.iter().position(|line| line.starts_with("stage ")).unwrap();
    for (label, line) in ["model", "machine", "arithmetic"].iter().zip(&lines) {
        assert!(line.starts_with(label), "{}", run.stdout);
    }
    assert!(lines[0].contains("demo model, quantized to q8_0"), "{}", run.stdout);
    let names: Vec<&str> = lines[heading + 1..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["load", "preprocess", "tower", "projector", "prefill", "decode", "batch-decode"]);
    let last = lines.last().unwrap();
    assert!(last.contains("3x4 after 16") && last.contains("tokens/s"), "{last}");
    assert!(lines[heading..].iter().all(|line| line.chars().count() <= 107), "{}", run.stdout);
}

#[test]
fn random_weights_need_no_checkpoint() {
    let short = ["--stages", "load,prefill", "--prompt-tokens", "2", "--new-tokens", "1", "--repeat", "1"];
    let refused = llava_video(["bench", "--memory-limit", "1GB"].iter().chain(&short));
    refused.fails_with(&["not enough memory", "may take 1.0 GB"]);
    let stages = ["--stages", "preprocess", "--frames", "1", "--repeat", "1", "--json"];
    let record = llava_video(["bench", "--size", "tower"].iter().chain(&stages)).json();
    assert_eq!((&record["model"], &record["size"]), (&Value::Null, &"tower".into()));
    assert_eq!(record["weight_bytes"], 2 * 651_463_712_u64);
}

#[test]
fn what_contradicts_itself_is_wrong_usage() {
    for (extra, words) in [
        (&["--size", "7b"][..], &["--model", "--size"][..]),
        (&["--prompt-tokens", "9000"], &["--prompt-tokens and --new-tokens are 9004 together", "8192"]),
        (&["--stages", "thinking"], &["thinking", "prefill"]),
        (&["--frames", "0"], &["expected a whole number above 0"]),
        (&["--repeat", "0"], &["expected a whole number above 0"]),
        (&["--rows", "0"], &["expected a whole number above 0"]),
    ] {
        let run = bench(extra);
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{run:?}");
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{words:?}: {run:?}");
    }
}

#[test]
fn ctrl_c_ends_it_with_130() {
    let mut endless = command();
    endless.args(["bench", "--model", "demo", "--device", device(), "--stages", "decode", "--prompt-tokens", "8"]);
    let running = Running::start(endless.args(["--new-tokens", "8000", "--repeat", "1000"]));
    running.wait_for_stdout(|stdout| stdout.contains("stage "));
    running.signal(libc::SIGINT);
    let run = running.end_within(PATIENCE);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.stderr.contains("interrupted"), "{run:?}");
}
