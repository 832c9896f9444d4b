//! What the child gives up before it reads the first byte: other files, the network, other processes, boundless memory.
//!
//! On Linux by landlock (files, TCP, signals) and seccomp (system calls), each where the kernel has it; elsewhere by
//! resource limits alone. What is missing is reported, never silently skipped.

use std::path::Path;

use super::budget;

/// Most address space of the child, in bytes: enough for 64-megapixel frames with their references.
#[cfg(unix)]
const MAX_ADDRESS_SPACE_BYTES: u64 = 8 << 30;

/// Most files the child may hold open at a time; it needs its two streams and the clip, twice over for two threads.
#[cfg(unix)]
const MAX_OPEN_FILES: u64 = 32;

/// Confines this thread, and all that it starts, to reading `path` (of a directory, what is in it) within `cpu_secs`
/// seconds of processor time, for good. Returns what could not be given up, in words. Limits hold for the whole
/// process.
pub fn enter(path: &Path, cpu_secs: u64) -> Vec<String> {
    let mut missing = Vec::new();
    budget::allow_cpu_secs(cpu_secs);
    #[cfg(unix)]
    limit_resources(&mut missing);
    #[cfg(target_os = "linux")]
    {
        die_with_parent();
        if let Err(reason) = linux::confine_files(path) {
            missing.push(reason);
        }
        if let Err(reason) = super::syscalls::confine() {
            missing.push(format!("system calls are unrestricted ({reason})"));
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        missing.push("other files and the network stay reachable (only Linux can prevent it)".to_owned());
    }
    missing
}

/// As [`enter`], in a process that needs nothing of what its parent left open in it.
pub(super) fn give_up_all_but(path: &Path, cpu_secs: u64) -> Vec<String> {
    #[cfg(target_os = "linux")]
    let unclosed = close_inherited(path).err();
    #[cfg(not(target_os = "linux"))]
    let unclosed: Option<std::io::Error> = None;
    let unclosed = unclosed.map(|reason| format!("what the program was started with stays open ({reason})"));
    unclosed.into_iter().chain(enter(path, cpu_secs)).collect()
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
pub(super) fn die_with_parent() {
    // SAFETY: takes a number, changes a flag of this process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

/// Closes whatever the parent left open in this process, but for its three streams and `path`, if that is a descriptor.
///
/// # Errors
/// A kernel older than 5.9 cannot do it at once.
#[cfg(target_os = "linux")]
pub(super) fn close_inherited(path: &Path) -> std::io::Result<()> {
    const FIRST: u32 = libc::STDERR_FILENO as u32 + 1;
    // Without one to keep, the first range is empty and the second is everything.
    let kept = super::descriptors::own_descriptor(path).unwrap_or(FIRST - 1);
    for (first, last) in [(FIRST, kept - 1), (kept + 1, u32::MAX)].into_iter().filter(|(first, last)| first <= last) {
        // SAFETY: the caller is a process that owns no descriptor beyond its streams.
        match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
            0 => {}
            _ => return Err(std::io::Error::last_os_error()),
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
        RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    };

    /// The newest version of landlock whose means are used.
    const NEWEST: ABI = ABI::V6;

    /// Allows reading `path` and no other file, no TCP connection and no signal to others, as far as this kernel's
    /// landlock goes.
    ///
    /// # Errors
    /// What landlock does not hold back, in words.
    pub(super) fn confine_files(path: &Path) -> Result<(), String> {
        let restrict = || {
            let mut ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(NEWEST))?
                .handle_access(AccessNet::from_all(NEWEST))?
                .scope(Scope::from_all(NEWEST))?
                .create()?;
            let access = if path.is_dir() { AccessFs::ReadFile | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
            ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
            // One at a time: few files can be open at once.
            for target in linked_files(path).filter_map(|link| PathFd::new(link).ok()) {
                ruleset = ruleset.add_rule(PathBeneath::new(target, AccessFs::ReadFile))?;
            }
            let status = ruleset.restrict_self()?;
            Ok::<_, Box<dyn std::error::Error>>((status.ruleset, status.landlock))
        };
        match restrict() {
            Ok((ruleset, landlock)) => enforced(&ruleset, landlock),
            Err(error) => Err(format!("other files stay readable ({error})")),
        }
    }

    /// What links in a directory of pictures lead to files; nothing for a file.
    fn linked_files(path: &Path) -> impl Iterator<Item = PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        links.map(|link| link.path()).filter(|link| link.is_file())
    }

    /// Says what this kernel's landlock lacks.
    fn enforced(ruleset: &RulesetStatus, landlock: LandlockStatus) -> Result<(), String> {
        match (ruleset, landlock) {
            (RulesetStatus::FullyEnforced, _) => Ok(()),
            (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => Err(format!(
                "this kernel has version {effective_abi} of landlock, of {NEWEST} that are used: what it lacks, the \
                 filter of system calls refuses alone"
            )),
            (RulesetStatus::PartiallyEnforced, _) => {
                Err("landlock holds in part: the filter of system calls refuses the rest alone".to_owned())
            }
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
                Err("other files stay readable (landlock is switched off in this kernel)".to_owned())
            }
            (RulesetStatus::NotEnforced, _) => {
                Err("other files stay readable (this kernel has no landlock)".to_owned())
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_landlock_lacks_is_told() {
            let available = |effective_abi| LandlockStatus::Available { effective_abi, kernel_abi: None };
            assert_eq!(enforced(&RulesetStatus::FullyEnforced, available(NEWEST)), Ok(()));
            let told = |ruleset, landlock| enforced(&ruleset, landlock).unwrap_err();
            let partial = told(RulesetStatus::PartiallyEnforced, available(ABI::V1));
            assert!(partial.contains("version 1") && partial.contains("of 6"), "{partial}");
            assert!(told(RulesetStatus::NotEnforced, LandlockStatus::NotEnabled).contains("switched off"));
            assert!(told(RulesetStatus::NotEnforced, LandlockStatus::NotImplemented).contains("no landlock"));
        }
    }
}
