//! Each benchmark in its published format, with a file for each of its videos: fetched, the evaluation finds them all.

use std::path::{Path, PathBuf};

use llava_video::eval::list::{ArchiveKind, Repository, repository};
use llava_video::eval::videos::{Video, locate};
use llava_video::eval::{Benchmark, Harness, Split, data};

use super::shelf::collect;
use crate::support::archives::{Files, tar_of, zip_of};
use crate::support::fixtures;
use crate::support::hub::Hub;
use crate::support::hub_home::HubHome;

fn fixture(benchmark: Benchmark) -> PathBuf {
    let name = match benchmark {
        Benchmark::EgoSchemaSubset => "egoschema",
        other => other.name(),
    };
    fixtures().join("eval/fixtures").join(name)
}

/// A file for each video that the rows are about, below the benchmark's own folder.
fn videos(benchmark: Benchmark, harness: Harness, known: &Repository) -> Files {
    let mut files = Files::new();
    for row in data::read(&fixture(benchmark), benchmark, Split::Card, None).unwrap().rows {
        let missing = match locate(Path::new("none"), benchmark, harness, Split::Card, &row).unwrap() {
            Video::Missing(missing) => missing,
            found => panic!("{found:?}"),
        };
        let path = missing.tried[0].strip_prefix("none").unwrap().strip_prefix(known.folder).unwrap();
        let mut name = path.to_str().unwrap().to_owned();
        if row.part.as_deref() == Some("episodic_reasoning") && harness == Harness::September2024 {
            name += "/00001.jpg";
        }
        files.insert(name.clone(), format!("the bytes of {name}").into_bytes());
    }
    files
}

/// The repository's files: tables, and the videos as they are packed there.
fn published(benchmark: Benchmark, harness: Harness, known: &Repository) -> Files {
    let mut files = Files::new();
    collect(&fixture(benchmark), "", &mut files);
    for part in data::parts(Benchmark::MvBench) {
        if benchmark == Benchmark::MvBench {
            files.entry(format!("json/{part}.json")).or_insert_with(|| b"[]".to_vec());
        }
    }
    files.insert(".gitattributes".to_owned(), b"*.zip filter=lfs".to_vec());
    let videos = videos(benchmark, harness, known);
    for archive in &known.archives {
        let own: Files = match known.archives.len() {
            1 => videos.clone(),
            _ if archive.gives.starts_with("sub") => Files::from([(format!("{}/x", archive.gives), b"x".to_vec())]),
            _ => videos.clone(),
        };
        match archive.kind {
            ArchiveKind::Plain => files.extend(own),
            ArchiveKind::Tar => drop(files.insert(archive.files.to_owned(), tar_of(&own))),
            ArchiveKind::JoinedTar => {
                for (place, piece) in tar_of(&own).chunks(1000).enumerate() {
                    files.insert(archive.files.replace('*', &format!("{place:03}")), piece.to_vec());
                }
            }
            ArchiveKind::Zip if benchmark == Benchmark::MvBench => {
                for folder in own.keys().map(|name| name.split('/').next().unwrap()) {
                    let of_folder = own.iter().filter(|(name, _)| name.split('/').next() == Some(folder));
                    let of_folder = of_folder.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
                    files.insert(format!("video/{folder}.zip"), zip_of(&of_folder));
                }
            }
            ArchiveKind::Zip => drop(files.insert(archive.files.replace('*', "01"), zip_of(&own))),
        }
    }
    files
}

fn fetch_and_find(benchmark: Benchmark, harness: Harness) {
    let known = repository(benchmark, harness, Split::Card).unwrap();
    let hub = Hub::start();
    let home = HubHome::new(&hub);
    let dir = tempfile::tempdir().unwrap();
    let id = match (benchmark, harness) {
        (Benchmark::Mlvu, Harness::Head) => known.id,
        // Owners had other names in 2024, and some copies still have.
        _ => known.id_in_2024.unwrap_or(known.id),
    };
    hub.publish_dataset(id, known.revision.unwrap_or("main"), published(benchmark, harness, &known));
    let data = dir.path().to_str().unwrap();
    let args = ["eval", "fetch", benchmark.name(), "--data", data, "--harness", harness.name(), "--json"];
    let fetched = home.run(args).json();
    let rows = data::read(&fixture(benchmark), benchmark, Split::Card, None).unwrap().rows.len();
    assert!(rows > 0, "{benchmark}");
    assert_eq!((fetched["rows"].as_u64(), fetched["rows_with_video"].as_u64()), (Some(rows as u64), Some(rows as u64)));
    assert_eq!(fetched["missing_videos"], serde_json::json!([]), "{benchmark}");
    assert_eq!(fetched["repository"], id);
    assert!(hub.fetched(".gitattributes").is_empty());

    // Everything is there, and the evaluation reads the same rows.
    let again = home.run(args).json();
    assert_eq!((again["received_bytes"].as_u64(), again["archives"].as_u64()), (Some(0), Some(0)), "{benchmark}");
    let read = data::read(dir.path(), benchmark, Split::Card, None).unwrap();
    assert_eq!(read.rows, data::read(&fixture(benchmark), benchmark, Split::Card, None).unwrap().rows);
    assert_eq!(read.missing_parts, [""; 0]);
}

#[test]
fn every_benchmark_is_fetched_to_where_the_evaluation_looks() {
    Benchmark::ALL.into_iter().for_each(|benchmark| fetch_and_find(benchmark, Harness::September2024));
    for benchmark in [Benchmark::MvBench, Benchmark::Mlvu, Benchmark::LongVideoBench] {
        fetch_and_find(benchmark, Harness::Head);
    }
}

#[test]
fn a_part_takes_its_own_archive_alone() {
    let (benchmark, harness) = (Benchmark::MvBench, Harness::September2024);
    let known = repository(benchmark, harness, Split::Card).unwrap();
    let hub = Hub::start();
    let home = HubHome::new(&hub);
    hub.publish_dataset(known.id, "main", published(benchmark, harness, &known));
    let dir = tempfile::tempdir().unwrap();
    let fetch = |part| home.run(["eval", "fetch", "mvbench", "--data", dir.path().to_str().unwrap(), "--part", part]);
    let run = fetch("mvbench_moving_count");
    run.stdout_of_success();
    assert!(run.stderr.contains("the videos of all") && !run.stderr.contains("NTU"), "{}", run.stderr);
    let zips = || hub.seen().iter().filter(|seen| seen.at_storage && seen.path.ends_with(".zip")).count();
    assert_eq!((zips(), hub.fetched("video/clevrer.zip").len()), (1, 1));
    // What nobody may publish.
    let run = fetch("fine_grained_pose");
    run.stdout_of_success();
    assert!(run.stderr.contains("rose1.ntu.edu.sg") && run.stderr.contains("mvbench/nturgbd"), "{}", run.stderr);
    assert_eq!(zips(), 1);
    fetch("pose").fails_with(&["mvbench has no part `pose`", "moving_count"]);
}
