//! Limits of the control groups that this process is in: its own group and every group around it.
//!
//! Facts: `cgroups(7)`, `proc_pid_mountinfo(5)`, and the kernel's `admin-guide/cgroup-v1` and `cgroup-v2.rst`. Systems
//! without control groups have no `/proc/self/cgroup`, hence no limits.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// One group's directory in one hierarchy.
struct Group {
    version: Version,
    dir: PathBuf,
}

/// The bytes that processes of this group may still take, by the tightest group. Cached files give way, so they do not
/// count as taken. `root` is `/`, or a stand-in for it in tests.
pub(crate) fn memory_room_bytes(root: &Path) -> Option<u64> {
    groups(root, "memory").iter().filter_map(Group::memory_room_bytes).min()
}

/// The processors' worth of time that this process may use, by the tightest group.
pub(crate) fn cpu_quota(root: &Path) -> Option<f64> {
    groups(root, "cpu").iter().filter_map(Group::cpu_quota).min_by(f64::total_cmp)
}

impl Group {
    fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.join(file)).ok()
    }

    /// A number; `max`, which means no limit, is none.
    fn number<T: std::str::FromStr>(&self, file: &str) -> Option<T> {
        self.read(file)?.trim().parse().ok()
    }

    fn memory_room_bytes(&self) -> Option<u64> {
        let (limit, used, cache_keys): (Option<u64>, _, _) = match self.version {
            // Beyond `memory.high` the kernel throttles the group until it gives memory back.
            Version::V2 => (
                [self.number("memory.max"), self.number("memory.high")].into_iter().flatten().min(),
                "memory.current",
                ["inactive_file", "active_file"],
            ),
            Version::V1 => (
                self.number("memory.limit_in_bytes"),
                "memory.usage_in_bytes",
                ["total_inactive_file", "total_active_file"],
            ),
        };
        let limit = limit?;
        let used: u64 = self.number(used).unwrap_or(0);
        let stat = self.read("memory.stat").unwrap_or_default();
        let value = |key: &str| {
            let mut values = stat.lines().filter_map(|line| line.split_once(' ').filter(|(name, _)| *name == key));
            values.next().and_then(|(_, value)| value.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        let cached: u64 = cache_keys.into_iter().map(value).sum();
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }

    fn cpu_quota(&self) -> Option<f64> {
        let (quota, period): (f64, f64) = match self.version {
            Version::V2 => {
                let text = self.read("cpu.max")?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?)
            }
            Version::V1 => (self.number("cpu.cfs_quota_us")?, self.number("cpu.cfs_period_us")?),
        };
        // A quota of -1 is none.
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    }
}

/// The groups that limit `controller` for this process, innermost first, over both versions: a machine may have both.
fn groups(root: &Path, controller: &str) -> Vec<Group> {
    let read = |path| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let (memberships, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut groups = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let version = match controllers {
            "" => Version::V2,
            list if list.split(',').any(|name| name == controller) => Version::V1,
            _ => continue,
        };
        let mounts = mounts.lines().filter_map(|line| Mount::parse(line, version, controller));
        let Some((mount, below)) = mounts.filter_map(|mount| Some((mount.dir(root), mount.below(group)?))).next()
        else {
            continue;
        };
        let up_to_mount = below.ancestors().map(|below| Group { version, dir: mount.join(below) });
        groups.extend(up_to_mount);
    }
    groups
}

/// Where a hierarchy is mounted, and which of its groups is at that place.
struct Mount {
    group: PathBuf,
    at: PathBuf,
}

impl Mount {
    /// A line of `mountinfo`, if it is the mount of this hierarchy.
    fn parse(line: &str, version: Version, controller: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let is_this = match (version, kind.next()?) {
            (Version::V2, "cgroup2") => true,
            (Version::V1, "cgroup") => kind.nth(1)?.split(',').any(|option| option == controller),
            _ => false,
        };
        let mut place = place.split(' ').skip(3);
        let (group, at) = (place.next()?, place.next()?);
        is_this.then(|| Self { group: unescaped(group).into(), at: unescaped(at).into() })
    }

    fn dir(&self, root: &Path) -> PathBuf {
        root.join(self.at.strip_prefix("/").unwrap_or(&self.at))
    }

    /// The path of `group` below the mount. A group that the mount does not show (one outside of the container's
    /// namespace) is out of sight; what is in sight above it is the mount itself.
    fn below(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.group).unwrap_or(Path::new(""));
        let is_plain = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        Some(if is_plain { below.to_owned() } else { PathBuf::new() })
    }
}

