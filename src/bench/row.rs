//! One line of the report: what was run how often, how long it took, and what that is of what the machine can do.

use super::stage::Stage;

/// What the amount of a run is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of weights as they are stored.
    Bytes,
    /// Frames of a clip.
    Frames,
    /// Positions of a prompt, or new tokens.
    Tokens,
}

impl Unit {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Frames => "frames",
            Self::Tokens => "tokens",
        }
    }
}

/// What one run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The stage.
    pub stage: Stage,
    /// How much of it, in `unit`s.
    pub amount: u64,
    /// What the amount is counted in.
    pub unit: Unit,
    /// Positions in the KV cache before, where tokens are decoded.
    pub depth: Option<usize>,
    /// Answers that take each decode step together, where tokens are decoded.
    pub rows: Option<usize>,
    /// Operations on floats, a multiplication and an addition being two; `None` where they are not what it is about.
    pub flops: Option<u64>,
    /// Bytes of weights, keys and values that must be read, where that is what bounds it.
    pub read_bytes: Option<u64>,
}

/// Runs of the same work.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What one run does.
    pub work: Work,
    /// How long each run took.
    pub seconds: Vec<f64>,
    /// Operations a second that the machine is capable of in this arithmetic; `None` where that was not found out.
    pub peak_flops_per_sec: Option<f64>,
    /// Bytes a second that it can read; `None` where that was not found out.
    pub peak_read_bytes_per_sec: Option<f64>,
    /// The most memory that the process has had so far; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
}

impl Row {
    /// The median of the runs.
    pub fn median_secs(&self) -> f64 {
        median(&self.seconds)
    }

    /// The shortest and the longest run.
    pub fn range_secs(&self) -> (f64, f64) {
        self.seconds.iter().fold((f64::INFINITY, 0.0), |(min, max), &secs| (min.min(secs), max.max(secs)))
    }

    /// Bytes, frames or tokens a second, in the median.
    pub fn per_second(&self) -> f64 {
        self.rate(self.work.amount)
    }

    /// Operations a second, in the median.
    pub fn flops_per_sec(&self) -> Option<f64> {
        self.work.flops.map(|flops| self.rate(flops))
    }

    /// Bytes read a second, in the median.
    pub fn read_bytes_per_sec(&self) -> Option<f64> {
        self.work.read_bytes.map(|bytes| self.rate(bytes))
    }

    /// The part of the peak that is reached, where computing is what bounds the work.
    pub fn share_of_peak(&self) -> Option<f64> {
        let bounds = self.work.read_bytes.is_none();
        self.flops_per_sec().filter(|_| bounds).zip(self.peak_flops_per_sec).map(|(reached, peak)| reached / peak)
    }

    /// The part of the reading speed that is reached, where reading is what bounds the work.
    pub fn share_of_read(&self) -> Option<f64> {
        self.read_bytes_per_sec().zip(self.peak_read_bytes_per_sec).map(|(reached, peak)| reached / peak)
    }

    fn rate(&self, amount: u64) -> f64 {
        // A clock that stood still says nothing.
        amount as f64 / self.median_secs().max(1e-9)
    }
}

/// The middle of `values`, or the mean of the two in the middle; 0 if there are none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (values, expected) in
            [(&[][..], 0.0), (&[3.0], 3.0), (&[5.0, 1.0, 3.0], 3.0), (&[4.0, 1.0, 2.0, 100.0], 3.0)]
        {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    fn row(flops: Option<u64>, read_bytes: Option<u64>) -> Row {
        let work = Work {
            stage: Stage::Decode,
            amount: 8,
            unit: Unit::Tokens,
            depth: Some(16),
            rows: Some(1),
            flops,
            read_bytes,
        };
        let (peak_flops_per_sec, peak_read_bytes_per_sec) = (Some(1000.0), Some(50.0));
        let seconds = vec![2.0, 4.0, 1.0];
        Row { work, seconds, peak_flops_per_sec, peak_read_bytes_per_sec, peak_rss_bytes: None }
    }

    #[test]
    fn rates_are_those_of_the_median() {
        let computing = row(Some(1000), None);
        assert_eq!((computing.per_second(), computing.range_secs()), (4.0, (1.0, 4.0)));
        assert_eq!((computing.flops_per_sec(), computing.share_of_peak()), (Some(500.0), Some(0.5)));
        assert_eq!((computing.read_bytes_per_sec(), computing.share_of_read()), (None, None));
    }

    #[test]
    fn work_that_reading_bounds_is_held_against_reading() {
        let reading = row(Some(1000), Some(60));
        assert_eq!((reading.flops_per_sec(), reading.share_of_peak()), (Some(500.0), None));
        assert_eq!((reading.read_bytes_per_sec(), reading.share_of_read()), (Some(30.0), Some(0.6)));
        let unknown = Row { peak_read_bytes_per_sec: None, ..reading };
        assert_eq!(unknown.share_of_read(), None);
    }
}
