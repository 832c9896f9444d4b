//! Everything that can go wrong between the hub and its cache, and what to try.

use std::path::PathBuf;
use std::time::Duration;

use super::digest::Digest;
use super::kind::RepoKind;
use super::known::likely_meant;
use crate::checkpoint;
use crate::disk::{NoSpace, is_full};
use crate::interrupt::Interrupted;

/// Getting, checking and removing cached checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What cannot be a repository's name.
    #[error("`{name}` is not a repository id like `owner/name`")]
    NoRepositoryId {
        /// The name as given.
        name: String,
    },
    /// A repository that is not in the cache, where nothing may be fetched.
    #[error("{kind} `{repo}` is not in the hub cache (looked in {})", cache.display())]
    NotCached {
        /// What it is.
        kind: RepoKind,
        /// The repository as given.
        repo: String,
        /// The folder looked in.
        cache: PathBuf,
    },
    /// A repository that is partly in the cache, where nothing may be fetched.
    #[error("{kind} `{repo}` is only partly in the hub cache: {missing}")]
    PartlyCached {
        /// What it is.
        kind: RepoKind,
        /// The repository as given.
        repo: String,
        /// The first thing missing.
        missing: String,
    },
    /// Nothing may be fetched, and something would have to be.
    #[error("{why}, and {by} forbids downloading it")]
    Offline {
        /// What is not there.
        why: Box<Error>,
        /// The flag or variable.
        by: &'static str,
    },
    /// No place for the cache.
    #[error("there is no home directory to keep models in")]
    NoCacheDir,
    /// An environment variable that cannot be used.
    #[error("{name} is `{value}`, expected {expected}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// A token that no header can hold.
    #[error("the access token from {from} holds spaces or characters beyond ASCII")]
    BadToken {
        /// The variable or file.
        from: String,
    },
    /// The hub does not let us in.
    #[error("the hub refuses access to `{repo}`: HTTP {status}{}", quoted(message))]
    Refused {
        /// What it is.
        kind: RepoKind,
        /// The repository as given.
        repo: String,
        /// 401 or 403.
        status: u16,
        /// The hub's own words.
        message: String,
        /// Where the token that was sent came from, if one was.
        token: Option<String>,
    },
    /// The hub knows no such repository, revision or file.
    #[error("the hub has no {what}: HTTP 404{}", quoted(message))]
    NotFound {
        /// What was asked for.
        what: String,
        /// The hub's own words.
        message: String,
    },
    /// Tried often enough, without getting on.
    #[error("cannot get {what} from {host}: {reason}{}", tried(*attempts))]
    Unreachable {
        /// What was asked for.
        what: String,
        /// The server.
        host: String,
        /// What went wrong the last time.
        reason: String,
        /// How often it was tried in a row.
        attempts: u32,
        /// Whether any host was ever connected to.
        connected: bool,
    },
    /// A longer pause than is worth waiting.
    #[error("{host} asks to wait {} s before {what} is asked for again", wait.as_secs())]
    RateLimited {
        /// What was asked for.
        what: String,
        /// The server.
        host: String,
        /// The pause.
        wait: Duration,
    },
    /// An answer that is not what the hub's interface promises.
    #[error("{host} sent an unusable answer about {what}: {message}")]
    BadAnswer {
        /// What was asked for.
        what: String,
        /// The server.
        host: String,
        /// What is wrong with it.
        message: String,
    },
    /// A repository without weights that can be loaded.
    #[error("`{repo}` has no safetensors weights{}",
        found.as_ref().map_or_else(String::new, |f| format!(", only {f}")))]
    NoSafetensors {
        /// The repository as given.
        repo: String,
        /// Weights in another format.
        found: Option<String>,
    },
    /// A repository without a file that no checkpoint can do without.
    #[error("`{repo}` has no {file}; it is not a checkpoint that can be loaded")]
    MissingFile {
        /// The repository as given.
        repo: String,
        /// The file or files.
        file: String,
    },
    /// What its small files say cannot be loaded; no weights were fetched.
    #[error("`{repo}` cannot be loaded, so its weights were not fetched")]
    NotLoadable {
        /// The repository as given.
        repo: String,
        /// What is wrong.
        source: checkpoint::Error,
    },
    /// Not enough room for what is missing.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// A file or folder of the cache could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file or folder of the cache could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// What came is not what the hub said would come.
    #[error("`{file}` arrived with a wrong checksum, {found} instead of {expected}, and was thrown away")]
    Checksum {
        /// The file's name in the repository.
        file: String,
        /// What the hub says.
        expected: Digest,
        /// What was received.
        found: Digest,
    },
    /// A file was removed by another program while others were fetched.
    #[error("`{file}` was removed from the hub cache by another program in the meantime")]
    Vanished {
        /// The file's name in the repository.
        file: String,
    },
    /// Another process is downloading into what should be removed.
    #[error("another process is downloading `{repo}`")]
    Busy {
        /// The repository as given.
        repo: String,
    },
    /// A signal asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

