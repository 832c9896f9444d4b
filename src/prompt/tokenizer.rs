//! The checkpoint's tokenizer: plain text to ids, special tokens by name, ids to the bytes they stand for.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::Value;
use tokenizers::models::bpe::BPE;

use super::Error;
use crate::checkpoint::{Documents, Source};

/// Qwen2's split rule: contractions, words, single digits, punctuation, line breaks, spaces
/// (`Qwen2Tokenizer` in transformers `tokenization_qwen2.py`).
const QWEN2_SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A byte-level BPE tokenizer.
pub struct Tokenizer {
    /// Knows no special tokens, so that no text is ever taken for one.
    plain: tokenizers::Tokenizer,
    /// Tokens beyond the BPE vocabulary, by id.
    added: BTreeMap<u32, AddedToken>,
    /// The byte that each character of a token's spelling stands for.
    byte_of_char: HashMap<char, u8>,
    len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AddedToken {
    content: String,
    /// Left out when ids are turned into text.
    special: bool,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("len", &self.len).field("added", &self.added).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads tokenizer.json, or vocab.json, merges.txt and added_tokens.json where that is absent, of the checkpoint at
    /// `source`.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`], [`Error::BadTokenizer`], or files that cannot be read.
    pub fn open(source: impl Into<Source>) -> Result<Self, Error> {
        let source = source.into();
        let documents = Documents::open(&source)?;
        if let Some(json) = documents.read("tokenizer.json")? {
            return Self::from_tokenizer_json(&documents.path("tokenizer.json"), &json);
        }
        if let (Some(vocab), Some(merges)) = (documents.read("vocab.json")?, documents.read("merges.txt")?) {
            return Self::from_vocabulary_files(&documents, &vocab, &merges);
        }
        Err(Error::NoTokenizer { dir: source.path().to_owned() })
    }

    fn from_tokenizer_json(path: &Path, json: &[u8]) -> Result<Self, Error> {
        let bad = |message: String| Error::BadTokenizer { path: path.to_owned(), message };
        let mut json = parse_json(path, json)?;
        let object = json.as_object_mut().ok_or_else(|| bad("it is not a JSON object".to_owned()))?;
        let listed = match object.insert("added_tokens".to_owned(), Value::Array(Vec::new())) {
            Some(Value::Array(listed)) => listed,
            _ => Vec::new(),
        };
        let added = listed.iter().map(listed_token).collect::<Option<BTreeMap<_, _>>>();
        let added = added.ok_or_else(|| bad("`added_tokens` is malformed".to_owned()))?;
        let decoder = object.get("decoder").and_then(|decoder| decoder.get("type")).and_then(Value::as_str);
        if decoder != Some("ByteLevel") {
            return Err(bad(format!("its decoder is {decoder:?}; only ByteLevel is supported")));
        }
        let plain = serde_json::from_value::<tokenizers::Tokenizer>(json).map_err(|error| bad(error.to_string()))?;
        Ok(Self::new(plain, added))
    }

    /// As `Qwen2Tokenizer` builds itself from the slow tokenizer's files.
    fn from_vocabulary_files(documents: &Documents, vocab: &[u8], merges: &[u8]) -> Result<Self, Error> {
        use tokenizers::normalizers::NFC;
        use tokenizers::pre_tokenizers::byte_level::ByteLevel;
        use tokenizers::pre_tokenizers::sequence::Sequence;
        use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
        use tokenizers::tokenizer::SplitDelimiterBehavior;

        let vocab_path = documents.path("vocab.json");
        let bad = |error: &dyn std::fmt::Display| Error::BadTokenizer {
            path: vocab_path.clone(),
            message: error.to_string(),
        };
        let vocab: tokenizers::models::bpe::Vocab = serde_json::from_slice(vocab).map_err(|e| bad(&e))?;
        let merges = merges_of(merges).ok_or_else(|| Error::BadTokenizer {
            path: documents.path("merges.txt"),
            message: "a line of it is not a pair".to_owned(),
        })?;
        let bpe = BPE::builder().vocab_and_merges(vocab, merges).build().map_err(|e| bad(&e))?;
        let pattern = SplitPattern::Regex(QWEN2_SPLIT.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| bad(&e))?;
        let bytes = ByteLevel::new(false, false, false);
        let mut plain = tokenizers::Tokenizer::new(bpe);
        plain.with_normalizer(Some(NFC)).map_err(|e| bad(&e))?;
        plain.with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])));

        let mut added = BTreeMap::new();
        if let Some(json) = documents.read("added_tokens.json")? {
            let path = documents.path("added_tokens.json");
            let malformed = || Error::BadTokenizer { path: path.clone(), message: "it is not a map to ids".to_owned() };
            for (content, id) in parse_json(&path, &json)?.as_object().ok_or_else(malformed)? {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(malformed)?;
                // transformers registers all of them as special for this tokenizer class.
                added.insert(id, AddedToken { content: content.clone(), special: true });
            }
        }
        Ok(Self::new(plain, added))
    }

    fn new(plain: tokenizers::Tokenizer, added: BTreeMap<u32, AddedToken>) -> Self {
        let base = plain.get_vocab_size(false);
        let beyond_base = added.values().filter(|token| plain.token_to_id(&token.content).is_none()).count();
        Self { plain, added, byte_of_char: byte_of_char(), len: base + beyond_base }
    }

    /// Number of ids, added tokens included: Python's `len(tokenizer)`.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of an added token, by its exact content.
    pub fn special_id(&self, content: &str) -> Option<u32> {
        self.added.iter().find(|(_, token)| token.content == content).map(|(&id, _)| id)
    }

    /// The leftmost (at equal places the longest) added token in `text`: what stands before it, its id, what follows.
    pub(super) fn split_at_special<'a>(&self, text: &'a str) -> Option<(&'a str, u32, &'a str)> {
        let found = self.added.iter().filter(|(_, token)| !token.content.is_empty()).filter_map(|(&id, token)| {
            text.find(&token.content).map(|at| (at, std::cmp::Reverse(token.content.len()), id))
        });
        let (at, std::cmp::Reverse(len), id) = found.min()?;
        Some((&text[..at], id, &text[at + len..]))
    }

    /// Ids of plain text; strings that look like special tokens are spelled out.
    ///
    /// # Errors
    /// [`Error::Encode`] if the tokenizer fails.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.plain.encode_fast(text, false).map_err(|e| Error::Encode { message: e.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The bytes that an id adds to the answer: nothing for special tokens and for ids that name no token.
    pub fn bytes(&self, id: u32) -> Vec<u8> {
        if let Some(token) = self.added.get(&id) {
            return if token.special { Vec::new() } else { token.content.clone().into_bytes() };
        }
        let Some(token) = self.plain.id_to_token(id) else {
            return Vec::new();
        };
        let bytes = token.chars().map(|c| self.byte_of_char.get(&c).copied()).collect::<Option<Vec<u8>>>();
        bytes.unwrap_or_else(|| token.into_bytes())
    }
}

