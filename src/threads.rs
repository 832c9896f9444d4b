//! How many threads computing and decoding take.

use std::path::Path;

use crate::cgroup;

/// The variable that rayon and candle read when they start their threads.
pub const VARIABLE: &str = "RAYON_NUM_THREADS";

/// The threads to compute and decode with: what [`VARIABLE`] says, else what [`available`] counts. A process without
/// access to its control groups, such as the one that decodes, gets the number from its parent by this variable.
pub fn count() -> usize {
    let said = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    said.filter(|&count| count > 0).unwrap_or_else(available)
}

/// The processors that this process may use: those that it may run on, or fewer where a quota of its control groups
/// allows less time than they have.
pub fn available() -> usize {
    within(std::thread::available_parallelism().map_or(1, usize::from), cgroup::cpu_quota(Path::new("/")))
}

/// A thread beyond the quota would only make all of them stall, so a part of a processor does not count; one always
/// does.
fn within(processors: usize, quota: Option<f64>) -> usize {
    quota.map_or(processors, |quota| processors.min(quota as usize)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_respected_and_one_thread_is_always_there() {
        for (processors, quota, expected) in
            [(8, None, 8), (8, Some(2.5), 2), (8, Some(0.2), 1), (2, Some(64.0), 2), (2, Some(f64::INFINITY), 2)]
        {
            assert_eq!(within(processors, quota), expected, "{processors} processors, a quota of {quota:?}");
        }
    }
}
