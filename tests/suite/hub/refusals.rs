//! Repositories whose small files tell that their weights could not be loaded: refused before those are fetched.

use serde_json::{Value, json};

use crate::support::hub::Hub;
use crate::support::hub_home::{HubHome, REPO, WEIGHTS, hub_with};
use crate::support::{CheckpointCopy, SHARDED, SINGLE, clip, golden, golden_checkpoint, llava_video};

#[test]
fn what_cannot_be_loaded_is_refused_before_its_weights_are_fetched() {
    let pull = |copy: &CheckpointCopy, parts: &[&str]| {
        let hub = Hub::start();
        hub.publish(REPO, "main", copy.path());
        let home = HubHome::new(&hub);
        home.run(["model", "pull", REPO]).fails_with(&[&[REPO, "were not fetched"], parts].concat());
        assert!(!hub.seen().iter().any(|seen| seen.path.ends_with(".safetensors")), "weights were fetched");
    };
    let endless = |config: &mut Value| config["num_hidden_layers"] = json!(2_000_000_000);
    let sharded = CheckpointCopy::of(&golden_checkpoint(SHARDED));
    sharded.edit_json("config.json", endless);
    pull(&sharded, &["model.layers.* has 3 layers, config.json promises 2000000000", "12 missing"]);
    let single = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    single.edit_json("config.json", endless);
    pull(&single, &["config.json promises 2000000000 decoder layers", "the weight files have 2219"]);

    let unlisted = CheckpointCopy::of(&golden_checkpoint(SHARDED));
    unlisted.edit_json("model.safetensors.index.json", |index| {
        let map = index["weight_map"].as_object_mut().unwrap();
        map.remove("model.norm.weight").unwrap();
        map.insert("model.extra.bias".to_owned(), json!("model-00001-of-00005.safetensors"));
    });
    pull(&unlisted, &["1 missing: model.norm.weight; 1 unexpected: model.extra.bias"]);

    let scaled = CheckpointCopy::of(&golden().join("hf/transformers5"));
    scaled.edit_json("config.json", |config| {
        config["text_config"]["rope_parameters"] = json!({ "rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0 });
    });
    pull(&scaled, &["rope_parameters.rope_type is `yarn`"]);
}

/// Text files are read whole, so that their sizes are looked at in the listing already.
#[test]
fn text_files_longer_than_any_real_one_are_not_fetched() {
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let (hub, home, _) = hub_with(SINGLE, REPO);
        hub.claim_size(file, 70 << 20);
        home.run(["model", "pull", REPO]).fails_with(&[REPO, file, "has 73.4 MB, more than"]);
        assert!(hub.fetched(file).is_empty() && hub.fetched(WEIGHTS).is_empty(), "{file}");
    }
    // The same in a directory.
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    let clip = clip("plain_h264.mp4");
    for file in ["tokenizer.json", "generation_config.json", "config.json"] {
        std::fs::File::create(copy.path().join(file)).unwrap().set_len(3 << 30).unwrap();
        let args = ["ask", clip.to_str().unwrap(), "Why?", "--model", copy.path().to_str().unwrap()];
        llava_video(args).fails_with(&[file, "has 3.2 GB, more than"]);
    }
}
