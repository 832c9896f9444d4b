//! Whether a process of this very host is gone, which need not wait for its heartbeat to be found stale.

use serde::{Deserialize, Serialize};

/// A process, so that no other is taken for it: numbers of processes are used again, and containers have their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// The running kernel and its namespace of processes.
    place: String,
    pid: i32,
    /// When it began, in the kernel's ticks since it booted.
    began: u64,
}

impl Process {
    /// This one; `None` where the system does not tell.
    pub(super) fn this() -> Option<Self> {
        let pid = i32::try_from(std::process::id()).ok()?;
        Some(Self { place: place()?, pid, began: began(pid)?.0 })
    }

    /// Whether it has certainly ended; `this` is the process that asks.
    pub(super) fn is_gone(&self, this: &Self) -> bool {
        self.place == this.place
            && match began(self.pid) {
                Some((began, ended)) => ended || began != self.began,
                // A process that may not be looked at has no entry either.
                None => has_no_such(self.pid),
            }
    }

    /// Makes it one that has ended, for tests.
    #[cfg(test)]
    pub(super) fn ended(self) -> Self {
        Self { began: self.began + 1, ..self }
    }
}

fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// When a process began, and whether it has ended and only its parent has not asked for it yet.
fn began(pid: i32) -> Option<(u64, bool)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in parentheses and may hold anything; the state is the third field of proc(5).
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    Some((fields.nth(18)?.parse().ok()?, ended))
}

fn has_no_such(pid: i32) -> bool {
    #[cfg(unix)]
    {
        let Some(pid) = rustix::process::Pid::from_raw(pid) else { return false };
        rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_ended_processes_of_this_place_are_gone() {
        let this = Process::this().expect("Linux tells");
        assert!(!this.is_gone(&this));
        assert!(this.clone().ended().is_gone(&this), "the number is used again");
        let elsewhere = Process { place: "another".to_owned(), ..this.clone() }.ended();
        assert!(!elsewhere.is_gone(&this));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = child.id() as i32;
        let other = Process { pid, began: began(pid).expect("it runs").0, ..this.clone() };
        assert!(!other.is_gone(&this));
        child.kill().expect("it runs");
        while !matches!(began(pid), Some((_, true))) {
            std::thread::yield_now();
        }
        assert!(other.is_gone(&this), "its parent has not waited for it");
        child.wait().expect("it has ended");
        assert!(other.is_gone(&this));
    }
}
