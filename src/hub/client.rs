//! Requests to the hub: redirects are followed here, so that the token goes to the hub and to no other host, and every
//! failure is sorted into what is worth another try and what is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::http::uri::Uri;
use ureq::http::{HeaderMap, Request, Response, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use super::error::{Error, quoted};
use super::name::RepoName;
use super::settings::{Settings, Token};

/// Redirects of one request: renamed repository, storage, storage again; more is a loop.
const MAX_REDIRECTS: usize = 8;

/// A server that asks for a longer pause than this is not waited for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// A name server or a host that takes longer than this to answer is not there.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Most characters of the hub's own words that are repeated.
const MAX_MESSAGE_CHARS: usize = 200;

/// Why a request gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Worth another try, after `wait` if the server says so.
    Transient { reason: String, wait: Option<Duration> },
    /// No connection came about, and none ever did: the machine is likely offline.
    NoConnection { reason: String },
    /// What was kept of an earlier try cannot be continued.
    Restart { reason: String },
    /// Another try would end the same way.
    Fatal(Error),
}

impl Failure {
    pub(super) fn transient(reason: String) -> Self {
        Self::Transient { reason, wait: None }
    }
}

/// What is asked for, for messages.
#[derive(Debug, Clone)]
pub(super) struct Asked<'a> {
    pub(super) repo: &'a RepoName,
    /// A file of the repository; `None` for its listing.
    pub(super) file: Option<&'a str>,
}

impl Asked<'_> {
    pub(super) fn what(&self) -> String {
        match self.file {
            Some(file) => format!("`{file}` of `{}`", self.repo),
            None => format!("the list of files of `{}`", self.repo),
        }
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    /// Headers of the hub itself, where the answer comes from another host.
    pub(super) hub_headers: HeaderMap,
}

impl Answer {
    /// A header of the hub's own answer.
    pub(super) fn hub_header(&self, name: &str) -> Option<&str> {
        self.hub_headers.get(name)?.to_str().ok()
    }
}

/// A connection pool with the hub's address and token.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<Token>,
    /// Whether any host has answered yet.
    was_answered: AtomicBool,
}

/// Scheme, host and port: what decides who gets the token.
type Origin = (String, String);

