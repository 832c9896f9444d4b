//! Files beside clips that would overwrite each other, a clip, or what the batch itself reads and writes.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::folders::{Folders, Identity, is_caseless};
use super::{Format, Layout, NoName};
use crate::batch::inputs::Input;

/// So many conflicts are named; of the rest only the number is.
const KEPT: usize = 3;

/// A file that the batch reads or writes itself.
#[derive(Debug, Clone, Copy)]
pub struct Protected<'a> {
    /// What it is, such as `the output`.
    pub what: &'static str,
    /// Where it is, whether it is there yet or not.
    pub path: &'a Path,
}

/// A file that two want, or that is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two inputs would have one file.
    #[error("`{first}` and `{second}` would both write `{}`", target.display())]
    Shared {
        /// The first input's id.
        first: String,
        /// The second input's id.
        second: String,
        /// The file.
        target: PathBuf,
    },
    /// A file would overwrite something else.
    #[error("`{id}` would write `{}`, which is {what}", target.display())]
    Overwrites {
        /// The input's id.
        id: String,
        /// The file.
        target: PathBuf,
        /// What it would overwrite.
        what: String,
    },
    /// An input's files would have no name.
    #[error(transparent)]
    NoName(NoName),
}

/// All conflicts of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// The first of them.
    pub kept: Vec<Conflict>,
    /// How many there are: of inputs with one file, every pair.
    pub total: usize,
}

/// Refuses inputs whose files would be one, or would be a clip or a protected file, by name or through links.
///
/// # Errors
/// [`Conflicts`], of which the first are kept and all are counted.
pub fn conflicts(inputs: &[Input], layout: &Layout, protected: &[Protected<'_>]) -> Result<(), Conflicts> {
    let found = find(inputs, layout, protected, &is_caseless);
    if found.total == 0 { Ok(()) } else { Err(found) }
}

/// An input's files, which differ in their endings only, so that one of them tells where all are.
struct Files<'a> {
    id: &'a str,
    /// With one of the endings.
    target: PathBuf,
    /// The name without it.
    stem: String,
}

/// Files by their directory and by what their names have in common in any case.
#[derive(Default)]
struct Groups<'a> {
    folders: Folders,
    index: HashMap<(usize, String), usize>,
    /// In the order of the inputs.
    groups: Vec<(usize, Vec<Files<'a>>)>,
}

