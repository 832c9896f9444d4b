//! Damaged clips among whole ones: a record of each, exit codes, and what runs again.

use serde_json::{Value, json};

use super::workplace::{QUESTION, Workplace, clip_name, ends_with, first_line, id};
use crate::support::clip;

/// Clips of which 20 fail, two of these as they are not there; ids are numbers.
fn clips_with_damage(count: usize) -> Workplace {
    let place = Workplace::with_clips(count);
    let whole = std::fs::read(clip("clip10-h264.mp4")).unwrap();
    for index in 0..20 {
        let name = clip_name(index * count / 20);
        match index % 6 {
            0 => place.write(&name, ""),
            1 => place.write(&name, "These are notes, and no video.\n".repeat(50)),
            2 => place.write(&name, &whole[..100]),
            3 => place.copy("trunc_moov_missing.mp4", &name),
            4 => place.copy("audio_only.mp3", &name),
            _ if index < 12 => std::fs::remove_file(place.path(&name)).unwrap(),
            _ => place.write(&name, vec![0; 5000]),
        }
    }
    let line = |index| json!({ "id": format!("{index}"), "video": clip_name(index) });
    place.list("jobs.jsonl", &(0..count).map(line).collect::<Vec<_>>());
    place
}

fn twenty_damaged(count: usize) {
    let place = clips_with_damage(count);
    let go =
        |extra: &[&str]| place.batch(&[&["--input", "jobs.jsonl", "-o", "out.jsonl"], &QUESTION[..], extra].concat());
    let (done, share) = (count - 20, format!("{}%", 2000 / count));
    let run = go(&[]);
    ends_with(&run, 3);
    assert_eq!(first_line(&run), format!("0 done, 0 failed, {count} to do"));
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 20, "{run:?}");
    let records = place.records("out.jsonl");
    assert_eq!(records.len(), count);
    let (failed, answered): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record["status"] == "error");
    assert_eq!((failed.len(), answered.len()), (20, done));
    assert!(
        answered.iter().all(|record| record["error"].is_null() && record["answers"].as_array().unwrap().len() == 1)
    );
    for record in &failed {
        let error = &record["error"];
        let is_missing = !place.path(&clip_name(id(record).parse().unwrap())).exists();
        assert_eq!(error["kind"], if is_missing { "missing" } else { "video" }, "{error}");
        assert_eq!(error["retryable"], is_missing, "{error}");
        assert!(error["message"].as_str().unwrap().contains("clips/"), "{error}");
    }

    // Only what may succeed at another time runs again.
    for (extra, code) in [(["--max-errors", "19"], 3), (["--max-errors", "20"], 0), (["--max-errors", &share], 0)] {
        let before = place.line_count("out.jsonl");
        let run = go(&extra);
        ends_with(&run, code);
        assert_eq!(first_line(&run), format!("{done} done, 20 failed, 2 to do"));
        assert_eq!(place.line_count("out.jsonl"), before + 2);
    }
    let missing: Vec<Value> = failed.into_iter().filter(|record| record["error"]["kind"] == "missing").collect();
    assert_eq!(missing.len(), 2);
    missing.iter().for_each(|record| place.copy("clip7-h264.mp4", &clip_name(id(record).parse().unwrap())));
    ends_with(&go(&["--max-errors", "18"]), 0);
    let last: Vec<_> = place.records("out.jsonl").into_iter().rev().take(2).collect();
    assert!(last.iter().all(|record| record["status"] == "ok"), "{last:?}");
    let run = go(&["--max-errors", "17"]);
    ends_with(&run, 3);
    assert_eq!(first_line(&run), format!("{} done, 18 failed, 0 to do", done + 2));

    let before = place.line_count("out.jsonl");
    let run = go(&["--retry-errors"]);
    ends_with(&run, 3);
    assert_eq!(first_line(&run), format!("{} done, 18 failed, 18 to do", done + 2));
    assert_eq!(place.line_count("out.jsonl"), before + 18);
}

#[test]
fn damaged_clips_fail_alone_and_are_counted() {
    twenty_damaged(40);
}

#[test]
#[ignore = "takes a minute: `make test-long`"]
fn twenty_of_two_hundred_damaged_clips_fail_alone() {
    twenty_damaged(200);
}
