//! The processes that a process has started to read clips, as Linux shows them.

use std::fs;

use super::process::{PATIENCE, wait_for};

/// A process, running or ended and not yet waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relative {
    pub(crate) id: u32,
    parent: u32,
    group: u32,
    /// As `ps` shows it: `Z` for one that has ended.
    pub(crate) state: char,
}

impl Relative {
    /// The process of this number, if there is one.
    pub(crate) fn find(id: u32) -> Option<Self> {
        // The name stands in brackets, whatever is in it.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let mut facts = stat.rsplit_once(") ")?.1.split(' ');
        let state = facts.next()?.chars().next()?;
        let mut number = || facts.next()?.parse().ok();
        Some(Self { id, state, parent: number()?, group: number()? })
    }

    /// Whether it has ended, waited for or not.
    pub(crate) fn has_ended(id: u32) -> bool {
        Self::find(id).is_none_or(|relative| relative.state == 'Z')
    }

    /// Whether both were forked by one nursery.
    pub(crate) fn is_sibling_of(&self, other: &Self) -> bool {
        self.group == other.group && self.nursery().is_some()
    }

    /// The nursery that forked it, unless it was started by itself.
    pub(crate) fn nursery(&self) -> Option<Self> {
        Self::find(self.group).filter(|leader| leader.parent == self.parent && leader.id != self.id)
    }

    pub(crate) fn signal(&self, number: libc::c_int) {
        // SAFETY: takes two numbers.
        unsafe {
            libc::kill(self.id.cast_signed(), number);
        }
    }
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<Relative> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter_map(Relative::find).filter(|relative| relative.parent == parent).collect()
}

/// The children that are nurseries: each has a group of its own, unlike what one starts otherwise.
pub(crate) fn nurseries(parent: u32) -> Vec<Relative> {
    children(parent).into_iter().filter(|child| child.group == child.id && child.state != 'Z').collect()
}

/// The one nursery of a process, as soon as it is there.
#[track_caller]
pub(crate) fn nursery(parent: u32) -> Relative {
    let mut found = None;
    wait_for("a nursery", PATIENCE, || {
        found = nurseries(parent).pop();
        found.is_some()
    });
    found.unwrap()
}

/// The children that a nursery has forked, of a parent that may have others.
pub(crate) fn forked(parent: u32) -> Vec<Relative> {
    let own = Relative::find(parent).map(|relative| relative.group);
    children(parent).into_iter().filter(|child| child.group != child.id && Some(child.group) != own).collect()
}
