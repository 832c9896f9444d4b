//! Sizes and counts as people read them.

use bytesize::ByteSize;

/// In decimal units, as disks and downloads are sold and the hub counts: `16.1 GB`.
pub fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().si().to_string()
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
    fn one_thing_is_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "frame")), ["0 frames", "1 frame", "2 frames"]);
    }
}
