//! A file of results, read as a whole: the last record of each row counts.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::error::Category;

use super::record::{Eval, ResultRecord};
use crate::eval::data;

/// The records of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// The last of each row, in the order of the data.
    pub records: Vec<ResultRecord>,
    /// Whether the file ends in the middle of a record, which is left out.
    pub is_torn: bool,
}

impl Results {
    /// What all records have in common: benchmark, harness, split, protocol, scoring.
    pub fn common(&self) -> Option<&Eval> {
        self.records.first().map(|record| &record.eval)
    }
}

/// Results that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file.
    #[error("cannot read the results from `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no record of an evaluation.
    #[error("`{}`, line {line}, is no record of an evaluation: {why}", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// Records of several runs.
    #[error("`{}` holds records of {} runs: {}", path.display(), digests.len(), listed(digests))]
    SeveralRuns {
        /// The file.
        path: PathBuf,
        /// Their digests, and how many records have each.
        digests: Vec<(String, usize)>,
    },
    /// There is no record, or none of this digest.
    #[error("`{}` holds no record{}", path.display(),
        digest.as_ref().map_or_else(String::new, |digest| format!(" of the run {digest}")))]
    Empty {
        /// The file.
        path: PathBuf,
        /// The run that was asked for.
        digest: Option<String>,
    },
}

impl ResultsError {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::SeveralRuns { .. } => Some("name one with `--digest DIGEST`"),
            Self::NotARecord { .. } => Some("`eval` and `eval score` write such files"),
            Self::Read { .. } | Self::Empty { .. } => None,
        }
    }
}

fn listed(digests: &[(String, usize)]) -> String {
    let each: Vec<String> = digests.iter().map(|(digest, records)| format!("{digest} ({records})")).collect();
    each.join(", ")
}

/// Reads the records of one run, that of `digest` where the file holds those of several. A last line that a kill tore
/// is left out.
///
/// # Errors
/// A file that cannot be read, lines that are no records, several runs, or none.
pub fn read(path: &Path, digest: Option<&str>) -> Result<Results, ResultsError> {
    let bytes = std::fs::read(path).map_err(|source| ResultsError::Read { path: path.to_owned(), source })?;
    let mut results = Results { records: Vec::new(), is_torn: false };
    let (mut places, mut digests) = (HashMap::new(), BTreeMap::<String, usize>::new());
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let record: ResultRecord = match serde_json::from_slice(line) {
            Ok(record) => record,
            // What `eval score --json` prints last.
            Err(_) if is_figures(line) => continue,
            Err(error) if !line.ends_with(b"\n") && error.classify() == Category::Eof => {
                results.is_torn = true;
                break;
            }
            Err(error) => {
                let why = error.to_string();
                return Err(ResultsError::NotARecord { path: path.to_owned(), line: index + 1, why });
            }
        };
        *digests.entry(record.digest.clone()).or_default() += 1;
        if digest.is_some_and(|digest| digest != record.digest) {
            continue;
        }
        match places.get(&record.id) {
            Some(&place) => results.records[place] = record,
            None => {
                places.insert(record.id.clone(), results.records.len());
                results.records.push(record);
            }
        }
    }
    if digest.is_none() && digests.len() > 1 {
        return Err(ResultsError::SeveralRuns { path: path.to_owned(), digests: digests.into_iter().collect() });
    }
    if results.records.is_empty() {
        return Err(ResultsError::Empty { path: path.to_owned(), digest: digest.map(str::to_owned) });
    }
    results.records.sort_by(|a, b| order(&a.eval).cmp(&order(&b.eval)));
    Ok(results)
}

fn is_figures(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Figures {
        #[serde(rename = "harness_figures")]
        _figures: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Figures>(line).is_ok()
}

/// That of the data: parts as they run, rows as they stand.
fn order(eval: &Eval) -> (Option<usize>, &Option<String>, usize) {
    let parts = eval.benchmark.map(data::parts).unwrap_or_default();
    let place = parts.iter().position(|&part| eval.part.as_deref() == Some(part));
    (place, &eval.part, eval.row)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::record::tests::record;
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn line(row: usize, digest: &str, answer: &str) -> String {
        let record = ResultRecord { digest: digest.to_owned(), ..record(row, json!({ "answer": answer })) };
        serde_json::to_string(&record).unwrap() + "\n"
    }

    #[test]
    fn the_last_record_of_a_row_counts_and_rows_are_in_order() {
        let text = [line(2, "d", "A"), line(0, "d", "A"), line(2, "d", "B")].concat();
        let (_dir, path) = file(&text);
        let found = read(&path, None).unwrap();
        let answers: Vec<_> =
            found.records.iter().map(|record| (record.eval.row, record.eval.answer.as_deref())).collect();
        assert_eq!((answers, found.is_torn), (vec![(0, Some("A")), (2, Some("B"))], false));
    }

    #[test]
    fn a_torn_end_is_left_out_and_nothing_else() {
        let (whole, next) = (line(0, "d", "A"), line(1, "d", "A"));
        let (_dir, path) = file(&(whole.clone() + &next[..next.len() / 2]));
        let found = read(&path, None).unwrap();
        assert_eq!((found.records.len(), found.is_torn), (1, true));
        for (text, expected) in
            [(format!("{{\n{whole}"), "line 1"), (whole.replace("eval", "evil"), "missing field `eval`")]
        {
            let (_dir, path) = file(&text);
            let error = read(&path, None).unwrap_err();
            assert!(error.to_string().contains(expected) && error.hint().is_some(), "{error}");
        }
    }

    #[test]
    fn runs_are_told_apart() {
        let (_dir, path) = file(&[line(0, "d", "A"), line(0, "e", "B"), line(1, "e", "B")].concat());
        let error = read(&path, None).unwrap_err();
        assert!(error.to_string().ends_with("holds records of 2 runs: d (1), e (2)"), "{error}");
        assert_eq!(read(&path, Some("e")).unwrap().records.len(), 2);
        assert!(read(&path, Some("x")).unwrap_err().to_string().ends_with("holds no record of the run x"));
        assert!(matches!(read(&file("").1, None), Err(ResultsError::Empty { .. } | ResultsError::Read { .. })));
    }
}
