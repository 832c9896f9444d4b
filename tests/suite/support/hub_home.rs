//! A cache folder of a test, runs of the binary with it, and what must hold of it at any time.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::digest::{git_blob_hex, sha256_hex};
use super::files::golden_checkpoint;
use super::hub::Hub;
use super::run::{Run, command, run};

/// The repository that most tests publish.
pub(crate) const REPO: &str = "owner/video-model";

/// Its weight file, where it has a single one.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// A hub with a golden checkpoint as one repository, a cache, and the repository's commit.
pub(crate) fn hub_with(checkpoint: &str, repo: &str) -> (Hub, HubHome, String) {
    let hub = Hub::start();
    let commit = hub.publish(repo, "main", &golden_checkpoint(checkpoint));
    let home = HubHome::new(&hub);
    (hub, home, commit)
}

/// `HF_HOME` of one test.
pub(crate) struct HubHome {
    path: PathBuf,
    endpoint: String,
    /// Gone with the test.
    _dir: Option<tempfile::TempDir>,
}

impl HubHome {
    pub(crate) fn new(hub: &Hub) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().to_owned(), endpoint: hub.url(), _dir: Some(dir) }
    }

    /// In a folder that is there.
    pub(crate) fn at(path: &Path, hub: &Hub) -> Self {
        Self { path: path.to_owned(), endpoint: hub.url(), _dir: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a dataset.
    pub(crate) fn dataset_folder(&self, repo: &str) -> PathBuf {
        self.path().join("hub").join(format!("datasets--{}", repo.replace('/', "--")))
    }

    /// The binary with this cache and the test's hub. On a busy machine that takes its time, so that patience with it
    /// is long where no test is about a stalled stream.
    pub(crate) fn command<I: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = command();
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command.env_remove("HF_HUB_OFFLINE");
        command.env("HF_HOME", self.path()).env("HF_ENDPOINT", &self.endpoint).env("HF_HUB_DOWNLOAD_TIMEOUT", "60");
        command.args(args);
        command
    }

    pub(crate) fn run<I: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        let run = run(&mut self.command(args));
        self.assert_nothing_half();
        run
    }

    /// As [`Self::run`], with one second of patience.
    pub(crate) fn run_impatiently<I: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        let run = run(self.command(args).env("HF_HUB_DOWNLOAD_TIMEOUT", "1"));
        self.assert_nothing_half();
        run
    }

    /// A repository's folder.
    pub(crate) fn folder(&self, repo: &str) -> PathBuf {
        self.path().join("hub").join(format!("models--{}", repo.replace('/', "--")))
    }

    /// Files in a repository's `blobs`, by name.
    pub(crate) fn blobs(&self, repo: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder(repo).join("blobs"));
        let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// What has arrived of a file.
    pub(crate) fn incomplete(&self, repo: &str) -> Vec<PathBuf> {
        let names = self.blobs(repo).into_iter().filter(|name| name.ends_with(".incomplete"));
        names.map(|name| self.folder(repo).join("blobs").join(name)).collect()
    }

    /// Every blob under its final name has the bytes that its name promises, and every name in a snapshot leads to one.
    #[track_caller]
    pub(crate) fn assert_nothing_half(&self) {
        for repo in std::fs::read_dir(self.path().join("hub")).into_iter().flatten() {
            let repo = repo.unwrap().path();
            for blob in std::fs::read_dir(repo.join("blobs")).into_iter().flatten() {
                let path = blob.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let bytes = std::fs::read(&path).unwrap();
                assert!(
                    name.ends_with(".incomplete") || [git_blob_hex(&bytes), sha256_hex(&bytes)].contains(&name),
                    "{path:?} is not what its name says"
                );
            }
            for snapshot in std::fs::read_dir(repo.join("snapshots")).into_iter().flatten() {
                assert_links(&snapshot.unwrap().path(), "../../blobs");
            }
        }
    }
}

/// Every file of a snapshot is a relative link to a blob.
#[track_caller]
fn assert_links(dir: &Path, blobs: &str) {
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            assert_links(&path, &format!("../{blobs}"));
            continue;
        }
        assert!(path.is_file(), "{path:?} leads nowhere");
        assert!(std::fs::read_link(&path).unwrap().starts_with(blobs), "{path:?} is not relative");
    }
}
