//! Chats with somebody at a terminal: keys, history, Ctrl-C, several lines, wide letters, and screens that change size.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::signals::endless;
use crate::support::sitting::Sitting;
use crate::support::{clip_arg, command, device, tiny_checkpoint_arg};

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const HOME: &str = "\x1b[H";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const ALT_ENTER: &str = "\x1b\r";

/// A chat that keeps its history in `home`.
fn chat(home: &Path, args: &[&str]) -> Command {
    let mut command = command();
    command.arg("chat").args(["--device", device()]).args(args);
    command.env("XDG_STATE_HOME", home.join("state")).env_remove("VISUAL").env_remove("EDITOR");
    command
}

/// One with a tiny model whose records are collected: short answers, and the questions as they were understood.
fn recorded(home: &Path, size: (u16, u16)) -> Sitting {
    let model = tiny_checkpoint_arg();
    let args = ["--model", &model, "--no-video", "--max-new-tokens", "2", "--json", "-q"];
    let sitting = Sitting::start(&mut chat(home, &args), size, true);
    sitting.wait_for_last_line(">");
    sitting
}

/// Leaves, and returns the questions.
#[track_caller]
fn questions(mut sitting: Sitting) -> Vec<String> {
    sitting.type_keys(CTRL_D);
    let (code, stdout) = sitting.end();
    assert_eq!(code, Some(0), "{}", sitting.screen());
    assert!(sitting.is_cooked());
    let record = |line: &str| serde_json::from_str::<Value>(line).unwrap()["question"].as_str().unwrap().to_owned();
    stdout.lines().map(record).collect()
}

/// Types a line and waits for the next prompt.
#[track_caller]
fn ask(sitting: &mut Sitting, keys: &str) {
    let prompts = |screen: &str| screen.lines().filter(|line| line.starts_with('>')).count();
    let before = prompts(&sitting.screen());
    sitting.type_keys(keys);
    sitting.type_keys("\r");
    sitting.wait_for_screen(|screen| prompts(screen) > before && screen.trim_end().ends_with("\n>"));
}

#[test]
fn lines_are_edited_and_answered_and_ctrl_d_leaves() {
    let home = tempfile::tempdir().unwrap();
    let clip = clip_arg("clip1-h264.mp4");
    let mut sitting = Sitting::start(&mut chat(home.path(), &[&clip, "-m", "demo", "-n", "16"]), (30, 90), false);
    sitting.wait_for_last_line(">");
    assert!(sitting.screen().contains("a chat about") && sitting.screen().contains("(16 frames); /help"));
    // A letter is missing in the middle, and the first one is wrong.
    sitting.type_keys("xescrbe this video");
    sitting.type_keys(&LEFT.repeat(13));
    sitting.type_keys("i");
    sitting.type_keys(HOME);
    sitting.type_keys("\x1b[3~d");
    sitting.wait_for_last_line("> describe this video");
    sitting.type_keys("\r");
    sitting.wait_for_screen(|screen| screen.contains("> describe this video\nA cyan star moves left."));
    sitting.wait_for_last_line(">");
    // Once more, by the history.
    sitting.type_keys(UP);
    sitting.wait_for_last_line("> describe this video");
    sitting.type_keys("\x15/undo\r");
    sitting.wait_for_screen(|screen| screen.contains("note: took back `describe this video` and its answer"));
    sitting.wait_for_last_line(">");
    sitting.type_keys(CTRL_D);
    assert_eq!(sitting.end().0, Some(0));
    assert!(sitting.is_cooked());
}

