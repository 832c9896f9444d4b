//! `model list`, `info`, `verify` and `rm`.

use serde_json::Value;

use crate::support::hub::Fault;
use crate::support::hub_home::{REPO, WEIGHTS, hub_with};
use crate::support::process::{PATIENCE, Running, wait_for};
use crate::support::{CheckpointCopy, SHARDED, SINGLE, golden_checkpoint, llava_video};

#[test]
fn list_shows_what_is_cached_and_what_could_be() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    let empty = home.run(["model", "list"]);
    assert!(empty.stdout_of_success().contains("lmms-lab/LLaVA-NeXT-Video-7B-Qwen2-Video-Only"));
    assert!(empty.stdout.lines().any(|line| line.starts_with("demo ") && line.ends_with("part of the program")));
    assert!(empty.stdout.contains("about 16.1 GB") && !empty.stdout.contains(REPO), "{}", empty.stdout);

    hub.once(WEIGHTS, Fault::Cut(1000));
    hub.once(WEIGHTS, Fault::Status(500, "X-Test", String::new()));
    home.run(["model", "pull", REPO, "--retries", "1"]).fails_with(&["500"]);
    let partly = home.run(["model", "list", "--json"]).json();
    assert_eq!(partly["cached"][0]["snapshots"][0]["complete"], false);
    assert_eq!(partly["cached"][0]["incomplete_bytes"], 1000);

    home.run(["model", "pull", REPO]).stdout_of_success();
    // Another program's model is none of ours.
    let other = home.folder("someone/else").join("snapshots").join("0".repeat(40));
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("config.json"), "{\"architectures\": [\"BertModel\"]}").unwrap();
    let seen = hub.seen().len();
    let table = llava_video_in(&home, &["model", "list"]);
    let row = table.lines().find(|line| line.starts_with(REPO)).unwrap();
    assert!(row.contains("main (") && row.contains(&commit[..8]) && row.ends_with("complete"), "{row}");
    assert!(!table.contains("someone/else"));
    assert_eq!(hub.seen().len(), seen, "listing needs no hub");
}

/// As `verify` finds it, but before it is asked: a weight file must be as long as its header says.
#[test]
fn list_does_not_take_a_stump_for_a_weight_file() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let weights = home.folder(REPO).join("snapshots").join(&commit).join(WEIGHTS).canonicalize().unwrap();
    let whole = std::fs::read(&weights).unwrap();
    for stump in [&whole[..7], &whole[..whole.len() - 1], b""] {
        std::fs::write(&weights, stump).unwrap();
        let table = llava_video_in(&home, &["model", "ls"]);
        let row = table.lines().find(|line| line.starts_with(REPO)).unwrap();
        assert!(row.ends_with("incomplete"), "{row}");
        let list = crate::support::run(&mut home.command(["model", "list", "--json"])).json();
        let missing = list["cached"][0]["snapshots"][0]["missing"].as_str().unwrap();
        assert!(missing.contains(WEIGHTS), "{missing}");
        let verify = crate::support::run(&mut home.command(["model", "verify", REPO]));
        assert!(verify.code == Some(1) && verify.stderr.contains(WEIGHTS), "{verify:?}");
    }
    home.run(["model", "pull", REPO]).stdout_of_success();
    assert_eq!(hub.fetched(WEIGHTS).len(), 2);
    home.run(["model", "verify", REPO]).stdout_of_success();
}

fn llava_video_in(home: &crate::support::hub_home::HubHome, args: &[&str]) -> String {
    crate::support::run(&mut home.command(args)).stdout_of_success().to_owned()
}

