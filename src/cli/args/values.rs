//! Values of flags: numbers in their ranges, and overrides of the config.

use std::str::FromStr;

use bytesize::ByteSize;
use llava_video::checkpoint::{ConfigOverride, is_known_key};
use llava_video::moment;

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

/// A length of time in seconds, written as a moment.
pub(super) fn length(text: &str) -> Result<f64, String> {
    moment::parse(text)
        .ok()
        .filter(|&secs| secs > 0.0)
        .ok_or_else(|| "expected a length of time such as 10s or 1m".to_owned())
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
