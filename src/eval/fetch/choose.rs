//! Which files of a repository a benchmark needs, by the names in its listing.

use super::by_hand::NTU_PART;
use super::error::FetchError;
use super::request::{Request, What};
use super::unpack::Form;
use crate::eval::list::{Archive, ArchiveKind, Repository};
use crate::eval::videos::mvbench_folder;
use crate::eval::{Benchmark, data};

/// Files that belong together: one, or the pieces of an archive in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) what: What,
    /// Indices into the listing.
    pub(super) files: Vec<usize>,
}

/// The files that a request needs of those that are listed.
pub(super) fn choose(
    request: &Request,
    repository: &Repository,
    id: &str,
    names: &[&str],
) -> Result<Vec<Chosen>, FetchError> {
    let part = request.part.map(|name| data::part_called(request.benchmark, name)).transpose()?;
    let mut chosen = Vec::new();
    let missing =
        |expected: &[String]| FetchError::NoFile { repository: id.to_owned(), expected: expected.join(" or ") };
    for (index, patterns) in repository.annotations.iter().enumerate() {
        // A benchmark with parts has a table for each.
        if part.is_some_and(|part| data::parts(request.benchmark).get(index) != Some(&part)) {
            continue;
        }
        let files = patterns.iter().map(|pattern| matching(names, pattern)).find(|files| !files.is_empty());
        let files = files.ok_or_else(|| missing(patterns))?;
        chosen.extend(files.into_iter().map(|file| Chosen { what: What::Table, files: vec![file] }));
    }
    if request.annotations_only {
        return Ok(chosen);
    }
    for archive in &repository.archives {
        let found = of_archive(request, archive, part, names);
        if found.is_empty() && part != Some(NTU_PART) {
            return Err(missing(&[archive.files.to_owned()]));
        }
        chosen.extend(found);
    }
    Ok(chosen)
}

fn of_archive(request: &Request, archive: &Archive, part: Option<&str>, names: &[&str]) -> Vec<Chosen> {
    let mut files = matching(names, archive.files);
    let each =
        |what: What, files: Vec<usize>| files.into_iter().map(|file| Chosen { what, files: vec![file] }).collect();
    match archive.kind {
        ArchiveKind::Zip => {
            if let (Benchmark::MvBench, Some(part)) = (request.benchmark, part) {
                keep_part(request, part, names, &mut files);
            }
            each(What::Archive(Form::Zip), files)
        }
        ArchiveKind::Tar => each(What::Archive(Form::Tar), files),
        ArchiveKind::JoinedTar if files.is_empty() => Vec::new(),
        ArchiveKind::JoinedTar => {
            files.sort_by_key(|&file| names[file]);
            vec![Chosen { what: What::Archive(Form::Tar), files }]
        }
        ArchiveKind::Plain => {
            let parts = part.map_or_else(|| data::parts(request.benchmark), |_| Vec::new());
            let folders = parts.iter().copied().chain(part);
            let folders: Vec<&str> = folders.filter_map(|part| mvbench_folder(request.harness, part)).collect();
            let is_in = |name: &str, folder: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            files.retain(|&file| folders.iter().any(|folder| is_in(names[file], folder)));
            each(What::Video, files)
        }
    }
}

/// Keeps the archive with a subtask's videos: it is called as the first of their folders. Where none is, all stay.
fn keep_part(request: &Request, part: &str, names: &[&str], files: &mut Vec<usize>) {
    let Some(folder) = mvbench_folder(request.harness, part) else { return };
    let stem = folder.split('/').next().unwrap_or(folder);
    let is_of_part = |file: &usize| base(names[*file]).strip_suffix(".zip") == Some(stem);
    if part == NTU_PART || files.iter().any(is_of_part) {
        files.retain(is_of_part);
    }
}

/// The files that a pattern names: `*` is any text within one name. Without a folder, those of any folder.
fn matching(names: &[&str], pattern: &str) -> Vec<usize> {
    let matches = |name: &str| match pattern.rsplit_once('/') {
        Some((folder, last)) => name.rsplit_once('/').is_some_and(|(own, base)| own == folder && fits(base, last)),
        None => pattern == "*" || fits(base(name), pattern),
    };
    names.iter().enumerate().filter(|(_, name)| matches(name)).map(|(index, _)| index).collect()
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::eval::list::repository;
    use crate::eval::{Harness, Split};

    fn chosen(
        benchmark: Benchmark,
        harness: Harness,
        part: Option<&str>,
        names: &[&str],
    ) -> Result<Vec<String>, String> {
        let request = Request {
            benchmark,
            harness,
            split: Split::Card,
            part,
            annotations_only: false,
            repository: None,
            data: Path::new("data"),
        };
        let repository = repository(benchmark, harness, Split::Card).unwrap();
        let chosen = choose(&request, &repository, "o/n", names).map_err(|error| error.to_string())?;
        Ok(chosen.iter().map(|item| item.files.iter().map(|&file| names[file]).collect::<Vec<_>>().join("+")).collect())
    }

    #[test]
    fn tables_and_archives_are_found_by_their_names() {
        let names = [
            "README.md",
            "lvb_val.json",
            "subtitles.tar",
            "test-00000-of-00001.parquet",
            "validation-00000-of-00002.parquet",
            "validation-00001-of-00002.parquet",
            "videos.tar.part.ab",
            "videos.tar.part.aa",
        ];
        assert_eq!(
            chosen(Benchmark::LongVideoBench, Harness::Head, None, &names).unwrap(),
            [names[4], names[5], "videos.tar.part.aa+videos.tar.part.ab", "subtitles.tar"]
        );
        let refused = chosen(Benchmark::LongVideoBench, Harness::Head, None, &names[..3]).unwrap_err();
        assert!(refused.contains("videos.tar.part.*"), "{refused}");
        let refused = chosen(Benchmark::VideoMme, Harness::Head, None, &names).unwrap_err();
        assert!(refused.contains("videomme/test-*.parquet"), "{refused}");
    }

    #[test]
    fn a_part_takes_its_own_archive_and_table() {
        let tables: Vec<String> =
            data::parts(Benchmark::MvBench).iter().map(|part| format!("json/{part}.json")).collect();
        let videos = ["video/star.zip", "video/clevrer.zip", "star/Charades_segment/a b.mp4", "starry/x.mp4"];
        let names: Vec<&str> = tables.iter().map(String::as_str).chain(videos).collect();
        let of = |harness, part: &str| chosen(Benchmark::MvBench, harness, Some(part), &names).unwrap();
        let zips = of(Harness::September2024, "mvbench_action_sequence");
        assert_eq!(zips, ["json/action_sequence.json", "video/star.zip"]);
        let files = of(Harness::Head, "action_sequence");
        assert_eq!(files, ["json/action_sequence.json", "star/Charades_segment/a b.mp4"]);
        assert_eq!(of(Harness::September2024, NTU_PART), ["json/fine_grained_pose.json"]);
        assert_eq!(of(Harness::Head, NTU_PART), ["json/fine_grained_pose.json"]);
        assert_eq!(of(Harness::September2024, "scene_transition").len(), 3, "no archive has its name");
        let all = chosen(Benchmark::MvBench, Harness::September2024, None, &names).unwrap();
        assert_eq!(all.len(), 22);
        assert!(
            chosen(Benchmark::MvBench, Harness::Head, Some("none"), &names).unwrap_err().contains("no part `none`")
        );
    }
}
