//! Processes to which the system denies some calls, as file systems do that lack what these are for.

use std::os::unix::process::CommandExt;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Makes these calls fail with `errno` in the command's process.
pub(crate) fn deny<'c>(command: &'c mut Command, calls: &[i64], errno: i32) -> &'c mut Command {
    let rules = calls.iter().map(|&call| (call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let denied = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    // SAFETY: the filter was made before the fork; applying it makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            seccompiler::apply_filter(&program).map_err(|_| std::io::Error::from_raw_os_error(libc::ENOTSUP))
        })
    }
}

/// As on a file system without locks.
pub(crate) fn without_locks(command: &mut Command) -> &mut Command {
    deny(command, &[libc::SYS_flock], libc::EOPNOTSUPP)
}

/// As on a file system without symbolic links, such as FAT.
pub(crate) fn without_links(command: &mut Command) -> &mut Command {
    #[cfg(target_arch = "x86_64")]
    let calls = [libc::SYS_symlink, libc::SYS_symlinkat];
    #[cfg(not(target_arch = "x86_64"))]
    let calls = [libc::SYS_symlinkat];
    deny(command, &calls, libc::EPERM)
}
