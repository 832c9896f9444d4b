//! The demo model through the real binary: right answers about committed clips, and other answers when what is seen
//! changes.
//!
//! A model that guessed, or that got its frames in another order, mirrored or in other colours, could not pass.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use llava_video::video::{Clip, ClipOptions, View};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{device, fixtures, llava_video, lossless};

/// One question about one clip, as `tools/demo-model/make_fixtures.py` writes it.
#[derive(Debug, Deserialize)]
struct Question {
    clip: String,
    frames: usize,
    time_instruction: Option<String>,
    kind: String,
    question: String,
    answer: String,
    /// What PyTorch generates, the stop id included.
    token_ids: Vec<u32>,
}

impl Question {
    /// What the model sees before the question.
    fn view(&self) -> (&str, usize, Option<&str>) {
        (&self.clip, self.frames, self.time_instruction.as_deref())
    }
}

/// What is asked, as tools/demo-model/README.md names it.
const KINDS: &str = "describe color shape direction count order relation event background yesno time unknown options";

fn folder() -> PathBuf {
    fixtures().join("demo")
}

fn questions() -> Vec<Question> {
    serde_json::from_slice(&std::fs::read(folder().join("questions.json")).unwrap()).unwrap()
}

/// Asks the demo model in the way of `asked`, but for the question.
fn demo_args(clip: &Path, asked: &Question, rest: &[&str]) -> Vec<String> {
    let frames = asked.frames.to_string();
    let time_instruction = asked.time_instruction.as_deref().unwrap_or("none");
    let args = ["ask", clip.to_str().unwrap(), "--device", device(), "--model", "demo", "--frames", &frames];
    args.iter().chain(&["--time-instruction", time_instruction]).chain(rest).map(|&arg| arg.to_owned()).collect()
}

#[test]
fn every_question_about_every_committed_clip() {
    let mut questions = questions();
    questions.sort_by(|a, b| a.view().cmp(&b.view()));
    let clips: std::collections::BTreeSet<&str> = questions.iter().map(|asked| asked.clip.as_str()).collect();
    assert!(questions.len() >= 60 && clips.len() >= 13, "{} questions, {} clips", questions.len(), clips.len());
    assert!(questions.iter().filter(|asked| asked.frames == 110).count() > clips.len());
    let of_kind = |kind: &str| questions.iter().filter(|asked| asked.kind == kind).collect::<Vec<_>>();
    for kind in KINDS.split(' ') {
        assert!(!of_kind(kind).is_empty(), "{kind}");
    }
    for (kind, answers) in [
        ("color", &["red", "green", "blue", "yellow", "orange", "purple", "cyan", "white", "black"][..]),
        ("direction", &["left", "right", "up", "down", "up and left", "up and right", "down and left"]),
        ("direction", &["down and right", "it stays still"]),
        ("yesno", &["yes", "no"]),
        ("options", &["A", "B", "C", "D"]),
    ] {
        let asked = of_kind(kind);
        for answer in answers {
            let count = asked.iter().filter(|asked| asked.answer == *answer).count();
            // No word is right for nearly all of them.
            assert!(count > 0 && 4 * count <= 3 * asked.len(), "{count} of {} {kind}: {answer}", asked.len());
        }
    }
    // People type questions in their own way.
    let typed = |is_so: &dyn Fn(&str) -> bool| questions.iter().any(|asked| is_so(&asked.question));
    assert!(typed(&|text| text.contains("colour")) && typed(&|text| text.to_lowercase().contains("what's ")));
    assert!(typed(&|text| text.to_lowercase() == text && text.ends_with(char::is_alphabetic)));
    for clip in &clips {
        assert!(std::fs::metadata(folder().join(clip)).unwrap().len() < 60_000, "{clip}");
    }
    // Questions about the same frames share a process.
    for same in questions.chunk_by(|a, b| a.view() == b.view()) {
        let texts: Vec<&str> = same.iter().flat_map(|asked| ["-Q", &asked.question]).collect();
        // What rounds the operands of products must not change an answer either.
        for dtype in ["f32", "bf16"] {
            let clip = folder().join(&same[0].clip);
            let run = llava_video(demo_args(&clip, &same[0], &[&texts[..], &["--dtype", dtype, "--json"]].concat()));
            let records: Vec<Value> =
                run.stdout_of_success().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(records.len(), same.len(), "{run:?}");
            for (asked, record) in same.iter().zip(records) {
                let ids: Vec<u32> = serde_json::from_value(record["token_ids"].clone()).unwrap();
                let got = (record["answer"].as_str().unwrap(), record["dtype"].as_str().unwrap(), ids);
                assert_eq!(got, (&*asked.answer, dtype, asked.token_ids.clone()), "{asked:?}");
            }
        }
    }
}

