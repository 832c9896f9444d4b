//! Runs against a server that misbehaves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use super::*;
use crate::eval::judge::Endpoint;

const KEY: &str = "sk-very-secret-key";

/// What the server does at a request.
#[derive(Clone)]
enum Act {
    Reply(&'static str),
    Status(u16, &'static str, &'static str),
    /// A body that ends before its length.
    Cut,
    /// Nothing for a while.
    Slow(Duration),
    /// No answer at all.
    HangUp,
}

/// A server that acts by the question in the body: the first act at its first request, and the last for ever.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<(String, String)>>>,
    most_at_once: Arc<AtomicUsize>,
}

fn server(acts: &[(&'static str, Vec<Act>)]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let (now, most_at_once): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let acts: Arc<HashMap<&str, Vec<Act>>> = Arc::new(acts.iter().cloned().collect());
    let (all, most) = (seen.clone(), most_at_once.clone());
    // The thread ends with the process of the tests.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (acts, all, now, most) = (acts.clone(), all.clone(), now.clone(), most.clone());
            thread::spawn(move || serve(stream, &acts, &all, &now, &most));
        }
    });
    Server { url, seen, most_at_once }
}

fn serve(
    mut stream: TcpStream,
    acts: &HashMap<&str, Vec<Act>>,
    seen: &Mutex<Vec<(String, String)>>,
    now: &AtomicUsize,
    most: &AtomicUsize,
) {
    let (mut reader, mut head) = (BufReader::new(stream.try_clone().unwrap()), String::new());
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    let (name, acts) = acts.iter().find(|(name, _)| body.contains(&format!("<{name}>"))).unwrap();
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(((*name).to_owned(), head.clone()));
        seen.iter().filter(|(other, _)| other == name).count()
    };
    let act = acts[(before - 1).min(acts.len() - 1)].clone();
    let answer = |status: u16, headers: &str, body: &str, length: usize| {
        format!("HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let reply = |content: &str| {
        serde_json::json!({ "choices": [{ "message": { "content": content } }], "model": "judge-1" }).to_string()
    };
    let text = match act {
        Act::Reply(content) => {
            thread::sleep(Duration::from_millis(20));
            let body = reply(content);
            answer(200, "", &body, body.len())
        }
        Act::Status(status, headers, body) => answer(status, headers, body, body.len()),
        Act::Cut => answer(200, "", &reply("{'score': 5}")[..20], 500),
        Act::Slow(pause) => {
            thread::sleep(pause);
            String::new()
        }
        Act::HangUp => String::new(),
    };
    let _ = stream.write_all(text.as_bytes());
    now.fetch_sub(1, Ordering::SeqCst);
}

#[derive(Default)]
struct Memory {
    kept: Vec<Judged>,
    fails_after: Option<usize>,
}

impl Store for Memory {
    fn has(&self, request: &str) -> bool {
        self.kept.iter().any(|judged| judged.request == request && judged.verdict.is_some())
    }

    fn put(&mut self, judged: Vec<Judged>) -> std::io::Result<()> {
        if self.fails_after.is_some_and(|most| self.kept.len() >= most) {
            return Err(std::io::Error::other("the disk is full"));
        }
        self.kept.extend(judged);
        Ok(())
    }
}

impl Memory {
    fn of(&self, id: &str) -> &Judged {
        self.kept.iter().rfind(|judged| judged.id == id).unwrap()
    }
}

fn task(id: &str, sides: &'static [Side]) -> Task {
    let question = Question::One { question: format!("<{id}>"), answer: "a".to_owned(), prediction: "p".to_owned() };
    Task { id: id.to_owned(), question, sides }
}

fn client(server: &Server) -> Client {
    Client::new(Endpoint::new(&server.url, Some(KEY)).unwrap(), Duration::from_secs(2))
}

const PATIENT: Persistence = Persistence::Patient { attempts: 4, pause: Duration::from_millis(1) };

fn run(server: &Server, persistence: Persistence, tasks: &[Task], store: &mut Memory) -> Result<usize, RunError> {
    let manner = Manner { model: "judge", persistence, at_once: 3, interrupt: &Interrupt::default() };
    judge_all(&client(server), manner, tasks, store)
}

