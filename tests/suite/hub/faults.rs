//! A hub that refuses, errs, stalls or lies: said in one line, and never a half file in place.

use std::collections::BTreeMap;

use crate::support::hub::{Fault, Hub};
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::{SHARDED, SINGLE, run};

fn status(status: u16) -> Fault {
    Fault::Status(status, "X-Test", String::new())
}

#[test]
fn a_wrong_checksum_is_refused_and_nothing_of_it_stays() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    hub.always(WEIGHTS, Fault::Flip);
    home.run(["model", "pull", REPO]).fails_with(&[WEIGHTS, "wrong checksum", "thrown away", "hint: "]);
    assert!(home.incomplete(REPO).is_empty());
    assert!(!home.folder(REPO).join("snapshots").join(&commit).join(WEIGHTS).exists());
    hub.always(WEIGHTS, Fault::Long);
    home.run(["model", "pull", REPO, "--retries", "1"]).fails_with(&[WEIGHTS, "more than its"]);
    hub.always(WEIGHTS, Fault::OtherTag);
    home.run(["model", "pull", REPO]).fails_with(&[WEIGHTS, "entity tag"]);
    hub.heal();
    home.run(["model", "pull", REPO]).stdout_of_success();
}

#[test]
fn small_files_are_checked_too() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.always("config.json", Fault::Flip);
    home.run(["model", "pull", REPO]).fails_with(&["config.json", "wrong checksum", "git blob"]);
    assert!(hub.fetched(WEIGHTS).is_empty(), "weights were fetched without a config");
}

#[test]
fn a_damaged_part_of_an_earlier_run_is_noticed_and_fetched_anew() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Cut(1000));
    hub.once(WEIGHTS, status(500));
    home.run(["model", "pull", REPO, "--retries", "1"]).fails_with(&["HTTP 500"]);
    let partial = home.incomplete(REPO).pop().unwrap();
    std::fs::write(&partial, vec![7; 1000]).unwrap();
    home.run(["model", "pull", REPO]).stdout_of_success();
    let starts: Vec<Option<usize>> = hub.fetched(WEIGHTS).iter().map(|seen| seen.from).collect();
    assert_eq!(starts, [None, Some(1000), Some(1000), None]);
}

#[test]
fn a_part_that_is_too_long_or_cannot_be_continued_is_fetched_anew() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Cut(1000));
    hub.once(WEIGHTS, Fault::IgnoreRange);
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).len(), 2);

    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Cut(1000));
    hub.once(WEIGHTS, status(500));
    home.run(["model", "pull", REPO, "--retries", "1"]).fails_with(&["HTTP 500"]);
    std::fs::write(home.incomplete(REPO).pop().unwrap(), vec![7; 1 << 20]).unwrap();
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).last().unwrap().from, None);
}

/// A proxy's page, a part of another file: nothing of them becomes a part of the weights, and nothing kept is lost.
#[test]
fn a_body_of_another_length_is_not_written() {
    let page = "<html>Please log in to the guest network.</html>";
    for fault in [Fault::Page(page), Fault::ChunkedPage(page), Fault::OtherTotal] {
        let (hub, home, _) = hub_with(SINGLE, REPO);
        hub.once(WEIGHTS, Fault::Cut(1000));
        hub.once(WEIGHTS, fault.clone());
        hub.once(WEIGHTS, fault.clone());
        home.run(["model", "pull", REPO]).stdout_of_success();
        let starts: Vec<Option<usize>> = hub.fetched(WEIGHTS).iter().map(|seen| seen.from).collect();
        assert_eq!(starts, [None, Some(1000), Some(1000), Some(1000)], "{fault:?}");
    }
    for fault in [Fault::Page(page), Fault::ChunkedPage(page)] {
        let (hub, home, _) = hub_with(SINGLE, REPO);
        hub.always(WEIGHTS, fault.clone());
        home.run(["model", "pull", REPO, "--retries", "1"]).fails_with(&[WEIGHTS, "bytes"]);
        let kept: u64 = home.incomplete(REPO).iter().map(|path| path.metadata().unwrap().len()).sum();
        assert_eq!(kept, 0, "{fault:?}");
        hub.heal();
        home.run(["model", "pull", REPO]).stdout_of_success();
        assert_eq!(hub.fetched(WEIGHTS).last().unwrap().from, None);
    }
}

#[test]
fn a_stalled_stream_is_opened_again() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Stall(1234));
    hub.once(WEIGHTS, Fault::Trickle(100));
    let run = home.run_impatiently(["model", "pull", REPO, "-v"]);
    run.stdout_of_success();
    assert!(run.stderr.contains("nothing came for 1 s"), "{}", run.stderr);
    assert!(run.stderr.contains("bytes came in "), "{}", run.stderr);
    let starts: Vec<usize> = hub.fetched(WEIGHTS).iter().map(|seen| seen.from.unwrap_or(0)).collect();
    // On a busy machine a second can pass without a byte once more.
    assert!(starts.len() >= 3 && starts[..2] == [0, 1234], "{starts:?}");
    assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
}

