//! LongVideoBench's contexts with subtitles between the frames (the harness's task `longvideobench_val_i`).
//!
//! Its frames are pictures to the harness, each with a place in the text; none of the card's ten rows is made so.

use serde_json::Value;

use super::options;
use crate::eval::{BadColumn, Row, python};

/// The task never asks for more.
const MAX_FRAMES: u32 = 16;

/// A line of subtitles.
#[derive(Debug, Clone, PartialEq)]
pub struct Subtitle {
    /// From here, in seconds of the source.
    pub start_secs: f64,
    /// Until here; to the end of the clip where the file does not say it as a number with a fraction.
    pub end_secs: Option<f64>,
    /// What is said.
    pub text: String,
}

/// Subtitles that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subtitle {index} is neither `timestamp` and `text` nor `start`, `end` and `line`")]
pub struct BadSubtitle {
    /// Its place, counted from 0; that of the file is 0, too.
    pub index: usize,
}

/// The subtitles of one of LongVideoBench's files, which are of two kinds.
///
/// # Errors
/// One is of neither kind.
pub fn subtitles(file: &Value) -> Result<Vec<Subtitle>, BadSubtitle> {
    let list = file.as_array().ok_or(BadSubtitle { index: 0 })?;
    list.iter().enumerate().map(|(index, entry)| subtitle(entry).ok_or(BadSubtitle { index })).collect()
}

fn subtitle(entry: &Value) -> Option<Subtitle> {
    let text = |key| entry.get(key).and_then(Value::as_str);
    let Some(timestamp) = entry.get("timestamp") else {
        let (start_secs, end_secs) = (clock_secs(text("start")?)?, clock_secs(text("end")?)?);
        return Some(Subtitle { start_secs, end_secs: Some(end_secs), text: text("line")?.to_owned() });
    };
    let [start, end] = timestamp.as_array()?.as_slice() else { return None };
    // An end in whole seconds counts as none to the harness.
    let end_secs = end.as_f64().filter(|_| end.is_f64());
    Some(Subtitle { start_secs: start.as_f64()?, end_secs, text: text("text")?.to_owned() })
}

/// `01:02:03.5`.
fn clock_secs(text: &str) -> Option<f64> {
    let [hours, minutes, secs] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
    let whole = |text: &str| python::strip(text).parse::<i32>().ok().map(f64::from);
    Some(whole(hours)? * 3600.0 + whole(minutes)? * 60.0 + python::strip(secs).parse::<f64>().ok()?)
}

/// The context of a row, a place for each frame within it.
///
/// # Errors
/// A column that the harness reads is not there.
pub fn interleaved(row: &Row, subtitles: &[Subtitle]) -> Result<String, BadColumn> {
    let (duration, first) = (row.number("duration")?, row.number("starting_timestamp_for_subtitles")?);
    let frames = frame_secs(duration);
    let (mut pieces, mut placed) = (Vec::new(), 0);
    for subtitle in subtitles {
        let (start, end) = (subtitle.start_secs - first, subtitle.end_secs.unwrap_or(duration) - first);
        let middle = (start + end) / 2.0;
        let before = frames[placed..].iter().take_while(|&&frame| frame <= middle).count();
        pieces.extend(std::iter::repeat_n("<image>", before));
        placed += before;
        let (start, end) = match end - start < 1.0 {
            true => (middle - 0.5, middle + 0.5),
            false => (start, end),
        };
        // What no frame shows is not told.
        if frames.iter().any(|&frame| start < frame && frame < end) {
            pieces.push(&subtitle.text);
        }
    }
    pieces.extend(std::iter::repeat_n("<image>", frames.len() - placed));
    Ok(format!("{}\n{}", pieces.join("\n"), options::longvideobench(row)?))
}

/// A frame each second, or evenly spread where that were too many.
fn frame_secs(duration: f64) -> Vec<f64> {
    match duration > f64::from(MAX_FRAMES) {
        true => (0..MAX_FRAMES).map(|index| duration / f64::from(MAX_FRAMES) * f64::from(index)).collect(),
        false => (0..duration as u32).map(f64::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_kinds_are_read_and_others_named() {
        let file = json!([
            { "timestamp": [1, 2], "text": "whole" },
            { "timestamp": [1.5, 2.5], "text": "both" },
            { "start": "01:02:03.500", "end": "01:02:04", "line": "clock" },
        ]);
        let read = subtitles(&file).unwrap();
        let times: Vec<_> = read.iter().map(|line| (line.start_secs, line.end_secs)).collect();
        assert_eq!(times, [(1.0, None), (1.5, Some(2.5)), (3723.5, Some(3724.0))]);
        for wrong in [
            json!({ "text": "x" }),
            json!({ "timestamp": [1.0], "text": "x" }),
            json!({ "start": "1:2",
            "end": "0:0:0", "line": "x" }),
        ] {
            assert_eq!(subtitles(&json!([file[0], wrong])), Err(BadSubtitle { index: 1 }));
        }
        assert!(subtitles(&json!({})).is_err());
    }

    proptest! {
        #[test]
        fn every_frame_has_one_place(
            duration in 0.0..60.0f64,
            lines in prop::collection::vec((0.0..70.0f64, prop::option::of(0.0..70.0f64)), 0..6),
        ) {
            let columns = json!({ "question": "Q", "duration": duration, "starting_timestamp_for_subtitles": 1.5,
                "option0": "x", "option1": "N/A", "option2": "N/A", "option3": "N/A", "option4": "N/A" });
            let Value::Object(columns) = columns else { panic!("an object") };
            let row = Row { row: 0, part: None, columns };
            let line = |(start_secs, end_secs)| Subtitle { start_secs, end_secs, text: "said".to_owned() };
            let lines: Vec<_> = lines.into_iter().map(line).collect();
            let text = interleaved(&row, &lines).unwrap();
            prop_assert_eq!(text.matches("<image>").count(), frame_secs(duration).len());
            prop_assert!(frame_secs(duration).len() <= 16);
        }

        #[test]
        fn clocks_never_panic(text in "[0-9:. -]{0,12}") {
            let _ = clock_secs(&text);
        }
    }
}
