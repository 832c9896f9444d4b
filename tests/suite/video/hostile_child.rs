//! A child that was taken over by the file it reads: whatever it says, the parent neither panics nor hangs.
//!
//! Played by a shell that writes prepared bytes and then holds on.

use std::convert::Infallible;
use std::io::Write;
use std::time::{Duration, Instant};

use llava_video::video::isolated::{IsolatedClip, Launcher, View};
use llava_video::video::{Clip, ClipOptions, Error, Frame, ReadError};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::wire::message;
use crate::support::{clip, launchers};

/// The clip it pretends to read: 90 frames of 320x240.
const CLIP: &str = "plain_h264.mp4";

/// The facts that an honest child sends of it.
fn info() -> Value {
    serde_json::to_value(Clip::open(&clip(CLIP), &ClipOptions::default()).unwrap().info()).unwrap()
}

fn opened() -> Vec<u8> {
    message(&json!({ "Opened": { "info": info(), "unconfined": [] } }), &[])
}

/// A frame of the size that an honest child sends, at `index`, its width and height added to by `more`.
fn frame(index: usize, more: [u64; 2]) -> Vec<u8> {
    let info = info();
    let (width, height) = (info["width"].as_u64().unwrap() + more[0], info["height"].as_u64().unwrap() + more[1]);
    let header = json!({ "index": index, "pts_secs": 0.0, "width": width, "height": height });
    message(&json!({ "Frame": header }), &vec![7; 3 * (width * height) as usize])
}

/// A child that says `replies`, reads nothing, and stays.
struct Hostile {
    replies: NamedTempFile,
    timeout: Option<Duration>,
}

impl Hostile {
    fn saying(replies: &[Vec<u8>]) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        replies.iter().for_each(|reply| file.write_all(reply).unwrap());
        Self { replies: file, timeout: None }
    }

    fn within(self, secs: f64) -> Self {
        Self { timeout: Some(Duration::from_secs_f64(secs)), ..self }
    }

    fn open(&self) -> Result<IsolatedClip, Error> {
        let script = format!("cat '{}'; exec sleep 100", self.replies.path().display());
        let launcher = Launcher::new("/bin/sh", ["-c", &script]);
        IsolatedClip::open(&clip(CLIP), &ClipOptions::default(), self.timeout, &launcher, &|| true)
    }

    /// What comes of reading two frames from it.
    fn read(&self) -> Result<usize, Error> {
        let mut frames = 0;
        let mut sink = |_| {
            frames += 1;
            Ok::<(), Infallible>(())
        };
        match self.open()?.read(&[3, 5], View::Native, &|| true, &mut sink) {
            Ok(()) => Ok(frames),
            Err(ReadError::Clip(error)) => Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }
}