/// A path of `mountinfo`, in which spaces and the like are octal escapes such as `\040`.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_MOUNT: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1_MOUNTS: &str = "33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                             35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(path, text).expect("a written file");
        }
        dir
    }

    #[test]
    fn the_tightest_group_above_the_own_one_counts() {
        let tree = tree(&[
            ("proc/self/cgroup", "0::/slurm/job_7/step_0/task_1\n"),
            ("proc/self/mountinfo", V2_MOUNT),
            ("sys/fs/cgroup/slurm/job_7/step_0/task_1/memory.max", "max\n"),
            ("sys/fs/cgroup/slurm/job_7/step_0/task_1/cpu.max", "max 100000\n"),
            // 8 GB less what is taken beside cached files.
            ("sys/fs/cgroup/slurm/job_7/memory.max", "8000000000\n"),
            ("sys/fs/cgroup/slurm/job_7/memory.current", "3000000000\n"),
            ("sys/fs/cgroup/slurm/job_7/memory.stat", "anon 5\ninactive_file 1500000000\nactive_file 500000000\n"),
            ("sys/fs/cgroup/slurm/job_7/cpu.max", "250000 100000\n"),
            ("sys/fs/cgroup/slurm/memory.max", "64000000000\n"),
            ("sys/fs/cgroup/slurm/memory.current", "0\n"),
            ("sys/fs/cgroup/slurm/cpu.max", "400000 100000\n"),
        ]);
        assert_eq!(memory_room_bytes(tree.path()), Some(7_000_000_000));
        assert_eq!(cpu_quota(tree.path()), Some(2.5));
    }

    #[test]
    fn throttling_starts_at_the_high_mark() {
        let tree = tree(&[
            ("proc/self/cgroup", "0::/app.slice/run.scope\n"),
            ("proc/self/mountinfo", V2_MOUNT),
            ("sys/fs/cgroup/app.slice/run.scope/memory.max", "max\n"),
            ("sys/fs/cgroup/app.slice/run.scope/memory.high", "5000\n"),
            ("sys/fs/cgroup/app.slice/run.scope/memory.current", "9000\n"),
        ]);
        assert_eq!(memory_room_bytes(tree.path()), Some(0), "nothing is left, which is not the same as no limit");
        assert_eq!(cpu_quota(tree.path()), None);
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let tree = tree(&[
            ("proc/self/cgroup", "4:memory:/user/job\n2:cpu,cpuacct:/user/job/inner\n1:name=systemd:/x\n0::/\n"),
            ("proc/self/mountinfo", V1_MOUNTS),
            ("sys/fs/cgroup/memory/user/job/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/user/memory.limit_in_bytes", "4000\n"),
            ("sys/fs/cgroup/memory/user/memory.usage_in_bytes", "1000\n"),
            (
                "sys/fs/cgroup/memory/user/memory.stat",
                "inactive_file 1\ntotal_inactive_file 400\ntotal_active_file 100\n",
            ),
            ("sys/fs/cgroup/cpu,cpuacct/user/job/inner/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/user/job/inner/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(memory_room_bytes(tree.path()), Some(3500));
        assert_eq!(cpu_quota(tree.path()), Some(1.5));
    }

    #[test]
    fn containers_mount_their_own_group_and_hide_those_above() {
        let mount = "35 24 0:32 /docker/ab\\040c /sys/fs/my\\040groups ro - cgroup cgroup rw,memory\n";
        for (membership, what) in [("4:memory:/docker/ab c\n", "own group"), ("4:memory:/../other\n", "out of sight")] {
            let tree = tree(&[
                ("proc/self/cgroup", membership),
                ("proc/self/mountinfo", mount),
                ("sys/fs/my groups/memory.limit_in_bytes", "700\n"),
                ("sys/fs/memory.limit_in_bytes", "1\n"),
            ]);
            assert_eq!(memory_room_bytes(tree.path()), Some(700), "{what}");
        }
    }

    #[test]
    fn without_control_groups_there_are_no_limits() {
        for files in [&[][..], &[("proc/self/cgroup", "nonsense\n0:\n::\n")], &[("proc/self/cgroup", "0::/a\n")]] {
            let tree = tree(files);
            assert_eq!((memory_room_bytes(tree.path()), cpu_quota(tree.path())), (None, None));
        }
    }
}
