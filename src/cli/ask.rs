//! `ask`: questions about one video or some pictures, from arguments to the streamed answers.

use std::time::Instant;

use anyhow::Result;
use llava_video::engine::Engine;
use llava_video::trace::Trace;

use super::announce;
use super::answers::Questions;
use super::args::AskArgs;
use super::cache;
use super::desk::Desk;
use super::exit::{Exit, UsageError};
use super::observer::{Onlooker, surface};
use super::opened::Opened;
use super::output::Printer;
use super::questions::Asked;
use super::signals;

pub(crate) fn run(args: AskArgs, printer: &mut Printer) -> Result<Exit> {
    let began = Instant::now();
    if args.dump_tensors.as_deref().is_some_and(|path| path.as_os_str() == "-") {
        return Err(UsageError("--dump-tensors takes a file, not standard output".to_owned()).into());
    }
    let answering = &args.answering;
    let interrupt = signals::install()?;
    let Asked { files, questions, choices } = Asked::read(&args, &interrupt, printer)?;
    let trace = if args.dump_tensors.is_some() { Trace::recording() } else { Trace::default() };
    let mut desk = Desk::new(Onlooker::of_answers(printer, !answering.json, began), trace, began);

    // Everything that can be refused is refused before weights are loaded.
    let requested = &answering.asking.devices;
    let devices = announce::opened(&requested.device, requested.dtype, desk.printer())?;
    let mut opened = Opened::new(&files, &answering.asking.frames, &interrupt, &mut desk)?;
    // Gigabytes are not fetched for a plan alone, nor for what does not fit.
    let found = super::model::find(
        &answering.asking.checkpoint.model,
        answering.asking.checkpoint.offline.then_some("--offline"),
        &interrupt,
        desk.printer(),
    )?;
    let engine_options = answering.asking.engine_options(cache::for_questions(answering.cache, desk.printer()));
    let mut engine = Engine::open_on(devices, &found.source, engine_options, &interrupt).map_err(surface)?;
    let options = answering.asking.ask_options();
    let shortest = questions.iter().min_by_key(|question| question.len()).map_or("", String::as_str);
    let mut media = opened.media(&engine, shortest, &options, &mut desk)?;
    let mut asked = Questions::new(&args, &options, &questions, choices.as_deref());
    asked.encode(&engine, &media, &mut desk)?;
    let Some(longest) = asked.longest() else { return Ok(Exit::SomeFailed) };
    let placing = engine.place(&media, &asked.fitting(), &options).map_err(surface)?;
    announce::describe(&engine, &media, longest, &placing.devices, desk.printer());
    if args.dry_run {
        asked.print_plans(&media, &placing, desk.printer())?;
    }
    if !placing.memory.fits() {
        return Err(surface(engine.refusal(&placing, &media, &questions[0], &options)));
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let work = engine.long_work(&media, longest, &placing).map_err(surface)?;
    work.iter().for_each(|work| desk.printer().note(&announce::long_work(work)));
    if let Some(source) = found.fetch(&interrupt, desk.printer())? {
        engine.fetched(&source).map_err(surface)?;
    }

    let counted = media.clip().map(|clip| clip.info().frame_count);
    let seen = engine.look(&mut media, &placing.devices, &interrupt, &mut desk.watch()).map_err(surface)?;
    // Times and duration in the prompt follow the number of frames.
    if media.clip().map(|clip| clip.info().frame_count) != counted {
        asked.encode(&engine, &media, &mut desk)?;
    }
    engine.load(&placing.devices, seen.needs_tower(), &mut desk.watch()).map_err(surface)?;
    let visual = engine.encode(&media, seen, &mut desk.watch());
    desk.printer().end_progress();
    asked.answer(&engine, &media, visual, &placing, &interrupt, &mut desk)
}
