//! Files beside the clips, or mirrored: written once from the record, and made up for after a kill.

use serde_json::Value;

use super::workplace::{CLIPS, QUESTION, QUESTIONS, Workplace, ends_with, first_line, refused, statuses};

fn go(place: &Workplace, extra: &[&str]) -> crate::support::Run {
    place.batch(&[&["clips", "-r", "-o", "out.jsonl"], &QUESTION[..], extra].concat())
}

/// The answer of the only record about a clip.
fn answer(place: &Workplace, id: &str) -> String {
    let records = place.records("out.jsonl");
    let record = records.iter().rev().find(|record| record["id"] == id).unwrap();
    record["answers"][0]["answer"].as_str().unwrap().to_owned()
}

#[test]
fn all_formats_are_written_beside_the_clip_or_mirrored() {
    let place = Workplace::with_clips(1);
    std::fs::create_dir(place.path("clips/below")).unwrap();
    place.copy(CLIPS[1], "clips/below/a.b.mp4");
    let formats = ["--sidecar", "txt,json,srt,vtt"];
    ends_with(&go(&place, &formats), 0);
    ends_with(&go(&place, &[&formats[..], &["--output-dir", "mirror/deep"]].concat()), 0);
    for (clip, file, end) in [("clips/000.mp4", "000", "02,900"), ("clips/below/a.b.mp4", "below/a.b", "06,250")] {
        let said = answer(&place, clip);
        for folder in ["clips", "mirror/deep"] {
            let read = |ending: &str| place.read(&format!("{folder}/{file}.{ending}"));
            assert_eq!(read("txt"), format!("{said}\n"));
            assert_eq!(read("srt"), format!("1\n00:00:00,000 --> 00:00:{end}\n{said}\n\n"));
            let end = end.replace(',', ".");
            assert_eq!(read("vtt"), format!("WEBVTT\n\n00:00:00.000 --> 00:00:{end}\n{said}\n\n"));
            let record: Value = serde_json::from_str(&read("json")).unwrap();
            assert!(place.records("out.jsonl").contains(&record));
        }
    }
    // Nothing but these, and nothing half.
    assert_eq!(std::fs::read_dir(place.path("clips/below")).unwrap().count(), 5);
    assert_eq!(std::fs::read_dir(place.path("mirror/deep/below")).unwrap().count(), 4);
}

#[test]
fn what_is_there_is_kept_unless_it_is_to_be_overwritten() {
    let place = Workplace::with_clips(3);
    place.write("clips/000.txt", "mine");
    place.write("clips/001.txt", "mine");
    place.write("clips/001.vtt", "mine");
    let run = go(&place, &["--sidecar", "txt,vtt", "--ordered"]);
    refused(&run, 0, &["2 ok, 1 skipped"]);
    let records = place.records("out.jsonl");
    // Those that have all of their files are skipped; of others only what they lack is written.
    let skipped = records.iter().find(|record| record["status"] == "skipped").unwrap();
    assert_eq!((&skipped["id"], &skipped["reason"]), (&"clips/001.mp4".into(), &"its files were there already".into()));
    assert_eq!(place.read("clips/000.txt"), "mine");
    assert!(place.read("clips/000.vtt").contains(&answer(&place, "clips/000.mp4")));
    assert_eq!(place.read("clips/001.vtt"), "mine");
    let run = go(&place, &["--sidecar", "txt,vtt"]);
    assert_eq!(first_line(&run), "3 done, 0 failed, 0 to do");
    assert_eq!((place.read("clips/000.txt"), place.read("clips/001.txt")), ("mine".to_owned(), "mine".to_owned()));

    let run = go(&place, &["--sidecar", "txt,vtt", "--overwrite", "--force"]);
    ends_with(&run, 0);
    assert_eq!(statuses(&place.records("out.jsonl")), ["ok"; 3]);
    for index in 0..3 {
        let said = answer(&place, &format!("clips/00{index}.mp4"));
        assert_eq!(place.read(&format!("clips/00{index}.txt")), format!("{said}\n"));
    }
}

