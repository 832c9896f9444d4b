//! VideoMME's contexts with subtitles before the question (the harness's task `videomme_w_subtitle`).
//!
//! The card's number is that of the task without. Of each subtitle, the harness keeps what stands in one kind of `font`
//! mark, as the published files have it, and of these the ones that some frame falls into.

use std::collections::BTreeMap;

use super::options::{self, Prompt};
use crate::eval::{BadColumn, Row, python};
use crate::video::{SamplePolicy, plan};

/// Frames that the harness's task spreads over a clip to choose subtitles by, however many the model sees.
pub const SUBTITLE_FRAMES: usize = 32;

/// A file of subtitles that the harness could not read either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subtitle {index} has no times of the kind `00:00:01,000 --> 00:00:02,000` in its second line")]
pub struct BadSrt {
    /// The place of its block, counted from 0.
    pub index: usize,
}

/// The text of subtitles that the harness puts into a context.
///
/// `srt` is the file, `fps` and `frame_count` are the clip's, and `frames` is [`SUBTITLE_FRAMES`].
///
/// # Errors
/// A block of the file says no times.
pub fn shown_subtitles(srt: &str, fps: f64, frame_count: usize, frames: usize) -> Result<String, BadSrt> {
    let lines = read(srt)?;
    let spans: Vec<_> = lines.iter().map(|&(start, end, _)| ((start * fps) as i64, (end * fps) as i64)).collect();
    let mut hit = Vec::new();
    for frame in plan(frame_count, fps, &SamplePolicy { max_frames: frames, fps: None }).indices {
        let frame = frame as i64;
        hit.extend((0..spans.len()).filter(|&index| spans[index].0 <= frame && frame < spans[index].1));
    }
    // They come in the order of Python's set, which is not that of time.
    let texts = python::set_order(&hit).into_iter().filter_map(|index| marked(&lines[index].2));
    Ok(texts.collect::<Vec<_>>().join("\n"))
}

/// The context of a row; without a file of subtitles, the harness says so.
///
/// # Errors
/// A column that the harness reads is not there.
pub fn subtitled(row: &Row, shown: Option<&str>) -> Result<String, BadColumn> {
    let shown = shown.unwrap_or("No subtitles available");
    let question = options::videomme(Prompt::LlavaVid, row)?;
    Ok(format!("This video's subtitles are listed below: \n{shown}\n{question}"))
}

/// Start, end and text; of two with the same times, the last text stands in the first's place.
fn read(srt: &str) -> Result<Vec<(f64, f64, String)>, BadSrt> {
    let srt = srt.replace("\r\n", "\n").replace('\r', "\n");
    let (mut lines, mut places) = (Vec::new(), BTreeMap::new());
    for (index, block) in srt.split("\n\n").enumerate() {
        let parts: Vec<&str> = block.split('\n').collect();
        let (false, [_, times, text @ ..]) = (python::strip(block).is_empty(), parts.as_slice()) else { continue };
        if text.is_empty() {
            continue;
        }
        let mut times = times.split(" --> ").map(millis);
        let (Some(Some(start)), Some(Some(end))) = (times.next(), times.next()) else { return Err(BadSrt { index }) };
        let place = *places.entry((start, end)).or_insert(lines.len());
        let line = (secs(start), secs(end), text.join(" "));
        match lines.get_mut(place) {
            Some(before) => *before = line,
            None => lines.push(line),
        }
    }
    Ok(lines)
}

/// Whole seconds and thousandths, as Python adds them up.
fn secs((whole, thousandths): (i64, i64)) -> f64 {
    whole as f64 + thousandths as f64 / 1000.0
}

/// `01:02:03,004`: whole seconds, and thousandths.
fn millis(text: &str) -> Option<(i64, i64)> {
    let [hours, minutes, rest] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (secs, thousandths) = rest.split_once(',')?;
    let number = |text: &str| python::strip(text).parse::<u32>().ok().map(i64::from);
    Some((number(hours)? * 3600 + number(minutes)? * 60 + number(secs)?, number(thousandths)?))
}

