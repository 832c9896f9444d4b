//! One file from the hub to its place in the cache: continued where it was cut, watched for stalls, checked, then put
//! in place as a whole. Or only the head of a weight file, which the rest is appended to later.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ureq::Body;
use ureq::http::Response;

use super::client::{Answer, Asked, Failure, transport};
use super::digest::Digest;
use super::error::Error;
use super::events::{Event, Halt};
use super::listing::resolve_path;
use super::lock::{Lock, Mode};
use super::partial::Partial;
use super::remote::RemoteFile;
use super::session::{Patience, Session};
use crate::checkpoint::head::{self, Found};

const BUFFER_BYTES: usize = 1 << 18;

/// What is asked for of a weight file before its head's length is known: the whole head of most shards.
const HEAD_BYTES: u64 = 1 << 16;

/// A stream slower than this over three times the stall timeout counts as stalled.
const SLOWEST_BYTES_PER_SEC: f64 = 1024.0;

/// Brings one file into the cache, unless another process does or did.
pub(super) fn fetch(session: &Session, commit: &str, file: &RemoteFile) -> Result<(), Halt> {
    let cache = &session.cache;
    let lock = lock(session, file)?;
    if session.has(commit, file) {
        session.set_here(&file.digest, file.size);
        return Ok(());
    }
    if let Some(twin) = session.twin(file) {
        cache.copy_to_blob(&twin, &file.digest)?;
        session.set_here(&file.digest, file.size);
        return Ok(());
    }
    let mut receiver = Receiver::open(session, commit, file, &lock)?;
    loop {
        receiver.receive_until(file.size)?;
        match receiver.partial.found() {
            found if found == file.digest => return Ok(receiver.partial.place(&cache.blob(&file.digest))?),
            // What was kept of an earlier run, or of before the cut, may be what is wrong.
            _ if receiver.partial.is_continued => {
                receiver.failed(Failure::Restart { reason: "its checksum is wrong".to_owned() })?;
            }
            found => {
                receiver.partial.discard()?;
                let expected = file.digest.clone();
                return Err(Error::Checksum { file: file.name.clone(), expected, found }.into());
            }
        }
    }
}

/// The head of a weight file: of what is here, else as much of the file as that takes is fetched and kept.
pub(super) fn fetch_head(session: &Session, commit: &str, file: &RemoteFile) -> Result<Vec<u8>, Halt> {
    let kept = || {
        session.cache.places(commit, file).iter().find_map(|path| match head::find(path, file.size) {
            Ok(Found::Whole(head)) => Some(head),
            _ => None,
        })
    };
    if let Some(head) = kept() {
        return Ok(head);
    }
    let lock = lock(session, file)?;
    if let Some(head) = kept() {
        return Ok(head);
    }
    let mut receiver = Receiver::open(session, commit, file, &lock)?;
    loop {
        let path = receiver.partial.path();
        let found = head::find(path, file.size).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        match found {
            Found::Whole(head) => return Ok(head),
            Found::Cut { wanted } => receiver.receive_until(wanted.max(HEAD_BYTES).min(file.size))?,
            Found::Invalid(_) if receiver.partial.is_continued => {
                receiver.failed(Failure::Restart { reason: "what was kept of it is not a weight file".to_owned() })?;
            }
            Found::Invalid(message) => {
                let host = session.client.host().to_owned();
                let what = receiver.asked.what();
                receiver.partial.discard()?;
                return Err(Error::BadAnswer { what, host, message }.into());
            }
        }
    }
}

/// Waits until no other process downloads the file.
fn lock(session: &Session, file: &RemoteFile) -> Result<Lock, Halt> {
    let mut told = false;
    Lock::wait(&session.cache.lock(&file.digest), Mode::Exclusive, || {
        if !std::mem::replace(&mut told, true) {
            let asked = Asked { repo: &session.repo, file: Some(&file.name) };
            session.tell(Event::Waiting { reason: format!("another process is downloading {}", asked.what()) });
        }
        session.check_stop()
    })
}

