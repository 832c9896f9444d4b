//! A folder with the videos of a benchmark, and runs of `eval` in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::batch::workplace::{CLIPS, Workplace};
use crate::support::process::Running;
use crate::support::{Run, clip, fixtures, run};

/// A folder; gone with the test.
pub(super) struct Desk(pub(super) Workplace);

impl Desk {
    pub(super) fn new() -> Self {
        let place = Workplace::new();
        std::fs::create_dir(place.path("videos")).unwrap();
        Self(place)
    }

    fn args<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["--videos", "videos", "-o", "out.jsonl"], args].concat()
    }

    /// A run to its end.
    pub(super) fn eval(&self, args: &[&str]) -> Run {
        run(&mut self.0.command("eval", &Self::args(args)))
    }

    /// A run whose end is not waited for.
    pub(super) fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.0.command("eval", &Self::args(args)))
    }

    /// The last record of each row.
    pub(super) fn records(&self) -> BTreeMap<String, Value> {
        let records = self.0.records("out.jsonl");
        records.into_iter().map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect()
    }

    /// Puts clips of the demo model where records say that videos were looked for; how many.
    pub(super) fn put_missing_videos(&self) -> usize {
        let mut count = 0;
        for record in self.records().values().filter(|record| record["error"]["kind"] == "no-video") {
            let message = record["error"]["message"].as_str().unwrap();
            let path = self.0.as_ref().join(message.split(": no such file").next().unwrap());
            if !path.exists() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::copy(clip(CLIPS[count % CLIPS.len()]), path).unwrap();
                count += 1;
            }
        }
        count
    }
}

/// The object that `--json` prints.
#[track_caller]
pub(super) fn object(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// Invented rows in a benchmark's published format.
pub(super) fn data(folder: &str) -> PathBuf {
    fixtures().join("eval/fixtures").join(folder)
}

/// A path as an argument.
pub(super) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