/// What stands in the first mark, if there is one.
fn marked(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<font color=\"white\" size=\"")?;
    let size = rest.strip_prefix(|c: char| c != '\n');
    match size.and_then(|rest| rest.strip_prefix("72c\">")) {
        Some(inner) => inner.split_once("</font>").map(|(inner, _)| inner),
        None => marked(rest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn srt(count: u32, step_secs: f64) -> String {
        let clock = |secs: f64| {
            let millis = (secs * 1000.0).round() as u64;
            let (secs, rest) = (millis / 1000, millis % 1000);
            format!("{:02}:{:02}:{:02},{rest:03}", secs / 3600, secs / 60 % 60, secs % 60)
        };
        let block = |index: u32| {
            let start = f64::from(index) * step_secs;
            let times = format!("{} --> {}", clock(start), clock(start + step_secs * 0.8));
            format!("{}\n{times}\n<font color=\"white\" size=\".72c\">line {index}</font>\n\n", index + 1)
        };
        (0..count).map(block).collect()
    }

    /// Right-hand sides from CPython 3.11 and NumPy, by the steps of the harness's task.
    #[test]
    fn shown_lines_come_in_pythons_order() {
        for (count, step, fps, frame_count, frames, expected) in [
            (5, 2.0, 30.0, 300, 32, vec![0, 1, 2, 3, 4]),
            (1500, 2.0, 25.0, 75000, 8, vec![0, 1285, 428, 1071, 214, 857]),
            (
                300,
                3.0,
                29.97,
                26973,
                SUBTITLE_FRAMES,
                vec![
                    0, 261, 135, 9, 145, 19, 280, 29, 290, 164, 38, 174, 48, 58, 193, 67, 203, 77, 87, 222, 96, 232,
                    106, 116, 251,
                ],
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|index: u32| format!("line {index}")).collect();
            assert_eq!(shown_subtitles(&srt(count, step), fps, frame_count, frames).unwrap(), expected.join("\n"));
        }
    }

    #[test]
    fn contexts_say_what_is_heard_before_the_question() {
        let Value::Object(columns) = json!({ "question": "Q", "options": ["A. x"] }) else { panic!("an object") };
        let row = Row { row: 0, part: None, columns };
        let text = subtitled(&row, Some("one\ntwo")).unwrap();
        assert!(text.starts_with("This video's subtitles are listed below: \none\ntwo\nSelect the best answer to the"));
        assert!(text.ends_with(" option.\nQ\nA. x\nThe best answer is:"));
        assert!(subtitled(&row, None).unwrap().contains("below: \nNo subtitles available\nSelect"));
    }

    #[test]
    fn odd_files_are_read_as_the_harness_reads_them() {
        let mark = |text: &str| {
            format!("x <font color=\"white\" size=\"1.72c\"> <font color=\"white\" size=\".72c\">{text}</font></font>")
        };
        assert_eq!(marked(&mark("a b")), Some("a b"));
        assert_eq!((marked("plain"), marked("<font color=\"white\" size=\".72c\">open")), (None, None));
        let twice =
            "1\r\n00:00:00,000 --> 00:00:02,500\r\none\r\n\r\n2\n00:00:00,000 --> 00:00:02,500 \ntwo\nthree\n\n3\nx";
        assert_eq!(read(twice).unwrap(), [(0.0, 2.5, "two three".to_owned())]);
        assert_eq!(read("\n\n\n1\n00:00:00,000 --> 00:00:01,000\nx"), Err(BadSrt { index: 1 }));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "([0-9:,\r\n x]| --> |00:00:01,000|<font color=\"white\" size=\".72c\">){0,30}") {
            let _ = shown_subtitles(&text, 25.0, 100, SUBTITLE_FRAMES);
            let _ = marked(&text);
        }
    }
}
