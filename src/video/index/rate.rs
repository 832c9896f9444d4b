//! Frames per second of a clip: what the container says, or what can be worked out where it says nothing usable.

use crate::video::ffmpeg::source::Source;

/// Where a clip's average rate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RateSource {
    /// The stream's average frame rate, as decord 0.6.0 reports it.
    Average,
    /// The stream's base rate, since it has no average.
    Base,
    /// The number of frames over the stated duration.
    Duration,
    /// The number of frames over the span of their time stamps, since the stated rate contradicts it.
    Span,
    /// Nothing is known: 25 frames per second are assumed.
    Assumed,
    /// The user says so.
    Asked,
}

impl RateSource {
    /// A short name for reports.
    pub fn name(self) -> &'static str {
        match self {
            RateSource::Average => "average frame rate",
            RateSource::Base => "base frame rate",
            RateSource::Duration => "frames over duration",
            RateSource::Span => "frames over timestamps",
            RateSource::Assumed => "assumed",
            RateSource::Asked => "as asked",
        }
    }
}

/// Rate where nothing is known, in frames per second (FFmpeg's own default for raw streams).
const ASSUMED_FPS: f64 = 25.0;

/// What a container says about a stream's time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct StatedRate {
    /// Average frame rate as numerator and denominator; zeros where unknown.
    average: (i32, i32),
    /// Base frame rate (`r_frame_rate`), likewise.
    base: (i32, i32),
    /// Duration of the stream, or else of the file.
    duration_secs: Option<f64>,
}

impl StatedRate {
    /// What the container says of the chosen stream.
    pub(crate) fn of(source: &Source) -> StatedRate {
        StatedRate { average: source.average_rate(), base: source.base_rate(), duration_secs: source.duration_secs() }
    }

    /// The rate of a clip of `frame_count` frames whose time stamps span `span_secs`, and where it is from.
    ///
    /// A stated rate that makes the clip over twice as long, or under half as long, as its time stamps do is
    /// replaced (some FLV files state 1000 frames per second).
    pub(crate) fn choose(&self, frame_count: usize, span_secs: Option<f64>) -> (f64, RateSource) {
        let frames = frame_count as f64;
        let (rate, source) = ratio(self.average)
            .map(|rate| (rate, RateSource::Average))
            .or_else(|| ratio(self.base).map(|rate| (rate, RateSource::Base)))
            .or_else(|| {
                let rate = frames / self.duration_secs?;
                usable(rate).then_some((rate, RateSource::Duration))
            })
            .unwrap_or((ASSUMED_FPS, RateSource::Assumed));
        if let Some(span_secs) = span_secs {
            let stretch = frames / rate / span_secs;
            if !(0.5..=2.0).contains(&stretch) && usable(frames / span_secs) {
                return (frames / span_secs, RateSource::Span);
            }
        }
        (rate, source)
    }

    /// The rate the container states, for the warning that it is not used.
    pub(crate) fn stated(&self) -> Option<f64> {
        ratio(self.average).or_else(|| ratio(self.base))
    }
}

/// A fraction as a rate, if it is one.
fn ratio((numerator, denominator): (i32, i32)) -> Option<f64> {
    (numerator > 0 && denominator > 0).then(|| f64::from(numerator) / f64::from(denominator))
}

fn usable(rate: f64) -> bool {
    rate.is_finite() && rate > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_rates_come_in_order() {
        let mut stated = StatedRate { average: (30_000, 1001), base: (60, 1), duration_secs: Some(4.0) };
        assert_eq!(stated.choose(10, None), (30_000.0 / 1001.0, RateSource::Average));
        stated.average = (0, 0);
        assert_eq!(stated.choose(10, None), (60.0, RateSource::Base));
        stated.base = (0, 1);
        assert_eq!(stated.choose(10, None), (2.5, RateSource::Duration));
        stated.duration_secs = Some(0.0);
        assert_eq!(stated.choose(10, None), (25.0, RateSource::Assumed));
        stated.duration_secs = None;
        assert_eq!(stated.choose(0, None), (25.0, RateSource::Assumed));
    }

    #[test]
    fn rates_that_contradict_the_time_stamps_are_replaced() {
        let stated = StatedRate { average: (1000, 1), ..StatedRate::default() };
        assert_eq!(stated.choose(31, Some(1.0)), (31.0, RateSource::Span));
        let stated = StatedRate { average: (30, 1), ..StatedRate::default() };
        // 90 frames are 3 seconds by the rate and 4.7 by the stamps: within a factor of two, so it stays.
        assert_eq!(stated.choose(90, Some(4.7)), (30.0, RateSource::Average));
        assert_eq!(stated.choose(90, Some(6.0)).1, RateSource::Average);
        assert_eq!(stated.choose(90, Some(6.01)).1, RateSource::Span);
        assert_eq!(stated.choose(90, Some(1.49)).1, RateSource::Span);
        assert_eq!(stated.choose(90, Some(0.0)).1, RateSource::Average);
    }
}
