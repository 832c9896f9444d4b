//! Honest archives come out whole, however often they are interrupted; hostile ones do no harm.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};

use proptest::prelude::*;
use tar::{EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::archive::MAX_RATIO;
use super::*;

type Tree = BTreeMap<String, Vec<u8>>;

/// A folder for an archive's pieces, with one beside it that is unpacked in.
struct Place {
    dir: tempfile::TempDir,
    pieces: Vec<PathBuf>,
    form: Form,
}

impl Place {
    fn new(form: Form, pieces: &[&[u8]]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let piece = |(index, bytes): (usize, &&[u8])| {
            let path = dir.path().join(format!("archive.{index}"));
            fs::write(&path, bytes).unwrap();
            path
        };
        let pieces = pieces.iter().enumerate().map(piece).collect();
        Self { dir, pieces, form }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn unpack_until(&self, most: u64) -> Result<Vec<Unpacked>, UnpackError> {
        let interrupt = Interrupt::default();
        let cell = interrupt.cell();
        let mut on_bytes = |done, _| {
            if done >= most {
                cell.store(2, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let archive = Archive { name: "archive", form: self.form, pieces: &self.pieces };
        unpack(archive, &self.root(), &interrupt, &mut on_bytes)
    }

    fn unpack(&self) -> Result<Vec<Unpacked>, UnpackError> {
        self.unpack_until(u64::MAX)
    }

    /// All files below the folder, and nothing outside of it but the pieces.
    fn tree(&self) -> Tree {
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(path == self.root() || self.pieces.contains(&path), "{path:?} is outside");
        }
        let mut tree = Tree::new();
        if self.root().is_dir() {
            collect(&self.root(), "", &mut tree);
        }
        tree
    }
}

fn collect(dir: &Path, before: &str, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{before}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        assert!(!kind.is_symlink(), "{name} is a link");
        match kind.is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), tree),
            false => drop(tree.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
}

fn zip_of(files: &Tree) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (index, (name, bytes)) in files.iter().enumerate() {
        let method = if index % 2 == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        zip.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tar_of(files: &Tree) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A tar of one entry whose name no honest writer would let through.
fn tar_entry(name: &str, kind: EntryType, link: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_entry_type(kind);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, bytes).unwrap();
    tar.into_inner().unwrap()
}

/// Replaces the names in a ZIP; both have to be of one length.
fn renamed(zip: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut zip = zip.to_vec();
    let mut at = 0;
    while let Some(found) = zip[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        zip[at + found..][..to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
    }
    zip
}

fn tree_of(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|&(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
}

fn why(outcome: Result<Vec<Unpacked>, UnpackError>) -> Option<Refusal> {
    match outcome {
        Err(UnpackError::Refused { why, .. }) => Some(why),
        _ => None,
    }
}

#[test]
fn what_went_in_comes_out_and_is_listed() {
    let long = format!("videos/{}/b.mp4", "d".repeat(200));
    let files = tree_of(&[("videos/a.mp4", "aaaa"), (&long, "bbb"), ("videos/ü (1).mp4", ""), ("c.srt", "c")]);
    let litter = tree_of(&[("__MACOSX/videos/._a.mp4", "x"), ("videos/.DS_Store", "x"), ("videos/._a.mp4", "x")]);
    let all: Tree = files.clone().into_iter().chain(litter).collect();
    let tar = tar_of(&all);
    let (one, two) = tar.split_at(700);
    for place in
        [Place::new(Form::Zip, &[&zip_of(&all)]), Place::new(Form::Tar, &[&tar]), Place::new(Form::Tar, &[one, two])]
    {
        let mut listed = place.unpack().unwrap();
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        let expected = files.iter().map(|(path, bytes)| Unpacked { path: path.clone(), bytes: bytes.len() as u64 });
        assert_eq!(listed, expected.collect::<Vec<_>>());
        assert_eq!(place.tree(), files);
        // A second time, everything is there.
        assert_eq!(place.unpack().unwrap().len(), files.len());
    }
}

#[test]
fn what_leads_outside_is_refused() {
    let refused = |form, archive: &[u8]| {
        let place = Place::new(form, &[archive]);
        let outcome = place.unpack();
        assert_eq!(place.tree(), Tree::new());
        why(outcome)
    };
    let zip = zip_of(&tree_of(&[("aaaa", "x")]));
    for (name, refusal) in [
        ("../x", Refusal::Outside),
        ("/etc", Refusal::Absolute),
        ("a\\b\\", Refusal::Name),
        ("C:xx", Refusal::Absolute),
    ] {
        assert_eq!(refused(Form::Zip, &renamed(&zip, "aaaa", name)), Some(refusal), "{name} in a ZIP");
        assert_eq!(
            refused(Form::Tar, &tar_entry(name, EntryType::Regular, "", b"x")),
            Some(refusal),
            "{name} in a tar"
        );
    }
    for (to, refusal) in
        [("../x", Refusal::Outside), ("/etc/passwd", Refusal::Absolute), ("none", Refusal::Link), ("a", Refusal::Link)]
    {
        for kind in [EntryType::Symlink, EntryType::Link] {
            assert_eq!(refused(Form::Tar, &tar_entry("a", kind, to, b"")), Some(refusal), "{kind:?} to {to}");
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("a", to, SimpleFileOptions::default()).unwrap();
        assert_eq!(refused(Form::Zip, &zip.finish().unwrap().into_inner()), Some(refusal), "a link to {to}");
    }
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse] {
        assert_eq!(refused(Form::Tar, &tar_entry("a", kind, "", b"")), Some(Refusal::Kind), "{kind:?}");
    }
    let pipe = SimpleFileOptions::default().unix_permissions(0o010_644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("a", pipe).unwrap();
    let mut zip = zip.finish().unwrap().into_inner();
    // The writer makes a file of it.
    let at = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap() + 41;
    zip[at] = 0o010_644u16.to_le_bytes()[1];
    assert_eq!(refused(Form::Zip, &zip), Some(Refusal::Kind));
}

#[test]
fn a_link_to_a_file_of_the_archive_becomes_that_file() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, link: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_entry_type(kind);
        match kind {
            EntryType::Regular => tar.append_data(&mut header, name, bytes).unwrap(),
            _ => tar.append_link(&mut header, name, link).unwrap(),
        }
    };
    add("v/b.mp4", EntryType::Symlink, "../w/c.mp4", b"");
    add("w/c.mp4", EntryType::Symlink, "../a.mp4", b"");
    add("a.mp4", EntryType::Regular, "", b"video");
    add("d.mp4", EntryType::Link, "a.mp4", b"");
    let place = Place::new(Form::Tar, &[&tar.into_inner().unwrap()]);
    for _ in 0..2 {
        assert_eq!(place.unpack().unwrap().len(), 4);
        let names = ["a.mp4", "d.mp4", "v/b.mp4", "w/c.mp4"];
        assert_eq!(place.tree(), tree_of(&names.map(|name| (name, "video"))));
    }
    let mut ring = tar::Builder::new(Vec::new());
    for (name, to) in [("a", "b"), ("b", "a")] {
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(EntryType::Symlink);
        ring.append_link(&mut header, name, to).unwrap();
    }
    assert_eq!(why(Place::new(Form::Tar, &[&ring.into_inner().unwrap()]).unpack()), Some(Refusal::Link));
}

#[test]
fn bombs_are_refused_before_anything_is_written() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("zeros", SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated)).unwrap();
    zip.write_all(&vec![0; 8 << 20]).unwrap();
    let bomb = zip.finish().unwrap().into_inner();
    let place = Place::new(Form::Zip, &[&bomb]);
    let refused = place.unpack().unwrap_err();
    assert!(matches!(refused, UnpackError::Bomb { entries: 1, bytes: 8_388_608, .. }), "{refused}");
    // A directory that lies about it: the entry ends where it says.
    let mut liar = bomb.clone();
    let directory = liar.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    for at in [22, directory + 24] {
        liar[at..at + 4].copy_from_slice(&1000u32.to_le_bytes());
    }
    let place_of_liar = Place::new(Form::Zip, &[&liar]);
    let refused = place_of_liar.unpack().unwrap_err();
    assert!(matches!(refused, UnpackError::Damaged { .. } | UnpackError::Refused { .. }), "{refused}");
    // Two entries that share their bytes.
    let mut shared = zip_of(&tree_of(&[("aaaa", &"x".repeat(5000)), ("bbbb", &"y".repeat(5000))]));
    let directory = shared.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let second = directory + 46 + 4;
    let sizes: Vec<u8> = shared[directory + 20..directory + 24].to_vec();
    shared[second + 20..second + 24].copy_from_slice(&sizes.iter().map(|byte| byte | 0x80).collect::<Vec<u8>>());
    let place_of_shared = Place::new(Form::Zip, &[&shared]);
    assert!(matches!(place_of_shared.unpack(), Err(UnpackError::Bomb { .. })));
    for place in [place, place_of_liar, place_of_shared] {
        assert_eq!(place.tree(), Tree::new());
    }
    // Links that would each become a file.
    let mut links = tar_entry("a", EntryType::Regular, "", &[7; 20_000]);
    links.truncate(links.len() - 1024);
    for count in 0..20 {
        links.extend(&tar_entry(&format!("b{count}"), EntryType::Link, "a", b"")[..512]);
    }
    links.extend([0; 1024]);
    let place_of_links = Place::new(Form::Tar, &[&links]);
    assert!(matches!(place_of_links.unpack(), Err(UnpackError::Bomb { bytes: 420_000, .. })));
    assert_eq!(place_of_links.tree().len(), 1);
    // What no disk holds.
    let mut huge = Header::new_gnu();
    huge.set_path("huge").unwrap();
    huge.set_size(1 << 60);
    huge.set_cksum();
    let place = Place::new(Form::Tar, &[huge.as_bytes()]);
    assert_eq!(why(place.unpack()), Some(Refusal::Size));
    assert_eq!(place.tree(), Tree::new());
    // A name as long as the tar.
    let mut tar = tar_entry("././@LongLink", EntryType::GNULongName, "", &vec![b'x'; 2 << 20]);
    tar.truncate(tar.len() - 1024);
    assert_eq!(why(Place::new(Form::Tar, &[&tar]).unpack()), Some(Refusal::Header));
}

#[test]
fn what_is_not_whole_is_said_so() {
    let files = tree_of(&[("a", &"x".repeat(3000)), ("b", "y")]);
    let message = |form, pieces: &[&[u8]]| Place::new(form, pieces).unpack().unwrap_err().to_string();
    let (zip, tar) = (zip_of(&files), tar_of(&files));
    message(Form::Zip, &[&zip[..zip.len() - 30]]);
    assert!(message(Form::Tar, &[&tar[..tar.len() - 1024]]).contains("a piece is missing"));
    assert!(message(Form::Tar, &[&tar[..1000]]).contains("another size"));
    assert!(message(Form::Zip, &[b"<html>not a ZIP</html>"]).contains("cannot be unpacked"));
    assert!(message(Form::Tar, &[&[b'<'; 600]]).contains("cannot be unpacked"));
    let mut spoilt = zip;
    let at = spoilt.windows(9).position(|window| window == b"xxxxxxxxx").unwrap();
    spoilt[at] = b'z';
    let place = Place::new(Form::Zip, &[&spoilt]);
    assert!(place.unpack().unwrap_err().to_string().contains('a'), "the wrong checksum of `a`");
    assert!(!place.tree().contains_key("a"));
    let twice = [tar_entry("a", EntryType::Regular, "", b"x"), tar_entry("a", EntryType::Regular, "", b"y")];
    let mut tar = twice[0].clone();
    tar.truncate(1024);
    tar.extend(&twice[1]);
    assert_eq!(why(Place::new(Form::Tar, &[&tar]).unpack()), Some(Refusal::Twice));
}

#[test]
fn what_is_there_and_is_something_else_is_not_touched() {
    for (form, archive) in [(Form::Zip, zip_of as fn(&Tree) -> Vec<u8>), (Form::Tar, tar_of)] {
        for other in ["other", "abc", ""] {
            let place = Place::new(form, &[&archive(&tree_of(&[("a/b.mp4", "video"), ("c", "c")]))]);
            fs::create_dir_all(place.root().join("a")).unwrap();
            fs::write(place.root().join("a/b.mp4"), other).unwrap();
            assert!(matches!(place.unpack(), Err(UnpackError::Differs { .. })), "{other}");
            assert_eq!(place.tree()["a/b.mp4"], other.as_bytes());
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let name = "[a-c]{1,2}(/[a-c.]{1,3}x){0,2}/[a-z]{1,8}[.]mp4";
    proptest::collection::btree_map(name, proptest::collection::vec(any::<u8>(), 0..3000), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_interrupted_run_is_finished_by_the_next(
        files in trees(), stops in proptest::collection::vec(0u64..8000, 0..4), is_zip: bool, cut in 0usize..9999,
    ) {
        let place = match is_zip {
            true => Place::new(Form::Zip, &[&zip_of(&files)]),
            false => {
                let tar = tar_of(&files);
                let (one, two) = tar.split_at(cut % tar.len());
                Place::new(Form::Tar, &[one, two])
            }
        };
        for stop in stops {
            // As a kill would leave it.
            let _ = place.unpack_until(stop);
            let unfinished = place.root().join(target::UNFINISHED);
            let _ = fs::create_dir_all(place.root()).and_then(|()| fs::write(unfinished, "x"));
            for (path, bytes) in place.tree() {
                prop_assert!(path == target::UNFINISHED || files.get(&path) == Some(&bytes), "{} is half", path);
            }
        }
        place.unpack().unwrap();
        let mut tree = place.tree();
        tree.remove(target::UNFINISHED);
        prop_assert_eq!(tree, files);
    }

    #[test]
    fn damage_never_leads_outside_nor_to_more_than_was_stated(
        files in trees(), spoils in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
        is_zip: bool, end in any::<proptest::sample::Index>(),
    ) {
        let mut archive = if is_zip { zip_of(&files) } else { tar_of(&files) };
        for (at, byte) in spoils {
            // Most of the interesting bytes of a ZIP are at its end.
            let (from_end, from_start) = (at.index(archive.len().min(400)), at.index(archive.len()));
            let at = if is_zip { archive.len() - 1 - from_end } else { from_start };
            archive[at] = byte;
        }
        archive.truncate(archive.len() - end.index(archive.len() / 8 + 1));
        let place = Place::new(if is_zip { Form::Zip } else { Form::Tar }, &[&archive]);
        let _ = place.unpack();
        let bytes: u64 = place.tree().values().map(|bytes| bytes.len() as u64).sum();
        prop_assert!(bytes <= (archive.len() as u64 * MAX_RATIO).max(1 << 20));
    }
}
