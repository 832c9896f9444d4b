//! Ctrl-C and SIGTERM end a run cleanly, with the codes that scripts expect.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::support::{CheckpointCopy, command, device, fixtures, golden};

/// Starts a long answer, waits for its first bytes, sends `signal`, and returns the exit code and stdout.
fn interrupt(signal: &str, json: bool) -> (Option<i32>, String) {
    let copy = CheckpointCopy::of(&golden().join("ckpt/a_9x9_untied_sharded_bf16"));
    copy.edit_json("generation_config.json", |config| config["eos_token_id"] = serde_json::json!([100_000]));
    let clip = fixtures().join("clips/nasty/plain_h264.mp4");
    let (clip, model) = (clip.to_str().unwrap().to_owned(), copy.path().to_str().unwrap().to_owned());
    let mut command = command();
    command.args(["ask", &clip, "Why?", "--model", &model, "--frames", "2", "--device", device()]);
    command.args(["--max-new-tokens", "30000", "--repetition-penalty", "1"]);
    if json {
        command.arg("--json");
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut bytes = Vec::new();
    if json {
        std::thread::sleep(Duration::from_secs(2));
    } else {
        let mut first = [0];
        stdout.read_exact(&mut first).unwrap();
        bytes.extend(first);
    }
    let sent = Instant::now();
    let kill = std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    stdout.read_to_end(&mut bytes).unwrap();
    let code = child.wait().unwrap().code();
    assert!(sent.elapsed() < Duration::from_secs(5), "took {:?} to stop", sent.elapsed());
    (code, String::from_utf8(bytes).unwrap())
}

#[test]
fn ctrl_c_ends_with_130_and_keeps_what_was_said() {
    let (code, stdout) = interrupt("INT", false);
    assert_eq!(code, Some(130));
    assert!(stdout.len() > 1 && stdout.ends_with('\n'), "{stdout:?}");
}

/// A model of real size, its weights a file of zeros that takes no disk space.
#[test]
fn long_work_on_a_cpu_is_announced_and_can_be_stopped() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let generator = std::path::Path::new(env!("CARGO_BIN_EXE_llava-video")).with_file_name("examples");
    let generator = generator.join("generate-checkpoint");
    let generated =
        std::process::Command::new(generator).args(["7b", dir.path().to_str().unwrap(), "--sparse"]).output();
    assert!(generated.unwrap().status.success());
    let clip = fixtures().join("clips/nasty/plain_h264.mp4");
    let model = dir.path().to_str().unwrap();
    let args = ["ask", clip.to_str().unwrap(), "Why?", "--model", model, "--device", "cpu", "--memory-limit", "64GB"];
    let mut child = command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("note: the answer will start after about ") && line.contains("; with `--frames "),
        "{line}"
    );
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn sigterm_ends_with_143() {
    assert_eq!(interrupt("TERM", false).0, Some(143));
}

#[test]
fn an_interrupted_record_says_so() {
    let (code, stdout) = interrupt("INT", true);
    assert_eq!(code, Some(130));
    let record: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(record["stop_reason"], "interrupted");
    let ids = record["token_ids"].as_array().unwrap();
    assert_eq!(record["completion_tokens"], ids.len());
}