/// As after a kill between a record and its files.
#[test]
fn files_that_are_missing_are_made_from_the_records() {
    let place = Workplace::with_clips(3);
    ends_with(&go(&place, &[]), 0);
    let before = place.read("out.jsonl");
    let run = go(&place, &["--sidecar", "txt,srt"]);
    ends_with(&run, 0);
    assert_eq!(first_line(&run), "3 done, 0 failed, 0 to do");
    let said = answer(&place, "clips/001.mp4");
    assert_eq!(place.read("clips/001.txt"), format!("{said}\n"));
    std::fs::remove_file(place.path("clips/001.txt")).unwrap();
    place.write("clips/002.txt", "mine");
    ends_with(&go(&place, &["--sidecar", "txt,srt"]), 0);
    assert_eq!(place.read("clips/001.txt"), format!("{said}\n"));
    assert_eq!(place.read("clips/002.txt"), "mine");
    // A file that was to be overwritten may be left as it was, too.
    ends_with(&go(&place, &["--sidecar", "txt,srt", "--overwrite"]), 0);
    assert_eq!(place.read("clips/002.txt"), format!("{}\n", answer(&place, "clips/002.mp4")));
    assert_eq!(place.read("out.jsonl"), before);
}

#[test]
fn files_that_two_would_write_are_refused() {
    let place = Workplace::with_clips(2);
    place.copy(CLIPS[0], "clips/000.mkv");
    let run = go(&place, &["--sidecar", "txt"]);
    refused(&run, 2, &["`clips/000.mkv` and `clips/000.mp4` would both write `clips/000.txt`", "--output-dir"]);
    std::fs::remove_file(place.path("clips/000.mkv")).unwrap();
    place.write(
        "jobs.jsonl",
        "{\"id\": \"a\", \"video\": \"clips/000.mp4\"}\n{\"id\": \"b\", \"video\": \"clips/000.mp4\"}\n",
    );
    let list = ["--input", "jobs.jsonl", "-o", "out.jsonl", "--sidecar", "json"];
    refused(&place.batch(&[&list, &QUESTION[..]].concat()), 2, &["`a` and `b` would both write"]);
    for (args, what) in [
        (&["-o", "clips/000.json", "--sidecar", "json"][..], "the output"),
        (&["-o", "out.jsonl", "--summary", "clips/001.json", "--sidecar", "json"], "the summary"),
        (&["-o", "out.jsonl", "--questions", "clips/000.txt", "--sidecar", "txt"], "read by the run"),
    ] {
        place.write("clips/000.txt", "What is it?\n");
        let run = place.batch(&[&["clips"], args, &QUESTION[..]].concat());
        refused(&run, 2, &["would write `clips/00", what]);
        std::fs::remove_file(place.path("clips/000.txt")).unwrap();
    }
    let run = place.batch(&[&["clips", "-o", "out.jsonl", "--sidecar", "vtt"], &QUESTIONS[..]].concat());
    refused(&run, 2, &["--sidecar vtt takes one question about a clip, and 2 inputs have several"]);
    assert!(!place.path("out.jsonl").exists());
    // Text takes several.
    let run = place.batch(&[&["clips", "-o", "out.jsonl", "--sidecar", "txt"], &QUESTIONS[..]].concat());
    ends_with(&run, 0);
    assert_eq!(place.read("clips/000.txt").matches("\n\n").count(), 2);
}

#[test]
fn a_clip_that_failed_has_no_files() {
    let place = Workplace::with_clips(2);
    place.write("clips/001.mp4", "");
    ends_with(&go(&place, &["--sidecar", "txt,json,srt,vtt"]), 3);
    let names = std::fs::read_dir(place.path("clips")).unwrap();
    let failed = names.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("001"));
    assert_eq!(failed.count(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_to_ends_the_run_and_loses_nothing() {
    let place = Workplace::with_clips(3);
    place.write("mirror", "a file");
    let extra = ["--sidecar", "txt", "--output-dir", "mirror"];
    refused(&go(&place, &extra), 1, &["mirror", "the same command goes on"]);
    assert_eq!(place.records("out.jsonl").len(), 1);
    std::fs::remove_file(place.path("mirror")).unwrap();
    let run = go(&place, &extra);
    ends_with(&run, 0);
    assert_eq!(first_line(&run), "1 done, 0 failed, 2 to do");
    assert_eq!(std::fs::read_dir(place.path("mirror")).unwrap().count(), 3);
}
