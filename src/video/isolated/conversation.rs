//! What the child may say and when: a state machine that the parent holds every reply against.
//!
//! The child decodes files of strangers and may have been taken over by one, so nothing that it says is taken on trust.

use std::vec::IntoIter;

use super::super::info::{Access, ClipInfo};
use super::super::view::View;
use super::protocol::Reply;

/// Most warnings of one request, beside one for each frame.
const MAX_WARNINGS: usize = 1000;

/// Longest text, in bytes: a path of the longest kind, a few times over.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// Most frames of a clip; FFmpeg's own index holds fewer.
const MAX_FRAMES: usize = u32::MAX as usize;

/// What the child is at.
#[derive(Debug)]
enum Phase {
    Opening,
    /// It was asked about so many times.
    Counting(usize),
    /// These frames are still to come.
    Reading(IntoIter<usize>, View),
    /// Nothing is asked.
    Idle,
    /// It was given up.
    Over,
}

/// A reply that breaks the rules, in words that follow "the process".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation(pub(super) &'static str);

/// Where parent and child stand.
#[derive(Debug)]
pub(super) struct Conversation {
    phase: Phase,
    max_pixels: u64,
    warnings_left: usize,
    /// Size and number of the clip's frames, once it is open.
    frame_count: usize,
    /// Width and height of every frame; `None` where pictures have sizes of their own.
    frame_size: Option<(u32, u32)>,
}

impl Conversation {
    /// A child that was asked to open a clip whose frames may have `max_pixels` pixels.
    pub(super) fn opening(max_pixels: u64) -> Self {
        Self { phase: Phase::Opening, max_pixels, warnings_left: MAX_WARNINGS, frame_count: 0, frame_size: None }
    }

    /// It is asked how many frames come before each of `times` times.
    pub(super) fn count(&mut self, times: usize) {
        self.phase = Phase::Counting(times);
        self.warnings_left = MAX_WARNINGS;
    }

    /// It is asked for frames.
    pub(super) fn read(&mut self, indices: Vec<usize>, view: View) {
        self.warnings_left = MAX_WARNINGS + indices.len();
        self.phase = Phase::Reading(indices.into_iter(), view);
    }

