//! Several questions about one video, and given answers to choose from, through the real binary.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Run, clip_arg, command, device, llava_video, run, tiny_checkpoint_arg};

const QUESTIONS: [&str; 3] =
    ["What color is the square?", "What happens?", "Does the square move left? Say yes or no."];

/// One JSON object a line.
fn records(run: &Run) -> Vec<Value> {
    run.stdout_of_success().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks all of `QUESTIONS` at once with `args`, and each in a process of its own: the same ids.
#[track_caller]
fn same_as_separate(inputs: &[&str], args: &[&str]) {
    let args = [&["--device", device(), "--json", "--max-new-tokens", "12"], args].concat();
    let flags = QUESTIONS.iter().flat_map(|question| ["-Q", question]);
    let together = records(&llava_video(["ask"].iter().chain(inputs).chain(&args).copied().chain(flags)));
    assert_eq!(together.len(), QUESTIONS.len());
    for (number, (question, record)) in QUESTIONS.iter().zip(&together).enumerate() {
        let alone = llava_video(["ask"].iter().chain(inputs).chain(&[*question]).chain(&args)).json();
        for key in ["question", "token_ids", "answer", "stop_reason", "prompt_tokens", "visual_tokens", "frames"] {
            assert_eq!(record[key], alone[key], "{key} of `{question}` with {args:?}");
        }
        assert_eq!(alone["cached_tokens"], 0);
        let (cached, prompt) = (record["cached_tokens"].as_u64().unwrap(), record["prompt_tokens"].as_u64().unwrap());
        let visual = record["visual_tokens"].as_u64().unwrap();
        match number {
            0 => assert_eq!(cached, 0),
            // The system message, the video and the line break behind it at least.
            _ => assert!(cached > visual && cached < prompt, "{cached} of {prompt}, {visual} of them visual"),
        }
    }
}

#[test]
fn ids_are_those_of_separate_runs() {
    let (clip, tiny) = (clip_arg("clip3-mpeg4.mp4"), tiny_checkpoint_arg());
    same_as_separate(&[&clip], &["--model", "demo", "-n", "16"]);
    same_as_separate(&[&clip], &["--model", "demo", "-n", "8", "--time-instruction", "newline"]);
    same_as_separate(&[&clip], &["--model", &tiny, "-n", "5"]);
    for format in ["q8_0", "q6_k", "q5_k", "q4_k"] {
        same_as_separate(&[&clip], &["--model", "demo", "-n", "8", "--quantize", format]);
    }
}

#[test]
fn ids_are_those_of_separate_runs_over_two_devices() {
    let devices = format!("{0},{0}", device());
    let args = ["--model", "demo", "-n", "8", "--device", &devices];
    same_as_separate(&[&clip_arg("clip2-vp9.webm")], &args);
}

#[test]
fn pictures_and_no_video_are_asked_several_questions_too() {
    let tiny = tiny_checkpoint_arg();
    let dir = tempfile::tempdir().unwrap();
    let pictures: Vec<String> = (0..2)
        .map(|shade| {
            let path = dir.path().join(format!("{shade}.png"));
            image::RgbImage::from_pixel(90, 60, image::Rgb([200 * shade, 90, 30])).save(&path).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    same_as_separate(&[&pictures[0], &pictures[1]], &["--model", &tiny]);
    let args = ["--model", &tiny, "--no-video", "--json", "--max-new-tokens", "5", "--device", device()];
    let together = records(&llava_video(["ask", "-Q", "Who?", "-Q", "Who else?"].iter().chain(&args)));
    for (question, record) in ["Who?", "Who else?"].iter().zip(&together) {
        let alone = llava_video(["ask", question].iter().chain(&args)).json();
        assert_eq!((&record["token_ids"], &record["question"]), (&alone["token_ids"], &alone["question"]));
    }
    assert!(together[1]["cached_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn answers_are_blocks_with_an_empty_line_between() {
    let clip = clip_arg("clip1-h264.mp4");
    let args = ["--model", "demo", "-n", "8", "--device", device()];
    let alone: Vec<String> = QUESTIONS[..2]
        .iter()
        .map(|question| llava_video(["ask", &clip, question].iter().chain(&args)).stdout_of_success().to_owned())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("questions.txt");
    std::fs::write(&file, format!("\u{feff}{}\r\n\n  \n{}", QUESTIONS[0], QUESTIONS[1])).unwrap();
    let expected = alone.join("\n");
    let from_file = ["ask", &clip, "--questions", file.to_str().unwrap()];
    assert_eq!(llava_video(from_file.iter().chain(&args)).stdout_of_success(), expected);
    let mut from_stdin = command();
    from_stdin.args(["ask", &clip, "-Q", QUESTIONS[0], "--questions", "-"]).args(args).stdin(Stdio::piped());
    let mut child = from_stdin.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), QUESTIONS[1].as_bytes()).unwrap();
    assert_eq!(Run::of(child.wait_with_output().unwrap()).stdout_of_success(), expected);
}

/// One question of several that cannot be asked is named, and the others are answered.
#[test]
fn a_question_that_does_not_fit_fails_alone() {
    let (clip, long) = (clip_arg("clip1-h264.mp4"), "very ".repeat(9000));
    let args = ["--model", "demo", "-n", "4", "--device", device()];
    let ask = ["ask", &clip, "-Q", QUESTIONS[0], "-Q", &long, "-Q", QUESTIONS[1]];
    let mixed = llava_video(ask.iter().chain(&args));
    assert_eq!(mixed.code, Some(3), "{}", mixed.stderr);
    assert!(mixed.stderr.contains("error: ") && mixed.stderr.contains("the prompt takes"), "{}", mixed.stderr);
    assert!(mixed.stderr.len() < 2000, "the question is cut short where it is named: {}", mixed.stderr);
    let sound = ["ask", &clip, "-Q", QUESTIONS[0], "-Q", QUESTIONS[1]];
    assert_eq!(mixed.stdout, llava_video(sound.iter().chain(&args)).stdout_of_success());
    let none = llava_video(["ask", &clip, "-Q", &long, "-Q", &long].iter().chain(&args));
    assert_eq!((none.code, none.stdout.as_str()), (Some(3), ""));
    // A single question fails as ever.
    let single = llava_video(["ask", &clip, "-Q", &long].iter().chain(&args));
    assert_eq!((single.code, single.stdout.as_str()), (Some(1), ""));
}

#[test]
fn a_plan_is_for_the_longest_question() {
    let clip = clip_arg("clip1-h264.mp4");
    let args = ["--model", "demo", "-n", "4", "--dry-run", "--json", "--device", device()];
    let long = "very ".repeat(500);
    let plans = records(&llava_video(["ask", &clip, "-Q", "Why?", "-Q", &long].iter().chain(&args)));
    let alone = llava_video(["ask", &clip, &long].iter().chain(&args)).json();
    assert_eq!(plans.len(), 2);
    for plan in &plans {
        // What is free changes by itself.
        for key in ["weight_bytes", "kv_cache_bytes", "activation_bytes"] {
            assert_eq!(plan["devices"][0][key], alone["devices"][0][key], "{key}");
        }
    }
    assert_eq!(plans[1]["prompt_tokens"], alone["prompt_tokens"]);
    assert_ne!(plans[0]["prompt_tokens"], alone["prompt_tokens"]);
}

#[test]
fn questions_that_cannot_be_read_are_named() {
    let clip = clip_arg("clip1-h264.mp4");
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.txt");
    std::fs::write(&empty, "\n \n").unwrap();
    let empty = empty.to_str().unwrap();
    let usage = |args: &[&str], part: &str| {
        let refused = run(command().args(["ask", &clip, "--model", "demo"]).args(args).stdin(Stdio::null()));
        assert_eq!(refused.code, Some(2), "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(part), "{args:?}: {}", refused.stderr);
    };
    usage(&["--questions", empty], "holds nothing");
    usage(&["-Q", " "], "the question is empty");
    usage(&["--questions", "-", "--choices-file", "-"], "standard input can be read only once");
    usage(&["Why?", "-Q", "Who?"], "every argument is an input");
    usage(&["Why?", "--choices", "yes,no", "--temperature", "1"], "cannot be used with");
    usage(&["Why?", "--choices", "yes,"], "a choice is empty");
    usage(&["-Q", "Why?", "-Q", "Who?", "--dump-tensors", "x"], "one question");
    let missing = run(command().args(["ask", &clip, "--questions", "/no/such/file", "--model", "demo"]));
    assert_eq!(missing.code, Some(1), "{}", missing.stderr);
}

#[test]
fn the_likeliest_choice_is_the_answer() {
    let clip = clip_arg("plain_h264.mp4");
    let demo = clip_arg("clip1-h264.mp4");
    let args = ["--model", "demo", "-n", "8", "--device", device()];
    let choices = ["--choices", "red,green,blue,yellow"];
    let ask = ["ask", &demo, "What color is the square?"];
    let free = llava_video(ask.iter().chain(&args)).stdout_of_success().to_owned();
    let plain = llava_video(ask.iter().chain(&args).chain(&choices)).stdout_of_success().to_owned();
    let record = llava_video(ask.iter().chain(&args).chain(&choices).chain(&["--json"])).json();
    assert!(choices[1].split(',').any(|choice| choice == plain.trim_end()), "{plain}");
    if choices[1].split(',').any(|choice| choice == free.trim_end()) {
        assert_eq!(plain, free);
    }
    assert_eq!(record["answer"].as_str().unwrap(), plain.trim_end());
    let scored = record["choices"].as_array().unwrap();
    let number = |choice: &Value, key: &str| choice[key].as_f64().unwrap();
    assert_eq!(scored.iter().map(|choice| choice["text"].as_str().unwrap()).collect::<Vec<_>>().join(","), choices[1]);
    assert!((scored.iter().map(|choice| number(choice, "probability")).sum::<f64>() - 1.0).abs() < 1e-9);
    let best = scored.iter().max_by(|a, b| number(a, "logprob_with_end").total_cmp(&number(b, "logprob_with_end")));
    assert_eq!(best.unwrap()["text"], record["answer"]);
    assert!(scored.iter().all(|choice| number(choice, "logprob_with_end") <= number(choice, "logprob")));
    // Another question about the same video afterwards, from the same cache.
    let several = ["ask", &clip, "-Q", "Is it day?", "-Q", "Is it night?", "--choices", "yes,no", "--json"];
    let several = records(&llava_video(several.iter().chain(&args)));
    for (question, record) in ["Is it day?", "Is it night?"].iter().zip(&several) {
        let alone = llava_video(["ask", &clip, question, "--choices", "yes,no", "--json"].iter().chain(&args)).json();
        assert_eq!(record["answer"], alone["answer"]);
        for (a, b) in record["choices"].as_array().unwrap().iter().zip(alone["choices"].as_array().unwrap()) {
            assert!((number(a, "logprob") - number(b, "logprob")).abs() < 1e-4, "{a} {b}");
        }
    }
}
