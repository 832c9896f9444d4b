//! A hub on loopback: two hosts, one that lists and redirects and one that stores, with faults on demand.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::digest::{git_blob_hex, sha256_hex};

/// What goes wrong with an answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Another status, with a header.
    Status(u16, &'static str, String),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing comes after so many bytes, but the connection stays.
    Stall(usize),
    /// Bytes come one by one, so many milliseconds apart.
    Trickle(u64),
    /// The body comes in 16 pieces, so many milliseconds apart.
    Slow(u64),
    /// Nothing comes after so many bytes until the test releases all that is held.
    Hold(usize),
    /// Another body with its own length, as a proxy's page has it, whatever was asked for.
    Page(&'static str),
    /// The same in chunks, so that its length is not announced.
    ChunkedPage(&'static str),
    /// The announced range is of a file of another length.
    OtherTotal,
    /// One byte is wrong.
    Flip,
    /// The body goes on after its end.
    Long,
    /// The whole body comes, whatever range was asked for.
    IgnoreRange,
    /// The hub announces another entity tag than it listed.
    OtherTag,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Whether it went to the storage host.
    pub(crate) at_storage: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Where a range began.
    pub(crate) from: Option<usize>,
    /// Its last byte, if it names one.
    last: Option<usize>,
    pub(crate) authorization: Option<String>,
}

struct Revision {
    commit: String,
    files: BTreeMap<String, Vec<u8>>,
}

#[derive(Default)]
struct State {
    /// By `owner/name`, then by branch and by commit.
    revisions: Mutex<HashMap<(String, String), Arc<Revision>>>,
    terms: Mutex<Terms>,
    once: Mutex<HashMap<String, VecDeque<Fault>>>,
    always: Mutex<HashMap<String, Fault>>,
    seen: Mutex<Vec<Seen>>,
    token: Mutex<Option<String>>,
    /// Sizes that the listing claims instead of the true ones.
    claimed: Mutex<HashMap<String, u64>>,
    without_checksums: Mutex<bool>,
    /// Bytes of bodies sent, by file.
    sent: Mutex<HashMap<String, usize>>,
    is_released: Mutex<bool>,
    released: Condvar,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

/// Listens until the test ends.
pub(crate) struct Hub {
    state: Arc<State>,
    port: u16,
}

/// What the listing says under which terms a repository is published.
#[derive(Default)]
struct Terms {
    licence: Option<String>,
    is_gated: bool,
}

/// Large files are kept outside git.
fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".zip", ".mp4"].iter().any(|ending| name.ends_with(ending)) || name.contains(".tar")
}

impl Hub {
    pub(crate) fn start() -> Self {
        let state = Arc::new(State::default());
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, storage_port) = (hub.local_addr().unwrap().port(), storage.local_addr().unwrap().port());
        for (listener, at_storage) in [(hub, false), (storage, true)] {
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let state = Arc::clone(&state);
                    // A client that goes away in the middle is part of what is tested.
                    std::thread::spawn(move || state.serve(&stream.unwrap(), at_storage, storage_port));
                }
            });
        }
        Self { state, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Publishes the files of a directory at a branch; returns the commit.
    pub(crate) fn publish(&self, repo: &str, branch: &str, dir: &Path) -> String {
        let mut files = BTreeMap::from([("README.md".to_owned(), branch.as_bytes().to_vec())]);
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
        self.publish_files(repo, branch, files)
    }

    pub(crate) fn publish_files(&self, repo: &str, branch: &str, files: BTreeMap<String, Vec<u8>>) -> String {
        let names: Vec<u8> = files.values().flat_map(|bytes| git_blob_hex(bytes).into_bytes()).collect();
        let commit = git_blob_hex(&names);
        let revision = Arc::new(Revision { commit: commit.clone(), files });
        let mut revisions = self.state.revisions.lock().unwrap();
        revisions.insert((repo.to_owned(), branch.to_owned()), Arc::clone(&revision));
        revisions.insert((repo.to_owned(), commit.clone()), revision);
        commit
    }

    /// The same of a dataset.
    pub(crate) fn publish_dataset(&self, repo: &str, branch: &str, files: BTreeMap<String, Vec<u8>>) -> String {
        self.publish_files(&format!("datasets/{repo}"), branch, files)
    }

    /// Listings say so from here on.
    pub(crate) fn set_terms(&self, licence: &str, is_gated: bool) {
        *self.state.terms.lock().unwrap() = Terms { licence: Some(licence.to_owned()), is_gated };
    }

    /// The next answer about a file (or the `listing`) goes wrong; more calls queue up.
    pub(crate) fn once(&self, file: &str, fault: Fault) {
        self.state.once.lock().unwrap().entry(file.to_owned()).or_default().push_back(fault);
    }

    /// Every answer about a file goes wrong.
    pub(crate) fn always(&self, file: &str, fault: Fault) {
        self.state.always.lock().unwrap().insert(file.to_owned(), fault);
    }

    pub(crate) fn heal(&self) {
        self.state.always.lock().unwrap().clear();
        self.state.once.lock().unwrap().clear();
    }

    /// Lets in only who brings this token.
    pub(crate) fn require_token(&self, token: &str) {
        *self.state.token.lock().unwrap() = Some(token.to_owned());
    }

    pub(crate) fn claim_size(&self, file: &str, bytes: u64) {
        self.state.claimed.lock().unwrap().insert(file.to_owned(), bytes);
    }

    /// The listing leaves sizes and checksums out, as some mirrors do.
    pub(crate) fn list_without_checksums(&self) {
        *self.state.without_checksums.lock().unwrap() = true;
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Requests for a file's bytes so far.
    pub(crate) fn fetched(&self, file: &str) -> Vec<Seen> {
        let ending = format!("/{file}");
        let is_final = |seen: &Seen| seen.method == "GET" && !seen.path.contains("/resolve/");
        self.seen().into_iter().filter(|seen| is_final(seen) && seen.path.ends_with(&ending)).collect()
    }

    /// Bytes of a file sent so far.
    pub(crate) fn sent(&self, file: &str) -> usize {
        self.state.sent.lock().unwrap().get(file).copied().unwrap_or(0)
    }

    /// Lets everything go on that is held.
    pub(crate) fn release(&self) {
        *self.state.is_released.lock().unwrap() = true;
        self.state.released.notify_all();
    }

    /// Most files that were on their way from the storage host at the same time.
    pub(crate) fn busiest(&self) -> usize {
        self.state.busiest.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, stream: &TcpStream, at_storage: bool, storage_port: u16) {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let header = |name: &str| {
            let found = lines.iter().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
            Some(found.split_once(':')?.1.trim().to_owned())
        };
        let mut words = lines[0].split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let range = header("range").map(|range| {
            let (from, last) = range["bytes=".len()..].split_once('-').unwrap();
            (from.parse().unwrap(), last.parse().ok())
        });
        let (from, last) = (range.map(|(from, _)| from), range.and_then(|(_, last)| last));
        let authorization = header("authorization");
        let seen = Seen { at_storage, method, path, from, last, authorization };
        self.seen.lock().unwrap().push(seen.clone());
        let _ = match at_storage {
            true => {
                let now = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
                self.busiest.fetch_max(now, Ordering::SeqCst);
                let sent = self.send_file(stream, &seen);
                self.busy.fetch_sub(1, Ordering::SeqCst);
                sent
            }
            false => self.answer_as_hub(stream, &seen, storage_port),
        };
    }

    fn revision(&self, repo: &str, revision: &str) -> Option<Arc<Revision>> {
        self.revisions.lock().unwrap().get(&(repo.to_owned(), revision.replace("%2F", "/"))).cloned()
    }

    fn fault(&self, file: &str) -> Option<Fault> {
        let queued = self.once.lock().unwrap().get_mut(file).and_then(VecDeque::pop_front);
        queued.or_else(|| self.always.lock().unwrap().get(file).cloned())
    }

    fn answer_as_hub(&self, stream: &TcpStream, seen: &Seen, storage_port: u16) -> std::io::Result<()> {
        let token = self.token.lock().unwrap().clone();
        if token.is_some_and(|token| seen.authorization != Some(format!("Bearer {token}"))) {
            return head(stream, 401, &[("X-Error-Message", "Invalid username or password.")], 0);
        }
        let path = seen.path.split('?').next().unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["api", kind @ ("models" | "datasets"), owner, name, "revision", revision] => {
                if let Some(Fault::Status(status, name, value)) = self.fault("listing") {
                    return head(stream, status, &[(name, &value)], 0);
                }
                let before = if *kind == "datasets" { "datasets/" } else { "" };
                let repo = format!("{before}{owner}/{name}");
                match self.revision(&repo, revision) {
                    Some(revision) => {
                        let body = self.listing(&revision).to_string();
                        head(stream, 200, &[("Content-Type", "application/json")], body.len())?;
                        (&*stream).write_all(body.as_bytes())
                    }
                    None if self.revision(&repo, "main").is_some() => {
                        head(stream, 404, &[("X-Error-Code", "RevisionNotFound")], 0)
                    }
                    None => head(stream, 404, &[("X-Error-Code", "RepoNotFound")], 0),
                }
            }
            ["api", "resolve-cache", ..] => self.send_file(stream, seen),
            [_, _, "resolve", ..] | ["datasets", _, _, "resolve", ..] => {
                let place = Place::of(path).unwrap();
                let Some(revision) = self.revision(&place.repo, &place.commit) else {
                    return head(stream, 404, &[], 0);
                };
                let file = place.file.as_str();
                let Some(bytes) = revision.files.get(file) else {
                    return head(stream, 404, &[("X-Error-Code", "EntryNotFound")], 0);
                };
                let size = bytes.len().to_string();
                let commit = ("X-Repo-Commit", revision.commit.as_str());
                if is_large(file) {
                    let wrong = matches!(self.always.lock().unwrap().get(file), Some(Fault::OtherTag));
                    let tag = format!("\"{}\"", sha256_hex(if wrong { b"other".as_slice() } else { bytes }));
                    let to = format!("http://127.0.0.1:{storage_port}/{}", place.stored_at(commit.1));
                    let linked = [("X-Linked-Etag", tag.as_str()), ("X-Linked-Size", &size), ("Location", &to)];
                    return head(stream, 302, &[&[commit], &linked[..]].concat(), 0);
                }
                // As the real hub: small files come from a cache beside it.
                let tag = format!("W/\"{}\"", git_blob_hex(bytes));
                let kind = if place.repo.starts_with("datasets/") { "" } else { "models/" };
                let to = format!("/api/resolve-cache/{kind}{}", place.stored_at(commit.1));
                head(stream, 307, &[commit, ("X-Linked-Etag", &tag), ("X-Linked-Size", &size), ("Location", &to)], 0)
            }
            _ => head(stream, 404, &[], 0),
        }
    }

    fn listing(&self, revision: &Revision) -> Value {
        let claimed = self.claimed.lock().unwrap();
        let bare = *self.without_checksums.lock().unwrap();
        let sibling = |(name, bytes): (&String, &Vec<u8>)| {
            let size = claimed.get(name).copied().unwrap_or(bytes.len() as u64);
            match (bare, is_large(name)) {
                (true, _) => json!({ "rfilename": name }),
                (false, true) => {
                    let lfs = json!({ "sha256": sha256_hex(bytes), "size": size, "pointerSize": 135 });
                    json!({ "rfilename": name, "size": size, "blobId": git_blob_hex(b"pointer"), "lfs": lfs })
                }
                (false, false) => json!({ "rfilename": name, "size": size, "blobId": git_blob_hex(bytes) }),
            }
        };
        let terms = self.terms.lock().unwrap();
        let tags: Vec<String> = terms.licence.iter().map(|licence| format!("license:{licence}")).collect();
        let gated = if terms.is_gated { json!("auto") } else { json!(false) };
        let siblings: Vec<Value> = revision.files.iter().map(sibling).collect();
        json!({ "sha": revision.commit, "gated": gated, "tags": tags, "siblings": siblings })
    }

    /// Sends the file that a path names.
    fn send_file(&self, stream: &TcpStream, seen: &Seen) -> std::io::Result<()> {
        let Some(Place { repo, commit, file }) = Place::of(&seen.path) else { return head(stream, 404, &[], 0) };
        let file = file.as_str();
        let revision = self.revision(&repo, &commit).unwrap();
        let whole = &revision.files[file];
        let fault = self.fault(file);
        if let Some(Fault::Status(status, name, value)) = &fault {
            return head(stream, *status, &[(*name, value)], 0);
        }
        let from = seen.from.filter(|_| !matches!(fault, Some(Fault::IgnoreRange)));
        if let Some(Fault::Page(page)) = fault {
            head(stream, 200, &[("Content-Type", "text/html")], page.len())?;
            return { stream }.write_all(page.as_bytes());
        }
        if let Some(Fault::ChunkedPage(page)) = fault {
            let text = format!(
                "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{page}\r\n0\r\n\r\n",
                page.len()
            );
            return { stream }.write_all(format!("HTTP/1.1 200 OK\r\n{text}").as_bytes());
        }
        let end = seen.last.filter(|_| from.is_some()).map_or(whole.len(), |last| (last + 1).min(whole.len()));
        let mut body = whole[from.unwrap_or(0).min(end)..end].to_vec();
        match fault {
            Some(Fault::Flip) => *body.last_mut().unwrap() ^= 1,
            Some(Fault::Long) => body.extend([0; 100]),
            _ => {}
        }
        let total = if matches!(fault, Some(Fault::OtherTotal)) { whole.len() + 1 } else { whole.len() };
        let range = format!("bytes {}-{}/{total}", from.unwrap_or(0), end.saturating_sub(1));
        match from {
            Some(from) if from >= whole.len() => return head(stream, 416, &[], 0),
            Some(_) => head(stream, 206, &[("Content-Range", &range)], body.len())?,
            None => head(stream, 200, &[], body.len())?,
        }
        let mut out = Counted { stream, state: self, file };
        match fault {
            Some(Fault::Cut(count)) => out.write_all(&body[..count.min(body.len())]),
            Some(Fault::Stall(count)) => {
                out.write_all(&body[..count.min(body.len())])?;
                std::thread::sleep(Duration::from_secs(30));
                Ok(())
            }
            Some(Fault::Hold(count)) => {
                let count = count.min(body.len());
                out.write_all(&body[..count])?;
                let released = self.is_released.lock().unwrap();
                drop(self.released.wait_timeout_while(released, HOLD, |released| !*released).unwrap());
                out.write_all(&body[count..])
            }
            Some(Fault::Trickle(millis)) => body.iter().try_for_each(|byte| {
                std::thread::sleep(Duration::from_millis(millis));
                out.write_all(&[*byte])
            }),
            Some(Fault::Slow(millis)) => body.chunks(body.len().div_ceil(16).max(1)).try_for_each(|piece| {
                std::thread::sleep(Duration::from_millis(millis));
                out.write_all(piece)
            }),
            _ => out.write_all(&body),
        }
    }
}

