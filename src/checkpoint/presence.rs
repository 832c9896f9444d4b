//! What must be there before a directory can be a checkpoint: which files, and how much its config promises of them.

use std::path::Path;

use super::config::Config;
use super::error::Error;
use super::shards::{indexed_tensors, weight_files};
use super::{head, manifest};
use crate::role::Role;

/// The first thing without which `dir` cannot be loaded: a file that is not there, or a weight file that is not as long
/// as its header says.
pub fn first_missing(dir: &Path) -> Option<String> {
    first_absent(dir).or_else(|| {
        let files = weight_files(dir).unwrap_or_default();
        files.iter().find_map(|path| head::read(path).err()).map(|error| error.to_string())
    })
}

/// The first file without which `dir` cannot be a checkpoint; looks at names only.
pub(crate) fn first_absent(dir: &Path) -> Option<String> {
    let has = |name: &str| dir.join(name).is_file();
    if !has("config.json") {
        return Some("config.json is missing".to_owned());
    }
    let has_tokenizer = has("tokenizer.json") || (has("vocab.json") && has("merges.txt"));
    if !has_tokenizer {
        return Some("tokenizer.json is missing".to_owned());
    }
    weight_files(dir).err().map(|error| error.to_string())
}

/// Checks as much of what `config` promises as can be known before any weights are there: against the tensors that the
/// index of shards in `dir` names, if there is one, and against the size of all weight files.
pub(crate) fn check_promises(dir: &Path, mut config: Config, weight_bytes: u64, is_sharded: bool) -> Result<(), Error> {
    if let Some(tensors) = indexed_tensors(dir, config.layout)?.filter(|_| is_sharded) {
        config.settle_tying(tensors.holds(&Role::Head.tensor("weight")));
        manifest::check(dir, &config, &tensors)?;
    }
    let least_bytes = config.language.least_bytes();
    if least_bytes > u128::from(weight_bytes) {
        let message = format!(
            "config.json promises {} decoder layers, which take at least {least_bytes} bytes, and the weight files \
             have {weight_bytes}",
            config.language.num_layers
        );
        return Err(Error::Tensors { dir: dir.to_owned(), message });
    }
    Ok(())
}
