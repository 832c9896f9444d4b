//! Why an output cannot be read, taken or written.

use std::fmt;
use std::path::{Path, PathBuf};

use super::holder::Holder;
use crate::batch::shard::Shard;
use crate::size::counted;

/// How many digests or ids a message names.
const NAMED: usize = 3;

/// What can go wrong with an output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder, a pipe or a device, which cannot be resumed.
    #[error("cannot write records to `{}`: it is not a regular file", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file could not be made, cut or removed.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A record could not be written.
    #[error("cannot write to `{}`: {} of this run {} in it, {}", path.display(), counted(*written, "record"),
        if *written == 1 { "is" } else { "are" },
        if *half { "and half a record, which the next run cuts off" } else { "each whole, and nothing half is left" })]
    Append {
        /// The output.
        path: PathBuf,
        /// Records that this run wrote before.
        written: usize,
        /// Whether what was written of this record could not be taken back.
        half: bool,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Records were written, and whether they are on the disk is not known.
    #[error("cannot flush `{}`: the last {} may be lost", path.display(), counted(*unflushed, "record"))]
    Flush {
        /// The output.
        path: PathBuf,
        /// Records since it was flushed last.
        unflushed: usize,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Something else than a record, where no kill can have left it.
    #[error("line {line} of `{}` is not a record of a batch: {why}", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has the output.
    #[error("`{}` is being written by {}", path.display(), Shown(holder.as_ref()))]
    Held {
        /// The output.
        path: PathBuf,
        /// The lock beside it.
        lock: PathBuf,
        /// Who has it, where that is known.
        holder: Option<Holder>,
        /// Whether the system says that the holder lives; a mere file may be a dead process's.
        certain: bool,
    },
    /// Records of a run with another model, other arithmetic or other options.
    #[error("`{}` holds records of another run than this one ({digest}): {}", path.display(), shown_digests(others))]
    OtherRun {
        /// The output.
        path: PathBuf,
        /// Of this run.
        digest: String,
        /// The other digests, and how many records have each.
        others: Vec<(String, usize)>,
    },
    /// Inputs that were asked something else when their records were written.
    #[error("`{}` holds records of {} under the same id: {}", path.display(), counted(*count, "changed input"),
        shown_ids(ids, *count))]
    ChangedInputs {
        /// The output.
        path: PathBuf,
        /// The first few.
        ids: Vec<String>,
        /// How many.
        count: usize,
    },
    /// The inputs were divided otherwise, or this output is another share's.
    #[error("`{}` was written with {} (line {line}), this run has {}", path.display(), shown_shard(*stored),
        shown_shard(*own))]
    OtherShard {
        /// The output.
        path: PathBuf,
        /// The first line that says so, counted from 1.
        line: usize,
        /// What it says.
        stored: Option<Shard>,
        /// This run's.
        own: Option<Shard>,
    },
    /// The file is not what it was when it was read first.
    #[error("`{}` changed while it was used: the record of `{id}` is gone", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Whose record it was.
        id: String,
    },
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotAFile { .. } => "name a file, such as `-o out.jsonl`",
            Self::Append { source, .. } | Self::Flush { source, .. } | Self::Write { source, .. }
                if crate::disk::is_full(source) =>
            {
                "make room, then run the same command again: it goes on where it stopped"
            }
            Self::NotARecord { .. } => {
                "if it is a batch's output, remove that line, and its input runs again, or start over with `--force`"
            }
            Self::Held { certain: true, .. } => "wait until it has finished, or stop it",
            Self::Held { lock, .. } => {
                return Some(format!("if that process is gone, remove `{}`", lock.display()));
            }
            Self::OtherRun { .. } => {
                "the model, the arithmetic or an option is another: `--new-digest` appends this run's records, \
                 `--force` starts over"
            }
            Self::ChangedInputs { .. } => "`--new-digest` appends their new records, `--force` starts over",
            Self::OtherShard { .. } => {
                "give `--shard` as before, none to go on with what `batch merge` joined, or another output; `--force` \
                 starts over"
            }
            Self::Changed { .. } => "run the same command again",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// For `map_err`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    /// For `map_err`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}

struct Shown<'a>(Option<&'a Holder>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => holder.fmt(f),
            None => f.write_str("another process"),
        }
    }
}

/// `12 records of 0123 and 1 record of 4567`.
pub(crate) fn shown_digests(digests: &[(String, usize)]) -> String {
    let named = digests.iter().take(NAMED).map(|(digest, count)| format!("{} of {digest}", counted(*count, "record")));
    listed(named.collect(), digests.len())
}

fn shown_ids(ids: &[String], count: usize) -> String {
    listed(ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect(), count)
}

fn listed(mut named: Vec<String>, count: usize) -> String {
    match (count.saturating_sub(named.len()), named.pop()) {
        (_, None) => "none".to_owned(),
        (0, Some(last)) if named.is_empty() => last,
        (0, Some(last)) => format!("{} and {last}", named.join(", ")),
        (more, Some(last)) => {
            named.push(last);
            format!("{} and {more} more", named.join(", "))
        }
    }
}

fn shown_shard(shard: Option<Shard>) -> String {
    shard.map_or_else(|| "no shards".to_owned(), |shard| format!("shard {shard}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_a_few_and_count_the_rest() {
        let changed = |count: usize| {
            let ids = (0..count.min(NAMED)).map(|id| id.to_string()).collect();
            Error::ChangedInputs { path: "out.jsonl".into(), ids, count }.to_string()
        };
        assert_eq!(changed(1), "`out.jsonl` holds records of 1 changed input under the same id: `0`");
        assert_eq!(changed(3), "`out.jsonl` holds records of 3 changed inputs under the same id: `0`, `1` and `2`");
        let many = "`out.jsonl` holds records of 9 changed inputs under the same id: `0`, `1`, `2` and 6 more";
        assert_eq!(changed(9), many);
        let others = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
        let other = Error::OtherRun { path: "out.jsonl".into(), digest: "c".to_owned(), others };
        let text = "`out.jsonl` holds records of another run than this one (c): 1 record of a and 2 records of b";
        assert_eq!(other.to_string(), text);
        assert!(other.hint().is_some_and(|hint| hint.contains("--new-digest") && hint.contains("--force")));
    }

    #[test]
    fn a_full_disk_says_what_is_written_and_that_the_run_can_go_on() {
        let full = |half| Error::Append {
            path: "out.jsonl".into(),
            written: 1,
            half,
            source: std::io::ErrorKind::StorageFull.into(),
        };
        let text = "cannot write to `out.jsonl`: 1 record of this run is in it, each whole, and nothing half is left";
        assert_eq!(full(false).to_string(), text);
        assert!(full(true).to_string().ends_with("and half a record, which the next run cuts off"));
        assert!(full(false).hint().is_some_and(|hint| hint.contains("make room")));
    }
}
