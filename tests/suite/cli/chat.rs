//! Chats through pipes: a question a line, answers that build on each other, the same as in processes of their own.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::signals::endless;
use crate::support::process::{PATIENCE, Running};
use crate::support::{
    CheckpointCopy, Run, clip, clip_arg, command, device, golden, golden_checkpoint, json as read_json, llava_video,
    run, set_flags, tiny_checkpoint, tiny_checkpoint_arg,
};

/// A chat with `lines` on standard input.
fn chat<'a>(args: impl IntoIterator<Item = &'a str>, lines: &[u8]) -> Run {
    let mut child = piped(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_vec();
    // A program that refuses its arguments reads nothing.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&lines)));
    let run = Run::of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    run
}

fn piped<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = command();
    command.arg("chat").args(["--device", device()]).args(args).stdin(Stdio::piped());
    command
}

fn demo<'a>(clip: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    [&[clip, "--model", "demo", "-n", "8"], extra].concat()
}

/// One JSON object a line.
fn records(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn string(path: &std::path::Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn conversations_are_those_of_the_reference() {
    let cases = read_json(&golden().join("chat/cases.json"));
    let mut checked = 0;
    // After an empty answer the reference leaves its turn open, and this program closes it.
    let is_empty = |case: &Value| case["turns"].as_array().unwrap().iter().any(|turn| turn["answer"] == "");
    for case in cases.as_array().unwrap().iter().filter(|case| !is_empty(case)) {
        let model = string(&golden_checkpoint(case["ckpt"].as_str().unwrap()));
        let max_new_tokens = case["max_new_tokens"].to_string();
        let mut args = vec!["--json".to_owned(), "--model".to_owned(), model];
        args.extend(["--dtype", "f32", "--max-new-tokens", &max_new_tokens].map(str::to_owned));
        args.extend(set_flags(&case["config_overrides"]));
        match case["clip"].as_str() {
            None => args.push("--no-video".to_owned()),
            Some(clip) => {
                let (frames, told) = (case["frames"].to_string(), case["time_instruction"].as_str().unwrap());
                args.push(string(&golden().join("chat").join(clip)));
                args.extend(["--frames", &frames, "--time-instruction", told].map(str::to_owned));
            }
        }
        let turns = case["turns"].as_array().unwrap();
        let lines: String = turns.iter().map(|turn| format!("{}\n", turn["question"].as_str().unwrap())).collect();
        let run = chat(args.iter().map(String::as_str), lines.as_bytes());
        assert_eq!(run.code, Some(0), "{run:?}");
        let records = records(&run);
        assert_eq!(records.len(), turns.len(), "{}", case["name"]);
        for (record, turn) in records.iter().zip(turns) {
            for (key, recorded) in [("question", "question"), ("token_ids", "token_ids"), ("answer", "answer")] {
                assert_eq!(record[key], turn[recorded], "{}: {key}", case["name"]);
            }
            assert_eq!(record["prompt_tokens"], turn["seq_len"], "{}", case["name"]);
            assert_eq!(record["visual_tokens"], case["visual_tokens"], "{}", case["name"]);
        }
        checked += 1;
    }
    assert!(checked >= 6, "only {checked} conversations");
}

/// Each turn is asked again by a new process that loads what was said before.
#[test]
fn every_turn_is_that_of_a_new_process_with_the_same_past() {
    let (dir, clip) = (tempfile::tempdir().unwrap(), clip_arg("clip3-mpeg4.mp4"));
    let questions = ["What color is the square?", "Which way does it move?", "what colour is the background"];
    let saved = |number: usize| string(&dir.path().join(format!("{number}.json")));
    let lines = |number: usize| format!("{}\n/save {}\n", questions[number], saved(number));
    let together = chat(demo(&clip, &["--json"]), (0..3).map(lines).collect::<String>().as_bytes());
    assert_eq!(together.code, Some(0), "{together:?}");
    let together = records(&together);
    assert_eq!((&together[0]["cached_tokens"], &together[0]["frames_encoded"]), (&json!(0), &json!(8)));
    for number in 1..3 {
        let alone =
            chat(demo(&clip, &["--json"]), format!("/load {}\n{}\n", saved(number - 1), questions[number]).as_bytes());
        assert_eq!(alone.code, Some(0), "{alone:?}");
        let (alone, turn) = (records(&alone).remove(0), &together[number]);
        for key in ["question", "answer", "token_ids", "stop_reason", "prompt_tokens", "visual_tokens", "seed"] {
            assert_eq!(turn[key], alone[key], "{key} of {}", questions[number]);
        }
        assert_eq!(alone["cached_tokens"], 0);
        // The system message, the video and the first question at least.
        let (cached, visual) = (turn["cached_tokens"].as_u64().unwrap(), turn["visual_tokens"].as_u64().unwrap());
        assert!(cached > visual && cached < turn["prompt_tokens"].as_u64().unwrap(), "{turn}");
        assert_eq!(turn["frames_encoded"], 0);
    }
    // A first turn is a question of `ask`.
    let asked = llava_video(["ask", &clip, questions[0], "-m", "demo", "-n", "8", "--json", "--device", device()]);
    assert_eq!(asked.json()["token_ids"], together[0]["token_ids"]);
}

/// The demo model's training had dialogues: earlier answers do not lead it astray.
#[test]
fn every_turn_is_right() {
    let described = "A cyan star moves left. The background is striped blue.";
    for (name, frames, turns) in [
        (
            "clip1-h264.mp4",
            "16",
            [
                ("In which direction does the star move?", "left"),
                ("what's the colour of the star", "cyan"),
                ("describe this video", described),
            ],
        ),
        (
            "clip13-h264.mp4",
            "16",
            [
                ("What color is the triangle?", "blue"),
                ("which way does it go?", "right"),
                ("Does the triangle move down and right?", "no"),
            ],
        ),
        (
            "clip3-mpeg4.mp4",
            "24",
            [
                ("is there a dog?", "I cannot tell"),
                ("Which direction does the square move?", "left"),
                ("How many shapes do you see?", "one"),
            ],
        ),
    ] {
        let lines: String = turns.iter().map(|(question, _)| format!("{question}\n")).collect();
        let run = chat([&clip_arg(name), "--model", "demo", "-n", frames, "--json"], lines.as_bytes());
        let answers: Vec<String> =
            records(&run).iter().map(|record| record["answer"].as_str().unwrap().to_owned()).collect();
        assert_eq!(answers, turns.map(|(_, answer)| answer), "{name}");
    }
}

#[test]
fn answers_are_blocks_with_an_empty_line_between() {
    let clip = clip_arg("clip1-h264.mp4");
    let lines = "\u{feff}describe this video\r\n\n  \n/clear\ndescribe this video";
    let together = chat(demo(&clip, &[]), lines.as_bytes());
    let alone = llava_video(["ask", &clip, "describe this video", "-m", "demo", "-n", "8", "--device", device()]);
    let answer = alone.stdout_of_success();
    assert_eq!(together.stdout_of_success(), format!("{answer}\n{answer}"));
    let nothing = chat(demo(&clip, &[]), b"");
    assert_eq!(nothing.stdout_of_success(), "");
}

/// The ids of the same question, asked in a chat and then by `ask`, about what the chat was told to look at.
#[test]
fn videos_and_pictures_take_turns() {
    let (dir, tiny) = (tempfile::tempdir().unwrap(), tiny_checkpoint_arg());
    let picture = string(&dir.path().join("a picture.png"));
    image::RgbImage::from_pixel(90, 60, image::Rgb([200, 90, 30])).save(&picture).unwrap();
    let videos = [clip_arg("clip1-h264.mp4"), clip_arg("clip2-vp9.webm")];
    let flags = ["--model", &tiny, "--json", "--max-new-tokens", "6", "--device", device()];
    let lines = format!(
        "What?\n/video {}\nWhat?\n/video '{picture}' \"{picture}\"\nWhat?\n/video {}\nWhat?\n",
        videos[0], videos[1]
    );
    let run = chat(flags, lines.as_bytes());
    assert_eq!(run.code, Some(0), "{run:?}");
    let told: Vec<&str> = run.stderr.lines().filter(|line| line.contains("a new conversation, about ")).collect();
    assert!(told.len() == 3 && told[1].contains("a picture.png") && told[2].contains("(110 frames)"), "{run:?}");
    let asked = [
        vec!["ask", "--no-video", "What?"],
        vec!["ask", &videos[0], "What?"],
        vec!["ask", &picture, &picture, "What?"],
        vec!["ask", &videos[1], "What?"],
    ];
    for (record, ask) in records(&run).iter().zip(asked) {
        let alone = llava_video(ask.iter().chain(&flags)).json();
        assert_eq!(record["token_ids"], alone["token_ids"], "{ask:?}");
        assert_eq!(record["visual_tokens"], alone["visual_tokens"], "{ask:?}");
    }
}

#[test]
fn what_cannot_be_done_fails_alone_and_the_rest_goes_on() {
    let (dir, clip) = (tempfile::tempdir().unwrap(), clip_arg("clip1-h264.mp4"));
    let sheet = dir.path().join("frames.gif");
    let lines = format!(
        "describe this video\n/video no/such.mp4\n/vido x\n/frames {}\n/edit\n/load no/such.json\n/set seed x\n\
         what color is it?\n",
        sheet.display()
    );
    let mixed = chat(demo(&clip, &[]), &[lines.as_bytes(), b"\xff\n/undo\n"].concat());
    assert_eq!(mixed.code, Some(3), "{mixed:?}");
    let sound = chat(demo(&clip, &[]), b"describe this video\nwhat color is it?\n");
    assert_eq!(mixed.stdout, sound.stdout_of_success(), "the conversation is what it would have been");
    let errors: Vec<&str> = mixed.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let expected = [
        "no/such.mp4",
        "did you mean `/video`?",
        "expected a .png or .jpg",
        "a terminal",
        "no/such.json",
        "seed",
        "UTF-8",
    ];
    assert_eq!(errors.len(), expected.len(), "{mixed:?}");
    for (error, part) in errors.iter().zip(expected) {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(mixed.stderr.contains("took back `what color is it?`"), "{mixed:?}");
}

#[test]
fn a_context_that_fills_up_is_refused_with_what_helps() {
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("config.json", |config| config["tokenizer_model_max_length"] = json!(130));
    let (model, clip) = (string(copy.path()), clip_arg("plain_h264.mp4"));
    let args = [clip.as_str(), "--model", &model, "-n", "2", "--max-new-tokens", "8", "--json"];
    let question = "What happens in this video?";
    let lines = format!("{question}\n{question}\n{question}\n/undo\n/clear\n{question}\n");
    let run = chat(args, lines.as_bytes());
    assert_eq!(run.code, Some(3), "{run:?}");
    let records = records(&run);
    assert!(records.len() >= 2 && records.len() < 4, "{run:?}");
    assert_eq!(records[0]["token_ids"], records.last().unwrap()["token_ids"], "after /clear all is as at first");
    let error = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    for part in ["the conversation is full", "fewer than 130", "`/undo` or `/clear`", "`--frames 1`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(run.stderr.contains("took back"), "the conversation stands: {run:?}");
    // What never fits is refused before anything is loaded.
    let refused = chat([&args[..3], &["-n", "40"]].concat(), b"What?\n");
    refused.fails_with(&["the prompt takes", "hint: use `--frames 3`"]);
}

#[test]
fn memory_is_planned_for_the_conversation() {
    let (model, clip) = (tiny_checkpoint_arg(), clip_arg("plain_h264.mp4"));
    let args = |limit| {
        [clip.as_str(), "--model", &model, "-n", "2", "--device", "cpu", "--dtype", "f32", "--memory-limit", limit]
    };
    chat(args("1MB"), b"What?\n").fails_with(&["not enough memory"]);
    // Enough for the first turns, and not for an answer that long.
    let lines = b"What?\n/set max-new-tokens 20000\nWhat?\n/set max-new-tokens 4\nWhat?\n";
    let run = chat(args("154MB").into_iter().chain(["--max-new-tokens", "4", "--json"]), lines);
    assert_eq!((run.code, records(&run).len()), (Some(3), 2), "{run:?}");
    assert!(run.stderr.contains("a smaller max-new-tokens") && run.stderr.contains("not enough memory"), "{run:?}");
}

#[test]
fn settings_hold_from_the_next_question_on() {
    let clip = clip_arg("plain_h264.mp4");
    let model = tiny_checkpoint_arg();
    let args = [clip.as_str(), "--model", &model, "-n", "2", "--max-new-tokens", "9", "--json"];
    let lines = b"What?\n/clear\n/set temperature 1.5\n/set seed 3\nWhat?\n/clear\nWhat?\n/clear\n/set seed default\n\
        /set temperature 0\n/set max-new-tokens 2\nWhat?\n/clear\n/set system \"\"\nWhat?\n";
    let run = chat(args, lines);
    assert_eq!(run.code, Some(0), "{run:?}");
    let records = records(&run);
    let ids = |number: usize| records[number]["token_ids"].as_array().unwrap();
    let sampled = llava_video(["ask", &clip, "What?"].iter().chain(&args[1..]).chain(&[
        "--temperature",
        "1.5",
        "--seed",
        "3",
        "--device",
        device(),
    ]));
    assert_eq!(json!(ids(1)), sampled.json()["token_ids"]);
    assert_eq!((ids(1), &records[1]["seed"]), (ids(2), &json!(3)));
    assert_ne!(ids(0), ids(1));
    assert_eq!((&ids(0)[..2], &records[3]["seed"]), (&ids(3)[..], &Value::Null));
    assert!(records[4]["prompt_tokens"].as_u64() < records[3]["prompt_tokens"].as_u64());
}

#[test]
fn frames_are_listed_and_drawn() {
    let (dir, clip) = (tempfile::tempdir().unwrap(), clip_arg("clip1-h264.mp4"));
    let [ours, theirs] = ["ours.png", "theirs.png"].map(|name| string(&dir.path().join(name)));
    let run = chat(demo(&clip, &[]), format!("/frames\n/frames {ours}\n").as_bytes());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    let frames = llava_video(["frames", &clip, "-n", "8", "--contact-sheet", &theirs]);
    for line in frames.stdout_of_success().lines() {
        let frame: Value = serde_json::from_str(line).unwrap();
        let listed = format!("#{} {:.2}s", frame["index"], frame["time_secs"].as_f64().unwrap());
        assert!(run.stderr.lines().any(|line| line == listed), "{listed}: {run:?}");
    }
    assert_eq!(std::fs::read(ours).unwrap(), std::fs::read(theirs).unwrap());
}

#[test]
fn what_makes_no_sense_is_refused_before_a_model_is_loaded() {
    let clip = clip_arg("clip1-h264.mp4");
    for (args, part) in [
        (vec!["-", "--model", "demo"], "standard input"),
        (vec![&*clip, &clip, "--model", "demo"], "several files can only be pictures"),
        (vec!["--model", "demo", "--max-new-tokens", "0"], "--max-new-tokens"),
    ] {
        let refused = chat(args.iter().copied(), b"What?\n");
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(part), "{args:?}: {refused:?}");
    }
    chat(["no/such.mp4", "--model", "demo"], b"What?\n").fails_with(&["no/such.mp4"]);
    let blind = chat(["--no-video", "--model", "demo"], format!("/video {clip}\n").as_bytes());
    assert!(blind.code == Some(3) && blind.stderr.contains("start the chat without --no-video"), "{blind:?}");
}

#[test]
fn signals_end_a_piped_chat_and_keep_what_was_said() {
    let model = endless();
    let model = string(model.path());
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        // In the middle of an answer, and while nothing comes.
        for lines in ["What?\n", "/set\n"] {
            let answers = !lines.starts_with('/');
            let args = ["--model", &model, "--repetition-penalty", "1.3", "--max-new-tokens", "30000"];
            let mut child = Running::start(&mut piped(args));
            child.input().write_all(lines.as_bytes()).unwrap();
            match answers {
                true => child.wait_for_stdout(|stdout| !stdout.is_empty()),
                false => child.wait_for_stderr(|stderr| stderr.contains("max-new-tokens")),
            }
            child.signal(signal);
            let run = child.end_within(PATIENCE);
            assert_eq!(run.code, Some(code), "{run:?}");
            assert_eq!(run.stdout.ends_with('\n'), answers, "{run:?}");
        }
    }
}

#[test]
fn a_closed_pipe_ends_the_chat_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let clip = string(&clip("clip1-h264.mp4"));
    let questions = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(questions.path(), "describe this video\ndescribe this video\n").unwrap();
    let mut command = piped(demo(&clip, &["-q"]));
    command.stdin(std::fs::File::open(questions.path()).unwrap()).stdout(writer);
    let closed = run(&mut command);
    assert_eq!((closed.code, closed.stderr.as_str()), (Some(0), ""), "{closed:?}");
}
