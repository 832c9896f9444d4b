//! Caches on file systems that lack locks or links.

use std::path::Path;

use crate::support::denied::{without_links, without_locks};
use crate::support::hub::Fault;
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::process::{PATIENCE, Running, wait_for};
use crate::support::{CheckpointCopy, Run, SINGLE, golden_checkpoint, run};

#[test]
fn without_locks_two_downloads_share_no_unfinished_file() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Hold(1000));
    let pull = || {
        let mut command = home.command(["model", "pull", REPO]);
        without_locks(&mut command);
        command
    };
    let first = Running::start(&mut pull());
    wait_for("the first part", PATIENCE, || hub.sent(WEIGHTS) == 1000);
    let unfinished = home.incomplete(REPO);
    assert_eq!(unfinished.len(), 1);
    run(&mut pull()).stdout_of_success();
    assert_eq!(home.incomplete(REPO), unfinished, "the second left the first's file alone");
    home.assert_nothing_half();
    hub.release();
    assert!(first.end_within(PATIENCE).stdout_of_success().trim_end().ends_with(&commit));
    home.assert_nothing_half();
    assert!(home.incomplete(REPO).is_empty());
    home.run(["model", "verify", REPO]).stdout_of_success();
}

#[test]
fn without_locks_a_failed_download_leaves_nothing_that_nobody_can_use() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Cut(1000));
    hub.once(WEIGHTS, Fault::Status(500, "X-Test", String::new()));
    let mut command = home.command(["model", "pull", REPO, "--retries", "1"]);
    run(without_locks(&mut command)).fails_with(&["HTTP 500"]);
    assert!(home.incomplete(REPO).is_empty());
}

fn run_without_links(home: &HubHome, args: &[&str]) -> Run {
    run(without_links(&mut home.command(args)))
}

fn flip_last_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn without_links_files_are_checked_and_repaired_all_the_same() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    run_without_links(&home, &["model", "pull", REPO]).stdout_of_success();
    let snapshot = home.folder(REPO).join("snapshots").join(&commit);
    let weights = snapshot.join(WEIGHTS);
    assert!(weights.symlink_metadata().unwrap().is_file() && home.blobs(REPO).is_empty());

    let sound = run_without_links(&home, &["model", "verify", REPO, "--offline", "--json"]).json();
    let files = sound["files"].as_array().unwrap();
    assert!(files.len() >= 4 && files.iter().all(|file| file["state"] == "sound"), "{sound}");
    flip_last_byte(&weights);
    let damaged = run_without_links(&home, &["model", "verify", REPO]);
    assert!(damaged.code == Some(1) && damaged.stderr.contains(WEIGHTS), "{damaged:?}");
    assert_eq!(run_without_links(&home, &["model", "verify", REPO, "--repair"]).code, Some(0));
    run_without_links(&home, &["model", "verify", REPO]).stdout_of_success();
    assert_eq!((hub.fetched(WEIGHTS).len(), hub.fetched("config.json").len()), (2, 1));

    // No listing was kept, as by older programs: what is not known is not sound.
    std::fs::remove_dir_all(home.folder(REPO).join("trees")).unwrap();
    let unknown = run_without_links(&home, &["model", "verify", REPO]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("no checksum is known"), "{unknown:?}");
    run_without_links(&home, &["model", "pull", &format!("{REPO}@{commit}")]).stdout_of_success();
    run_without_links(&home, &["model", "verify", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).len(), 2);
}

#[test]
fn without_links_a_new_commit_copies_what_stayed() {
    let (hub, home, old) = hub_with(SINGLE, REPO);
    run_without_links(&home, &["model", "pull", REPO]).stdout_of_success();
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("generation_config.json", |config| config["top_k"] = serde_json::json!(7));
    let new = hub.publish(REPO, "main", copy.path());
    let pulled = run_without_links(&home, &["model", "pull", REPO]);
    assert!(pulled.stdout_of_success().trim_end().ends_with(&new));
    assert_eq!((hub.fetched(WEIGHTS).len(), hub.fetched("generation_config.json").len()), (1, 2));
    for commit in [&old, &new] {
        let name = format!("{REPO}@{commit}");
        run_without_links(&home, &["model", "verify", &name, "--offline"]).stdout_of_success();
    }

    let size = home.folder(REPO).join("snapshots").join(&old).join(WEIGHTS).metadata().unwrap().len();
    let list = run_without_links(&home, &["model", "list", "--json"]).json();
    assert!(list["cached"][0]["bytes"].as_u64().unwrap() > 2 * size, "{list}");
    let removed = run_without_links(&home, &["model", "rm", &format!("{REPO}@{old}"), "--yes"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(removed.stderr.contains(" kB") && !removed.stderr.contains(", 0 B"), "{}", removed.stderr);
    assert!(!home.folder(REPO).join("trees").join(format!("{old}.json")).exists());
    run_without_links(&home, &["model", "verify", REPO, "--offline"]).stdout_of_success();
}
