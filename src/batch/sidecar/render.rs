//! The content of a file beside a clip, from the clip's record.

use serde_json::Value;

use super::Format;
use crate::batch::answered::{texts, windows};
use crate::batch::subtitles::{Cue, srt, vtt};

/// The part of the clip that was asked about, where it was not all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Part {
    /// From here.
    pub start_secs: Option<f64>,
    /// Before this.
    pub end_secs: Option<f64>,
}

/// A record of which no such file can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoContent {
    /// There is no answer in it.
    #[error("the record holds no answer")]
    NoAnswer,
    /// Subtitles have one text at a time.
    #[error("the record holds answers to several questions, which subtitles cannot")]
    SeveralQuestions,
    /// Nothing says how long the clip is.
    #[error("the record does not say how long the clip is")]
    NoLength,
}

/// The content of the file in this format. Without windows, subtitles are one cue over the part, up to
/// `video.duration_secs` at most.
///
/// # Errors
/// [`NoContent`]: the record of a failure, for one, makes no file.
pub fn render(format: Format, record: &Value, part: Part) -> Result<String, NoContent> {
    let windows = windows(record);
    let some = match &windows {
        Some(windows) => windows.iter().any(|&(.., window)| texts(window).next().is_some()),
        None => texts(record).next().is_some(),
    };
    if !some {
        return Err(NoContent::NoAnswer);
    }
    match (format, windows) {
        (Format::Json, _) => Ok(format!("{record:#}\n")),
        (Format::Txt, None) => Ok(format!("{}\n", texts(record).collect::<Vec<_>>().join("\n\n"))),
        (Format::Txt, Some(windows)) => {
            Ok(windows.iter().map(|&(start, end, window)| lines(start, end, window)).collect())
        }
        (Format::Srt, windows) => Ok(srt(&cues(record, windows, part)?)),
        (Format::Vtt, windows) => Ok(vtt(&cues(record, windows, part)?)),
    }
}

/// An answer a line, each with the time of its window.
fn lines(start_secs: f64, end_secs: f64, window: &Value) -> String {
    let line = |text: &str| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("[{} --> {}] {text}\n", clock(start_secs), clock(end_secs))
    };
    texts(window).map(line).collect()
}

fn clock(secs: f64) -> String {
    crate::batch::subtitles::time((secs * 1e3).round() as u64, '.')
}

fn cues(record: &Value, windows: Option<Vec<(f64, f64, &Value)>>, part: Part) -> Result<Vec<Cue>, NoContent> {
    let cue = |start_secs, end_secs, holder| {
        let mut texts = texts(holder);
        match (texts.next(), texts.next()) {
            (text, None) => Ok(Cue { start_secs, end_secs, text: text.unwrap_or_default().to_owned() }),
            _ => Err(NoContent::SeveralQuestions),
        }
    };
    let Some(windows) = windows else {
        let duration_secs = record.pointer("/video/duration_secs").and_then(Value::as_f64);
        let ends = [part.end_secs, duration_secs].into_iter().flatten();
        let end_secs = ends.min_by(f64::total_cmp).ok_or(NoContent::NoLength)?;
        return Ok(vec![cue(part.start_secs.unwrap_or(0.0), end_secs, record)?]);
    };
    windows.into_iter().map(|(start_secs, end_secs, window)| cue(start_secs, end_secs, window)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(texts: &[&str]) -> Value {
        texts.iter().map(|text| json!({ "answer": text })).collect()
    }

    fn all(record: &Value, part: Part) -> [Result<String, NoContent>; 4] {
        Format::ALL.map(|format| render(format, record, part))
    }

    #[test]
    fn a_record_makes_every_format() {
        let record = json!({ "id": "a", "video": { "duration_secs": 12.5 }, "answers": answers(&["A man\n\nwalks."]) });
        let [txt, json, srt, vtt] = all(&record, Part::default()).map(Result::unwrap);
        assert_eq!(txt, "A man\n\nwalks.\n");
        assert_eq!(json.parse::<Value>().unwrap(), record);
        assert!(json.starts_with("{\n  \"id\": \"a\",\n") && json.ends_with("}\n"));
        assert_eq!(srt, "1\n00:00:00,000 --> 00:00:12,500\nA man\nwalks.\n\n");
        assert_eq!(vtt, "WEBVTT\n\n00:00:00.000 --> 00:00:12.500\nA man\nwalks.\n\n");
        let part = |start_secs, end_secs| render(Format::Vtt, &record, Part { start_secs, end_secs }).unwrap();
        assert!(part(Some(3.0), Some(4.0)).contains("00:00:03.000 --> 00:00:04.000"));
        assert!(part(Some(3.0), Some(99.0)).contains("00:00:03.000 --> 00:00:12.500"));
    }

    #[test]
    fn windows_have_their_times() {
        let window =
            |start: f64, end: f64, text| json!({ "start_secs": start, "end_secs": end, "answers": answers(&[text]) });
        let record = json!({ "windows": [window(0.0, 10.0, "A\nb"), window(10.0, 12.0, "C")] });
        let [txt, _, srt, _] = all(&record, Part::default()).map(Result::unwrap);
        assert_eq!(txt, "[00:00:00.000 --> 00:00:10.000] A b\n[00:00:10.000 --> 00:00:12.000] C\n");
        assert_eq!(srt, "1\n00:00:00,000 --> 00:00:10,000\nA\nb\n\n2\n00:00:10,000 --> 00:00:12,000\nC\n\n");
    }

    #[test]
    fn what_no_file_can_hold_is_refused() {
        for record in [json!({ "id": "a", "answers": null }), json!({ "windows": [] }), json!({ "answers": [] })] {
            assert_eq!(all(&record, Part::default()), [const { Err(NoContent::NoAnswer) }; 4]);
        }
        let several = json!({ "video": { "duration_secs": 1.0 }, "answers": answers(&["a", "b"]) });
        let [txt, json, srt, vtt] = all(&several, Part::default());
        assert_eq!((txt.as_deref(), json.is_ok()), (Ok("a\n\nb\n"), true));
        assert_eq!([srt, vtt], [const { Err(NoContent::SeveralQuestions) }; 2]);
        let endless = json!({ "video": null, "answers": answers(&["a"]) });
        assert_eq!(render(Format::Srt, &endless, Part::default()), Err(NoContent::NoLength));
    }
}
