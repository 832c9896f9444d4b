//! Paths that name a file by its number among those that the process holds open.

use std::path::Path;

/// Where Linux shows a process its own open files, by number. [`IsolatedClip::open_as`](super::IsolatedClip::open_as)
/// takes such a path, too, if the file is left open for children.
pub const OWN_DESCRIPTORS: &str = "/proc/self/fd/";

/// The number in such a path, beyond those of the standard streams.
#[cfg(target_os = "linux")]
pub(super) fn own_descriptor(path: &Path) -> Option<u32> {
    let number = path.to_str()?.strip_prefix(OWN_DESCRIPTORS)?.parse().ok()?;
    (number > libc::STDERR_FILENO as u32).then_some(number)
}
