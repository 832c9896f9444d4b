//! Requests to a judge: any endpoint that speaks OpenAI's chat completions. The key is in the header and nowhere else.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ureq::http::uri::Uri;
use ureq::http::{HeaderMap, HeaderValue, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Timeout};

use super::retry::Attempt;
use crate::calendar::{http_date, unix_seconds};

/// A reply has few tokens; what is longer than this is none.
const MAX_BODY_BYTES: u64 = 4 << 20;

/// Most characters of a server's own words that are repeated.
const MAX_MESSAGE_CHARS: usize = 200;

/// Where a judge is asked, and with what key.
#[derive(Clone)]
pub struct Endpoint {
    url: String,
    key: Option<String>,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).field("has_key", &self.key.is_some()).finish()
    }
}

/// Why a judge cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not an address of the web.
    #[error("`{url}` is no http or https address")]
    NoAddress {
        /// What it is.
        url: String,
    },
    /// The address holds a name or a password, which would stand in every message about it.
    #[error("the judge's address holds a user's name or password; give the key by itself")]
    Credentials,
    /// The key cannot be sent.
    #[error("the judge's key holds characters that no header may hold")]
    BadKey,
    /// The server does not let us in, or has no such model or address: no other question would fare better.
    #[error("{host} answers HTTP {status}{message}")]
    Refused {
        /// The server.
        host: String,
        /// Its status.
        status: u16,
        /// Its words, if any.
        message: String,
    },
}

impl Endpoint {
    /// An endpoint by its address: of the server's API, as `https://host/v1`, or of the completions themselves.
    ///
    /// # Errors
    /// The address or the key cannot be used; no error holds the key.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self, ClientError> {
        let key = key.map(str::trim).filter(|key| !key.is_empty());
        let is_hidden = url.split('/').nth(2).is_some_and(|authority| authority.contains('@'));
        if is_hidden || key.is_some_and(|key| url.contains(key)) {
            return Err(ClientError::Credentials);
        }
        let uri: Option<Uri> = url.parse().ok();
        let is_web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !uri.as_ref().is_some_and(is_web) {
            return Err(ClientError::NoAddress { url: url.to_owned() });
        }
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        let path = path.trim_end_matches('/');
        let mut url = match path.ends_with("/chat/completions") {
            true => path.to_owned(),
            false => format!("{path}/chat/completions"),
        };
        if let Some(query) = query {
            url = format!("{url}?{query}");
        }
        let authorization = key.map(|key| HeaderValue::from_str(&format!("Bearer {key}"))).transpose();
        let mut authorization = authorization.map_err(|_| ClientError::BadKey)?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self { url, key: key.map(str::to_owned), authorization })
    }

    /// The address that is asked.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a key is sent.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether what is sent can be read on the way, on a network that is not this machine's own.
    pub fn is_open(&self) -> bool {
        let uri: Option<Uri> = self.url.parse().ok();
        let name = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
        let is_here = name == "localhost" || address.is_some_and(|address| address.is_loopback());
        self.url.starts_with("http://") && !is_here
    }

    /// The server, with its port where one is named.
    pub fn host(&self) -> &str {
        self.url.split('/').nth(2).unwrap_or_default()
    }

    /// A body without the key, should the server repeat that: what is kept of it may be shown.
    fn without_key(&self, body: Vec<u8>) -> Vec<u8> {
        let is_there = |key: &&String| body.windows(key.len()).any(|bytes| bytes == key.as_bytes());
        match self.key.as_ref().filter(is_there) {
            Some(key) => String::from_utf8_lossy(&body).replace(key.as_str(), "[key]").into_bytes(),
            None => body,
        }
    }

    /// A server's words on one line, without the key, should it repeat that.
    fn safe(&self, words: &str) -> String {
        let words = match &self.key {
            Some(key) => words.replace(key.as_str(), "[key]"),
            None => words.to_owned(),
        };
        let words = words.chars().map(|c| if c.is_control() { ' ' } else { c });
        words.take(MAX_MESSAGE_CHARS).collect::<String>().trim().to_owned()
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For what comes next.
    pub attempt: Attempt,
    /// The pause that the server asks for.
    pub retry_after: Option<Duration>,
    /// What went wrong, in words that hold no key; empty where an answer with a good status came.
    pub reason: String,
}

/// Asks one endpoint, over connections that it keeps.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    endpoint: Endpoint,
}

impl Client {
    /// A client whose requests take no longer than `timeout`; the harness's take 60 seconds.
    pub fn new(endpoint: Endpoint, timeout: Duration) -> Self {
        // A redirect could carry the key to another host.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .user_agent(concat!("llava-video/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build()
            .new_agent();
        Self { agent, endpoint }
    }

