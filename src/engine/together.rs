//! Several answers that are decoded together: a decode step reads the weights once for all of them. An answer joins
//! when its prompt is read, at any time, and leaves when it ends; the others go on. On the CPU's kernels each has the
//! logits that it has alone, to the bit; libraries of other devices may choose another order of sums for another number
//! of rows.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use candle_core::IndexOp;

use super::answer::{Answer, Begun};
use super::core::Engine;
use super::error::Error;
use super::events::{Stopwatch, Watch};
use super::media::Media;
use super::plan::{self, AskOptions, SizedPrompt};
use super::session::{self, Session, VisualTokens};
use crate::generate::{Generation, SamplingParams, StopReason, TextStream};
use crate::interrupt::Interrupt;
use crate::kernels::pool;
use crate::prompt::Tokenizer;

/// Which of the answers that are decoded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// An answer that was decoded together with others, and is over.
#[derive(Debug)]
pub struct Ended<'m> {
    /// Which one.
    pub ticket: Ticket,
    /// Its session, which holds the prompt and the answer, ready for the next prompt.
    pub session: Session<'m>,
    /// The answer, or why there is none.
    pub outcome: Result<Answer, Error>,
    /// How long the decode steps took that it had a part in, sampling included.
    pub decode: Stopwatch,
}

/// Answers that are decoded together, each with its own session, sampler and end.
#[derive(Debug)]
pub struct Together<'m> {
    tokenizer: &'m Tokenizer,
    interrupt: &'m Interrupt,
    /// In the order in which they joined.
    members: Vec<Member<'m>>,
    joined: u64,
}

#[derive(Debug)]
struct Member<'m> {
    ticket: Ticket,
    session: Session<'m>,
    generation: Generation,
    next: Next,
    stream: TextStream,
    text: String,
    /// What of the text nobody was told of yet.
    piece: String,
    cached_tokens: usize,
    decode: Stopwatch,
}

/// What an answer waits for.
#[derive(Debug)]
enum Next {
    /// For an id, by these logits, one per id.
    Choose(Vec<f32>),
    /// For a decode step of this id.
    Run(u32),
    /// For its end.
    Fail(candle_core::Error),
}

impl Engine {
    /// Reads `prompt` about `media`, whose visual tokens are `visual`, in `session`, so that the answer can join others
    /// ([`Self::together`]). Nothing comes after an interrupt.
    ///
    /// # Errors
    /// A failing device.
    pub fn begin(
        &self,
        session: &mut Session<'_>,
        prompt: &SizedPrompt,
        (media, visual): (&Media, &[VisualTokens]),
        options: &AskOptions,
        sampling: &SamplingParams,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Begun>, Error> {
        let rule = plan::stop_rule(self.checkpoint(), options, prompt);
        self.answerer(media, visual).begin(session, prompt, &rule, sampling, watch)
    }

    /// No answers yet, to be decoded together.
    pub fn together(&self) -> Together<'_> {
        Together::new(self.tokenizer(), self.interrupt())
    }
}

impl<'m> Together<'m> {
    /// No answers yet. `interrupt` ends all of them.
    pub fn new(tokenizer: &'m Tokenizer, interrupt: &'m Interrupt) -> Self {
        Self { tokenizer, interrupt, members: Vec::new(), joined: 0 }
    }

    /// Takes in an answer that has begun in `session`.
    pub fn join(&mut self, session: Session<'m>, begun: Begun) -> Ticket {
        let Begun { prefilled, generation } = begun;
        let ticket = Ticket(self.joined);
        self.joined += 1;
        self.members.push(Member {
            ticket,
            session,
            generation,
            next: Next::Choose(prefilled.logits),
            stream: TextStream::default(),
            text: String::new(),
            piece: String::new(),
            cached_tokens: prefilled.cached_tokens,
            decode: Stopwatch::default(),
        });
        ticket
    }

