//! What the environment says about the hub: where the cache is, which server, which token, whether to go online.
//!
//! The variables and their defaults are those of Python's huggingface_hub (`constants.py`).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use super::small_file;
use crate::folders::Folders;

/// Server, cache and manners of everything in [`crate::hub`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of all cached repositories: `$HF_HUB_CACHE`, or `$HF_HOME/hub`.
    pub cache_dir: PathBuf,
    /// The server, without a slash at the end.
    pub endpoint: String,
    /// Sent to the server, and to no other host.
    pub token: Option<Token>,
    /// What forbids opening a connection, if something does.
    pub offline: Option<&'static str>,
    /// A connection that delivers nothing for this long is given up and opened again.
    pub stall_timeout: Duration,
    /// How often in a row something may fail without a byte of progress before it is given up.
    pub retries: u32,
    /// How long connections are tried while none has ever come about; `None`: as often as anything else.
    pub connect_patience: Option<Duration>,
}

/// An access token and where it came from.
#[derive(Clone)]
pub struct Token {
    secret: String,
    source: String,
}

impl Token {
    /// The variable or file it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The value of the `Authorization` header.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.secret)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token from {}", self.source)
    }
}

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const DEFAULT_STALL_SECS: u64 = 20;
/// With pauses that double from 0.1 s, about half a minute.
const DEFAULT_RETRIES: u32 = 8;
/// Long enough for a hiccup; a machine that is offline stays so for longer.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
const MAX_STALL_SECS: u64 = 86_400;

impl Settings {
    /// Reads the environment; `offline` is the flag of the command line that forbids to go online, if one does.
    ///
    /// # Errors
    /// [`Error::NoCacheDir`] without a home directory, [`Error::Setting`] for a value that cannot be used.
    pub fn from_env(offline: Option<&'static str>) -> Result<Self, Error> {
        Self::from_variables(offline, |name| std::env::var_os(name), std::env::home_dir())
    }

    fn from_variables(
        offline: Option<&'static str>,
        variable: impl Fn(&str) -> Option<OsString>,
        user_home: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().trim().to_owned());
        let folders = Folders::new(&variable, user_home);
        let path = |name: &str| folders.named(name);
        let hf_home = path("HF_HOME").or_else(|| Some(folders.caches()?.join("huggingface")));
        let named = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let cache_dir = named.or_else(|| Some(hf_home.as_ref()?.join("hub"))).ok_or(Error::NoCacheDir)?;

        let from_variable = |name: &str| Some(Token { secret: text(name)?, source: name.to_owned() });
        let from_file = || {
            let path = path("HF_TOKEN_PATH").or_else(|| Some(hf_home.as_ref()?.join("token")))?;
            let secret = small_file::read_line(&path).ok()?;
            Some(Token { secret, source: format!("`{}`", path.display()) })
        };
        let token = from_variable("HF_TOKEN").or_else(|| from_variable("HUGGING_FACE_HUB_TOKEN")).or_else(from_file);
        let token = token.filter(|token| !token.secret.is_empty());
        if let Some(Token { source, .. }) = token.as_ref().filter(|token| !is_header_text(&token.secret)) {
            return Err(Error::BadToken { from: source.clone() });
        }

        let by_variable =
            || ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| text(name).is_some_and(is_true));
        Ok(Self {
            cache_dir,
            endpoint: endpoint(text("HF_ENDPOINT"))?,
            token,
            offline: offline.or_else(by_variable),
            stall_timeout: stall_timeout(text("HF_HUB_DOWNLOAD_TIMEOUT"))?,
            retries: DEFAULT_RETRIES,
            connect_patience: Some(CONNECT_PATIENCE),
        })
    }
}

fn endpoint(text: Option<String>) -> Result<String, Error> {
    let endpoint = text.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()).trim_end_matches('/').to_owned();
    let uri = endpoint.parse::<ureq::http::Uri>().ok();
    match uri.as_ref().and_then(|uri| uri.scheme_str()) {
        Some("http" | "https") => Ok(endpoint),
        _ => Err(Error::Setting { name: "HF_ENDPOINT", value: endpoint, expected: "an http or https address" }),
    }
}

fn stall_timeout(text: Option<String>) -> Result<Duration, Error> {
    let Some(text) = text else { return Ok(Duration::from_secs(DEFAULT_STALL_SECS)) };
    match text.parse().ok().filter(|secs| (1..=MAX_STALL_SECS).contains(secs)) {
        Some(secs) => Ok(Duration::from_secs(secs)),
        None => {
            Err(Error::Setting { name: "HF_HUB_DOWNLOAD_TIMEOUT", value: text, expected: "seconds from 1 to 86400" })
        }
    }
}

/// What Python's huggingface_hub takes for yes.
fn is_true(value: String) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
}

/// Whether a header can hold it: no spaces, no control characters, nothing beyond ASCII.
fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        Settings::from_variables(None, value, Some(PathBuf::from("/home/someone")))
    }

    #[test]
    fn the_cache_is_where_python_puts_it() {
        for (variables, dir) in [
            (&[][..], "/home/someone/.cache/huggingface/hub"),
            (&[("HF_HOME", "/data/hf")], "/data/hf/hub"),
            (&[("HF_HOME", "~/hf")], "/home/someone/hf/hub"),
            (&[("HF_HOME", "")], "/home/someone/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (&[("HF_HOME", "/data/hf"), ("HF_HUB_CACHE", "/big")], "/big"),
        ] {
            assert_eq!(settings(variables).expect("valid").cache_dir, Path::new(dir), "{variables:?}");
        }
        assert!(matches!(Settings::from_variables(None, |_| None, None), Err(Error::NoCacheDir)));
    }

    #[test]
    fn values_that_cannot_be_used_are_refused() {
        for wrong in ["huggingface.co", "ftp://mirror", "https://", "http:/x"] {
            assert!(settings(&[("HF_ENDPOINT", wrong)]).is_err(), "{wrong}");
        }
        let mirror = settings(&[("HF_ENDPOINT", "https://mirror.example/hub/")]).expect("an address");
        assert_eq!(mirror.endpoint, "https://mirror.example/hub");
        assert!(settings(&[("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]).is_err());
        assert!(settings(&[("HF_TOKEN", "two words")]).is_err());
    }

    #[test]
    fn a_token_is_never_shown() {
        let settings = settings(&[("HF_TOKEN", " hf_secret\n")]).expect("valid");
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!(settings.token.expect("a token").header(), "Bearer hf_secret");
    }

    #[test]
    fn offline_is_asked_for_by_flag_or_variable() {
        for (value, offline) in [("1", true), ("true", true), ("on", true), ("0", false), ("", false)] {
            assert_eq!(settings(&[("HF_HUB_OFFLINE", value)]).expect("valid").offline.is_some(), offline, "{value}");
        }
    }
}
