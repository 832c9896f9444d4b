//! A file system with little room.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system of its own; unmounted with the test.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Needs the right to mount, which containers and users seldom have; without it `None`, and `test` is said to be skipped.
    pub(crate) fn mount(at: PathBuf, bytes: u64, test: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(&at).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        // Not through the macro, whose output a passing test swallows.
        let line = format!("SKIPPED: {test}; mounting a small tmpfs is not allowed here\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        None
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
