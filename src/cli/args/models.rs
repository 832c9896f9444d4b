//! Names of models that a shell can complete: the built-in one, those in the hub cache, those known to exist, and
//! files.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use llava_video::demo;
use llava_video::hub::{self, KNOWN, Settings};

/// What can be asked without a download: `demo`, cached models, files and directories.
pub(super) fn usable() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let mut candidates = starting_with(typed, std::iter::once(demo::NAME.to_owned()).chain(cached_ids()));
        candidates.extend(PathCompleter::any().complete(typed));
        candidates
    })
}

/// Models in the hub cache.
pub(super) fn cached() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| starting_with(typed, cached_ids()))
}

/// Models in the hub cache, and others of the family that could be fetched.
pub(super) fn known() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let cached: Vec<String> = cached_ids().collect();
        let others = KNOWN.iter().map(|known| known.id.to_owned()).filter(|id| !cached.contains(id));
        starting_with(typed, others.chain(cached.iter().cloned()))
    })
}

/// What cannot be read offers nothing: there is nobody to tell in the middle of a command line.
fn cached_ids() -> impl Iterator<Item = String> {
    let cached = Settings::from_env(None).and_then(|settings| hub::inventory(&settings));
    cached.map_or_else(|_| Vec::new(), |(repos, _)| repos).into_iter().map(|repo| repo.id)
}

fn starting_with(typed: &OsStr, names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let starts = |name: &String| name.as_bytes().starts_with(typed.as_encoded_bytes());
    names.filter(starts).map(CompletionCandidate::new).collect()
}
