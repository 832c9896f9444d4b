//! A file of results as the place of verdicts: a row's record is written again with what a judge said of it, and the
//! last one counts. What any line of the file holds is never asked again.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::tasks::{TaskError, Tasks, tasks};
use crate::batch::journal::{self, Lock, Output};
use crate::calendar::now;
use crate::eval::judge::{Judged, Persistence, Side, Store, request_key};
use crate::eval::results::{ResultRecord, ResultsError, SideVerdict, read};

/// The judge of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    /// Its name, as it is asked by.
    pub model: String,
    /// Its server.
    pub host: String,
    /// How failures are taken.
    pub persistence: Persistence,
}

/// What a record holds of verdicts.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    verdicts: Vec<SideVerdict>,
    judged_with: Option<usize>,
}

impl Said {
    fn of(record: &ResultRecord) -> Self {
        Self { verdicts: record.eval.verdicts.clone(), judged_with: record.eval.judged_with }
    }
}

/// A file of results that this process alone writes verdicts to.
#[derive(Debug)]
pub struct JudgedResults {
    judge: Judge,
    records: Vec<ResultRecord>,
    /// What the file's last records hold of verdicts.
    written: Vec<Said>,
    tasks: Tasks,
    /// What was said to each request, by whomever.
    said: HashMap<String, SideVerdict>,
    output: Output,
    /// The last to go.
    _lock: Lock,
}

/// Results that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgingError {
    /// The file is not one of results.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Another process has it, or it cannot be written.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// There is nothing to ask.
    #[error("cannot judge `{}`", path.display())]
    Tasks {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: TaskError,
    },
}

impl JudgedResults {
    /// Opens a file for the verdicts of `judge`; `digest` names a run where it holds several. What was said before
    /// stands in its records, and what a kill tore off at its end is cut off.
    ///
    /// # Errors
    /// A file that is not one of results of a judged benchmark, that another process has, or that cannot be written.
    pub fn open(path: &Path, digest: Option<&str>, judge: Judge) -> Result<Self, JudgingError> {
        // Before the lock, so that nothing is made beside a file that is not there.
        read(path, digest)?;
        let lock = Lock::take(path)?;
        let found = read(path, digest)?;
        let tasks = tasks(&found.records).map_err(|source| JudgingError::Tasks { path: path.to_owned(), source })?;
        let bytes = std::fs::read(path).map_err(|source| ResultsError::Read { path: path.to_owned(), source })?;
        let mut output = Output::open(path)?;
        let whole_bytes = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |place| place + 1);
        match found.is_torn {
            true => output.keep(whole_bytes as u64),
            // A file that somebody wrote by hand.
            false if whole_bytes < bytes.len() => {
                output.append(b"\n").map_err(journal::Error::write(path))?;
            }
            false => {}
        }
        let written = found.records.iter().map(Said::of).collect();
        let mut results =
            Self { judge, records: found.records, written, tasks, said: said_of(&bytes), output, _lock: lock };
        for task in 0..results.tasks.all.len() {
            results.attach(task);
        }
        Ok(results)
    }

    /// The records, with what the judge said so far.
    pub fn records(&self) -> &[ResultRecord] {
        &self.records
    }

    /// What is to be asked, whether it was asked already or not.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Writes what was said at other times and does not stand in the last records, and flushes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> std::io::Result<()> {
        let differing: Vec<usize> =
            (0..self.records.len()).filter(|&place| Said::of(&self.records[place]) != self.written[place]).collect();
        for place in differing {
            self.write(&[place])?;
        }
        self.output.sync()
    }

    /// Puts what was said about a task into its records, and gives their places.
    fn attach(&mut self, task: usize) -> Vec<usize> {
        let task = &self.tasks.all[task];
        let place = self.tasks.places[&task.id];
        let verdict = |&side: &Side| {
            let said = self.said.get(&request_key(&self.judge.model, side, &task.question));
            let is_open = SideVerdict { side: side.name().to_owned(), ..SideVerdict::default() };
            said.filter(|said| said.judge.as_deref() == Some(&self.judge.model)).cloned().unwrap_or(is_open)
        };
        let verdicts: Vec<SideVerdict> = task.sides.iter().map(verdict).collect();
        let is_asked = verdicts.iter().any(|verdict| verdict.request.is_some());
        let record = &mut self.records[place];
        record.eval.verdicts = if is_asked { verdicts } else { Vec::new() };
        let row = record.eval.row;
        match self.tasks.second.get(&place) {
            Some(&second) => {
                self.records[second].eval.judged_with = is_asked.then_some(row);
                vec![place, second]
            }
            None => vec![place],
        }
    }

    /// Writes records in one piece.
    fn write(&mut self, places: &[usize]) -> std::io::Result<()> {
        let mut lines = String::new();
        for &place in places {
            lines += &serde_json::to_string(&self.records[place])?;
            lines.push('\n');
        }
        self.output.append(lines.as_bytes())?;
        for &place in places {
            self.written[place] = Said::of(&self.records[place]);
        }
        Ok(())
    }
}

impl Store for JudgedResults {
    /// A reply that cannot be read is one: the judge would say it again.
    fn has(&self, request: &str) -> bool {
        let is_kept = |said: &SideVerdict| match self.judge.persistence {
            Persistence::AsHarness => said.reply.is_some() || said.verdict.is_some(),
            Persistence::Patient { .. } => said.reply.is_some(),
        };
        self.said.get(request).is_some_and(is_kept)
    }

