//! The nursery's own life: it waits for orders and forks, in a process that does nothing else.

use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::panic::catch_unwind;
use std::path::Path;

use rustix::io::Errno;

use super::super::{sandbox, worker};
use super::wire::{self, Order};

/// How a Rust program ends that has panicked.
const PANICKED: i32 = 101;

/// Forks a child for each order that comes over the socket which is standard input, until the parent closes its end or
/// goes away.
pub(in super::super) fn serve() {
    ignore_signals();
    // What is left open where this fails, each child tries to close again, and says so.
    let _ = sandbox::close_inherited(Path::new(""));
    let stdin = std::io::stdin();
    // A parent that is gone needs no explanation.
    let _ = take_orders(stdin.as_fd());
}

fn take_orders(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    if !has_one_thread() {
        return wire::say(socket, wire::HAS_THREADS);
    }
    wire::say(socket, wire::READY)?;
    let own_number = own_number();
    loop {
        let order = match Order::receive(socket) {
            Ok(Some(order)) => order,
            Ok(None) => return Ok(()),
            Err(errno @ Errno::MFILE) => {
                wire::answer(socket, Err(errno))?;
                continue;
            }
            Err(errno) => return Err(errno),
        };
        // SAFETY: this process has one thread, so that no lock is held by another one, and the child is a whole copy of
        // it, which ends in `be_child`.
        match unsafe { fork(own_number) } {
            Ok(0) => be_child(order),
            forked => wire::answer(socket, forked)?,
        }
    }
}

/// The parent alone decides when a reader ends: a signal to all processes of a job, Ctrl-C or a scheduler's SIGTERM,
/// leaves it time to finish answers.
fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: takes two numbers and runs nothing.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Whether nothing else runs in this process, such as a library's own threads.
fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Where the C library keeps this thread's number, if the system tells and it is there.
fn own_number() -> Option<*mut libc::pid_t> {
    let mut place: *mut libc::pid_t = std::ptr::null_mut();
    // SAFETY: the system writes one pointer, to a number of this thread for as long as it lives, or to nothing.
    unsafe {
        let told = libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut place) == 0;
        // Other C libraries have something else there.
        (told && !place.is_null() && *place == libc::gettid()).then_some(place)
    }
}

/// Forks; the copy is a child of this process's parent, and finds 0. Where `own_number` is known, the copy's C library
/// knows its new number, as after its own `fork`, which cannot do this.
///
/// # Safety
/// As `fork`: a lock that another thread holds stays held in the copy.
unsafe fn fork(own_number: Option<*mut libc::pid_t>) -> Result<i32, Errno> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD | own_number.map_or(0, |_| libc::CLONE_CHILD_SETTID);
    let number = own_number.unwrap_or(std::ptr::null_mut());
    // SAFETY: without a stack of its own and without shared memory the copy goes on where this process does. The place
    // of the number is the fourth argument on some machines and the fifth on others; the other one is not looked at.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, number, number) } {
        -1 => Err(Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN))),
        child => Ok(child as i32),
    }
}

/// Reads one clip, as a process that was started for it.
fn be_child(order: Order<OwnedFd>) -> ! {
    sandbox::die_with_parent();
    // A panic must not lead back into the nursery's loop.
    let served = catch_unwind(|| {
        take_places(order);
        worker::serve();
    });
    // SAFETY: ends this process. What else it would do at its end is the nursery's.
    unsafe { libc::_exit(if served.is_ok() { 0 } else { PANICKED }) }
}

/// Puts descriptors where the child looks for them, in place of the nursery's own.
fn take_places(order: Order<OwnedFd>) {
    let Order { input, output, kept } = order;
    place(input, libc::STDIN_FILENO);
    place(output, libc::STDOUT_FILENO);
    // The streams have left their first places, so that this one is free or of no use to anybody.
    if let Some((number, file)) = kept {
        place(file, number.cast_signed());
    }
}

fn place(file: OwnedFd, number: i32) {
    let file = file.into_raw_fd();
    if file != number {
        // SAFETY: the number belongs to nobody: it is a stream that is replaced, or free.
        unsafe {
            // Where it fails the child reads nothing, or not what it should, and says so.
            libc::dup2(file, number);
            libc::close(file);
        }
    }
}
