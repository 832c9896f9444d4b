//! Killed at several moments, the next run ends with the same tree.

use std::time::Duration;

use super::shelf::{FIRST, SECOND, Shelf, TABLE, collect, published, whole};
use crate::support::archives::{Files, zip_of};
use crate::support::hub::Fault;
use crate::support::process::{PATIENCE, limit_file_size, wait_for};
use crate::support::run;

const MANY: usize = 1500;

fn many() -> Files {
    (0..MANY).map(|count| (format!("data/{count:05}.mp4"), format!("video {count}").repeat(20).into_bytes())).collect()
}

#[test]
fn a_kill_while_unpacking_leaves_nothing_half() {
    let shelf = Shelf::with(|files| drop(files.insert(FIRST.to_owned(), zip_of(&many()))));
    let expected = {
        let mut files: Files = many().into_iter().map(|(name, bytes)| (format!("videomme/{name}"), bytes)).collect();
        let own = zip_names(&published()[FIRST]);
        files.extend(whole().into_iter().filter(|(name, _)| !own.iter().any(|own| name.ends_with(own))));
        files
    };
    let folder = shelf.data().join("videomme/data");
    let count = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    let mut caught = 0;
    for least in [1, 500, 1300] {
        let mut fetch = shelf.start(&[]);
        wait_for("some videos", PATIENCE, || count() >= least || fetch.has_ended());
        fetch.kill();
        caught += usize::from(shelf.records() < 3);
        for (name, bytes) in shelf.tree() {
            assert!(name.ends_with("/.unpacking") || expected.get(&name) == Some(&bytes), "{name} is half");
        }
    }
    assert!(caught > 0, "no kill came while it unpacked");
    shelf.fetch(&[]).stdout_of_success();
    assert!(shelf.tree() == expected, "another tree");
    assert_eq!(shelf.records(), 3);
}

/// The names in a ZIP, from its fixed end to the beginning.
fn zip_names(zip: &[u8]) -> Vec<String> {
    let zip = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    zip.file_names().map(|name| name.unwrap().into_owned()).collect()
}

#[test]
fn a_kill_while_downloading_is_gone_on_from() {
    let shelf = Shelf::new();
    shelf.hub.once(SECOND, Fault::Stall(50_000));
    let fetch = shelf.start(&[]);
    let arrived = || {
        let mut blobs = Files::new();
        collect(&shelf.home.path().join("hub"), "", &mut blobs);
        blobs.iter().any(|(name, bytes)| name.ends_with(".incomplete") && bytes.len() == 50_000)
    };
    wait_for("the first part", PATIENCE, arrived);
    fetch.kill();
    assert_eq!(shelf.tree().keys().collect::<Vec<_>>(), [TABLE]);
    shelf.fetch(&[]).stdout_of_success();
    assert_eq!(shelf.hub.fetched(SECOND).last().unwrap().from, Some(50_000));
    assert_eq!(shelf.tree(), whole());
}

#[test]
fn a_full_disk_ends_it_and_the_next_run_goes_on() {
    let shelf = Shelf::new();
    shelf.fetch(&[]).stdout_of_success();
    std::fs::remove_dir_all(shelf.data()).unwrap();
    let mut full = shelf.home.command(shelf.args(&["--offline"]));
    limit_file_size(&mut full, 50_000);
    run(&mut full).fails_with(&["cannot write", "data/.unpacking", "hint: make room"]);
    let tree = shelf.tree();
    assert!(!tree.is_empty() && tree.len() < whole().len());
    assert!(tree.iter().all(|(name, bytes)| whole().get(name) == Some(bytes)), "{:?}", tree.keys());
    shelf.fetch(&["--offline"]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
}

#[test]
fn an_interrupt_ends_it_and_says_so() {
    let shelf = Shelf::new();
    shelf.hub.once(SECOND, Fault::Stall(50_000));
    let fetch = shelf.start(&[]);
    wait_for("the first part", PATIENCE, || shelf.hub.sent(SECOND) >= 50_000);
    fetch.signal(libc::SIGINT);
    let run = fetch.end_within(Duration::from_secs(10));
    assert_eq!((run.code, run.stdout.as_str()), (Some(130), ""), "{run:?}");
    shelf.fetch(&[]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
}
