//! The published files of the benchmarks, read row by row: which there are, what they hold, and that they hold it.

mod cell;
mod columns;
mod csv_file;
mod error;
mod find;
mod json_file;
mod layout;
mod parquet_file;

use std::path::Path;

pub use self::error::DataError;
use self::layout::Part;
use super::{Benchmark, Row, Split};

/// Rows of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// In the order of parts and files.
    pub rows: Vec<Row>,
    /// Parts that were asked for and whose files are not there.
    pub missing_parts: Vec<&'static str>,
}

/// The names of a benchmark's parts, in the order in which they run; none where it is one table.
pub fn parts(benchmark: Benchmark) -> Vec<&'static str> {
    layout::parts(benchmark, Split::Card).unwrap_or_default().iter().filter_map(|part| part.name).collect()
}

/// The part that a name stands for: in any case, and as the harness's tasks have it, the benchmark's name before it.
///
/// # Errors
/// There is none.
pub fn part_called(benchmark: Benchmark, name: &str) -> Result<&'static str, DataError> {
    let own = name.strip_prefix(benchmark.name()).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
    let all = layout::parts(benchmark, Split::Card).unwrap_or_default();
    let found = all.iter().find(|part| part.is_called(own)).and_then(|part| part.name);
    found.ok_or_else(|| DataError::NoPart { benchmark, name: name.to_owned(), parts: parts(benchmark) })
}

/// The files of each table of a benchmark, within the publisher's folder: the names by which it goes, the first that is
/// there. `*` stands for any text; none where the benchmark has no such split.
pub fn annotation_files(benchmark: Benchmark, split: Split) -> Option<Vec<Vec<String>>> {
    Some(layout::parts(benchmark, split)?.into_iter().map(|part| part.files).collect())
}

/// Reads a benchmark from `data`: the publisher's folder as it was downloaded, or one annotation file.
///
/// With `part`, that part alone. Of a benchmark of several parts, those that are not there are named in the result; at
/// least one has to be.
///
/// # Errors
/// No such split or part, no file, or one that is not as its publisher describes it: the error names file, row and
/// column.
pub fn read(data: &Path, benchmark: Benchmark, split: Split, part: Option<&str>) -> Result<Data, DataError> {
    let mut wanted = layout::parts(benchmark, split).ok_or(DataError::NoSplit { benchmark })?;
    if let Some(name) = part {
        let own = part_called(benchmark, name)?;
        wanted.retain(|part| part.name == Some(own));
    }
    let mut read = Data { rows: Vec::new(), missing_parts: Vec::new() };
    if wanted.len() > 1 && data.is_file() {
        return Err(DataError::SeveralParts { path: data.to_owned(), benchmark, parts: parts(benchmark) });
    }
    let (mut expected, mut is_any_there) = (Vec::new(), false);
    for part in &wanted {
        let files = find::files(data, part)?;
        if files.is_empty() {
            expected.extend(part.files.iter().cloned());
            read.missing_parts.extend(part.name);
            continue;
        }
        is_any_there = true;
        read_part(part, &files, benchmark, &mut read.rows)?;
    }
    match is_any_there {
        true => Ok(read),
        false => Err(DataError::NoFile { dir: data.to_owned(), benchmark, expected }),
    }
}

/// Rows count on over the files of a part, of which publishers cut large ones.
fn read_part(part: &Part, files: &[find::File], benchmark: Benchmark, rows: &mut Vec<Row>) -> Result<(), DataError> {
    let before = rows.len();
    for file in files {
        let mut raw = file.read(part.columns)?;
        for (index, columns) in raw.iter_mut().enumerate() {
            if benchmark == Benchmark::LongVideoBench && file.format == find::Format::Json {
                cell::options_from_candidates(columns).map_err(|wrong| wrong.at(&file.path, index))?;
            }
            cell::check(columns, part.columns).map_err(|wrong| wrong.at(&file.path, index))?;
        }
        let name = part.name.map(str::to_owned);
        let row = |(row, columns)| Row { row, part: name.clone(), columns };
        rows.extend((rows.len() - before..).zip(raw).map(row));
    }
    Ok(())
}
