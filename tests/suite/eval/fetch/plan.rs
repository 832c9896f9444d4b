//! `eval fetch --dry-run`: what would be done, and nothing done.

use super::shelf::{FIRST, REPO, SECOND, SUBTITLES, Shelf, TABLE, published};
use crate::support::hub::Fault;
use crate::support::run;

#[test]
fn a_plan_downloads_nothing_and_writes_nothing() {
    let shelf = Shelf::new();
    shelf.hub.set_terms("cc-by-nc-sa-4.0", true);
    let plan = shelf.fetch(&["--dry-run"]);
    let text = plan.stdout_of_success();
    for part in [
        "videomme: dataset lmms-eval/Video-MME, commit ",
        "licence: cc-by-nc-sa-4.0; gate: accept the terms on its page, and set HF_TOKEN",
        "page: https://huggingface.co/datasets/lmms-eval/Video-MME",
        "to download: ",
        ", 4 of 4 files",
        "to unpack: about ",
        "free for downloads: ",
        "free for the benchmark: ",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    for file in [TABLE, FIRST, SECOND, SUBTITLES] {
        let line = text.lines().find(|line| line.starts_with(file)).unwrap_or_else(|| panic!("{file} in {text}"));
        assert!(line.ends_with("to download"), "{line}");
    }
    assert!(!text.contains("README.md"));
    assert_eq!(shelf.hub.seen().len(), 1, "the listing alone: {:?}", shelf.hub.seen());
    assert!(!shelf.data().exists() && !shelf.home.path().join("hub").exists());
}

#[test]
fn a_plan_tells_what_is_there_already() {
    let shelf = Shelf::new();
    shelf.fetch(&["--annotations-only"]).stdout_of_success();
    // A download that broke off.
    shelf.hub.always(SECOND, Fault::Cut(1000));
    run(&mut shelf.home.command(shelf.args(&["--retries", "0"]))).fails_with(&[SECOND]);
    shelf.hub.heal();
    let plan = shelf.fetch(&["--dry-run", "--json"]).json();
    let files = published();
    let of =
        |name: &str| plan["downloads"].as_array().unwrap().iter().find(|file| file["name"] == name).unwrap().clone();
    assert_eq!((of(TABLE)["in_place"].as_bool(), of(FIRST)["in_place"].as_bool()), (Some(true), Some(false)));
    let here = of(SECOND)["downloaded_bytes"].as_u64().unwrap();
    assert!((1000..2000).contains(&here), "{here}");
    for name in [FIRST, SECOND, SUBTITLES] {
        assert_eq!(of(name)["bytes"].as_u64(), Some(files[name].len() as u64), "{name}");
    }
    let left: u64 = [FIRST, SECOND, SUBTITLES]
        .map(|name| of(name)["bytes"].as_u64().unwrap() - of(name)["downloaded_bytes"].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(plan["download_bytes"].as_u64(), Some(left));
    assert_eq!((plan["repository"].as_str(), plan["gated"].as_bool()), (Some(REPO), Some(false)));
    shelf.fetch(&[]).stdout_of_success();
    let plan = shelf.fetch(&["--dry-run"]);
    assert!(plan.stdout_of_success().contains("to download: 0 B, 0 of 4 files"), "{}", plan.stdout);
    assert_eq!(plan.stdout.matches("in place").count(), 4, "{}", plan.stdout);
}

#[test]
fn what_the_publisher_has_changed_is_named() {
    let shelf = Shelf::with(|files| {
        files.remove(TABLE).unwrap();
    });
    shelf.fetch(&["--dry-run"]).fails_with(&[REPO, "has no videomme/test-*.parquet", "--repository"]);
    let copy = Shelf::with(|files| files.retain(|name, _| !name.ends_with(".zip")));
    copy.fetch(&[]).fails_with(&[REPO, "has no videos_chunked_*.zip"]);
    copy.fetch(&["--split", "test"]).fails_with(&["videomme has no test split"]);
    copy.fetch(&["--annotations-only"]).stdout_of_success();
    copy.hub.publish_dataset("somebody/copy", "v1", published());
    copy.fetch(&["--repository", "somebody/copy@v1"]).stdout_of_success();
    let usage = copy.fetch(&["--repository", "no repository"]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
}
