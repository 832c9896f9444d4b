//! Conversations in files: what `/save` writes and `/load` reads, as docs/chat.md describes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use llava_video::engine::Exchange;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::file_url;
use super::settings::Settings;

/// What the first key says, by which a file is known.
const FORMAT: &str = "llava-video chat";

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// Most bytes of a file that is read: longer than what any context holds.
const MAX_BYTES: u64 = 64 << 20;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transcript {
    format: String,
    version: u64,
    /// As `--model` named it.
    pub(super) model: String,
    /// The video or the pictures, as whole paths.
    pub(super) files: Vec<String>,
    /// How many frames of the video the model was shown.
    pub(super) sampled_frames: Option<usize>,
    /// By name; null for what is left to the checkpoint or the chat template.
    settings: BTreeMap<String, Option<String>>,
    pub(super) exchanges: Vec<Exchange>,
}

impl Transcript {
    pub(super) fn new(
        model: &str,
        files: &[OsString],
        sampled_frames: Option<usize>,
        settings: &Settings,
        exchanges: &[Exchange],
    ) -> Result<Self> {
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            model: model.to_owned(),
            files: files.iter().map(|file| whole_path(file)).collect::<Result<_>>()?,
            sampled_frames,
            settings: settings.all().map(|(name, value)| (name.to_owned(), value)).collect(),
            exchanges: exchanges.to_vec(),
        })
    }

    /// Its settings.
    ///
    /// # Errors
    /// One that is unknown, missing, or has a value that it cannot have.
    pub(super) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        for (name, value) in &self.settings {
            match value {
                Some(value) => settings.set_exactly(name, value)?,
                None => settings.reset(name)?,
            }
        }
        if let Some((missing, _)) = settings.all().find(|(name, _)| !self.settings.contains_key(*name)) {
            bail!("the setting {missing} is missing");
        }
        Ok(settings)
    }

    /// Whether it is about these files.
    pub(super) fn is_about(&self, files: &[OsString]) -> bool {
        let paths = files.iter().map(|file| whole_path(file)).collect::<Result<Vec<_>>>();
        paths.is_ok_and(|paths| paths == self.files)
    }

    /// Writes it whole or not at all: to a temporary file that takes the name once it is on the disk. A file that is
    /// there is replaced only if `force` says so.
    pub(super) fn save(&self, file: &Path, force: bool) -> Result<()> {
        let failed = || format!("cannot write `{}`", file.display());
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(dir).with_context(failed)?;
        let json = serde_json::to_string_pretty(self)?;
        writeln!(temporary, "{json}").and_then(|()| temporary.as_file().sync_all()).with_context(failed)?;
        let named = if force { temporary.persist(file) } else { temporary.persist_noclobber(file) };
        match named.map_err(|error| error.error) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("`{}` exists; `/save --force` replaces it", file.display())
            }
            Err(error) => Err(error).with_context(failed),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// A file that cannot be read, that is none of these, of another version, or with something in it that this version
    /// does not know.
    pub(super) fn load(file: &Path) -> Result<Self> {
        let shown = file.display();
        let failed = || format!("cannot read `{shown}`");
        let bytes = std::fs::metadata(file).with_context(failed)?.len();
        if bytes > MAX_BYTES {
            bail!("`{shown}` has {bytes} bytes, which is no conversation");
        }
        let text = std::fs::read(file).with_context(failed)?;
        let value: Value = serde_json::from_slice(&text).with_context(|| format!("`{shown}` is not JSON"))?;
        match (value["format"].as_str(), value["version"].as_u64()) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), Some(other)) => bail!("`{shown}` has version {other}; this program reads version {VERSION}"),
            _ => bail!("`{shown}` is no conversation that `/save` wrote"),
        }
        let transcript: Self =
            serde_json::from_value(value).with_context(|| format!("`{shown}` is not as `/save` writes it"))?;
        transcript.settings().with_context(|| format!("`{shown}` is not as `/save` writes it"))?;
        Ok(transcript)
    }
}

/// A path that means the same file from everywhere.
fn whole_path(file: &OsStr) -> Result<String> {
    if file == "-" {
        bail!("a video from standard input cannot be named in a file");
    }
    let path = file_url::local_path(file)?;
    let whole = std::path::absolute(&path).with_context(|| format!("cannot tell where `{}` is", path.display()))?;
    match whole.into_os_string().into_string() {
        Ok(whole) => Ok(whole),
        Err(path) => bail!("`{}` is not UTF-8, so that it cannot be named in a file", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        let exchange = |question: &str, answer: &str| Exchange { question: question.into(), answer: answer.into() };
        let exchanges = [exchange("What?\nWhere? \u{1f600}", "A \"star\"."), exchange("Why?", "")];
        let mut settings = Settings::default();
        settings.set("system", "default is a word").expect("a value");
        settings.set("seed", "18446744073709551615").expect("a value");
        Transcript::new("demo", &["clip.mp4".into()], Some(8), &settings, &exchanges).expect("a path in UTF-8")
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("talk.json");
        transcript().save(&file, false).expect("a new file");
        let loaded = Transcript::load(&file).expect("a conversation");
        assert_eq!(loaded, transcript());
        assert_eq!(loaded.settings().expect("settings").sampling.seed, Some(u64::MAX));
        assert!(loaded.is_about(&["./clip.mp4".into()]) && !loaded.is_about(&[]), "{loaded:?}");
    }

    #[test]
    fn a_file_is_replaced_only_on_demand() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("talk.json");
        std::fs::write(&file, "precious").expect("a new file");
        let refused = transcript().save(&file, false).expect_err("it exists").to_string();
        assert!(refused.contains("exists; `/save --force` replaces it"), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "precious");
        transcript().save(&file, true).expect("on demand");
        assert_eq!(Transcript::load(&file).expect("a conversation"), transcript());
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("talk.json");
        let sound = serde_json::to_value(transcript()).expect("JSON");
        let refused = |edit: &dyn Fn(&mut Value)| {
            let mut value = sound.clone();
            edit(&mut value);
            std::fs::write(&file, value.to_string()).expect("a file");
            format!("{:#}", Transcript::load(&file).expect_err("refused"))
        };
        assert!(refused(&|value| value["version"] = 2.into()).contains("version 2; this program reads version 1"));
        assert!(refused(&|value| value["format"] = "other".into()).contains("no conversation that `/save` wrote"));
        assert!(refused(&|value| *value = Value::from(3)).contains("no conversation that `/save` wrote"));
        assert!(refused(&|value| value["more"] = 1.into()).contains("unknown field `more`"));
        assert!(refused(&|value| value["exchanges"][0]["mood"] = 1.into()).contains("unknown field `mood`"));
        assert!(refused(&|value| value["settings"]["mood"] = 1.into()).contains("not as `/save` writes it"));
        assert!(refused(&|value| value["settings"]["mood"] = "x".into()).contains("there is no setting `mood`"));
        assert!(refused(&|value| value["settings"]["top-p"] = "7".into()).contains("at most 1"));
        let without_seed =
            |value: &mut Value| value["settings"].as_object_mut().map_or((), |all| drop(all.remove("seed")));
        assert!(refused(&without_seed).contains("the setting seed is missing"));
        assert!(refused(&|value| drop(value["exchanges"].take())).contains("not as `/save` writes it"));
        std::fs::write(&file, "{").expect("a file");
        assert!(format!("{:#}", Transcript::load(&file).expect_err("cut short")).contains("is not JSON"));
    }

    #[test]
    fn standard_input_is_no_file() {
        assert!(Transcript::new("demo", &["-".into()], None, &Settings::default(), &[]).is_err());
    }
}
