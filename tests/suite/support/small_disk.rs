//! A file system with little room.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::process::skipped;

/// Mounts a tmpfs, says so, and holds it until its standard input ends.
const SCRIPT: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && exec cat"#;

/// A file system of its own, in the mount namespace of a helper process; gone with the test.
pub(crate) struct SmallDisk {
    helper: Child,
    path: PathBuf,
}

impl SmallDisk {
    /// Needs no rights where users may have namespaces of their own. Where nothing may be mounted, `None`, and `test`
    /// is said to be skipped.
    pub(crate) fn mount(at: &Path, bytes: u64, test: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        for namespaces in [&["--user", "--map-root-user", "--mount"][..], &["--mount"]] {
            let mut command = Command::new("unshare");
            command.args(namespaces).args(["sh", "-c", SCRIPT, "sh", &bytes.to_string()]).arg(at);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let Ok(mut helper) = command.spawn() else { continue };
            let mut line = String::new();
            BufReader::new(helper.stdout.take().unwrap()).read_line(&mut line).unwrap();
            // What the helper has mounted is seen through its root directory, by every process of this user.
            let path = PathBuf::from(format!("/proc/{}/root", helper.id())).join(at.strip_prefix("/").unwrap());
            let disk = Self { helper, path };
            if line == "mounted\n" {
                return Some(disk);
            }
        }
        skipped(test, "no small file system can be mounted here");
        None
    }

    /// Where it can be reached.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.helper.stdin.take());
        let _ = self.helper.wait();
    }
}
