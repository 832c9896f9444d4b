//! The draw that stands in for the harness's random choice: seeded, and of each row by itself, so that no order of rows
//! and no shard changes it.

use super::parsed::Parsed;
use crate::eval::{Benchmark, Row};

/// Draws letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
}

impl Draw {
    /// Draws of one seed are always the same.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Its seed.
    pub fn seed(self) -> u64 {
        self.seed
    }

    /// The letter drawn for a row, if its answer has to be drawn.
    pub fn letter(self, benchmark: Benchmark, row: &Row, parsed: &Parsed) -> Option<char> {
        let Parsed::Random(letters) = *parsed else { return None };
        let part = row.part.as_deref().unwrap_or_default();
        let text = format!("{}\n{benchmark}\n{part}\n{}", self.seed, row.row);
        let hash = blake3::hash(text.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        // The upper half of the product is uniform but for 2^-59 of a share.
        let index = (u128::from(u64::from_le_bytes(first)) * letters as u128) >> 64;
        ('A'..='Z').nth(index as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, letters: usize) -> Vec<char> {
        let row = |row| Row { row, part: None, columns: serde_json::Map::new() };
        let letter = |index| Draw::new(seed).letter(Benchmark::NextQa, &row(index), &Parsed::Random(letters));
        (0..1000).filter_map(letter).collect()
    }

    #[test]
    fn draws_are_even_and_those_of_the_seed() {
        let drawn = draws(0, 5);
        assert_eq!(drawn.len(), 1000);
        for letter in 'A'..='E' {
            let share = drawn.iter().filter(|&&other| other == letter).count();
            assert!((150..250).contains(&share), "{letter}: {share}");
        }
        assert_eq!(drawn, draws(0, 5));
        assert_ne!(drawn, draws(1, 5));
        assert!(draws(0, 2).iter().all(|letter| "AB".contains(*letter)));
    }

    #[test]
    fn nothing_is_drawn_for_a_found_answer() {
        let row = Row { row: 0, part: None, columns: serde_json::Map::new() };
        assert_eq!(Draw::new(0).letter(Benchmark::NextQa, &row, &Parsed::Letter('A')), None);
    }
}