    /// How many answers there are that have not ended.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether all have ended.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes one decode step with all answers, and returns those that are over then, in the order in which they joined.
    /// `on_piece` is told each piece of text as soon as it is certain. A signal ends all answers and is no error;
    /// logits that are not numbers end the answer that they were for.
    ///
    /// # Errors
    /// A failing device. No answer has taken the step then.
    pub fn step(&mut self, on_piece: &mut dyn FnMut(Ticket, &str)) -> Result<Vec<Ended<'m>>, Error> {
        // Those that have just joined have no id yet, and may end with their first.
        let ended = self.choose(on_piece);
        if !ended.is_empty() || self.members.is_empty() {
            return Ok(ended);
        }
        match self.run() {
            Err(crate::Error::Interrupted(_)) => {}
            outcome => outcome?,
        }
        Ok(self.choose(on_piece))
    }

    /// Ends an answer that is not wanted any more, with what there is of it, as a signal would; `None` if it is over.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<Ended<'m>> {
        let index = self.members.iter().position(|member| member.ticket == ticket)?;
        Some(self.members.remove(index).end(&mut |_, _| ()))
    }

    /// Runs the last id of every answer.
    fn run(&mut self) -> Result<(), crate::Error> {
        let started = Instant::now();
        let (mut sessions, mut nexts, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for Member { session, next, decode, .. } in &mut self.members {
            if let Next::Run(id) = *next {
                sessions.push(session);
                nexts.push((next, decode));
                ids.push(id);
            }
        }
        let logits = session::step_many(&mut sessions, &ids)?;
        for (row, (next, decode)) in nexts.into_iter().enumerate() {
            *next = Next::Choose(logits.i(row)?.to_vec1()?);
            decode.add(started.elapsed());
        }
        Ok(())
    }

    /// Chooses an id for each answer that waits for one, and takes out those that are over.
    fn choose(&mut self, on_piece: &mut dyn FnMut(Ticket, &str)) -> Vec<Ended<'m>> {
        let (started, is_interrupted) = (Instant::now(), self.interrupt.signal().is_some());
        if !is_interrupted {
            // To sample is to go through the whole vocabulary.
            let members: Vec<_> = self.members.iter_mut().map(Mutex::new).collect();
            let lock = |index: usize| members[index].lock().unwrap_or_else(PoisonError::into_inner);
            pool::run(members.len(), |index| lock(index).choose(self.tokenizer));
        }
        for member in &mut self.members {
            member.decode.add(started.elapsed());
            member.tell(on_piece);
        }
        let over = self.members.extract_if(.., |member| is_interrupted || member.is_over());
        over.map(|member| member.end(on_piece)).collect()
    }
}

impl<'m> Member<'m> {
    /// Chooses an id, if that is what the answer waits for.
    fn choose(&mut self, tokenizer: &Tokenizer) {
        let Next::Choose(logits) = &mut self.next else { return };
        if self.generation.stop_reason().is_some() {
            return;
        }
        self.next = match self.generation.next(logits) {
            Ok(id) => {
                self.piece.push_str(&self.stream.push(id, tokenizer));
                Next::Run(id)
            }
            Err(error) => Next::Fail(error),
        };
    }

    fn is_over(&self) -> bool {
        matches!(self.next, Next::Fail(_)) || self.generation.stop_reason().is_some()
    }

    /// Tells what is new of the text.
    fn tell(&mut self, on_piece: &mut dyn FnMut(Ticket, &str)) {
        if !self.piece.is_empty() {
            on_piece(self.ticket, &self.piece);
            self.text.push_str(&std::mem::take(&mut self.piece));
        }
    }

    /// What it has come to.
    fn end(mut self, on_piece: &mut dyn FnMut(Ticket, &str)) -> Ended<'m> {
        self.piece = std::mem::take(&mut self.stream).finish();
        self.tell(on_piece);
        let Self { ticket, session, generation, next, text, cached_tokens, decode, .. } = self;
        let outcome = match next {
            Next::Fail(error) => Err(error.into()),
            Next::Choose(_) | Next::Run(_) => {
                let stop_reason = generation.stop_reason().unwrap_or(StopReason::Interrupted);
                let token_ids = generation.into_ids();
                Ok(Answer { text, token_ids, stop_reason, cached_tokens, choices: Vec::new() })
            }
        };
        Ended { ticket, session, outcome, decode }
    }
}
