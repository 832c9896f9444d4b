//! A clip in windows, each of which is asked about by itself.

/// So many windows are the most of one clip.
const MAX_WINDOWS: u64 = 100_000;
/// A rest of the clip shorter than this is not asked about.
const SHORTEST_TAIL_NANOS: u64 = 1_000_000_000;

/// The windows of a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// From where and before where, in seconds, ascending.
    pub windows: Vec<(f64, f64)>,
    /// What becomes of the rest that fills no window.
    pub tail: Tail,
}

/// What becomes of the rest that fills no window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tail {
    /// There is none: windows reach to the end.
    None,
    /// It is the last window.
    Kept {
        /// The length of this window.
        secs: f64,
    },
    /// It is too short to be asked about.
    Dropped {
        /// How much of the clip no window covers at its end.
        secs: f64,
    },
}

/// Windows that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// A length that is none.
    #[error("windows and the time between their starts have to be longer than 0 s")]
    NoLength,
    /// More windows than any clip needs.
    #[error("{count} windows are more than the {MAX_WINDOWS} that one clip may have")]
    TooMany {
        /// How many there would be.
        count: u64,
    },
}

/// Windows of `window_secs`, one every `stride_secs`, from `start_secs` (or the clip's start) to `end_secs` (or the
/// clip's end, which comes first where it is earlier). A last window that is not filled is kept if it is at least a
/// second long and shows something that the one before does not. Where a clip is over before `start_secs`, or shorter
/// than a second, there may be no window at all.
///
/// Times are whole nanoseconds, so that a window ends exactly where the next begins, however many came before.
///
/// # Errors
/// [`Error`] for lengths that are not above 0, and for too many windows.
pub fn windows(
    duration_secs: f64,
    start_secs: Option<f64>,
    end_secs: Option<f64>,
    window_secs: f64,
    stride_secs: f64,
) -> Result<Windows, Error> {
    let (window, stride) = (nanos(window_secs), nanos(stride_secs));
    if window == 0 || stride == 0 {
        return Err(Error::NoLength);
    }
    let (start, end) = (nanos(start_secs.unwrap_or(0.0)), nanos(end_secs.unwrap_or(duration_secs).min(duration_secs)));
    let length = end.saturating_sub(start);
    let filled = length.checked_sub(window).map_or(0, |rest| rest / stride + 1);
    if filled >= MAX_WINDOWS {
        return Err(Error::TooMany { count: filled });
    }
    let begin = |index: u64| start + index * stride;
    let mut windows: Vec<_> = (0..filled).map(|index| (secs(begin(index)), secs(begin(index) + window))).collect();
    let covered = if filled == 0 { start } else { begin(filled - 1) + window };
    let (last, uncovered) = (begin(filled), end.saturating_sub(covered.max(begin(filled))));
    let tail = match (uncovered, end.saturating_sub(last)) {
        (0, _) => Tail::None,
        (_, rest) if rest >= SHORTEST_TAIL_NANOS => {
            windows.push((secs(last), secs(end)));
            Tail::Kept { secs: secs(rest) }
        }
        (uncovered, _) => Tail::Dropped { secs: secs(uncovered) },
    };
    Ok(Windows { windows, tail })
}

/// None for what is no length; at most some centuries, so that sums stay in range.
fn nanos(secs: f64) -> u64 {
    ((secs * 1e9).round() as u64).min(u64::MAX / 4)
}

