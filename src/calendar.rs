//! Moments in the Gregorian calendar, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_OF_A_DAY: u64 = 86_400;

/// Now, as RFC 3339 writes it: `2026-11-26T12:03:04Z`.
pub(crate) fn now() -> String {
    utc(unix_seconds())
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Seconds since 1970 as RFC 3339 writes them.
pub(crate) fn utc(unix_seconds: u64) -> String {
    let (mut days, seconds) = (unix_seconds / SECONDS_OF_A_DAY, unix_seconds % SECONDS_OF_A_DAY);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    for length in months(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

/// Seconds since 1970 of a date as headers of HTTP have it: `Wed, 21 Oct 2026 07:28:00 GMT`.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, clock, "GMT"] = words[..] else { return None };
    let number = |text: &str| text.parse::<u16>().ok().map(u64::from);
    let [hour, minute, second] = clock.split(':').map(number).collect::<Vec<_>>()[..] else { return None };
    let (day, year) = (number(day)?.checked_sub(1)?, number(year).filter(|year| (1970..10_000).contains(year))?);
    let month = MONTHS.iter().position(|name| *name == month)?;
    let months = months(year);
    if day >= months[month] {
        return None;
    }
    let days = (1970..year).map(days_of_year).sum::<u64>() + months[..month].iter().sum::<u64>() + day;
    Some(days * SECONDS_OF_A_DAY + hour? * 3600 + minute? * 60 + second?)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn months(year: u64) -> [u64; 12] {
    [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn headers_have_dates() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Tue, 31 Dec 2024 23:59:59 GMT", Some(1_735_689_599)),
            ("Tue, 29 Feb 2023 00:00:00 GMT", None),
            ("Tue, 00 Feb 2023 00:00:00 GMT", None),
            ("Tue, 31 Dec 1024 23:59:59 GMT", None),
            ("Tue, 31 Dec 2024 23:59:59 CET", None),
            ("7", None),
        ] {
            assert_eq!(http_date(text), seconds, "{text}");
        }
        assert_eq!(utc(http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap()), "2026-10-21T07:28:00Z");
    }
}
