//! Random choices that are the same in every run, so that a failure can be repeated.

pub(crate) use super::generate_checkpoint::family::random::Random;

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
