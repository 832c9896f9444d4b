//! Hands the parts of a kernel's work to all threads.

use rayon::prelude::*;

/// Runs `task(0)` to `task(tasks - 1)`, each once, on all threads, the calling one included; returns when all are done.
pub(crate) fn run(tasks: usize, task: impl Fn(usize) + Sync) {
    (0..tasks).into_par_iter().with_max_len(1).for_each(&task);
}
