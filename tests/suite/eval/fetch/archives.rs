//! What archives may not do, and what they hold that is no file.

use tar::EntryType;

use super::shelf::{FIRST, SUBTITLES, Shelf, TABLE, whole};
use crate::support::archives::{Files, replaced, tar_of_entry, zip_of, zip_of_link, zip_of_zeros};
use crate::support::fixtures;
use crate::support::hub::Hub;
use crate::support::hub_home::HubHome;

#[test]
fn a_hostile_zip_is_refused_and_the_others_stay() {
    let one = zip_of(&Files::from([("data/aa.mp4".to_owned(), b"video".to_vec())]));
    for (zip, parts) in [
        (replaced(&one, "data/aa.mp4", "../../a.mp4"), ["../../a.mp4", "leads out of its folder"]),
        (replaced(&one, "data/aa.mp4", "/data/a.mp4"), ["/data/a.mp4", "has an absolute path"]),
        (zip_of_link("data/a.mp4", "../../../etc/passwd"), ["data/a.mp4", "leads out of its folder"]),
        (zip_of_link("data/a.mp4", "/etc/passwd"), ["data/a.mp4", "has an absolute path"]),
        (zip_of_zeros("data/a.mp4", 20 << 20), ["21.0 MB (1 file)", "too much for its 20."]),
        (b"PK\x05\x06 is no ZIP".to_vec(), ["cannot be unpacked", FIRST]),
    ] {
        let shelf = Shelf::with(|files| drop(files.insert(FIRST.to_owned(), zip)));
        shelf.fetch(&[]).fails_with(&[&[FIRST][..], &parts].concat());
        let tree = shelf.tree();
        assert!(tree.contains_key(TABLE) && !tree.keys().any(|name| name.ends_with("a.mp4")), "{:?}", tree.keys());
        // What was downloaded is not downloaded again.
        let again = shelf.fetch(&[]);
        again.fails_with(&[FIRST]);
        assert_eq!(shelf.hub.fetched(SUBTITLES).len(), 1);
    }
}

#[test]
fn a_hostile_tar_in_pieces_is_refused() {
    let table = std::fs::read(fixtures().join("eval/fixtures/longvideobench/lvb_val.json")).unwrap();
    for (tar, why) in [
        (tar_of_entry("../x.mp4", EntryType::Regular, "", b"x"), "leads out of its folder"),
        (tar_of_entry("/x.mp4", EntryType::Regular, "", b"x"), "has an absolute path"),
        (tar_of_entry("videos/x", EntryType::Symlink, "../../..", b""), "leads out of its folder"),
        (tar_of_entry("videos/x", EntryType::Link, "videos/y", b""), "leads to no file of the archive"),
        (tar_of_entry("videos/x", EntryType::Char, "", b""), "neither a file nor a folder"),
        (tar_of_entry("videos/x", EntryType::Regular, "", &[7; 900])[..1300].to_vec(), "another size than it states"),
    ] {
        let hub = Hub::start();
        let home = HubHome::new(&hub);
        let (one, two) = tar.split_at(600);
        let files: [(&str, &[u8]); 4] = [
            ("lvb_val.json", &table),
            ("subtitles.tar", b""),
            ("videos.tar.part.aa", one),
            ("videos.tar.part.ab", two),
        ];
        let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into_iter().collect();
        hub.publish_dataset("longvideobench/LongVideoBench", "main", files);
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let run = home.run(["eval", "fetch", "longvideobench", "--data", data.to_str().unwrap()]);
        run.fails_with(&["videos.tar.part.aa", why]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{why}");
        assert!(!data.join("longvideobench/videos/x").exists());
    }
}

#[test]
fn what_is_in_the_way_is_named_and_kept() {
    let shelf = Shelf::new();
    let video = whole().keys().find(|name| name.contains("/data/")).unwrap().clone();
    for (name, other) in [(TABLE, "my own table"), (video.as_str(), "my own video")] {
        let path = shelf.data().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, other).unwrap();
        shelf.fetch(&[]).fails_with(&[name, "is there already", "hint: move it away"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        std::fs::remove_file(&path).unwrap();
    }
    shelf.fetch(&[]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
    // A video that was lost is unpacked again.
    std::fs::remove_file(shelf.data().join(&video)).unwrap();
    shelf.fetch(&[]).stdout_of_success();
    assert_eq!(shelf.tree(), whole());
}
