//! A control group with a limit, and a group without one inside of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::skipped;

/// Both groups; removed with the test, once the processes in them have ended.
pub(crate) struct ControlGroup {
    outer: PathBuf,
    inner: PathBuf,
}

impl ControlGroup {
    /// Makes the groups below this process's own, in version 1's hierarchy of `controller`. Needs the right to do so;
    /// without it `None`, and `test` is said to be skipped.
    pub(crate) fn with(controller: &str, limits: &[(&str, &str)], test: &str) -> Option<Self> {
        let made = Self::own_group(controller).and_then(|own| {
            let outer = own.join(format!("llava-video-test-{}-{controller}", std::process::id()));
            let group = Self { inner: outer.join("inner"), outer };
            std::fs::create_dir_all(&group.inner).ok()?;
            limits.iter().try_for_each(|(file, value)| std::fs::write(group.outer.join(file), value)).ok()?;
            Some(group)
        });
        if made.is_none() {
            skipped(test, "control groups of version 1 cannot be made here");
        }
        made
    }

    fn own_group(controller: &str) -> Option<PathBuf> {
        let memberships = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = memberships.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            parts.next()?.split(',').find(|name| *name == controller)?;
            parts.next()
        })?;
        let dir = Path::new("/sys/fs/cgroup").join(controller).join(own.trim_start_matches('/'));
        dir.is_dir().then_some(dir)
    }

    /// `command`, to be run in the inner group.
    pub(crate) fn run(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.inner.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let started = Instant::now();
        // What a killed process started takes a moment to end.
        while self.outer.exists() && started.elapsed() < Duration::from_secs(2) {
            let _ = std::fs::remove_dir(&self.inner);
            let _ = std::fs::remove_dir(&self.outer);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
