//! Values of flags: numbers in their ranges, moments, and overrides of the config.

use std::str::FromStr;

use bytesize::ByteSize;
use llava_video::checkpoint::{ConfigOverride, is_known_key};

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a whole number above 0".to_owned())
}

/// A number of which any is fine, 0 included.
pub(crate) fn whole_number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number of 0 or more".to_owned())
}

/// An amount of memory, in decimal or binary units.
pub(super) fn size(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "expected a size such as 8GB".to_owned())
}

/// A moment in seconds, written as seconds, with colons (`1:02:03.5`), or with units (`1h2m3.5s`).
pub(super) fn moment(text: &str) -> Result<f64, String> {
    let secs = if text.contains(':') { clock_time(text) } else { seconds(text).or_else(|| time_with_units(text)) };
    secs.ok_or_else(|| "expected a time such as 90, 1:30, 0:01:30 or 1m30s".to_owned())
}

fn seconds(text: &str) -> Option<f64> {
    not_negative(text).ok()
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

fn number(text: &str, accept: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && accept(*x)).ok_or_else(|| format!("expected {expected}"))
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of 0 or more")
}

pub(crate) fn probability(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x <= 1.0, "a number above 0 and at most 1")
}

/// The value is JSON where it parses as such, else a string, so that quotes are not needed.
pub(super) fn config_override(text: &str) -> Result<ConfigOverride, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if !is_known_key(key) {
        return Err(format!("`{key}` is not a config key that this program reads"));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
    Ok(ConfigOverride { key: key.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        for wrong in ["0", "-1", "NaN", "inf", "x", ""] {
            assert!(positive(wrong).is_err(), "{wrong}");
            assert!(at_least_one(wrong).is_err(), "{wrong}");
        }
        assert!(probability("1.5").is_err() && probability("1").is_ok());
        assert!(not_negative("-0.1").is_err() && not_negative("0").is_ok());
    }

    #[test]
    fn moments_are_seconds_or_clock_times() {
        for (text, secs) in [("0", 0.0), ("12.5", 12.5), ("90", 90.0), ("1:30", 90.0), ("1:02:03.25", 3723.25)] {
            assert_eq!(moment(text), Ok(secs), "{text}");
        }
        for wrong in ["", ":", "1:", ":1", "1:60", "1:60:00", "-1", "1:-1", "1:2:3:4", "NaN", "inf", "1,5", "1:+1:00"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_may_have_units() {
        for (text, secs) in [("1m30s", 90.0), ("90s", 90.0), ("1h", 3600.0), ("1h2m3.5s", 3723.5), ("0.5s", 0.5)] {
            assert_eq!(moment(text), Ok(secs), "{text}");
        }
        assert_eq!((moment("90m"), moment("1h30s"), moment("0s")), (Ok(5400.0), Ok(3630.0), Ok(0.0)));
        for wrong in
            ["s", "m", "1m60s", "1h60m", "30s1m", "1m1m", "1.5m", "-1s", "1m-1s", "1d", "1m30", "1:30s", "infs"]
        {
            assert!(moment(wrong).is_err(), "{wrong}");
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
                proptest::prop_assert_eq!(moment(&text), Ok(f64::from(secs)), "{}", text);
            }
        }

        #[test]
        fn no_text_makes_a_moment_that_is_no_time(text in "[0-9hms:.+-]{0,12}") {
            if let Ok(secs) = moment(&text) {
                proptest::prop_assert!(secs.is_finite() && secs >= 0.0, "{text}: {secs}");
            }
        }
    }

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        assert_eq!(size("8GB"), Ok(ByteSize::gb(8)));
        assert_eq!(size("1.5 GiB"), Ok(ByteSize::mib(1536)));
        for wrong in ["8QB", "GB", "", "-1GB"] {
            assert_eq!(size(wrong), Err("expected a size such as 8GB".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn counts_may_be_nothing() {
        assert_eq!(whole_number::<u64>("0"), Ok(0));
        for wrong in ["a", "-1", "1.5", ""] {
            assert_eq!(whole_number::<u64>(wrong), Err("expected a whole number of 0 or more".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn overrides_need_no_quotes_but_a_known_key() {
        let parsed = config_override("mm_spatial_pool_mode=average").expect("a known key");
        assert_eq!(parsed.value, serde_json::json!("average"));
        assert_eq!(config_override("mm_spatial_pool_stride=3").expect("known").value, serde_json::json!(3));
        assert!(config_override("pool=average").is_err());
        assert!(config_override("mm_spatial_pool_mode").is_err());
    }
}
