//! Answers a question about a video with the library alone: `cargo run --release --example answer -- CLIP QUESTION`, by
//! the built-in demo model. `Source::from(path)` opens a checkpoint on disk instead.

#![expect(clippy::print_stdout, reason = "the answer")]

use std::env;
use std::error::Error;

use llava_video::demo;
use llava_video::engine::{AskOptions, ClipRequest, Engine, EngineOptions, Media, PlannedClip};
use llava_video::interrupt::Interrupt;
use llava_video::video::isolated::{self, Launcher};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.as_slice() {
        // Clips are decoded by a child process, which is this program again.
        [mode] if mode == "decode" => isolated::serve(),
        [clip, question] => {
            let launcher = Launcher::new(env::current_exe()?, ["decode"]);
            println!("{}", answer(clip, question, launcher)?);
        }
        _ => return Err("usage: CLIP QUESTION".into()),
    }
    Ok(())
}

/// Asks the demo model about a clip, which `launcher` decodes.
pub(crate) fn answer(clip: &str, question: &str, launcher: Launcher) -> Result<String, Box<dyn Error>> {
    let interrupt = Interrupt::default();
    let clip = PlannedClip::open(&ClipRequest::new(clip, launcher), &interrupt, &mut ())?;
    let mut engine = Engine::open(&demo::source(), EngineOptions::default(), &interrupt)?;
    let answers = engine.ask(&mut Media::Clip(Box::new(clip)), &[question], &AskOptions::default(), &mut ())?;
    Ok(answers.into_iter().map(|answer| answer.text).collect())
}
