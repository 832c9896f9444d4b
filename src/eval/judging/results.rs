//! A file of results as the place of verdicts: a row's record is written again with what a judge said of it, and the last
//! one counts. What any line of the file holds is never asked again.

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

/// A file of results that this process alone writes verdicts to.
#[derive(Debug)]
pub struct JudgedResults {
    judge: Judge,
    records: Vec<ResultRecord>,
    /// As the file has them.
    written: Vec<ResultRecord>,
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
    #[error("`{}`: {source}", path.display())]
    Tasks {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: TaskError,
    },
}

impl JudgedResults {
    /// Opens a file for the verdicts of `judge`; `digest` names a run where it holds several. What was said before stands
    /// in its records, and what a kill tore off at its end is cut off.
    ///
    /// # Errors
    /// A file that is not one of results of a judged benchmark, that another process has, or that cannot be written.
    pub fn open(path: &Path, digest: Option<&str>, judge: Judge) -> Result<Self, JudgingError> {
        // Before the lock, so that nothing is made beside a file that is not there.
        read(path, digest)?;
        let lock = Lock::take(path)?;
        let found = read(path, digest)?;
        let tasks = tasks(&found.records)
            .map_err(|source| JudgingError::Tasks { path: path.to_owned(), source })?;
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
        let written = found.records.clone();
        let mut results =
            Self { judge, records: found.records, written, tasks, said: said(&bytes), output, _lock: lock };
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
            (0..self.records.len()).filter(|&place| self.records[place] != self.written[place]).collect();
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
            self.written[place] = self.records[place].clone();
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
fn said(bytes: &[u8]) -> HashMap<String, SideVerdict> {
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