fn find(
    inputs: &[Input],
    layout: &Layout,
    protected: &[Protected<'_>],
    is_caseless: &dyn Fn(&Path) -> bool,
) -> Conflicts {
    let mut found = Conflicts::default();
    let mut groups = Groups::default();
    let mut identities = HashMap::new();
    for input in inputs {
        match layout.targets(input) {
            Ok(targets) => {
                let there = targets.iter().filter_map(|(_, target)| Some((Identity::of(target)?, target)));
                identities.extend(there.map(|(identity, target)| (identity, (input.job.id.as_str(), target.clone()))));
                groups.add(&input.job.id, targets);
            }
            Err(nameless) => found.add(Conflict::NoName(nameless)),
        }
    }
    for (folder, files) in &groups.groups {
        if files.len() > 1 {
            shared(files, &|| is_caseless(groups.folders.path(*folder)), &mut found);
        }
    }
    let mut spare = |path: &Path, what: &dyn Fn() -> String| {
        let by_identity = || identities.get(&Identity::of(path)?).cloned();
        let hit = groups.target_named(path, layout, is_caseless);
        // Mostly no file is there yet, and no clip has to be looked at.
        if let Some((id, target)) = hit.or_else(|| if identities.is_empty() { None } else { by_identity() }) {
            found.add(Conflict::Overwrites { id: id.to_owned(), target, what: what() });
        }
    };
    for Protected { what, path } in protected {
        spare(path, &|| (*what).to_owned());
    }
    for Input { job, .. } in inputs {
        spare(&job.video, &|| format!("the clip of `{}`", job.id));
    }
    found
}

/// Every pair of files of one name.
fn shared(files: &[Files<'_>], is_caseless: &dyn Fn() -> bool, found: &mut Conflicts) {
    let is_one_name = files.iter().all(|other| other.stem == files[0].stem) || is_caseless();
    let mut first_of = HashMap::<&str, (&Files<'_>, usize)>::new();
    for second in files {
        let name = if is_one_name { "" } else { second.stem.as_str() };
        let (first, before) = first_of.entry(name).or_insert((second, 0));
        if *before > 0 {
            let (first, second, target) = (first.id.to_owned(), second.id.to_owned(), second.target.clone());
            found.add(Conflict::Shared { first, second, target });
            // It shares its files with all before, of which the first is named.
            found.total += *before - 1;
        }
        *before += 1;
    }
}

impl<'a> Groups<'a> {
    fn add(&mut self, id: &'a str, targets: Vec<(Format, PathBuf)>) {
        let Some((format, target)) = targets.into_iter().next() else { return };
        let Some((folder, name)) = self.folders.place(&target) else { return };
        let stem = name[..name.len() - format.name().len() - 1].to_owned();
        let next = self.groups.len();
        let group = *self.index.entry((folder, stem.to_lowercase())).or_insert(next);
        if group == next {
            self.groups.push((folder, Vec::new()));
        }
        self.groups[group].1.push(Files { id, target, stem });
    }

    /// The input, and its file, that has this path.
    fn target_named(
        &mut self,
        path: &Path,
        layout: &Layout,
        is_caseless: &dyn Fn(&Path) -> bool,
    ) -> Option<(&'a str, PathBuf)> {
        let ending = path.extension()?.to_str()?;
        let format = layout.formats().iter().find(|format| format.name().eq_ignore_ascii_case(ending))?;
        let (folder, name) = self.folders.place(path)?;
        let stem = &name[..name.len() - ending.len() - 1];
        let (_, files) = &self.groups[*self.index.get(&(folder, stem.to_lowercase()))?];
        let exact = files.iter().find(|files| files.stem == stem && format.name() == ending);
        let files = exact.or_else(|| files.first().filter(|_| is_caseless(self.folders.path(folder))))?;
        Some((files.id, files.target.with_extension(format.name())))
    }
}

impl Conflicts {
    fn add(&mut self, conflict: Conflict) {
        self.total += 1;
        if self.kept.len() < KEPT {
            self.kept.push(conflict);
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "several questions about one clip go into one input as `questions`; --output-dir mirrors directories"
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, conflict) in self.kept.iter().enumerate() {
            write!(f, "{}{conflict}", if index == 0 { "" } else { "; " })?;
        }
        match self.total - self.kept.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Conflicts {}

#[cfg(test)]
mod tests {
    use super::super::target::tests::input;
    use super::*;

    const FORMATS: [Format; 2] = [Format::Srt, Format::Txt];

    fn found(clips: &[Input], output_dir: Option<PathBuf>, protected: &[Protected<'_>], caseless: bool) -> Conflicts {
        find(clips, &Layout::new(&FORMATS, output_dir), protected, &|_| caseless)
    }

    fn inputs(dir: &Path, clips: &[&str]) -> Vec<Input> {
        clips.iter().map(|clip| input(&dir.join(clip), Some(dir))).collect()
    }

    #[test]
    fn inputs_of_one_target_are_counted_in_pairs() {
        let dir = tempfile::tempdir().unwrap();
        let clips = inputs(dir.path(), &["a.mp4", "b.mp4", "a.mkv", "a.webm", "./a.mov", "a.b.mp4", "a.01"]);
        let conflicts = found(&clips, None, &[], false);
        assert_eq!((conflicts.total, conflicts.kept.len()), (6, 3));
        let (first, second) = (clips[0].job.id.clone(), clips[2].job.id.clone());
        assert_eq!(conflicts.kept[0], Conflict::Shared { first, second, target: dir.path().join("a.srt") });
        assert!(conflicts.to_string().ends_with("; and 3 more"), "{conflicts}");
        assert_eq!(found(&inputs(dir.path(), &["a.mp4", "x/a.mp4"]), None, &[], false).total, 0);
        assert_eq!(super::conflicts(&clips[..2], &Layout::new(&FORMATS, None), &[]), Ok(()));
    }

    #[test]
    fn names_are_compared_as_the_file_system_does() {
        let dir = tempfile::tempdir().unwrap();
        let clips = inputs(dir.path(), &["a.mp4", "A.mp4", "a.mkv"]);
        assert_eq!(found(&clips, None, &[], false).total, 1);
        assert_eq!(found(&clips, None, &[], true).total, 3);
        let out = dir.path().join("A.TXT");
        let protected = [Protected { what: "the output", path: &out }];
        assert_eq!(found(&clips[..1], None, &protected, false).total, 0);
        assert_eq!(found(&clips[..1], None, &protected, true).total, 1);
    }

    #[test]
    fn a_mirror_may_bring_clips_together() {
        let dir = tempfile::tempdir().unwrap();
        let of = |root: &str| input(&dir.path().join(root).join("x/a.mp4"), Some(&dir.path().join(root)));
        let out = dir.path().join("out");
        assert_eq!(found(&[of("1"), of("2")], Some(out), &[], false).total, 1);
        assert_eq!(found(&[of("1"), of("2")], None, &[], false).total, 0);
        assert_eq!(found(&[input(Path::new("a/.."), None)], None, &[], false).total, 1);
    }

    #[test]
    fn what_is_needed_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let clips = inputs(dir.path(), &["a.mp4", "b.txt"]);
        assert_eq!(found(&clips, None, &[], false).total, 0);
        let clips = inputs(dir.path(), &["a.mp4", "a.txt.mp4", "a.txt"]);
        let shown = found(&clips, None, &[], false).to_string();
        assert!(
            shown.contains("would write") && shown.contains(&format!("the clip of `{}`", clips[2].job.id)),
            "{shown}"
        );
        for (name, total) in [("a.srt", 1), ("a.vtt", 0), ("./a.txt", 1), ("b.txt", 0)] {
            let path = path(name);
            let protected = [Protected { what: "the output", path: &path }];
            assert_eq!(found(&clips[..1], None, &protected, false).total, total, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_hide_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("real")).unwrap();
        std::os::unix::fs::symlink(path("real"), path("link")).unwrap();
        assert_eq!(found(&inputs(dir.path(), &["real/a.mp4", "link/a.mkv"]), None, &[], false).total, 1);
        std::fs::write(path("jobs.jsonl"), "").unwrap();
        std::fs::hard_link(path("jobs.jsonl"), path("real/a.srt")).unwrap();
        let list = path("jobs.jsonl");
        let protected = [Protected { what: "the list of inputs", path: &list }];
        let conflicts = found(&inputs(dir.path(), &["link/a.mp4", "b.mp4"]), None, &protected, false);
        assert!(conflicts.to_string().ends_with("a.srt`, which is the list of inputs"), "{conflicts}");
        assert_eq!(conflicts.total, 1);
    }
}
