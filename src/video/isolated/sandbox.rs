//! What the child gives up before it reads the first byte: other files, the network, new processes, boundless memory.
//!
//! On Linux by landlock (files and TCP) and seccomp (system calls), each where the kernel has it; elsewhere by resource
//! limits alone. What is missing is reported, never silently skipped.

use std::path::Path;

/// Most address space of the child, in bytes: enough for 64-megapixel frames with their references.
#[cfg(unix)]
const MAX_ADDRESS_SPACE_BYTES: u64 = 8 << 30;

/// Most files the child may hold open at a time; it needs its two streams and the clip, twice over for two threads.
#[cfg(unix)]
const MAX_OPEN_FILES: u64 = 32;

/// Confines this thread, and all that it starts, to reading `path` (of a directory, what is in it), for good. Returns what
/// could not be given up, in words. Resource limits hold for the whole process.
pub fn enter(path: &Path) -> Vec<String> {
    let mut missing = Vec::new();
    #[cfg(unix)]
    limit_resources(&mut missing);
    #[cfg(target_os = "linux")]
    {
        die_with_parent();
        if let Err(reason) = linux::confine_files(path) {
            missing.push(format!("other files can be read ({reason})"));
        }
        if let Err(reason) = linux::confine_system_calls() {
            missing.push(format!("system calls are not restricted ({reason})"));
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        missing.push("other files and the network can be reached (only Linux has the means)".to_owned());
    }
    missing
}

#[cfg(unix)]
fn limit_resources(missing: &mut Vec<String>) {
    let limits = [
        ("memory", libc::RLIMIT_AS, MAX_ADDRESS_SPACE_BYTES),
        ("open files", libc::RLIMIT_NOFILE, MAX_OPEN_FILES),
        ("written files", libc::RLIMIT_FSIZE, 0),
        ("core dumps", libc::RLIMIT_CORE, 0),
    ];
    for (what, resource, bound) in limits {
        // SAFETY: a plain C structure, filled by getrlimit; zeros are valid values of it.
        let done = unsafe {
            let mut limit: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(resource, &raw mut limit);
            limit.rlim_max = limit.rlim_max.min(bound as libc::rlim_t);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(resource, &raw const limit) == 0
        };
        if !done {
            missing.push(format!("{what} cannot be limited"));
        }
    }
}

/// A child whose parent is killed ends, too, even in the middle of a decode.
#[cfg(target_os = "linux")]
fn die_with_parent() {
    // SAFETY: takes a number, changes a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::path::Path;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
        RulesetCreatedAttr, RulesetStatus,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    /// Allows reading `path` and no other file, and no TCP connection, as far as this kernel's landlock goes.
    pub(super) fn confine_files(path: &Path) -> Result<(), String> {
        let restrict = || {
            let mut ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(ABI::V5))?
                .handle_access(AccessNet::from_all(ABI::V5))?
                .create()?;
            let access = if path.is_dir() { AccessFs::ReadFile | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
            ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
            for target in linked_files(path) {
                ruleset = ruleset.add_rule(PathBeneath::new(target, AccessFs::ReadFile))?;
            }
            Ok::<RulesetStatus, Box<dyn std::error::Error>>(ruleset.restrict_self()?.ruleset)
        };
        match restrict() {
            Ok(RulesetStatus::NotEnforced) => Err("this kernel has no landlock".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the links in a directory of pictures point to, opened; nothing for a file.
    fn linked_files(path: &Path) -> Vec<PathFd> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        links.filter(|link| link.path().is_file()).filter_map(|link| PathFd::new(link.path()).ok()).collect()
    }

    /// System calls that decoding a file has no use for and an intruder has.
    const DENIED: &[libc::c_long] = &[
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_kill,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_memfd_create,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
    ];

    /// Takes the means for network, new processes and reaching into others away; threads stay possible.
    pub(super) fn confine_system_calls() -> Result<(), String> {
        let condition =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64), 0);
        let clone_of_a_process = SeccompRule::new(vec![condition.map_err(|e| e.to_string())?]);
        let mut denied: BTreeMap<i64, Vec<SeccompRule>> = DENIED.iter().map(|&call| (call, Vec::new())).collect();
        denied.insert(libc::SYS_clone, vec![clone_of_a_process.map_err(|e| e.to_string())?]);
        apply(denied, libc::EPERM)?;
        // Its flags lie in memory where a filter cannot look; told that it does not exist, the C library uses clone.
        apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
    }

    fn apply(denied: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<(), String> {
        let arch = std::env::consts::ARCH.try_into().map_err(|e| format!("{e}"))?;
        let deny = SeccompAction::Errno(errno as u32);
        let filter = SeccompFilter::new(denied, SeccompAction::Allow, deny, arch).map_err(|e| e.to_string())?;
        let program: BpfProgram = filter.try_into().map_err(|e| format!("{e}"))?;
        seccompiler::apply_filter(&program).map_err(|e| e.to_string())
    }
}
