//! What is known of each benchmark's data: how much there is, where it is published, and in which files.
//!
//! Source: the harness's tasks, the listings of the repositories, the model card. What is not known is not there.

use super::{Benchmark, Harness, Split};

/// What is known of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Rows, over all parts.
    pub rows: usize,
    /// Videos they are about.
    pub videos: Option<usize>,
    /// How long these last together.
    pub hours: Option<f64>,
    /// About what is to be downloaded.
    pub download_bytes: Option<u64>,
    /// Under which licence.
    pub licence: Option<&'static str>,
    /// Whether the publisher asks for consent first.
    pub is_gated: bool,
    /// The model card's number, in the card's own scale: per cent, or 0 to 5 for VideoChatGPT and VideoDC.
    pub card_score: Option<f64>,
}

/// What is known of a benchmark's rows behind the card's number.
pub fn facts(benchmark: Benchmark) -> Facts {
    let (rows, card_score) = match benchmark {
        Benchmark::ActivityNetQa => (8000, Some(58.2)),
        Benchmark::EgoSchema => (5031, Some(57.3)),
        Benchmark::EgoSchemaSubset => (500, None),
        Benchmark::Mlvu => (2174, Some(69.8)),
        Benchmark::MvBench => (20 * 200, Some(58.4)),
        Benchmark::NextQa => (8564, Some(82.2)),
        Benchmark::PerceptionTest => (19140, Some(71.7)),
        Benchmark::VideoChatGpt => (1996 + 499 + 998, Some(3.54)),
        Benchmark::VideoDc => (499, Some(3.71)),
        Benchmark::LongVideoBench => (1337, Some(57.3)),
        Benchmark::VideoMme => (2700, Some(63.2)),
    };
    Facts {
        rows,
        videos: videos(benchmark),
        hours: hours(benchmark),
        download_bytes: download_bytes(benchmark),
        licence: licence(benchmark),
        is_gated: benchmark == Benchmark::LongVideoBench,
        card_score,
    }
}

/// Sources: the papers of ActivityNet-QA (arXiv 1906.02467: ten questions about each video), EgoSchema (2308.09126: a
/// clip of its own for each question), NExT-QA (2105.08276), Perception Test (2305.13786) and Video-MME (2405.21075).
fn videos(benchmark: Benchmark) -> Option<usize> {
    match benchmark {
        Benchmark::ActivityNetQa => Some(800),
        Benchmark::EgoSchema => Some(5031),
        Benchmark::EgoSchemaSubset => Some(500),
        Benchmark::NextQa => Some(1000),
        Benchmark::PerceptionTest => Some(5900),
        Benchmark::VideoMme => Some(900),
        Benchmark::Mlvu
        | Benchmark::MvBench
        | Benchmark::VideoChatGpt
        | Benchmark::VideoDc
        | Benchmark::LongVideoBench => None,
    }
}

/// As the papers of EgoSchema (clips of three minutes) and Video-MME give it.
fn hours(benchmark: Benchmark) -> Option<f64> {
    match benchmark {
        Benchmark::EgoSchema => Some(5031.0 * 3.0 / 60.0),
        Benchmark::EgoSchemaSubset => Some(500.0 * 3.0 / 60.0),
        Benchmark::VideoMme => Some(254.0),
        _ => None,
    }
}

/// About what others have found to download; the hub tells it exactly, and `eval fetch --dry-run` asks it.
///
/// Sources: the list of datasets in github.com/just-a-go/SOVA-TW-GRPO, and for LongVideoBench what scripts that unpack
/// it say of videos.tar.
fn download_bytes(benchmark: Benchmark) -> Option<u64> {
    match benchmark {
        Benchmark::NextQa => Some(11_000_000_000),
        Benchmark::MvBench => Some(16_000_000_000),
        Benchmark::VideoMme => Some(94_000_000_000),
        Benchmark::LongVideoBench => Some(140_000_000_000),
        _ => None,
    }
}

/// Sources: the cards of OpenGVLab/MVBench, longvideobench/LongVideoBench and MLVU/MVLU. The videos have owners of
/// their own.
fn licence(benchmark: Benchmark) -> Option<&'static str> {
    match benchmark {
        Benchmark::MvBench => Some("MIT"),
        Benchmark::LongVideoBench | Benchmark::Mlvu => Some("CC BY-NC-SA 4.0"),
        _ => None,
    }
}

/// Rows of a benchmark's part.
pub fn part_rows(benchmark: Benchmark, part: &str) -> Option<usize> {
    match (benchmark, part) {
        (Benchmark::MvBench, part) => super::data::parts(benchmark).contains(&part).then_some(200),
        (Benchmark::VideoChatGpt, "Generic") => Some(1996),
        (Benchmark::VideoChatGpt, "Temporal") => Some(499),
        (Benchmark::VideoChatGpt, "Consistency") => Some(998),
        _ => None,
    }
}

/// A repository of data sets on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `owner/name`, as it is today.
    pub id: &'static str,
    /// As it was in 2024, where that is another.
    pub id_in_2024: Option<&'static str>,
    /// Where it is not the main one.
    pub revision: Option<&'static str>,
    /// Files with the rows: for each table, the names by which it goes, the first that is there; `*` is any text.
    pub annotations: Vec<Vec<String>>,
    /// Files with the videos, and what comes with them.
    pub archives: Vec<Archive>,
    /// The folder to unpack in, within the one that is given as that of the videos.
    pub folder: &'static str,
}

/// Archives of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Their names; `*` stands for any text.
    pub files: &'static str,
    /// What they are.
    pub kind: ArchiveKind,
    /// The folder that unpacking gives.
    pub gives: &'static str,
}

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Each a ZIP.
    Zip,
    /// A tar.
    Tar,
    /// One tar in pieces, to be joined in the order of their names.
    JoinedTar,
    /// None: the videos lie in the repository as they are.
    Plain,
}

