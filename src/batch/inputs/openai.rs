//! Lines as OpenAI's batch service and vLLM's `run-batch` take them: `custom_id`, and a chat completion as `body`.

use serde_json::Value;

use super::RunWide;
use super::draft::Draft;
use super::fields::Fields;
use super::mistake::Mistake;
use crate::batch::job::{Job, JobFrames};

const KEYS: [&str; 4] = ["custom_id", "method", "url", "body"];
const BODY_KEYS: [&str; 9] =
    ["model", "messages", "max_tokens", "max_completion_tokens", "temperature", "metadata", "stream", "n", "user"];

/// Whether a line is such a request.
pub(super) fn is_request(fields: &Fields) -> bool {
    fields.has("custom_id") || fields.has("body")
}

/// Model, method and address are the run's business.
pub(super) fn job(mut fields: Fields, run: &RunWide<'_>) -> Result<Job, Vec<Mistake>> {
    let id = fields.text("custom_id");
    for key in ["method", "url"] {
        fields.take(key);
    }
    if !fields.has("body") {
        fields.mistakes.push(Mistake::Without("body"));
    }
    let mut body = Fields::of(fields.object("body").unwrap_or_default());
    for key in ["model", "user"] {
        body.take(key);
    }
    body.read("stream", "false", |value| (value == false).then_some(()));
    body.read("n", "1", |value| (value == 1).then_some(()));
    if body.take("temperature").is_some_and(|value| value.as_f64() != Some(0.0)) {
        body.mistakes.push(Mistake::Temperature);
    }
    let (tokens, completion_tokens) = (body.count("max_tokens"), body.count("max_completion_tokens"));
    if tokens.is_some() && completion_tokens.is_some() {
        body.mistakes.push(Mistake::Both("max_tokens", "max_completion_tokens"));
    }
    let meta = body.object("metadata");
    let said = match body.take("messages") {
        Some(Value::Array(messages)) => asked(messages, run, &mut body.mistakes),
        _ if !fields.mistakes.is_empty() => Asked::default(),
        _ => {
            body.wrong("messages", "an array of messages");
            Asked::default()
        }
    };
    let draft = Draft {
        id,
        video: said.video,
        questions: (!said.text.trim().is_empty()).then(|| vec![said.text]),
        choices: None,
        frames: JobFrames::default(),
        max_new_tokens: tokens.or(completion_tokens),
        meta,
    };
    let mut mistakes = fields.finish(&KEYS);
    mistakes.extend(body.finish(&BODY_KEYS));
    draft.finish(mistakes, run)
}

/// What the one message of the user holds.
#[derive(Default)]
struct Asked {
    text: String,
    video: Option<String>,
}

fn asked(messages: Vec<Value>, run: &RunWide<'_>, mistakes: &mut Vec<Mistake>) -> Asked {
    let mut users = Vec::new();
    for message in messages {
        let Value::Object(mut message) = message else {
            mistakes.push(Mistake::Value { key: "messages", expected: "objects with `role` and `content`" });
            continue;
        };
        let content = message.remove("content").unwrap_or_default();
        match message.get("role").and_then(Value::as_str) {
            Some("user") => users.push(content),
            Some("system" | "developer") => {
                let system = parts(content, mistakes);
                if run.system != Some(system.text.as_str()) || system.video.is_some() {
                    mistakes.push(Mistake::System);
                }
            }
            Some("assistant") => mistakes.push(Mistake::Turns),
            _ => mistakes.push(Mistake::Value { key: "role", expected: "\"user\" or \"system\"" }),
        }
    }
    match (users.pop(), users.is_empty()) {
        (Some(content), true) => {
            let asked = parts(content, mistakes);
            if asked.video.is_none() && mistakes.is_empty() {
                mistakes.push(Mistake::Videos(0));
            }
            asked
        }
        (None, _) => {
            mistakes.push(Mistake::Value { key: "messages", expected: "a message of the user" });
            Asked::default()
        }
        (Some(_), false) => {
            mistakes.push(Mistake::Turns);
            Asked::default()
        }
    }
}

