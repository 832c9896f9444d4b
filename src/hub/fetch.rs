//! One file from the hub to its place in the cache: continued where it was cut, watched for stalls, checked, then put in
//! place as a whole.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::client::{Answer, Asked, Failure, transport};
use super::digest::Hasher;
use super::listing::{RemoteFile, resolve_path};
use super::lock::Lock;
use super::pull::Event;
use super::session::{Halt, Patience, Session};
use super::{Digest, Error};

const BUFFER_BYTES: usize = 1 << 18;

/// A stream slower than this over three times the stall timeout counts as stalled.
const SLOWEST_BYTES_PER_SEC: f64 = 1024.0;

/// Brings one file into the cache, unless another process does or did.
pub(super) fn fetch(session: &Session, commit: &str, file: &RemoteFile) -> Result<(), Halt> {
    let cache = &session.cache;
    let asked = Asked { repo: &session.repo, file: Some(&file.name) };
    let left = || file.size.saturating_sub(cache.incomplete_bytes(&file.digest).min(file.size));
    let expected = left();
    let mut told = false;
    let _lock = Lock::wait(&cache.lock(&file.digest), || {
        if !std::mem::replace(&mut told, true) {
            session.tell(Event::Waiting { what: asked.what() });
        }
        session.check_stop()
    })?;
    let is_there = cache.holds(commit, &file.name, file.size, &file.digest);
    // What another process has fetched meanwhile is not ours to wait for.
    session.total.fetch_sub(expected.saturating_sub(if is_there { 0 } else { left() }), Ordering::Relaxed);
    if is_there {
        return Ok(());
    }
    let mut partial = Partial::open(session, file)?;
    let mut patience = Patience::new(session, session.settings.retries);
    let mut furthest = partial.len;
    loop {
        let is_continued = partial.len > 0;
        let outcome = match receive(session, commit, file, &asked, &mut partial) {
            Ok(()) => match partial.found() {
                found if found == file.digest => return Ok(partial.place(&cache.blob(&file.digest))?),
                // What was kept of an earlier run, or of before the cut, may be what is wrong.
                _ if is_continued => Failure::Restart { reason: "its checksum is wrong".to_owned() },
                found => {
                    partial.discard()?;
                    let expected = file.digest.clone();
                    return Err(Error::Checksum { file: file.name.clone(), expected, found }.into());
                }
            },
            Err(Failure::Fatal(error)) => return Err(error.into()),
            Err(failure) => failure,
        };
        session.check_stop()?;
        if partial.len > furthest {
            furthest = partial.len;
            patience.renew();
        }
        if let Failure::Restart { .. } = outcome {
            partial.restart(session)?;
        }
        patience.after(outcome, &asked)?;
    }
}

/// Receives what is missing; a short answer is a failure, a long one too.
fn receive(
    session: &Session,
    commit: &str,
    file: &RemoteFile,
    asked: &Asked<'_>,
    partial: &mut Partial,
) -> Result<(), Failure> {
    if partial.len == file.size && partial.len > 0 {
        return Ok(());
    }
    let path = resolve_path(&session.repo, commit, &file.name);
    let answer = session.client.get(&path, partial.len, asked)?;
    check_answer(session, commit, file, asked, &answer)?;
    if partial.len > 0 {
        let from = answer.response.headers().get("content-range").and_then(|value| value.to_str().ok());
        let continues = from.is_some_and(|from| from.starts_with(&format!("bytes {}-", partial.len)));
        match answer.response.status().as_u16() {
            206 if continues => {}
            206 => return Err(Failure::Restart { reason: format!("it continues elsewhere: {from:?}") }),
            // A server that cannot continue sends all of it.
            _ => partial.restart(session).map_err(Failure::Fatal)?,
        }
    }
    let mut body = answer.response.into_body().into_reader();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut watchdog = Watchdog::new(session.settings.stall_timeout.as_secs_f64());
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) if partial.len == file.size => return Ok(()),
            Ok(0) => return Err(cut(partial.len, file.size)),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_failure(session, error)),
        };
        if session.stop.load(Ordering::Relaxed) {
            return Err(Failure::transient("stopped".to_owned()));
        }
        if partial.len + count as u64 > file.size {
            let reason = format!("more than its {} bytes came", file.size);
            return Err(Failure::Restart { reason });
        }
        partial.append(&buffer[..count]).map_err(Failure::Fatal)?;
        session.done.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(reason) = watchdog.after(count) {
            return Err(Failure::transient(reason));
        }
    }
}

