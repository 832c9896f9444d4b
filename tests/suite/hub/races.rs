//! Two processes at one cache: a download and a removal, two downloads, and programs that know none of our locks.

use std::io::Write;
use std::time::Duration;

use crate::support::hub::Fault;
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::process::{PATIENCE, Running, terminal, wait_for};
use crate::support::{CheckpointCopy, SINGLE, golden_checkpoint};

/// The repository's own lock, taken as another process of this program takes it.
fn hold_repository(home: &HubHome) -> std::fs::File {
    let locks = home.path().join("hub/.locks");
    std::fs::create_dir_all(&locks).unwrap();
    let lock = std::fs::File::create(locks.join("models--owner--video-model.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[test]
fn a_download_waits_for_a_removal_and_then_fetches_all() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    let removing = hold_repository(&home);
    let pull = Running::start(&mut home.command(["model", "pull", REPO]));
    pull.wait_for_stderr(|said| said.contains("waiting: another process is removing `owner/video-model`"));
    assert!(hub.fetched("config.json").is_empty() && !home.folder(REPO).exists());
    drop(removing);
    assert!(pull.end_within(PATIENCE).stdout_of_success().trim_end().ends_with(&commit));
}

/// Between two files a download holds no blob's lock, only its share of the repository's.
#[test]
fn a_removal_leaves_a_download_alone_that_is_between_two_files() {
    let (_hub, home, _) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let lock = std::fs::File::create(home.path().join("hub/.locks/models--owner--video-model.lock")).unwrap();
    lock.lock_shared().unwrap();
    home.run(["model", "rm", REPO, "--yes"]).fails_with(&["another process is downloading", REPO]);
    home.run(["model", "verify", REPO, "--offline"]).stdout_of_success();
    drop(lock);
    home.run(["model", "rm", REPO, "--yes"]).stdout_of_success();
}

#[test]
fn a_removal_leaves_a_download_alone_from_its_first_file_on() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once("tokenizer.json", Fault::Hold(10));
    let pull = Running::start(&mut home.command(["model", "pull", REPO]));
    wait_for("the tokenizer's beginning", PATIENCE, || hub.sent("tokenizer.json") == 10);
    home.run(["model", "rm", REPO, "--yes"]).fails_with(&["another process is downloading", REPO]);
    hub.release();
    pull.end_within(PATIENCE).stdout_of_success();
    home.run(["model", "verify", REPO]).stdout_of_success();
    home.run(["model", "rm", REPO, "--yes"]).stdout_of_success();
    assert!(!home.folder(REPO).exists());
}

#[test]
fn what_is_removed_is_decided_after_the_question() {
    let (hub, home, old) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let (terminal, master) = terminal();
    let mut command = home.command(["model", "rm", &format!("{REPO}@{old}")]);
    let removal = Running::start(command.stdin(terminal));
    removal.wait_for_stderr(|said| said.ends_with("[y/N] "));
    // While it asks, another process fetches a commit that shares the weights.
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("generation_config.json", |config| config["top_k"] = serde_json::json!(7));
    let new = hub.publish(REPO, "main", copy.path());
    home.run(["model", "pull", REPO]).stdout_of_success();
    std::fs::File::from(master).write_all(b"y\n").unwrap();
    removal.end_within(PATIENCE).stdout_of_success();
    assert!(!home.folder(REPO).join("snapshots").join(&old).exists());
    assert_eq!(std::fs::read_to_string(home.folder(REPO).join("refs/main")).unwrap(), new);
    home.run(["model", "verify", REPO, "--offline"]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).len(), 1);
}

#[test]
fn downloads_and_removals_at_once_leave_all_or_nothing() {
    let (_hub, home, _) = hub_with(SINGLE, REPO);
    for round in 0..24 {
        if round % 2 == 0 {
            home.run(["model", "pull", REPO]).stdout_of_success();
        }
        let pull = Running::start(&mut home.command(["model", "pull", REPO]));
        std::thread::sleep(Duration::from_millis(round / 2 * 3));
        let removal = Running::start(&mut home.command(["model", "rm", REPO, "--yes"]));
        let (pull, removal) = (pull.end_within(PATIENCE), removal.end_within(PATIENCE));
        pull.stdout_of_success();
        let is_expected = removal.code == Some(0)
            || ["another process is downloading", "not in the hub cache"]
                .iter()
                .any(|why| removal.stderr.contains(why));
        assert!(is_expected, "{removal:?}");
        home.assert_nothing_half();
        if home.folder(REPO).exists() {
            home.run(["model", "verify", REPO, "--offline"]).stdout_of_success();
        }
    }
}

/// Python's tools delete without looking at any lock.
#[test]
fn a_download_does_not_end_well_if_another_program_removed_a_part() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Hold(1000));
    let pull = Running::start(&mut home.command(["model", "pull", REPO]));
    wait_for("the first part", PATIENCE, || hub.sent(WEIGHTS) == 1000);
    let config = home.folder(REPO).join("snapshots").join(&commit).join("config.json");
    std::fs::remove_file(config.canonicalize().unwrap()).unwrap();
    hub.release();
    pull.end_within(PATIENCE).fails_with(&["config.json", "removed", "another program", "hint: "]);
    assert!(!home.folder(REPO).join("refs").exists(), "what is not whole is no revision");
    home.run(["model", "pull", REPO]).stdout_of_success();
}

/// Python holds the blob's lock while it downloads.
#[test]
fn a_removal_leaves_another_programs_download_alone() {
    let (_hub, home, _) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let blob = home.blobs(REPO).pop().unwrap();
    let locks = home.path().join("hub/.locks/models--owner--video-model");
    std::fs::create_dir_all(&locks).unwrap();
    let lock = std::fs::File::create(locks.join(format!("{blob}.lock"))).unwrap();
    lock.lock().unwrap();
    home.run(["model", "rm", REPO, "--yes"]).fails_with(&["another process is downloading", REPO]);
    home.run(["model", "verify", REPO, "--offline"]).stdout_of_success();
}
