//! A file system with little room, which can be made read-only: root may write wherever permissions forbid it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::process::skipped;

/// Mounts a tmpfs, says so, makes it read-only after a line of standard input, and holds it until that ends.
const SCRIPT: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted || exit
read -r _ && mount -o remount,ro "$2" && echo read-only && exec cat"#;

/// A file system of its own, in the mount namespace of a helper process; gone with the test.
pub(crate) struct SmallDisk {
    helper: Child,
    said: BufReader<ChildStdout>,
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
            let mut said = BufReader::new(helper.stdout.take().unwrap());
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            // What the helper has mounted is seen through its root directory, by every process of this user.
            let path = PathBuf::from(format!("/proc/{}/root", helper.id())).join(at.strip_prefix("/").unwrap());
            let disk = Self { helper, said, path };
            if line == "mounted\n" {
                return Some(disk);
            }
        }
        skipped(test, "no small file system can be mounted here");
        None
    }

    /// From now on nothing can be written.
    pub(crate) fn make_read_only(&mut self) {
        self.helper.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, "read-only\n");
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
