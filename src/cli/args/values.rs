//! Values of flags: numbers in their ranges, moments, and overrides of the config.

use llava_video::checkpoint::{ConfigOverride, is_known_key};

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a whole number above 0".to_owned())
}

/// Seconds, or hours, minutes and seconds with colons between them.
pub(super) fn moment(text: &str) -> Result<f64, String> {
    let wrong = || "expected seconds or h:mm:ss".to_owned();
    let mut parts = text.rsplit(':');
    let secs = not_negative(parts.next().unwrap_or_default()).map_err(|_| wrong())?;
    let mut total = secs;
    for unit_secs in [60.0, 3600.0] {
        let Some(part) = parts.next() else { return Ok(total) };
        if total >= unit_secs || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        total += unit_secs * part.parse::<f64>().map_err(|_| wrong())?;
    }
    if parts.next().is_some() { Err(wrong()) } else { Ok(total) }
}

fn number(text: &str, accept: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && accept(*x)).ok_or_else(|| format!("expected {expected}"))
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of 0 or more")
}

pub(super) fn probability(text: &str) -> Result<f64, String> {
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
        for wrong in ["", ":", "1:", ":1", "1:60", "1:60:00", "-1", "1:-1", "1:2:3:4", "NaN", "inf", "1,5", "1h"] {
            assert!(moment(wrong).is_err(), "{wrong}");
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