fn parse_json(path: &Path, json: &[u8]) -> Result<Value, Error> {
    let bad = |error: serde_json::Error| Error::BadTokenizer { path: path.to_owned(), message: error.to_string() };
    serde_json::from_slice(json).map_err(bad)
}

/// The pairs of a merges.txt: one a line, after lines that begin with `#version`; `None` if a line of it is not a pair.
fn merges_of(text: &[u8]) -> Option<Vec<(String, String)>> {
    let lines =
        std::str::from_utf8(text).ok()?.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let pair = |line: &str| line.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
    lines.map(pair).collect()
}

fn listed_token(token: &Value) -> Option<(u32, AddedToken)> {
    let id = u32::try_from(token.get("id")?.as_u64()?).ok()?;
    let content = token.get("content")?.as_str()?.to_owned();
    let special = token.get("special").and_then(Value::as_bool).unwrap_or(false);
    Some((id, AddedToken { content, special }))
}

/// Byte-level BPE spells each byte as one printable character (`bytes_to_unicode` of GPT-2): printable Latin-1 bytes
/// as themselves, the others as U+0100 onwards in order.
fn byte_of_char() -> HashMap<char, u8> {
    let mut next = 0x100u32;
    let spelled = |byte: u8| {
        let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if printable { u32::from(byte) } else { next };
        next += u32::from(!printable);
        (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), byte)
    };
    (0..=255).map(spelled).collect()
}
