//! Which files of a repository the loader needs; nothing else is fetched.

use super::error::Error;
use super::listing::Listing;
use super::name::RepoName;
use super::remote::RemoteFile;

/// Files that are taken where a repository has them: what this program reads, and the few small ones beside them with
/// which transformers can load the same snapshot.
const SMALL_FILES: [&str; 12] = [
    "config.json",
    "generation_config.json",
    INDEX,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "chat_template.json",
    "chat_template.jinja",
];

/// The slow tokenizer's files, which are read where there is no tokenizer.json.
const VOCABULARY_FILES: [&str; 2] = ["vocab.json", "merges.txt"];

/// Which shard holds which tensor.
const INDEX: &str = "model.safetensors.index.json";

/// Weights in one file; where there are shards too, the loader prefers it.
const SINGLE: &str = "model.safetensors";

/// Endings of weights in formats that are never loaded: they can hold code.
const PICKLES: [&str; 4] = [".bin", ".pth", ".pt", ".ckpt"];

/// Whether the loader could use a file of this name.
pub(super) fn is_candidate(name: &str) -> bool {
    name == SINGLE || SMALL_FILES.contains(&name) || VOCABULARY_FILES.contains(&name) || is_shard(name)
}

/// What is fetched of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// Config, tokenizer and index: read before any weights are fetched.
    pub(super) small: Vec<RemoteFile>,
    /// Weight files.
    pub(super) weights: Vec<RemoteFile>,
}

impl Selection {
    /// # Errors
    /// A repository without safetensors weights, config or tokenizer.
    pub(super) fn of(repo: &RepoName, listing: &Listing) -> Result<Self, Error> {
        let find = |name: &str| listing.files.iter().find(|file| file.name == name);
        let missing = |file: &str| Error::MissingFile { repo: repo.to_string(), file: file.to_owned() };
        if find("config.json").is_none() {
            return Err(missing("config.json"));
        }
        let weights: Vec<RemoteFile> = match find(SINGLE) {
            Some(single) => vec![single.clone()],
            None => listing.files.iter().filter(|file| is_shard(&file.name)).cloned().collect(),
        };
        if weights.is_empty() {
            let is_pickle = |name: &str| PICKLES.iter().any(|ending| name.ends_with(ending));
            let found = listing.others.iter().find(|name| is_pickle(name)).cloned();
            return Err(Error::NoSafetensors { repo: repo.to_string(), found });
        }
        if find(SINGLE).is_none() && find(INDEX).is_none() {
            return Err(missing(INDEX));
        }
        let vocabulary = match find("tokenizer.json") {
            Some(_) => &[][..],
            None => &VOCABULARY_FILES[..],
        };
        if vocabulary.iter().any(|name| find(name).is_none()) {
            return Err(missing("tokenizer.json, nor vocab.json and merges.txt"));
        }
        let wanted = SMALL_FILES.iter().chain(vocabulary);
        Ok(Self { small: wanted.filter_map(|name| find(name)).cloned().collect(), weights })
    }

    /// The file that says which shards there are, where there are any.
    pub(super) fn index(&self) -> Option<&RemoteFile> {
        let is_single = matches!(self.weights.as_slice(), [single] if single.name == SINGLE);
        self.small.iter().find(|file| !is_single && file.name == INDEX)
    }

    /// Keeps the shards that the index names; others that lie beside them are of another checkpoint.
    ///
    /// # Errors
    /// [`Error::MissingFile`] for a shard that is not there.
    pub(super) fn keep_shards(&mut self, repo: &RepoName, shards: &[String]) -> Result<(), Error> {
        let is_listed = |shard: &&String| self.weights.iter().any(|file| file.name == **shard);
        if let Some(shard) = shards.iter().find(|shard| !is_listed(shard)) {
            let file = format!("{shard}, which its index names");
            return Err(Error::MissingFile { repo: repo.to_string(), file });
        }
        self.weights.retain(|file| shards.contains(&file.name));
        Ok(())
    }

    /// All files.
    pub(super) fn files(&self) -> impl Iterator<Item = &RemoteFile> {
        self.small.iter().chain(&self.weights)
    }
}

/// `model-00001-of-00004.safetensors`, with any number of digits.
fn is_shard(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    numbers.and_then(|numbers| numbers.split_once("-of-")).is_some_and(|(i, n)| digits(i) && digits(n))
}

#[cfg(test)]
mod tests {
    use super::super::digest::Digest;
    use super::super::listing::Terms;
    use super::*;

    fn selected(names: &[&str]) -> Result<Vec<String>, Error> {
        let digest = Digest::GitBlob("0".repeat(40));
        let file = |name: &&str| RemoteFile { name: (*name).to_owned(), size: 1, digest: digest.clone() };
        let (wanted, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| is_candidate(name));
        let others = others.into_iter().map(str::to_owned).collect();
        let files = wanted.iter().map(file).collect();
        let listing = Listing { commit: "0".repeat(40), files, others, tree: None, terms: Terms::default() };
        let repo = RepoName::parse("owner/name")?;
        Ok(Selection::of(&repo, &listing)?.files().map(|file| file.name.clone()).collect())
    }

    #[test]
    fn only_what_the_loader_needs_is_fetched() {
        let sharded = [
            "README.md",
            "config.json",
            "merges.txt",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "onnx/model.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            "trainer_state.json",
            "training_args.bin",
            "vocab.json",
        ];
        let expected = [
            "config.json",
            "model.safetensors.index.json",
            "tokenizer.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ];
        assert_eq!(selected(&sharded).expect("a checkpoint"), expected);
        let single = ["config.json", "merges.txt", "model.fp16.safetensors", "model.safetensors", "vocab.json"];
        let expected = ["config.json", "vocab.json", "merges.txt", "model.safetensors"];
        assert_eq!(selected(&single).expect("a checkpoint"), expected);
    }

    #[test]
    fn what_cannot_be_loaded_is_refused_by_name() {
        for (names, part) in [
            (&["model.safetensors", "tokenizer.json"][..], "no config.json"),
            (&["config.json", "tokenizer.json", "pytorch_model.bin"], "only pytorch_model.bin"),
            (&["config.json", "model.safetensors", "vocab.json"], "no tokenizer.json"),
            (&["config.json", "model-1-of-1.safetensors", "tokenizer.json"], "no model.safetensors.index.json"),
            (&["config.json", "model-x-of-2.safetensors", "../model-1-of-1.safetensors"], "no safetensors weights"),
        ] {
            let message = selected(names).expect_err("refused").to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
