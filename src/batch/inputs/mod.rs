//! From arguments and lists of lines to the inputs of a batch, all of them checked before anything is computed.

mod check;
mod draft;
mod fields;
mod files;
mod lines;
mod mistake;
mod openai;
mod walk;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::PathBuf;

use super::job::{Job, JobFrames};
pub use check::{Missing, missing};
pub use files::{Error, Found, FoundClip, find};
pub use mistake::{Mistake, Refusal, Refusals};

/// An input and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What is asked of which clip.
    pub job: Job,
    /// Where it comes from.
    pub origin: Origin,
}

impl AsRef<Job> for Input {
    fn as_ref(&self) -> &Job {
        &self.job
    }
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An argument.
    Argument {
        /// The directory that the clip was looked for in; below it, sidecars are mirrored.
        root: PathBuf,
    },
    /// A line of the list.
    Line {
        /// Counted from 1.
        number: usize,
    },
}

/// What a refusal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The clip that an argument led to.
    Argument(PathBuf),
    /// The line of this number, counted from 1.
    Line(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(path) => write!(f, "`{}`", path.display()),
            Self::Line(number) => write!(f, "line {number}"),
        }
    }
}

impl Input {
    fn place(&self) -> Place {
        match self.origin {
            Origin::Argument { .. } => Place::Argument(self.job.video.clone()),
            Origin::Line { number } => Place::Line(number),
        }
    }
}

/// What the run says for every input that does not say it itself.
pub struct RunWide<'a> {
    /// What is asked.
    pub questions: &'a [String],
    /// The answers to choose from.
    pub choices: &'a [String],
    /// The system message, where it is not the model's own.
    pub system: Option<&'a str>,
    /// The path that a text means; whoever calls may know URLs of files. Says why it is none.
    pub local_path: &'a dyn Fn(&str) -> Result<PathBuf, String>,
}

/// The inputs of a batch: the clips that arguments led to, then the lines of a list (JSON, one object a line).
///
/// # Errors
/// [`Refusals`]: all mistakes of all inputs, of which the first are kept and the rest are counted.
pub fn gather(clips: Vec<FoundClip>, list: Option<&[u8]>, run: &RunWide<'_>) -> Result<Vec<Input>, Refusals> {
    let mut refusals = Refusals::default();
    let mut inputs: Vec<Input> = clips.into_iter().map(|clip| of_clip(clip, run)).collect();
    for input in inputs.iter().filter(|input| input.job.questions.is_empty()) {
        refusals.add(input.place(), Mistake::NoQuestion);
    }
    inputs.extend(list.map_or_else(Vec::new, |list| lines::read(list, run, &mut refusals)));
    let mut first = HashMap::with_capacity(inputs.len());
    for input in &inputs {
        match first.entry(input.job.id.as_str()) {
            Entry::Vacant(place) => _ = place.insert(input),
            Entry::Occupied(other) => {
                let id = input.job.id.clone();
                refusals.add(input.place(), Mistake::SameId { id, other: other.get().place() });
            }
        }
    }
    if refusals.total == 0 { Ok(inputs) } else { Err(refusals) }
}

fn of_clip(clip: FoundClip, run: &RunWide<'_>) -> Input {
    let job = Job {
        id: clip.id,
        video: clip.path,
        questions: run.questions.to_vec(),
        choices: run.choices.to_vec(),
        frames: JobFrames::default(),
        max_new_tokens: None,
        meta: None,
    };
    Input { job, origin: Origin::Argument { root: clip.root } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(path: &str) -> FoundClip {
        FoundClip { path: path.into(), id: path.to_owned(), root: PathBuf::new() }
    }

    fn gathered(clips: &[&str], list: &str, questions: &[String]) -> Result<Vec<Input>, Refusals> {
        let run = RunWide { questions, choices: &[], system: None, local_path: &|text| Ok(text.into()) };
        gather(clips.iter().copied().map(clip).collect(), Some(list.as_bytes()), &run)
    }

    #[test]
    fn arguments_come_before_lines_and_take_the_question_of_the_run() {
        let asked = ["What?".to_owned()];
        let list = "{\"video\": \"c.mp4\", \"question\": \"Who?\"}\n{\"video\": \"b.mp4\"}\n";
        let inputs = gathered(&["b", "a"], list, &asked).unwrap();
        let found: Vec<_> =
            inputs.iter().map(|input| (input.job.id.as_str(), input.job.questions[0].as_str())).collect();
        assert_eq!(found, [("b", "What?"), ("a", "What?"), ("c.mp4", "Who?"), ("b.mp4", "What?")]);
        assert_eq!(inputs[3].origin, Origin::Line { number: 2 });
        let refusals = gathered(&["a"], list, &[]).unwrap_err();
        let places: Vec<_> = refusals.kept.iter().map(|refusal| (&refusal.place, &refusal.mistake)).collect();
        let argument = Place::Argument("a".into());
        assert_eq!(places, [(&argument, &Mistake::NoQuestion), (&Place::Line(2), &Mistake::NoQuestion)]);
    }

    #[test]
    fn an_id_is_there_once() {
        let line = |id: &str| format!("{{\"id\": \"{id}\", \"video\": \"v\", \"question\": \"q\"}}\n");
        let list = [line("x"), line("a"), line("x"), line("x")].concat();
        let refusals = gathered(&["a"], &list, &["q".to_owned()]).unwrap_err();
        let shown: Vec<String> = refusals.kept.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "line 2: the id `a` is that of `a` too",
                "line 3: the id `x` is that of line 1 too",
                "line 4: the id `x` is that of line 1 too"
            ]
        );
    }
}
