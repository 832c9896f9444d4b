//! Videos and questions that come through a pipe: the first signal ends the wait, nothing is left behind.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::support::{command, fixtures, run};

fn clip() -> PathBuf {
    fixtures().join("clips/nasty/plain_h264.mp4")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// Waits for the end of a process, but not for ever.
fn end(mut child: Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A command that takes its temporary files to `dir`.
fn in_dir(dir: &Path, args: &[&str]) -> Command {
    let mut command = command();
    command.args(args).env("TMPDIR", dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// More than a pipe holds: once it is written, the program is reading.
fn feed(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(&vec![b'x'; 1 << 20]).unwrap();
}

const COMMANDS: [&[&str]; 4] =
    [&["ask", "-", "Why?", "--model", "demo"], &["probe", "-"], &["frames", "-"], &["probe", "/dev/stdin"]];

#[test]
fn the_first_signal_ends_the_wait_and_leaves_nothing() {
    for args in COMMANDS {
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            let dir = tempfile::tempdir().unwrap();
            let mut child = in_dir(dir.path(), args).spawn().unwrap();
            feed(&mut child);
            let stdin = child.stdin.take();
            signal(&child, name);
            assert_eq!(end(child).code(), Some(code), "{args:?} {name}");
            drop(stdin);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?} {name}");
        }
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_question() {
    let dir = tempfile::tempdir().unwrap();
    let clip = clip();
    let mut child = in_dir(dir.path(), &["ask", clip.to_str().unwrap(), "-", "--model", "demo"]).spawn().unwrap();
    feed(&mut child);
    let _stdin = child.stdin.take();
    signal(&child, "INT");
    assert_eq!(end(child).code(), Some(130));
}

/// The copy has no name, so that even this leaves nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = in_dir(dir.path(), &["probe", "-"]).spawn().unwrap();
    feed(&mut child);
    signal(&child, "KILL");
    end(child);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Runs a shell command line in which `"$0"` is the program and `"$1"` the clip.
fn shell(dir: &Path, line: &str, path: &Path) -> super::support::Run {
    let mut command = Command::new("bash");
    command.args(["-c", line, env!("CARGO_BIN_EXE_llava-video")]).arg(path).env("TMPDIR", dir).stdin(Stdio::null());
    run(&mut command)
}

#[test]
fn every_way_to_a_pipe_gives_the_same_clip() {
    let dir = tempfile::tempdir().unwrap();
    let expected = shell(dir.path(), r#""$0" frames "$1" --frames 5"#, &clip());
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
        assert_eq!(shell(dir.path(), line, &clip()).stdout_of_success(), expected, "{line}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{line}");
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
    let cut = std::fs::read(fixtures().join("clips/nasty/trunc_half_faststart.mp4")).unwrap();
    std::fs::write(&text, cut).unwrap();
    let strict = shell(dir.path(), r#""$0" probe --strict - < "$1""#, &text);
    strict.fails_with(&["error: standard input: the clip is damaged"]);
}

/// A pseudo-terminal: the end that the program gets, and the end of whoever sits at it.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut user, mut program) = (0, 0);
    // SAFETY: two numbers are written, and each becomes the one owner of its descriptor.
    unsafe {
        let null = std::ptr::null_mut();
        assert_eq!(libc::openpty(&raw mut user, &raw mut program, null, null.cast(), null.cast()), 0);
        (OwnedFd::from_raw_fd(program), OwnedFd::from_raw_fd(user))
    }
}

#[test]
fn on_a_terminal_it_says_that_it_waits() {
    let clip = clip();
    for (args, what) in [
        (vec!["probe", "-"], "waiting for a video on standard input"),
        (vec!["ask", clip.to_str().unwrap(), "-", "--model", "demo"], "waiting for the question on standard input"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (program, user) = terminal();
        let mut child = in_dir(dir.path(), &args).stdin(program).spawn().unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        assert!(line.starts_with("note: ") && line.contains(what), "{line:?}");
        signal(&child, "INT");
        assert_eq!(end(child).code(), Some(130));
        drop(user);
    }
}

#[test]
fn file_urls_are_files() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("a clip #1.mp4");
    std::fs::copy(clip(), &copy).unwrap();
    let url = format!("file://{}", copy.to_str().unwrap().replace(' ', "%20").replace('#', "%23"));
    let probed = run(command().args(["probe", "--json", &url]));
    assert_eq!(probed.json()["frame_count"], 90);
    let foreign = run(command().args(["probe", "file://server/a.mp4"]));
    assert_eq!(foreign.code, Some(2), "{foreign:?}");
    assert!(foreign.stderr.contains("another machine"), "{foreign:?}");
    run(command().args(["probe", "file:///no%20such"])).fails_with(&["/no such: no such file"]);
}
