//! Where the files beside a clip are.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::Format;
use crate::batch::inputs::{Input, Origin};
use crate::video::names::{is_picture, is_video};

/// Which files there are, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    formats: Vec<Format>,
    output_dir: Option<PathBuf>,
}

/// A clip whose path ends without a name, so that nothing could be named after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: has no name that a file beside it could have", path.display())]
pub struct NoName {
    /// The clip's path.
    pub path: PathBuf,
}

impl Layout {
    /// Files of these formats, beside each clip or in `output_dir`: there, a clip that an argument led to has the path
    /// that it has below this argument, and a clip that a line names has the path that the line gives it, or only its
    /// name where this path is absolute or goes up.
    pub fn new(formats: &[Format], output_dir: Option<PathBuf>) -> Self {
        let mut distinct = Vec::new();
        for format in formats {
            if !distinct.contains(format) {
                distinct.push(*format);
            }
        }
        Self { formats: distinct, output_dir }
    }

    /// The formats, each once.
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// The files of an input.
    ///
    /// # Errors
    /// [`NoName`] for paths such as `..`.
    pub fn targets(&self, input: &Input) -> Result<Vec<(Format, PathBuf)>, NoName> {
        let clip = input.job.video.as_path();
        let stem = stem(clip).ok_or_else(|| NoName { path: clip.to_owned() })?;
        let folder = match &self.output_dir {
            Some(output_dir) => output_dir.join(mirrored(input).parent().unwrap_or(Path::new(""))),
            None => clip.parent().unwrap_or(Path::new("")).to_owned(),
        };
        let target = |&format: &Format| {
            let mut name = stem.clone();
            name.push(".");
            name.push(format.name());
            (format, folder.join(name))
        };
        Ok(self.formats.iter().map(target).collect())
    }

    /// Whether all files of an input are there.
    ///
    /// # Errors
    /// [`NoName`], as above.
    pub fn is_complete(&self, input: &Input) -> Result<bool, NoName> {
        Ok(self.targets(input)?.iter().all(|(_, target)| target.is_file()))
    }
}

/// The name without its ending, if it is the ending of a clip: `shot.01` and `shot.02` are two names.
fn stem(clip: &Path) -> Option<OsString> {
    let name = clip.file_name()?;
    match is_video(clip) || is_picture(clip) {
        true => clip.file_stem().map(OsString::from),
        false => Some(name.to_owned()),
    }
}

/// The path of a clip below the directory of outputs.
fn mirrored(input: &Input) -> PathBuf {
    let clip = input.job.video.as_path();
    let below = match &input.origin {
        Origin::Argument { root } => clip.strip_prefix(root).unwrap_or(clip),
        Origin::Line { .. } => clip,
    };
    match below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        true => below.components().filter(|part| *part != Component::CurDir).collect(),
        false => clip.file_name().map(PathBuf::from).unwrap_or_default(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::batch::job::{Job, JobFrames};

    /// An input of this path; the root is that of an argument.
    pub(in crate::batch::sidecar) fn input(clip: &Path, root: Option<&Path>) -> Input {
        let job = Job {
            id: clip.display().to_string(),
            video: clip.to_owned(),
            questions: vec!["?".to_owned()],
            choices: Vec::new(),
            frames: JobFrames::default(),
            max_new_tokens: None,
            meta: None,
        };
        let origin = match root {
            Some(root) => Origin::Argument { root: root.to_owned() },
            None => Origin::Line { number: 1 },
        };
        Input { job, origin }
    }

    fn target(clip: &str, root: Option<&str>, output_dir: Option<&str>) -> String {
        let layout = Layout::new(&[Format::Txt, Format::Txt], output_dir.map(PathBuf::from));
        let targets = layout.targets(&input(Path::new(clip), root.map(Path::new))).unwrap();
        assert_eq!(targets.len(), 1);
        targets[0].1.to_str().unwrap().to_owned()
    }

    #[test]
    fn files_are_beside_the_clip() {
        for (clip, expected) in [
            ("clip.mp4", "clip.txt"),
            ("a/clip.b.MKV", "a/clip.b.txt"),
            ("/a/pictures/", "/a/pictures.txt"),
            ("shot.01", "shot.01.txt"),
            ("clip", "clip.txt"),
            (".mp4", ".mp4.txt"),
            ("../x.mp4", "../x.txt"),
        ] {
            assert_eq!(target(clip, None, None), expected);
        }
        let layout = Layout::new(&[Format::Srt], None);
        assert!(layout.targets(&input(Path::new("a/.."), None)).is_err());
        assert!(layout.is_complete(&input(Path::new("/"), None)).is_err());
    }

    #[test]
    fn files_are_mirrored_below_the_output_dir() {
        for (clip, root, expected) in [
            ("data/a/x.mp4", Some("data"), "out/a/x.txt"),
            ("./a/x.mp4", Some("."), "out/a/x.txt"),
            ("/abs/a/x.mp4", Some("/abs/a"), "out/x.txt"),
            ("x.mp4", Some(""), "out/x.txt"),
            ("../d/x.mp4", Some("../d"), "out/x.txt"),
            ("a/./b/x.mp4", None, "out/a/b/x.txt"),
            ("./x.mp4", None, "out/x.txt"),
            ("a/../x.mp4", None, "out/x.txt"),
            ("/abs/a/x.mp4", None, "out/x.txt"),
        ] {
            assert_eq!(target(clip, root, Some("out")), expected);
        }
    }

    #[test]
    fn all_formats_make_it_complete() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&[Format::Txt, Format::Srt], None);
        let input = input(&dir.path().join("a.mp4"), None);
        std::fs::write(dir.path().join("a.txt"), "").unwrap();
        assert_eq!(layout.is_complete(&input), Ok(false));
        std::fs::write(dir.path().join("a.srt"), "").unwrap();
        assert_eq!(layout.is_complete(&input), Ok(true));
    }
}