    /// The server that is asked.
    pub fn host(&self) -> &str {
        self.endpoint.host()
    }

    /// Posts a body once.
    ///
    /// # Errors
    /// The server refuses us, or has nothing at this address: HTTP 401, 403 and 404.
    pub fn ask(&self, body: &str) -> Result<Answer, ClientError> {
        let nothing = |error: &ureq::Error, retry_after| Answer {
            attempt: Attempt::NoAnswer,
            retry_after,
            reason: self.endpoint.safe(&reason(error)),
        };
        let mut request = self.agent.post(&self.endpoint.url).header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.endpoint.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) => return Ok(nothing(&error, None)),
        };
        let (status, retry_after) = (response.status().as_u16(), pause(response.headers()));
        let body = match response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec() {
            Ok(body) => self.endpoint.without_key(body),
            Err(error) => return Ok(nothing(&error, retry_after)),
        };
        let words = || {
            let value: serde_json::Value = serde_json::from_slice(&body).ok()?;
            Some(format!(": {}", self.endpoint.safe(value.pointer("/error/message")?.as_str()?)))
        };
        if matches!(status, 401 | 403 | 404) {
            let message = words().unwrap_or_default();
            return Err(ClientError::Refused { host: self.endpoint.host().to_owned(), status, message });
        }
        let reason = match status {
            200..300 => String::new(),
            _ => format!("HTTP {status}{}", words().unwrap_or_default()),
        };
        Ok(Answer { attempt: Attempt::Answer { status, body }, retry_after, reason })
    }
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(Timeout::Resolve) => "the name server does not answer".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// `Retry-After`: seconds, or a date.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => Some(Duration::from_secs(http_date(text)?.saturating_sub(unix_seconds()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-very-secret";

    #[test]
    fn addresses_lead_to_the_completions() {
        for (given, url) in [
            ("https://a.example/v1", "https://a.example/v1/chat/completions"),
            ("https://a.example/v1/", "https://a.example/v1/chat/completions"),
            ("http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1/chat/completions"),
            ("https://a.example/x?api-version=2", "https://a.example/x/chat/completions?api-version=2"),
        ] {
            assert_eq!(Endpoint::new(given, None).unwrap().url(), url);
        }
        for given in ["a.example", "ftp://a.example", "file:///x", ""] {
            assert!(matches!(Endpoint::new(given, None), Err(ClientError::NoAddress { .. })), "{given}");
        }
    }

    #[test]
    fn only_encryption_or_this_machine_hides_a_key() {
        for (url, is_open) in [
            ("https://a.example/v1", false),
            ("http://a.example/v1", true),
            ("http://127.a.example/v1", true),
            ("http://localhost:8000/v1", false),
            ("http://127.0.0.1:8000/v1", false),
            ("http://[::1]:8000/v1", false),
        ] {
            let endpoint = Endpoint::new(url, Some(KEY)).unwrap();
            assert_eq!((endpoint.is_open(), endpoint.has_key()), (is_open, true), "{url}");
        }
    }

    #[test]
    fn nothing_that_is_printed_holds_the_key() {
        let endpoint = Endpoint::new("https://a.example/v1", Some(KEY)).unwrap();
        let client = Client::new(endpoint.clone(), Duration::from_secs(1));
        for text in [format!("{endpoint:?}"), format!("{client:?}"), endpoint.safe(&format!("bad key {KEY}!\n"))] {
            assert!(!text.contains("secret"), "{text}");
        }
        for url in [format!("https://a.example/{KEY}"), format!("https://me:{KEY}@a.example/v1")] {
            let error = Endpoint::new(&url, Some(KEY)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let body = endpoint.without_key(format!("{{\"content\": \"{KEY}\"}}").into_bytes());
        assert_eq!(String::from_utf8(body).unwrap(), "{\"content\": \"[key]\"}");
        let error = Endpoint::new("https://a.example", Some("very-secret\nkey")).unwrap_err();
        assert_eq!(error, ClientError::BadKey);
    }

    #[test]
    fn pauses_are_seconds_or_dates() {
        for (value, secs) in [("7", Some(7.0)), ("1.5", Some(1.5)), ("-1", None), ("inf", None), ("Wed, 21 Oct", None)]
        {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(pause(&headers), secs.map(Duration::from_secs_f64), "{value}");
        }
        let until = |date: &str| pause(&HeaderMap::from_iter([(header::RETRY_AFTER, date.parse().unwrap())])).unwrap();
        assert_eq!(until("Wed, 21 Oct 2015 07:28:00 GMT"), Duration::ZERO);
        let years = until("Fri, 21 Oct 2099 07:28:00 GMT").as_secs() / 86_400 / 365;
        assert!(years < 2099 - 2025, "{years}");
    }
}
