//! Which frame is shown when, on the clip's own clock: 0 when its first frame appears.

use super::entries::Index;
use crate::video::ffmpeg::time::TimeBase;

/// Number of presented frames that appear before `secs`; `None` where some have no time stamp.
pub(crate) fn frames_before(index: &Index, base: TimeBase, secs: f64) -> Option<usize> {
    let stamps = index.stamps().into_iter().collect::<Option<Vec<i64>>>()?;
    let first = *stamps.first()?;
    Some(stamps.partition_point(|&stamp| base.secs(stamp.saturating_sub(first)) < secs))
}
