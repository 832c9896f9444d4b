//! How items and the steps of their history are named in the folder.

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::record::{Head, Status};

/// An input in the folder: a hash of its id and of its digest, so that one that was changed is another item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn of(id: &str, job: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(id.len() as u64).to_le_bytes()).update(id.as_bytes()).update(job.as_bytes());
        let hash = hasher.finalize();
        let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        Self(u128::from_be_bytes(*first))
    }

    /// Which of the 256 subfolders it is in: the first two of its digits.
    pub(super) fn folder(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Where a step of its history is.
    pub(super) fn step(self, root: &Path, step: u32) -> PathBuf {
        subfolder(root, self.folder()).join(format!("{self}.{step}"))
    }

    /// Where it is marked how a step ended.
    pub(super) fn mark(self, root: &Path, step: u32, mark: Mark) -> PathBuf {
        subfolder(root, self.folder()).join(format!("{self}.{step}.{}", mark.word()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

pub(super) fn subfolder(root: &Path, folder: u8) -> PathBuf {
    root.join(format!("{folder:02x}"))
}

/// How an input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// What came of it.
    pub status: Status,
    /// Of an error: whether another attempt may succeed.
    pub retryable: bool,
}

impl From<&Head> for End {
    fn from(head: &Head) -> Self {
        Self { status: head.status, retryable: head.error.as_ref().is_some_and(|error| error.retryable) }
    }
}

/// What is marked of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its record is in the holder's output.
    Done(End),
    /// Its holder gave it back.
    Released,
}

/// Every mark has a name of its own, so that listing a folder tells all of its items without opening one.
const MARKS: [(&str, Mark); 6] = [
    ("ok", Mark::Done(End { status: Status::Ok, retryable: false })),
    ("truncated", Mark::Done(End { status: Status::Truncated, retryable: false })),
    ("skipped", Mark::Done(End { status: Status::Skipped, retryable: false })),
    ("error", Mark::Done(End { status: Status::Error, retryable: false })),
    ("retryable", Mark::Done(End { status: Status::Error, retryable: true })),
    ("released", Mark::Released),
];

impl Mark {
    /// As the folder can tell it: only an error can be worth another attempt.
    pub(super) fn done(end: End) -> Self {
        Self::Done(End { retryable: end.retryable && end.status == Status::Error, ..end })
    }

    /// All ends that can be marked.
    pub(super) fn ends() -> impl Iterator<Item = End> {
        MARKS.iter().filter_map(|(_, mark)| match mark {
            Self::Done(end) => Some(*end),
            Self::Released => None,
        })
    }

    fn word(self) -> &'static str {
        MARKS.iter().find(|(_, mark)| *mark == self).map_or("error", |(word, _)| word)
    }
}

/// Takes the name of an entry apart; `None` for one that is of no item.
pub(super) fn parse(name: &str) -> Option<(Key, u32, Option<Mark>)> {
    let mut parts = name.split('.');
    let key = parts.next().filter(|key| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let key = Key(u128::from_str_radix(key, 16).ok()?);
    let step = parts.next().filter(|step| step.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let mark = match parts.next() {
        Some(word) => Some(MARKS.iter().find(|(known, _)| *known == word)?.1),
        None => None,
    };
    parts.next().is_none().then_some((key, step, mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_have_names_of_their_own_and_are_read_again() {
        let key = Key::of("a", "b");
        let root = Path::new("claims");
        for (word, mark) in MARKS {
            let path = key.mark(root, 7, mark);
            let name = path.file_name().and_then(|name| name.to_str()).expect("text");
            assert!(name.ends_with(word) && path.starts_with(subfolder(root, key.folder())), "{name}");
            assert_eq!(parse(name), Some((key, 7, Some(mark))));
        }
        let end = End { status: Status::Ok, retryable: true };
        assert_eq!(Mark::done(end).word(), "ok");
        let name = key.to_string();
        assert_eq!(parse(&format!("{name}.3")), Some((key, 3, None)));
        let (short, unknown) = (format!("{}.1", &name[1..]), format!("{name}.1.done"));
        for wrong in ["", "a", "a.1", &name, &short, &format!("{name}.+1"), &format!("{name}.x"), &unknown] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse(&format!("{name}.1.ok.1")), None);
    }

    #[test]
    fn a_changed_input_is_another_item() {
        let keys = [Key::of("a", "bc"), Key::of("ab", "c"), Key::of("abc", ""), Key::of("a", "bd")];
        assert!(keys.iter().enumerate().all(|(i, key)| !keys[..i].contains(key)));
    }

    proptest! {
        #[test]
        fn no_name_is_read_but_as_it_is_written(name in "\\PC{0,50}|[0-9a-f]{32}\\.[0-9]{1,3}(\\.[a-z]{2,9})?") {
            if let Some((key, step, mark)) = parse(&name) {
                let root = Path::new("");
                let path = mark.map_or_else(|| key.step(root, step), |mark| key.mark(root, step, mark));
                // A leading zero of the step is another name of nothing that is ever made.
                prop_assert!(path.ends_with(&name) || name.contains(".0"));
            }
        }
    }
}
