//! Chats with somebody who reads answers from a script.

use std::collections::VecDeque;

use llava_video::generate::StopReason;
use llava_video::prompt::Prompt;

use super::*;

/// Answers from a script, and remembers what was asked.
#[derive(Default)]
struct Scripted {
    files: Vec<OsString>,
    /// Text and number of tokens of what comes next; an error where there is nothing.
    replies: VecDeque<(&'static str, usize)>,
    /// The past as questions and answers, and the question.
    asked: Vec<(Vec<(String, String)>, String)>,
    sheets: Vec<PathBuf>,
}

impl Scripted {
    fn new(files: &[&str], replies: &[&'static str]) -> Self {
        let replies = replies.iter().map(|text| (*text, 3)).collect();
        Self { files: files.iter().map(OsString::from).collect(), replies, ..Self::default() }
    }

    /// What was asked last, and after how many exchanges.
    fn last(&self) -> (usize, &str) {
        let (past, question) = self.asked.last().expect("a question");
        (past.len(), question)
    }
}

impl Responder for Scripted {
    fn answer(&mut self, past: &[Exchange], question: &str, _: &Settings) -> Result<Turn, Failure> {
        let past = past.iter().map(|exchange| (exchange.question.clone(), exchange.answer.clone())).collect();
        self.asked.push((past, question.to_owned()));
        let (text, tokens) = self.replies.pop_front().ok_or_else(|| anyhow!("the conversation is full"))?;
        let stop_reason = if tokens == 0 { StopReason::Interrupted } else { StopReason::Stop };
        let (text, token_ids) = (text.to_owned(), vec![7; tokens]);
        Ok(Turn {
            question: question.to_owned(),
            prompt: SizedPrompt { prompt: Prompt { segments: Vec::new() }, tokens: 5, visual_tokens: 0 },
            answer: Answer { text, token_ids, stop_reason, ..Answer::interrupted() },
            frames_encoded: 0,
            seed: None,
            timings: Timings::default(),
            total: Duration::ZERO,
        })
    }

    fn show(&mut self, files: &[OsString], _: &Settings) -> Result<()> {
        if files.iter().any(|file| file.to_string_lossy().contains("missing")) {
            bail!("no such file");
        }
        self.files = files.to_vec();
        Ok(())
    }

    fn subject(&self) -> Subject {
        let is_clip = self.files.iter().any(|file| file.to_string_lossy().ends_with(".mp4"));
        Subject { files: self.files.clone(), sampled_frames: is_clip.then_some(8) }
    }

    fn frames(&self) -> Vec<String> {
        vec!["#0 0.00s".to_owned()]
    }

    fn write_sheet(&mut self, file: PathBuf) -> Result<()> {
        self.sheets.push(file);
        Ok(())
    }

    fn model(&self) -> &str {
        "scripted"
    }
}

fn dialogue() -> Dialogue {
    Dialogue::new(Settings::default(), Some(|text| Ok(format!("{text} Really?"))))
}

/// What a line tells, joined.
fn told(dialogue: &mut Dialogue, line: &str, responder: &mut Scripted) -> String {
    match dialogue.take(line, responder).expect(line) {
        Step::Told(lines) | Step::Listed(lines) => lines.join("\n"),
        Step::Answered(turn) => turn.answer.text,
        Step::Leave => "left".to_owned(),
    }
}

fn refused(dialogue: &mut Dialogue, line: &str, responder: &mut Scripted) -> String {
    match dialogue.take(line, responder).expect_err(line) {
        Failure::Line(error) => format!("{error:#}"),
        Failure::Output(error) => panic!("{error:#}"),
    }
}

#[test]
fn questions_build_on_what_was_answered() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&["a.mp4"], &["A star.", "", "Left."]));
    for (number, question) in ["What?", "Where?", "//undo means what?"].into_iter().enumerate() {
        told(&mut dialogue, question, &mut model);
        assert_eq!(model.last(), (number, question.strip_prefix("/").unwrap_or(question)));
    }
    let (past, _) = model.asked.last().expect("a question");
    let pair = |question: &str, answer: &str| (question.to_owned(), answer.to_owned());
    assert_eq!(past, &[pair("What?", "A star."), pair("Where?", "")], "an empty answer is one, too");
}

