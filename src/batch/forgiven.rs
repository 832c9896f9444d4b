//! How many inputs may fail before a batch counts as failed.

use std::fmt;
use std::str::FromStr;

/// So many failures are forgiven.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxErrors {
    /// This many.
    Count(usize),
    /// This share of all inputs, in percent.
    Percent(f64),
}

impl MaxErrors {
    /// Whether `failed` of `total` inputs are no more than are forgiven.
    pub fn forgives(self, failed: usize, total: usize) -> bool {
        match self {
            Self::Count(most) => failed <= most,
            // 0.57 % of 10,000 come to a little less than 57 in binary; one failure is far more than this little.
            Self::Percent(percent) => failed as f64 * 100.0 <= percent * total as f64 * (1.0 + 1e-12),
        }
    }
}

impl Default for MaxErrors {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl fmt::Display for MaxErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(most) => write!(f, "{most}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Neither a number nor a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number, or a share of the inputs up to 100%, such as 20 or 2.5%")]
pub struct NoMaxErrors;

impl FromStr for MaxErrors {
    type Err = NoMaxErrors;

    fn from_str(text: &str) -> Result<Self, NoMaxErrors> {
        if text.starts_with(['+', '-']) {
            return Err(NoMaxErrors);
        }
        match text.strip_suffix('%') {
            None => text.parse().map(Self::Count).map_err(|_| NoMaxErrors),
            Some(percent) => {
                let percent: f64 = percent.trim_end().parse().map_err(|_| NoMaxErrors)?;
                (0.0..=100.0).contains(&percent).then_some(Self::Percent(percent)).ok_or(NoMaxErrors)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_share_is_forgiven() {
        for (text, failed, total, forgiven) in [
            ("0", 0, 10, true),
            ("0", 1, 10, false),
            ("20", 20, 20, true),
            ("20", 21, 1000, false),
            ("2.5%", 5, 200, true),
            ("2.5%", 6, 200, false),
            ("2.5 %", 1, 39, false),
            ("0%", 0, 0, true),
            ("100%", 7, 7, true),
        ] {
            let most: MaxErrors = text.parse().unwrap();
            assert_eq!(most.forgives(failed, total), forgiven, "{text} of {total}");
            assert_eq!(most.to_string().parse(), Ok(most));
        }
        for wrong in ["", "%", "-1", "+1", "1.5", "101%", "-1%", "NaN%", "inf%", "1%%", "x"] {
            assert_eq!(wrong.parse::<MaxErrors>(), Err(NoMaxErrors), "{wrong}");
        }
        assert!(!MaxErrors::default().forgives(1, 100));
    }

    proptest::proptest! {
        #[test]
        fn a_share_is_exact_to_the_last_failure(hundredths in 0usize..=10_000, total in 0usize..2_000_000) {
            let most: MaxErrors = format!("{}.{:02}%", hundredths / 100, hundredths % 100).parse().unwrap();
            let forgiven = hundredths * total / 10_000;
            proptest::prop_assert!(most.forgives(forgiven, total) && !most.forgives(forgiven + 1, total));
        }
    }
}