#[test]
fn ctrl_c_stops_an_answer_and_keeps_the_chat() {
    let (home, model) = (tempfile::tempdir().unwrap(), endless());
    let model = model.path().to_str().unwrap();
    let args = ["--model", model, "--no-video", "--repetition-penalty", "1.3", "--max-new-tokens", "30000"];
    let mut sitting = Sitting::start(&mut chat(home.path(), &args), (24, 80), false);
    sitting.wait_for_last_line(">");
    for question in ["What?", "What else?"] {
        sitting.type_keys(&format!("\x0c{question}\r"));
        let begun = format!("> {question}\n");
        // Before the answer, the progress of prefill stands there.
        let is_answer = |text: &str| text.trim().len() > 4 && !text.contains("prefill");
        sitting.wait_for_screen(|screen| screen.split_once(&begun).is_some_and(|(_, text)| is_answer(text)));
        sitting.type_keys(CTRL_C);
        sitting.wait_for_screen(|screen| screen.contains("note: stopped; the answer so far is part of"));
        sitting.wait_for_last_line(">");
    }
    // Each of them is remembered, and what is typed goes with Ctrl-C.
    sitting.type_keys("never mind");
    sitting.wait_for_last_line("> never mind");
    sitting.type_keys(CTRL_C);
    sitting.wait_for_last_line(">");
    sitting.type_keys("\x0c/undo\r");
    sitting.wait_for_screen(|screen| screen.contains("took back `What else?` and its answer; 1 question left"));
    sitting.wait_for_last_line(">");
    sitting.type_keys("/exit\r");
    assert_eq!(sitting.end().0, Some(0));
}

#[test]
fn sigterm_ends_an_answer_and_a_line_with_143_and_restores_the_terminal() {
    let (home, model) = (tempfile::tempdir().unwrap(), endless());
    let model = model.path().to_str().unwrap();
    for answers in [true, false] {
        let args = ["--model", model, "--no-video", "--repetition-penalty", "1.3", "--max-new-tokens", "30000"];
        let mut sitting = Sitting::start(&mut chat(home.path(), &args), (24, 80), false);
        sitting.wait_for_last_line(">");
        sitting.type_keys(if answers { "What?\r" } else { "What" });
        match answers {
            true => sitting.wait_for_screen(|screen| screen.split_once("> What?\n").is_some_and(|(_, a)| a.len() > 4)),
            false => sitting.wait_for_last_line("> What"),
        }
        sitting.signal(libc::SIGTERM);
        assert_eq!(sitting.end().0, Some(143), "{}", sitting.screen());
        assert!(sitting.is_cooked(), "in an answer: {answers}");
    }
}

#[test]
fn several_lines_are_one_question() {
    let home = tempfile::tempdir().unwrap();
    let mut sitting = recorded(home.path(), (40, 60));
    // Pasted, with a tab and letters that would be commands or keys; two lines at once without the marks of a paste.
    ask(&mut sitting, "\x1b[200~/first\r\nsecond\\\rthird\x1b[201~ and more");
    ask(&mut sitting, &format!("one{ALT_ENTER}two"));
    ask(&mut sitting, "one\\\rtwo\\\rthree");
    ask(&mut sitting, "\"\"\"\ra \\\r\r\"b\"\r\"\"\"");
    ask(&mut sitting, "C:\\ in the middle");
    sitting.type_keys("next\rlast\r");
    sitting.wait_for_screen(|screen| screen.contains("> last\n>"));
    let expected = ["one\ntwo", "one\ntwo\nthree", "a \n\n\"b\"", "C:\\ in the middle", "next", "last"];
    assert!(sitting.screen().contains("there is no command `/first`"), "{}", sitting.screen());
    assert_eq!(questions(sitting), expected);
}

#[test]
fn a_paste_of_several_lines_waits_for_enter() {
    let home = tempfile::tempdir().unwrap();
    let mut sitting = recorded(home.path(), (24, 60));
    sitting.type_keys("\x1b[200~What is there?\nAnswer \\\nin one word.\x1b[201~");
    sitting.wait_for_screen(|screen| screen.contains("> What is there?\nAnswer \\\nin one word."));
    ask(&mut sitting, " Please.");
    assert_eq!(questions(sitting), ["What is there?\nAnswer \\\nin one word. Please."]);
}

