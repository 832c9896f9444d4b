//! How long a thread waits awake for another, and when it makes room for other programs.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// A thread spins this long where it has a processor to itself.
const SPIN: Duration = Duration::from_micros(50);
/// And this long where it does not.
const SPIN_IN_A_CROWD: Duration = Duration::from_micros(2);
/// Then it yields between its looks, until it has been awake this long.
const AWAKE: Duration = Duration::from_micros(500);
/// A gap between two looks at the clock that tells of another thread on this processor.
const GAP: Duration = Duration::from_micros(20);
/// Looks at what is waited for between two looks at the clock: a microsecond or two.
const LOOKS: usize = 32;

/// A thread's patience, which shrinks when others run on its processor and grows back when they do not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    spin: Duration,
    most: Duration,
}

impl Patience {
    /// For each of `threads` threads that work together.
    pub(super) fn of_one_of(threads: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let most = if threads > processors { SPIN_IN_A_CROWD } else { SPIN };
        Self { spin: most, most }
    }

    /// Waits until `ready`; gives up with `false` when that takes too long to stay awake for.
    pub(super) fn wait(&mut self, ready: impl Fn() -> bool) -> bool {
        let looks = || {
            (0..LOOKS).any(|_| {
                spin_loop();
                ready()
            })
        };
        if ready() || looks() {
            return true;
        }
        let start = Instant::now();
        let (mut now, mut spin) = (start, self.spin);
        self.spin = (self.spin * 2).min(self.most);
        loop {
            let is_ready = if now - start < spin {
                looks()
            } else {
                std::thread::yield_now();
                ready()
            };
            if is_ready {
                return true;
            }
            let before = std::mem::replace(&mut now, Instant::now());
            if now - before > GAP {
                spin = Duration::ZERO;
                self.spin = SPIN_IN_A_CROWD;
            }
            if now - start > AWAKE {
                return false;
            }
        }
    }
}
