//! Who has an output: a process, its machine, and since when, as a lock file tells it.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::calendar::now;

/// A process that has an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its id on its machine.
    pub pid: u32,
    /// The machine's name; nothing where it has none.
    pub host: Option<String>,
    /// Since when, in UTC, as RFC 3339 writes it: `2026-11-26T12:03:04Z`.
    pub since: String,
}

impl Holder {
    /// This process, from now on.
    pub(crate) fn this_process() -> Self {
        let since = now();
        first_asked(&since);
        Self { pid: std::process::id(), host: host(), since }
    }

    /// Whether it is known to have ended: on this machine, with no process of its id. Nothing is known of others.
    pub(crate) fn is_dead(&self) -> bool {
        let here = host();
        match here.is_some() && self.host == here {
            // A container that is started again has the same name, and its processes the same ids.
            true if self.pid == std::process::id() => self.since.as_str() < first_asked(&now()),
            true => !is_alive(self.pid),
            false => false,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if let Some(host) = &self.host {
            write!(f, " on host {host}")?;
        }
        write!(f, " since {}", self.since.replace('T', " ").replace('Z', " UTC"))
    }
}

/// When this process first asked who it is; `now` the first time.
fn first_asked(now: &str) -> &'static str {
    static FIRST: OnceLock<String> = OnceLock::new();
    FIRST.get_or_init(|| now.to_owned())
}

fn host() -> Option<String> {
    #[cfg(unix)]
    {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Some(name).filter(|name| !name.is_empty())
    }
    #[cfg(not(unix))]
    {
        std::env::var("COMPUTERNAME").ok()
    }
}

fn is_alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        // A process of another user may not be asked, but it is there.
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_a_process_of_this_machine_is_known_to_be_dead() {
        let own = Holder::this_process();
        assert!(!own.is_dead() && own.to_string().starts_with(&format!("process {} on host ", own.pid)), "{own}");
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let dead = Holder { pid: child.id(), ..own.clone() };
        child.wait().expect("it ends");
        assert!(dead.is_dead());
        assert!(!Holder { host: Some("another".to_owned()), ..dead.clone() }.is_dead());
        assert!(!Holder { host: None, ..dead }.is_dead());
        let earlier = Holder { since: "2001-01-01T00:00:00Z".to_owned(), ..own.clone() };
        assert!(earlier.is_dead(), "of this process's id, before it began");
        assert_eq!(earlier.to_string().split_once(" since "), Some((&*own_name(&own), "2001-01-01 00:00:00 UTC")));
    }

    #[cfg(unix)]
    fn own_name(own: &Holder) -> String {
        format!("process {} on host {}", own.pid, own.host.as_deref().expect("a name"))
    }
}
