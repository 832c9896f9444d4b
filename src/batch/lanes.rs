//! The model's side of a batch: several clips at once, each in a lane of its own, whose answers are decoded together.
//! The questions of one clip follow each other over one KV cache, so that its visual tokens are read once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::failure::{failure_of, out_of_time};
use super::job::Job;
use super::looking::Sight;
use super::record::Failure;
use super::schedule::{Answerer, Piece};
use crate::engine::{
    Answer, AskOptions, Engine, Error, Media, Placing, SamplingOptions, Session, SizedPrompt, Stopwatch, Ticket,
    Timings, Together, VisualTokens, Watch,
};
use crate::generate::{SamplingParams, StopReason};
use crate::interrupt::{Interrupt, Interrupted};
use crate::trace::Trace;

/// How all jobs are answered.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// How questions are put.
    pub ask: AskOptions,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Clips at once; at least 1.
    pub lanes: usize,
    /// Bounds the answering of a piece.
    pub item_timeout: Option<Duration>,
}

/// An answered question.
#[derive(Debug)]
pub struct Answered {
    /// The question.
    pub question: String,
    /// Its prompt.
    pub prompt: SizedPrompt,
    /// The answer.
    pub answer: Answer,
    /// Frames or tiles that went through the vision tower for it.
    pub frames_encoded: usize,
    /// Only where the answer was sampled.
    pub seed: Option<u64>,
    /// How long its stages took.
    pub timings: Timings,
    /// From its beginning to its end, steps for other answers included; the first one's also counts the vision tower.
    pub total: Duration,
}

/// What came of one piece: a clip, or a window of it.
#[derive(Debug)]
pub struct PieceOutcome<'o> {
    /// What was asked about.
    pub media: &'o Media,
    /// The window, from and to which second; `None` where there are no windows.
    pub window_secs: Option<(f64, f64)>,
    /// The answers, in the order of the questions.
    pub answers: &'o [Answered],
    /// What was warned of.
    pub warnings: &'o [String],
}

/// The lanes of one engine. `scribe` makes of each piece what is kept of it.
pub struct Lanes<'e, F> {
    engine: &'e Engine,
    loaded: &'e Placing,
    options: &'e LaneOptions,
    interrupt: &'e Interrupt,
    scribe: F,
    together: Together<'e>,
    lanes: Vec<Lane>,
    /// Pieces that ended since the last step.
    ended: Vec<(Piece, Result<Lane, Failure>)>,
    busy: Stopwatch,
}

/// One clip on its way.
#[derive(Debug)]
struct Lane {
    piece: Piece,
    /// The answer that is being decoded.
    ticket: Option<Ticket>,
    media: Media,
    window_secs: Option<(f64, f64)>,
    warnings: Vec<String>,
    visual: Vec<VisualTokens>,
    frames_encoded: usize,
    questions: VecDeque<(String, SizedPrompt)>,
    choices: Vec<String>,
    ask: AskOptions,
    /// Of the answer that is being computed.
    timings: Timings,
    sampling: SamplingParams,
    answers: Vec<Answered>,
    /// When the work on the current answer began.
    began: Instant,
    deadline: Option<Instant>,
}

