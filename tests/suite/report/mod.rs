//! `eval report` through the binary, on made-up results; and its pages in a browser.

mod browser;
mod made_up;

use std::path::{Path, PathBuf};

use self::made_up::{HOSTILE, MadeUp};
use crate::support::{Run, llava_video};

const TITLES: [&str; 11] = [
    "ActivityNet-QA",
    "EgoSchema",
    "EgoSchema subset",
    "MLVU",
    "MVBench",
    "NExT-QA",
    "PerceptionTest",
    "VideoChatGPT",
    "VideoDC",
    "LongVideoBench",
    "VideoMME",
];

fn report(results: &[PathBuf], outputs: &[&Path]) -> Run {
    let flags = outputs.iter().flat_map(|output| ["-o".as_ref(), output.as_os_str()]);
    llava_video(["eval".as_ref(), "report".as_ref()].into_iter().chain(results.iter().map(AsRef::as_ref)).chain(flags))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn all_benchmarks_are_on_one_page() {
    let dir = tempfile::tempdir().unwrap();
    let results = MadeUp { rows: 60, is_hostile: false, protocol: "card", gain: 0.0 }.write(dir.path());
    let (page, markdown) = (dir.path().join("report.html"), dir.path().join("report.md"));
    let run = report(&results, &[&page, &markdown]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    let (page, markdown) = (text(&page), text(&markdown));
    for title in TITLES {
        assert!(page.contains(&format!("<h2>{title} ")), "{title}");
        assert!(markdown.contains(&format!("## {title} (")), "{title}");
    }
    for card in ["58.2", "57.3", "69.8", "58.4", "82.2", "71.7", "3.54", "3.71", "63.2"] {
        assert!(page.contains(card) && markdown.contains(&format!("| {card} |")), "{card}");
    }
    for setting in ["harness", "frames", "pooling_stride", "repetition_penalty", "device", "draw_seed", "digest"] {
        assert!(markdown.contains(&format!("{setting} |")), "{setting}");
    }
    assert!(markdown.contains("Judged by gpt-4o-2024-11-20 ") && markdown.contains("not comparable across judges"));
    assert!(markdown.contains("Not in these files: 2,640 of the 2,700 published rows."));
    // The figure of the page is that of the records.
    let videodc: Vec<f64> = text(&results[8]).lines().map(score).collect();
    let mean = format!("{:.2}", videodc.iter().sum::<f64>() / videodc.len() as f64);
    assert!(markdown.contains(&format!("| VideoDC (judged, partial) | {mean} ± ")), "{mean}\n{markdown}");
}

fn score(line: &str) -> f64 {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["eval"]["verdicts"][0]["verdict"]["score"].as_f64().unwrap()
}

#[test]
fn hostile_names_are_text_and_what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let results = MadeUp { rows: 60, is_hostile: true, protocol: "train", gain: 0.0 }.write(dir.path());
    let (page, markdown) = (dir.path().join("report.html"), dir.path().join("report.md"));
    let run = report(&results[..9], &[&page, &markdown]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (page, markdown) = (text(&page), text(&markdown));
    for name in HOSTILE {
        assert!(!page.contains(name), "{name}");
    }
    for tag in ["<script", "<img", "<link rel=stylesheet", "</title></style>"] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.contains("&lt;script&gt;window.hostile = 1&lt;/script&gt;.mp4: no such file"));
    assert!(!page.contains('\u{202e}') && !markdown.contains('\u{202e}') && !markdown.contains('\u{1b}'));
    assert!(markdown.contains("**Video missing**") && markdown.contains("**Clip failed**"));
    // Row 5 has no record at all.
    assert!(markdown.contains("**No answer**, 1 row:\n\n- row 5\n"), "{markdown}");
    assert_eq!(markdown.matches("| not run |").count(), 2);
}

#[test]
fn the_same_results_make_the_same_bytes_and_shards_make_the_same_figures() {
    let dir = tempfile::tempdir().unwrap();
    let made_up = MadeUp { rows: 80, is_hostile: false, protocol: "card", gain: 0.0 };
    let whole = made_up.write_one(dir.path(), "mlvu");
    let lines = text(&whole);
    let (even, odd): (Vec<_>, Vec<_>) = lines.lines().enumerate().partition(|(index, _)| index % 2 == 0);
    let shards: Vec<PathBuf> = [odd, even]
        .iter()
        .enumerate()
        .map(|(shard, lines)| {
            let path = dir.path().join(format!("shard-{shard}.jsonl"));
            let lines: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
            std::fs::write(&path, lines).unwrap();
            path
        })
        .collect();
    let written = |results: &[PathBuf], name: &str| {
        let path = dir.path().join(name);
        assert_eq!(report(results, &[&path]).code, Some(0));
        text(&path)
    };
    let whole = [whole];
    assert_eq!(written(&whole, "a.html"), written(&whole, "b.html"));
    assert_eq!(written(&whole, "a.md"), written(&whole, "b.md"));
    // But for the files that it is made of.
    let body = |text: String| text.split("Made of").next().unwrap().to_owned();
    assert_eq!(body(written(&whole, "a.md")), body(written(&shards, "c.md")));
}

#[test]
fn two_runs_of_a_benchmark_stand_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let runs = [("card", 0.0), ("docs", -0.1)].map(|(protocol, gain)| {
        MadeUp { rows: 300, is_hostile: false, protocol, gain }.write_one(dir.path(), "videomme")
    });
    let markdown = dir.path().join("report.md");
    assert_eq!(report(&runs, &[&markdown]).code, Some(0));
    let markdown = text(&markdown);
    assert!(markdown.contains("## VideoMME, run 1 (partial)") && markdown.contains("## VideoMME, run 2 (partial)"));
    assert!(markdown.contains("### Beside VideoMME, run 1") && markdown.contains("| frames | 110 | 64 |"));
    assert!(markdown.contains("Over the 300 rows that both runs have, this one differs by \u{2212}"), "{markdown}");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let results = MadeUp { rows: 5, is_hostile: false, protocol: "card", gain: 0.0 }.write_one(dir.path(), "mlvu");
    let page = dir.path().join("report.html");
    let run = report(std::slice::from_ref(&results), &[&dir.path().join("report.pdf"), &page]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("REPORT.html or REPORT.md") && !page.exists(), "{}", run.stderr);

    let named = dir.path().join("results.md");
    std::fs::copy(&results, &named).unwrap();
    let run = report(std::slice::from_ref(&named), &[&named]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("would replace the results") && text(&named) == text(&results), "{}", run.stderr);

    let other = dir.path().join("other.jsonl");
    std::fs::write(&other, "{\"id\": 1}\n").unwrap();
    let run = report(&[results.clone(), other], &[&page]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("line 1") && !page.exists(), "{}", run.stderr);

    let run = report(&[results.clone(), dir.path().join("none.jsonl")], &[&page]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("none.jsonl") && !page.exists(), "{}", run.stderr);

    let nowhere = dir.path().join("no/report.html");
    let run = report(std::slice::from_ref(&results), &[&nowhere]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("cannot write"), "{}", run.stderr);
    assert_eq!(report(&[], &[&page]).code, Some(2));
}

#[test]
fn a_torn_end_is_told_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let results = MadeUp { rows: 5, is_hostile: false, protocol: "card", gain: 0.0 }.write_one(dir.path(), "mlvu");
    let whole = text(&results);
    std::fs::write(&results, &whole[..whole.len() - 40]).unwrap();
    let markdown = dir.path().join("report.md");
    let run = report(std::slice::from_ref(&results), &[&markdown]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("torn"), "{}", run.stderr);
    assert!(text(&markdown).contains("4 records, the last one torn and left out"));
}
