//! Lines of JSON to inputs, as this program writes them; `openai.rs` reads those of batch services.

use super::draft::Draft;
use super::fields::Fields;
use super::mistake::{Mistake, Refusals};
use super::{Input, Origin, Place, RunWide, openai};
use crate::batch::job::{Job, JobFrames};

const KEYS: [&str; 12] = [
    "id",
    "video",
    "question",
    "questions",
    "start",
    "end",
    "at",
    "choices",
    "frames",
    "fps",
    "max_new_tokens",
    "meta",
];

/// The inputs of all lines that are right; what is wrong with the others goes to `refusals`. Lines of white space are
/// passed over.
pub(super) fn read(list: &[u8], run: &RunWide<'_>, refusals: &mut Refusals) -> Vec<Input> {
    let list = list.strip_prefix(b"\xef\xbb\xbf").unwrap_or(list);
    let mut inputs = Vec::new();
    for (index, line) in list.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match job(line, run) {
            Ok(job) => inputs.push(Input { job, origin: Origin::Line { number: index + 1 } }),
            Err(mistakes) => mistakes.into_iter().for_each(|mistake| refusals.add(Place::Line(index + 1), mistake)),
        }
    }
    inputs
}

fn job(line: &[u8], run: &RunWide<'_>) -> Result<Job, Vec<Mistake>> {
    let text = str::from_utf8(line).map_err(|_| vec![Mistake::NotUtf8])?;
    let fields = Fields::parse(text).map_err(|mistake| vec![mistake])?;
    if openai::is_request(&fields) { openai::job(fields, run) } else { own(fields, run) }
}

fn own(mut fields: Fields, run: &RunWide<'_>) -> Result<Job, Vec<Mistake>> {
    let (question, questions) = (fields.text("question").map(|question| vec![question]), fields.texts("questions"));
    if question.is_some() && questions.is_some() {
        fields.mistakes.push(Mistake::Both("question", "questions"));
    }
    let frames = frames(&mut fields);
    if !fields.has("video") {
        fields.mistakes.push(Mistake::Without("video"));
    }
    let draft = Draft {
        id: fields.text("id"),
        video: fields.text("video"),
        questions: question.or(questions),
        choices: fields.texts("choices"),
        frames,
        max_new_tokens: fields.count("max_new_tokens"),
        meta: fields.object("meta"),
    };
    draft.finish(fields.finish(&KEYS), run)
}

