//! Several outputs of one run joined into one, with each id in it once.
//!
//! In an output the last record of an id counts. Of several outputs, one that has an answer counts before one that
//! failed; two that have answers must have the same. Records are copied byte by byte.

mod error;
mod gather;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use error::Error;
use gather::{Found, Gathered};

use super::journal::{self, Lock, check, same_file, sync_folder};
use super::shard::Shard;

/// What is joined, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// The ids of all inputs, in order, where they are known.
    pub ids: Option<&'a [String]>,
    /// The run that is meant; may be left out where there is one.
    pub digest: Option<&'a str>,
    /// Whether a file may be replaced.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// The run; `None` if there was no record.
    pub digest: Option<String>,
    /// Records in the joined output.
    pub records: usize,
    /// Of these, those of inputs that failed.
    pub failed: usize,
    /// Inputs that several outputs have the same answers of.
    pub doubled: usize,
    /// Records of other runs, which were left out.
    pub of_other_runs: usize,
    /// Ids of inputs without a record; empty where inputs are not known.
    pub missing: Vec<String>,
    /// Ids that no input has; their records come last. Empty where inputs are not known.
    pub unknown: Vec<String>,
    /// Shares of the inputs that no record is of; where inputs are known, only those that hold some without a record.
    pub missing_shards: Vec<Shard>,
    /// Outputs whose last record was torn, which was left out, and its length in bytes.
    pub torn: Vec<(PathBuf, u64)>,
}

/// Joins `outputs` into `into`, in the order of the ids, or else in that of their first records. It appears when it is
/// whole.
///
/// # Errors
/// What is no output, or holds several runs; an id with different answers; a file that is there already, or would be
/// joined into itself. Nothing is written then.
pub fn merge(outputs: &[PathBuf], options: Options<'_>, into: &Path) -> Result<Merged, Error> {
    check(into)?;
    if outputs.iter().any(|output| same_file(output, into)) {
        return Err(Error::Itself { path: into.to_owned() });
    }
    if !options.force && into.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: into.to_owned() });
    }
    // Nobody may be writing the file that is replaced.
    let _lock = Lock::take(into)?;
    let mut gathered = Gathered::read(outputs, options.digest)?;
    let mut merged = Merged { of_other_runs: other_runs(&gathered, options)?, ..Merged::default() };
    merged.missing_shards = missing_shards(&gathered, options.ids)?;
    (merged.digest, merged.doubled) = (gathered.digest.take(), gathered.doubled);
    merged.torn = std::mem::take(&mut gathered.torn);
    let ordered = ordered(&mut gathered, options.ids, &mut merged);
    merged.records = ordered.len();
    merged.failed = ordered.iter().filter(|(_, found)| !found.status.is_done()).count();
    let failed = || journal::Error::write(into);
    let mut file = BufWriter::new(begin(into).map_err(failed())?);
    for (id, found) in &ordered {
        let line = gathered.line(id, found)?;
        file.write_all(&line).map_err(failed())?;
    }
    let file = file.into_inner().map_err(|error| failed()(error.into_error()))?;
    finish(file, into, options.force)?;
    Ok(merged)
}

/// How many records are of other runs than the one that is meant.
fn other_runs(gathered: &Gathered<'_>, options: Options<'_>) -> Result<usize, Error> {
    let digests = || {
        let mut digests: Vec<_> = gathered.digests.clone().into_iter().collect();
        digests.sort_by(|(_, a), (_, b)| b.cmp(a));
        digests
    };
    let all: usize = gathered.digests.values().sum();
    match options.digest {
        None if gathered.digests.len() > 1 => Err(Error::SeveralRuns { digests: digests() }),
        None => Ok(0),
        Some(digest) => match gathered.digests.get(digest) {
            None if all > 0 => Err(Error::NoSuchRun { digest: digest.to_owned(), found: digests() }),
            meant => Ok(all - meant.unwrap_or(&0)),
        },
    }
}

/// The shares that are not there. Several divisions are only as good as one where each input can be looked for; and
/// where a run over all inputs went on with shares that were joined before, it may have done the others.
fn missing_shards(gathered: &Gathered<'_>, ids: Option<&[String]>) -> Result<Vec<Shard>, Error> {
    let mut divisions = gathered.divisions.iter();
    match (divisions.next(), divisions.next()) {
        (None, _) => Ok(Vec::new()),
        (Some(_), None) if ids.is_none() && gathered.is_undivided => Ok(Vec::new()),
        (Some((&count, (indices, _))), None) => {
            let lacks = |id: &String| !gathered.found.contains_key(id.as_str());
            let holds = |shard: &Shard| ids.is_none_or(|ids| ids.iter().any(|id| shard.holds(id) && lacks(id)));
            let shards = (0..count).map(|index| Shard { index, count });
            Ok(shards.filter(|shard| !indices.contains(&shard.index) && holds(shard)).collect())
        }
        (Some(_), Some(_)) if ids.is_some() => Ok(Vec::new()),
        (Some((&first, (_, one))), Some((&second, (_, other)))) => {
            let (first_path, second_path) = (gathered.path(*one).to_owned(), gathered.path(*other).to_owned());
            Err(Error::SeveralDivisions { first, first_path, second, second_path })
        }
    }
}

/// The records as they will be written: in the order of the inputs, those of unknown ones behind.
fn ordered(gathered: &mut Gathered<'_>, ids: Option<&[String]>, merged: &mut Merged) -> Vec<(Box<str>, Found)> {
    let mut ordered = Vec::with_capacity(gathered.found.len());
    let mut seen = HashSet::new();
    for id in ids.unwrap_or_default() {
        match gathered.found.remove_entry(id.as_str()) {
            Some(found) => ordered.push(found),
            None if seen.contains(id) => {}
            None => merged.missing.push(id.clone()),
        }
        seen.insert(id);
    }
    let mut rest: Vec<_> = gathered.found.drain().collect();
    rest.sort_by_key(|(_, found)| found.order());
    if ids.is_some() {
        merged.unknown = rest.iter().map(|(id, _)| id.to_string()).collect();
    }
    ordered.append(&mut rest);
    ordered
}

/// A file beside the one that it will be.
fn begin(into: &Path) -> io::Result<NamedTempFile> {
    let folder = into.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".merged.").suffix(".part");
    // As any file that a program makes, not as a secret.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn finish(file: NamedTempFile, into: &Path, force: bool) -> Result<(), Error> {
    let failed = || journal::Error::write(into);
    file.as_file().sync_all().map_err(failed())?;
    let persisted = match force {
        true => file.persist(into),
        false => file.persist_noclobber(into),
    };
    match persisted {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::Exists { path: into.to_owned() });
        }
        persisted => persisted.map_err(|error| failed()(error.error))?,
    };
    sync_folder(into);
    Ok(())
}
