//! Which files of a directory hold the tensors: one, or the shards that an index lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::documents::Documents;
use super::error::Error;
use super::json::Object;
use super::layout::Layout;
use super::tensor_names::TensorNames;

/// The files that hold the tensors, in a fixed order.
pub(super) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let single = dir.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let shards = shard_names(dir)?;
    if shards.is_empty() {
        return Err(Error::NoWeights { dir: dir.to_owned() });
    }
    let missing: Vec<&str> = shards.iter().filter(|shard| !dir.join(shard).is_file()).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(Error::Tensors {
            dir: dir.to_owned(),
            message: format!("{} of {} shards are missing: {}", missing.len(), shards.len(), missing.join(", ")),
        });
    }
    Ok(shards.iter().map(|shard| dir.join(shard)).collect())
}

/// The shards that `model.safetensors.index.json` names, sorted; none where there is no index.
pub(crate) fn shard_names(dir: &Path) -> Result<Vec<String>, Error> {
    let Some(map) = weight_map(dir)? else {
        return Ok(Vec::new());
    };
    let shards: BTreeSet<&str> = map.map.values().filter_map(|shard| shard.as_str()).collect();
    let is_plain_name = |name: &&str| Path::new(name).file_name() == Some(name.as_ref());
    if let Some(odd) = shards.iter().find(|name| !is_plain_name(name)) {
        return Err(map.error(format!("shard `{odd}` is not a plain file name")));
    }
    if shards.is_empty() {
        return Err(map.error("`weight_map` names no file".to_owned()));
    }
    Ok(shards.into_iter().map(str::to_owned).collect())
}

/// The tensors that the index of shards names; `None` where there is no index.
pub(super) fn indexed_tensors(dir: &Path, layout: Layout) -> Result<Option<TensorNames<'static>>, Error> {
    let map = weight_map(dir)?;
    Ok(map.map(|map| TensorNames::of_index(map.map.keys().map(String::as_str), layout)))
}

fn weight_map(dir: &Path) -> Result<Option<Object>, Error> {
    let documents = Documents::Directory(dir.to_owned());
    let Some(index) = Object::read_optional(&documents, "model.safetensors.index.json")? else {
        return Ok(None);
    };
    index.object("weight_map")?.map(Some).ok_or_else(|| index.error("`weight_map` is missing".to_owned()))
}
