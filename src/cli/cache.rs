//! `cache`: the visual tokens that are kept between runs, shown, shrunk and removed.

use anyhow::Result;
use llava_video::engine::visual_cache::{DEFAULT_CAP_BYTES, Freed, Usage, VisualCache, folder_from_env};
use llava_video::size::shown;
use serde_json::json;

use super::args::{CacheCommand, CacheInfoArgs, KeepArgs};
use super::exit::Exit;
use super::output::Printer;

pub(crate) fn run(command: &CacheCommand, printer: &mut Printer) -> Result<Exit> {
    match command {
        CacheCommand::Info(args) => info(args, printer)?,
        CacheCommand::Clear => {
            let freed = open(DEFAULT_CAP_BYTES)?.clear()?;
            printer.note(&removed(freed));
        }
        CacheCommand::Prune(size) => {
            let cache = open(size.cap_bytes())?;
            let freed = cache.prune()?;
            let left = shown(cache.usage()?.bytes);
            printer.note(&format!("{}; {left} left of at most {}", removed(freed), shown(cache.cap_bytes())));
        }
    }
    Ok(Exit::Done)
}

/// The cache that a question uses, if it keeps anything. One that cannot be opened costs a warning and no answer.
pub(crate) fn for_questions(args: KeepArgs, printer: &mut Printer) -> Option<VisualCache> {
    with_cap(args.cap_bytes()?, printer)
}

/// The cache that keeps at most so much; none, and a warning, where it cannot be opened.
pub(crate) fn with_cap(cap_bytes: u64, printer: &mut Printer) -> Option<VisualCache> {
    match open(cap_bytes) {
        Ok(cache) => Some(cache),
        Err(error) => {
            printer.warning(&format!("visual tokens are not kept: {error:#}"));
            None
        }
    }
}

fn open(cap_bytes: u64) -> Result<VisualCache> {
    let dir = folder_from_env()?;
    Ok(VisualCache::open(dir, cap_bytes)?)
}

fn info(args: &CacheInfoArgs, printer: &mut Printer) -> Result<()> {
    let cache = open(args.size.cap_bytes())?;
    let Usage { entries, bytes, unfinished_bytes } = cache.usage()?;
    if args.json {
        let object = json!({
            "dir": cache.dir().to_string_lossy(),
            "entries": entries,
            "bytes": bytes,
            "unfinished_bytes": unfinished_bytes,
            "cap_bytes": cache.cap_bytes(),
            "warnings": printer.warnings(),
        });
        return printer.line(&object.to_string());
    }
    let mut facts = vec![
        ("folder", cache.dir().display().to_string()),
        ("entries", entries.to_string()),
        ("size", format!("{} of at most {}", shown(bytes), shown(cache.cap_bytes()))),
    ];
    if unfinished_bytes > 0 {
        facts.push(("unfinished", shown(unfinished_bytes)));
    }
    facts.iter().try_for_each(|(label, fact)| printer.line(&format!("{label:<14}{fact}")))
}

fn removed(freed: Freed) -> String {
    let entries = if freed.entries == 1 { "entry" } else { "entries" };
    format!("removed {} {entries}, {}", freed.entries, shown(freed.bytes))
}
