//! Full disks: refused before anything is fetched where that can be known, and nothing half in place where it cannot.

use crate::support::hub::{Fault, Hub};
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::process::{PATIENCE, Running, limit_file_size, wait_for};
use crate::support::small_disk::SmallDisk;
use crate::support::{SHARDED, SINGLE, golden_checkpoint};

#[test]
fn what_does_not_fit_is_not_begun() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.claim_size(WEIGHTS, 1 << 60);
    home.run(["model", "pull", REPO]).fails_with(&["not enough disk space", "needed", "free", "hint: "]);
    assert!(hub.fetched("config.json").is_empty() && hub.fetched(WEIGHTS).is_empty());
}

#[test]
fn a_file_that_cannot_grow_is_said_and_continued_later() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    let mut command = home.command(["model", "pull", REPO]);
    limit_file_size(&mut command, 100_000);
    crate::support::run(&mut command).fails_with(&["cannot write", "incomplete", "make room", "hint: "]);
    home.assert_nothing_half();
    assert_eq!(home.incomplete(REPO)[0].metadata().unwrap().len(), 100_000);
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).last().unwrap().from, Some(100_000), "what was written is kept");
}

/// The cache is on a file system of its own, whose last bytes go while the download runs.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_meanwhile_leaves_nothing_half() {
    let hub = Hub::start();
    hub.publish(REPO, "main", &golden_checkpoint(SHARDED));
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path(), 2 << 20, "a disk that fills up meanwhile") else {
        return;
    };
    let home = HubHome::at(disk.path(), &hub);
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 1 << 20]).unwrap();
    home.run(["model", "pull", REPO]).fails_with(&["not enough disk space", "1.0 MB free"]);
    std::fs::remove_file(&filler).unwrap();

    for shard in 1..=5 {
        hub.always(&format!("model-0000{shard}-of-00005.safetensors"), Fault::Slow(100));
    }
    let running = Running::start(&mut home.command(["model", "pull", REPO]));
    wait_for("the download", PATIENCE, || !home.incomplete(REPO).is_empty());
    // Takes all the room there is.
    let _ = std::fs::write(&filler, vec![0; 4 << 20]);
    running.end_within(PATIENCE).fails_with(&["cannot write", "make room"]);
    home.assert_nothing_half();
    std::fs::remove_file(&filler).unwrap();
    hub.heal();
    home.run(["model", "pull", REPO]).stdout_of_success();
}
