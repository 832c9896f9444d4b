//! The way from the hub: faults, gates, the cache, and what is there already.

use super::shelf::{FIRST, REPO, SECOND, SUBTITLES, Shelf, TABLE, whole};
use crate::support::hub::Fault;
use crate::support::process::{PATIENCE, wait_for};
use crate::support::run;

#[test]
fn a_cut_download_is_resumed_and_unpacked() {
    let shelf = Shelf::new();
    shelf.hub.once(SECOND, Fault::Cut(50_000));
    shelf.hub.once(SECOND, Fault::Cut(30_000));
    shelf.hub.set_terms("cc-by-nc-4.0", false);
    let fetched = shelf.fetch(&[]);
    assert_eq!(fetched.stdout_of_success().trim_end(), shelf.data().to_str().unwrap());
    for part in
        ["licence cc-by-nc-4.0", "all checksums are right", "unpacked videos_chunked_01.zip", "the videos of all"]
    {
        assert!(fetched.stderr.contains(part), "`{part}` is not in {}", fetched.stderr);
    }
    let starts: Vec<usize> = shelf.hub.fetched(SECOND).iter().map(|seen| seen.from.unwrap_or(0)).collect();
    assert_eq!(starts, [0, 50_000, 80_000]);
    assert_eq!(shelf.tree(), whole());
    assert!(shelf.hub.fetched("README.md").is_empty());
}

#[test]
fn a_wrong_checksum_is_thrown_away_and_nothing_is_unpacked_of_it() {
    let shelf = Shelf::new();
    shelf.hub.always(FIRST, Fault::Flip);
    shelf.fetch(&[]).fails_with(&[FIRST, "wrong checksum"]);
    assert_eq!(shelf.tree().keys().collect::<Vec<_>>(), [TABLE]);
    shelf.hub.heal();
    shelf.fetch(&[]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
}

#[test]
fn a_gate_says_where_to_agree() {
    let shelf = Shelf::new();
    let page = format!("https://huggingface.co/datasets/{REPO}");
    shelf.hub.require_token("secret");
    shelf.fetch(&[]).fails_with(&[REPO, "HTTP 401", "hint: accept its terms on", &page, "HF_TOKEN"]);
    let with_token = |args: &[&str]| run(shelf.home.command(shelf.args(args)).env("HF_TOKEN", "secret"));
    shelf.hub.set_terms("other", true);
    let restricted = Fault::Status(403, "X-Error-Message", "Access to dataset is restricted".to_owned());
    shelf.hub.always(TABLE, restricted);
    with_token(&[]).fails_with(&[REPO, "HTTP 403", "is restricted", "the token from HF_TOKEN", &page]);
    let plan = with_token(&["--dry-run"]);
    assert!(plan.stdout_of_success().contains("gate: accept the terms on its page; the token from HF_TOKEN is sent"));
    shelf.hub.heal();
    with_token(&[]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
    assert!(shelf.hub.seen().iter().all(|seen| !seen.at_storage || seen.authorization.is_none()));
}

#[test]
fn without_a_network_the_cache_is_enough() {
    let shelf = Shelf::new();
    shelf.fetch(&["--offline"]).fails_with(&[REPO, "not in the hub cache", "--offline", "hint: "]);
    assert!(shelf.hub.seen().is_empty());
    shelf.fetch(&["--annotations-only"]).stdout_of_success();
    assert_eq!(shelf.tree().keys().collect::<Vec<_>>(), [TABLE]);
    shelf.fetch(&["--offline"]).fails_with(&[REPO, "only partly in the hub cache", FIRST, "--offline"]);
    shelf.fetch(&[]).stdout_of_success();
    std::fs::remove_dir_all(shelf.data()).unwrap();
    let requests = shelf.hub.seen().len();
    let plan = shelf.fetch(&["--offline", "--dry-run", "--json"]).json();
    assert_eq!((plan["download_bytes"].as_u64(), plan["licence"].is_null()), (Some(0), true));
    shelf.fetch(&["--offline"]).stdout_of_success();
    assert_eq!((shelf.tree(), shelf.hub.seen().len()), (whole(), requests));
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let shelf = Shelf::new();
    let mut nobody = shelf.home.command(shelf.args(&["--retries", "0"]));
    run(nobody.env("HF_ENDPOINT", "http://127.0.0.1:1")).fails_with(&[REPO, "127.0.0.1:1", "hint: check the network"]);
    let mut elsewhere = shelf.home.command(["eval", "fetch", "nextqa", "--data", shelf.data().to_str().unwrap()]);
    run(&mut elsewhere).fails_with(&["lmms-eval/NExTQA", "the hub has no dataset", "hint: its publisher has moved it"]);
    assert!(!shelf.data().exists());
}

#[test]
fn archives_are_let_go_of_when_that_is_asked_for() {
    let shelf = Shelf::new();
    shelf.fetch(&["--discard-archives"]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
    let blobs = std::fs::read_dir(shelf.home.dataset_folder(REPO).join("blobs")).unwrap().count();
    assert_eq!(blobs, 1, "the table stays");
    shelf.fetch(&[]).stdout_of_success();
    for archive in [FIRST, SECOND, SUBTITLES] {
        assert_eq!(shelf.hub.fetched(archive).len(), 1, "{archive}");
    }
}

#[test]
fn two_at_once_do_not_write_to_one_folder() {
    let shelf = Shelf::new();
    shelf.hub.always(FIRST, Fault::Hold(10));
    let first = shelf.start(&[]);
    wait_for("the first archive", PATIENCE, || shelf.hub.sent(FIRST) > 0);
    shelf.fetch(&[]).fails_with(&["another process is fetching to", shelf.data().to_str().unwrap()]);
    shelf.hub.release();
    first.end_within(PATIENCE).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
}