    /// It is given up, whatever it says.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::Over;
    }

    /// Whether nothing is asked of it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether frames are still to come that nobody waits for.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self.phase, Phase::Reading(..))
    }

    /// Checks a reply, and the number of pixel bytes that came with it, against what was asked.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn accept(&mut self, reply: &Reply, bytes: usize) -> Result<(), Violation> {
        if bytes > 0 && !matches!(reply, Reply::Frame { .. }) {
            return Err(Violation("it sent pixels without a frame"));
        }
        match (reply, &mut self.phase) {
            (Reply::Opened { info, unconfined }, Phase::Opening) => {
                if unconfined.len() > MAX_WARNINGS || unconfined.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
                    return Err(Violation("it sent too many words"));
                }
                self.learn(info)?;
                self.phase = Phase::Idle;
            }
            (Reply::FramesBefore { counts }, Phase::Counting(wanted)) => {
                if counts.len() != *wanted || counts.iter().any(|&count| count > self.frame_count) {
                    return Err(Violation("it sent counts that cannot be"));
                }
                self.phase = Phase::Idle;
            }
            (Reply::Frame { index, width, height, .. }, Phase::Reading(expected, view)) => {
                if expected.next() != Some(*index) {
                    return Err(Violation("it sent a frame that was not asked for"));
                }
                let size = match view {
                    View::Resized(side) => u32::try_from(*side).ok().map(|side| (side, side)),
                    View::Native => self.frame_size,
                };
                let pixels = u64::from(*width) * u64::from(*height);
                let is_right = match size {
                    Some(size) => (*width, *height) == size,
                    None => (1..=self.max_pixels).contains(&pixels),
                };
                if !is_right || u64::try_from(bytes) != Ok(3 * pixels) {
                    return Err(Violation("it sent a frame of another size"));
                }
            }
            (Reply::Done, Phase::Reading(expected, _)) => {
                if expected.next().is_some() {
                    return Err(Violation("it left out frames"));
                }
                self.phase = Phase::Idle;
            }
            (Reply::Recounted { info }, Phase::Reading(..)) => {
                self.learn(info)?;
                self.phase = Phase::Idle;
            }
            (Reply::Failed { message, hint }, Phase::Opening | Phase::Counting(_) | Phase::Reading(..)) => {
                if message.len() > MAX_TEXT_BYTES || hint.as_ref().is_some_and(|hint| hint.len() > MAX_TEXT_BYTES) {
                    return Err(Violation("it sent too many words"));
                }
                self.phase = Phase::Idle;
            }
            (Reply::Warning { message }, Phase::Opening | Phase::Counting(_) | Phase::Reading(..)) => {
                if self.warnings_left == 0 || message.len() > MAX_TEXT_BYTES {
                    return Err(Violation("it sent too many words"));
                }
                self.warnings_left -= 1;
            }
            _ => return Err(Violation("it answered what was not asked")),
        }
        Ok(())
    }

    /// Takes facts that can be; all that the parent computes from them stays finite.
    fn learn(&mut self, info: &ClipInfo) -> Result<(), Violation> {
        let pixels = u64::from(info.width) * u64::from(info.height);
        let reason = if let Access::Linear(reason) = &info.access { reason } else { "" };
        let texts = [&info.container, &info.codec, &info.decoder, &info.pixel_format, &info.color_space];
        let texts = texts.into_iter().chain([&info.color_range]).map(String::as_str).chain([reason]);
        let can_be = (1..=MAX_FRAMES).contains(&info.frame_count)
            && info.avg_fps.is_finite()
            && info.avg_fps > 0.0
            && (info.frame_count as f64 / info.avg_fps).is_finite()
            && (1..=self.max_pixels).contains(&pixels)
            && texts.map(str::len).sum::<usize>() <= MAX_TEXT_BYTES;
        if !can_be {
            return Err(Violation("it sent facts that cannot be"));
        }
        self.frame_count = info.frame_count;
        self.frame_size = (info.access != Access::Files).then_some((info.width, info.height));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ClipInfo {
        ClipInfo { frame_count: 9, avg_fps: 25.0, width: 4, height: 2, ..ClipInfo::unknown() }
    }

    fn opened(info: ClipInfo) -> Reply {
        Reply::Opened { info, unconfined: Vec::new() }
    }

    fn open() -> Conversation {
        let mut conversation = Conversation::opening(100);
        conversation.accept(&opened(info()), 0).unwrap();
        conversation
    }

    fn reading(indices: &[usize], view: View) -> Conversation {
        let mut conversation = open();
        conversation.read(indices.to_vec(), view);
        conversation
    }

    fn frame(index: usize, width: u32, height: u32) -> Reply {
        Reply::Frame { index, pts_secs: None, width, height }
    }

    #[test]
    fn a_good_child_is_heard_out() {
        let mut conversation = reading(&[3, 5], View::Native);
        for (reply, bytes) in [(frame(3, 4, 2), 24), (Reply::Warning { message: "w".to_owned() }, 0)] {
            conversation.accept(&reply, bytes).unwrap();
        }
        assert!(conversation.is_reading());
        conversation.accept(&frame(5, 4, 2), 24).unwrap();
        conversation.accept(&Reply::Done, 0).unwrap();
        assert!(!conversation.is_reading());
        conversation.count(2);
        conversation.accept(&Reply::FramesBefore { counts: vec![0, 9] }, 0).unwrap();
        conversation.read(vec![0], View::Resized(3));
        conversation.accept(&frame(0, 3, 3), 27).unwrap();
        conversation.accept(&Reply::Recounted { info: info() }, 0).unwrap();
    }

    #[test]
    fn pictures_have_sizes_of_their_own_within_the_limit() {
        let mut conversation = Conversation::opening(100);
        conversation.accept(&opened(ClipInfo { access: Access::Files, ..info() }), 0).unwrap();
        conversation.read(vec![0, 1, 2], View::Native);
        conversation.accept(&frame(0, 10, 10), 300).unwrap();
        assert!(conversation.accept(&frame(1, 0, 10), 0).is_err());
        assert!(conversation.accept(&frame(2, 101, 1), 303).is_err());
    }

    #[test]
    fn every_rule_has_its_violation() {
        let refused = |mut conversation: Conversation, reply: &Reply, bytes: usize| {
            conversation.accept(reply, bytes).expect_err("a violation").0
        };
        let native = || reading(&[3, 5], View::Native);
        let unasked = "it answered what was not asked";
        for reply in [Reply::Done, frame(0, 4, 2), Reply::Recounted { info: info() }, opened(info())] {
            assert_eq!(refused(open(), &reply, 0).replace("it sent pixels without a frame", unasked), unasked);
            let mut over = open();
            over.give_up();
            assert!(over.is_over());
            assert_eq!(refused(over, &reply, 0), unasked);
        }
        assert_eq!(refused(native(), &opened(info()), 0), unasked);
        assert_eq!(refused(native(), &Reply::FramesBefore { counts: vec![] }, 0), unasked);
        assert_eq!(refused(native(), &Reply::Done, 0), "it left out frames");
        assert_eq!(refused(native(), &Reply::Done, 1), "it sent pixels without a frame");
        for (reply, bytes) in [(frame(5, 4, 2), 24), (frame(9, 4, 2), 24)] {
            assert_eq!(refused(native(), &reply, bytes), "it sent a frame that was not asked for");
        }
        for (reply, bytes) in [(frame(3, 2, 4), 24), (frame(3, 4, 2), 23), (frame(3, 0, 0), 0)] {
            assert_eq!(refused(native(), &reply, bytes), "it sent a frame of another size");
        }
        assert_eq!(refused(reading(&[3], View::Resized(3)), &frame(3, 4, 2), 24), "it sent a frame of another size");
        let mut counting = open();
        counting.count(1);
        for counts in [vec![], vec![1, 2], vec![10]] {
            assert_eq!(
                counting.accept(&Reply::FramesBefore { counts }, 0),
                Err(Violation("it sent counts that cannot be"))
            );
        }
        for wrong in [
            ClipInfo { frame_count: 0, ..info() },
            ClipInfo { frame_count: usize::MAX, ..info() },
            ClipInfo { avg_fps: 0.0, ..info() },
            ClipInfo { avg_fps: 1e-308, ..info() },
            ClipInfo { width: 101, height: 1, ..info() },
            ClipInfo { height: 0, ..info() },
            ClipInfo { codec: "x".repeat(1 << 20), ..info() },
        ] {
            let told = refused(Conversation::opening(100), &opened(wrong.clone()), 0);
            assert_eq!(told, "it sent facts that cannot be");
            assert_eq!(refused(native(), &Reply::Recounted { info: wrong }, 0), told);
        }
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let too_many = "it sent too many words";
        assert_eq!(refused(native(), &Reply::Warning { message: long.clone() }, 0), too_many);
        assert_eq!(refused(native(), &Reply::Failed { message: long.clone(), hint: None }, 0), too_many);
        assert_eq!(refused(native(), &Reply::Failed { message: String::new(), hint: Some(long) }, 0), too_many);
        let unconfined = vec![String::new(); MAX_WARNINGS + 1];
        assert_eq!(refused(Conversation::opening(100), &Reply::Opened { info: info(), unconfined }, 0), too_many);
    }

    #[test]
    fn warnings_come_to_an_end() {
        let mut conversation = reading(&[1], View::Native);
        let warning = Reply::Warning { message: "w".to_owned() };
        for _ in 0..=MAX_WARNINGS {
            conversation.accept(&warning, 0).unwrap();
        }
        assert!(conversation.accept(&warning, 0).is_err());
    }
}