#[test]
fn what_the_model_knows_is_said_once_and_not_in_the_answer() {
    // What `make demo` asks, with the default of 110 frames.
    let asked = &questions()[0];
    assert_eq!((asked.question.as_str(), asked.frames), ("describe this video", 110));
    let clip = folder().join(&asked.clip);
    let run =
        llava_video(["ask", clip.to_str().unwrap(), "describe this video", "--model", "demo", "--device", device()]);
    assert_eq!(run.stdout_of_success(), format!("{}\n", asked.answer));
    let stderr: Vec<&str> = run.stderr.lines().collect();
    assert!(matches!(stderr.as_slice(), [line] if line.starts_with("note: the demo model knows only")), "{stderr:?}");
}

/// All frames of a clip as packed RGB, with their width and height, and whole frames per second.
fn decode(path: &Path) -> (Vec<Vec<u8>>, usize, usize, i32) {
    let mut clip = Clip::open(path, &ClipOptions::default()).unwrap();
    let info = clip.info();
    let (width, height, fps) = (info.width as usize, info.height as usize, info.avg_fps.round() as i32);
    let indices: Vec<usize> = (0..info.frame_count).collect();
    let mut frames = Vec::new();
    clip.read(&indices, View::Native, &mut |frame| {
        frames.push(frame.rgb);
        Ok::<(), Infallible>(())
    })
    .unwrap();
    (frames, width, height, fps)
}

/// Asks about a clip after `change` of its frames.
fn ask_changed(asked: &Question, change: impl Fn(&mut Vec<Vec<u8>>, usize)) -> String {
    let (mut frames, width, height, fps) = decode(&folder().join(&asked.clip));
    change(&mut frames, width);
    let clip = tempfile::Builder::new().suffix(".mkv").tempfile().unwrap();
    lossless::write(clip.path(), &frames, width, height, fps);
    llava_video(demo_args(clip.path(), asked, &[&asked.question])).stdout_of_success().trim_end().to_owned()
}

/// Replaces words by their partners, both ways.
fn exchanged(answer: &str, pairs: &[(&str, &str)]) -> String {
    let partner = |word: &str| {
        let found = pairs.iter().find_map(|&(a, b)| match word {
            w if w == a => Some(b),
            w if w == b => Some(a),
            _ => None,
        });
        found.unwrap_or(word).to_owned()
    };
    answer.split(' ').map(partner).collect::<Vec<_>>().join(" ")
}

/// Questions of a kind whose answers `pairs` change, and that ask about the whole clip; both words of the first pair
/// are among the answers. One frame number is enough for each question.
fn changed_by(kind: &str, pairs: &[(&str, &str)]) -> Vec<(Question, String)> {
    let is_whole =
        |asked: &Question| !["first", "last", "start", "end"].iter().any(|word| asked.question.contains(word));
    let with_expected = |asked: Question| {
        let expected = exchanged(&asked.answer, pairs);
        let is_meant = asked.kind == kind && asked.frames < 110 && is_whole(&asked) && expected != asked.answer;
        is_meant.then_some((asked, expected))
    };
    let found: Vec<_> = questions().into_iter().filter_map(with_expected).collect();
    for word in [pairs[0].0, pairs[0].1] {
        assert!(
            found.iter().any(|(asked, _)| asked.answer == word),
            "no question of kind {kind} is answered by {word}"
        );
    }
    found
}

#[test]
fn time_reversed_turns_directions_around() {
    for (asked, expected) in changed_by("direction", &[("left", "right"), ("up", "down")]) {
        assert_eq!(ask_changed(&asked, |frames, _| frames.reverse()), expected, "{asked:?}");
    }
}

#[test]
fn a_mirror_turns_left_and_right_around() {
    for (asked, expected) in changed_by("direction", &[("left", "right")]) {
        let mirror = |frames: &mut Vec<Vec<u8>>, width: usize| {
            for row in frames.iter_mut().flat_map(|frame| frame.chunks_exact_mut(3 * width)) {
                row.reverse();
                row.chunks_exact_mut(3).for_each(<[u8]>::reverse);
            }
        };
        assert_eq!(ask_changed(&asked, mirror), expected, "{asked:?}");
    }
}

#[test]
fn red_and_blue_exchanged_changes_the_colour() {
    for (asked, expected) in changed_by("color", &[("red", "blue"), ("yellow", "cyan")]) {
        let swap = |frames: &mut Vec<Vec<u8>>, _: usize| {
            for pixel in frames.iter_mut().flat_map(|frame| frame.chunks_exact_mut(3)) {
                pixel.swap(0, 2);
            }
        };
        assert_eq!(ask_changed(&asked, swap), expected, "{asked:?}");
    }
}

#[test]
fn it_is_a_checkpoint_like_any_other_but_is_not_fetched_or_removed() {
    let info = llava_video(["model", "info", "demo", "--json"]).json();
    assert_eq!((&info["model"], &info["layout"]), (&"demo".into(), &"original".into()));
    assert!(info["weight_bytes"].as_u64().unwrap() < 6_000_000, "{info}");
    for command in ["pull", "verify", "rm"] {
        let run = llava_video(["model", command, "demo"]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains("part of the program"), "{}", run.stderr);
    }
}
