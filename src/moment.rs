//! A moment of a clip as people write it: in seconds, as a clock shows it, or with units.

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 90, 1:30, 0:01:30 or 1m30s")]
pub struct NoMoment;

/// The seconds from the start of the clip: of `90`, of `1:02:03.5`, or of `1h2m3.5s`.
///
/// # Errors
/// [`NoMoment`] for everything else, negative and infinite numbers among it.
pub fn parse(text: &str) -> Result<f64, NoMoment> {
    let secs = if text.contains(':') { clock_time(text) } else { seconds(text).or_else(|| time_with_units(text)) };
    secs.ok_or(NoMoment)
}

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|secs: &f64| secs.is_finite() && *secs >= 0.0)
}

fn whole(text: &str) -> Option<f64> {
    text.parse::<u64>().ok().filter(|_| !text.starts_with('+')).map(|number| number as f64)
}

/// `m:ss` or `h:mm:ss`, the seconds perhaps with a fraction.
fn clock_time(text: &str) -> Option<f64> {
    let mut parts = text.rsplit(':');
    let mut total = seconds(parts.next()?)?;
    for (unit_secs, part) in [60.0, 3600.0].into_iter().zip(&mut parts) {
        if total >= unit_secs {
            return None;
        }
        total += unit_secs * whole(part)?;
    }
    parts.next().is_none().then_some(total)
}

/// Hours, minutes and seconds, any of them left out: `1h2m3.5s`, `90m`. Only the largest may exceed its unit.
fn time_with_units(text: &str) -> Option<f64> {
    let (mut rest, mut total, mut limit_secs) = (text, 0.0, f64::INFINITY);
    for (unit, unit_secs) in [('h', 3600.0), ('m', 60.0), ('s', 1.0)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        let secs = unit_secs * if unit == 's' { seconds(number)? } else { whole(number)? };
        if secs >= limit_secs {
            return None;
        }
        (rest, total, limit_secs) = (after, total + secs, unit_secs);
    }
    (rest.is_empty() && limit_secs.is_finite()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds_or_clock_times() {
        for (text, secs) in [("0", 0.0), ("12.5", 12.5), ("90", 90.0), ("1:30", 90.0), ("1:02:03.25", 3723.25)] {
            assert_eq!(parse(text), Ok(secs), "{text}");
        }
        for wrong in ["", ":", "1:", ":1", "1:60", "1:60:00", "-1", "1:-1", "1:2:3:4", "NaN", "inf", "1,5", "1:+1:00"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_may_have_units() {
        for (text, secs) in [("1m30s", 90.0), ("90s", 90.0), ("1h", 3600.0), ("1h2m3.5s", 3723.5), ("0.5s", 0.5)] {
            assert_eq!(parse(text), Ok(secs), "{text}");
        }
        assert_eq!((parse("90m"), parse("1h30s"), parse("0s")), (Ok(5400.0), Ok(3630.0), Ok(0.0)));
        for wrong in
            ["s", "m", "1m60s", "1h60m", "30s1m", "1m1m", "1.5m", "-1s", "1m-1s", "1d", "1m30", "1:30s", "infs"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_way_to_write_a_moment_means_the_same(secs in 0u32..360_000) {
            let (hours, minutes, rest) = (secs / 3600, secs / 60 % 60, secs % 60);
            for text in [
                format!("{secs}"),
                format!("{hours}:{minutes:02}:{rest:02}"),
                format!("{}:{rest:02}", secs / 60),
                format!("{hours}h{minutes}m{rest}s"),
                format!("{}m{rest}s", secs / 60),
            ] {
                proptest::prop_assert_eq!(parse(&text), Ok(f64::from(secs)), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_a_moment_that_is_no_time(text in "[0-9hms:.+-]{0,12}") {
            if let Ok(secs) = parse(&text) {
                proptest::prop_assert!(secs.is_finite() && secs >= 0.0, "{text}: {secs}");
            }
        }
    }
}
