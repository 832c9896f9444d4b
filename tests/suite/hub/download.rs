//! Checkpoints from the hub: the whole way of a first question, resuming, sharing, offline.

use std::time::Duration;

use crate::support::hub::{Fault, Hub};
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::process::{PATIENCE, Running, wait_for};
use crate::support::{Random, SHARDED, SINGLE, clip_arg, device, golden, golden_checkpoint, llava_video};

const DEFAULT: &str = "lmms-lab/LLaVA-NeXT-Video-7B-Qwen2-Video-Only";

#[test]
fn a_first_question_downloads_verifies_loads_and_answers() {
    let (hub, home, commit) = hub_with(SHARDED, DEFAULT);
    let clip = clip_arg("plain_h264.mp4");
    let ask = ["ask", &clip, "What happens?", "--frames", "2", "--max-new-tokens", "8", "--device", device()];
    let first = home.run(ask);
    let local = golden_checkpoint(SHARDED);
    let expected = llava_video([&ask[..], &["--model", local.to_str().unwrap()]].concat());
    assert_eq!(first.stdout_of_success(), expected.stdout_of_success());
    let notes: Vec<&str> = first.stderr.lines().filter(|line| line.starts_with("note: download")).collect();
    assert_eq!(notes.len(), 2, "one line at the start, one at the end: {}", first.stderr);
    assert!(notes[0].contains(DEFAULT) && notes[1].contains("checksums are right"), "{notes:?}");

    assert_eq!(std::fs::read_to_string(home.folder(DEFAULT).join("refs/main")).unwrap(), commit);
    assert!(home.folder(DEFAULT).join("snapshots").join(&commit).join("config.json").is_file());
    for unneeded in ["README.md", "golden_note.json", "vocab.json", "merges.txt"] {
        assert!(hub.fetched(unneeded).is_empty(), "{unneeded} was fetched");
    }
    // The second time nothing is asked for, offline or not.
    let requests = hub.seen().len();
    assert_eq!(home.run(ask).stdout, first.stdout);
    assert_eq!(home.run([&ask[..], &["--offline"]].concat()).stdout, first.stdout);
    assert_eq!(hub.seen().len(), requests);
}

#[test]
fn a_file_cut_20_times_at_random_bytes_is_resumed_each_time() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    let size = std::fs::metadata(golden_checkpoint(SINGLE).join(WEIGHTS)).unwrap().len() as usize;
    let mut random = Random::new(1);
    let cuts: Vec<usize> = (0..20).map(|_| random.below(size / 21)).collect();
    cuts.iter().for_each(|&cut| hub.once(WEIGHTS, Fault::Cut(cut)));
    home.run(["model", "pull", REPO]).stdout_of_success();
    let starts: Vec<usize> = hub.fetched(WEIGHTS).iter().map(|seen| seen.from.unwrap_or(0)).collect();
    let mut expected = vec![0];
    cuts.iter().for_each(|cut| expected.push(expected.last().unwrap() + cut));
    assert_eq!(starts, expected, "each request goes on where the one before was cut");
}

#[test]
fn an_interrupted_download_exits_with_130_and_is_continued_by_the_next() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Stall(100_000));
    let pull = Running::start(&mut home.command(["model", "pull", REPO]));
    wait_for("the first part", PATIENCE, || {
        home.incomplete(REPO).iter().any(|path| path.metadata().is_ok_and(|metadata| metadata.len() == 100_000))
    });
    pull.signal(libc::SIGINT);
    let run = pull.end_within(Duration::from_secs(5));
    assert_eq!((run.code, run.stdout.as_str()), (Some(130), ""), "{run:?}");
    home.assert_nothing_half();
    assert_eq!(home.incomplete(REPO).len(), 1);
    assert!(!home.folder(REPO).join("refs").exists(), "an unfinished download is no revision yet");

    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).last().unwrap().from, Some(100_000));
    assert!(home.incomplete(REPO).is_empty());
}

#[test]
fn a_killed_download_is_continued_too() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Stall(50_000));
    let pull = Running::start(&mut home.command(["model", "pull", REPO]));
    wait_for("the first part", PATIENCE, || {
        home.incomplete(REPO).iter().any(|path| path.metadata().is_ok_and(|metadata| metadata.len() == 50_000))
    });
    pull.kill();
    home.assert_nothing_half();
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).last().unwrap().from, Some(50_000));
}

#[test]
fn two_processes_at_once_fetch_each_file_once() {
    let (hub, home, commit) = hub_with(SHARDED, REPO);
    for shard in 1..=5 {
        hub.always(&format!("model-0000{shard}-of-00005.safetensors"), Fault::Slow(40));
    }
    let start = || Running::start(&mut home.command(["model", "pull", REPO]));
    for pull in [start(), start()] {
        assert!(pull.end_within(PATIENCE).stdout_of_success().trim_end().ends_with(&commit));
    }
    home.assert_nothing_half();
    for shard in 1..=5 {
        let name = format!("model-0000{shard}-of-00005.safetensors");
        assert_eq!(hub.fetched(&name).len(), 1, "{name}");
    }
    assert!((2..=4).contains(&hub.busiest()), "{} shards at once", hub.busiest());
}

