//! The machine that is measured, and how much memory the process has had.

use std::path::Path;

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::threads;

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The processor as it calls itself; empty where the system does not tell.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Memory of the machine.
    pub memory_bytes: u64,
}

impl Machine {
    /// This one.
    pub fn look() -> Self {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(what);
        let cpu = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
        Self {
            cpu: cpu.unwrap_or_default(),
            cores: threads::available(),
            threads: threads::count(),
            memory_bytes: system.total_memory(),
        }
    }
}

/// The most memory that this process has had, in bytes; `None` where the system does not tell.
pub(super) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    high_water_bytes(&status)
}

/// Begins the count again, so that what is gone does not count; where the system cannot, it goes on.
pub(super) fn forget_peak_rss() {
    let _ = std::fs::write(Path::new("/proc/self/clear_refs"), "5");
}

fn high_water_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_the_peak_in_kilobytes() {
        let status = "Name:\tllava-video\nVmPeak:\t  300 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(high_water_bytes(status), Some(1234 * 1024));
        assert_eq!(high_water_bytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Machine::look();
        assert!(machine.cores > 0 && machine.threads > 0 && machine.memory_bytes > 0, "{machine:?}");
    }
}