#[test]
fn info_reads_headers_and_adds_up() {
    let dir = golden_checkpoint(SHARDED);
    let info = llava_video(["model", "info", dir.to_str().unwrap(), "--json"]).json();
    let stored: u64 = (1..=5)
        .map(|shard| {
            let bytes = std::fs::read(dir.join(format!("model-0000{shard}-of-00005.safetensors"))).unwrap();
            bytes.len() as u64 - 8 - u64::from_le_bytes(bytes[..8].try_into().unwrap())
        })
        .sum();
    assert_eq!(info["weight_bytes"], stored);
    assert_eq!(info["parameters"], stored / 2, "all of them in bf16");
    assert_eq!(info["parameters_by_dtype"]["bf16"], info["parameters"]);
    let config = crate::support::json(&dir.join("config.json"));
    assert_eq!(info["language_layers"], config["num_hidden_layers"]);
    let number = |key: &str| config[key].as_u64().unwrap();
    let head = number("hidden_size") / number("num_attention_heads");
    let kv = 2 * number("num_hidden_layers") * number("num_key_value_heads") * head;
    assert_eq!(info["kv_bytes_per_position_16_bit"], 2 * kv);
    assert!(info["tokens_of_1_frame"].as_u64().unwrap() > 0);
    // Memory: at least the weights, more for more frames, and what fits is what is not more than is free.
    let memory = info["memory"].as_array().unwrap();
    let is_first = |need: &&Value| ["device", "dtype"].iter().all(|key| need[key] == memory[0][key]);
    let as_stored: Vec<_> = memory.iter().filter(is_first).collect();
    assert_eq!(as_stored.len(), 3, "{memory:?}");
    let bytes: Vec<u64> = as_stored.iter().map(|need| need["bytes"].as_u64().unwrap()).collect();
    assert!(stored < bytes[0] && bytes[0] < bytes[1] && bytes[1] < bytes[2], "{bytes:?}");
    for need in memory {
        if let Some(free) = need["free_bytes"].as_u64() {
            assert_eq!(need["fits"], need["bytes"].as_u64().is_some_and(|bytes| bytes <= free), "{need}");
        }
    }
    let text = llava_video(["model", "info", dir.to_str().unwrap()]);
    assert!(text.stdout_of_success().contains("parameters") && text.stdout.contains("kB"), "{}", text.stdout);

    let missing = llava_video(["model", "info", REPO]);
    missing.fails_with(&[REPO, "not in the hub cache", "model pull"]);
}

#[test]
fn verify_finds_one_wrong_byte_and_repairs_it() {
    let (hub, home, commit) = hub_with(SHARDED, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let requests = hub.seen().len();
    let sound = home.run(["model", "verify", REPO, "--json"]).json();
    let files = sound["files"].as_array().unwrap();
    assert!(files.len() >= 9 && files.iter().all(|file| file["state"] == "sound"), "{sound}");
    assert_eq!(hub.seen().len(), requests, "verifying needs no hub");

    let shard = "model-00003-of-00005.safetensors";
    let blob = home.folder(REPO).join("snapshots").join(&commit).join(shard).canonicalize().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let damaged = crate::support::run(&mut home.command(["model", "verify", REPO]));
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.stderr.contains(shard) && damaged.stderr.contains("--repair"), "{}", damaged.stderr);
    assert!(damaged.stdout.lines().any(|line| line.starts_with(shard) && line.ends_with("damaged")));

    assert_eq!(home.run(["model", "verify", REPO, "--repair"]).code, Some(0));
    assert_eq!(hub.fetched(shard).len(), 2);
    assert_eq!(hub.fetched("model-00001-of-00005.safetensors").len(), 1, "sound files are not fetched again");
    home.run(["model", "verify", REPO]).stdout_of_success();
}

fn damage(home: &crate::support::hub_home::HubHome, commit: &str, file: &str) -> (std::path::PathBuf, Vec<u8>) {
    let blob = home.folder(REPO).join("snapshots").join(commit).join(file).canonicalize().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    (blob, bytes)
}

