//! Answers a question about a video with the library alone: `cargo run --release --example answer -- CLIP QUESTION`, by
//! the built-in demo model. `Source::from(path)` opens a checkpoint on disk instead.

#![expect(clippy::print_stdout, reason = "the answer")]

use std::env;

use llava_video::demo;
use llava_video::engine::{AskOptions, ClipRequest, Engine, EngineOptions, Media, PlannedClip};
use llava_video::interrupt::Interrupt;
use llava_video::video::isolated::{self, Launcher};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    // Clips are decoded by a child process, which is this program again.
    let launcher = Launcher { program: env::current_exe()?, args: vec!["decode".into()] };
    let (clip, question) = match args.as_slice() {
        [mode] if mode == "decode" => {
            isolated::serve();
            return Ok(());
        }
        [clip, question] => (clip, question),
        _ => return Err("usage: CLIP QUESTION".into()),
    };
    let interrupt = Interrupt::default();
    let clip = PlannedClip::open(&ClipRequest::new(clip, launcher), &interrupt, &mut ())?;
    let mut engine = Engine::open(&demo::source(), EngineOptions::default(), &interrupt)?;
    let answers = engine.ask(&mut Media::Clip(Box::new(clip)), &[question], &AskOptions::default(), &mut ())?;
    println!("{}", answers[0].text);
    Ok(())
}
