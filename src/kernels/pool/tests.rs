//! Regions of the pool: every task once, whatever else happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use super::*;

/// Sizes of the pools under test: fewer threads than processors, as many, and more.
const THREADS: &[usize] = if cfg!(miri) { &[1, 2, 3] } else { &[1, 2, 3, 4, 8] };
const MANY: usize = if cfg!(miri) { 20 } else { 20_000 };

/// Runs a region of `tasks` tasks and checks that each ran once.
fn check(pool: &Pool, tasks: usize) {
    let runs: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
    pool.run(tasks, &|task| {
        runs[task].fetch_add(1, Ordering::Relaxed);
    });
    assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1), "{tasks} tasks: {runs:?}");
}

#[test]
fn every_task_runs_once_in_every_region() {
    for &threads in THREADS {
        let pool = Pool::start(threads);
        let mut random = 1u32;
        for _ in 0..MANY {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            check(&pool, 2 + (random >> 24) as usize % 19);
        }
    }
}

#[test]
fn regions_after_a_pause_wake_the_sleepers() {
    for &threads in &THREADS[1..] {
        let pool = Pool::start(threads);
        for pause in 0..if cfg!(miri) { 3 } else { 40 } {
            std::thread::sleep(Duration::from_micros(50 * pause));
            // With all threads inside at once, nobody may have been left asleep.
            let barrier = Barrier::new(threads);
            pool.run(threads, &|_| {
                barrier.wait();
            });
        }
    }
}

#[test]
fn a_caller_that_waits_long_is_woken() {
    let pool = Pool::start(2);
    let barrier = Barrier::new(2);
    let caller = std::thread::current().id();
    pool.run(2, &|_| {
        barrier.wait();
        if std::thread::current().id() != caller {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    check(&pool, 5);
}

#[test]
fn what_tasks_wrote_is_there_afterwards() {
    let pool = Pool::start(4);
    for round in 0..MANY / 10 {
        let cells: Vec<AtomicUsize> = (0..16).map(|_| AtomicUsize::new(0)).collect();
        pool.run(16, &|task| cells[task].store(round + task, Ordering::Relaxed));
        assert!(cells.into_iter().enumerate().all(|(task, cell)| cell.into_inner() == round + task));
    }
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for &threads in THREADS {
        let pool = Pool::start(threads);
        for bad in [0, 3, 9] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(10, &|task| assert_ne!(task, bad, "this one"));
            }));
            let message = *result.expect_err("a panic").downcast::<String>().expect("a message");
            assert!(message.contains("this one"), "{message}");
            check(&pool, 10);
        }
        let all = catch_unwind(AssertUnwindSafe(|| pool.run(10, &|task| panic!("{task}"))));
        assert!(all.is_err());
        check(&pool, 10);
    }
}

#[test]
fn a_region_within_a_region_runs_on_its_thread() {
    for threads in [1, 2, 4] {
        let pool = Pool::start(threads);
        let runs = AtomicUsize::new(0);
        pool.run(8, &|_| {
            let thread = std::thread::current().id();
            pool.run(5, &|_| {
                assert_eq!(std::thread::current().id(), thread);
                runs.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(runs.into_inner(), 40);
    }
}

#[test]
fn many_callers_at_once() {
    let pool = Pool::start(2);
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let pool = &pool;
            scope.spawn(move || (0..MANY / 20).for_each(|round| check(pool, 2 + (round + caller) % 7)));
        }
    });
}

#[test]
fn the_pool_of_the_process_runs_none_one_and_many() {
    assert!(threads() >= 1);
    for tasks in [0, 1, 2, 3, 100] {
        let runs: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
        run(tasks, |task| {
            runs[task].fetch_add(1, Ordering::Relaxed);
        });
        assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn an_idle_pool_sleeps() {
    let pool = Pool::start(4);
    check(&pool, 100);
    let start = Instant::now();
    while pool.shared.sleepers.load(Ordering::Relaxed) < pool.workers.len() {
        assert!(start.elapsed() < Duration::from_secs(10), "workers stay awake");
        std::thread::sleep(Duration::from_millis(1));
    }
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        // The last to count itself may still be on its way.
        std::thread::sleep(Duration::from_millis(5));
        let before: Vec<Duration> = pool.workers.iter().map(processor_time).collect();
        std::thread::sleep(Duration::from_millis(50));
        for (worker, before) in pool.workers.iter().zip(before) {
            let spent = processor_time(worker) - before;
            assert!(spent < Duration::from_micros(500), "{spent:?}");
        }
    }
    check(&pool, 100);
}

/// What a thread has computed so far.
#[cfg(all(target_os = "linux", not(miri)))]
fn processor_time(worker: &JoinHandle<()>) -> Duration {
    use std::os::unix::thread::JoinHandleExt;
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the thread has not been joined, and both results are valid for writes.
    let errors = unsafe {
        libc::pthread_getcpuclockid(worker.as_pthread_t(), &mut clock) | libc::clock_gettime(clock, &mut time)
    };
    assert_eq!(errors, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
