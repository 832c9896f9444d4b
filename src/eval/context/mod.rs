//! What is put to the model about a row: byte for byte the harness's prompt.
//!
//! Source: `doc_to_text` of the harness's tasks, under the prompts that it gives `llava_vid`. The harness adds nothing
//! to it; [`crate::prompt::user_message`] puts the video before it.

mod interleaved;
mod open;
mod options;
mod subtitled;

pub use self::interleaved::{BadSubtitle, Subtitle, interleaved, subtitles};
pub use self::options::Prompt;
pub use self::subtitled::{BadSrt, SUBTITLE_FRAMES, shown_subtitles, subtitled};
use super::{BadColumn, Benchmark, Harness, Row};

/// The context of a row.
///
/// # Errors
/// A column that the harness reads is not there.
pub fn context(benchmark: Benchmark, harness: Harness, row: &Row) -> Result<String, BadColumn> {
    context_for(Prompt::LlavaVid, benchmark, harness, row)
}

/// As [`context`], by another model's prompt.
///
/// # Errors
/// A column that the harness reads is not there.
pub fn context_for(prompt: Prompt, benchmark: Benchmark, harness: Harness, row: &Row) -> Result<String, BadColumn> {
    match benchmark {
        Benchmark::ActivityNetQa => open::activitynetqa(row),
        Benchmark::VideoChatGpt => open::videochatgpt(row),
        Benchmark::VideoDc => row.text("question").map(str::to_owned),
        Benchmark::EgoSchema | Benchmark::EgoSchemaSubset => options::egoschema(row),
        Benchmark::Mlvu => options::mlvu(harness, row),
        Benchmark::MvBench => options::mvbench(harness, row),
        Benchmark::NextQa => options::nextqa(row),
        Benchmark::PerceptionTest => options::perceptiontest(row),
        Benchmark::LongVideoBench => options::longvideobench(row),
        Benchmark::VideoMme => options::videomme(prompt, row),
    }
}
