//! What a process holds, and the votes by which it gets it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ClaimError, at};
use super::holder::{Holder, Stencil};
use super::index::{Index, Item, State};
use super::name::{End, Key, Mark};
use super::outputs::Outputs;
use super::watch::Watch;
use super::{Lease, Pace, Permit, Taken, folder, pulse};

/// A process's side of the folder.
pub(super) struct Book {
    root: PathBuf,
    this: Holder,
    /// Of steps at which this process works.
    works: Stencil,
    /// Of steps at which it writes.
    writes: Stencil,
    /// What it holds.
    own: HashMap<Key, Own>,
    index: Index,
    watch: Watch,
    outputs: Outputs,
    /// A subfolder is not listed more often than this for what others hold.
    every: Duration,
}

/// The last step of an item that is ours.
struct Own {
    step: u32,
    writes: bool,
}

/// What is to be done about an item that somebody holds.
enum Fate {
    Alive,
    /// It wrote its record before it died.
    Done(End),
    Dead,
}

impl Book {
    pub(super) fn new(
        root: &Path,
        digest: &str,
        this: Holder,
        pace: Pace,
        retry_errors: bool,
    ) -> Result<Self, ClaimError> {
        let workers = folder::workers(root);
        let works = Stencil::new(&workers, this.clone())?;
        folder::check_links(root, works.path(), &this.worker)?;
        Ok(Self {
            works,
            writes: Stencil::new(&workers, Holder { writes: true, ..this.clone() })?,
            index: Index::new(root, retry_errors)?,
            watch: Watch::new(pace.heartbeat, pace.stale),
            outputs: Outputs::new(digest),
            every: pace.heartbeat / 2,
            own: HashMap::new(),
            root: root.to_owned(),
            this,
        })
    }

    /// `now` and `awake` are as in [`Watch::is_dead`].
    pub(super) fn take(&mut self, key: Key, now: Duration, awake: Option<Duration>) -> Result<Taken, ClaimError> {
        loop {
            let step = match self.index.get(key) {
                None => 0,
                Some(Item { state: State::Done(end), .. }) => return Ok(Taken::Done(end)),
                Some(Item { state: State::Free, step }) => step,
                Some(_) if self.own.contains_key(&key) => return Ok(Taken::Held),
                // It may be done, which makes a new item of it.
                Some(_) if self.index.refresh(key.folder(), now, self.every)? => continue,
                Some(Item { state: State::Held, step }) => match self.fate(key, step, now, awake)? {
                    Fate::Alive => return Ok(Taken::Held),
                    Fate::Done(end) => return self.mark_done(key, step, end).map(|()| Taken::Done(end)),
                    Fate::Dead => step,
                },
            };
            let step = step + 1;
            let holder = self.works.claim(&key.step(&self.root, step))?;
            self.index.set(key, step, State::Held);
            if self.works.is(&holder) {
                self.own.insert(key, Own { step, writes: false });
                return Ok(Taken::Mine(Lease { key, step }));
            }
            // Somebody was faster, and may have ended it long ago: the subfolder is listed if that was not just done.
        }
    }

    fn fate(&mut self, key: Key, step: u32, now: Duration, awake: Option<Duration>) -> Result<Fate, ClaimError> {
        let name = key.step(&self.root, step);
        let holder = Holder::at(&name)?.ok_or(ClaimError::Damaged { path: name })?;
        match self.is_dead(&holder, now, awake)? {
            false => Ok(Fate::Alive),
            // No record is written before that is claimed as a step.
            true if !holder.writes => Ok(Fate::Dead),
            true => {
                let end = self.marked(key, step).or_else(|| self.outputs.find(&holder.output, key));
                Ok(end.map_or(Fate::Dead, Fate::Done))
            }
        }
    }

    /// How a step is marked to have ended, where listings are too old to tell.
    fn marked(&self, key: Key, step: u32) -> Option<End> {
        Mark::ends().find(|&end| key.mark(&self.root, step, Mark::Done(end)).exists())
    }

