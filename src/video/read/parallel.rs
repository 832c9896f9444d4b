//! Several groups of packets decoded at a time, their frames handed over in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::group::{Group, Target};
use super::handover::{Handover, Sender};
use super::picker::Picker;
use super::reader::{Doubt, Reader};
use crate::video::frame::Frame;

/// Compressed bytes a worker reads ahead of its decoder.
const READ_AHEAD_BYTES: usize = 16 << 20;
/// Bytes of finished frames of all groups that may wait for their turn.
const WAITING_BYTES: usize = 64 << 20;

/// Makes the frame that is wanted of a target, its time stamp as decoded, and its pixels of their own size. Called by
/// the workers, since it may take as long as decoding.
pub(crate) type Finish<'a> = dyn Fn(Target, Option<i64>, Vec<u8>) -> Frame + Sync + 'a;

/// What the workers share: the one reader, and the groups nobody has taken yet.
struct Queue<'a, 'r> {
    reader: Reader<'r>,
    /// With the line its frames go to.
    left: VecDeque<(&'a Group, Sender<'a>)>,
}

/// Decodes `groups` with one thread for each of `pickers`, and hands their frames to `receive` in order.
///
/// `receive` is called on this thread; its failure ends everything. So does the caller's stop flag, when it is raised.
pub(crate) fn decode<E>(
    groups: &[Group],
    reader: Reader<'_>,
    pickers: Vec<Picker<'_>>,
    finish: &Finish<'_>,
    stop: &AtomicBool,
    receive: &mut dyn FnMut(Frame) -> Result<(), E>,
) -> Result<Result<(), E>, Doubt> {
    let handover = Handover::new(groups.len(), WAITING_BYTES);
    let left = groups.iter().enumerate().map(|(number, group)| (group, handover.sender(number))).collect();
    let queue = Mutex::new(Queue { reader, left });
    thread::scope(|scope| {
        for picker in pickers {
            scope.spawn(|| work(&queue, picker, &handover, finish));
        }
        let result = loop {
            match handover.receive(stop) {
                Ok(Some(frame)) => match receive(frame) {
                    Ok(()) => {}
                    Err(error) => break Ok(Err(error)),
                },
                Ok(None) => break Ok(Ok(())),
                Err(doubt) => break Err(doubt),
            }
        };
        handover.stop(None);
        result
    })
}

/// Decodes group after group until none is left.
fn work(queue: &Mutex<Queue<'_, '_>>, mut picker: Picker<'_>, handover: &Handover, finish: &Finish<'_>) {
    let abort = handover.is_over();
    loop {
        // Groups are taken in order and read under the lock, so that the reader goes forwards only, and so that
        // whoever holds the lock depends on nobody but those before it.
        let mut guard = Some(queue.lock().unwrap_or_else(PoisonError::into_inner));
        let Some((group, sender)) = guard.as_mut().and_then(|queue| queue.left.pop_front()) else {
            return;
        };
        let mut deliver = |target: Target, time: Option<i64>, rgb: Vec<u8>| sender.send(finish(target, time, rgb));
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
                    if abort.load(Ordering::Relaxed) {
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
                picker.decode(group, &packets, abort, &mut deliver)?;
            }
            picker.finish(group, &mut deliver)
        };
        if let Err(doubt) = run() {
            // Before the line closes, or its missing frames would go unnoticed.
            handover.stop(Some(doubt));
            return;
        }
    }
}