#[test]
fn a_hub_that_never_answers_is_given_up() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.always(WEIGHTS, Fault::Stall(0));
    home.run_impatiently(["model", "pull", REPO, "--retries", "1"]).fails_with(&[
        WEIGHTS,
        "nothing came for 1 s",
        "2 times",
        "hint: ",
    ]);
    let mut nobody = home.command(["model", "pull", "owner/other", "--retries", "1"]);
    run(nobody.env("HF_ENDPOINT", "http://127.0.0.1:1")).fails_with(&["owner/other", "127.0.0.1:1", "hint: "]);
}

#[test]
fn servers_in_trouble_are_asked_again_and_then_given_up() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once("listing", status(500));
    hub.once("config.json", status(502));
    hub.once(WEIGHTS, status(503));
    // The storage's signed addresses run out; the hub gives new ones.
    hub.once(WEIGHTS, status(403));
    home.run(["model", "pull", REPO]).stdout_of_success();

    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.always("listing", status(500));
    home.run(["model", "pull", REPO, "--retries", "2"]).fails_with(&[REPO, "HTTP 500", "tried 3 times", "hint: "]);
    assert_eq!(hub.seen().len(), 3);
    hub.heal();
    hub.always(WEIGHTS, status(500));
    home.run(["model", "pull", REPO, "--retries", "2"]).fails_with(&[WEIGHTS, "HTTP 500"]);
    assert_eq!(hub.fetched(WEIGHTS).len(), 3);
}

#[test]
fn a_rate_limit_is_waited_for_as_long_as_the_hub_asks() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Status(429, "Retry-After", "1".to_owned()));
    let started = std::time::Instant::now();
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert!(started.elapsed().as_secs_f64() >= 1.0, "{:?}", started.elapsed());

    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once("listing", Fault::Status(429, "Retry-After", "3600".to_owned()));
    home.run(["model", "pull", REPO]).fails_with(&["3600 s", "hint: "]);
}

#[test]
fn a_token_opens_the_hub_and_goes_nowhere_else() {
    let (hub, home, _) = hub_with(SHARDED, REPO);
    hub.require_token("hf_right");
    home.run(["model", "pull", REPO]).fails_with(&[REPO, "HTTP 401", "Invalid username", "HF_TOKEN"]);
    let with_token = |token: &str| run(home.command(["model", "pull", REPO]).env("HF_TOKEN", token));
    with_token("hf_wrong").fails_with(&["HTTP 401", "token from HF_TOKEN was sent"]);
    with_token("hf_right").stdout_of_success();
    let seen = hub.seen();
    assert!(seen.iter().any(|seen| seen.at_storage));
    for request in seen.iter().filter(|seen| seen.at_storage) {
        assert_eq!(request.authorization, None, "the token went to the storage host: {request:?}");
    }

    let other = HubHome::new(&hub);
    std::fs::write(other.path().join("token"), "hf_right\n").unwrap();
    other.run(["model", "pull", REPO]).stdout_of_success();
    let gated = HubHome::new(&hub);
    hub.once("listing", Fault::Status(403, "X-Error-Message", "Access to this model is restricted".to_owned()));
    run(gated.command(["model", "pull", REPO]).env("HF_TOKEN", "hf_right")).fails_with(&[
        "HTTP 403",
        "restricted",
        "accepted the model's terms",
    ]);
}

#[test]
fn what_does_not_exist_is_said_by_name() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", "owner/typo"]).fails_with(&["model `owner/typo`", "404", "hint: "]);
    home.run(["model", "pull", &format!("{REPO}@typo")]).fails_with(&["revision `typo`", REPO, "404"]);
    home.run(["model", "pull", "not/a/repository"]).fails_with(&["neither a directory nor a repository"]);
    home.run(["model", "pull", "Demo"]).fails_with(&["neither a directory nor a repository", "did you mean `demo`?"]);
    assert_eq!(hub.seen().len(), 2, "a 404 is not tried again");
    assert!(!home.path().join("hub").exists(), "nothing is created for nothing");
}

#[test]
fn what_cannot_be_loaded_is_refused_before_its_weights_are_fetched() {
    let hub = Hub::start();
    let home = HubHome::new(&hub);
    let publish = |repo: &str, files: &[(&str, &str)]| {
        let file = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        hub.publish_files(repo, "main", files.iter().map(file).collect::<BTreeMap<_, _>>());
    };
    let config = r#"{"architectures": ["GPT2LMHeadModel"]}"#;
    publish("owner/pickle", &[("config.json", config), ("pytorch_model.bin", "?"), ("tokenizer.json", "{}")]);
    home.run(["model", "pull", "owner/pickle"]).fails_with(&["no safetensors weights", "pytorch_model.bin", "hint: "]);
    publish("owner/gpt", &[("config.json", config), (WEIGHTS, "?"), ("tokenizer.json", "{}")]);
    home.run(["model", "pull", "owner/gpt"]).fails_with(&["owner/gpt", "unknown architecture", "not fetched"]);
    assert!(hub.fetched(WEIGHTS).is_empty() && hub.fetched("pytorch_model.bin").is_empty());
}
