//! Folders that the environment names: those of variables, the home directory, and the user's caches in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the environment says about folders.
pub(crate) struct Folders<V> {
    variable: V,
    user_home: Option<PathBuf>,
}

impl<V: Fn(&str) -> Option<OsString>> Folders<V> {
    /// `variable` gives the value of an environment variable.
    pub(crate) fn new(variable: V, user_home: Option<PathBuf>) -> Self {
        Self { variable, user_home }
    }

    /// The folder or file that a variable names; an empty variable names none.
    pub(crate) fn named(&self, variable: &str) -> Option<PathBuf> {
        let value = (self.variable)(variable).filter(|value| !value.is_empty())?;
        Some(expand_home(value, self.user_home.as_deref()))
    }

    /// The user's caches: `$XDG_CACHE_HOME`, else `~/.cache`.
    pub(crate) fn caches(&self) -> Option<PathBuf> {
        self.named("XDG_CACHE_HOME").or_else(|| Some(self.user_home.as_ref()?.join(".cache")))
    }
}

/// `~/x` is `x` in the user's home directory, as in Python's `expanduser`.
fn expand_home(value: OsString, user_home: Option<&Path>) -> PathBuf {
    let path = PathBuf::from(value);
    match (path.strip_prefix("~"), user_home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}
