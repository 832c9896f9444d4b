//! Numbers and foreign texts as pages print them, whatever their format.

use std::fmt::Write as _;

/// A number with so many decimals and a true minus sign; none of them is "-0.0".
pub(super) fn number(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value < 0.0 && !is_zero { format!("\u{2212}{digits}") } else { digits }
}

/// A difference, with its sign.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let digits = number(value, decimals);
    let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value > 0.0 && !is_zero { format!("+{digits}") } else { digits }
}

/// A whole number, its thousands set apart.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 row`, `2 rows`.
pub(super) fn counted(number: usize, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Rows in few words: `1–3, 7`.
pub(super) fn ranges(rows: &[usize]) -> String {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows.dedup();
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == row => *last = row,
            _ => runs.push((row, row)),
        }
    }
    let texts = runs.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}\u{2013}{last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// A foreign text whose control characters, and those that reorder or hide what is around them, are spelled out.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => _ = write!(shown, "{}", c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_true_signs_and_no_negative_zero() {
        assert_eq!((number(63.25, 1).as_str(), number(-0.04, 1).as_str()), ("63.2", "0.0"));
        assert_eq!((signed(-1.26, 1).as_str(), signed(0.2, 1).as_str()), ("\u{2212}1.3", "+0.2"));
        assert_eq!((signed(0.04, 1).as_str(), signed(3.5, 2).as_str()), ("0.0", "+3.50"));
    }

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1000, 19_140, 1_234_567].map(count);
        assert_eq!(texts, ["0", "999", "1,000", "19,140", "1,234,567"]);
        assert_eq!((counted(1, "row").as_str(), counted(2, "row").as_str()), ("1 row", "2 rows"));
    }

    #[test]
    fn rows_that_follow_each_other_are_one_range() {
        assert_eq!(ranges(&[7, 1, 2, 3, 3]), "1\u{2013}3, 7");
        assert_eq!((ranges(&[4, 5]).as_str(), ranges(&[]).as_str()), ("4, 5", ""));
    }

    #[test]
    fn what_hides_or_reorders_is_spelled_out() {
        assert_eq!(visible("a\u{202e}b\u{0}\n\u{1b}[2J"), "a\\u{202e}b\\u{0}\\u{a}\\u{1b}[2J");
        assert_eq!(visible("Straße 視頻 👍"), "Straße 視頻 👍");
    }
}