/// What the hub says about the file must be what it said in its listing.
fn check_answer(
    session: &Session,
    commit: &str,
    file: &RemoteFile,
    asked: &Asked<'_>,
    answer: &Answer,
) -> Result<(), Failure> {
    let bad = |message: String| {
        let host = session.client.host().to_owned();
        Err(Failure::Fatal(Error::BadAnswer { what: asked.what(), host, message }))
    };
    if let Some(other) = answer.hub_header("x-repo-commit").filter(|other| *other != commit) {
        return bad(format!("it is of commit {other}, not {commit}"));
    }
    if let Some(tag) =
        answer.hub_header("x-linked-etag").filter(|tag| Digest::parse_etag(tag).as_ref() != Some(&file.digest))
    {
        return bad(format!("its entity tag is {tag}, but its checksum {}", file.digest));
    }
    if let Some(size) = answer.hub_header("x-linked-size").filter(|size| size.parse() != Ok(file.size)) {
        return bad(format!("it has {size} bytes instead of {}", file.size));
    }
    match answer.response.headers().get("content-encoding").and_then(|value| value.to_str().ok()) {
        None | Some("identity") => Ok(()),
        Some(encoding) => bad(format!("it comes encoded as {encoding}")),
    }
}

fn cut(received: u64, size: u64) -> Failure {
    Failure::transient(format!("the connection ended after {received} of {size} bytes"))
}

fn read_failure(session: &Session, error: std::io::Error) -> Failure {
    match error.downcast::<ureq::Error>() {
        Ok(ureq::Error::Timeout(_)) => {
            Failure::transient(format!("nothing came for {} s", session.settings.stall_timeout.as_secs()))
        }
        Ok(error) => transport(&error),
        Err(error) => Failure::transient(error.to_string()),
    }
}

/// Notices a stream that never stops for long but hardly moves.
struct Watchdog {
    window_secs: f64,
    since: Instant,
    bytes: usize,
}

impl Watchdog {
    fn new(stall_secs: f64) -> Self {
        Self { window_secs: 3.0 * stall_secs, since: Instant::now(), bytes: 0 }
    }

    fn after(&mut self, count: usize) -> Option<String> {
        self.bytes += count;
        let secs = self.since.elapsed().as_secs_f64();
        if secs < self.window_secs {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.since = Instant::now();
        (bytes as f64 / secs < SLOWEST_BYTES_PER_SEC).then(|| format!("only {bytes} bytes came in {secs:.0} s"))
    }
}

/// What has arrived of a file, and its checksum so far.
///
/// Bytes are written at their own offset: should two processes ever write at once, on a file system whose locks do not
/// hold, they write the same bytes at the same places.
struct Partial {
    path: PathBuf,
    file: File,
    len: u64,
    size: u64,
    digest: Digest,
    hasher: Hasher,
}

impl Partial {
    /// Continues with what an earlier run left, if it left something.
    fn open(session: &Session, remote: &RemoteFile) -> Result<Self, Halt> {
        let path = session.cache.incomplete(&remote.digest);
        let write = |source| Error::Write { path: path.clone(), source };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(write)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(write)?;
        let (size, digest) = (remote.size, remote.digest.clone());
        let hasher = digest.hasher(size);
        let mut partial = Self { path, file, len: 0, size, digest, hasher };
        partial.hash_kept(session)?;
        Ok(partial)
    }

    fn hash_kept(&mut self, session: &Session) -> Result<(), Halt> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            session.check_stop()?;
            let count = match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { path: self.path.clone(), source }.into()),
            };
            self.hasher.update(&buffer[..count]);
            self.len += count as u64;
            if self.len > self.size {
                return Ok(self.restart(session)?);
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what has arrived; it will have to come again.
    fn restart(&mut self, session: &Session) -> Result<(), Error> {
        let empty = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        empty.map_err(|source| Error::Write { path: self.path.clone(), source })?;
        session.total.fetch_add(self.len.min(self.size), Ordering::Relaxed);
        self.len = 0;
        self.hasher = self.digest.hasher(self.size);
        Ok(())
    }

    fn found(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Puts the whole file in its place, in one step and after it has reached the disk.
    fn place(self, blob: &Path) -> Result<(), Error> {
        let place = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, blob));
        place.map_err(|source| Error::Write { path: blob.to_owned(), source })
    }

    fn discard(self) -> Result<(), Error> {
        std::fs::remove_file(&self.path).map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}