#[test]
fn a_repair_is_of_the_commit_that_was_verified() {
    let (hub, home, old) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    damage(&home, &old, WEIGHTS);
    damage(&home, &old, "generation_config.json");
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("generation_config.json", |config| config["top_k"] = serde_json::json!(7));
    let new = hub.publish(REPO, "main", copy.path());
    assert_eq!(home.run(["model", "verify", REPO, "--repair"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(home.folder(REPO).join("refs/main")).unwrap(), old);
    assert!(!home.folder(REPO).join("snapshots").join(&new).exists());
    assert_eq!((hub.fetched(WEIGHTS).len(), hub.fetched("generation_config.json").len()), (2, 2));
    home.run(["model", "verify", REPO, "--offline"]).stdout_of_success();
    let snapshot = home.folder(REPO).join("snapshots").join(&old);
    let original = golden_checkpoint(SINGLE).join("generation_config.json");
    assert_eq!(std::fs::read(snapshot.join("generation_config.json")).unwrap(), std::fs::read(original).unwrap());
}

#[test]
fn a_repair_that_fails_leaves_what_was_there() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let (blob, bytes) = damage(&home, &commit, WEIGHTS);
    let repair = || crate::support::run(&mut home.command(["model", "verify", REPO, "--repair"]));
    for fault in [Fault::Status(404, "X-Test", String::new()), Fault::Flip] {
        hub.always(WEIGHTS, fault.clone());
        assert_eq!(repair().code, Some(1), "{fault:?}");
        assert!(std::fs::read(&blob).unwrap() == bytes, "{fault:?}: it was touched");
    }
    let mut nobody = home.command(["model", "verify", REPO, "--repair"]);
    let nobody = crate::support::run(nobody.env("HF_ENDPOINT", "http://127.0.0.1:1"));
    assert!(nobody.code == Some(1) && std::fs::read(&blob).unwrap() == bytes, "{nobody:?}");
    hub.heal();
    assert_eq!(repair().code, Some(0));
    home.run(["model", "verify", REPO]).stdout_of_success();
}

/// Python's tools fetch whole repositories, files that the loader never reads included.
#[test]
fn a_repair_is_of_any_file() {
    let (hub, home, commit) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let text = golden_checkpoint(SINGLE).join("golden_note.json");
    let name = crate::support::git_blob_hex(&std::fs::read(&text).unwrap());
    std::fs::copy(&text, home.folder(REPO).join("blobs").join(&name)).unwrap();
    let link = home.folder(REPO).join("snapshots").join(&commit).join("golden_note.json");
    std::os::unix::fs::symlink(format!("../../blobs/{name}"), link).unwrap();
    home.run(["model", "verify", REPO]).stdout_of_success();
    damage(&home, &commit, "golden_note.json");
    assert_eq!(home.run(["model", "verify", REPO, "--repair"]).code, Some(0));
    assert_eq!((hub.fetched("golden_note.json").len(), hub.fetched(WEIGHTS).len()), (1, 1));
}

#[test]
fn a_commit_is_named_as_list_shows_it() {
    let (_hub, home, commit) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let table = llava_video_in(&home, &["model", "ls"]);
    let shown = &commit[..8];
    assert!(table.contains(&format!("main ({shown})")), "{table}");
    let named = format!("{REPO}@{shown}");
    home.run(["model", "verify", &named, "--offline"]).stdout_of_success();
    home.run(["model", "rm", &format!("{REPO}@{}", &commit[..3]), "--yes"]).fails_with(&["not in the hub cache"]);
    home.run(["model", "rm", &format!("{REPO}@ffffffff"), "--yes"]).fails_with(&["not in the hub cache"]);
    home.run(["model", "rm", &named, "--yes"]).stdout_of_success();
    assert!(!home.folder(REPO).join("snapshots").join(&commit).exists() && home.blobs(REPO).is_empty());
}

#[test]
fn rm_asks_and_takes_only_what_is_its_own() {
    let (hub, home, old) = hub_with(SINGLE, REPO);
    hub.publish("owner/other", "main", &golden_checkpoint(SHARDED));
    home.run(["model", "pull", REPO]).stdout_of_success();
    home.run(["model", "pull", "owner/other"]).stdout_of_success();
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("generation_config.json", |config| config["top_k"] = serde_json::json!(7));
    let new = hub.publish(REPO, "main", copy.path());
    home.run(["model", "pull", REPO]).stdout_of_success();
    let blobs = home.blobs(REPO).len();

    let unasked = home.run(["model", "rm", REPO]);
    assert_eq!((unasked.code, unasked.stderr.contains("--yes")), (Some(2), true), "{unasked:?}");
    assert_eq!(home.blobs(REPO).len(), blobs);

    // Only the old generation_config.json is not shared.
    home.run(["model", "rm", &format!("{REPO}@{old}"), "--yes"]).stdout_of_success();
    assert_eq!(home.blobs(REPO).len(), blobs - 1);
    assert!(!home.folder(REPO).join("snapshots").join(&old).exists());
    home.run(["model", "verify", REPO, "--offline"]).stdout_of_success();
    assert_eq!(std::fs::read_to_string(home.folder(REPO).join("refs/main")).unwrap(), new);

    home.run(["model", "rm", REPO, "--yes"]).stdout_of_success();
    assert!(!home.folder(REPO).exists());
    home.run(["model", "verify", "owner/other"]).stdout_of_success();
    home.run(["model", "rm", REPO, "--yes"]).fails_with(&[REPO, "not in the hub cache"]);
}

#[test]
fn rm_leaves_a_running_download_alone() {
    let (hub, home, _) = hub_with(SINGLE, REPO);
    hub.once(WEIGHTS, Fault::Stall(1000));
    let pull = Running::start(&mut home.command(["model", "pull", REPO]));
    wait_for("the download", PATIENCE, || !home.incomplete(REPO).is_empty());
    home.run(["model", "rm", REPO, "--yes"]).fails_with(&["another process is downloading", REPO]);
    pull.kill();
    home.run(["model", "rm", REPO, "--yes"]).stdout_of_success();
    assert!(!home.folder(REPO).exists());
}