impl<'e, A, F: FnMut(&PieceOutcome<'_>) -> A> Lanes<'e, F> {
    /// Lanes of `engine`, whose model is loaded as `loaded` says. `interrupt` is the one that the engine was opened
    /// with.
    pub fn new(
        engine: &'e Engine,
        loaded: &'e Placing,
        options: &'e LaneOptions,
        interrupt: &'e Interrupt,
        scribe: F,
    ) -> Self {
        let (together, busy) = (engine.together(), Stopwatch::default());
        Self { engine, loaded, options, interrupt, scribe, together, lanes: Vec::new(), ended: Vec::new(), busy }
    }

    /// How long passes through the model were in flight.
    pub fn busy(&self) -> Duration {
        self.busy.elapsed()
    }

    /// The vision tower, and the first answer begun; or the failure.
    fn open(&mut self, piece: Piece, job: &Job, sight: Sight) {
        let Sight { media, seen, window_secs, warnings, timings } = sight;
        let deadline = self.options.item_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let ask = AskOptions {
            max_new_tokens: job.max_new_tokens.unwrap_or(self.options.ask.max_new_tokens),
            ..self.options.ask.clone()
        };
        let mut lane = Lane {
            piece,
            ticket: None,
            media,
            window_secs,
            warnings,
            visual: Vec::new(),
            frames_encoded: 0,
            questions: VecDeque::new(),
            choices: job.choices.clone(),
            ask,
            timings,
            sampling: self.engine.sampling(&self.options.sampling),
            answers: Vec::new(),
            began: Instant::now(),
            deadline,
        };
        self.interrupt.set_deadline(deadline);
        let opened = self.prepare(&mut lane, job, seen).and_then(|session| self.ask_next(&mut lane, session));
        self.interrupt.set_deadline(None);
        self.settle(lane, opened);
    }

    /// Everything before the first prefill.
    fn prepare(&mut self, lane: &mut Lane, job: &Job, seen: crate::engine::Seen) -> Result<Session<'e>, Error> {
        for question in &job.questions {
            let prompt = self.engine.prompt(&lane.media, &[], question, &lane.ask)?;
            lane.questions.push_back((question.clone(), prompt));
        }
        let prompts: Vec<&SizedPrompt> = lane.questions.iter().map(|(_, prompt)| prompt).collect();
        let placing = self.engine.place_beside(self.loaded, &lane.media, &prompts, &lane.ask);
        if !placing.memory.fits() {
            return Err(self.engine.refusal(&placing, &lane.media, &job.questions[0], &lane.ask));
        }
        let (mut trace, mut observer) = (Trace::default(), ());
        let mut watch = Watch { timings: &mut lane.timings, trace: &mut trace, observer: &mut observer };
        let visual = self.busy.time(|| self.engine.encode(&lane.media, seen, &mut watch))?;
        (lane.visual, lane.frames_encoded) = (visual.tokens, visual.frames_encoded);
        self.engine.session(&placing)
    }

    /// Begins answers of a lane until one has to be decoded. Without questions left, the session is given up.
    fn ask_next(&mut self, lane: &mut Lane, mut session: Session<'e>) -> Result<(), Error> {
        while let Some((_, prompt)) = lane.questions.front() {
            let (mut trace, mut observer) = (Trace::default(), ());
            let mut watch = Watch { timings: &mut lane.timings, trace: &mut trace, observer: &mut observer };
            let shown = (&lane.media, lane.visual.as_slice());
            if lane.choices.is_empty() {
                let begin = || self.engine.begin(&mut session, prompt, shown, &lane.ask, &lane.sampling, &mut watch);
                let begun = self.busy.time(begin)?.ok_or_else(|| self.interrupted())?;
                lane.ticket = Some(self.together.join(session, begun));
                return Ok(());
            }
            let choose = || self.engine.choose(&mut session, prompt, shown, &lane.choices, &mut watch);
            let answer = self.busy.time(choose)?;
            match answer.stop_reason {
                StopReason::Interrupted => return Err(self.interrupted()),
                _ => lane.keep(answer),
            }
        }
        Ok(())
    }

    /// What ended work that ends with no word.
    fn interrupted(&self) -> Error {
        let signal = self.interrupt.signal().unwrap_or_default();
        Interrupted { signal }.into()
    }

    /// Puts a lane where it belongs after a question was begun, or not.
    fn settle(&mut self, lane: Lane, begun: Result<(), Error>) {
        match begun {
            Ok(()) if lane.ticket.is_some() => self.lanes.push(lane),
            Ok(()) => self.ended.push((lane.piece, Ok(lane))),
            Err(error) => self.ended.push((lane.piece, Err(failure_of(&error, self.options.item_timeout)))),
        }
    }

    /// One decode step of all answers, and the next question of those that ended.
    fn advance(&mut self) {
        self.give_up_late_ones();
        let ended = match self.busy.time(|| self.together.step(&mut |_, _| ())) {
            Ok(ended) => ended,
            Err(error) => {
                // No answer can go on.
                let failure = failure_of(&error, self.options.item_timeout);
                for lane in std::mem::take(&mut self.lanes) {
                    lane.ticket.and_then(|ticket| self.together.cancel(ticket));
                    self.ended.push((lane.piece, Err(failure.clone())));
                }
                return;
            }
        };
        for end in ended {
            let Some(place) = self.lanes.iter().position(|lane| lane.ticket == Some(end.ticket)) else { continue };
            let mut lane = self.lanes.swap_remove(place);
            lane.ticket = None;
            lane.timings.decode = end.decode;
            let next = match end.outcome {
                Ok(Answer { stop_reason: StopReason::Interrupted, .. }) => Err(self.interrupted()),
                Ok(answer) => {
                    lane.timings.decode_steps = answer.token_ids.len().saturating_sub(1);
                    lane.keep(answer);
                    self.interrupt.set_deadline(lane.deadline);
                    let next = self.ask_next(&mut lane, end.session);
                    self.interrupt.set_deadline(None);
                    next
                }
                Err(error) => Err(error),
            };
            self.settle(lane, next);
        }
    }

    fn give_up_late_ones(&mut self) {
        let now = Instant::now();
        let is_late = |lane: &mut Lane| lane.deadline.is_some_and(|deadline| deadline <= now);
        let late: Vec<Lane> = self.lanes.extract_if(.., is_late).collect();
        for lane in late {
            lane.ticket.and_then(|ticket| self.together.cancel(ticket));
            self.ended.push((lane.piece, Err(out_of_time(self.options.item_timeout))));
        }
    }
}

impl Lane {
    /// The question that is first in line is answered.
    fn keep(&mut self, answer: Answer) {
        let Some((question, prompt)) = self.questions.pop_front() else { return };
        self.answers.push(Answered {
            question,
            prompt,
            answer,
            // Those that come after see the same visual tokens.
            frames_encoded: std::mem::take(&mut self.frames_encoded),
            seed: (self.sampling.temperature > 0.0).then_some(self.sampling.seed),
            timings: std::mem::take(&mut self.timings),
            total: self.began.elapsed(),
        });
        self.began = Instant::now();
    }
}

impl<A, F: FnMut(&PieceOutcome<'_>) -> A> Answerer for Lanes<'_, F> {
    type Seen = Sight;
    type Answered = A;

    fn has_room(&self) -> bool {
        self.lanes.len() < self.options.lanes && self.ended.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.lanes.is_empty() && self.ended.is_empty()
    }

    fn begin(&mut self, piece: Piece, job: &Job, seen: Sight) {
        self.open(piece, job, seen);
    }

    fn step(&mut self) -> Vec<(Piece, Result<A, Failure>)> {
        if !self.lanes.is_empty() {
            self.advance();
        }
        let mut told = Vec::with_capacity(self.ended.len());
        for (piece, outcome) in std::mem::take(&mut self.ended) {
            let made = outcome.map(|lane| {
                let Lane { media, window_secs, answers, warnings, .. } = &lane;
                (self.scribe)(&PieceOutcome { media, window_secs: *window_secs, answers, warnings })
            });
            told.push((piece, made));
        }
        told
    }
}

impl<F> std::fmt::Debug for Lanes<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}
