//! A list of inputs that one process walks through, beside others who walk through the same.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::error::ClaimError;
use super::name::{End, Key};
use super::{Claims, Lease, Taken};

/// So many of those that others hold are asked for again at once: as many as there are subfolders.
const ASKED_AT_ONCE: usize = 256;
/// Between such rounds, in halves of a heartbeat: longer and longer while they change nothing, as many may wait here.
const MOST_HALVES: u32 = 4;

/// The inputs that are not known to be done.
pub struct Queue {
    /// Not asked for yet, with their places in the list.
    todo: VecDeque<(usize, Key)>,
    /// Held by others, or handed out: an item that another took over from us is waited for like any.
    held: VecDeque<(usize, Key)>,
    /// When those held may be asked for again.
    next_ask: Option<Instant>,
    /// Half of a heartbeat.
    half: Duration,
    /// How many of them to wait for.
    halves: u32,
    /// For places to go on at.
    seed: u64,
    done: Vec<(usize, End)>,
}

/// What a process can do next.
#[derive(Debug)]
pub enum Next {
    /// Work on the input at this place of the list.
    Item(usize, Lease),
    /// Ask again after this time: the rest is held, by others or by this process, and may become free.
    Wait(Duration),
    /// Leave: all are done.
    Over,
}

impl Queue {
    /// Of inputs by their ids and [digests](crate::batch::Job::digest).
    pub fn new<'a>(claims: &Claims, items: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let todo = items.into_iter().map(|(id, job)| Key::of(id, job)).enumerate().collect();
        let hash = blake3::hash(claims.book().worker().as_bytes());
        let (seed, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        let mut queue = Self {
            todo,
            held: VecDeque::new(),
            next_ask: None,
            half: claims.pace.heartbeat / 2,
            halves: 1,
            seed: u64::from_le_bytes(*seed),
            done: Vec::new(),
        };
        queue.go_elsewhere();
        queue
    }

    /// What to do next. It returns at once, and after the walk through the list costs a few listings of subfolders
    /// each half of a heartbeat, or more seldom.
    ///
    /// # Errors
    /// As [`Claims::take`].
    pub fn next(&mut self, claims: &Claims) -> Result<Next, ClaimError> {
        while let Some((place, key)) = self.todo.pop_front() {
            match claims.take_key(key) {
                Ok(Taken::Mine(lease)) => {
                    self.held.push_back((place, key));
                    return Ok(Next::Item(place, lease));
                }
                Ok(Taken::Held) => {
                    self.held.push_back((place, key));
                    // Its holder works right here.
                    self.go_elsewhere();
                }
                Ok(Taken::Done(end)) => self.done.push((place, end)),
                Err(error) => {
                    self.todo.push_front((place, key));
                    return Err(error);
                }
            }
        }
        self.ask_again(claims)
    }

    fn ask_again(&mut self, claims: &Claims) -> Result<Next, ClaimError> {
        // Those of ours that have ended since cost nothing, and without others' there is nothing to wait for.
        self.drop_done(claims);
        if self.held.is_empty() {
            return Ok(Next::Over);
        }
        let now = Instant::now();
        if let Some(wait) = self.next_ask.map(|next| next.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
        {
            return Ok(Next::Wait(wait));
        }
        let held = self.held.len();
        for _ in 0..held.min(ASKED_AT_ONCE) {
            let Some((place, key)) = self.held.pop_front() else { break };
            let taken = claims.take_key(key);
            if !matches!(taken, Ok(Taken::Done(_))) {
                self.held.push_back((place, key));
            }
            match taken? {
                Taken::Mine(lease) => return Ok(Next::Item(place, lease)),
                Taken::Held => {}
                Taken::Done(end) => self.done.push((place, end)),
            }
        }
        // The subfolders that were listed for some of them tell of others too.
        self.drop_done(claims);
        if self.held.is_empty() {
            return Ok(Next::Over);
        }
        self.halves = if self.held.len() < held { 1 } else { (self.halves + 1).min(MOST_HALVES) };
        let wait = self.half * self.halves;
        self.next_ask = Some(now + wait);
        Ok(Next::Wait(wait))
    }

    fn drop_done(&mut self, claims: &Claims) {
        let book = claims.book();
        let done = &mut self.done;
        self.held.retain(|&(place, key)| match book.end(key) {
            Some(end) => {
                done.push((place, end));
                false
            }
            None => true,
        });
    }

    /// Which places of the list were found done since this was last asked, and how they ended: by others, or by this
    /// process.
    pub fn found_done(&mut self) -> Vec<(usize, End)> {
        std::mem::take(&mut self.done)
    }

    /// Goes on at another place, where most likely nobody else is.
    fn go_elsewhere(&mut self) {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let count = self.todo.len() as u64;
        if count > 1 {
            self.todo.rotate_left(((self.seed >> 33) % count) as usize);
        }
    }
}
