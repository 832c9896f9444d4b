//! Where the cache is and how large it may be, unless somebody says otherwise.

use std::ffi::OsString;
use std::path::PathBuf;

use super::error::Error;
use crate::folders::Folders;

/// The most that all entries take together: 30 clips of 110 frames for the 7B model in f32.
pub const DEFAULT_CAP_BYTES: u64 = 10_000_000_000;

/// The cache's folder: `$LLAVA_VIDEO_CACHE`, else `llava-video/visual-tokens` in `$XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// [`Error::NoFolder`] without a home directory.
pub fn folder_from_env() -> Result<PathBuf, Error> {
    folder(|name| std::env::var_os(name), std::env::home_dir())
}

fn folder(variable: impl Fn(&str) -> Option<OsString>, user_home: Option<PathBuf>) -> Result<PathBuf, Error> {
    let folders = Folders::new(variable, user_home);
    let in_caches = || Some(folders.caches()?.join("llava-video").join("visual-tokens"));
    folders.named("LLAVA_VIDEO_CACHE").or_else(in_caches).ok_or(Error::NoFolder)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_folder_is_named_or_among_the_users_caches() {
        for (variables, dir) in [
            (&[][..], "/home/someone/.cache/llava-video/visual-tokens"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/llava-video/visual-tokens"),
            (&[("XDG_CACHE_HOME", "/c"), ("LLAVA_VIDEO_CACHE", "/big")], "/big"),
            (&[("LLAVA_VIDEO_CACHE", "~/tokens")], "/home/someone/tokens"),
            (&[("LLAVA_VIDEO_CACHE", "")], "/home/someone/.cache/llava-video/visual-tokens"),
        ] {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            assert_eq!(folder(value, Some("/home/someone".into())).expect("a folder"), Path::new(dir), "{variables:?}");
        }
        assert!(matches!(folder(|_| None, None), Err(Error::NoFolder)));
    }
}