/// The texts of a message, a line each, and its clip.
fn parts(content: Value, mistakes: &mut Vec<Mistake>) -> Asked {
    let expected = Mistake::Value { key: "content", expected: "text, or an array of parts with `type`" };
    let parts = match content {
        Value::String(text) => return Asked { text, video: None },
        Value::Array(parts) => parts,
        _ => {
            mistakes.push(expected);
            return Asked::default();
        }
    };
    let (mut texts, mut videos) = (Vec::new(), Vec::new());
    for part in &parts {
        let url = || part.get("video_url")?.get("url")?.as_str();
        match part.get("type").and_then(Value::as_str) {
            Some("text") => match part.get("text").and_then(Value::as_str) {
                Some(text) => texts.push(text),
                None => mistakes.push(Mistake::Value { key: "text", expected: "text" }),
            },
            Some("video_url") => match url().filter(|url| !url.is_empty()) {
                Some(url) => videos.push(url),
                None => mistakes.push(Mistake::Value { key: "video_url", expected: "an object with `url`" }),
            },
            Some(other) => mistakes.push(Mistake::Part(other.to_owned())),
            None => mistakes.push(expected.clone()),
        }
    }
    if videos.len() > 1 {
        mistakes.push(Mistake::Videos(videos.len()));
    }
    Asked { text: texts.join("\n"), video: videos.first().map(|&url| url.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn video(url: &str) -> Value {
        json!({ "type": "video_url", "video_url": { "url": url } })
    }

    fn text(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    fn user(content: Value) -> Value {
        json!({ "role": "user", "content": content })
    }

    fn request(messages: Value) -> Value {
        let body = json!({ "model": "m", "messages": messages, "max_tokens": 9 });
        json!({ "custom_id": "i", "method": "POST", "url": "/v1/chat/completions", "body": body })
    }

    fn read(line: &Value) -> Result<Job, Vec<String>> {
        let run = RunWide {
            questions: &[],
            choices: &[],
            system: Some("Be brief."),
            local_path: &|text| Ok(text.trim_start_matches("file://").into()),
        };
        let said = |mistakes: Vec<Mistake>| mistakes.iter().map(ToString::to_string).collect();
        job(Fields::parse(&line.to_string()).expect("an object"), &run).map_err(said)
    }

    #[test]
    fn a_request_is_a_job() {
        let system = json!({ "role": "system", "content": "Be brief." });
        let parts = json!([text("What?"), video("file:///a.mp4"), text("Say more.")]);
        let mut line = request(json!([system, user(parts)]));
        line["body"]["temperature"] = json!(0.0);
        line["body"]["metadata"] = json!({ "k": "v" });
        let job = read(&line).unwrap();
        assert_eq!((job.id.as_str(), job.video.to_str(), job.max_new_tokens), ("i", Some("/a.mp4"), Some(9)));
        assert_eq!(
            (job.questions, job.meta),
            (vec!["What?\nSay more.".to_owned()], json!({"k": "v"}).as_object().cloned())
        );
    }

    #[test]
    fn what_a_request_cannot_ask_is_refused() {
        let good = user(json!([text("q"), video("a")]));
        let system = |text: &str| json!({ "role": "system", "content": text });
        for (messages, message) in [
            (
                json!([user(json!([text("q"), video("http://a/b")]))]),
                "`http://a/b` is a URL; only local files are read",
            ),
            (json!([user(json!([video("a")]))]), "asks nothing"),
            (json!([user(json!("q"))]), "has 0 parts of type `video_url`, where one is expected"),
            (
                json!([user(json!([text("q"), video("a"), video("b")]))]),
                "has 2 parts of type `video_url`, where one is expected",
            ),
            (
                json!([user(json!([json!({ "type": "image_url" })]))]),
                "has a part of type `image_url`; only `text` and `video_url` are understood",
            ),
            (json!([system("Be long."), good]), "has a system message that is not the run's"),
            (
                json!([good, good]),
                "has more than one message of a user, or one of an assistant; one question is asked of a clip",
            ),
            (json!([]), "`messages`: expected a message of the user"),
            (json!("q"), "`messages`: expected an array of messages"),
            (json!([json!({ "role": "tool" }), good]), "`role`: expected \"user\" or \"system\""),
        ] {
            assert_eq!(read(&request(messages)), Err(vec![message.to_owned()]));
        }
        let with = |key: &str, value: Value| {
            let mut line = request(json!([good]));
            line["body"][key] = value;
            read(&line).unwrap_err().concat()
        };
        assert_eq!(with("temperature", json!(0.7)), "`temperature` is not 0");
        assert_eq!(
            with("max_completion_tokens", json!(1)),
            "has `max_tokens` and `max_completion_tokens`, which do not go together"
        );
        assert_eq!(with("stream", json!(true)), "`stream`: expected false");
        assert_eq!(with("top_p", json!(0.5)), "has an unknown key `top_p`");
        assert_eq!(read(&json!({ "custom_id": "i" })), Err(vec!["has no `body`".to_owned()]));
        let mut line = request(json!([good]));
        line["video"] = json!("v");
        assert_eq!(read(&line), Err(vec!["has an unknown key `video`".to_owned()]));
    }
}
