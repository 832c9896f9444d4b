//! Numbers that look random and are the same every time, so that what they make can be made again.

/// A stream of numbers (xorshift).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Each seed from 1 on has a stream of its own.
    ///
    /// # Panics
    /// If `seed` is 0.
    pub fn new(seed: u64) -> Self {
        assert!(seed > 0, "a stream of zeros is not random");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it has no end, and an iterator would say so at every call")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from -0.5 up to 0.5.
    pub fn centered(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
