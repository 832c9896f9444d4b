//! `worker`: lines of JSON in, a record for each out, the model loaded once, until the input ends. What other programs
//! keep alive: Ray, GNU parallel, or a shell.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use llava_video::batch::inputs::{Input, RunWide, gather};
use llava_video::batch::schedule::{self, Desk, Finished, Next, Stop};
use llava_video::batch::{Failure, Lanes, Record, Run, Status};
use llava_video::video::isolated::Launcher;
use serde_json::{Map, Value};

use super::body::{self, Common, Told};
use super::gathered::Asked;
use super::stop::Stopper;
use super::works::Works;
use crate::cli::args::WorkerArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;

/// Lines that are read ahead of the model at most.
const LINES_AHEAD: usize = 64;

/// How often a signal is looked for while no line comes.
const POLL: Duration = Duration::from_millis(50);

type Line = std::io::Result<Vec<u8>>;

pub(crate) fn run(args: &WorkerArgs, printer: &mut Printer) -> Result<Exit> {
    let stopper = Stopper::install(args.grace.time())?;
    let asked = Asked::read(&args.work, stopper.work(), printer)?;
    let run_wide = asked.run_wide(args.work.asking.system.as_deref());
    let mut works = Works::open(&args.work, std::iter::empty(), &stopper, printer)?;
    let run = Run { digest: works.digest()?, shard: None };
    works.load(printer)?;
    stopper.begin_grace();
    let common = Common::new(&args.work, works.devices());
    let lines = read_lines();
    let mut failed = 0;
    // What has come meanwhile is answered together, so that clips are looked at ahead of the model.
    while let Some(first) = wait(&lines, &stopper) {
        let (mut round, mut refused) = (Vec::new(), VecDeque::new());
        for line in std::iter::once(first).chain(lines.try_iter()) {
            match parse(&line.context("cannot read the inputs from standard input")?, &run_wide) {
                Ok(input) => round.extend(input),
                Err(record) => refused.push_back((if args.ordered { round.len() } else { 0 }, record)),
            }
        }
        failed += refused.len();
        let (run, common, stopper, launcher) = (&run, &common, &stopper, works.launcher());
        let mut counter =
            Counter { inputs: &round, refused, next: 0, run, common, printer, stopper, launcher, failed: 0 };
        counter.print_refused(0)?;
        let mut lanes = Lanes::new(works.engine(), works.placing(), works.lanes(), stopper.work(), body::tell);
        let looker = works.looker(stopper.work());
        let is_complete = schedule::run(&round, &looker, &mut lanes, &mut counter, works.pace(args.ordered))?;
        failed += counter.failed;
        if !is_complete {
            break;
        }
        counter.print_refused(round.len())?;
    }
    match stopper.signal() {
        Some(signal) => Ok(Exit::Interrupted(signal)),
        None if failed == 0 => Ok(Exit::Done),
        None => Ok(Exit::SomeFailed),
    }
}

/// The input of a line, none for white space; or the record that says what is wrong with it.
fn parse(line: &[u8], run: &RunWide<'_>) -> Result<Option<Input>, Record> {
    gather(Vec::new(), Some(line), run).map(|inputs| inputs.into_iter().next()).map_err(|refusals| {
        let object = serde_json::from_slice::<Value>(line).unwrap_or_default();
        let id = ["id", "custom_id", "video"].into_iter().find_map(|key| object.get(key)?.as_str());
        let mistakes: Vec<String> = refusals.kept.iter().map(|refusal| refusal.mistake.to_string()).collect();
        Record {
            id: id.unwrap_or_default().to_owned(),
            job: String::new(),
            status: Status::Error,
            failure: Some(Failure::new("input", mistakes.join("; "), false)),
            body: Map::new(),
        }
    })
}

/// The next line; none at the end, or when a signal asks for it.
fn wait(lines: &Receiver<Line>, stopper: &Stopper) -> Option<Line> {
    loop {
        if stopper.signal().is_some() {
            return None;
        }
        match lines.recv_timeout(POLL) {
            Ok(line) => return Some(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Gives the lines of a round in order, and prints what came of each.
struct Counter<'r> {
    inputs: &'r [Input],
    /// What is wrong with other lines, and how many inputs are printed before it.
    refused: VecDeque<(usize, Record)>,
    next: usize,
    run: &'r Run,
    common: &'r Common<'r>,
    printer: &'r mut Printer,
    stopper: &'r Stopper,
    launcher: &'r Launcher,
    failed: usize,
}

impl Counter<'_> {
    /// Prints what is wrong with lines that no more than `inputs` come before.
    fn print_refused(&mut self, inputs: usize) -> Result<()> {
        while let Some((_, record)) = self.refused.pop_front_if(|(before, _)| *before <= inputs) {
            self.printer.line(record.line(self.run).trim_end())?;
        }
        Ok(())
    }
}

impl Desk<Told> for Counter<'_> {
    type Error = anyhow::Error;

    fn next(&mut self) -> Result<Next> {
        let next = self.next;
        self.next += 1;
        Ok(if next < self.inputs.len() { Next::Job(next) } else { Next::Over })
    }

    fn finish(&mut self, job: usize, finished: Finished<Told>) -> Result<()> {
        self.print_refused(job)?;
        let job = &self.inputs[job].job;
        let record = self.common.made(job, finished).of(job);
        // What a signal ended is not done, and no failure.
        if record.failure.as_ref().is_some_and(Failure::is_interrupt) {
            return Ok(());
        }
        self.failed += usize::from(record.status == Status::Error);
        self.printer.line(record.line(self.run).trim_end())
    }

    fn look_around(&mut self) -> Result<Stop> {
        self.launcher.take_warnings().iter().for_each(|warning| self.printer.warning(warning));
        Ok(self.stopper.stop())
    }
}

/// Lines of standard input, read by a thread of their own.
fn read_lines() -> Receiver<Line> {
    let (sender, lines) = sync_channel(LINES_AHEAD);
    thread::spawn(move || {
        for line in BufReader::new(std::io::stdin()).split(b'\n') {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