    fn put(&mut self, judged: Vec<Judged>) -> std::io::Result<()> {
        let Some(id) = judged.first().map(|judged| judged.id.clone()) else { return Ok(()) };
        for one in judged {
            let said = SideVerdict {
                side: one.side.name().to_owned(),
                verdict: one.verdict.as_ref().map(|verdict| verdict.record()),
                is_by_failure: one.is_by_failure,
                judge: Some(self.judge.model.clone()),
                host: Some(self.judge.host.clone()),
                request: Some(one.request.clone()),
                reply: one.reply,
                model: one.model,
                requests: one.requests,
                reason: one.reason,
                at: Some(now()),
            };
            self.said.insert(one.request, said);
        }
        // Rows that are the same to the judge have the same request.
        let Some(task) = self.tasks.all.iter().position(|task| task.id == id) else { return Ok(()) };
        let places = self.attach(task);
        self.write(&places)?;
        self.output.sync()
    }
}

/// What lines of a file hold of verdicts, those of records that later ones replaced among them.
fn said_of(bytes: &[u8]) -> HashMap<String, SideVerdict> {
    #[derive(Deserialize)]
    struct Line {
        eval: Verdicts,
    }
    #[derive(Deserialize)]
    struct Verdicts {
        #[serde(default)]
        verdicts: Vec<SideVerdict>,
    }
    let mut all = HashMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        // Whether each line is a record was asked before.
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        for verdict in line.eval.verdicts {
            if let Some(request) = verdict.request.clone() {
                keep(&mut all, request, verdict);
            }
        }
    }
    all
}

/// The later counts, unless it says less: a verdict is not lost to a later attempt that failed.
fn keep(all: &mut HashMap<String, SideVerdict>, request: String, verdict: SideVerdict) {
    let worth = |verdict: &SideVerdict| (verdict.reply.is_some(), verdict.verdict.is_some());
    match all.get(&request) {
        Some(before) if worth(before) > worth(&verdict) => {}
        _ => {
            all.insert(request, verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::eval::judge::Verdict;
    use crate::eval::results::record_of;

    const PATIENT: Persistence = Persistence::Patient { attempts: 1, pause: std::time::Duration::ZERO };

    fn judge(model: &str) -> Judge {
        Judge { model: model.to_owned(), host: "a.example".to_owned(), persistence: PATIENT }
    }

    fn line(row: usize) -> String {
        let handed = json!({ "video_name": "v", "Q": format!("q{row}"), "A": "a", "pred": "p" });
        let eval = json!({ "benchmark": "videodc", "rows": 2, "record": handed, "is_correct": null });
        serde_json::to_string(&record_of(row, eval)).unwrap()
    }

    fn said(results: &JudgedResults, task: usize, reply: Option<&str>, score: Option<i64>) -> Judged {
        let (task, side) = (&results.tasks().all[task], Side::VideoDc);
        Judged {
            id: task.id.clone(),
            side,
            request: request_key(&results.judge.model, side, &task.question),
            verdict: score.map(|score| Verdict { correctness: None, score }),
            is_by_failure: false,
            reply: reply.map(str::to_owned),
            model: None,
            requests: 1,
            reason: None,
        }
    }

    #[test]
    fn verdicts_stand_in_whole_lines_whatever_the_end_was() {
        let (first, second) = (line(0), line(1));
        for text in [format!("{first}\n{second}\n"), format!("{first}\n{second}"), format!("{first}\n{second}\n{{\"id")]
        {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("r.jsonl");
            std::fs::write(&path, text).unwrap();
            let mut results = JudgedResults::open(&path, None, judge("m")).unwrap();
            assert!(JudgedResults::open(&path, None, judge("m")).is_err(), "one process alone");
            let judged = said(&results, 1, Some("{'score': 4}"), Some(4));
            let request = judged.request.clone();
            assert!(!results.has(&request));
            results.put(vec![judged]).unwrap();
            assert!(results.has(&request));
            drop(results);
            let read = read(&path, None).unwrap();
            assert!(!read.is_torn && std::fs::read_to_string(&path).unwrap().lines().count() == 3);
            assert_eq!((read.records[0].eval.verdicts.len(), read.records[1].eval.verdicts.len()), (0, 1));
            // Another judge is asked again; what the first one said is not lost.
            let mut other = JudgedResults::open(&path, None, judge("n")).unwrap();
            assert!(other.records()[1].eval.verdicts.is_empty() && other.has(&request));
            other.finish().unwrap();
            drop(other);
            let first = JudgedResults::open(&path, None, judge("m")).unwrap();
            assert_eq!(first.records()[1].eval.verdicts[0].reply.as_deref(), Some("{'score': 4}"));
        }
    }

    #[test]
    fn a_failed_attempt_takes_no_verdict_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        std::fs::write(&path, format!("{}\n", line(0))).unwrap();
        let mut results = JudgedResults::open(&path, None, judge("m")).unwrap();
        let (good, bad) = (said(&results, 0, Some("{'score': 4}"), Some(4)), said(&results, 0, None, None));
        let request = good.request.clone();
        results.put(vec![bad.clone()]).unwrap();
        assert!(!results.has(&request), "nothing was said");
        results.put(vec![good]).unwrap();
        drop(results);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(said_in(&[lines[0], lines[2], lines[1]].join("\n")), Some(4));
        assert_eq!(said_in(&text), Some(4));
    }

    fn said_in(text: &str) -> Option<i64> {
        let verdict = said_of(text.as_bytes()).into_values().next()?.verdict?;
        verdict.get("score")?.as_i64()
    }
}
