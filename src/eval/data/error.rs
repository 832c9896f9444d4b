//! What can be wrong with a benchmark's files.

use std::path::PathBuf;

use crate::eval::Benchmark;

/// A benchmark that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It has no such split.
    #[error("{benchmark} has no test split of its own")]
    NoSplit {
        /// The benchmark.
        benchmark: Benchmark,
    },
    /// It has no such part.
    #[error("{benchmark} has no part `{name}`{}", parts_there_are(parts))]
    NoPart {
        /// The benchmark.
        benchmark: Benchmark,
        /// What was asked for.
        name: String,
        /// The parts that it has.
        parts: Vec<&'static str>,
    },
    /// One file, and a benchmark of several.
    #[error("`{}` is one file, and {benchmark} has several: name its part, one of {}", path.display(),
        parts.join(", "))]
    SeveralParts {
        /// The file.
        path: PathBuf,
        /// The benchmark.
        benchmark: Benchmark,
        /// Its parts.
        parts: Vec<&'static str>,
    },
    /// None of its files is there.
    #[error("`{}` holds no annotation file of {benchmark}: expected {}", dir.display(), expected.join(" or "))]
    NoFile {
        /// The folder.
        dir: PathBuf,
        /// The benchmark.
        benchmark: Benchmark,
        /// Names within the folder, `*` for any text.
        expected: Vec<String>,
    },
    /// A table that was cut in files, not all of which are there.
    #[error("`{}` is one of {count} files, of which {there} are there", path.display())]
    Incomplete {
        /// The first that is there.
        path: PathBuf,
        /// How many there should be.
        count: usize,
        /// How many there are.
        there: usize,
    },
    /// A name that says no known format.
    #[error("`{}` is none of .parquet, .json and .csv", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file that is not in its format.
    #[error("cannot read `{}`{}: {message}", path.display(), at_row(*row))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0, where it is known.
        row: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// A column that has to be there.
    #[error("`{}`{}: no column `{column}`", path.display(), at_row(*row))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0, where rows have their own columns.
        row: Option<usize>,
        /// The column.
        column: String,
    },
    /// A value of another type.
    #[error("`{}`, row {row}: column `{column}` is {found}, expected {expected}", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0.
        row: usize,
        /// The column.
        column: String,
        /// What the benchmark's publisher says.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
}

fn at_row(row: Option<usize>) -> String {
    row.map_or_else(String::new, |row| format!(", row {row}"))
}

fn parts_there_are(parts: &[&str]) -> String {
    match parts {
        [] => ": it is one table".to_owned(),
        parts => format!(": expected one of {}", parts.join(", ")),
    }
}
