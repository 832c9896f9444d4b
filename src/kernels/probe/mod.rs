//! What this machine can do at most, to judge kernels by: arithmetic in registers alone, and reading memory.

#[cfg(target_arch = "x86_64")]
mod amx;
mod arithmetic;
mod memory;

use std::time::{Duration, Instant};

use super::isa::Isa;
use super::pool;
pub(crate) use memory::read_bytes_per_sec;

/// One measurement takes about so long.
const DURATION: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 50 });
/// The best of so many is taken: whatever else runs makes it slower, nothing makes it faster.
const REPETITIONS: usize = 5;

/// Products and sums of f32 a second, on all threads.
pub(crate) fn peak_f32(isa: Isa) -> f64 {
    operations_per_sec(arithmetic::f32(isa))
}

/// Products and sums a second where bf16 are multiplied; none without instructions for that.
pub(crate) fn peak_bf16(isa: Isa) -> Option<f64> {
    arithmetic::bf16(isa).map(operations_per_sec)
}

/// Products and sums a second where bytes are multiplied; none without instructions for that.
pub(crate) fn peak_int8(isa: Isa) -> Option<f64> {
    arithmetic::int8(isa).map(operations_per_sec)
}

fn operations_per_sec(burst: arithmetic::Burst) -> f64 {
    // The first calls find slow clocks and cold caches.
    let burst_secs = (0..10).map(|_| seconds(|| burst.run())).fold(f64::INFINITY, f64::min);
    let bursts = pool::threads() * (DURATION.as_secs_f64() / burst_secs).ceil() as usize;
    let best = best_seconds(|| pool::run(bursts, |_| burst.run()));
    bursts as f64 * burst.operations() as f64 / best
}

fn best_seconds(mut work: impl FnMut()) -> f64 {
    (0..REPETITIONS).map(|_| seconds(&mut work)).fold(f64::INFINITY, f64::min)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_of_instructions_has_its_peaks() {
        for isa in Isa::available() {
            let peaks = [Some(peak_f32(isa)), peak_bf16(isa), peak_int8(isa)];
            for (peak, expected) in peaks.into_iter().zip([true, isa.multiplies_bf16(), isa.multiplies_bytes()]) {
                assert_eq!(peak.is_some(), expected, "{isa:?}");
                // From an old machine under emulation to the largest servers.
                assert!(peak.is_none_or(|peak| (1e7..1e15).contains(&peak)), "{isa:?}: {peak:?}");
            }
        }
    }
}
