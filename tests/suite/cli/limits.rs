//! `--threads`, and the limits of control groups around the process's own.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::control_group::ControlGroup;
use crate::support::process::{PATIENCE, Running};
use crate::support::{SINGLE, clip, command, golden_checkpoint};

/// The most threads that a process, and the child that decodes for it, had at a time while it ran.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
struct Threads {
    own: usize,
    child: usize,
}

fn watched(mut command: Command) -> Threads {
    let mut running = Running::start(&mut command);
    let pid = running.id();
    let count = |pid: &str| std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let (mut most, started) = (Threads::default(), Instant::now());
    while !running.has_ended() {
        assert!(started.elapsed() < PATIENCE, "{command:?} does not end");
        most.own = most.own.max(count(&pid.to_string()));
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        most.child = most.child.max(children.split_whitespace().map(count).max().unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    running.end_within(PATIENCE).stdout_of_success();
    most
}

fn scoring(text: &Path, extra: &[&str]) -> Command {
    let model = golden_checkpoint(SINGLE);
    let mut command = command();
    command.args(["score", "--device", "cpu", "--model", model.to_str().unwrap(), "--text-only"]).arg(text).args(extra);
    command
}

fn decoding(extra: &[&str]) -> Command {
    let mut command = command();
    command.arg("frames").arg(clip("sk_bigbuckbunny.mp4")).args(extra);
    command
}

#[test]
fn threads_are_as_many_as_the_flag_or_the_quota_says() {
    let text = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(text.path(), "over and over again, ".repeat(400)).unwrap();
    let compute = |extra: &[&str]| watched(scoring(text.path(), extra)).own;
    let (one, four) = (compute(&["--threads", "1"]), compute(&["--threads", "4"]));
    assert!(four >= one + 3, "{one} threads with one to compute, {four} with four");
    let decode = |extra: &[&str]| watched(decoding(extra)).child;
    let (child_of_one, child_of_four) = (decode(&["--threads", "1"]), decode(&["--threads", "4"]));
    assert!(child_of_one > 0 && child_of_four > child_of_one, "{child_of_one}, {child_of_four}");

    let limits = [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "100000")];
    let Some(group) = ControlGroup::with("cpu", &limits, "threads under the quota of a control group") else {
        return;
    };
    assert_eq!(watched(group.run(&scoring(text.path(), &[]))).own, one);
    assert_eq!(watched(group.run(&decoding(&[]))).child, child_of_one, "confined, it cannot see the quota itself");
    assert_eq!(watched(group.run(&scoring(text.path(), &["--threads", "4"]))).own, four, "the flag has the last word");
}

#[test]
fn a_group_further_out_limits_the_memory() {
    let limits = [("memory.limit_in_bytes", "120000000")];
    let Some(group) = ControlGroup::with("memory", &limits, "the memory limit of an outer control group") else {
        return;
    };
    let model = golden_checkpoint(SINGLE);
    let mut ask = command();
    ask.args(["ask", "--no-video", "Why?", "--dry-run", "--device", "cpu", "--model", model.to_str().unwrap()]);
    assert!(ask.stdout(Stdio::null()).status().unwrap().success(), "there is room without the limit");
    let output = group.run(&ask).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("not enough memory") && stderr.contains(" MB free"), "{stderr}");
}
