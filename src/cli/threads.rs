//! `--threads`: how many threads the whole process, and the one that decodes for it, may compute with.

use llava_video::threads;

/// Settles the number for rayon, candle and everything that asks [`threads::count`]. Without `--threads` it is the
/// variable's, else what this process may use; candle's own guess ignores the quotas of control groups.
pub(crate) fn settle(asked: Option<usize>) {
    let count = asked.unwrap_or_else(threads::count);
    // SAFETY: called first of all, while this process has one thread, so nothing reads the environment meanwhile.
    unsafe {
        std::env::set_var(threads::VARIABLE, count.to_string());
        if asked.is_some() {
            // Goes before the other one in candle.
            std::env::remove_var("CANDLE_NUM_THREADS");
        }
    }
}
