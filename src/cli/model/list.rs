//! `model list`: what the cache holds of this family, and what could be fetched.

use anyhow::Result;
use llava_video::Error;
use llava_video::demo;
use llava_video::hub::{self, CachedRepo, KNOWN, Settings, Snapshot};
use llava_video::size::{counted, shown};
use serde_json::json;

use super::super::args::ListArgs;
use super::super::columns::aligned;
use super::super::exit::Exit;
use super::super::output::Printer;

/// Digits of a commit that tell it apart.
const SHORT_COMMIT: usize = 8;

pub(super) fn run(args: &ListArgs, printer: &mut Printer) -> Result<Exit> {
    let settings = Settings::from_env(None).map_err(Error::from)?;
    let (cached, others) = hub::inventory(&settings).map_err(Error::from)?;
    let not_cached = KNOWN.iter().filter(|known| !cached.iter().any(|repo| repo.id == known.id));
    if args.json {
        let object = json!({
            "cache_dir": settings.cache_dir.to_string_lossy(),
            "cached": cached.iter().map(repo_json).collect::<Vec<_>>(),
            "available": not_cached
                .map(|known| {
                    json!({ "model": known.id, "parameters": known.parameters, "bytes": known.weight_bytes() })
                })
                .collect::<Vec<_>>(),
            "built_in": [{ "model": demo::NAME, "bytes": demo::size_bytes() }],
            "other_repositories": others,
            "warnings": printer.warnings(),
        });
        printer.line(&object.to_string())?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![["MODEL", "REVISION", "SIZE", "STATE"].map(str::to_owned)];
    for repo in &cached {
        for (index, snapshot) in repo.snapshots.iter().enumerate() {
            // Snapshots share files, so that only a repository has a size.
            let size = if index == 0 { shown(repo.bytes) } else { String::new() };
            rows.push([repo.id.clone(), revision(snapshot), size, state(repo, snapshot)]);
        }
    }
    for known in not_cached {
        let size = format!("about {}", shown(known.weight_bytes()));
        rows.push([known.id.to_owned(), String::new(), size, "not downloaded".to_owned()]);
    }
    rows.push([demo::NAME.to_owned(), String::new(), shown(demo::size_bytes()), "part of the program".to_owned()]);
    for line in aligned(&rows) {
        printer.line(&line)?;
    }
    let others = counted(others, "other model");
    printer.detail(&format!("cache: `{}`, which also holds {others}", settings.cache_dir.display()));
    Ok(Exit::Done)
}

fn revision(snapshot: &Snapshot) -> String {
    let short = snapshot.commit.get(..SHORT_COMMIT).unwrap_or(&snapshot.commit);
    match snapshot.references.as_slice() {
        [] => short.to_owned(),
        names => format!("{} ({short})", names.join(", ")),
    }
}

fn state(repo: &CachedRepo, snapshot: &Snapshot) -> String {
    match (&snapshot.missing, repo.incomplete_bytes) {
        (None, _) => "complete".to_owned(),
        (Some(_), 0) => "incomplete".to_owned(),
        (Some(_), bytes) => format!("incomplete, {} of unfinished files", shown(bytes)),
    }
}

fn repo_json(repo: &CachedRepo) -> serde_json::Value {
    let snapshot = |snapshot: &Snapshot| {
        json!({
            "commit": snapshot.commit,
            "references": snapshot.references,
            "dir": snapshot.dir.to_string_lossy(),
            "complete": snapshot.missing.is_none(),
            "missing": snapshot.missing,
        })
    };
    json!({
        "model": repo.id,
        "bytes": repo.bytes,
        "incomplete_bytes": repo.incomplete_bytes,
        "snapshots": repo.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
    })
}
