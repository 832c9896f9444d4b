//! What Python does and Rust does not: white space with the separators of ASCII, `capitalize`, the order of a set.

/// Whether Python's `str.strip` and `str.split` cut at `c`: Unicode white space, and U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.capitalize()`: the first character in title case, all others lower, a final sigma as such.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // The whole text is lowered, for whether a sigma is final depends on what stands before it.
    let lower = text.to_lowercase();
    let rest = lower.chars().skip(first.to_lowercase().count());
    title(first).chars().chain(rest).collect()
}

/// `list(set(values))`: the order of CPython's hash table, which integers enter by their own value.
///
/// Source: `setobject.c`: a table of powers of two that grows fourfold once three fifths are taken, nine linear probes,
/// then a perturbed step.
pub fn set_order(values: &[usize]) -> Vec<usize> {
    /// Larger sets grow twofold.
    const LARGE: usize = 50_000;
    let (mut table, mut used) = (vec![None; 8], 0);
    for &value in values {
        let slot = slot(&table, value);
        if table[slot].is_some() {
            continue;
        }
        table[slot] = Some(value);
        used += 1;
        if used * 5 < (table.len() - 1) * 3 {
            continue;
        }
        let least = if used > LARGE { used * 2 } else { used * 4 };
        let mut larger = vec![None; (least + 1).next_power_of_two().max(8)];
        for value in table.into_iter().flatten() {
            let slot = self::slot(&larger, value);
            larger[slot] = Some(value);
        }
        table = larger;
    }
    table.into_iter().flatten().collect()
}

/// Where a value is, or where it goes.
fn slot(table: &[Option<usize>], value: usize) -> usize {
    const LINEAR_PROBES: usize = 9;
    let mask = table.len() - 1;
    let (mut perturb, mut at) = (value, value & mask);
    loop {
        let last = if at + LINEAR_PROBES <= mask { at + LINEAR_PROBES } else { at };
        if let Some(slot) = (at..=last).find(|&slot| table[slot].is_none_or(|there| there == value)) {
            return slot;
        }
        perturb >>= 5;
        at = at.wrapping_mul(5).wrapping_add(1).wrapping_add(perturb) & mask;
    }
}

/// The title case of one character, by Unicode's SpecialCasing and UnicodeData; where they say nothing, upper case.
fn title(c: char) -> String {
    let code = u32::from(c);
    let one = |code: u32| char::from_u32(code).map_or_else(String::new, String::from);
    match code {
        // Digraphs have a third form.
        0x1c4..=0x1c6 => one(0x1c5),
        0x1c7..=0x1c9 => one(0x1c8),
        0x1ca..=0x1cc => one(0x1cb),
        0x1f1..=0x1f3 => one(0x1f2),
        // Georgian knows capitals only for whole words.
        0x10d0..=0x10fa | 0x10fd..=0x10ff => one(code),
        // Greek with an iota below, which stays below.
        0x1f80..=0x1faf => one(code | 8),
        0x1fb3 | 0x1fbc | 0x1fc3 | 0x1fcc | 0x1ff3 | 0x1ffc => one((code & !0xf) | 0xc),
        0x1fb2 | 0x1fb4 | 0x1fb7 | 0x1fc2 | 0x1fc4 | 0x1fc7 | 0x1ff2 | 0x1ff4 | 0x1ff7 => {
            c.to_uppercase().map(|upper| if upper == '\u{399}' { '\u{345}' } else { upper }).collect()
        }
        // Ligatures: of the letters within, only the first is large.
        0xdf | 0x587 | 0xfb00..=0xfb17 => {
            let mut letters = c.to_uppercase();
            letters.next().into_iter().chain(letters.flat_map(char::to_lowercase)).collect()
        }
        _ => c.to_uppercase().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(strip("\u{1c}\u{85} \u{3000}a\u{200b}\u{1f}\n"), "a\u{200b}");
        assert_eq!(strip("\u{feff}a"), "\u{feff}a");
        assert_eq!(strip("\u{1b}a\u{a0}"), "\u{1b}a");
    }

    /// Right-hand sides from CPython 3.11.
    #[test]
    fn capitals_are_pythons() {
        for (text, expected) in [
            ("", ""),
            ("ßo many cups ΑΣ", "Sso many cups ας"),
            (" what USA", " what usa"),
            ("éCLAIRS", "Éclairs"),
            ("ǆungla ǄǅǆX", "ǅungla ǆǆǆx"),
            ("ﬃne", "Ffine"),
            ("ŉ A", "ʼN a"),
            ("ევროპა", "ევროპა"),
            ("ᾳΣ", "ᾼς"),
            ("\u{1fb2}", "\u{1fba}\u{345}"),
            ("ᾠ", "ᾨ"),
            ("և", "Եւ"),
            ("ΣΑΣ. ΣΑ", "Σας. σα"),
            ("İSTANBUL", "İstanbul"),
            ("xİ", "Xi\u{307}"),
            ("\u{390}", "\u{399}\u{308}\u{301}"),
            ("4 PEOPLE", "4 people"),
        ] {
            assert_eq!(capitalize(text), expected, "{text}");
        }
    }

    /// Right-hand sides from CPython 3.11.
    #[test]
    fn sets_are_in_pythons_order() {
        for (values, expected) in [
            (vec![3, 4, 1, 6, 7], vec![1, 3, 4, 6, 7]),
            (vec![19, 11, 8, 2, 51, 70], vec![2, 70, 8, 11, 19, 51]),
            (
                vec![
                    1879, 592, 1639, 1567, 120, 454, 1065, 1099, 737, 566, 1596, 353, 1693, 217, 536, 439, 1931, 1899,
                    52, 1697,
                ],
                vec![
                    1931, 536, 1693, 1567, 1697, 1065, 52, 566, 439, 1596, 454, 1099, 592, 1879, 217, 737, 353, 1639,
                    1899, 120,
                ],
            ),
            (
                vec![
                    1312, 533, 556, 396, 337, 634, 593, 1284, 1498, 762, 177, 1240, 691, 1375, 794, 1036, 509, 364,
                    506, 969, 573, 182, 1121, 614, 14, 597, 1172, 1443, 638, 1041, 399, 847,
                ],
                vec![
                    1284, 396, 1036, 14, 399, 1041, 1172, 533, 794, 1312, 1443, 556, 177, 691, 182, 573, 969, 847, 337,
                    593, 597, 1240, 1498, 1375, 1121, 614, 364, 506, 634, 762, 509, 638,
                ],
            ),
        ] {
            assert_eq!(set_order(&values), expected);
        }
    }

    proptest! {
        #[test]
        fn sets_hold_each_value_once(values in prop::collection::vec(0usize..300, 0..200)) {
            let mut ordered = set_order(&values);
            ordered.sort_unstable();
            let expected: Vec<_> = std::collections::BTreeSet::from_iter(values).into_iter().collect();
            prop_assert_eq!(ordered, expected);
        }

        #[test]
        fn only_the_first_character_is_large(text in ".{0,12}") {
            let capital = capitalize(&text);
            let rest: String = text.to_lowercase().chars().skip(
                text.chars().next().map_or(0, |first| first.to_lowercase().count())).collect();
            prop_assert!(capital.ends_with(&rest));
        }
    }
}
