//! VideoMME as its publisher has it, with small videos: on a hub, and fetched to a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::archives::{Files, zip_of};
use crate::support::hub::Hub;
use crate::support::hub_home::HubHome;
use crate::support::process::Running;
use crate::support::{Run, fixtures};

pub(crate) const REPO: &str = "lmms-eval/Video-MME";
pub(crate) const TABLE: &str = "videomme/test-00000-of-00001.parquet";
pub(crate) const FIRST: &str = "videos_chunked_01.zip";
pub(crate) const SECOND: &str = "videos_chunked_02.zip";
pub(crate) const SUBTITLES: &str = "subtitle.zip";

/// A hub with the benchmark, a cache, and a folder to fetch to.
pub(crate) struct Shelf {
    pub(crate) hub: Hub,
    pub(crate) home: HubHome,
    dir: tempfile::TempDir,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With other files than the usual ones.
    pub(crate) fn with(change: impl FnOnce(&mut Files)) -> Self {
        let hub = Hub::start();
        let mut files = published();
        change(&mut files);
        hub.publish_dataset(REPO, "main", files);
        Self { home: HubHome::new(&hub), hub, dir: tempfile::tempdir().unwrap() }
    }

    /// The folder that the benchmark is fetched to.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn args(&self, extra: &[&str]) -> Vec<String> {
        let data = self.data().into_os_string().into_string().unwrap();
        let args = ["eval", "fetch", "videomme", "--data", &data];
        args.iter().chain(extra).map(|&arg| arg.to_owned()).collect::<Vec<_>>()
    }

    pub(crate) fn fetch(&self, extra: &[&str]) -> Run {
        let run = self.home.run(self.args(extra));
        self.assert_nothing_outside();
        run
    }

    pub(crate) fn start(&self, extra: &[&str]) -> Running {
        Running::start(&mut self.home.command(self.args(extra)))
    }

    /// All files in the folder but the records.
    pub(crate) fn tree(&self) -> Files {
        let mut tree = Files::new();
        collect(&self.data(), "", &mut tree);
        tree.retain(|name, _| !name.starts_with(".fetched/"));
        tree
    }

    /// The records of archives that count as whole.
    pub(crate) fn records(&self) -> usize {
        let mut records = Files::new();
        collect(&self.data().join(".fetched"), "", &mut records);
        records.keys().filter(|name| name.ends_with(".jsonl")).count()
    }

    #[track_caller]
    pub(crate) fn assert_nothing_outside(&self) {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| name == "data"), "something is outside of the folder");
    }
}

/// The videos that the rows of the fixture are about, and one that none is about.
pub(crate) fn videos() -> Files {
    let rows = llava_video::eval::data::read(
        &fixtures().join("eval/fixtures/videomme"),
        llava_video::eval::Benchmark::VideoMme,
        llava_video::eval::Split::Card,
        None,
    );
    let name = |row: &llava_video::eval::Row| format!("data/{}.mp4", row.text("videoID").unwrap());
    let mut files: Files = rows.unwrap().rows.iter().map(|row| (name(row), name(row).into_bytes())).collect();
    files.insert("data/no row's.mp4".to_owned(), vec![7; 120_000]);
    files
}

/// The files of the repository.
pub(crate) fn published() -> Files {
    let (mut second, mut first): (Files, Files) = videos().into_iter().partition(|(name, _)| name.contains("no row's"));
    second.extend(first.pop_last());
    let subtitles = Files::from([("subtitle/a.srt".to_owned(), b"1".to_vec())]);
    let table = fs::read(fixtures().join("eval/fixtures/videomme").join(TABLE)).unwrap();
    Files::from([
        ("README.md".to_owned(), b"about it".to_vec()),
        (TABLE.to_owned(), table),
        (FIRST.to_owned(), zip_of(&first)),
        (SECOND.to_owned(), zip_of(&second)),
        (SUBTITLES.to_owned(), zip_of(&subtitles)),
    ])
}

/// What the folder holds in the end.
pub(crate) fn whole() -> Files {
    let table = fs::read(fixtures().join("eval/fixtures/videomme").join(TABLE)).unwrap();
    let inside = |(name, bytes): (String, Vec<u8>)| (format!("videomme/{name}"), bytes);
    let mut files: Files = videos().into_iter().map(inside).collect();
    files.insert("videomme/subtitle/a.srt".to_owned(), b"1".to_vec());
    files.insert(TABLE.to_owned(), table);
    files
}

/// All files below a folder, links followed. One that is gone before it is read was on its way elsewhere.
pub(crate) fn collect(dir: &Path, before: &str, files: &mut Files) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = format!("{before}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => collect(&path, &format!("{name}/"), files),
            false => match fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                read => drop(files.insert(name, read.unwrap())),
            },
        }
    }
}