#[test]
fn failures_that_pass_are_lived_through() {
    let good = Act::Reply("{'score': 4.8}");
    let server = server(&[
        ("fine", vec![good.clone()]),
        ("busy", vec![Act::Status(429, "Retry-After: 1\r\n", "{\"error\": {\"message\": \"rate\"}}"), good.clone()]),
        ("broken", vec![Act::Status(500, "", "x"), Act::Status(502, "", ""), good.clone()]),
        ("cut", vec![Act::Cut, good.clone()]),
        ("slow", vec![Act::Slow(Duration::from_secs(4)), good.clone()]),
        ("page", vec![Act::Status(200, "", "<html>"), good.clone()]),
        ("gone", vec![Act::HangUp, good.clone()]),
        ("dead", vec![Act::Status(503, "", "")]),
    ]);
    let names = ["fine", "busy", "broken", "cut", "slow", "page", "gone", "dead"];
    let tasks: Vec<Task> = names.iter().map(|name| task(name, &[Side::VideoDc])).collect();
    let mut store = Memory::default();
    let begin = Instant::now();
    assert_eq!(run(&server, PATIENT, &tasks, &mut store).unwrap(), 8);
    assert!(begin.elapsed() >= Duration::from_secs(2), "a silent server is waited for");
    for (name, requests) in [("fine", 1), ("busy", 2), ("broken", 3), ("cut", 2), ("slow", 2), ("page", 2), ("gone", 2)]
    {
        let judged = store.of(name);
        assert_eq!(judged.verdict, Some(Verdict { correctness: None, score: 4 }), "{name}: {judged:?}");
        assert_eq!((judged.requests, judged.model.as_deref()), (requests, Some("judge-1")), "{name}");
        assert!(!judged.is_by_failure);
    }
    let dead = store.of("dead");
    assert_eq!((&dead.verdict, dead.requests, dead.reason.as_deref()), (&None, 4, Some("HTTP 503")));
    assert_eq!(store.of("slow").reason.as_deref(), Some("no answer in time"));
    assert!(server.most_at_once.load(Ordering::SeqCst) <= 3 + 1, "a request given up may still be open");
    // Another run asks only for what has no verdict.
    server.seen.lock().unwrap().clear();
    assert_eq!(run(&server, PATIENT, &tasks, &mut store).unwrap(), 1);
    assert!(server.seen.lock().unwrap().iter().all(|(name, _)| name == "dead"));
}

#[test]
fn a_server_s_pause_is_kept() {
    let pause = Act::Status(429, "Retry-After: 1\r\n", "{}");
    let server = server(&[("a", vec![pause, Act::Reply("{'score': 1}")])]);
    let begin = Instant::now();
    run(&server, PATIENT, &[task("a", &[Side::Context])], &mut Memory::default()).unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[test]
fn the_harness_s_verdict_for_failures_is_marked() {
    let server = server(&[("a", vec![Act::Status(500, "", "x")]), ("b", vec![Act::Status(200, "", "[")])]);
    let mut store = Memory::default();
    let tasks = [task("a", &[Side::VideoDc]), task("b", &[Side::ActivityNetQa])];
    run(&server, Persistence::AsHarness, &tasks, &mut store).unwrap();
    let judged = store.of("a");
    assert_eq!((judged.requests, judged.verdict.as_ref().map(|verdict| verdict.score)), (1, Some(0)));
    assert!(judged.is_by_failure);
    // Five bodies that are no JSON end the harness.
    assert_eq!((store.of("b").requests, &store.of("b").verdict), (5, &None));
}

const SIDES: &[Side] = &[Side::Correctness, Side::DetailedOrientation, Side::Context];

#[test]
fn where_one_side_fails_the_harness_fails_all() {
    let acts = vec![Act::Reply("{'score': 4}"), Act::Status(200, "", "{}")];
    let server = server(&[("a", acts)]);
    let mut store = Memory::default();
    // No benchmark has these sides together: VideoDC's is the one that fails without pauses.
    const DC_FIRST: &[Side] = &[Side::Correctness, Side::VideoDc, Side::Context];
    run(&server, Persistence::AsHarness, &[task("a", DC_FIRST)], &mut store).unwrap();
    let scores: Vec<_> = store.kept.iter().map(|judged| (judged.side, judged.is_by_failure)).collect();
    let failed = DC_FIRST.iter().map(|&side| (side, true));
    assert_eq!(scores, [(Side::Correctness, false)].into_iter().chain(failed).collect::<Vec<_>>());
    assert_eq!(server.seen.lock().unwrap().len(), 2, "the third side is not asked for");
}

#[test]
fn patience_keeps_the_sides_that_came_and_asks_for_the_others_again() {
    let acts = vec![
        Act::Reply("{'score': 4}"),
        Act::Status(500, "", ""),
        Act::Reply("{'score': 3}"),
        Act::Reply("{'score': 2}"),
    ];
    let server = server(&[("a", acts)]);
    let (mut store, tasks) = (Memory::default(), [task("a", SIDES)]);
    let persistence = Persistence::Patient { attempts: 1, pause: Duration::ZERO };
    assert_eq!(run(&server, persistence, &tasks, &mut store).unwrap(), 1);
    let scores = |store: &Memory| -> Vec<_> {
        store.kept.iter().map(|judged| (judged.side, judged.verdict.as_ref().map(|verdict| verdict.score))).collect()
    };
    let first = [(Side::Correctness, Some(4)), (Side::DetailedOrientation, None), (Side::Context, Some(3))];
    assert_eq!(scores(&store), first);
    assert_eq!(run(&server, persistence, &tasks, &mut store).unwrap(), 1);
    assert_eq!(scores(&store)[3..], [(Side::DetailedOrientation, Some(2))]);
    assert_eq!(run(&server, persistence, &tasks, &mut store).unwrap(), 0);
    assert_eq!(server.seen.lock().unwrap().len(), 4);
}

#[test]
fn a_server_that_answers_nothing_ends_the_run() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let acts: Vec<_> = names.iter().map(|&name| (name, vec![Act::Status(503, "", "")])).collect();
    let server = server(&acts);
    let tasks: Vec<Task> = names.iter().map(|name| task(name, &[Side::Context])).collect();
    let persistence = Persistence::Patient { attempts: 1, pause: Duration::ZERO };
    let error = run(&server, persistence, &tasks, &mut Memory::default()).unwrap_err();
    assert!(
        error.to_string().contains("gave no answer to 6 questions in a row") && error.to_string().ends_with("HTTP 503"),
        "{error}"
    );
    assert!(server.seen.lock().unwrap().len() < 12);
}