#[test]
fn offline_opens_no_connection() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    let clip = clip_arg("plain_h264.mp4");
    let ask = ["ask", &clip, "Why?", "--frames", "1", "--max-new-tokens", "2", "--model", REPO];
    let by_variable = |args: &[&str]| crate::support::run(home.command(args).env("HF_HUB_OFFLINE", "1"));
    home.run([&ask[..], &["--offline"]].concat()).fails_with(&[REPO, "not in the hub cache", "--offline", "hint: "]);
    by_variable(&ask).fails_with(&[REPO, "not in the hub cache", "HF_HUB_OFFLINE"]);
    by_variable(&["model", "pull", REPO]).fails_with(&[REPO, "HF_HUB_OFFLINE"]);
    assert!(hub.seen().is_empty(), "{:?}", hub.seen());

    home.run(["model", "pull", REPO]).stdout_of_success();
    let requests = hub.seen().len();
    home.run([&ask[..], &["--offline"]].concat()).stdout_of_success();
    by_variable(&ask).stdout_of_success();
    assert!(by_variable(&["model", "pull", REPO]).stdout_of_success().trim_end().ends_with(&commit));
    // A commit always means the same files.
    home.run(["model", "pull", &format!("{REPO}@{commit}")]).stdout_of_success();
    assert_eq!(hub.seen().len(), requests);

    std::fs::remove_file(home.folder(REPO).join("snapshots").join(&commit).join(WEIGHTS)).unwrap();
    by_variable(&ask).fails_with(&[REPO, "only partly in the hub cache", "HF_HUB_OFFLINE"]);
    assert_eq!(hub.seen().len(), requests);
}

#[test]
fn a_new_commit_is_fetched_by_pull_alone_and_shares_what_stayed() {
    let (hub, home, old) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let copy = crate::support::CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("generation_config.json", |config| config["top_k"] = serde_json::json!(7));
    let new = hub.publish(REPO, "main", copy.path());
    assert_ne!(old, new);
    let pulled = home.run(["model", "pull", REPO]);
    assert!(pulled.stdout_of_success().trim_end().ends_with(&new));
    assert_eq!((hub.fetched(WEIGHTS).len(), hub.fetched("generation_config.json").len()), (1, 2));
    let old_dir = home.run(["model", "pull", &format!("{REPO}@{old}"), "--offline"]);
    assert!(old_dir.stdout_of_success().trim_end().ends_with(&old));
}

#[test]
fn an_unreachable_hub_does_not_hinder_what_is_cached() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    hub.always("listing", Fault::Status(503, "X-Test", "down".to_owned()));
    let down = home.run(["model", "pull", REPO]);
    assert!(down.stdout_of_success().trim_end().ends_with(&commit));
    assert!(down.stderr.contains("warning: ") && down.stderr.contains("503"), "{}", down.stderr);
    let mut nobody = home.command(["model", "pull", REPO]);
    let nobody = crate::support::run(nobody.env("HF_ENDPOINT", "http://127.0.0.1:1"));
    assert!(nobody.stdout_of_success().trim_end().ends_with(&commit));
    assert!(nobody.stderr.contains("warning: "), "{}", nobody.stderr);
}

#[test]
fn checksums_that_the_listing_leaves_out_are_asked_for_one_by_one() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.list_without_checksums();
    home.run(["model", "pull", REPO]).stdout_of_success();
    let asked: Vec<String> =
        hub.seen().into_iter().filter(|seen| seen.method == "HEAD").map(|seen| seen.path).collect();
    assert!(asked.iter().any(|path| path.ends_with(WEIGHTS)), "{asked:?}");
}

#[test]
fn the_layout_of_transformers_is_fetched_and_read() {
    let hub = Hub::start();
    hub.publish(REPO, "v1.0", &golden().join("hf/b_7x7_tied_single_bf16_hf"));
    let home = HubHome::new(&hub);
    let name = format!("{REPO}@v1.0");
    home.run(["model", "pull", &name]).stdout_of_success();
    let info = home.run(["model", "info", &name, "--json"]).json();
    assert_eq!((info["layout"].as_str(), info["model"].as_str()), (Some("transformers"), Some(name.as_str())));
    home.run(["model", "info", REPO]).fails_with(&[REPO, "the hub has no model"]);
    home.run(["model", "info", REPO, "--offline"]).fails_with(&[REPO, "not in the hub cache"]);
}

#[test]
fn addresses_of_the_hubs_pages_are_taken_for_repositories() {
    let (_hub, home, commit) = hub_with(SINGLE, REPO);
    let pulled = home.run(["model", "pull", &format!("https://huggingface.co/{REPO}")]);
    assert!(pulled.stdout_of_success().trim_end().ends_with(&commit));
    let info = home.run(["model", "info", &format!("https://hf.co/{REPO}/tree/main"), "--json"]).json();
    assert_eq!(info["model"], REPO);
    home.run(["model", "rm", &format!("https://huggingface.co/{REPO}/tree/{commit}"), "--yes"]).stdout_of_success();
    home.run(["model", "info", REPO, "--offline"]).fails_with(&[REPO, "not in the hub cache"]);
    home.run(["model", "pull", "https://huggingface.co/datasets/owner/name"]).fails_with(&["neither a directory nor"]);
}

/// Uploaders leave shards of an earlier export beside the new ones.
#[test]
fn shards_that_the_index_does_not_name_are_none_of_ours() {
    let hub = Hub::start();
    let copy = crate::support::CheckpointCopy::of(&golden_checkpoint(SHARDED));
    let stray = "model-00001-of-00009.safetensors";
    std::fs::write(copy.path().join(stray), "of another checkpoint").unwrap();
    hub.publish(REPO, "main", copy.path());
    // Nor is there room for it.
    hub.claim_size(stray, 1 << 60);
    let home = HubHome::new(&hub);
    let pulled = home.run(["model", "pull", REPO]);
    assert!(pulled.stderr.contains(" files, to "), "{}", pulled.stderr);
    let dir = pulled.stdout_of_success().trim_end().to_owned();
    assert!(hub.fetched(stray).is_empty() && !std::path::Path::new(&dir).join(stray).exists());
    assert_eq!(hub.fetched("model.safetensors.index.json").len(), 1);
}