/// Where a benchmark is published; none where it has no such split.
pub fn repository(benchmark: Benchmark, harness: Harness, split: Split) -> Option<Repository> {
    let annotations = super::data::annotation_files(benchmark, split)?;
    let whole = harness == Harness::September2024;
    let (id, id_in_2024, folder) = match (benchmark, split) {
        (Benchmark::ActivityNetQa, _) => ("lmms-eval/ActivityNetQA", Some("lmms-lab/ActivityNetQA"), "activitynetqa"),
        (Benchmark::EgoSchema | Benchmark::EgoSchemaSubset, _) => {
            ("lmms-eval/egoschema", Some("lmms-lab/egoschema"), "egoschema")
        }
        (Benchmark::Mlvu, Split::Card) => ("sy1998/MLVU_dev", Some("sy1998/temp"), "mlvu"),
        (Benchmark::Mlvu, Split::Test) => ("sy1998/MLVU_Test", None, "mlvu_test"),
        (Benchmark::MvBench, _) => ("OpenGVLab/MVBench", None, if whole { "mvbench" } else { "mvbench_video" }),
        (Benchmark::NextQa, _) => ("lmms-eval/NExTQA", Some("lmms-lab/NExTQA"), "nextqa"),
        (Benchmark::PerceptionTest, Split::Card) => {
            ("lmms-eval/PerceptionTest_Val", Some("lmms-lab/PerceptionTest_Val"), "perceptiontest_val")
        }
        (Benchmark::PerceptionTest, Split::Test) => {
            ("lmms-eval/PerceptionTest", Some("lmms-lab/PerceptionTest"), "perceptiontest")
        }
        (Benchmark::VideoChatGpt, _) => ("lmms-eval/VideoChatGPT", Some("lmms-lab/VideoChatGPT"), "videochatgpt"),
        (Benchmark::VideoDc, _) => {
            ("lmms-eval/VideoDetailDescription", Some("lmms-lab/VideoDetailDescription"), "videochatgpt")
        }
        (Benchmark::LongVideoBench, _) => {
            let folder = if harness == Harness::Head { "datasets/longvideobench" } else { "longvideobench" };
            ("longvideobench/LongVideoBench", None, folder)
        }
        (Benchmark::VideoMme, _) => ("lmms-eval/Video-MME", Some("lmms-lab/Video-MME"), "videomme"),
    };
    let revision = (benchmark == Benchmark::MvBench && !whole).then_some("video");
    Some(Repository { id, id_in_2024, revision, annotations, archives: archives(benchmark, split, whole), folder })
}

/// Names that could not be established are any ZIP.
fn archives(benchmark: Benchmark, split: Split, whole: bool) -> Vec<Archive> {
    let zip = |files, gives| Archive { files, kind: ArchiveKind::Zip, gives };
    match benchmark {
        Benchmark::ActivityNetQa => vec![zip("*.zip", "all_test")],
        Benchmark::EgoSchema | Benchmark::EgoSchemaSubset => vec![zip("*.zip", "videos")],
        Benchmark::Mlvu if split == Split::Test => vec![zip("*.zip", "")],
        Benchmark::Mlvu => vec![zip("video_part_*.zip", "")],
        Benchmark::MvBench if whole => vec![zip("*.zip", "")],
        Benchmark::MvBench => vec![Archive { files: "*", kind: ArchiveKind::Plain, gives: "" }],
        Benchmark::NextQa => vec![zip("videos.zip", "NExTVideo")],
        Benchmark::PerceptionTest if split == Split::Test => vec![zip("*.zip", "videos")],
        Benchmark::PerceptionTest => vec![zip("videos_chunked_*.zip", "videos")],
        Benchmark::VideoChatGpt | Benchmark::VideoDc => vec![zip("*.zip", "Test_Videos")],
        Benchmark::LongVideoBench => vec![
            Archive { files: "videos.tar.part.*", kind: ArchiveKind::JoinedTar, gives: "videos" },
            Archive { files: "subtitles.tar", kind: ArchiveKind::Tar, gives: "subtitles" },
        ],
        Benchmark::VideoMme => vec![zip("videos_chunked_*.zip", "data"), zip("subtitle.zip", "subtitle")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_has_ten_rows() {
        assert_eq!(Benchmark::ALL.into_iter().filter_map(|benchmark| facts(benchmark).card_score).count(), 10);
    }

    #[test]
    fn parts_make_up_their_benchmark() {
        for benchmark in [Benchmark::MvBench, Benchmark::VideoChatGpt] {
            let rows = |part| part_rows(benchmark, part).unwrap();
            assert_eq!(
                super::super::data::parts(benchmark).into_iter().map(rows).sum::<usize>(),
                facts(benchmark).rows
            );
        }
        assert_eq!((part_rows(Benchmark::MvBench, "x"), part_rows(Benchmark::Mlvu, "x")), (None, None));
    }

    #[test]
    fn every_benchmark_is_published_somewhere() {
        for benchmark in Benchmark::ALL {
            for harness in Harness::ALL {
                let repository = repository(benchmark, harness, Split::Card).unwrap();
                assert!(repository.id.split('/').count() == 2 && !repository.archives.is_empty());
                assert_eq!(repository.annotations.len(), super::super::data::parts(benchmark).len().max(1));
            }
        }
        assert_eq!(repository(Benchmark::MvBench, Harness::Head, Split::Card).unwrap().revision, Some("video"));
        assert_eq!(repository(Benchmark::VideoMme, Harness::Head, Split::Test), None);
    }
}
