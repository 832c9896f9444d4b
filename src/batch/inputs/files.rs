//! Arguments to clips: files, directories, and patterns that the shell did not expand.

use std::collections::HashSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern, PatternError};

use super::walk::{ALL_LEVELS, Walk, walk};
use crate::video::names::{is_picture, is_video};

/// A clip that an argument led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClip {
    /// As it was reached.
    pub path: PathBuf,
    /// The path as text.
    pub id: String,
    /// The directory that it was looked for in: the argument, what a pattern begins with, or the file's own.
    pub root: PathBuf,
}

/// What arguments led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In the order of the arguments, those of one argument in natural order.
    pub clips: Vec<FoundClip>,
    /// How many files were left aside as their names are not those of videos.
    pub left_aside: usize,
    /// How often a path was reached again that is among the clips already.
    pub repeated: usize,
}

/// An argument that leads to no clip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing, and it is not a pattern.
    #[error("{}: no such file or directory", path.display())]
    NotFound {
        /// The argument.
        path: PathBuf,
    },
    /// The system refuses to show it.
    #[error("{}: cannot be read", path.display())]
    Io {
        /// What cannot be read.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A directory without a video.
    #[error("{}: holds no videos", path.display())]
    NoVideos {
        /// The directory.
        path: PathBuf,
        /// How many pictures it holds.
        pictures: usize,
        /// How many directories it holds that were not looked into.
        closed: usize,
    },
    /// A pattern that no video has.
    #[error("{pattern}: no video has such a path")]
    NoMatch {
        /// The argument.
        pattern: String,
        /// How many other files have.
        left_aside: usize,
    },
    /// A pattern that means nothing.
    #[error("{pattern}: is neither a file nor a pattern")]
    BadPattern {
        /// The argument.
        pattern: String,
        /// What is wrong.
        #[source]
        source: PatternError,
    },
    /// A path that cannot be an id.
    #[error("{}: the path is not UTF-8 text, and a record could not name it", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
}

impl Error {
    /// What to do about it, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoVideos { pictures: 1.., closed: 0, path } => {
                let line = serde_json::json!({ "video": path.to_string_lossy() });
                Some(format!("a directory of pictures is one clip when a line of --input names it: {line}"))
            }
            Self::NoVideos { closed: 1.., .. } => Some("-r looks into the directories below it".to_owned()),
            Self::NoMatch { left_aside: 1.., .. } => Some(
                "files with other endings than those of videos are taken where they are named one by one".to_owned(),
            ),
            Self::NoMatch { .. } => Some("`**` stands for directories of any depth".to_owned()),
            Self::NotUtf8 { .. } => Some("rename the file".to_owned()),
            _ => None,
        }
    }
}

/// The clips that arguments name. A file is taken whatever its name is; of a directory (with `recursive`, of those
/// below it too) and of what matches a pattern (`*`, `?`, `[...]`, and `**` for directories of any depth) only what
/// is named like a video, and nothing hidden.
///
/// # Errors
/// [`Error`]: each argument has to lead to a clip.
pub fn find(arguments: &[PathBuf], recursive: bool) -> Result<Found, Error> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for argument in arguments {
        let (root, files) = match (argument.metadata(), pattern_text(argument)) {
            (Ok(metadata), _) if metadata.is_dir() => {
                (argument.clone(), of_directory(argument, recursive, &mut found.left_aside)?)
            }
            (Ok(_), _) => (argument.parent().unwrap_or(Path::new("")).to_owned(), vec![argument.clone()]),
            (Err(_), Some(text)) => of_pattern(text, &mut found.left_aside)?,
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NotFound { path: argument.clone() });
            }
            (Err(source), None) => return Err(Error::Io { path: argument.clone(), source }),
        };
        for path in files {
            let Some(id) = path.to_str().map(str::to_owned) else { return Err(Error::NotUtf8 { path }) };
            match seen.insert(plain(&path)) {
                true => found.clips.push(FoundClip { path, id, root: root.clone() }),
                false => found.repeated += 1,
            }
        }
    }
    Ok(found)
}

/// Without what means the directory itself.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

