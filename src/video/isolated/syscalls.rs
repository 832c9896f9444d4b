//! The system calls that the child keeps: to read one file, to compute in threads, and to answer.
//!
//! An allow list, so that a call that the kernel learns tomorrow is refused, and so are x32 numbers, which are other
//! numbers. Whatever is refused fails with `ENOSYS`, as on a kernel without that call: C libraries fall back to an
//! older call then (on any other error they give up), and a codec that probes for something loses the probe and not the
//! clip. Killing the process instead would protect nothing more. A call of another architecture does kill it.
//!
//! The list comes from traces of all test clips, with several threads, on glibc; what musl and older or newer glibc use
//! for the same purpose stands beside it.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Calls that are harmless whatever their arguments.
const ALLOWED: &[c_long] = &[
    // The open file.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // This process's own signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Clocks, chance and what the machine is like.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// Flags of `open` that do more than read.
const OPEN_TO_CHANGE: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | O_TMPFILE_ALONE;

/// `O_TMPFILE` without `O_DIRECTORY`, which it contains.
const O_TMPFILE_ALONE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// Flags of `clone` that tell a thread from a process of its own.
const THREAD: i32 = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND;

/// Flags of `clone` that make namespaces.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Restricts this thread, and all that it starts, to the calls above and those of [`guarded`], for good.
pub(super) fn confine() -> Result<(), String> {
    let program = program().map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

fn program() -> Result<BpfProgram, BackendError> {
    let mut calls: BTreeMap<c_long, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    for (call, conditions) in guarded(std::process::id()) {
        let conditions = conditions.into_iter().collect::<Result<_, _>>()?;
        calls.entry(call).or_default().push(SeccompRule::new(conditions)?);
    }
    let refused = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(calls, refused, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

type Condition = Result<SeccompCondition, BackendError>;

/// Calls that are allowed where all conditions of one of their lines hold.
fn guarded(own_pid: u32) -> Vec<(c_long, Vec<Condition>)> {
    let condition = |argument: u8, length: SeccompCmpArgLen, how: SeccompCmpOp, value: i32| {
        SeccompCondition::new(argument, length, how, u64::from(value as u32))
    };
    let is = |argument, value| condition(argument, Dword, SeccompCmpOp::Eq, value);
    let has =
        |argument, mask: i32, value| condition(argument, Dword, SeccompCmpOp::MaskedEq(u64::from(mask as u32)), value);
    let is_own_stream = || condition(0, Dword, SeccompCmpOp::Le, libc::STDERR_FILENO);
    let is_null = |argument| condition(argument, Qword, SeccompCmpOp::Eq, 0);
    let mut guarded = vec![
        (libc::SYS_openat, vec![has(2, OPEN_TO_CHANGE, libc::O_RDONLY)]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, vec![has(1, OPEN_TO_CHANGE, libc::O_RDONLY)]),
        (libc::SYS_write, vec![is_own_stream()]),
        (libc::SYS_writev, vec![is_own_stream()]),
        // clone3 is not here, since its flags lie in memory, where a filter cannot look.
        (libc::SYS_clone, vec![has(0, THREAD | NAMESPACES, THREAD)]),
        // So that `abort` is seen as what it is.
        (libc::SYS_tgkill, vec![is(0, own_pid as i32)]),
        // Limits of this process are read; the one that is set anew for each request may be written, within its
        // maximum.
        (libc::SYS_prlimit64, vec![is(0, 0), is_null(2)]),
        (libc::SYS_prlimit64, vec![is(0, 0), is(1, libc::RLIMIT_CPU as i32)]),
    ];
    // F_SETOWN and its like, which direct signals at other processes, are not among them.
    guarded.extend(
        [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC]
            .map(|command| (libc::SYS_fcntl, vec![is(1, command)])),
    );
    guarded.extend(
        [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA].map(|what| (libc::SYS_prctl, vec![is(0, what)])),
    );
    guarded
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    /// What the filter answers to a call, worked out as the kernel does (the few instructions that occur).
    fn verdict(call: c_long, arguments: [u64; 6]) -> u32 {
        let arch = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        let words = [call as u32, arch, 0, 0].into_iter();
        let data: Vec<u32> =
            words.chain(arguments.into_iter().flat_map(|value| [value as u32, (value >> 32) as u32])).collect();
        let program = program().unwrap();
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            match step.code {
                0x20 => accumulator = data[step.k as usize / 4],
                0x54 => accumulator &= step.k,
                0x05 => at += step.k as usize,
                0x15 => at += jump(accumulator == step.k),
                0x25 => at += jump(accumulator > step.k),
                0x35 => at += jump(accumulator >= step.k),
                0x06 => return step.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn numbers_of_the_x32_table_are_refused() {
        for call in ALLOWED.iter().copied().chain([libc::SYS_openat, libc::SYS_clone, libc::SYS_write]) {
            for arguments in [[0; 6], [1; 6], [THREAD as u64; 6]] {
                assert_eq!(verdict(call | 0x4000_0000, arguments), REFUSE, "{call}");
            }
        }
    }

    #[test]
    fn numbers_that_no_list_names_are_refused() {
        let named: Vec<c_long> = ALLOWED.iter().copied().chain(guarded(1).into_iter().map(|(call, _)| call)).collect();
        for call in (0..2000).chain([c_long::from(u32::MAX)]) {
            let expected = if ALLOWED.contains(&call) { ALLOW } else { REFUSE };
            if ALLOWED.contains(&call) || !named.contains(&call) {
                assert_eq!(verdict(call, [0; 6]), expected, "{call}");
            }
        }
    }

    #[test]
    fn arguments_are_looked_at() {
        let pid = u64::from(std::process::id());
        let limits = |pid: u64, resource: u64, new: u64| verdict(libc::SYS_prlimit64, [pid, resource, new, 0, 0, 0]);
        let memory = libc::RLIMIT_AS as u64;
        let cpu = libc::RLIMIT_CPU as u64;
        for (verdict, expected, what) in [
            (limits(0, memory, 0), ALLOW, "read a limit"),
            (limits(0, cpu, 1 << 40), ALLOW, "set the processor time"),
            (limits(0, memory, 1 << 40), REFUSE, "set another limit"),
            (limits(1, cpu, 0), REFUSE, "read another's limit"),
            (limits(pid, cpu, 0), REFUSE, "this process by its number, which may be reused"),
            (verdict(libc::SYS_tgkill, [pid, 1, 6, 0, 0, 0]), ALLOW, "a signal to itself"),
            (verdict(libc::SYS_tgkill, [pid + 1, 1, 6, 0, 0, 0]), REFUSE, "a signal to another"),
            (verdict(libc::SYS_fcntl, [0, libc::F_SETOWN as u64, 1, 0, 0, 0]), REFUSE, "signals from a file"),
            (verdict(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), REFUSE, "fork"),
            (verdict(libc::SYS_clone, [0x003d_0f00, 0, 0, 0, 0, 0]), ALLOW, "pthread_create"),
            (verdict(libc::SYS_clone, [0x003d_0f00 | 0x1000_0000, 0, 0, 0, 0, 0]), REFUSE, "with a namespace"),
            (verdict(libc::SYS_write, [2, 0, 0, 0, 0, 0]), ALLOW, "write to standard error"),
            (verdict(libc::SYS_write, [3, 0, 0, 0, 0, 0]), REFUSE, "write to another file"),
            (verdict(libc::SYS_write, [1 << 32 | 3, 0, 0, 0, 0, 0]), REFUSE, "the kernel looks at 32 bits"),
        ] {
            assert_eq!(verdict, expected, "{what}");
        }
        for flag in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_APPEND, libc::O_TMPFILE] {
            assert_eq!(verdict(libc::SYS_openat, [0, 0, flag as u64, 0, 0, 0]), REFUSE, "{flag:#o}");
        }
        let plain = (libc::O_CLOEXEC | libc::O_DIRECTORY | libc::O_NONBLOCK) as u64;
        assert_eq!(verdict(libc::SYS_openat, [0, 0, plain, 0, 0, 0]), ALLOW);
    }
}