#[test]
fn wide_letters_take_two_columns() {
    let home = tempfile::tempdir().unwrap();
    let mut sitting = recorded(home.path(), (24, 40));
    sitting.type_keys("\u{753b}\u{9762}\u{91cc}?");
    sitting.wait_for_last_line("> \u{753b}\u{9762}\u{91cc}?");
    assert_eq!(sitting.cursor().1, 2 + 6 + 1);
    sitting.type_keys(&LEFT.repeat(2));
    sitting.type_keys("\u{7684}e\u{301}");
    sitting.wait_for_last_line("> \u{753b}\u{9762}\u{7684}e\u{301}\u{91cc}?");
    assert_eq!(sitting.cursor().1, 2 + 6 + 1, "between two letters");
    // A backspace takes the whole letter with its accent.
    sitting.type_keys("\x7f");
    sitting.wait_for_last_line("> \u{753b}\u{9762}\u{7684}\u{91cc}?");
    ask(&mut sitting, "");
    assert_eq!(questions(sitting), ["\u{753b}\u{9762}\u{7684}\u{91cc}?"]);
}

#[test]
fn a_line_is_drawn_anew_when_the_screen_changes_its_size() {
    let home = tempfile::tempdir().unwrap();
    let mut sitting = recorded(home.path(), (24, 60));
    let line = "What does the person in the red coat do?";
    sitting.type_keys(line);
    sitting.wait_for_last_line(&format!("> {line}"));
    sitting.resize(24, 80);
    sitting.type_keys(" And when?");
    sitting.wait_for_last_line(&format!("> {line} And when?"));
    // Too narrow: the line takes two rows, and can be edited over the break.
    sitting.resize(24, 30);
    // The editor learns of a new size while it waits for a key; told a moment earlier, it learns with the next one.
    sitting.wait_for_screen(|screen| {
        sitting.signal(libc::SIGWINCH);
        screen.replace('\n', "").ends_with(&format!("> {line} And when?"))
    });
    sitting.type_keys("x");
    sitting.wait_for_screen(|screen| screen.replace('\n', "").ends_with("And when?x"));
    sitting.type_keys("\x7f");
    sitting.type_keys(HOME);
    sitting.type_keys("So: ");
    sitting.wait_for_screen(|screen| screen.replace('\n', "").ends_with(&format!("> So: {line} And when?")));
    sitting.type_keys("\r");
    sitting.wait_for_screen(|screen| screen.trim_end().ends_with("\n>"));
    assert_eq!(questions(sitting), [format!("So: {line} And when?")]);
}

#[test]
fn the_history_outlives_the_chat_and_belongs_to_its_user() {
    let home = tempfile::tempdir().unwrap();
    let mut first = recorded(home.path(), (24, 60));
    ask(&mut first, "What is there?");
    ask(&mut first, &format!("two{ALT_ENTER}lines"));
    ask(&mut first, "/undo");
    assert_eq!(questions(first).len(), 2);
    let file = home.path().join("state/llava-video/history");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let mut second = recorded(home.path(), (24, 60));
    second.type_keys(UP);
    second.wait_for_last_line("> /undo");
    second.type_keys(UP);
    second.wait_for_screen(|screen| screen.trim_end().ends_with("> two\nlines"));
    // Back to the first line of it, then to the line before.
    second.type_keys(&UP.repeat(2));
    second.wait_for_last_line("> What is there?");
    ask(&mut second, "");
    // Found by a part of it.
    second.type_keys("\x12lin");
    second.wait_for_screen(|screen| screen.contains("two\nlines"));
    ask(&mut second, "");
    assert_eq!(questions(second), ["What is there?", "two\nlines"]);

    // Somewhere else, or nowhere.
    let elsewhere = home.path().join("mine");
    let model = tiny_checkpoint_arg();
    for (named, keeps) in [(elsewhere.to_str().unwrap(), true), ("", false)] {
        let before = std::fs::read(&file).unwrap();
        let args = ["--model", &model, "--no-video", "--max-new-tokens", "2", "-q"];
        let mut command = chat(home.path(), &args);
        let mut sitting = Sitting::start(command.env("LLAVA_VIDEO_HISTORY", named), (24, 60), true);
        sitting.wait_for_last_line(">");
        ask(&mut sitting, "Who?");
        sitting.type_keys(CTRL_D);
        assert_eq!(sitting.end().0, Some(0));
        assert_eq!((elsewhere.exists(), std::fs::read(&file).unwrap()), (true, before), "{keeps}");
        if keeps {
            assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "\"Who?\"\n");
        }
    }
}