fn frames(fields: &mut Fields) -> JobFrames {
    let others = ["start", "end", "frames", "fps"];
    if let Some(other) = others.into_iter().find(|key| fields.has("at") && fields.has(key)) {
        fields.mistakes.push(Mistake::Both("at", other));
    }
    let frames = JobFrames {
        start_secs: fields.moment("start"),
        end_secs: fields.moment("end"),
        moments_secs: fields.moments("at"),
        max_frames: fields.count("frames"),
        fps: fields.rate("fps"),
    };
    let start_secs = frames.start_secs.unwrap_or(0.0);
    if let Some(end_secs) = frames.end_secs.filter(|&end_secs| start_secs >= end_secs) {
        fields.mistakes.push(Mistake::NotBefore { start_secs, end_secs });
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read_all(list: &[u8], questions: &[String]) -> (Vec<Input>, Refusals) {
        let local_path = |text: &str| match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => Ok(path.into()),
            Some(_) => Err(format!("`{text}` names no file")),
            None => Ok(text.into()),
        };
        let choices = ["a".to_owned(), "b".to_owned()];
        let run = RunWide { questions, choices: &choices, system: Some("Be brief."), local_path: &local_path };
        let mut refusals = Refusals::default();
        (read(list, &run, &mut refusals), refusals)
    }

    fn read_one(line: &Value) -> Result<Job, String> {
        let (mut inputs, refusals) = read_all(line.to_string().as_bytes(), &[]);
        inputs.pop().map(|input| input.job).ok_or_else(|| refusals.to_string().replace("line 1: ", ""))
    }

    #[test]
    fn every_key_is_understood() {
        let line = json!({
            "id": "i", "video": "v.mp4", "questions": ["p", "q"], "start": "1:30", "end": 100, "choices": ["x"],
            "frames": 8, "fps": 0.5, "max_new_tokens": 3, "meta": {"a": [1]},
        });
        let frames = JobFrames {
            start_secs: Some(90.0),
            end_secs: Some(100.0),
            max_frames: Some(8),
            fps: Some(0.5),
            ..JobFrames::default()
        };
        let expected = Job {
            id: "i".to_owned(),
            video: "v.mp4".into(),
            questions: vec!["p".to_owned(), "q".to_owned()],
            choices: vec!["x".to_owned()],
            frames,
            max_new_tokens: Some(3),
            meta: json!({"a": [1]}).as_object().cloned(),
        };
        assert_eq!(read_one(&line), Ok(expected));
        let moments = |at: Value| {
            read_one(&json!({"video": "v", "question": "q", "at": at, "id": null})).unwrap().frames.moments_secs
        };
        assert_eq!(moments(json!(["1m30s", 2.5, -0.0])), [0.0, 2.5, 90.0]);
        assert_eq!((moments(json!(3)), moments(json!("0:04"))), (vec![3.0], vec![4.0]));
        assert!(moments(json!(-0.0))[0].is_sign_positive());
    }

    #[test]
    fn a_line_may_leave_open_what_the_run_says() {
        let list = "\u{feff}{\"video\": \"file:///a b\"}\r\n\r\n \n{\"video\": \"c\", \"question\": \"q\"}";
        let (inputs, refusals) = read_all(list.as_bytes(), &["run".to_owned()]);
        assert_eq!(refusals.total, 0);
        let [first, second] = &inputs[..] else { panic!("{inputs:?}") };
        assert_eq!((first.job.id.as_str(), first.job.video.as_path()), ("/a b", std::path::Path::new("/a b")));
        assert_eq!(
            (&first.job.questions[..], &first.job.choices[..]),
            (&["run".to_owned()][..], &["a".to_owned(), "b".to_owned()][..])
        );
        assert_eq!((second.job.questions[0].as_str(), &second.origin), ("q", &Origin::Line { number: 4 }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |key: &str, value: Value| {
            let mut line = json!({"video": "v", "question": "q"});
            line[key] = value;
            read_one(&line).expect_err(key)
        };
        for (key, value, part) in [
            ("video", json!(1), "`video`: expected text"),
            ("video", json!(" "), "`video`: expected text"),
            ("video", Value::Null, "has no `video`"),
            ("video", json!("https://a/b.mp4"), "`https://a/b.mp4` is a URL"),
            ("video", json!("data:video/mp4;base64,AAAA"), "is a URL"),
            ("video", json!("s3://bucket/a.mp4"), "is a URL"),
            ("video", json!("file://a.mp4"), "names no file"),
            ("id", json!(7), "`id`: expected text"),
            ("question", Value::Null, "asks nothing"),
            ("question", json!(""), "`question`: expected text"),
            ("questions", json!(["q"]), "has `question` and `questions`"),
            ("questions", json!([]), "`questions`: expected an array"),
            ("questions", json!(["q", " "]), "`questions`: expected an array"),
            ("choices", json!("a"), "`choices`: expected an array"),
            ("start", json!(-1), "`start`: expected seconds"),
            ("start", json!("1:60"), "`start`: expected seconds"),
            ("end", json!(0), "the start at 0 s is not before the end at 0 s"),
            ("at", json!([]), "`at`: expected a time"),
            ("at", json!([1, true]), "`at`: expected a time"),
            ("frames", json!(0), "`frames`: expected a whole number above 0"),
            ("frames", json!(1.5), "`frames`: expected a whole number above 0"),
            ("fps", json!(0), "`fps`: expected a number above 0"),
            ("max_new_tokens", json!("5"), "`max_new_tokens`: expected a whole"),
            ("meta", json!([]), "`meta`: expected an object"),
            ("vidoe", json!(1), "unknown key `vidoe`; did you mean `video`?"),
            ("label", json!(1), "unknown key `label`"),
        ] {
            let said = with(key, value);
            assert!(said.contains(part), "{said}");
        }
        for other in ["start", "end", "frames", "fps"] {
            let mut line = json!({"video": "v", "question": "q", "at": 1});
            line[other] = json!(1);
            assert_eq!(read_one(&line).unwrap_err(), format!("has `at` and `{other}`, which do not go together"));
        }
    }

    #[test]
    fn all_mistakes_of_all_lines_are_collected() {
        let list =
            b"{\"video\": 1, \"fps\": 0}\n[]\n\xff\n{\"video\": \"v\", \"question\": \"q\"}\n{\"a\": 1, \"a\": 2";
        let (inputs, refusals) = read_all(list, &[]);
        assert_eq!(inputs.len(), 1);
        let shown: Vec<_> = refusals.kept.iter().map(ToString::to_string).collect();
        let expected = [
            "line 1: `fps`",
            "line 1: `video`",
            "line 2: is not an object",
            "line 3: is not UTF-8",
            "line 5: is not an object",
        ];
        assert_eq!(shown.len(), expected.len(), "{shown:?}");
        for (said, start) in shown.iter().zip(expected) {
            assert!(said.starts_with(start) && !said.contains("at line"), "{said}");
        }
        assert!(read_one(&json!([])).unwrap_err().contains("expected an object"));
    }

    /// A job as a line that says everything.
    fn line(job: &Job) -> Value {
        let Job { id, video, questions, choices, frames, max_new_tokens, meta } = job;
        let list = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
        let moments = &frames.moments_secs;
        json!({
            "id": id, "video": video, "questions": list(questions), "choices": list(choices),
            "start": frames.start_secs, "end": frames.end_secs, "frames": frames.max_frames, "fps": frames.fps,
            "at": if moments.is_empty() { Value::Null } else { json!(moments) },
            "max_new_tokens": max_new_tokens, "meta": meta,
        })
    }

    /// Whole milliseconds: numbers of few digits are read exactly.
    fn any_secs(milliseconds: std::ops::Range<u32>) -> impl Strategy<Value = f64> {
        milliseconds.prop_map(|milliseconds| f64::from(milliseconds) / 1e3)
    }

    fn any_frames() -> impl Strategy<Value = JobFrames> {
        let count = prop::option::of(1usize..999);
        let times = (prop::option::of(any_secs(0..1_000_000)), prop::option::of(any_secs(1_000_000..2_000_000)));
        let part = (times, count, prop::option::of(any_secs(1..99_000)));
        let part = part.prop_map(|((start_secs, end_secs), max_frames, fps)| JobFrames {
            start_secs,
            end_secs,
            moments_secs: Vec::new(),
            max_frames,
            fps,
        });
        let moments = prop::collection::vec(any_secs(0..1_000_000), 1..4).prop_map(|mut moments_secs| {
            moments_secs.sort_by(f64::total_cmp);
            JobFrames { moments_secs, ..JobFrames::default() }
        });
        prop_oneof![part, moments]
    }

    proptest! {
        #[test]
        fn a_job_written_as_a_line_reads_back_the_same(
            (id, video) in ("\\PC*[a-z]", "[a-z/ .é\"\\\\]*[a-z]"),
            questions in prop::collection::vec("(?s).*[a-z]", 1..4),
            choices in prop::collection::vec("[A-D]", 1..4),
            frames in any_frames(),
            max_new_tokens in prop::option::of(1usize..999),
            meta in prop::option::of("\\PC*"),
        ) {
            let meta = meta.and_then(|text| json!({ "note": text }).as_object().cloned());
            let job = Job { id, video: video.into(), questions, choices, frames, max_new_tokens, meta };
            prop_assert_eq!(read_one(&line(&job)), Ok(job));
        }

        #[test]
        fn any_bytes_are_read_or_refused(list in prop::collection::vec(any::<u8>(), 0..200)) {
            read_all(&list, &[]);
        }

        /// What looks like lines, with keys that mean something and values that may not.
        #[test]
        fn any_values_are_read_or_refused(lines in prop::collection::vec((
            prop::sample::select([&KEYS[..], &["custom_id", "body", "url"]].concat()),
            prop::sample::select(vec![
                "null", "1", "-1", "1e308", "18446744073709551616", "\"\"", "\"1:30\"", "[]", "[1,\"2s\"]", "{}",
                "{\"messages\":[{}]}", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video_url\"}]}]}",
            ]),
        ), 1..6)) {
            let fields: Vec<String> = lines.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            let list = format!("{{{}}}\n{{\"video\":\"v\",{}}}", fields.join(","), fields.join(","));
            let (inputs, refusals) = read_all(list.as_bytes(), &["q".to_owned()]);
            prop_assert!(inputs.len() <= 2 && (inputs.len() == 2) == (refusals.total == 0));
        }
    }
}