fn secs(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(duration_secs: f64, window_secs: f64, stride_secs: f64) -> (Vec<(f64, f64)>, Tail) {
        let Windows { windows, tail } = windows(duration_secs, None, None, window_secs, stride_secs).unwrap();
        (windows, tail)
    }

    #[test]
    fn a_clip_is_cut_into_windows() {
        assert_eq!(of(20.0, 10.0, 10.0), (vec![(0.0, 10.0), (10.0, 20.0)], Tail::None));
        assert_eq!(of(21.0, 10.0, 10.0).0[2], (20.0, 21.0));
        assert_eq!(of(21.0, 10.0, 10.0).1, Tail::Kept { secs: 1.0 });
        assert_eq!(of(20.5, 10.0, 10.0), (vec![(0.0, 10.0), (10.0, 20.0)], Tail::Dropped { secs: 0.5 }));
        assert_eq!(of(5.0, 10.0, 10.0), (vec![(0.0, 5.0)], Tail::Kept { secs: 5.0 }));
        assert_eq!(of(0.9, 10.0, 10.0), (vec![], Tail::Dropped { secs: 0.9 }));
        assert_eq!(of(0.0, 10.0, 10.0), (vec![], Tail::None));
    }

    #[test]
    fn windows_may_overlap_or_leave_gaps() {
        assert_eq!(of(20.0, 10.0, 5.0), (vec![(0.0, 10.0), (5.0, 15.0), (10.0, 20.0)], Tail::None));
        let (windows, tail) = of(22.0, 10.0, 5.0);
        assert_eq!((windows.last(), tail), (Some(&(15.0, 22.0)), Tail::Kept { secs: 7.0 }));
        assert_eq!(of(25.0, 10.0, 20.0), (vec![(0.0, 10.0), (20.0, 25.0)], Tail::Kept { secs: 5.0 }));
        assert_eq!(of(15.0, 10.0, 20.0), (vec![(0.0, 10.0)], Tail::None));
        assert_eq!(of(20.4, 10.0, 20.0), (vec![(0.0, 10.0)], Tail::Dropped { secs: 0.4 }));
    }

    #[test]
    fn a_part_of_a_clip_is_cut() {
        let part = |start, end| windows(30.0, start, end, 10.0, 10.0).unwrap().windows;
        assert_eq!(part(Some(5.0), None), [(5.0, 15.0), (15.0, 25.0), (25.0, 30.0)]);
        assert_eq!(part(Some(5.0), Some(20.0)), [(5.0, 15.0), (15.0, 20.0)]);
        assert_eq!(part(None, Some(99.0)).len(), 3);
        assert_eq!(part(Some(30.0), None), []);
        assert_eq!(part(Some(40.0), Some(50.0)), []);
    }

    #[test]
    fn times_do_not_drift() {
        let (windows, tail) = of(3600.0, 0.1, 0.1);
        assert_eq!((windows.len(), tail), (36_000, Tail::None));
        assert_eq!(windows[3], (0.3, 0.4));
        assert_eq!(windows[35_999], (3599.9, 3600.0));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (window_secs, stride_secs) in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, 1e-12)] {
            assert_eq!(windows(9.0, None, None, window_secs, stride_secs), Err(Error::NoLength));
        }
        assert_eq!(windows(1e6, None, None, 1.0, 1.0), Err(Error::TooMany { count: 1_000_000 }));
        assert!(windows(f64::INFINITY, None, None, 1.0, 1e-9).is_err());
        assert!(windows(f64::INFINITY, Some(1e300), Some(f64::INFINITY), f64::INFINITY, f64::INFINITY).is_ok());
    }

    proptest! {
        #[test]
        fn all_is_covered_but_a_dropped_tail(
            duration_secs in 0.0..500.0,
            (start_secs, end_secs) in (prop::option::of(0.0..500.0), prop::option::of(0.0..500.0)),
            window_secs in 0.06..60.0,
            overlap in 0.1..=1.0,
        ) {
            let Windows { windows, tail } =
                windows(duration_secs, start_secs, end_secs, window_secs, window_secs * overlap).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() < 3e-9;
            let (start, end) = (start_secs.unwrap_or(0.0), end_secs.unwrap_or(f64::INFINITY).min(duration_secs));
            let mut covered = start;
            for (index, &(from, to)) in windows.iter().enumerate() {
                let before = index.checked_sub(1).map(|before| windows[before]);
                prop_assert!(before.is_none_or(|before| before.0 < from && before.1 < to), "{windows:?}");
                prop_assert!(from <= covered + 3e-9 && from < to && to <= end + 3e-9);
                prop_assert!(near(to - from, window_secs) || index + 1 == windows.len());
                covered = to;
            }
            match tail {
                Tail::None => prop_assert!(start >= end || near(covered, end)),
                Tail::Kept { secs } => {
                    let &(from, to) = windows.last().unwrap();
                    prop_assert!(near(to, end) && near(to - from, secs) && secs >= 1.0 && secs < window_secs);
                }
                Tail::Dropped { secs } => prop_assert!(near(end - covered, secs) && secs < 1.0),
            }
        }
    }
}
