//! Hands the parts of a kernel's work to all threads.
//!
//! One token takes some 170 regions, a hundred microseconds of work or so each, and to wake a thread takes tens of
//! them. So idle threads stay awake for a while ([`patience`]). A region never waits for a thread that has not come:
//! the caller takes tasks as well, and waits at the end only for those that others have begun.
//!
//! No crate at hand does both: chili and paralight put an idle thread to sleep at once, and rayon after 32 yields.
//! candle's barrier pool spins, but each of its threads must come to each region, so that one which the system has set
//! aside holds up all the others.

mod patience;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;

use patience::Patience;

/// Runs `task(0)` to `task(tasks - 1)`, each once, on all threads, the calling one included; returns when all are done.
///
/// While another region runs, be it the one that this call comes from, all tasks run on the calling thread. A task that
/// panics does so for the caller; those that nobody has begun by then are left out.
pub(crate) fn run(tasks: usize, task: impl Fn(usize) + Sync) {
    if tasks < 2 {
        return (0..tasks).for_each(task);
    }
    global().run(tasks, &task);
}

/// How many threads [`run`] has, the calling one included.
pub(crate) fn threads() -> usize {
    global().workers.len() + 1
}

/// The pool of the process, started by the first who asks for it.
fn global() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::start(rayon::current_num_threads()))
}

/// On cache lines of its own, so that threads which wait for one value are not disturbed by writes to another.
#[repr(align(128))]
struct Alone<T>(T);

/// What is to be done, and how much of it is not done yet.
struct Region {
    task: UnsafeCell<&'static (dyn Fn(usize) + Sync)>,
    tasks: UnsafeCell<usize>,
    /// Tasks that nobody has reported as done, and [`CALLER_SLEEPS`].
    undone: AtomicUsize,
}

/// Beside the number of tasks not done: the caller sleeps and wants to be woken by the last one.
const CALLER_SLEEPS: usize = 1 << (usize::BITS - 1);

struct Shared {
    /// Tasks that nobody has taken: what idle workers look at.
    untaken: Alone<AtomicUsize>,
    region: Alone<Region>,
    /// The first panic of a region's tasks.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    /// Workers that sleep, or are about to.
    sleepers: AtomicUsize,
    /// What sleepers hold between their last look and their sleep.
    bed: Mutex<()>,
    opened: Condvar,
    done: Condvar,
}

// SAFETY: only the cells in `region` are not `Sync` by themselves. The one caller writes them while all tasks are done,
// and publishes them by storing `untaken`; others read them only between taking a task and reporting it as done.
unsafe impl Sync for Shared {}

struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by whoever runs a region.
    caller: Mutex<Patience>,
}

impl Pool {
    /// A pool of `threads` threads, one of which is whoever calls. With fewer, if the system refuses some.
    fn start(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            untaken: Alone(AtomicUsize::new(0)),
            region: Alone(Region {
                task: UnsafeCell::new(&|_| ()),
                tasks: UnsafeCell::new(0),
                undone: AtomicUsize::new(0),
            }),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            opened: Condvar::new(),
            done: Condvar::new(),
        });
        let patience = Patience::of_one_of(threads);
        let start = |index: usize| {
            let shared = shared.clone();
            let builder = std::thread::Builder::new().name(format!("kernels-{index}"));
            builder.spawn(move || shared.serve(patience)).ok()
        };
        let workers = (1..threads).map_while(start).collect();
        Self { shared, workers, caller: Mutex::new(patience) }
    }

    /// [`run`] for two tasks or more.
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let mut caller = match self.caller.try_lock() {
            Ok(caller) if !self.workers.is_empty() => caller,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Ok(_) | Err(TryLockError::WouldBlock) => return (0..tasks).for_each(task),
        };
        self.shared.open(tasks, task, self.workers.len());
        self.shared.take_part();
        self.shared.wait_until_done(&mut caller);
        let panic = lock(&self.shared.panic).take();
        drop(caller);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.bed));
        self.shared.opened.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Offers tasks to all. Only for the holder of [`Pool::caller`], who must wait until they are done before `task`
    /// ends.
    fn open(&self, tasks: usize, task: &(dyn Fn(usize) + Sync), workers: usize) {
        assert!(tasks < CALLER_SLEEPS, "so many tasks cannot be counted");
        // SAFETY: only the lifetime changes. Nobody uses the reference once all tasks are done, and `Pool::run` waits
        // for that before it returns, also when a task panics.
        let task = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task) };
        let region = &self.region.0;
        // SAFETY: the last region's tasks are done, so nobody reads these, and there is one caller at a time.
        unsafe {
            *region.task.get() = task;
            *region.tasks.get() = tasks;
        }
        region.undone.store(tasks, Ordering::Relaxed);
        // Against `sleep`, which counts itself and then looks at the tasks: one of the two sees the other.
        self.untaken.0.store(tasks, Ordering::SeqCst);
        let sleepers = self.sleepers.load(Ordering::SeqCst);
        let wanted = (workers.min(tasks - 1) + sleepers).saturating_sub(workers);
        if wanted > 0 {
            drop(lock(&self.bed));
            (0..wanted).for_each(|_| self.opened.notify_one());
        }
    }

    /// How many tasks were left for whoever takes this one; none if all are taken.
    fn take(&self) -> Option<usize> {
        let mut left = self.untaken.0.load(Ordering::Relaxed);
        while left > 0 {
            match self.untaken.0.compare_exchange_weak(left, left - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(left),
                Err(now) => left = now,
            }
        }
        None
    }

    /// Runs tasks until all are taken.
    fn take_part(&self) {
        let Some(mut left) = self.take() else { return };
        // SAFETY: this thread has taken a task and reports none before the last line, so the caller still waits.
        let (task, tasks) = unsafe { (*self.region.0.task.get(), *self.region.0.tasks.get()) };
        let mut mine = 1;
        let run = || loop {
            task(tasks - left);
            left = match self.take() {
                Some(left) => left,
                None => return,
            };
            mine += 1;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            mine += self.untaken.0.swap(0, Ordering::Acquire);
            let mut first = lock(&self.panic);
            if first.is_none() {
                *first = Some(panic);
            } else {
                // To drop it might panic again, and then the tasks would not be reported.
                std::mem::forget(panic);
            }
        }
        if self.region.0.undone.fetch_sub(mine, Ordering::Release) == CALLER_SLEEPS | mine {
            drop(lock(&self.bed));
            self.done.notify_one();
        }
    }

    /// Waits for the tasks that others have taken.
    fn wait_until_done(&self, patience: &mut Patience) {
        let undone = &self.region.0.undone;
        if patience.wait(|| undone.load(Ordering::Acquire) == 0) {
            return;
        }
        let mut bed = lock(&self.bed);
        let mut left = undone.fetch_or(CALLER_SLEEPS, Ordering::Acquire);
        while left & !CALLER_SLEEPS != 0 {
            bed = self.done.wait(bed).unwrap_or_else(PoisonError::into_inner);
            left = undone.load(Ordering::Acquire);
        }
    }

    /// What a worker does all its life.
    fn serve(&self, mut patience: Patience) {
        while !self.stop.load(Ordering::Relaxed) {
            if !patience.wait(|| self.untaken.0.load(Ordering::Relaxed) > 0) {
                self.sleep();
            }
            self.take_part();
        }
    }

    /// Sleeps until there may be tasks.
    fn sleep(&self) {
        let bed = lock(&self.bed);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        if self.untaken.0.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            // No loop: whoever is woken stays awake for a while, even if it came too late.
            drop(self.opened.wait(bed));
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Locks what stays valid when someone panics who holds it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
