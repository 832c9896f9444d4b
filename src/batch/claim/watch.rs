//! What one process has seen of the others' heartbeats, by its own clock alone.

use std::collections::HashMap;
use std::time::Duration;

/// A process's state as its heartbeat's file gives it.
pub(super) const LEFT: &str = "left";

/// The others that were met.
pub(super) struct Watch {
    stale: Duration,
    /// A heartbeat that was seen less than this ago is not looked at again.
    every: Duration,
    seen: HashMap<String, Seen>,
}

/// A heartbeat as it was last seen.
struct Seen {
    /// `None` where there was no file.
    beat: Option<String>,
    /// Since when it has been so.
    since: Duration,
    looked: Duration,
}

impl Watch {
    pub(super) fn new(heartbeat: Duration, stale: Duration) -> Self {
        Self { stale, every: heartbeat / 2, seen: HashMap::new() }
    }

    /// Whether a process is dead: its heartbeat has been the same for so long that it is stale, or says that it left.
    ///
    /// `now` is any clock that does not go back. `awake` is since when this process has itself been running without a
    /// gap, or `None` where it is just coming out of one: what stopped it may have stopped the other as well, so that
    /// time before is not counted.
    pub(super) fn is_dead<E>(
        &mut self,
        worker: &str,
        now: Duration,
        awake: Option<Duration>,
        read: impl FnOnce() -> Result<Option<String>, E>,
    ) -> Result<bool, E> {
        if self.seen.get(worker).is_some_and(|seen| now - seen.looked < self.every && !self.is_stale(seen, now, awake))
        {
            return Ok(false);
        }
        let beat = read()?;
        if beat.as_deref().is_some_and(|beat| beat.starts_with(LEFT)) {
            return Ok(true);
        }
        let since = match self.seen.get(worker) {
            Some(seen) if seen.beat == beat => seen.since,
            _ => now,
        };
        let seen = Seen { beat, since, looked: now };
        let stale = self.is_stale(&seen, now, awake);
        self.seen.insert(worker.to_owned(), seen);
        Ok(stale)
    }

    fn is_stale(&self, seen: &Seen, now: Duration, awake: Option<Duration>) -> bool {
        awake.is_some_and(|awake| now.saturating_sub(seen.since.max(awake)) >= self.stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A watch with a clock of its own, in seconds.
    struct Fake(Watch, u32);

    impl Fake {
        fn new() -> Self {
            Self(Watch::new(5 * SECOND, 60 * SECOND), 0)
        }

        fn dead(&mut self, at: u32, awake: Option<u32>, beat: Option<&str>) -> bool {
            self.1 = 0;
            let read = || {
                self.1 += 1;
                Ok::<_, ()>(beat.map(str::to_owned))
            };
            self.0.is_dead("a", at * SECOND, awake.map(|secs| secs * SECOND), read).expect("it reads")
        }

        fn looked(&self) -> bool {
            self.1 > 0
        }
    }

    #[test]
    fn a_heartbeat_that_stays_the_same_is_stale_in_time() {
        let mut watch = Fake::new();
        assert!(!watch.dead(1000, Some(0), Some("beat 1")), "first seen now, however late it is");
        assert!(!watch.dead(1059, Some(0), Some("beat 1")));
        assert!(!watch.dead(1060, Some(0), Some("beat 2")) && watch.looked(), "just in time");
        assert!(!watch.dead(1061, Some(0), Some("beat 3")) && !watch.looked(), "seen a second before");
        assert!(!watch.dead(1119, Some(0), Some("beat 2")) && watch.looked());
        assert!(watch.dead(1120, Some(0), Some("beat 2")) && watch.looked(), "no old look makes it dead");
        assert!(!watch.dead(1121, Some(0), Some("beat 3")) && watch.looked(), "it goes on: it was only stopped");
        assert!(!watch.dead(1180, Some(0), Some("beat 3")));
    }

    #[test]
    fn a_heartbeat_that_was_never_there_is_stale_in_time_too() {
        let mut watch = Fake::new();
        assert!(!watch.dead(0, Some(0), None) && !watch.dead(59, Some(0), None) && watch.dead(60, Some(0), None));
        assert!(!watch.dead(61, Some(0), Some("beat 1")));
    }

    #[test]
    fn who_left_is_dead_at_once() {
        let mut watch = Fake::new();
        assert!(!watch.dead(0, Some(0), Some("beat 1")) && watch.dead(5, Some(0), Some("left 2")));
        assert!(watch.dead(5, None, Some("left 2")));
    }

    #[test]
    fn time_in_which_the_observer_was_stopped_itself_is_not_counted() {
        let mut watch = Fake::new();
        assert!(!watch.dead(0, Some(0), Some("beat 1")));
        assert!(!watch.dead(500, None, Some("beat 1")), "just continued");
        assert!(!watch.dead(505, Some(501), Some("beat 1")));
        assert!(!watch.dead(560, Some(501), Some("beat 1")) && watch.dead(561, Some(501), Some("beat 1")));
    }
}
