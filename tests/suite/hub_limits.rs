//! Full disks: refused before anything is fetched where that can be known, and nothing half in place where it cannot.

use std::process::Stdio;

use super::hub::{REPO, SHARDED, SINGLE, WEIGHTS, hub_with};
use super::support::Run;
use super::support::hub::Fault;
use super::support::small_disk::SmallDisk;

#[test]
fn what_does_not_fit_is_not_begun() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.claim_size(WEIGHTS, 1 << 60);
    home.run(["model", "pull", REPO]).fails_with(&["not enough disk space", "needed", "free", "hint: "]);
    assert!(hub.fetched("config.json").is_empty() && hub.fetched(WEIGHTS).is_empty());
}

/// No file of the child may grow beyond 100 kB: what a quota or a full disk does, at a byte of our choice.
#[test]
fn a_file_that_cannot_grow_is_said_and_continued_later() {
    use std::os::unix::process::CommandExt;
    let (hub, home, _) = hub_with(SINGLE, REPO);
    let mut command = home.command(["model", "pull", REPO]);
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let limit = libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 };
            match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    super::support::run(&mut command).fails_with(&["cannot write", "incomplete", "make room", "hint: "]);
    home.assert_nothing_half();
    assert_eq!(home.incomplete(REPO)[0].metadata().unwrap().len(), 100_000);
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).last().unwrap().from, Some(100_000), "what was written is kept");
}

#[test]
fn a_disk_that_fills_up_meanwhile_leaves_nothing_half() {
    let (hub, home, _) = hub_with(SHARDED, REPO);
    let Some(disk) = SmallDisk::mount(home.path().join("hub"), 2 << 20, "a disk that fills up") else {
        return;
    };
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 1 << 20]).unwrap();
    home.run(["model", "pull", REPO]).fails_with(&["not enough disk space", "1.0 MB free"]);
    std::fs::remove_file(&filler).unwrap();

    for shard in 1..=5 {
        hub.always(&format!("model-0000{shard}-of-00005.safetensors"), Fault::Slow(100));
    }
    let mut command = home.command(["model", "pull", REPO]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while home.incomplete(REPO).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // Takes all the room there is.
    let _ = std::fs::write(&filler, vec![0; 4 << 20]);
    Run::of(child.wait_with_output().unwrap()).fails_with(&["cannot write", "make room"]);
    home.assert_nothing_half();
    std::fs::remove_file(&filler).unwrap();
    hub.heal();
    home.run(["model", "pull", REPO]).stdout_of_success();
}
