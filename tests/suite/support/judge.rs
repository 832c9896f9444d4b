//! A judge on loopback that misbehaves on demand.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What the server does at a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// A reply with these words.
    Say(&'static str),
    /// A status, headers of its own, and a body.
    Status(u16, &'static str, &'static str),
    /// A body that ends before its length.
    Cut,
    /// Nothing for a while, and then nothing.
    Slow(Duration),
    /// A reply after a while.
    Late(Duration, &'static str),
}

/// A request, as it came.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

/// A server that acts by a word in the question: the first act at the word's first request, and the last for ever.
pub(crate) struct Judge {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    acts: Arc<Mutex<HashMap<String, Vec<Act>>>>,
    most_at_once: Arc<AtomicUsize>,
}

impl Judge {
    /// What the server does at a question with the word; the empty word stands for all others.
    pub(crate) fn new(acts: &[(&str, Vec<Act>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let judge = Self { url, asked: Arc::default(), acts: Arc::default(), most_at_once: Arc::default() };
        judge.act(acts);
        let (asked, acts, most) = (judge.asked.clone(), judge.acts.clone(), judge.most_at_once.clone());
        let now: Arc<AtomicUsize> = Arc::default();
        // The thread ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, acts, most, now) = (asked.clone(), acts.clone(), most.clone(), now.clone());
                thread::spawn(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let reply = reply_to(&stream, &asked, &acts);
                    // Before the reply goes out: whoever has it may ask again at once.
                    now.fetch_sub(1, Ordering::SeqCst);
                    // Whoever asked may have gone.
                    let _ = (&stream).write_all(reply.unwrap_or_default().as_bytes());
                });
            }
        });
        judge
    }

    /// Acts otherwise from now on, and forgets what was asked.
    pub(crate) fn act(&self, acts: &[(&str, Vec<Act>)]) {
        *self.acts.lock().unwrap() = acts.iter().map(|(word, acts)| ((*word).to_owned(), acts.clone())).collect();
        self.asked.lock().unwrap().clear();
    }

    /// The most requests that were open at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Which of the words stands in a body.
fn word<'w>(body: &Value, words: impl Iterator<Item = &'w String>) -> String {
    let text = body.to_string();
    words.filter(|word| !word.is_empty()).find(|word| text.contains(word.as_str())).cloned().unwrap_or_default()
}

/// Reads a request and acts: the bytes that answer it, or `None` where the connection ended before.
fn reply_to(stream: &TcpStream, asked: &Mutex<Vec<Asked>>, acts: &Mutex<HashMap<String, Vec<Act>>>) -> Option<String> {
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let act = {
        let (acts, mut asked) = (acts.lock().unwrap(), asked.lock().unwrap());
        let own = word(&body, acts.keys());
        let before = asked.iter().filter(|other| word(&other.body, acts.keys()) == own).count();
        asked.push(Asked { head, body: body.clone(), at: Instant::now() });
        acts[&own][before.min(acts[&own].len() - 1)].clone()
    };
    let reply =
        |words: &str| json!({ "choices": [{ "message": { "content": words } }], "model": "judge-v2" }).to_string();
    let answer = |status: u16, headers: &str, body: &str, length: usize| {
        format!("HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    Some(match act {
        Act::Say(words) => {
            let body = reply(words);
            answer(200, "", &body, body.len())
        }
        Act::Late(pause, words) => {
            thread::sleep(pause);
            let body = reply(words);
            answer(200, "", &body, body.len())
        }
        Act::Status(status, headers, body) => answer(status, headers, body, body.len()),
        Act::Cut => answer(200, "", "{\"choices\": [{\"mess", 500),
        Act::Slow(pause) => {
            thread::sleep(pause);
            String::new()
        }
    })
}