#[test]
fn all_wait_while_the_server_asks_for_a_pause() {
    let busy = vec![Act::Status(429, "Retry-After: 1\r\n", "{}"), Act::Reply("{'score': 1}")];
    let server = server(&[("a", busy), ("b", vec![Act::Reply("{'score': 1}")])]);
    let begin = Instant::now();
    let manner = Manner { model: "judge", persistence: PATIENT, at_once: 1, interrupt: &Interrupt::default() };
    let tasks = [task("a", &[Side::Context]), task("b", &[Side::Context])];
    judge_all(&client(&server), manner, &tasks, &mut Memory::default()).unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_refusal_ends_the_run_and_keeps_the_key_to_itself() {
    let words = "{\"error\": {\"message\": \"Incorrect API key provided: sk-very-secret-key.\"}}";
    let server = server(&[("a", vec![Act::Status(401, "", words)])]);
    let error = run(&server, PATIENT, &[task("a", &[Side::Context])], &mut Memory::default()).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("HTTP 401: Incorrect API key provided: [key].") && !text.contains("secret"), "{text}");
    let seen = server.seen.lock().unwrap();
    assert!(seen[0].1.to_lowercase().contains(&format!("authorization: bearer {KEY}")));
    assert_eq!(seen.len(), 1);
}

#[test]
fn no_reason_holds_the_key() {
    let words = "{\"error\": {\"message\": \"key sk-very-secret-key is busy\\n\"}}";
    let server = server(&[("a", vec![Act::Status(500, "", words)])]);
    let mut store = Memory::default();
    run(&server, PATIENT, &[task("a", &[Side::Context])], &mut store).unwrap();
    assert_eq!(store.of("a").reason.as_deref(), Some("HTTP 500: key [key] is busy"));
    assert!(!format!("{:?}", store.kept).contains("secret"));
}

#[test]
fn a_store_that_fails_ends_the_run() {
    let server = server(&[("a", vec![Act::Reply("{}")]), ("b", vec![Act::Reply("{}")])]);
    let mut store = Memory { fails_after: Some(1), ..Memory::default() };
    let tasks = [task("a", &[Side::Context]), task("b", &[Side::Context])];
    let error = run(&server, PATIENT, &tasks, &mut store).unwrap_err();
    assert!(matches!(error, RunError::Store(_)), "{error:?}");
    assert_eq!(store.kept.len(), 1);
}

#[test]
fn a_run_stops_within_a_pause() {
    let server = server(&[("a", vec![Act::Status(429, "Retry-After: 600\r\n", "{}")])]);
    let interrupt = Interrupt::default();
    let manner = Manner { model: "judge", persistence: PATIENT, at_once: 1, interrupt: &interrupt };
    let (client, mut store) = (client(&server), Memory::default());
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while server.seen.lock().unwrap().is_empty() {
                thread::sleep(BLINK);
            }
            interrupt.cell().store(15, Ordering::Relaxed);
        });
        judge_all(&client, manner, &[task("a", &[Side::Context])], &mut store).unwrap_err()
    });
    assert!(matches!(error, RunError::Stopped(Interrupted { signal: 15 })));
    assert!(store.kept.is_empty());
}
