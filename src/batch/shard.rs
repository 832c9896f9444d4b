//! A share of the inputs, for one of several processes: by a hash of the id, so that it does not change while the list
//! grows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// The `index`-th of `count` shares, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one.
    pub index: usize,
    /// Of how many; above `index`.
    pub count: usize,
}

impl Shard {
    /// Whether the input of this id is in it.
    pub fn holds(self, id: &str) -> bool {
        let hash = blake3::hash(id.as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
        u64::from_le_bytes(*first) % self.count as u64 == self.index as u64
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A shard that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected K/N with K from 0 to N-1, such as 0/4")]
pub struct NoShard;

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (index, count) = text.split_once('/').ok_or(NoShard)?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<usize>().map_err(|_| NoShard),
            false => Err(NoShard),
        };
        let shard = Self { index: number(index)?, count: number(count)? };
        if shard.index < shard.count { Ok(shard) } else { Err(NoShard) }
    }
}

impl<'de> Deserialize<'de> for Shard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_written_as_they_are_read() {
        for text in ["0/1", "3/4", "0/1000"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()).as_deref(), Ok(text));
        }
        for wrong in ["", "1", "/", "1/", "/1", "1/1", "4/4", "0/0", "-1/4", "+1/4", "1/4/4", "a/4"] {
            assert_eq!(wrong.parse::<Shard>(), Err(NoShard), "{wrong}");
        }
    }

    #[test]
    fn each_id_is_in_one_shard() {
        let shards = |count| (0..count).map(move |index| Shard { index, count });
        for count in [1, 2, 3, 7] {
            let mut sizes = vec![0; count];
            for id in 0..1000 {
                let id = format!("clips/{id}.mp4");
                let holding: Vec<_> = shards(count).filter(|shard| shard.holds(&id)).collect();
                assert_eq!(holding.len(), 1, "{id} of {count}");
                sizes[holding[0].index] += 1;
            }
            assert!(sizes.iter().all(|&size| size > 800 / count), "{sizes:?}");
        }
    }

    /// Outputs of earlier versions must not be divided otherwise.
    #[test]
    fn the_division_stays() {
        let index = |id: &str| (0..8).find(|&index| Shard { index, count: 8 }.holds(id));
        assert_eq!(["a", "b", "clip.mp4", ""].map(index), [Some(7), Some(0), Some(5), Some(7)]);
    }
}
