//! Finished frames of several groups, handed over in order while one budget of bytes bounds those that wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::reader::Doubt;
use crate::video::frame::Frame;

/// How long the receiving side sleeps before it looks at the caller's stop flag.
const POLL: Duration = Duration::from_millis(20);

/// Where workers put the frames of their groups, and one receiver takes them group by group.
pub(crate) struct Handover {
    max_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Raised to end all work.
    is_over: AtomicBool,
}

struct State {
    lines: Vec<Line>,
    /// The group whose frames are handed over now.
    front: usize,
    /// Bytes of all frames that wait.
    waiting_bytes: usize,
    /// The first doubt of a worker, if that is why the work ends.
    doubt: Option<Doubt>,
}

/// The frames of one group.
#[derive(Default)]
struct Line {
    frames: VecDeque<Frame>,
    is_closed: bool,
}

impl Handover {
    /// For so many groups, whose waiting frames take at most `max_bytes` together (one frame always has room).
    pub(crate) fn new(group_count: usize, max_bytes: usize) -> Handover {
        let lines = (0..group_count).map(|_| Line::default()).collect();
        let state = State { lines, front: 0, waiting_bytes: 0, doubt: None };
        Handover { max_bytes, state: Mutex::new(state), changed: Condvar::new(), is_over: AtomicBool::new(false) }
    }

    /// Where the frames of a group go.
    pub(crate) fn sender(&self, group: usize) -> Sender<'_> {
        Sender { handover: self, group }
    }

    /// Raised once all work shall end.
    pub(crate) fn is_over(&self) -> &AtomicBool {
        &self.is_over
    }

    /// Ends all work, because of `doubt` if there is one.
    pub(crate) fn stop(&self, doubt: Option<Doubt>) {
        let mut state = self.lock();
        // What workers say once they were told to stop is no reason.
        if !self.is_over.swap(true, Ordering::Relaxed) {
            state.doubt = doubt;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The next frame in order; `None` after the last one. Ends soon after the caller raises `stop`.
    pub(crate) fn receive(&self, stop: &AtomicBool) -> Result<Option<Frame>, Doubt> {
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Doubt::Stopped);
            }
            let mut state = self.lock();
            if let Some(doubt) = state.doubt {
                return Err(doubt);
            }
            let front = state.front;
            let Some(line) = state.lines.get_mut(front) else {
                return Ok(None);
            };
            if let Some(frame) = line.frames.pop_front() {
                state.waiting_bytes -= frame.rgb.len();
                drop(state);
                self.changed.notify_all();
                return Ok(Some(frame));
            }
            if line.is_closed {
                state.front += 1;
                drop(state);
                // The worker of the next group may go past the budget from now on.
                self.changed.notify_all();
                continue;
            }
            drop(self.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's end of a group's line; the group is complete when it is dropped.
pub(crate) struct Sender<'a> {
    handover: &'a Handover,
    group: usize,
}

impl Sender<'_> {
    /// Hands a frame over; waits while the budget is spent, unless this is the very frame that is waited for.
    pub(crate) fn send(&self, frame: Frame) -> Result<(), Doubt> {
        let Handover { max_bytes, changed, is_over, .. } = self.handover;
        let bytes = frame.rgb.len();
        let mut state = self.handover.lock();
        loop {
            if is_over.load(Ordering::Relaxed) {
                return Err(Doubt::Stopped);
            }
            let is_awaited = state.front == self.group && state.lines[self.group].frames.is_empty();
            if is_awaited || state.waiting_bytes.saturating_add(bytes) <= *max_bytes {
                break;
            }
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting_bytes += bytes;
        state.lines[self.group].frames.push_back(frame);
        drop(state);
        changed.notify_all();
        Ok(())
    }
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        // A worker that panics closes its line, too, so that nobody waits for it.
        self.handover.lock().lines[self.group].is_closed = true;
        self.handover.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stop flag that nobody raises.
    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn frame(index: usize, bytes: usize) -> Frame {
        Frame { index, pts_secs: None, width: 1, height: 1, rgb: vec![0; bytes] }
    }

    #[test]
    fn frames_come_in_order_and_few_wait() {
        const GROUPS: usize = 40;
        const MAX_BYTES: usize = 1000;
        let handover = Handover::new(GROUPS, MAX_BYTES);
        let next = Mutex::new(0..GROUPS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let Some(group) = next.lock().unwrap().next() else { return };
                        let sender = handover.sender(group);
                        // Frames of one group are larger than the whole budget.
                        let bytes = if group == 7 { 3 * MAX_BYTES } else { 300 };
                        (0..5).for_each(|number| sender.send(frame(5 * group + number, bytes)).unwrap());
                    }
                });
            }
            for index in 0..5 * GROUPS {
                let front_bytes = 3 * MAX_BYTES;
                assert!(handover.lock().waiting_bytes <= MAX_BYTES + front_bytes);
                assert_eq!(handover.receive(&GO_ON).unwrap().unwrap().index, index);
            }
            assert_eq!(handover.receive(&GO_ON).unwrap(), None);
        });
        assert_eq!(handover.lock().waiting_bytes, 0);
    }

    #[test]
    fn a_worker_waits_where_the_budget_is_spent() {
        let handover = Handover::new(2, 100);
        std::thread::scope(|scope| {
            let later = scope.spawn(|| {
                let sender = handover.sender(1);
                sender.send(frame(1, 80)).unwrap();
                sender.send(frame(2, 80))
            });
            while handover.lock().waiting_bytes == 0 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(handover.lock().lines[1].frames.len(), 1, "the second frame has no room");
            // The awaited group has room in any case, and one frame at a time.
            handover.sender(0).send(frame(0, 80)).unwrap();
            assert_eq!(handover.receive(&GO_ON).unwrap().unwrap().index, 0);
            handover.stop(Some(Doubt::Frame("a test")));
            assert_eq!(later.join().unwrap(), Err(Doubt::Stopped));
        });
        assert_eq!(handover.receive(&GO_ON), Err(Doubt::Frame("a test")));
        assert_eq!(Handover::new(1, 0).receive(&AtomicBool::new(true)), Err(Doubt::Stopped));
    }
}
