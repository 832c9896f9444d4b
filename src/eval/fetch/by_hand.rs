//! What no program can fetch, and what its user has to do instead.

use crate::eval::{Benchmark, Harness, Split};

/// The subtask whose videos are not published with the others.
pub(super) const NTU_PART: &str = "fine_grained_pose";

/// What is left to the user.
pub(super) fn by_hand(benchmark: Benchmark, harness: Harness, split: Split, part: Option<&str>) -> Vec<String> {
    let mut left = Vec::new();
    if benchmark == Benchmark::MvBench && part.is_none_or(|part| part == NTU_PART) {
        let folder = match harness {
            Harness::September2024 => "mvbench/nturgbd",
            Harness::October2024 | Harness::LateOctober2024 | Harness::Head => "mvbench_video/nturgbd_convert",
        };
        left.push(format!(
            "{NTU_PART}: the licence of NTU RGB+D does not let the publisher pass its videos on; ask for them at \
             https://rose1.ntu.edu.sg/dataset/actionRecognition/ and put those that json/{NTU_PART}.json names in \
             {folder}"
        ));
    }
    match (benchmark, split) {
        (Benchmark::EgoSchema, _) => left.push(
            "the answers of the full set are not published: a run writes a file of its answers, and the server at \
             https://validation-server.onrender.com/api/upload/ scores it"
                .to_owned(),
        ),
        (Benchmark::PerceptionTest | Benchmark::LongVideoBench, Split::Test) => left.push(
            "the answers of the test split are not published: a run writes a file of its answers for the publisher's \
             server"
                .to_owned(),
        ),
        _ => {}
    }
    left
}
