//! What is known of the folder's items: from listing its subfolders, so that a million of them need no look at each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ClaimError, at};
use super::name::{End, Key, Mark, parse, subfolder};
use crate::batch::record::Status;

/// How many subfolders there are.
const FOLDERS: usize = 256;

/// An item as it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// The last step of its history.
    pub(super) step: u32,
    pub(super) state: State,
}

/// What is known of the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is marked: its holder works, or is dead.
    Held,
    /// It may be taken.
    Free,
    /// It ended.
    Done(End),
}

/// The folder as it was last listed.
pub(super) struct Index {
    root: PathBuf,
    items: HashMap<Key, Item>,
    /// When each subfolder was listed.
    listed: [Duration; FOLDERS],
}

impl Index {
    /// Lists the whole folder: errors that it tells now were made before this process joined, and those that may be
    /// tried again are free.
    pub(super) fn new(root: &Path, retry_errors: bool) -> Result<Self, ClaimError> {
        let (items, listed) = (HashMap::new(), [Duration::ZERO; FOLDERS]);
        let mut index = Self { root: root.to_owned(), items, listed };
        for folder in 0..=u8::MAX {
            index.list(folder, Duration::ZERO)?;
        }
        for item in index.items.values_mut() {
            if matches!(item.state, State::Done(end) if end.status == Status::Error && (end.retryable || retry_errors))
            {
                item.state = State::Free;
            }
        }
        Ok(index)
    }

    pub(super) fn get(&self, key: Key) -> Option<Item> {
        self.items.get(&key).copied()
    }

    /// Notes what was seen otherwise.
    pub(super) fn set(&mut self, key: Key, step: u32, state: State) {
        self.items.insert(key, Item { step, state });
    }

    /// Lists a subfolder where that was not done for `every`; says whether it was.
    pub(super) fn refresh(&mut self, folder: u8, now: Duration, every: Duration) -> Result<bool, ClaimError> {
        let due = now.saturating_sub(self.listed[usize::from(folder)]) >= every;
        if due {
            self.list(folder, now)?;
        }
        Ok(due)
    }

    pub(super) fn list(&mut self, folder: u8, now: Duration) -> Result<(), ClaimError> {
        let path = subfolder(&self.root, folder);
        for entry in std::fs::read_dir(&path).map_err(at(&path))? {
            let name = entry.map_err(at(&path))?.file_name();
            if let Some((key, step, mark)) = name.to_str().and_then(parse) {
                self.absorb(key, step, mark);
            }
        }
        self.listed[usize::from(folder)] = now;
        Ok(())
    }

    /// Entries come in any order; what was known of a step stays but for marks of it, and earlier steps are past.
    fn absorb(&mut self, key: Key, step: u32, mark: Option<Mark>) {
        let state = match mark {
            None => State::Held,
            Some(Mark::Released) => State::Free,
            Some(Mark::Done(end)) => State::Done(end),
        };
        let item = self.items.entry(key).or_insert(Item { step, state });
        if step > item.step || (step == item.step && item.state == State::Held) {
            *item = Item { step, state };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: End = End { status: Status::Ok, retryable: false };
    const FAILED: End = End { status: Status::Error, retryable: false };

    fn empty() -> Index {
        let (items, listed) = (HashMap::new(), [Duration::ZERO; FOLDERS]);
        Index { root: PathBuf::new(), items, listed }
    }

    #[test]
    fn only_errors_from_before_are_free() {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in 0..=u8::MAX {
            std::fs::create_dir(subfolder(dir.path(), folder)).expect("a folder");
        }
        let mark = |id: &str, step, mark| {
            std::fs::write(Key::of(id, "").mark(dir.path(), step, mark), "").expect("a file");
        };
        let retryable = End { retryable: true, ..FAILED };
        mark("ok", 2, Mark::Done(OK));
        mark("failed", 2, Mark::Done(FAILED));
        mark("retryable", 2, Mark::Done(retryable));
        let state = |index: &Index, id: &str| index.get(Key::of(id, "")).map(|item| item.state);
        let all = Index::new(dir.path(), true).expect("it lists");
        assert_eq!(state(&all, "failed"), Some(State::Free));
        let mut index = Index::new(dir.path(), false).expect("it lists");
        mark("later", 2, Mark::Done(retryable));
        for folder in 0..=u8::MAX {
            assert!(!index.refresh(folder, Duration::from_secs(1), Duration::from_secs(2)).expect("not yet"));
            assert!(index.refresh(folder, Duration::from_secs(2), Duration::from_secs(2)).expect("it lists"));
        }
        assert_eq!(state(&index, "ok"), Some(State::Done(OK)));
        assert_eq!(state(&index, "failed"), Some(State::Done(FAILED)));
        assert_eq!(state(&index, "retryable"), Some(State::Free));
        assert_eq!(state(&index, "later"), Some(State::Done(retryable)));
        mark("retryable", 4, Mark::Done(retryable));
        index.list(Key::of("retryable", "").folder(), Duration::ZERO).expect("it lists");
        assert_eq!(state(&index, "retryable"), Some(State::Done(retryable)), "somebody tried it again");
    }

    proptest! {
        /// A listing has no order.
        #[test]
        fn the_order_of_entries_does_not_matter(
            last in 1_u32..6,
            marked in proptest::option::of(prop_oneof![Just(Mark::Released), Just(Mark::Done(OK))]),
            order in Just((0_usize..12).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let key = Key::of("a", "b");
            let mut entries = Vec::new();
            for step in 1..last {
                entries.extend([(step, None), (step, Some(Mark::Released))]);
            }
            entries.push((last, None));
            entries.extend(marked.map(|mark| (last, Some(mark))));
            let mut index = empty();
            for (step, mark) in order.into_iter().filter_map(|at| entries.get(at).copied()) {
                index.absorb(key, step, mark);
            }
            let state = match marked {
                None => State::Held,
                Some(Mark::Released) => State::Free,
                Some(Mark::Done(end)) => State::Done(end),
            };
            prop_assert_eq!(index.get(key), Some(Item { step: last, state }));
        }
    }
}