/// A file as a path names it.
struct Place {
    /// With `datasets/` before it where it is one.
    repo: String,
    commit: String,
    file: String,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
        let path = path.trim_start_matches('/');
        let path = path.strip_prefix("api/resolve-cache/").unwrap_or(path);
        let path = path.strip_prefix("models/").unwrap_or(path);
        let (before, path) = path.strip_prefix("datasets/").map_or(("", path), |path| ("datasets/", path));
        let mut parts = path.splitn(3, '/');
        let repo = format!("{before}{}/{}", parts.next()?, parts.next()?);
        let rest = parts.next()?;
        let (commit, file) = rest.strip_prefix("resolve/").unwrap_or(rest).split_once('/')?;
        Some(Self { repo, commit: commit.to_owned(), file: file.to_owned() })
    }

    fn stored_at(&self, commit: &str) -> String {
        let file = percent_encoding::utf8_percent_encode(&self.file, percent_encoding::CONTROLS);
        format!("{}/{commit}/{}", self.repo, file.to_string().replace(' ', "%20"))
    }
}

/// How long something is held at most, so that a failing test ends.
const HOLD: Duration = Duration::from_secs(60);

/// Counts what is sent of a file.
struct Counted<'s> {
    stream: &'s TcpStream,
    state: &'s State,
    file: &'s str,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.stream.write(bytes)?;
        *self.state.sent.lock().unwrap().entry(self.file.to_owned()).or_default() += count;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn head(mut stream: &TcpStream, status: u16, headers: &[(&str, &str)], length: usize) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes())
}