#[test]
fn a_line_that_fails_leaves_the_conversation_as_it_was() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&["a.mp4"], &["A star."]));
    told(&mut dialogue, "What?", &mut model);
    assert!(refused(&mut dialogue, "More?", &mut model).contains("full"));
    assert!(refused(&mut dialogue, "/edit", &mut model).contains("full"));
    assert!(refused(&mut dialogue, "/video missing.mp4", &mut model).contains("no such file"));
    assert!(refused(&mut dialogue, "/load missing.json", &mut model).contains("missing.json"));
    assert!(refused(&mut dialogue, "/udno", &mut model).contains("`/undo`"));
    model.replies.push_back(("Left.", 3));
    told(&mut dialogue, "Where?", &mut model);
    assert_eq!(model.last(), (1, "Where?"));
    assert_eq!(model.files, ["a.mp4"]);
}

#[test]
fn what_was_stopped_before_it_began_is_no_answer() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&[], &[]));
    model.replies.extend([("", 0), ("A sta", 2), ("Yes.", 3)]);
    for (past, question) in [(0, "What?"), (0, "What then?"), (1, "Sure?")] {
        told(&mut dialogue, question, &mut model);
        assert_eq!(model.last(), (past, question));
    }
    assert_eq!(model.asked[2].0[0].1, "A sta", "what was stopped later is kept as far as it went");
}

#[test]
fn the_past_can_be_cleared_and_taken_back() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&["a.mp4"], &["1", "2", "3", "4"]));
    assert!(refused(&mut dialogue, "/undo", &mut model).contains("nothing was asked yet"));
    for question in ["a", "b"] {
        told(&mut dialogue, question, &mut model);
    }
    assert_eq!(told(&mut dialogue, "/undo", &mut model), "took back `b` and its answer; 1 question left");
    told(&mut dialogue, "c", &mut model);
    assert_eq!(model.last(), (1, "c"));
    assert!(told(&mut dialogue, "/clear", &mut model).contains("about `a.mp4` (8 frames)"));
    told(&mut dialogue, "d", &mut model);
    assert_eq!(model.last(), (0, "d"));
}

#[test]
fn another_video_starts_another_conversation() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&[], &["1", "2"]));
    assert!(refused(&mut dialogue, "/frames", &mut model).contains("no video is shown"));
    told(&mut dialogue, "a", &mut model);
    assert!(told(&mut dialogue, "/video \"my clip.mp4\"", &mut model).contains("`my clip.mp4` (8 frames)"));
    told(&mut dialogue, "b", &mut model);
    assert_eq!(model.last(), (0, "b"));
    assert_eq!(told(&mut dialogue, "/frames", &mut model), "#0 0.00s");
    told(&mut dialogue, "/frames my\\ sheet.png", &mut model);
    assert_eq!(model.sheets, [PathBuf::from("my sheet.png")]);
    assert!(refused(&mut dialogue, "/frames a b", &mut model).contains("`a` is too much"));
    assert!(refused(&mut dialogue, "/video", &mut model).contains("expected a video"));
}

#[test]
fn a_question_is_edited_and_asked_again() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&[], &["1", "2", "3", "4"]));
    for question in ["a", "b"] {
        told(&mut dialogue, question, &mut model);
    }
    assert_eq!(told(&mut dialogue, "/edit", &mut model), "3");
    assert_eq!(model.last(), (1, "b Really?"));
    told(&mut dialogue, "c", &mut model);
    assert_eq!(model.last(), (2, "c"), "the edited question has taken the place of the other");
    let mut piped = Dialogue::new(Settings::default(), None);
    assert!(refused(&mut piped, "/edit", &mut model).contains("needs a terminal"));
    let mut emptied = Dialogue::new(Settings::default(), Some(|_| Ok(" \n".to_owned())));
    assert!(told(&mut emptied, "/edit", &mut model).contains("nothing was asked"));
}

