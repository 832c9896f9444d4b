//! Sizes and counts as people read them.

use bytesize::ByteSize;

/// In decimal units, as disks and downloads are sold and the hub counts: `16.1 GB`.
pub fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().si().to_string()
}

/// Two different sizes, with as many decimals as it takes to tell them apart: `3.21 GB` and `3.20 GB`.
pub fn shown_apart(a: u64, b: u64) -> (String, String) {
    let shown = |bytes: u64, decimals: usize| format!("{:.decimals$}", ByteSize(bytes).display().si());
    let pairs = (1..=6).map(|decimals| (shown(a, decimals), shown(b, decimals)));
    pairs.into_iter().find(|(a, b)| a != b).unwrap_or_else(|| (format!("{a} B"), format!("{b} B")))
}

/// A number of things, in the singular where there is one: `1 frame`, `110 frames`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_a_decimal_unit() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1_050_000, "1.1 MB"), (16_060_697_664, "16.1 GB")] {
            assert_eq!(shown(bytes), text);
        }
    }

    #[test]
    fn sizes_that_differ_are_shown_apart() {
        let apart = |a, b| shown_apart(a, b);
        assert_eq!(apart(18_000_000_000, 16_800_000_000), ("18.0 GB".to_owned(), "16.8 GB".to_owned()));
        assert_eq!(apart(3_214_000_000, 3_196_000_000), ("3.21 GB".to_owned(), "3.20 GB".to_owned()));
        assert_eq!(apart(3_200_000_001, 3_200_000_000), ("3200000001 B".to_owned(), "3200000000 B".to_owned()));
    }

    #[test]
    fn one_thing_is_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "frame")), ["0 frames", "1 frame", "2 frames"]);
    }
}