pub(super) fn quoted(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

fn tried(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}

impl Error {
    /// What the user can try, where something helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotCached { kind: RepoKind::Dataset, .. } | Self::PartlyCached { kind: RepoKind::Dataset, .. } => {
                "run the same command once where the hub can be reached"
            }
            Self::Refused { kind: RepoKind::Dataset, repo, token, .. } => {
                let page = format!("https://huggingface.co/datasets/{}", repo.split('@').next().unwrap_or(repo));
                return Some(match token {
                    None => format!(
                        "accept its terms on {page}, and set HF_TOKEN to your access token; if there is no such page, \
                         it has been moved"
                    ),
                    Some(source) => format!(
                        "the token from {source} was sent: it may have expired, or its owner has not accepted the \
                         terms on {page}"
                    ),
                });
            }
            Self::NotCached { repo, .. } | Self::PartlyCached { repo, .. } => {
                return Some(format!(
                    "download it with `llava-video model pull {repo}`, or pass a directory with `--model DIR`"
                ));
            }
            Self::Offline { why, .. } => return why.hint(),
            Self::NoCacheDir => "set HF_HOME to a folder for models",
            Self::BadToken { .. } => "copy the token again from the hub's settings",
            // The hub says so of repositories that do not exist, too.
            Self::Refused { token: None, repo, .. } if let Some(meant) = likely_meant(repo, &[]) => {
                return Some(format!("did you mean `{meant}`?"));
            }
            Self::Refused { token: None, .. } => {
                "check the name; if the model is private or gated, accept its terms on its page and set HF_TOKEN to \
                 your access token"
            }
            Self::Refused { token: Some(source), .. } => {
                return Some(format!(
                    "the token from {source} was sent: it may have expired, or its owner has not accepted the model's \
                     terms on its page"
                ));
            }
            Self::NotFound { .. } => "check the spelling of owner, name and revision: `owner/name[@revision]`",
            Self::Unreachable { connected: false, .. } => {
                "check the network connection and HTTPS_PROXY; without a network, use `--model demo`, or a \
                 directory with `--model DIR`"
            }
            Self::Unreachable { .. } | Self::RateLimited { .. } => {
                "run the same command again later: it goes on where it stopped; HF_ENDPOINT names another server"
            }
            Self::BadAnswer { .. } => "check HF_ENDPOINT, and proxies between here and the hub",
            Self::NoSafetensors { .. } => "use a repository, or a revision of it, with .safetensors files",
            Self::NoSpace(_) => "make room, or set HF_HOME to a folder on a larger disk",
            Self::Write { source, .. } if is_full(source) => {
                "make room, or set HF_HOME to a folder on a larger disk; then run the same command again: it goes on \
                 where it stopped"
            }
            Self::Checksum { .. } => "try again; if it happens again, a proxy or the server alters or damages the file",
            Self::Vanished { .. } => "run the same command again",
            Self::Busy { .. } => "wait until it has finished, or stop it",
            Self::NotLoadable { source, .. } => return source.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether it says that the server could not be reached or could not answer, so that a cached copy is as good.
    pub(super) fn is_about_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::RateLimited { .. })
    }
}