impl Client {
    pub(super) fn new(settings: &Settings) -> Self {
        let timeout = Some(settings.stall_timeout);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(RESOLVE_TIMEOUT.min(settings.stall_timeout)))
            .timeout_connect(Some(CONNECT_TIMEOUT.min(settings.stall_timeout)))
            .timeout_send_request(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .user_agent(concat!("llava-video/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build()
            .new_agent();
        let origin = settings.endpoint.parse().ok().as_ref().and_then(origin).unwrap_or_default();
        let was_answered = AtomicBool::new(false);
        Self { agent, endpoint: settings.endpoint.clone(), origin, token: settings.token.clone(), was_answered }
    }

    /// The hub's host, for messages.
    pub(super) fn host(&self) -> &str {
        &self.origin.1
    }

    /// Asks for `path` of the hub, from byte `from` on, and before byte `end` if one is given.
    pub(super) fn get(&self, path: &str, from: u64, end: Option<u64>, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let range = match end {
            Some(end) => Some(format!("bytes={from}-{}", end.saturating_sub(1))),
            None if from > 0 => Some(format!("bytes={from}-")),
            None => None,
        };
        self.request("GET", path, range.as_deref(), asked)
    }

    /// Asks for the headers of `path` only; redirects to other hosts are not followed.
    pub(super) fn head(&self, path: &str, asked: &Asked<'_>) -> Result<Answer, Failure> {
        self.request("HEAD", path, None, asked)
    }

    fn request(&self, method: &str, path: &str, range: Option<&str>, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let mut url = format!("{}{path}", self.endpoint);
        let mut hub_headers = HeaderMap::new();
        for _ in 0..=MAX_REDIRECTS {
            let bad = |message: String| {
                Failure::Fatal(Error::BadAnswer { what: asked.what(), host: self.host().to_owned(), message })
            };
            let uri: Uri = url.parse().map_err(|_| bad(format!("it leads to `{url}`, which is no address")))?;
            let at = origin(&uri).ok_or_else(|| bad(format!("it leads to `{url}`, which is no web address")))?;
            let at_hub = at == self.origin;
            let response = self.send(method, &uri, range, at_hub).map_err(|error| self.unanswered(&error))?;
            self.was_answered.store(true, Ordering::Relaxed);
            if at_hub {
                // The first answer of the hub tells about the file; a later one, about where the bytes are.
                for (name, value) in response.headers() {
                    hub_headers.entry(name).or_insert_with(|| value.clone());
                }
            }
            if !response.status().is_redirection() {
                return self.sorted(response, hub_headers, &at, asked);
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| resolve(&uri, location));
            url = next.ok_or_else(|| bad("a redirect that leads nowhere".to_owned()))?;
            if uri.scheme_str() == Some("https") && !url.starts_with("https://") {
                return Err(bad(format!("it leads from https to `{url}`")));
            }
            let leaves_hub = url.parse::<Uri>().ok().as_ref().and_then(origin).as_ref() != Some(&self.origin);
            if method == "HEAD" && leaves_hub {
                return Ok(Answer { response, hub_headers });
            }
        }
        Err(Failure::transient("the redirects do not end".to_owned()))
    }

    /// What a request without an answer means.
    fn unanswered(&self, error: &ureq::Error) -> Failure {
        let is_silence = matches!(error, ureq::Error::Timeout(timeout) if !is_before_connection(*timeout));
        match transport(error) {
            Failure::Transient { reason, .. } if !is_silence && !self.was_answered.load(Ordering::Relaxed) => {
                Failure::NoConnection { reason }
            }
            other => other,
        }
    }

    fn send(&self, method: &str, uri: &Uri, range: Option<&str>, at_hub: bool) -> Result<Response<Body>, ureq::Error> {
        // Bytes are counted and hashed as they are stored, so that nobody may compress them on the way.
        let mut request = Request::builder().method(method).uri(uri).header(header::ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        if let Some(token) = self.token.as_ref().filter(|_| at_hub) {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        self.agent.run(request.body(()).map_err(ureq::Error::Http)?)
    }

    /// A usable answer, or what its status means.
    fn sorted(
        &self,
        response: Response<Body>,
        hub_headers: HeaderMap,
        at: &Origin,
        asked: &Asked<'_>,
    ) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let said = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let message: String = said("x-error-message").unwrap_or_default().chars().take(MAX_MESSAGE_CHARS).collect();
        let at_hub = *at == self.origin;
        let repo = asked.repo;
        Err(match status {
            200 | 206 => return Ok(Answer { response, hub_headers }),
            401 | 403 if at_hub => Failure::Fatal(Error::Refused {
                kind: repo.kind(),
                repo: repo.to_string(),
                status,
                message,
                token: self.token.as_ref().map(|token| token.source().to_owned()),
            }),
            // The storage's addresses are signed for a while only; the hub gives a new one.
            401 | 403 => Failure::transient(format!("HTTP {status} from {}", at.1)),
            404 if at_hub => {
                let what = match (said("x-error-code"), asked.file) {
                    (Some("RevisionNotFound"), _) => format!("revision `{}` of `{}`", repo.revision(), repo.id()),
                    (_, Some(_)) => asked.what(),
                    (_, None) => format!("{} `{repo}`", repo.kind()),
                };
                Failure::Fatal(Error::NotFound { what, message })
            }
            408 | 425 | 429 | 500..=599 => {
                let reason = format!("HTTP {status} from {}{}", at.1, quoted(&message));
                match pause(response.headers()) {
                    Some(wait) if wait > MAX_WAIT => {
                        Failure::Fatal(Error::RateLimited { what: asked.what(), host: at.1.clone(), wait })
                    }
                    wait => Failure::Transient { reason, wait },
                }
            }
            416 => Failure::Restart { reason: format!("HTTP 416 from {}", at.1) },
            _ => Failure::Fatal(Error::BadAnswer {
                what: asked.what(),
                host: at.1.clone(),
                message: format!("HTTP {status}{}", quoted(&message)),
            }),
        })
    }
}

/// How the standard library begins what it says about names; it has no kind for that.
const LOOKUP_FAILED: &str = "failed to lookup address information";
const NO_NAME: &str = "its name cannot be resolved";

/// What went wrong below HTTP, in words for a user.
pub(super) fn transport(error: &ureq::Error) -> Failure {
    Failure::transient(match error {
        ureq::Error::Timeout(Timeout::Resolve) => "the name server does not answer".to_owned(),
        ureq::Error::Timeout(Timeout::Connect) => "it cannot be reached".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => NO_NAME.to_owned(),
        ureq::Error::Io(error) if error.to_string().starts_with(LOOKUP_FAILED) => NO_NAME.to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    })
}

fn is_before_connection(timeout: Timeout) -> bool {
    matches!(timeout, Timeout::Resolve | Timeout::Connect)
}

/// The pause a server asks for: `Retry-After` in seconds, or the `t` of the hub's `RateLimit` header.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = text("retry-after").and_then(|value| value.trim().parse().ok());
    let reset = || text("ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse().ok());
    after.or_else(reset).map(Duration::from_secs)
}

fn origin(uri: &Uri) -> Option<Origin> {
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    Some((scheme.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

/// Where a `Location` leads from `base`.
fn resolve(base: &Uri, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let scheme = base.scheme_str()?;
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let authority = base.authority()?;
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
    Some(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_against_where_they_came_from() {
        let base: Uri = "https://hub.example:8443/a/b?x=1".parse().expect("an address");
        for (location, url) in [
            ("https://cdn.example/x", "https://cdn.example/x"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/c/d?y", "https://hub.example:8443/c/d?y"),
            ("c", "https://hub.example:8443/a/c"),
        ] {
            assert_eq!(resolve(&base, location).as_deref(), Some(url), "{location}");
        }
    }

    #[test]
    fn pauses_are_read_from_either_header() {
        for (name, value, secs) in [
            ("retry-after", "7", Some(7)),
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
            ("ratelimit", "\"api\";r=0;t=55", Some(55)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            assert_eq!(pause(&headers), secs.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn the_token_is_for_one_origin_only() {
        let origin = |text: &str| origin(&text.parse().expect("an address"));
        assert_eq!(origin("https://Hub.example/a"), origin("https://hub.example/b"));
        for other in ["http://hub.example/a", "https://hub.example:8443/a", "https://hub.example.evil/a"] {
            assert_ne!(origin("https://hub.example/a"), origin(other), "{other}");
        }
        assert_eq!(origin("ftp://hub.example/a"), None);
    }
}