#[test]
fn settings_are_listed_and_changed() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&["a.png"], &[]));
    assert_eq!(told(&mut dialogue, "/set max-new-tokens 12", &mut model), "max-new-tokens is `12` now");
    assert_eq!(told(&mut dialogue, "/set system  Be  brief. ", &mut model), "system is `Be  brief.` now");
    let listing = told(&mut dialogue, "/set", &mut model);
    assert!(listing.contains("max-new-tokens      12") && listing.contains("Be  brief."), "{listing}");
    assert!(refused(&mut dialogue, "/set seed", &mut model).contains("it is `default` now"));
    assert!(refused(&mut dialogue, "/set mood good", &mut model).contains("there is no setting `mood`"));
    assert!(refused(&mut dialogue, "/set time-instruction inline", &mut model).contains("pictures are shown"));
}

#[test]
fn a_conversation_is_saved_and_taken_up_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("my talk.json");
    let file = file.to_str().expect("a path in UTF-8");
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&["a.mp4"], &["A star.", "2", "3"]));
    assert!(refused(&mut dialogue, &format!("/save '{file}'"), &mut model).contains("nothing was asked yet"));
    told(&mut dialogue, "What?", &mut model);
    told(&mut dialogue, "/set seed 5", &mut model);
    told(&mut dialogue, &format!("/save '{file}'"), &mut model);
    assert!(refused(&mut dialogue, &format!("/save '{file}'"), &mut model).contains("--force"));
    told(&mut dialogue, &format!("/save --force '{file}'"), &mut model);
    assert!(refused(&mut dialogue, &format!("/save {file}"), &mut model).contains("spaces need quotes"));

    let (mut later, mut other) = (Dialogue::new(Settings::default(), None), Scripted::new(&["b.png"], &["1", "2"]));
    told(&mut later, "Before?", &mut other);
    let loaded = told(&mut later, &format!("/load '{file}'"), &mut other);
    assert!(loaded.starts_with("loaded 1 question and the settings") && !loaded.contains("model"), "{loaded}");
    assert!(other.files[0].to_string_lossy().ends_with("/a.mp4"), "the video came with it: {:?}", other.files);
    assert!(told(&mut later, "/set", &mut other).contains("seed                5"));
    told(&mut later, "Where?", &mut other);
    assert_eq!(other.asked[1].0, [("What?".to_owned(), "A star.".to_owned())]);
}

#[test]
fn commands_take_what_they_say_and_no_more() {
    let (mut dialogue, mut model) = (dialogue(), Scripted::new(&["a.mp4"], &["1"]));
    told(&mut dialogue, "a", &mut model);
    for line in ["/clear all", "/undo 2", "/help me", "/exit now", "/quit now", "/edit this"] {
        assert!(refused(&mut dialogue, line, &mut model).contains("is too much"), "{line}");
    }
    for line in ["/save", "/load"] {
        assert!(refused(&mut dialogue, line, &mut model).contains("expected the name of a file"), "{line}");
    }
    assert!(refused(&mut dialogue, "/video 'a", &mut model).contains("has no end"));
    let help = told(&mut dialogue, "/help", &mut model);
    for command in &commands::COMMANDS {
        assert!(help.contains(command.name), "{}", command.name);
    }
    assert_eq!(told(&mut dialogue, " \t", &mut model), "");
    for line in ["/exit", "/quit"] {
        assert_eq!(told(&mut dialogue, line, &mut model), "left");
    }
    assert_eq!(model.asked.len(), 1);
}