/// Asserts that the outcome is an error of the child with this reason, soon.
#[track_caller]
fn refused<T>(outcome: impl FnOnce() -> Result<T, Error>, reason: &str) {
    let started = Instant::now();
    match outcome() {
        Err(Error::Child { reason: told, path }) if path == clip(CLIP) => assert_eq!(told, reason),
        Err(other) => panic!("{reason}: {other:?}"),
        Ok(_) => panic!("{reason}: nothing was noticed"),
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{reason}: {:?}", started.elapsed());
}

fn warning(text: &str) -> Vec<u8> {
    message(&json!({ "Warning": { "message": text } }), &[])
}

fn done() -> Vec<u8> {
    message(&json!("Done"), &[])
}

#[test]
fn an_honest_child_can_be_played() {
    assert_eq!(
        Hostile::saying(&[opened(), frame(3, [0; 2]), warning("w"), frame(5, [0; 2]), done()]).read().unwrap(),
        2
    );
    let partly = message(&json!({ "Opened": { "info": info(), "unconfined": ["not all"] } }), &[]);
    assert_eq!(Hostile::saying(&[partly]).open().unwrap().unconfined(), ["not all"]);
    let failed = message(&json!({ "Failed": { "message": "no", "hint": null } }), &[]);
    assert!(matches!(Hostile::saying(&[opened(), failed]).read(), Err(Error::Reported { .. })));
}

#[test]
fn an_opening_that_breaks_the_rules_is_refused() {
    let unasked = "it answered what was not asked";
    let counts = message(&json!({ "FramesBefore": { "counts": [1] } }), &[]);
    let recounted = message(&json!({ "Recounted": { "info": info() } }), &[]);
    for replies in [done(), counts, recounted, frame(0, [0; 2])] {
        refused(|| Hostile::saying(&[replies]).open(), unasked);
    }
    for (fact, value) in [
        ("frame_count", json!(0)),
        ("frame_count", json!(u64::MAX)),
        ("avg_fps", json!(0.0)),
        ("avg_fps", json!(-1.0)),
        ("avg_fps", json!(1e-308)),
        ("width", json!(0)),
        ("width", json!(u32::MAX)),
        ("codec", json!("x".repeat(100_000))),
    ] {
        let mut info = info();
        info[fact] = value;
        let opened = message(&json!({ "Opened": { "info": info, "unconfined": [] } }), &[]);
        refused(|| Hostile::saying(&[opened]).open(), "it sent facts that cannot be");
    }
    let many = vec!["x"; 10_000];
    let opened = message(&json!({ "Opened": { "info": info(), "unconfined": many } }), &[]);
    refused(|| Hostile::saying(&[opened]).open(), "it sent too many words");
}

#[test]
fn what_is_no_message_is_refused() {
    let nonsense = "it sent a malformed message";
    for bytes in [
        [u64::MAX.to_le_bytes(), [0; 8]].concat(),
        [[0; 8], u64::MAX.to_le_bytes()].concat(),
        message(&json!({ "Opened": null }), &[]),
        message(&json!({ "Frame": { "index": -1, "pts_secs": null, "width": 1, "height": 1 } }), &[]),
        message(&json!("[".repeat(10_000)), &[]),
        [&20_000u64.to_le_bytes()[..], &[0; 8], "[".repeat(20_000).as_bytes()].concat(),
    ] {
        refused(|| Hostile::saying(&[bytes]).open(), nonsense);
    }
}

#[test]
fn words_without_end_are_refused() {
    let many = "it sent too many words";
    refused(|| Hostile::saying(&vec![warning("w"); 1001]).open(), many);
    refused(|| Hostile::saying(&[warning(&"w".repeat(20_000))]).open(), many);
    let replies = [vec![opened()], vec![warning("w"); 1003]].concat();
    refused(|| Hostile::saying(&replies).read(), many);
    let failed = message(&json!({ "Failed": { "message": "x".repeat(20_000), "hint": null } }), &[]);
    refused(|| Hostile::saying(&[failed]).open(), many);
}

#[test]
fn a_read_that_breaks_the_rules_is_refused() {
    let counts = message(&json!({ "FramesBefore": { "counts": [1] } }), &[]);
    let impossible = message(&json!({ "Recounted": { "info": { "frame_count": 1 } } }), &[]);
    let header = json!({ "Frame": { "index": 3, "pts_secs": null, "width": 64, "height": 48 } });
    for (replies, reason) in [
        (vec![done()], "it left out frames"),
        (vec![frame(3, [0; 2]), done()], "it left out frames"),
        (vec![frame(5, [0; 2])], "it sent a frame that was not asked for"),
        (vec![frame(3, [0; 2]), frame(3, [0; 2])], "it sent a frame that was not asked for"),
        (vec![frame(3, [0; 2]), frame(5, [0; 2]), frame(6, [0; 2])], "it sent a frame that was not asked for"),
        (vec![frame(3, [1, 0])], "it sent a frame of another size"),
        (vec![message(&header, &[0; 10])], "it sent a frame of another size"),
        (vec![message(&json!("Done"), &[0; 10])], "it sent pixels without a frame"),
        (vec![opened()], "it answered what was not asked"),
        (vec![counts], "it answered what was not asked"),
        (vec![impossible], "it sent a malformed message"),
    ] {
        refused(|| Hostile::saying(&[vec![opened()], replies].concat()).read(), reason);
    }
}

#[test]
fn counts_that_cannot_be_are_refused() {
    for counts in [vec![], vec![1, 2], vec![u64::MAX]] {
        let reply = message(&json!({ "FramesBefore": { "counts": counts } }), &[]);
        let hostile = Hostile::saying(&[opened(), reply]);
        refused(|| hostile.open()?.frames_before(&[1.0], &|| true), "it sent counts that cannot be");
    }
}

#[test]
fn a_resized_frame_has_the_size_asked_for() {
    let hostile = Hostile::saying(&[opened(), frame(3, [0; 2])]);
    let read = || {
        let mut sink = |_| Ok::<(), Infallible>(());
        match hostile.open()?.read(&[3], View::Resized(16), &|| true, &mut sink) {
            Err(ReadError::Clip(error)) => Err(error),
            _ => Ok(()),
        }
    };
    refused(read, "it sent a frame of another size");
}

/// A request larger than any pipe holds, to a child that reads nothing.
#[test]
fn a_child_that_stops_reading_does_not_hold_up_the_parent() {
    let hostile = Hostile::saying(&[opened()]).within(1.0);
    let mut clip = hostile.open().unwrap();
    let started = Instant::now();
    let error = clip.frames_before(&vec![1.0; 1_000_000], &|| true).unwrap_err();
    assert!(matches!(error, Error::TimedOut { secs: 1, .. }), "{error:?}");
    drop(clip);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_child_that_falls_silent_is_given_up() {
    let half = frame(3, [0; 2])[..100].to_vec();
    for replies in [vec![], vec![opened()[..20].to_vec()], vec![opened()], vec![opened(), half]] {
        let error = Hostile::saying(&replies).within(0.5).read().unwrap_err();
        assert!(matches!(error, Error::TimedOut { secs: 0, .. }), "{error:?}");
    }
}

#[test]
fn a_child_that_was_given_up_is_not_asked_again() {
    let hostile = Hostile::saying(&[opened(), frame(4, [0; 2]), frame(3, [0; 2]), frame(3, [0; 2])]);
    let mut clip = hostile.open().unwrap();
    let mut read = || clip.read(&[3], View::Native, &|| true, &mut |_| Ok::<(), Infallible>(()));
    assert!(matches!(read(), Err(ReadError::Clip(Error::Child { .. }))));
    match read() {
        Err(ReadError::Clip(Error::Child { reason, .. })) => assert_eq!(reason, "it was stopped before"),
        other => panic!("{other:?}"),
    }
}

/// The real child: a sink that fails leaves nothing for the next read.
#[test]
fn a_read_after_a_failing_sink_is_a_fresh_one() {
    for launcher in launchers() {
        a_read_is_fresh(&launcher);
    }
}

fn a_read_is_fresh(launcher: &Launcher) {
    let open = || IsolatedClip::open(&clip(CLIP), &ClipOptions::default(), None, launcher, &|| true).unwrap();
    let read = |clip: &mut IsolatedClip, indices: &[usize]| {
        let mut frames: Vec<Frame> = Vec::new();
        let mut sink = |frame| {
            frames.push(frame);
            Ok::<(), Infallible>(())
        };
        clip.read(indices, View::Native, &|| true, &mut sink).unwrap();
        frames
    };
    let break_off = |clip: &mut IsolatedClip| {
        let mut sink = |_| Err("full");
        let broken = clip.read(&[0, 1, 2, 3, 40, 80], View::Native, &|| true, &mut sink);
        assert!(matches!(broken, Err(ReadError::Sink("full"))), "{broken:?}");
    };
    let mut fresh = open();
    let expected = read(&mut fresh, &[7, 50]);
    let mut used = open();
    break_off(&mut used);
    assert_eq!(used.frames_before(&[0.0, 1e9], &|| true).unwrap(), [0, used.info().frame_count]);
    break_off(&mut used);
    break_off(&mut used);
    assert!(read(&mut used, &[7, 50]) == expected);
}

#[test]
fn a_child_that_cannot_be_started_is_not_blamed_on_the_clip() {
    for program in ["/no/such/program", "/dev/null"] {
        let launcher = Launcher::new(program, [""; 0]);
        let opened = IsolatedClip::open(&clip(CLIP), &ClipOptions::default(), None, &launcher, &|| true);
        let error = opened.err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, Error::Launch { .. }), "{error:?}");
        assert!(text.contains(program) && !text.contains("plain_h264"), "{text}");
        assert!(error.hint().is_some());
    }
}
