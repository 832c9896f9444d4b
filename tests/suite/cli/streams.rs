//! Videos and questions that come through a pipe: the first signal ends the wait, nothing is left behind.

use std::io::{PipeWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::process::{Running, terminal};
use crate::support::{Run, clip, command, run};

/// The longest time from a signal to the end of the process.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

const CLIP: &str = "plain_h264.mp4";

/// Starts a command that takes its temporary files to `dir`.
fn start(dir: &Path, args: &[&str], stdin: impl Into<Stdio>) -> Running {
    Running::start(command().args(args).env("TMPDIR", dir).stdin(stdin))
}

/// Starts a command and gives it more than a pipe holds: once all is taken, it is reading. The end that it reads from
/// stays open as long as the writer lives.
fn start_fed(dir: &Path, args: &[&str]) -> (Running, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let running = start(dir, args, reader);
    writer.write_all(&vec![b'x'; 1 << 20]).unwrap();
    (running, writer)
}

fn assert_empty(dir: &Path, what: &str) {
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "{what}");
}

const COMMANDS: [&[&str]; 4] =
    [&["ask", "-", "Why?", "--model", "demo"], &["probe", "-"], &["frames", "-"], &["probe", "/dev/stdin"]];

#[test]
fn the_first_signal_ends_the_wait_and_leaves_nothing() {
    for args in COMMANDS {
        for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
            let dir = tempfile::tempdir().unwrap();
            let (running, _writer) = start_fed(dir.path(), args);
            running.signal(signal);
            assert_eq!(running.end_within(STOPS_WITHIN).code, Some(code), "{args:?}");
            assert_empty(dir.path(), &format!("{args:?}"));
        }
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_question() {
    let dir = tempfile::tempdir().unwrap();
    let (running, _writer) = start_fed(dir.path(), &["ask", clip(CLIP).to_str().unwrap(), "-", "--model", "demo"]);
    running.signal(libc::SIGINT);
    assert_eq!(running.end_within(STOPS_WITHIN).code, Some(130));
}

/// The copy has no name, so that even this leaves nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (running, _writer) = start_fed(dir.path(), &["probe", "-"]);
    running.signal(libc::SIGKILL);
    assert_eq!(running.end_within(STOPS_WITHIN).code, None);
    assert_empty(dir.path(), "SIGKILL");
}

/// Runs a shell command line in which `"$0"` is the program and `"$1"` the clip.
fn shell(dir: &Path, line: &str, path: &Path) -> Run {
    let mut command = Command::new("bash");
    command.args(["-c", line, env!("CARGO_BIN_EXE_llava-video")]).arg(path).env("TMPDIR", dir).stdin(Stdio::null());
    run(&mut command)
}

#[test]
fn every_way_to_a_pipe_gives_the_same_clip() {
    let dir = tempfile::tempdir().unwrap();
    let expected = shell(dir.path(), r#""$0" frames "$1" --frames 5"#, &clip(CLIP));
    let expected = expected.stdout_of_success();
    for line in [
        r#"cat "$1" | "$0" frames - --frames 5"#,
        r#""$0" frames - --frames 5 < "$1""#,
        r#"cat "$1" | "$0" frames /dev/stdin --frames 5"#,
        r#""$0" frames /dev/stdin --frames 5 < "$1""#,
        r#""$0" frames /proc/self/fd/0 --frames 5 < "$1""#,
        r#""$0" frames /dev/fd/7 --frames 5 7< "$1""#,
        r#""$0" frames <(cat "$1") --frames 5"#,
        r#"mkfifo "$TMPDIR/pipe"; cat "$1" > "$TMPDIR/pipe" & "$0" frames "$TMPDIR/pipe" --frames 5; rm "$TMPDIR/pipe""#,
    ] {
        assert_eq!(shell(dir.path(), line, &clip(CLIP)).stdout_of_success(), expected, "{line}");
        assert_empty(dir.path(), line);
    }
}

#[test]
fn messages_name_the_stream_and_not_its_copy() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "no video at all, but enough bytes to look at").unwrap();
    for (line, name) in [
        (r#""$0" probe - < "$1""#, "error: standard input: not a video"),
        (r#""$0" probe /dev/fd/7 7< "$1""#, "error: /dev/fd/7: not a video"),
        (r#""$0" probe - < /dev/null"#, "error: standard input: nothing came"),
    ] {
        let run = shell(dir.path(), line, &text);
        run.fails_with(&[name]);
        for hidden in ["/proc/self", ".tmp"] {
            assert!(!run.stderr.contains(hidden), "{line}: {}", run.stderr);
        }
    }
    let cut = std::fs::read(clip("trunc_half_faststart.mp4")).unwrap();
    std::fs::write(&text, cut).unwrap();
    let strict = shell(dir.path(), r#""$0" probe --strict - < "$1""#, &text);
    strict.fails_with(&["error: standard input: the clip is damaged"]);
}

#[test]
fn on_a_terminal_it_says_that_it_waits() {
    let clip = clip(CLIP);
    for (args, what) in [
        (vec!["probe", "-"], "waiting for a video on standard input"),
        (vec!["ask", clip.to_str().unwrap(), "-", "--model", "demo"], "waiting for the question on standard input"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (program, _user) = terminal();
        let running = start(dir.path(), &args, program);
        running.wait_for_stderr(|stderr| stderr.starts_with("note: ") && stderr.contains(what));
        running.signal(libc::SIGINT);
        assert_eq!(running.end_within(STOPS_WITHIN).code, Some(130));
    }
}

#[test]
fn file_urls_are_files() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("a clip #1.mp4");
    std::fs::copy(clip(CLIP), &copy).unwrap();
    let url = format!("file://{}", copy.to_str().unwrap().replace(' ', "%20").replace('#', "%23"));
    let probed = run(command().args(["probe", "--json", &url]));
    assert_eq!(probed.json()["frame_count"], 90);
    let foreign = run(command().args(["probe", "file://server/a.mp4"]));
    assert_eq!(foreign.code, Some(2), "{foreign:?}");
    assert!(foreign.stderr.contains("another machine"), "{foreign:?}");
    run(command().args(["probe", "file:///no%20such"])).fails_with(&["/no such: no such file"]);
}
