//! The annotation files on disk: a table may be cut in several, all of which have to be there.

use std::path::{Path, PathBuf};

use super::cell::Raw;
use super::columns::Column;
use super::error::DataError;
use super::layout::Part;
use super::{csv_file, json_file, parquet_file};

/// How a file is written, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Json,
    Csv,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) format: Format,
}

impl File {
    fn at(path: PathBuf) -> Result<Self, DataError> {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Format::Parquet,
            Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            _ => return Err(DataError::UnknownFormat { path }),
        };
        Ok(Self { path, format })
    }

    pub(super) fn read(&self, columns: &[Column]) -> Result<Vec<Raw>, DataError> {
        let io = |source| DataError::Read { path: self.path.clone(), source };
        match self.format {
            Format::Parquet => parquet_file::read(&self.path, std::fs::File::open(&self.path).map_err(io)?, columns),
            Format::Json => json_file::read(&self.path, &std::fs::read(&self.path).map_err(io)?),
            Format::Csv => csv_file::read(&self.path, &std::fs::read(&self.path).map_err(io)?, columns),
        }
    }
}

/// The files of a part in order, or none.
pub(super) fn files(data: &Path, part: &Part) -> Result<Vec<File>, DataError> {
    if data.is_file() {
        return Ok(vec![File::at(data.to_owned())?]);
    }
    for pattern in &part.files {
        let paths = matching(data, pattern)?;
        if !paths.is_empty() {
            return paths.into_iter().map(File::at).collect();
        }
    }
    Ok(Vec::new())
}

/// Files that `pattern` names, complete and in order.
fn matching(data: &Path, pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let path = data.join(pattern);
    let Some((before, after)) = pattern.rsplit('/').next().and_then(|name| name.split_once('*')) else {
        return Ok(path.is_file().then_some(path).into_iter().collect());
    };
    let dir = path.parent().unwrap_or(data);
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let io = |source| DataError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let Ok(name) = entry.map_err(io)?.file_name().into_string() else { continue };
        let middle = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).map(str::to_owned);
        names.extend(middle.map(|middle| (middle, name)));
    }
    names.sort();
    complete(dir, &names)?;
    Ok(names.into_iter().map(|(_, name)| dir.join(name)).collect())
}

/// Refuses a table of which files are missing, by the names that the hub gives them: `00000-of-00003`.
fn complete(dir: &Path, names: &[(String, String)]) -> Result<(), DataError> {
    let Some((_, first)) = names.first() else { return Ok(()) };
    let shards: Vec<_> = names.iter().map(|(middle, _)| shard(middle)).collect();
    let count = shards.iter().map(|shard| shard.map_or(names.len(), |(_, count)| count)).max().unwrap_or(0);
    let each_once = shards.iter().enumerate().all(|(place, &shard)| shard.is_none_or(|shard| shard == (place, count)));
    match each_once && count == names.len() {
        true => Ok(()),
        false => Err(DataError::Incomplete { path: dir.join(first), count, there: names.len() }),
    }
}

/// Which of how many; some names go on with a digest.
fn shard(middle: &str) -> Option<(usize, usize)> {
    let (place, rest) = middle.split_once("-of-")?;
    Some((place.parse().ok()?, rest.split('-').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], pattern: &str) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        for file in files {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let paths = matching(dir.path(), pattern).map_err(|error| error.to_string())?;
        Ok(paths.into_iter().map(name).collect())
    }

    #[test]
    fn cut_tables_are_whole_and_in_order() {
        let two = ["data/test-00001-of-00002.parquet", "data/test-00000-of-00002.parquet", "data/README.md"];
        let names = ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"];
        assert_eq!(found(&two, "data/test-*.parquet").unwrap(), names);
        let digest = ["data/test-00000-of-00001-0123abcd.parquet"];
        assert_eq!(found(&digest, "data/test-*.parquet").unwrap().len(), 1);
        for wrong in [&two[..1], &["data/test-00000-of-00001.parquet", "data/test-00000-of-00001-ab.parquet"]] {
            assert!(found(wrong, "data/test-*.parquet").unwrap_err().contains("of which"));
        }
        assert_eq!(found(&two, "data/validation-*.parquet").unwrap(), Vec::<String>::new());
        assert_eq!(found(&two, "json/x.json").unwrap(), Vec::<String>::new());
        assert_eq!(found(&["data/x.json"], "data/x.json").unwrap(), ["x.json"]);
        assert_eq!(found(&two, "none/test-*.parquet").unwrap(), Vec::<String>::new());
    }
}
