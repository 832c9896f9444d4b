//! What is known of a model before its weights are here: from its small files, and from the heads of its weight files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use llava_video::hub::{self, RepoName, Settings};
use llava_video::interrupt::Interrupt;

use crate::support::hub::{Fault, Hub};
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::{CheckpointCopy, SHARDED, SINGLE, clip_arg, device, golden_checkpoint, llava_video, run};

/// What is fetched of each weight file to begin with.
const HEAD_BYTES: usize = 1 << 16;

fn shards() -> Vec<(String, usize)> {
    let dir = golden_checkpoint(SHARDED);
    let name = |shard: usize| format!("model-0000{shard}-of-00005.safetensors");
    (1..=5).map(|shard| (name(shard), dir.join(name(shard)).metadata().unwrap().len() as usize)).collect()
}

fn local(checkpoint: &str) -> String {
    golden_checkpoint(checkpoint).to_str().unwrap().to_owned()
}

#[test]
fn a_plan_fetches_small_files_and_the_heads_of_weight_files() {
    let (hub, home, commit) = hub_with(SHARDED, REPO);
    let clip = clip_arg("plain_h264.mp4");
    let plan = ["ask", &clip, "Why?", "--frames", "2", "--device", "cpu", "--memory-limit", "9GB", "--dry-run"];
    let of_local = llava_video([&plan[..], &["--model", &local(SHARDED)]].concat());
    let of_hub = home.run([&plan[..], &["--model", REPO]].concat());
    assert_eq!(of_hub.stdout_of_success(), of_local.stdout_of_success());
    for (name, _) in shards() {
        assert_eq!(hub.sent(&name), HEAD_BYTES, "{name}");
        assert!(!home.folder(REPO).join("snapshots").join(&commit).join(&name).exists(), "{name}");
    }
    assert_eq!(hub.fetched("config.json").len(), 1);

    let info_of_hub = home.run(["model", "info", REPO, "--json"]);
    let (mut hubs, mut locals) = (info_of_hub.json(), llava_video(["model", "info", &local(SHARDED), "--json"]).json());
    assert!(info_of_hub.stderr.contains("not downloaded yet"), "{}", info_of_hub.stderr);
    for info in [&mut hubs, &mut locals] {
        let info = info.as_object_mut().unwrap();
        // What is free changes from one run to the next.
        let _ = (info.remove("model"), info.remove("dir"), info.remove("memory"));
    }
    assert_eq!(hubs, locals);
    for (name, _) in shards() {
        assert_eq!(hub.sent(&name), HEAD_BYTES, "{name} was known already");
    }

    let seen = hub.seen().len();
    home.run([&plan[..], &["--model", REPO, "--offline"]].concat())
        .fails_with(&[REPO, "--offline forbids downloading"]);
    home.run(["model", "info", REPO, "--offline"]).fails_with(&[REPO, "--offline forbids downloading"]);
    assert_eq!(hub.seen().len(), seen);

    // What was fetched for the plan is not fetched again.
    let ask = ["ask", &clip, "Why?", "--frames", "2", "--device", device(), "--max-new-tokens", "2", "--model", REPO];
    home.run(ask).stdout_of_success();
    for (name, size) in shards() {
        assert_eq!(hub.sent(&name), size, "{name}");
        let starts: Vec<Option<usize>> = hub.fetched(&name).iter().map(|seen| seen.from).collect();
        assert_eq!(starts, [Some(0), Some(HEAD_BYTES)], "{name}");
    }
    assert_eq!(hub.fetched("config.json").len(), 1);
    assert_eq!(std::fs::read_to_string(home.folder(REPO).join("refs/main")).unwrap(), commit);
}

#[test]
fn what_does_not_fit_into_memory_is_refused_before_its_weights_are_fetched() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    let ask = ["ask", &clip_arg("plain_h264.mp4"), "Why?", "--model", REPO, "--device", "cpu", "--memory-limit", "1MB"];
    let refused = home.run(ask);
    refused.fails_with(&["not enough memory", "hint: "]);
    assert!(!refused.stderr.contains("downloading"), "{}", refused.stderr);
    assert_eq!(hub.sent(WEIGHTS), HEAD_BYTES);
    assert!(!home.folder(REPO).join("refs").exists(), "a plan is no revision");
}

