//! Answers as subtitles: SubRip (SRT), which nobody owns and every player reads, and WebVTT as the W3C describes it.

use std::fmt::Write;

/// A text and when it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// From here.
    pub start_secs: f64,
    /// Until here.
    pub end_secs: f64,
    /// Any text.
    pub text: String,
}

/// As SubRip. Its players show one cue at a time, so a cue ends where the next begins. Cues without text are left out.
pub fn srt(cues: &[Cue]) -> String {
    let shown: Vec<_> = shown(cues).collect();
    let mut out = String::new();
    for (index, &(start, end, ref text)) in shown.iter().enumerate() {
        let next = shown.get(index + 1).map(|&(next, ..)| next).filter(|&next| next > start);
        let end = end.min(next.unwrap_or(end));
        // Readers look for the arrow to find cues.
        let text = text.replace("-->", "->");
        let _ = write!(out, "{}\n{} --> {}\n{text}\n\n", index + 1, time(start, ','), time(end, ','));
    }
    out
}

/// As WebVTT, of which cues may overlap. Cues without text are left out.
pub fn vtt(cues: &[Cue]) -> String {
    let mut out = "WEBVTT\n\n".to_owned();
    for (start, end, text) in shown(cues) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\0', "\u{fffd}");
        let _ = write!(out, "{} --> {}\n{text}\n\n", time(start, '.'), time(end, '.'));
    }
    out
}

/// Milliseconds, and text of which no line is empty: those with something to show, for a millisecond at least.
fn shown(cues: &[Cue]) -> impl Iterator<Item = (u64, u64, String)> {
    let shown = |cue: &Cue| {
        let start = milliseconds(cue.start_secs);
        (start, milliseconds(cue.end_secs).max(start + 1), without_empty_lines(&cue.text))
    };
    cues.iter().map(shown).filter(|(.., text)| !text.is_empty())
}

/// An empty line would end the cue.
fn without_empty_lines(text: &str) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn milliseconds(secs: f64) -> u64 {
    ((secs * 1e3).round() as u64).min(u64::MAX / 2)
}

/// Hours have two digits, or more where there are more.
pub(crate) fn time(milliseconds: u64, point: char) -> String {
    let (secs, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}{point}{rest:03}", secs / 3600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cue(start_secs: f64, end_secs: f64, text: &str) -> Cue {
        Cue { start_secs, end_secs, text: text.to_owned() }
    }

    #[test]
    fn times_have_all_their_digits() {
        for (secs, text) in [
            (0.0, "00:00:00,000"),
            (59.9996, "00:01:00,000"),
            (3599.9994, "00:59:59,999"),
            (3723.25, "01:02:03,250"),
            (360_000.0, "100:00:00,000"),
            (f64::NAN, "00:00:00,000"),
        ] {
            assert_eq!(time(milliseconds(secs), ','), text);
        }
    }

    #[test]
    fn both_formats_are_written() {
        let cues = [cue(0.0, 10.0, "A <b> & c --> d\r\n\r\n  \nnext \n"), cue(5.0, 15.0, " \n"), cue(5.0, 15.0, "two")];
        let srt_text =
            "1\n00:00:00,000 --> 00:00:05,000\nA <b> & c -> d\nnext\n\n2\n00:00:05,000 --> 00:00:15,000\ntwo\n\n";
        assert_eq!(srt(&cues), srt_text);
        let vtt_text = "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\nA &lt;b&gt; &amp; c --&gt; d\nnext\n\n\
                        00:00:05.000 --> 00:00:15.000\ntwo\n\n";
        assert_eq!(vtt(&cues), vtt_text);
        assert_eq!((srt(&[]), vtt(&[])), (String::new(), "WEBVTT\n\n".to_owned()));
    }

    type Read = Vec<(u64, u64, String)>;

    /// A reader of blocks that empty lines end, strict about times.
    fn read_blocks(text: &str, point: char) -> Option<Read> {
        let time = |text: &str| {
            let (clock, rest) = text.split_once(point)?;
            let parts: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
            let [hours, minutes, secs] = parts[..] else { return None };
            let rest = Some(rest).filter(|rest| rest.len() == 3)?.parse::<u64>().ok()?;
            (minutes < 60 && secs < 60).then_some(((hours * 60 + minutes) * 60 + secs) * 1000 + rest)
        };
        let block = |block: &str| {
            let (times, text) = block.split_once('\n')?;
            let (start, end) = times.split_once(" --> ")?;
            Some((time(start)?, time(end)?, text.to_owned()))
        };
        text.split_terminator("\n\n").map(block).collect()
    }

    fn read_srt(text: &str) -> Option<Read> {
        let mut numberless = String::new();
        for (index, block) in text.split_terminator("\n\n").enumerate() {
            let (number, rest) = block.split_once('\n')?;
            assert_eq!(number, (index + 1).to_string());
            numberless += &format!("{rest}\n\n");
        }
        read_blocks(&numberless, ',')
    }

    fn read_vtt(text: &str) -> Option<Read> {
        let mut cues = read_blocks(text.strip_prefix("WEBVTT\n\n")?, '.')?;
        for (.., text) in &mut cues {
            assert!(!text.contains(['<', '>', '\0']));
            *text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        }
        Some(cues)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            cues in prop::collection::vec((0u32..100, 0u32..400_000_000, "([a-z<>& \r\n-]|-->|\n\n){0,30}"), 0..5),
        ) {
            let (mut cues, mut expected, mut start) = (cues, Vec::new(), 0);
            cues.retain(|(.., text)| !text.trim().is_empty());
            let cues: Vec<Cue> = cues.iter().map(|(step, length, text)| {
                start += step;
                let lines = text.split(['\r', '\n']).map(str::trim_end).filter(|line| !line.is_empty());
                let lines: Vec<_> = lines.collect();
                expected.push((u64::from(start), u64::from(start + length.max(&1)), lines.join("\n")));
                cue(f64::from(start) / 1e3, f64::from(start + length) / 1e3, text)
            }).collect();
            prop_assert_eq!(read_vtt(&vtt(&cues)), Some(expected.clone()));
            for index in 0..expected.len() {
                let next = expected.get(index + 1).map_or(u64::MAX, |&(next, ..)| next);
                let (start, end, text) = &mut expected[index];
                *end = if next > *start { next.min(*end) } else { *end };
                *text = text.replace("-->", "->");
            }
            prop_assert_eq!(read_srt(&srt(&cues)), Some(expected));
        }
    }
}