/// A file that is being received, over as many requests as that takes.
struct Receiver<'s> {
    session: &'s Session,
    commit: &'s str,
    file: &'s RemoteFile,
    asked: Asked<'s>,
    partial: Partial,
    patience: Patience<'s>,
}

impl<'s> Receiver<'s> {
    /// Continues what an earlier run left.
    fn open(session: &'s Session, commit: &'s str, file: &'s RemoteFile, lock: &Lock) -> Result<Self, Halt> {
        let partial = Partial::open(session, file, lock)?;
        session.set_here(&file.digest, partial.len());
        let mut patience = Patience::new(session, session.settings.retries);
        patience.reached(partial.len());
        let asked = Asked { repo: &session.repo, file: Some(&file.name) };
        Ok(Self { session, commit, file, asked, partial, patience })
    }

    /// Receives what is missing before byte `end`.
    fn receive_until(&mut self, end: u64) -> Result<(), Halt> {
        loop {
            match self.receive(end) {
                Ok(()) => return Ok(()),
                Err(failure) => self.failed(failure)?,
            }
        }
    }

    /// Pauses before another try.
    ///
    /// # Errors
    /// As [`Patience::after`].
    fn failed(&mut self, failure: Failure) -> Result<(), Halt> {
        if let Failure::Fatal(error) = failure {
            return Err(error.into());
        }
        self.session.check_stop()?;
        self.patience.reached(self.partial.len());
        if let Failure::Restart { .. } = failure {
            self.restart()?;
        }
        self.patience.after(failure, &self.asked)
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.partial.restart()?;
        self.session.set_here(&self.file.digest, 0);
        Ok(())
    }

    /// One request; a short answer is a failure, a long one too.
    fn receive(&mut self, end: u64) -> Result<(), Failure> {
        let (session, size) = (self.session, self.file.size);
        let is_part = end < size;
        if self.partial.len() >= end && self.partial.len() > 0 {
            return Ok(());
        }
        self.partial.is_continued |= self.partial.len() > 0;
        let path = resolve_path(&session.repo, self.commit, &self.file.name);
        let answer = session.client.get(&path, self.partial.len(), is_part.then_some(end), &self.asked)?;
        check_answer(session, self.commit, self.file, &self.asked, &answer)?;
        let content = Content::of(&answer.response, self.partial.len(), size)?;
        if content.is_whole && self.partial.len() > 0 {
            // A server that cannot continue sends all of it.
            self.restart().map_err(Failure::Fatal)?;
        }
        let mark = self.partial.mark();
        let mut body = answer.response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut watchdog = Watchdog::new(session.settings.stall_timeout.as_secs_f64());
        while !is_part || self.partial.len() < end {
            let count = match body.read(&mut buffer) {
                Ok(0) if self.partial.len() == size => return Ok(()),
                Ok(0) if content.has_length => return Err(cut(self.partial.len(), size)),
                Ok(0) => {
                    // It ended where its sender meant it to end, so it is something else.
                    let reason = format!("the answer ended after {} of {size} bytes", self.partial.len());
                    let failure = Failure::transient(reason);
                    self.partial.rewind(mark).map_err(Failure::Fatal)?;
                    return Err(failure);
                }
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_failure(session, error)),
            };
            if session.stop.load(Ordering::Relaxed) {
                return Err(Failure::transient("stopped".to_owned()));
            }
            let room = usize::try_from(end - self.partial.len()).unwrap_or(usize::MAX);
            if count > room && !is_part {
                return Err(Failure::Restart { reason: format!("more than its {size} bytes came") });
            }
            let piece = &buffer[..count.min(room)];
            self.partial.append(piece).map_err(Failure::Fatal)?;
            session.received.fetch_add(piece.len() as u64, Ordering::Relaxed);
            session.set_here(&self.file.digest, self.partial.len());
            if let Some(reason) = watchdog.after(count) {
                return Err(Failure::transient(reason));
            }
        }
        Ok(())
    }
}

/// What an answer's headers say that its body is.
struct Content {
    /// The whole file, not a part from the byte asked for on.
    is_whole: bool,
    /// Its length is known, so that a body that ends early was cut.
    has_length: bool,
}

