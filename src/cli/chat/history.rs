//! Lines that were typed, kept in a file for the next chat.
//!
//! The file only grows: each line is one write at its end, so that chats at the same time do not disturb each other and
//! a kill loses at most the line that is being written. Once it is large, it takes another name, in place of the one
//! that has it, and a new file begins.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Lines that are remembered.
pub(super) const MAX_LINES: usize = 1000;

/// Longer lines are not kept.
const MAX_LINE_BYTES: usize = 10_000;

/// A file that is larger makes room for a new one.
const MAX_FILE_BYTES: u64 = 512 << 10;

/// The file that keeps lines.
pub(super) struct History {
    file: PathBuf,
}

impl History {
    /// The file that `named` names, else the user's own; `None` for an empty name, and where there is no home.
    pub(super) fn at(named: Option<&OsStr>) -> Option<Self> {
        let file = match named {
            Some(named) if named.is_empty() => return None,
            Some(named) => PathBuf::from(named),
            None => user_file(|variable| std::env::var_os(variable), std::env::home_dir())?,
        };
        Some(Self { file })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The lines that were kept, oldest first. What is damaged is left out.
    pub(super) fn lines(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for file in [self.older(), self.file.clone()] {
            let bytes = match std::fs::read(&file) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", file.display())),
            };
            lines.extend(bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()));
        }
        let surplus = lines.len().saturating_sub(MAX_LINES);
        Ok(lines.split_off(surplus))
    }

    /// Keeps a line, if it is not too long for it.
    pub(super) fn keep(&self, line: &str) -> Result<()> {
        if line.len() > MAX_LINE_BYTES {
            return Ok(());
        }
        self.append(line).with_context(|| format!("cannot write `{}`", self.file.display()))
    }

    fn append(&self, line: &str) -> std::io::Result<()> {
        if std::fs::metadata(&self.file).is_ok_and(|file| file.len() > MAX_FILE_BYTES) {
            std::fs::rename(&self.file, self.older())?;
        }
        let mut file = self.open()?;
        let mut bytes = Vec::new();
        if !ends_whole(&mut file)? {
            bytes.push(b'\n');
        }
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
        file.write_all(&bytes)
    }

    /// Opens the file for its owner alone, in a folder that is made where it is missing.
    fn open(&self) -> std::io::Result<File> {
        if let Some(dir) = self.file.parent() {
            make_private(dir)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.file)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mut permissions = file.metadata()?.permissions();
            if permissions.mode() & 0o077 != 0 {
                permissions.set_mode(0o600);
                file.set_permissions(permissions)?;
            }
        }
        Ok(file)
    }

    fn older(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".old");
        name.into()
    }
}

/// Whether nothing was cut off at the end of the file.
fn ends_whole(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// `llava-video/history` in the user's folder for such files: `$XDG_STATE_HOME`, else `~/.local/state`.
fn user_file(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification wants relative paths ignored.
    let named = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = named.or_else(|| Some(home?.join(".local/state")))?;
    Some(state.join("llava-video/history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(dir: &Path) -> History {
        History::at(Some(dir.join("new/folder/history").as_os_str())).expect("a name")
    }

    #[test]
    fn lines_come_back_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let history = history(dir.path());
        assert!(history.lines().expect("no file yet").is_empty());
        let typed = ["What is this?", "two\nlines", "\u{4f60}\u{597d} \\n \"x\"", "/undo"];
        typed.iter().for_each(|line| history.keep(line).expect("a file"));
        history.keep(&"x".repeat(MAX_LINE_BYTES + 1)).expect("left out");
        assert_eq!(history.lines().expect("lines"), typed);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let history = history(dir.path());
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        history.keep("a").expect("a file");
        assert_eq!((mode(&history.file), mode(history.file.parent().expect("a folder"))), (0o600, 0o700));
        std::fs::set_permissions(&history.file, std::fs::Permissions::from_mode(0o644)).expect("its owner");
        history.keep("b").expect("a file");
        assert_eq!(mode(&history.file), 0o600);
    }

    #[test]
    fn a_line_that_was_cut_off_costs_itself_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let history = history(dir.path());
        ["one", "two"].iter().for_each(|line| history.keep(line).expect("a file"));
        let whole = std::fs::read(&history.file).expect("a file");
        for len in 0..whole.len() {
            std::fs::write(&history.file, &whole[..len]).expect("a file");
            history.keep("three").expect("a file");
            let lines = history.lines().expect("lines");
            let before = ["one", "two"].into_iter().filter(|line| len >= if *line == "one" { 5 } else { 11 });
            assert_eq!(lines, before.chain(["three"]).collect::<Vec<_>>(), "cut at {len}");
        }
    }

    #[test]
    fn two_files_hold_what_is_remembered() {
        let dir = tempfile::tempdir().expect("a directory");
        let history = history(dir.path());
        let line = |number: usize| format!("{number:06}{}", "x".repeat(1500));
        (0..1200).for_each(|number| history.keep(&line(number)).expect("a file"));
        let bytes = |file: &Path| std::fs::metadata(file).expect("it is there").len();
        let limit = MAX_FILE_BYTES + MAX_LINE_BYTES as u64;
        assert!(bytes(&history.file) <= limit && bytes(&history.older()) <= limit);
        let lines = history.lines().expect("lines");
        assert!(lines.len() > 300 && lines.len() <= MAX_LINES, "{}", lines.len());
        assert_eq!(lines.last(), Some(&line(1199)));
        assert!(lines.is_sorted());
    }

    #[test]
    fn the_environment_says_where() {
        let file = |state: Option<&str>, home: Option<&str>| {
            user_file(|name| state.filter(|_| name == "XDG_STATE_HOME").map(OsString::from), home.map(PathBuf::from))
        };
        assert_eq!(file(Some("/state"), Some("/home/a")), Some("/state/llava-video/history".into()));
        for ignored in [None, Some(""), Some("relative")] {
            assert_eq!(file(ignored, Some("/home/a")), Some("/home/a/.local/state/llava-video/history".into()));
        }
        assert_eq!(file(None, None), None);
        assert!(History::at(Some(OsStr::new(""))).is_none());
    }
}
