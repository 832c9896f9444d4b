//! Time stamps of a stream: what its units are, and what several of them span.

use ffmpeg_next::ffi;

/// The unit in which a stream counts time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeBase(ffi::AVRational);

impl TimeBase {
    /// The unit of FFmpeg's own fraction of a second.
    pub(crate) fn new(base: ffi::AVRational) -> TimeBase {
        TimeBase(base)
    }

    /// Seconds in a number of units.
    pub(crate) fn secs(self, stamp: i64) -> f64 {
        stamp as f64 * f64::from(self.0.num) / f64::from(self.0.den.max(1))
    }
}

/// First to last of `stamps`, the last frame's duration included, in stream units; `None` with fewer than two frames,
/// or where some have no time stamp, so that the others span only part of the clip.
pub(crate) fn span(stamps: &[Option<i64>], last_duration: i64) -> Option<i64> {
    let known = || stamps.iter().copied();
    if stamps.len() < 2 || known().any(|stamp| stamp.is_none()) {
        return None;
    }
    let (low, high) = (known().min()??, known().max()??);
    Some(high.saturating_sub(low).saturating_add(last_duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_units_by_the_base() {
        let base = |num, den| TimeBase::new(ffi::AVRational { num, den });
        assert_eq!(base(1, 12_800).secs(25_600), 2.0);
        assert_eq!(base(1001, 30_000).secs(-30), -1.001);
        assert_eq!(base(1, 0).secs(3), 3.0, "no base at all");
    }

    #[test]
    fn spans_need_every_stamp() {
        assert_eq!(span(&[Some(3), Some(1), Some(2)], 5), Some(7));
        assert_eq!(span(&[Some(3), None, Some(2)], 5), None);
        assert_eq!((span(&[Some(3)], 5), span(&[], 5)), (None, None));
        assert_eq!(span(&[Some(i64::MIN), Some(i64::MAX)], 1), Some(i64::MAX));
    }
}