#[test]
fn a_history_that_cannot_be_kept_is_told_and_stops_nothing() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("state"), "no folder").unwrap();
    let model = tiny_checkpoint_arg();
    let args = ["--model", &model, "--no-video", "--max-new-tokens", "2"];
    let mut sitting = Sitting::start(&mut chat(home.path(), &args), (24, 200), false);
    sitting.wait_for_last_line(">");
    ask(&mut sitting, "Who?");
    ask(&mut sitting, "Who else?");
    assert_eq!(sitting.screen().matches("warning: no history is kept").count(), 1, "{}", sitting.screen());
    sitting.type_keys(CTRL_D);
    assert_eq!(sitting.end().0, Some(0));
}

#[test]
fn commands_and_files_are_completed() {
    let home = tempfile::tempdir().unwrap();
    let name = home.path().join("my talk.json");
    let mut sitting = recorded(home.path(), (24, 200));
    ask(&mut sitting, "Who?");
    sitting.type_keys("/sa\t");
    sitting.wait_for_last_line("> /save");
    ask(&mut sitting, &format!("'{}'", name.display()));
    assert!(name.exists(), "{}", sitting.screen());
    sitting.type_keys(&format!("/load {}/my\t", home.path().display()));
    sitting.wait_for_screen(|screen| screen.contains("my\\ talk.json"));
    ask(&mut sitting, "");
    assert!(!sitting.screen().contains("error"), "{}", sitting.screen());
    assert_eq!(questions(sitting), ["Who?"]);
}

#[test]
fn a_question_is_changed_in_the_users_editor() {
    let home = tempfile::tempdir().unwrap();
    let model = tiny_checkpoint_arg();
    let args = ["--model", &model, "--no-video", "--max-new-tokens", "2", "--json", "-q"];
    let mut command = chat(home.path(), &args);
    let mut sitting = Sitting::start(command.env("EDITOR", "sed -i s/is/was/"), (24, 60), true);
    sitting.wait_for_last_line(">");
    ask(&mut sitting, "What is there?");
    ask(&mut sitting, "/edit");
    ask(&mut sitting, "And then?");
    assert_eq!(questions(sitting), ["What is there?", "What was there?", "And then?"]);
    let mut without = recorded(home.path(), (24, 60));
    ask(&mut without, "/edit");
    assert!(without.screen().contains("neither $VISUAL nor $EDITOR"), "{}", without.screen());
    assert!(questions(without).is_empty());
}

/// A terminal that edits nothing still has a prompt, on standard error.
#[test]
fn a_simple_terminal_is_enough() {
    let home = tempfile::tempdir().unwrap();
    let model = tiny_checkpoint_arg();
    let args = ["--model", &model, "--no-video", "--max-new-tokens", "2", "--json", "-q"];
    let mut command = chat(home.path(), &args);
    let mut dumb = Sitting::start(command.env("TERM", "dumb"), (24, 60), true);
    dumb.wait_for_last_line(">");
    dumb.type_keys("Who?\r");
    dumb.wait_for_screen(|screen| screen.contains("> Who?\n>"));
    dumb.type_keys("\x03");
    dumb.wait_for_screen(|screen| screen.matches('>').count() == 3);
    dumb.type_keys(CTRL_D);
    let (code, stdout) = dumb.end();
    assert_eq!((code, stdout.lines().count()), (Some(0), 1), "{}", dumb.screen());
}
