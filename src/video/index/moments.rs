//! Which frame is shown when, on the clip's own clock: 0 when its first frame appears.

use crate::video::clip::Clip;

impl Clip {
    /// Number of frames that appear before `secs`: by presentation time where every frame has one, otherwise by the
    /// average rate.
    pub fn frames_before(&self, secs: f64) -> usize {
        let count = self.info.frame_count;
        match self.presentation_secs() {
            Some(times) => times.partition_point(|&time| time < secs),
            None => ((secs * self.info.avg_fps).ceil().max(0.0) as usize).min(count),
        }
    }

    /// When each presented frame appears; `None` where the index does not tell.
    fn presentation_secs(&self) -> Option<Vec<f64>> {
        let presented = &self.index.presented;
        if presented.len() != self.info.frame_count {
            return None;
        }
        let stamps: Vec<i64> =
            presented.iter().map(|&position| self.index.entries[position as usize].pts).collect::<Option<_>>()?;
        let first = *stamps.first()?;
        Some(stamps.into_iter().map(|stamp| self.source.seconds(stamp.saturating_sub(first))).collect())
    }
}
