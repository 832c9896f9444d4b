//! Which device holds what: the memory plan before loading, and layers divided over devices.

use std::path::PathBuf;

use super::support::{Run, device, fixtures, golden, llava_video};

fn model() -> PathBuf {
    golden().join("ckpt/a_9x9_untied_sharded_bf16")
}

fn ask(model: &str, extra: &[&str]) -> Run {
    let clip = fixtures().join("clips/nasty/plain_h264.mp4");
    let args = ["ask", clip.to_str().unwrap(), "Why?", "--model", model, "--max-new-tokens", "8"];
    llava_video(args.into_iter().chain(extra.iter().copied()))
}

fn ask_tiny(extra: &[&str]) -> Run {
    ask(model().to_str().unwrap(), extra)
}

#[test]
fn layers_over_two_slots_answer_as_one_device_does() {
    let one = ask_tiny(&["--frames", "3", "--device", device(), "--dtype", "f32", "--json"]).json();
    let two = ask_tiny(&["--frames", "3", "--device", "cpu,cpu", "--json"]).json();
    assert_eq!(one["token_ids"], two["token_ids"]);
    assert_eq!((&two["device"], &two["dtype"]), (&"cpu,cpu".into(), &"f32".into()));
    let verbose = ask_tiny(&["--frames", "3", "--device", "cpu,cpu", "-v"]);
    assert!(verbose.stderr.contains("on cpu (1 layers), cpu (2 layers) in f32"), "{}", verbose.stderr);
}

/// The 7B model's weights are a file of zeros here, so nothing says more clearly that nothing is loaded.
#[test]
fn a_dry_run_prints_the_plan_of_a_model_of_real_size() {
    let dir = tempfile::tempdir().unwrap();
    let generator = std::path::Path::new(env!("CARGO_BIN_EXE_llava-video")).with_file_name("examples");
    let generator = generator.join("generate-checkpoint");
    let args = ["7b", dir.path().to_str().unwrap(), "--sparse"];
    assert!(std::process::Command::new(generator).args(args).status().unwrap().success());
    let dir = dir.path().to_str().unwrap();
    let started = std::time::Instant::now();
    let plan = ask(dir, &["--device", "cpu", "--dry-run", "--memory-limit", "64GB"]);
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = plan.stdout.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[0])[..3], ["device", "layers", "weights"]);
    let row = words(lines[1]);
    assert_eq!(row[..4], ["cpu", "28", "16.1", "GB"], "8,030,348,832 parameters of two bytes, norms of four");
    assert!(row.ends_with(&["64.0".to_owned(), "GB".to_owned()]), "{row:?}");
    assert!(started.elapsed().as_secs() < 20, "a plan needs headers only");

    let refused = ask(dir, &["--device", "cpu", "--frames", "40", "--memory-limit", "16.8GB", "--dry-run"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stdout.starts_with("device"), "the plan is what was asked for: {}", refused.stdout);
    for part in
        ["error: not enough memory: cpu needs 18.0 GB", "weights 16.1 GB", "has 16.8 GB free", "hint: ", "`--frames "]
    {
        assert!(refused.stderr.contains(part), "`{part}` is missing: {}", refused.stderr);
    }
    assert!(refused.stderr.contains(", or fewer bits (`--quantize q8_0`)"), "{}", refused.stderr);
    let smaller =
        ask(dir, &["--device", "cpu", "--frames", "40", "--memory-limit", "16.8GB", "--dry-run", "--quantize", "q8_0"]);
    assert_eq!(smaller.code, Some(0), "{}", smaller.stderr);
    // What the hint names does fit.
    let frames = refused.stderr.split("`--frames ").nth(1).unwrap().split('`').next().unwrap();
    let fits = ask(dir, &["--device", "cpu", "--frames", frames, "--memory-limit", "16.8GB", "--dry-run"]);
    assert_eq!(fits.code, Some(0), "{}", fits.stderr);
}

#[test]
fn too_little_memory_is_refused_before_loading() {
    ask_tiny(&["--device", "cpu", "--memory-limit", "1MB"]).fails_with(&[
        "not enough memory",
        "has 1.0 MB free",
        "hint: ",
    ]);
    ask_tiny(&["--device", "cpu", "--gpu-layers", "1"]).fails_with(&["--gpu-layers needs a GPU", "cpu", "hint: "]);
}