fn of_directory(path: &Path, recursive: bool, left_aside: &mut usize) -> Result<Vec<PathBuf>, Error> {
    let Walk { files, closed } = walked(path, if recursive { ALL_LEVELS } else { 1 })?;
    let (videos, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_video(file));
    if videos.is_empty() {
        let pictures = others.iter().filter(|file| is_picture(file)).count();
        return Err(Error::NoVideos { path: path.to_owned(), pictures, closed });
    }
    *left_aside += others.len();
    Ok(videos)
}

fn walked(path: &Path, levels: usize) -> Result<Walk, Error> {
    walk(path, levels).map_err(|(path, source)| Error::Io { path, source })
}

fn pattern_text(argument: &Path) -> Option<&str> {
    argument.to_str().filter(|text| is_pattern(text))
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The directory that a pattern begins with, and what matches the rest.
fn of_pattern(text: &str, left_aside: &mut usize) -> Result<(PathBuf, Vec<PathBuf>), Error> {
    let is_plain = |component: &Component<'_>| !component.as_os_str().to_str().is_some_and(is_pattern);
    let root: PathBuf = Path::new(text).components().take_while(is_plain).collect();
    let rest: PathBuf = Path::new(text).components().skip_while(is_plain).collect();
    let bad = |source| Error::BadPattern { pattern: text.to_owned(), source };
    let pattern = Pattern::new(&rest.to_string_lossy()).map_err(bad)?;
    let is_deep = rest.components().any(|component| component.as_os_str() == "**");
    let levels = if is_deep { ALL_LEVELS } else { rest.components().count() };
    let none = |left_aside| Error::NoMatch { pattern: text.to_owned(), left_aside };
    if !root.as_os_str().is_empty() && !root.is_dir() {
        return Err(none(0));
    }
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    // A name that is not UTF-8 is matched by what can be read of it, and then refused, not passed over.
    let matches = |file: &PathBuf| {
        file.strip_prefix(&root).is_ok_and(|below| pattern.matches_with(&below.to_string_lossy(), options))
    };
    let matching = walked(&root, levels)?.files.into_iter().filter(matches);
    let (videos, others): (Vec<_>, Vec<_>) = matching.partition(|file| is_video(file));
    if videos.is_empty() {
        return Err(none(others.len()));
    }
    *left_aside += others.len();
    Ok((root, videos))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clips, others, hidden ones, and a directory of pictures.
    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in ["c10.mp4", "c2.MP4", "c2.txt", ".c.mp4", "a/x.mkv", "a/b/y.webm", "a/.git/z.mp4", "p/1.png"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    /// Paths below the tree, of arguments below it.
    fn found(dir: &Path, arguments: &[&str], recursive: bool) -> Result<(Vec<String>, usize, usize), Error> {
        let arguments: Vec<_> = arguments.iter().map(|argument| dir.join(argument)).collect();
        let found = find(&arguments, recursive)?;
        let below = |clip: &FoundClip| {
            assert_eq!(Path::new(&clip.id), clip.path);
            assert!(clip.path.starts_with(&clip.root));
            clip.path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned()
        };
        Ok((found.clips.iter().map(below).collect(), found.left_aside, found.repeated))
    }

    fn is(names: &[&str], left_aside: usize, repeated: usize) -> (Vec<String>, usize, usize) {
        (names.iter().map(|&name| name.to_owned()).collect(), left_aside, repeated)
    }

    #[test]
    fn directories_give_their_videos_in_natural_order() {
        let dir = tree();
        let found = |arguments: &[&str], recursive| found(dir.path(), arguments, recursive).unwrap();
        assert_eq!(found(&[""], false), is(&["c2.MP4", "c10.mp4"], 1, 0));
        assert_eq!(found(&[""], true), is(&["a/b/y.webm", "a/x.mkv", "c2.MP4", "c10.mp4"], 2, 0));
        assert_eq!(found(&["c2.txt", ".c.mp4", "a"], false), is(&["c2.txt", ".c.mp4", "a/x.mkv"], 0, 0));
        assert_eq!(found(&["c10.mp4", "./c10.mp4", "", "a//x.mkv", "a"], false).2, 3);
    }

    #[test]
    fn patterns_match_paths() {
        let dir = tree();
        let found = |pattern: &str| found(dir.path(), &[pattern], false).unwrap();
        assert_eq!(found("c*"), is(&["c2.MP4", "c10.mp4"], 1, 0));
        assert_eq!(found("c?.MP[4]"), is(&["c2.MP4"], 0, 0));
        assert_eq!(found("*/*.mkv"), is(&["a/x.mkv"], 0, 0));
        assert_eq!(found("**/*.mp4"), is(&["c10.mp4"], 0, 0));
        assert_eq!(found("a/**/*"), is(&["a/b/y.webm", "a/x.mkv"], 0, 0));
        assert_eq!(found("*/b/y.webm"), is(&["a/b/y.webm"], 0, 0));
        let root = |pattern: &str| find(&[dir.path().join(pattern)], false).unwrap().clips[0].root.clone();
        assert_eq!(root("a/**/y*"), dir.path().join("a"));
        assert_eq!(root("c*"), dir.path());
    }

    #[test]
    fn a_name_with_the_signs_of_a_pattern_is_a_name_first() {
        let dir = tree();
        std::fs::write(dir.path().join("c[1-2]*.mp4"), "").unwrap();
        assert_eq!(found(dir.path(), &["c[1-2]*.mp4"], false).unwrap(), is(&["c[1-2]*.mp4"], 0, 0));
        let from = find(&["src*zzz/*.mp4".into()], false).unwrap_err();
        assert_eq!(from.to_string(), "src*zzz/*.mp4: no video has such a path");
    }

    #[test]
    fn arguments_that_lead_to_nothing_are_refused_with_a_hint() {
        let dir = tree();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        let refused = |argument: &str| {
            let error = found(dir.path(), &[argument], false).unwrap_err();
            (error.to_string(), error.hint().unwrap_or_default())
        };
        for (argument, message, hint) in [
            ("none.mp4", "none.mp4: no such file or directory", ""),
            ("p", "p: holds no videos", "a directory of pictures is one clip"),
            ("empty", "empty: holds no videos", ""),
            ("x*", "x*: no video has such a path", "`**` stands"),
            ("none/*.mp4", "none/*.mp4: no video has such a path", "`**` stands"),
            ("c2.t*", "c2.t*: no video has such a path", "files with other endings"),
            ("[", "[: is neither a file nor a pattern", ""),
        ] {
            let (said, hinted) = refused(argument);
            assert!(said.ends_with(message) && hinted.starts_with(hint), "{said}: {hinted}");
            assert_eq!(hint.is_empty(), hinted.is_empty(), "{hinted}");
        }
        std::fs::create_dir_all(dir.path().join("deep/er")).unwrap();
        assert_eq!(refused("deep").1, "-r looks into the directories below it");
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_have_an_end_and_lead_to_each_clip_once() {
        use std::os::unix::fs::symlink;
        let dir = tree();
        for level in ["a", "a/b", "p"] {
            for (index, to) in ["", "a", "a/b", "p"].into_iter().enumerate() {
                symlink(dir.path().join(to), dir.path().join(level).join(format!("link{index}"))).unwrap();
            }
        }
        symlink("nothing", dir.path().join("dangling.mp4")).unwrap();
        let all = ["a/b/y.webm", "a/x.mkv", "c2.MP4", "c10.mp4", "dangling.mp4"];
        assert_eq!(found(dir.path(), &[""], true).unwrap(), is(&all, 2, 0));
        assert_eq!(found(dir.path(), &["**/*"], true).unwrap(), is(&all, 2, 0));
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("o.mp4"), "").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        assert_eq!(found(dir.path(), &["out"], false).unwrap(), is(&["out/o.mp4"], 0, 0));
        assert!(found(dir.path(), &[""], true).unwrap().0.contains(&"out/o.mp4".to_owned()));
        assert_eq!(found(dir.path(), &["*/o.mp4"], false).unwrap(), is(&["out/o.mp4"], 0, 0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tree();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.mp4")), "").unwrap();
        for argument in ["", "*.mp4"] {
            assert!(matches!(found(dir.path(), &[argument], false), Err(Error::NotUtf8 { .. })), "{argument}");
        }
        assert_eq!(found(dir.path(), &["a", "c*"], false).unwrap().0.len(), 3);
    }
}