impl Content {
    /// Refuses, before anything is written, a body that cannot be of the file: a proxy's own page, another file's part.
    fn of(response: &Response<Body>, from: u64, size: u64) -> Result<Self, Failure> {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let is_whole = response.status().as_u16() != 206;
        let expected = match header("content-range").filter(|_| !is_whole) {
            None if is_whole => size,
            range => {
                let said = range.unwrap_or("no range");
                let (first, last, total) = range.and_then(content_range).ok_or_else(|| {
                    Failure::transient(format!("the answer does not say which part of the file it is ({said})"))
                })?;
                if total.is_some_and(|total| total != size) || last >= size {
                    return Err(Failure::transient(format!(
                        "the answer is part of another file ({said}, not {size} bytes)"
                    )));
                }
                if first != from {
                    return Err(Failure::Restart {
                        reason: format!("the answer begins at another byte ({said}, not {from})"),
                    });
                }
                last - first + 1
            }
        };
        match header("content-length").and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length > expected => {
                Err(Failure::transient(format!("the answer has {length} bytes, more than its {expected}")))
            }
            Some(length) if length < expected => {
                Err(Failure::transient(format!("the answer has {length} bytes instead of {expected}")))
            }
            None if is_whole && from > 0 => {
                Err(Failure::transient("the answer starts over and does not say how long it is".to_owned()))
            }
            length => Ok(Self { is_whole, has_length: length.is_some() }),
        }
    }
}

/// `bytes FIRST-LAST/TOTAL`, where the total can be `*`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (first <= last).then_some((first, last, total))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn content(status: u16, range: Option<&str>, length: Option<u64>, from: u64) -> Result<(bool, bool), bool> {
        let mut response = Response::builder().status(status);
        if let Some(range) = range {
            response = response.header("content-range", range);
        }
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        let response = response.body(Body::builder().data("")).expect("a response");
        match Content::of(&response, from, 1000) {
            Ok(content) => Ok((content.is_whole, content.has_length)),
            Err(failure) => Err(matches!(failure, Failure::Restart { .. })),
        }
    }

    #[test]
    fn only_bodies_of_the_right_length_are_taken() {
        assert_eq!(content(200, None, Some(1000), 0), Ok((true, true)));
        assert_eq!(content(200, None, None, 0), Ok((true, false)));
        assert_eq!(content(200, None, Some(1000), 7), Ok((true, true)), "all of it again");
        assert_eq!(content(206, Some("bytes 7-999/1000"), Some(993), 7), Ok((false, true)));
        assert_eq!(content(206, Some("bytes 7-99/1000"), Some(93), 7), Ok((false, true)), "less than asked for");
        assert_eq!(content(206, Some("bytes 7-999/*"), None, 7), Ok((false, false)));
        for (status, range, length, from) in [
            (200, None, Some(321), 0),
            (200, None, Some(1001), 0),
            (200, None, Some(321), 7),
            (200, None, None, 7),
            (206, Some("bytes 7-999/1001"), Some(993), 7),
            (206, Some("bytes 7-1000/*"), Some(994), 7),
            (206, Some("bytes 7-999/1000"), Some(321), 7),
            (206, Some("bytes */1000"), Some(993), 7),
            (206, None, Some(993), 7),
        ] {
            let refused = content(status, range, length, from);
            assert_eq!(refused, Err(false), "{status} {range:?} {length:?} from {from}: what is kept stays");
        }
        assert_eq!(content(206, Some("bytes 8-999/1000"), Some(992), 7), Err(true));
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_read_or_refused(first in 0u64..99, more in 0u64..99, total: Option<u32>, noise in ".{0,20}") {
            let total = total.map(u64::from);
            let shown = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
            let last = first + more;
            proptest::prop_assert_eq!(
                content_range(&format!("bytes {first}-{last}/{shown}")), Some((first, last, total))
            );
            if let Some((first, last, _)) = content_range(&noise) {
                proptest::prop_assert!(first <= last);
            }
        }
    }
}
