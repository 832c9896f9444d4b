//! Several groups of packets decoded at a time, their frames handed over in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::group::{Group, Target};
use super::picker::Picker;
use super::reader::{Doubt, Reader};

/// Compressed bytes a worker reads ahead of its decoder.
const READ_AHEAD_BYTES: usize = 16 << 20;
/// Bytes of finished frames that may wait for their turn, a group.
const WAITING_BYTES: usize = 64 << 20;
/// How long the receiving side sleeps before it asks whether to go on.
const POLL: Duration = Duration::from_millis(20);

/// A frame ready to be handed over: the target, its time stamp as decoded, and its pixels.
pub(super) type Picked = (Target, Option<i64>, Vec<u8>);

/// What the workers share: the one reader, and the groups nobody has taken yet.
struct Queue<'a, 'r> {
    reader: Reader<'r>,
    /// With the line its frames go to.
    left: VecDeque<(&'a Group, SyncSender<Picked>)>,
}

/// Decodes `groups` with one thread for each of `pickers`, and hands their frames to `receive` in order.
///
/// `receive` is called on this thread; its failure ends everything. So does `keep_going`, when it says false.
pub(super) fn decode<E>(
    groups: &[Group],
    reader: Reader<'_>,
    pickers: Vec<Picker<'_>>,
    frame_bytes: usize,
    keep_going: &dyn Fn() -> bool,
    receive: &mut dyn FnMut(Picked) -> Result<(), E>,
) -> Result<Result<(), E>, Doubt> {
    let capacity = (WAITING_BYTES / frame_bytes.max(1)).clamp(2, 32);
    let mut lines = Vec::with_capacity(groups.len());
    let mut left = VecDeque::with_capacity(groups.len());
    for group in groups {
        let (sender, receiver) = sync_channel(capacity.min(group.targets.len()));
        left.push_back((group, sender));
        lines.push(receiver);
    }
    let queue = Mutex::new(Queue { reader, left });
    let abort = Abort::default();
    thread::scope(|scope| {
        for picker in pickers {
            scope.spawn(|| work(&queue, picker, &abort));
        }
        let result = collect(lines, &abort, keep_going, receive);
        // The lines are gone now, so that a worker which waits for room in one ends, too.
        abort.flag.store(true, Ordering::Relaxed);
        result
    })
}

/// Raised to end all work.
#[derive(Default)]
struct Abort {
    flag: AtomicBool,
    /// The first doubt of a worker, if that is why.
    doubt: Mutex<Option<Doubt>>,
}

impl Abort {
    fn doubt(&self) -> Option<Doubt> {
        *self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the frames of each group in turn.
fn collect<E>(
    lines: Vec<Receiver<Picked>>,
    abort: &Abort,
    keep_going: &dyn Fn() -> bool,
    receive: &mut dyn FnMut(Picked) -> Result<(), E>,
) -> Result<Result<(), E>, Doubt> {
    for line in lines {
        loop {
            if !keep_going() {
                return Err(Doubt::Stopped);
            }
            let received = line.recv_timeout(POLL);
            if let Some(doubt) = abort.doubt() {
                return Err(doubt);
            }
            match received {
                Ok(picked) => {
                    if let Err(error) = receive(picked) {
                        return Ok(Err(error));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    Ok(Ok(()))
}

/// Decodes group after group until none is left.
fn work(queue: &Mutex<Queue<'_, '_>>, mut picker: Picker<'_>, abort: &Abort) {
    loop {
        // Groups are taken in order and read under the lock, so that the reader goes forwards only, and so that
        // whoever holds the lock depends on nobody but those before it.
        let mut guard = Some(queue.lock().unwrap_or_else(PoisonError::into_inner));
        let Some((group, sender)) = guard.as_mut().and_then(|queue| queue.left.pop_front()) else {
            return;
        };
        let mut deliver = |target: Target, time: Option<i64>, rgb: Vec<u8>| {
            sender.send((target, time, rgb)).map_err(|_| Doubt::Stopped)
        };
        let mut run = || -> Result<(), Doubt> {
            picker.start(group);
            let mut next = group.first;
            if let Some(queue) = &mut guard {
                queue.reader.go_to(next)?;
            }
            while let Some(queue) = &mut guard {
                let mut packets = Vec::new();
                let mut bytes = 0;
                while next <= group.last && bytes < READ_AHEAD_BYTES {
                    if abort.flag.load(Ordering::Relaxed) {
                        return Err(Doubt::Stopped);
                    }
                    let packet = queue.reader.read()?;
                    bytes += packet.data().len();
                    packets.push(packet);
                    next += 1;
                }
                if next > group.last {
                    guard = None;
                }
                picker.decode(group, &packets, &abort.flag, &mut deliver)?;
            }
            picker.finish(group, &mut deliver)
        };
        if let Err(doubt) = run() {
            let mut first = abort.doubt.lock().unwrap_or_else(PoisonError::into_inner);
            if doubt != Doubt::Stopped || !abort.flag.load(Ordering::Relaxed) {
                first.get_or_insert(doubt);
            }
            abort.flag.store(true, Ordering::Relaxed);
            return;
        }
    }
}