#[test]
fn a_long_head_is_fetched_whole_and_a_spoilt_one_anew() {
    let hub = Hub::start();
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    let weights = copy.path().join(WEIGHTS);
    let head_bytes = pad_head(&weights, 100_000);
    hub.publish(REPO, "main", copy.path());
    let home = HubHome::new(&hub);
    let info = home.run(["model", "info", REPO, "--json"]).json();
    assert_eq!(info["parameters"], llava_video(["model", "info", &local(SINGLE), "--json"]).json()["parameters"]);
    assert_eq!(hub.sent(WEIGHTS), head_bytes, "the head and nothing else");

    let partial = home.incomplete(REPO).pop().unwrap();
    std::fs::write(&partial, vec![b'<'; HEAD_BYTES]).unwrap();
    assert_eq!(home.run(["model", "info", REPO, "--json"]).json()["parameters"], info["parameters"]);
    home.run(["model", "pull", REPO]).stdout_of_success();
}

/// Makes a weight file's header longer by `bytes` of metadata; returns the length of its head.
fn pad_head(path: &Path, bytes: usize) -> usize {
    let file = std::fs::read(path).unwrap();
    let data = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&file[8..data]).unwrap();
    header["__metadata__"] = serde_json::json!({ "padding": "x".repeat(bytes) });
    let header = header.to_string().into_bytes();
    let head = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
    std::fs::write(path, [&head[..], &file[data..]].concat()).unwrap();
    head.len()
}

#[test]
fn what_is_no_weight_file_is_said_before_it_is_fetched() {
    let hub = Hub::start();
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    std::fs::write(copy.path().join(WEIGHTS), vec![b'<'; 200_000]).unwrap();
    hub.publish(REPO, "main", copy.path());
    let home = HubHome::new(&hub);
    home.run(["model", "info", REPO]).fails_with(&[WEIGHTS, REPO, "its header"]);
    assert_eq!(hub.sent(WEIGHTS), HEAD_BYTES);
    assert!(home.incomplete(REPO).is_empty());
}

fn settings(hub: &Hub, cache_dir: PathBuf) -> Settings {
    Settings {
        cache_dir,
        endpoint: hub.url(),
        token: None,
        offline: None,
        stall_timeout: Duration::from_secs(20),
        retries: 2,
        connect_patience: None,
    }
}

#[test]
fn what_was_planned_is_what_is_fetched_though_the_branch_has_moved() {
    let (hub, home, old) = hub_with(SINGLE, REPO);
    let (settings, repo) = (settings(&hub, home.path().join("hub")), RepoName::parse(REPO).unwrap());
    let interrupt = Interrupt::default();
    let outline = hub::outline(&settings, &repo, &interrupt, &mut |_| ()).unwrap();
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("generation_config.json", |config| config["top_k"] = serde_json::json!(7));
    assert_ne!(hub.publish(REPO, "main", copy.path()), old);
    let pulled = outline.pull(&settings, &interrupt, &mut |_| ()).unwrap();
    assert_eq!(pulled.commit, old);
    assert_eq!(hub::locate(&settings, &repo).unwrap(), pulled.dir);
}

#[test]
fn progress_counts_what_an_earlier_run_left() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    let (mut settings, repo) = (settings(&hub, home.path().join("hub")), RepoName::parse(REPO).unwrap());
    settings.retries = 0;
    hub.once(WEIGHTS, Fault::Cut(200_000));
    hub::pull(&settings, &repo, &Interrupt::default(), &mut |_| ()).unwrap_err();
    hub.once(WEIGHTS, Fault::Slow(50));
    let mut progress = Vec::new();
    let mut on_event = |event| {
        if let hub::Event::Progress { done, total } = event {
            progress.push((done, total));
        }
    };
    let pulled = hub::pull(&settings, &repo, &Interrupt::default(), &mut on_event).unwrap();
    let size = golden_checkpoint(SINGLE).join(WEIGHTS).metadata().unwrap().len();
    assert_eq!(pulled.received_bytes, size - 200_000);
    assert!(!progress.is_empty());
    for window in progress.windows(2) {
        assert!(window[0].0 <= window[1].0, "{progress:?}");
    }
    for (done, total) in progress {
        assert!(done >= 200_000 && done <= total && total == size, "{done} of {total}");
    }
}

/// Two machines without a network: one that cannot resolve names, one that reaches nobody.
#[test]
fn without_a_network_a_first_question_fails_soon_and_says_so() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    let ask = ["ask", &clip_arg("plain_h264.mp4"), "Why?", "--model", REPO];
    for (endpoint, why) in [("http://no-such-host.invalid", "name"), ("http://127.0.0.1:1", "refused")] {
        let started = Instant::now();
        let mut command = home.command(ask);
        let failed = run(command.env("HF_ENDPOINT", endpoint).env("HF_HUB_DOWNLOAD_TIMEOUT", "20"));
        let host = endpoint.strip_prefix("http://").unwrap();
        failed.fails_with(&[REPO, host, why, "hint: ", "network", "--model demo"]);
        assert!(started.elapsed() < Duration::from_secs(12), "{endpoint} took {:?}", started.elapsed());
    }
    assert!(hub.seen().is_empty());
}