    fn is_dead(&mut self, holder: &Holder, now: Duration, awake: Option<Duration>) -> Result<bool, ClaimError> {
        if holder.worker == self.this.worker {
            return Ok(false);
        }
        if let (Some(process), Some(this)) = (&holder.process, &self.this.process)
            && process.is_gone(this)
        {
            return Ok(true);
        }
        let path = folder::workers(&self.root).join(&holder.worker);
        self.watch.is_dead(&holder.worker, now, awake, || pulse::read(&path).map_err(at(&path)))
    }

    pub(super) fn may_write(&mut self, lease: Lease) -> Result<Option<Permit>, ClaimError> {
        let (key, step) = (lease.key, lease.step + 1);
        let holder = self.writes.claim(&key.step(&self.root, step))?;
        self.index.set(key, step, State::Held);
        match self.writes.is(&holder) {
            true => {
                self.own.insert(key, Own { step, writes: true });
                Ok(Some(Permit { key, step }))
            }
            false => {
                self.own.remove(&key);
                Ok(None)
            }
        }
    }

    pub(super) fn finish(&mut self, permit: Permit, end: End) -> Result<(), ClaimError> {
        self.mark_done(permit.key, permit.step, end)?;
        self.own.remove(&permit.key);
        Ok(())
    }

    pub(super) fn release(&mut self, key: Key, step: u32) -> Result<(), ClaimError> {
        self.mark(key, step, Mark::Released)?;
        self.own.remove(&key);
        self.index.set(key, step, State::Free);
        Ok(())
    }

    pub(super) fn tell(
        &mut self,
        key: Key,
        end: End,
        now: Duration,
        awake: Option<Duration>,
    ) -> Result<(), ClaimError> {
        let step = match self.index.get(key) {
            None => 0,
            Some(Item { state: State::Done(_), .. }) => return Ok(()),
            Some(Item { state: State::Free, step }) => step,
            Some(Item { state: State::Held, step }) => {
                let name = key.step(&self.root, step);
                let holder = Holder::at(&name)?.ok_or(ClaimError::Damaged { path: name })?;
                match holder.output == self.this.output || self.is_dead(&holder, now, awake)? {
                    true => step,
                    false => return Ok(()),
                }
            }
        };
        let holder = self.writes.claim(&key.step(&self.root, step + 1))?;
        match self.writes.is(&holder) {
            true => self.mark_done(key, step + 1, end),
            false => self.index.list(key.folder(), now),
        }
    }

    fn mark_done(&mut self, key: Key, step: u32, end: End) -> Result<(), ClaimError> {
        self.mark(key, step, Mark::done(end))?;
        self.index.set(key, step, State::Done(end));
        Ok(())
    }

    /// Whoever made the mark, it says the same.
    fn mark(&mut self, key: Key, step: u32, mark: Mark) -> Result<(), ClaimError> {
        self.works.claim(&key.mark(&self.root, step, mark)).map(drop)
    }

    /// Gives back what is not finished. What may have been written is left for others to look up in the output.
    pub(super) fn leave(&mut self) -> Result<(), ClaimError> {
        let own: Vec<_> = std::mem::take(&mut self.own).into_iter().filter(|(_, own)| !own.writes).collect();
        let released = own.into_iter().try_for_each(|(key, own)| self.mark(key, own.step, Mark::Released));
        self.works.remove();
        self.writes.remove();
        released
    }

    /// How an item ended, as far as it is known.
    pub(super) fn end(&self, key: Key) -> Option<End> {
        match self.index.get(key)?.state {
            State::Done(end) => Some(end),
            State::Held | State::Free => None,
        }
    }

    /// Where this process's heartbeat is.
    pub(super) fn beat(&self) -> PathBuf {
        folder::workers(&self.root).join(&self.this.worker)
    }

    /// By which processes tell apart in which order they walk through a list.
    pub(super) fn worker(&self) -> &str {
        &self.this.worker
    }

    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.own.clear();
    }
}
