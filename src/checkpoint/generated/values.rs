//! What a generated tensor holds, in bf16: the same at every reading, at any place of it, without being kept.

use std::sync::OnceLock;

use half::bf16;

use super::random::Random;

/// Random values that all tensors take theirs from; an odd number, so that rows do not repeat.
const NOISE_VALUES: usize = 2_097_143;

/// Bytes of a value.
const WIDTH: usize = 2;

/// What one tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Ones: the weights of norms.
    Ones,
    /// Zeros: biases.
    Zeros,
    /// Random values of standard deviation 0.02, so that what is computed with them stays in the range of a real model.
    Noise {
        /// Which of them comes first.
        first: usize,
    },
}

impl Values {
    /// Those of the tensor `name`, the one of this number in its file.
    pub fn of(index: usize, name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((module, "weight")) if module.contains("norm") => Self::Ones,
            Some((_, "bias")) => Self::Zeros,
            _ => Self::Noise { first: index * 7919 % 100_000 },
        }
    }

    /// Fills `bytes` with what stands from byte `start` of the tensor on.
    pub fn fill(self, start: usize, bytes: &mut [u8]) {
        match self {
            Self::Zeros => bytes.fill(0),
            Self::Ones => repeat(&bf16::ONE.to_le_bytes(), start, bytes),
            Self::Noise { first } => repeat(noise(), WIDTH * first + start, bytes),
        }
    }
}

/// Fills `bytes` with `pattern` over and over, as if that had begun `start` bytes before.
fn repeat(pattern: &[u8], start: usize, mut bytes: &mut [u8]) {
    let mut from = start % pattern.len();
    while !bytes.is_empty() {
        let count = bytes.len().min(pattern.len() - from);
        let (filled, rest) = bytes.split_at_mut(count);
        filled.copy_from_slice(&pattern[from..from + count]);
        (bytes, from) = (rest, 0);
    }
}

fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut random = Random::new(1);
        // A sum of three uniform values of variance 1/12 each has a deviation of one half.
        let mut value = || bf16::from_f32((random.centered() + random.centered() + random.centered()) * 0.04);
        (0..NOISE_VALUES).flat_map(|_| value().to_le_bytes()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_the_whole_has_there() {
        for values in [Values::Ones, Values::Zeros, Values::Noise { first: 99_999 }] {
            let mut whole = vec![7; 2 * WIDTH * NOISE_VALUES + 10];
            values.fill(0, &mut whole);
            for (start, len) in [(0, 5), (3, 8), (WIDTH * NOISE_VALUES - 3, 9), (WIDTH * NOISE_VALUES + 1, 4)] {
                let mut part = vec![7; len];
                values.fill(start, &mut part);
                assert_eq!(part, whole[start..start + len], "{values:?} from byte {start}");
            }
        }
    }

    #[test]
    fn noise_is_finite_and_of_its_spread() {
        let values = noise().chunks_exact(WIDTH).map(|bytes| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f64());
        let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value));
        let (mean, deviation) = (sum / NOISE_VALUES as f64, (squares / NOISE_VALUES as f64).sqrt());
        assert!(mean.abs() < 1e-4 && (deviation - 0.02).abs() < 1e-4, "{mean} {deviation}");
    }

    #[test]
    fn names_tell_what_is_random() {
        assert_eq!(Values::of(3, "model.layers.0.input_layernorm.weight"), Values::Ones);
        assert_eq!(Values::of(3, "model.layers.0.self_attn.q_proj.bias"), Values::Zeros);
        assert_eq!(Values::of(3, "model.layers.0.self_attn.q_proj.weight"), Values::Noise { first: 23_757 });
        assert_eq!(Values::of(0, "model.image_newline"), Values::Noise { first: 0 });
    }
}
