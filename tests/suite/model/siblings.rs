//! Every published relative of the model, by its real names and shapes: each opens, or is refused with a reason.
//!
//! Configs as published, less the keys that no loader reads; the weights are holes in files, since opening reads
//! headers only.

use std::path::Path;

use llava_video::checkpoint::{Checkpoint, LanguageCheckpoint, Layout, MergeType, NewlinePosition, PictureAspect};
use llava_video::model::{picture_tokens, video_tokens, vocab_len};
use serde_json::{Value, json};

use super::prompts::real_tokenizer;
use crate::support::shapes::{HALF_B, HfNames, SEVEN_B, SEVENTY_TWO_B, Shape, Size, hf_name, original_tensors, write};

/// Every canvas of up to six tiles each way, as config.json lists them.
fn pinpoints() -> Value {
    (1..=6).flat_map(|a| (1..=6).map(move |b| json!([384 * a, 384 * b]))).collect()
}

/// The original layout, as LLaVA-OneVision's single-image stage has it: no newline position, no pooling mode.
pub(super) fn original(size: &Size) -> Value {
    json!({
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "hidden_act": "silu",
        "hidden_size": size.hidden,
        "intermediate_size": size.intermediate,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "vocab_size": size.rows,
        "tie_word_embeddings": size.tied,
        "image_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": pinpoints(),
        "image_crop_resolution": null,
        "max_position_embeddings": 32_768,
        "mm_hidden_size": 1152,
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": null,
        "mm_spatial_pool_stride": null,
        "mm_use_im_patch_token": false,
        "mm_use_im_start_end": false,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "eos_token_id": 151_645,
        "rms_norm_eps": 1e-6,
        "rope_scaling": null,
        "rope_theta": 1e6,
        "sliding_window": 131_072,
        "tokenizer_model_max_length": 32_768,
        "use_sliding_window": false,
    })
}

/// A config with some keys replaced.
fn with(mut config: Value, changes: Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(changes);
    config
}

fn hugging_face(size: &Size) -> Value {
    json!({
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "model_type": "llava_onevision",
        "image_grid_pinpoints": pinpoints(),
        "image_token_index": 151_646,
        "video_token_index": 151_647,
        "projector_hidden_act": "gelu",
        "tie_word_embeddings": size.tied,
        "text_config": {
            "model_type": "qwen2",
            "hidden_size": size.hidden,
            "intermediate_size": size.intermediate,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.kv_heads,
            "rope_theta": 1e6,
            "vocab_size": 152_128,
        },
        "vision_aspect_ratio": "anyres_max_9",
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "image_size": 384,
            "num_attention_heads": 16,
            "num_hidden_layers": 26,
            "patch_size": 14,
            "vision_use_head": false,
        },
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
    })
}

fn hf_tensors(size: &Size, names: HfNames) -> Vec<Shape> {
    let tensors = original_tensors(&Size { rows: 152_128, ..*size });
    tensors.into_iter().map(|(name, _, shape)| (hf_name(&name, names), "F16", shape)).collect()
}

fn open(config: &Value, tensors: &[Shape], shards: usize) -> Result<Checkpoint, String> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), config, tensors, shards);
    open_in(dir.path())
}

fn open_in(dir: &Path) -> Result<Checkpoint, String> {
    Checkpoint::open(dir, &[]).map_err(|error| error.to_string())
}

#[test]
fn every_published_sibling_opens() {
    use NewlinePosition::{Grid, OneToken};
    let video = json!({ "mm_newline_position": "grid", "mm_spatial_pool_mode": "bilinear", "mm_spatial_pool_stride": 2,
        "add_faster_video": false, "add_time_instruction": true, "force_sample": true });
    let ov = json!({ "mm_newline_position": "one_token", "mm_spatial_pool_mode": "bilinear" });
    // What several repositories carried after a round trip through another class.
    let bogus = json!({ "model_type": "llava", "image_token_index": 151_646, "text_config": { "model_type": "llama" },
        "vision_config": { "model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336,
            "patch_size": 14, "num_hidden_layers": 24, "num_attention_heads": 16, "projection_dim": 768 } });
    let siglip = json!({ "vision_config": { "model_type": "siglip_vision_model", "hidden_size": 1152,
        "image_size": 384, "patch_size": 14, "num_hidden_layers": 27, "num_attention_heads": 16 } });
    let half = original(&HALF_B);
    let seven = original(&SEVEN_B);
    let large = original(&SEVENTY_TWO_B);
    let rows = |rows: usize, size: &Size| Size { rows, ..*size };
    let table: Vec<(&str, Value, Size, usize, NewlinePosition)> = vec![
        ("LLaVA-NeXT-Video-7B-Qwen2-Video-Only", with(seven.clone(), video.clone()), SEVEN_B, 4, Grid),
        ("LLaVA-Video-7B-Qwen2", with(with(seven.clone(), video.clone()), bogus.clone()), SEVEN_B, 4, Grid),
        ("LLaVA-Video-72B-Qwen2", with(with(large.clone(), video.clone()), bogus.clone()), SEVENTY_TWO_B, 31, Grid),
        ("onevision-0.5b-si", half.clone(), HALF_B, 1, OneToken),
        ("onevision-0.5b-ov", with(half.clone(), ov.clone()), HALF_B, 1, OneToken),
        ("onevision-7b-si", with(seven.clone(), json!({ "model_type": "llava" })), SEVEN_B, 4, OneToken),
        ("onevision-7b-ov", with(seven.clone(), ov.clone()), SEVEN_B, 4, OneToken),
        ("onevision-7b-ov-chat", with(with(seven.clone(), ov.clone()), bogus), SEVEN_B, 4, OneToken),
        ("onevision-72b-si", large.clone(), SEVENTY_TWO_B, 31, OneToken),
        ("onevision-72b-ov-sft", with(large.clone(), ov.clone()), SEVENTY_TWO_B, 31, OneToken),
        ("onevision-72b-ov-chat", with(large, ov.clone()), SEVENTY_TWO_B, 31, OneToken),
        ("a fine-tune of 151,646 rows", with(seven.clone(), video.clone()), rows(151_646, &SEVEN_B), 4, Grid),
        ("a fine-tune of 151,647 rows", with(seven.clone(), video.clone()), rows(151_647, &SEVEN_B), 1, Grid),
        ("a tied fine-tune of 151,647 rows", with(half.clone(), ov.clone()), rows(151_647, &HALF_B), 2, OneToken),
        (
            "an untied 0.5B",
            with(half, json!({ "tie_word_embeddings": false })),
            Size { tied: false, ..HALF_B },
            1,
            OneToken,
        ),
        ("the tower's own config, its last layer counted", with(with(seven, video), siglip), SEVEN_B, 4, Grid),
    ];
    let (_dir, tokenizer) = real_tokenizer();
    for (name, config, size, shards, newline_position) in table {
        let checkpoint = open(&config, &original_tensors(&size), shards).unwrap_or_else(|why| panic!("{name}: {why}"));
        let found = &checkpoint.config;
        assert_eq!(found.layout, Layout::Original, "{name}");
        let language = &found.language;
        let heads = (language.num_heads, language.num_kv_heads, language.head_dim());
        assert_eq!((language.hidden_size, language.num_layers), (size.hidden, size.layers), "{name}");
        assert_eq!(heads, (size.heads, size.kv_heads, size.hidden / size.heads), "{name}");
        assert_eq!((language.tie_word_embeddings, checkpoint.embedding_rows), (size.tied, size.rows), "{name}");
        is_so400m(name, &checkpoint);
        assert_eq!(found.video_tokens.newline_position, newline_position, "{name}");
        assert_eq!(found.video_tokens.merge_type, MergeType::Spatial { has_newline: true }, "{name}");
        let frames = if newline_position == Grid { 110 * 14 * 15 } else { 110 * 14 * 14 + 1 };
        assert_eq!(video_tokens(&checkpoint).unwrap().count(110), frames, "{name}");
        looks_at_pictures(name, &checkpoint);
        // The rows that pad the table can never be generated.
        assert_eq!(vocab_len(&checkpoint, &tokenizer), 151_646, "{name}");
    }
}

#[test]
fn every_hf_sibling_opens_under_all_namings() {
    let (_dir, tokenizer) = real_tokenizer();
    for (name, size, shards) in [
        ("llava-onevision-qwen2-0.5b-{si,ov}-hf", HALF_B, 1),
        ("llava-onevision-qwen2-7b-{si,ov,ov-chat}-hf", SEVEN_B, 4),
        ("llava-onevision-qwen2-72b-{si,ov,ov-chat}-hf", SEVENTY_TWO_B, 31),
    ] {
        for names in [HfNames::Older, HfNames::Newer, HfNames::Version5] {
            let tensors = hf_tensors(&size, names);
            let checkpoint = open(&hugging_face(&size), &tensors, shards).unwrap_or_else(|why| panic!("{name}: {why}"));
            let language = &checkpoint.config.language;
            assert_eq!(checkpoint.config.layout, Layout::HuggingFace);
            assert_eq!((language.hidden_size, language.num_layers), (size.hidden, size.layers), "{name}");
            assert_eq!((language.tie_word_embeddings, language.rope_theta), (size.tied, 1e6), "{name}");
            is_so400m(name, &checkpoint);
            assert_eq!(video_tokens(&checkpoint).unwrap().count(32), 32 * 196 + 1, "{name}");
            looks_at_pictures(name, &checkpoint);
            // This class cuts no rows off.
            assert_eq!(vocab_len(&checkpoint, &tokenizer), 152_128, "{name}");
        }
    }
    // Newer files say `*_token_id` and keep RoPE's base in a block of its own.
    let mut newer = hugging_face(&SEVEN_B);
    let text = newer["text_config"].as_object_mut().unwrap();
    text.remove("rope_theta");
    text.insert("rope_parameters".to_owned(), json!({ "rope_theta": 1e6, "rope_type": "default" }));
    let checkpoint = open(&newer, &hf_tensors(&SEVEN_B, HfNames::Newer), 4).unwrap();
    assert_eq!(checkpoint.config.language.rope_theta, 1e6);
    // Without a vision_config the tower is the published one, which has 16 heads.
    newer.as_object_mut().unwrap().remove("vision_config");
    is_so400m("no vision_config", &open(&newer, &hf_tensors(&SEVEN_B, HfNames::Newer), 4).unwrap());
}

fn is_so400m(name: &str, checkpoint: &Checkpoint) {
    let vision = checkpoint.vision;
    let found = (vision.hidden_size, vision.num_layers, vision.num_heads, vision.patch_size, vision.image_size);
    assert_eq!(found, (1152, 26, 16, 14, 384), "{name}");
}

fn looks_at_pictures(name: &str, checkpoint: &Checkpoint) {
    let pictures = checkpoint.config.pictures.as_ref().unwrap();
    let PictureAspect::Anyres(anyres) = &pictures.aspect else { panic!("{name}: {pictures:?}") };
    assert_eq!((anyres.canvases.len(), anyres.max_tiles), (36, Some(9)), "{name}");
    assert_eq!(picture_tokens(checkpoint).unwrap().layout(1920, 1080).unwrap().count(), 7269, "{name}");
}

/// Replaces, adds or removes a tensor.
fn edit(tensors: &[Shape], name: &str, shape: Option<&[usize]>, dtype: &'static str) -> Vec<Shape> {
    let mut out: Vec<Shape> = tensors.iter().filter(|(other, ..)| other != name).cloned().collect();
    out.extend(shape.map(|shape| (name.to_owned(), dtype, shape.to_vec())));
    out
}

const TOWER: &str = "model.vision_tower.vision_tower.vision_model";

#[test]
fn tensors_that_nobody_needs_are_let_be() {
    let tensors = original_tensors(&HALF_B);
    for (name, shape, dtype) in [
        ("lm_head.weight", &[151_936, 896][..], "BF16"),
        ("model.layers.3.self_attn.rotary_emb.inv_freq", &[32], "F32"),
        ("model.faster_token", &[896], "BF16"),
        (&format!("{TOWER}.embeddings.position_ids"), &[1, 729], "I64"),
        (&format!("{TOWER}.head.probe"), &[1, 1, 1152], "BF16"),
    ] {
        let opened = open(&original(&HALF_B), &edit(&tensors, name, Some(shape), dtype), 1);
        assert!(opened.is_ok(), "{name}: {opened:?}");
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let tensors = original_tensors(&HALF_B);
    let untied = original_tensors(&SEVEN_B);
    let config = original(&HALF_B);
    let patch = format!("{TOWER}.embeddings.patch_embedding.weight");
    let position = format!("{TOWER}.embeddings.position_embedding.weight");
    let class = format!("{TOWER}.embeddings.class_embedding");
    let last = format!("{TOWER}.encoder.layers.25.mlp.fc2.weight");
    let table: Vec<(&str, Value, Vec<Shape>, Vec<&str>)> = vec![
        (
            "an untied model without a head",
            original(&SEVEN_B),
            edit(&untied, "lm_head.weight", None, "BF16"),
            vec!["1 missing: lm_head.weight"],
        ),
        (
            "a head of another vocabulary",
            original(&SEVEN_B),
            edit(&untied, "lm_head.weight", Some(&[151_646, 3584]), "BF16"),
            vec!["1 wrongly shaped: lm_head.weight is [151646, 3584], expected [152064, 3584]"],
        ),
        (
            "a missing bias",
            config.clone(),
            edit(&tensors, "model.layers.7.self_attn.k_proj.bias", None, "BF16"),
            vec!["1 missing: model.layers.7.self_attn.k_proj.bias"],
        ),
        (
            "no newline",
            config.clone(),
            edit(&tensors, "model.image_newline", None, "BF16"),
            vec!["1 missing: model.image_newline"],
        ),
        (
            "another key-value width",
            config.clone(),
            edit(&tensors, "model.layers.0.self_attn.v_proj.weight", Some(&[896, 896]), "BF16"),
            vec!["model.layers.0.self_attn.v_proj.weight is [896, 896], expected [128, 896]"],
        ),
        (
            "a layer too many",
            config.clone(),
            edit(&tensors, "model.layers.24.mlp.up_proj.weight", Some(&[4864, 896]), "BF16"),
            vec!["1 unexpected: model.layers.24.mlp.up_proj.weight"],
        ),
        (
            "an adapter",
            config.clone(),
            edit(&tensors, "model.layers.0.self_attn.q_proj.lora_A.weight", Some(&[8, 896]), "BF16"),
            vec!["1 unexpected", "lora_A"],
        ),
        ("half a tower layer", config.clone(), edit(&tensors, &last, None, "BF16"), vec!["1 missing", &last]),
        (
            "the tower of CLIP at 336 pixels",
            config.clone(),
            edit(
                &edit(&edit(&tensors, &class, Some(&[1024]), "BF16"), &position, Some(&[577, 1024]), "BF16"),
                &patch,
                Some(&[1024, 3, 14, 14]),
                "BF16",
            ),
            vec!["class_embedding", "position_embedding.weight is [577, 1024], expected [729, 1024]"],
        ),
        (
            "weights of another size of model",
            original(&SEVEN_B),
            tensors.clone(),
            vec!["missing", "model.embed_tokens.weight is [151936, 896], expected [151936, 3584]"],
        ),
        (
            "HF names in the original layout",
            config.clone(),
            hf_tensors(&HALF_B, HfNames::Older),
            vec!["missing: ", "unexpected: ", "language_model.model.embed_tokens.weight"],
        ),
        (
            "another HF tower",
            hugging_face(&HALF_B),
            edit(
                &hf_tensors(&HALF_B, HfNames::Older),
                "vision_tower.vision_model.encoder.layers.25.mlp.fc1.bias",
                None,
                "F16",
            ),
            vec!["1 missing", "encoder.layers.25.mlp.fc1.bias"],
        ),
    ];
    for (name, config, tensors, parts) in table {
        for shards in [1, 3] {
            let refused = open(&config, &tensors, shards).expect_err(name);
            assert!(refused.contains("do not fit its config"), "{name}: {refused}");
            for part in &parts {
                assert!(refused.contains(part), "{name}: `{part}` is not in {refused}");
            }
        }
    }
}

/// Counts and numbers in names that no file can keep: refused at once, without a list of what is missing.
#[test]
fn counts_beyond_the_tensors_are_refused_at_once() {
    let tensors = original_tensors(&HALF_B);
    let last = format!("{TOWER}.encoder.layers.18446744073709551615.mlp.fc1.bias");
    let far = format!("{TOWER}.encoder.layers.4000000000.mlp.fc1.bias");
    let siglip =
        |changes: Value| json!({ "vision_config": with(json!({ "model_type": "siglip_vision_model" }), changes) });
    for (changes, tensors, part) in [
        (
            json!({ "num_hidden_layers": 2_000_000_000 }),
            tensors.clone(),
            "model.layers.* has 24 layers, config.json promises 2000000000; 12 missing: model.layers.24.",
        ),
        (
            siglip(json!({ "num_hidden_layers": 2_000_000_000 })),
            tensors.clone(),
            "encoder.layers.* has 26 layers, config.json promises 2000000000; 16 missing",
        ),
        (siglip(json!({ "image_size": 2_000_000_000, "patch_size": 1 })), tensors.clone(), "position_embedding"),
        (json!({ "num_hidden_layers": 20_000_000_000u64 }), tensors.clone(), "from 1 to 2147483647"),
        (json!({ "hidden_size": 1e300 }), tensors.clone(), "`hidden_size` is 1e+300"),
        (json!({ "mm_spatial_pool_stride": u64::MAX }), tensors.clone(), "mm_spatial_pool_stride"),
        (json!({}), edit(&tensors, &last, Some(&[4304]), "BF16"), last.as_str()),
        (json!({}), edit(&tensors, &far, Some(&[4304]), "BF16"), far.as_str()),
        (
            json!({}),
            edit(&tensors, "model.layers.18446744073709551615.mlp.up_proj.weight", Some(&[1]), "BF16"),
            "1 unexpected: model.layers.18446744073709551615.mlp.up_proj.weight",
        ),
    ] {
        let started = std::time::Instant::now();
        let refused = open(&with(original(&HALF_B), changes.clone()), &tensors, 2).expect_err("refused");
        assert!(refused.contains(part), "{changes}: `{part}` is not in {refused}");
        assert!(refused.len() < 8000 && started.elapsed().as_secs() < 20, "{changes}: {:?}", started.elapsed());
    }
}

/// Sizes are read off some tensors: those must have any.
#[test]
fn tensors_without_values_are_named() {
    let tensors = original_tensors(&SEVEN_B);
    for (name, shapes) in [
        ("model.embed_tokens.weight".to_owned(), [&[][..], &[0, 3584], &[152_064, 0]]),
        ("lm_head.weight".to_owned(), [&[], &[0], &[0, 3584]]),
        ("model.norm.weight".to_owned(), [&[], &[0], &[0, 0]]),
        ("model.image_newline".to_owned(), [&[], &[0], &[0, 0]]),
        ("model.mm_projector.0.weight".to_owned(), [&[], &[0], &[3584, 0]]),
        (format!("{TOWER}.embeddings.patch_embedding.weight"), [&[], &[0], &[0, 3, 14, 14]]),
        (format!("{TOWER}.embeddings.position_embedding.weight"), [&[], &[0], &[729, 0]]),
        (format!("{TOWER}.encoder.layers.0.mlp.fc1.weight"), [&[], &[0], &[0, 1152]]),
    ] {
        for shape in shapes {
            let refused = open(&original(&SEVEN_B), &edit(&tensors, &name, Some(shape), "BF16"), 1).expect_err(&name);
            assert!(refused.contains(&format!("{name} is {shape:?}, ")), "{name} {shape:?}: {refused}");
        }
    }
    // Both at once, so that each agrees with the other.
    let none = edit(&tensors, "model.embed_tokens.weight", Some(&[0, 3584]), "BF16");
    let none = edit(&none, "lm_head.weight", Some(&[0, 3584]), "BF16");
    assert!(
        open(&original(&SEVEN_B), &none, 1).expect_err("no rows").contains("2 wrongly shaped: lm_head.weight is [0")
    );
}

#[test]
fn a_shard_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &original(&HALF_B), &original_tensors(&HALF_B), 3);
    std::fs::remove_file(dir.path().join("model-00002-of-00003.safetensors")).unwrap();
    assert!(open_in(dir.path()).expect_err("a shard is missing").contains("1 of 3 shards are missing: model-00002"));
}

#[test]
fn configs_of_other_models_are_refused_with_the_reason() {
    let tensors = original_tensors(&HALF_B);
    for (changes, part) in [
        (json!({ "use_sliding_window": true }), "use_sliding_window"),
        (json!({ "mm_resampler_type": "perceiver" }), "mm_resampler_type is `perceiver`"),
        (json!({ "mm_projector_type": "pooler" }), "mm_projector_type is `pooler`"),
        (json!({ "hidden_act": "gelu" }), "hidden_act is `gelu`"),
        (json!({ "num_attention_heads": 15 }), "15 heads"),
        (json!({ "hidden_size": null }), "`hidden_size` is missing"),
        (json!({ "mm_newline_position": "row" }), "mm_newline_position is `row`"),
        (json!({ "mm_patch_merge_type": "unpad" }), "mm_patch_merge_type is `unpad`"),
        (json!({ "mm_projector_type": "linear" }), "model.mm_projector.weight"),
        (json!({ "vision_config": { "model_type": "siglip_vision_model", "num_attention_heads": 7 } }), "7 heads"),
        (
            json!({ "vision_config": { "model_type": "siglip_vision_model", "image_size": 224 } }),
            "expected [256, 1152]",
        ),
    ] {
        let refused = open(&with(original(&HALF_B), changes.clone()), &tensors, 1).expect_err("refused");
        assert!(refused.contains(part), "{changes}: {refused}");
    }
    let tensors = hf_tensors(&HALF_B, HfNames::Newer);
    let text = |changes: Value| with(hugging_face(&HALF_B)["text_config"].clone(), changes);
    for (key, value, part) in [
        ("vision_feature_layer", json!([-1]), "layer [-1]"),
        ("vision_feature_layer", json!([-2, -1]), "layer [-2,-1]"),
        ("projector_hidden_act", json!("gelu_pytorch_tanh"), "projector_hidden_act is `gelu_pytorch_tanh`"),
        ("text_config", text(json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } })), "rope_scaling.type"),
        (
            "text_config",
            text(json!({ "rope_parameters": { "rope_type": "yarn" } })),
            "rope_parameters.rope_type is `yarn`",
        ),
        ("text_config", text(json!({ "layer_types": ["sliding_attention"] })), "layer_types"),
        // A config of the whole tower, of which the conversion stores a layer less.
        (
            "vision_config",
            with(hugging_face(&HALF_B)["vision_config"].clone(), json!({ "num_hidden_layers": 27 })),
            "16 missing: model.vision_tower.vision_tower.vision_model.encoder.layers.26.",
        ),
        ("vision_config", json!({ "model_type": "clip_vision_model" }), "`clip_vision_model`"),
        ("text_config", json!({ "model_type": "llama" }), "`llama`"),
        ("text_config", Value::Null, "`text_config` is missing"),
        ("vision_feature_layer", json!(-2), "layer -2"),
        ("vision_feature_select_strategy", json!("default"), "`default`"),
    ] {
        let mut config = hugging_face(&HALF_B);
        config[key] = value;
        let refused = open(&config, &tensors, 1).expect_err("refused");
        assert!(refused.contains(part), "{key}: {refused}");
    }
}

/// A plain language model, as `score` takes it.
#[test]
fn a_language_model_with_scaled_positions_is_refused() {
    let (_dir, tokenizer) = real_tokenizer();
    let is_language = |name: &str| !name.contains("vision_tower") && !name.contains("mm_") && !name.contains("newline");
    let tensors = original_tensors(&HALF_B).into_iter().filter(|(name, ..)| is_language(name)).collect::<Vec<_>>();
    let plain = with(original(&HALF_B), json!({ "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2" }));
    let opened = |changes: Value| {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &with(plain.clone(), changes), &tensors, 1);
        LanguageCheckpoint::open(dir.path(), |seeing| vocab_len(seeing, &tokenizer)).map_err(|error| error.to_string())
    };
    assert_eq!(opened(json!({})).unwrap().config.num_layers, 24);
    let yarn = json!({ "rope_scaling": { "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768 } });
    for (changes, part) in [
        (yarn, "rope_scaling.type is `yarn`"),
        (json!({ "rope_theta": null, "rope_parameters": { "rope_type": "yarn" } }), "rope_parameters.rope_type"),
        (json!({ "num_hidden_layers": 2_000_000_000 }), "config.json promises 2000000000"),
    ] {
        let refused = opened(changes).expect_err(part);
        assert!(refused.contains(part), "{refused}");
    }
}

/// Rules that would change which id greedy decoding takes are never ignored in silence.
#[test]
fn rules_of_generation_that_are_not_implemented_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &original(&HALF_B), &original_tensors(&HALF_B), 1);
    let opened = |generation: Value| {
        std::fs::write(dir.path().join("generation_config.json"), generation.to_string()).unwrap();
        open_in(dir.path())
    };
    for (key, value) in [
        ("no_repeat_ngram_size", json!(1)),
        ("num_beams", json!(4)),
        ("suppress_tokens", json!([7])),
        ("sequence_bias", json!([[[7], -1.0]])),
        ("min_new_tokens", json!(8)),
        ("forced_eos_token_id", json!(151_645)),
        ("stop_strings", json!("END")),
    ] {
        let refused = opened(json!({ key: value })).expect_err(key);
        assert!(refused.contains(&format!("generation_config.json`: {key} is {value}, which is not")), "{refused}");
    }
    // As published, and as transformers writes the rules that are off.
    let off = json!({ "bos_token_id": 151_643, "do_sample": true, "eos_token_id": [151_645, 151_643],
        "pad_token_id": 151_643, "repetition_penalty": 1.05, "temperature": 0.7, "top_k": 20, "top_p": 0.8,
        "no_repeat_ngram_size": 0, "num_beams": 1, "suppress_tokens": null, "min_length": 0, "guidance_scale": 1.0 });
    assert_eq!(opened(off).unwrap().generation.repetition_penalty, 1.05);
}

#[test]
fn unknown_architectures_are_named_with_the_known_ones() {
    for (config, found) in [
        (json!({ "architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava" }), "LlavaLlamaForCausalLM"),
        (json!({ "architectures": ["LlavaMistralForCausalLM"] }), "LlavaMistralForCausalLM"),
        (json!({ "architectures": ["LlavaQwenMoeForCausalLM"] }), "LlavaQwenMoeForCausalLM"),
        (json!({ "architectures": ["LlavaForConditionalGeneration"] }), "LlavaForConditionalGeneration"),
        (json!({ "architectures": ["LlavaNextForConditionalGeneration"] }), "LlavaNextForConditionalGeneration"),
        (
            json!({ "architectures": ["LlavaNextVideoForConditionalGeneration"] }),
            "LlavaNextVideoForConditionalGeneration",
        ),
        (json!({ "architectures": ["VideoLlavaForConditionalGeneration"] }), "VideoLlavaForConditionalGeneration"),
        (json!({ "architectures": ["Qwen2VLForConditionalGeneration"] }), "Qwen2VLForConditionalGeneration"),
        (json!({ "architectures": ["MistralForCausalLM"] }), "MistralForCausalLM"),
        (json!({ "model_type": "llava_next_video" }), "llava_next_video"),
        (json!({ "model_type": "llava" }), "`llava`"),
        (json!({}), "neither"),
    ] {
        let refused = open(&config, &[], 1).expect_err("refused");
        for part in ["unknown architecture", found, "LlavaQwenForCausalLM", "LlavaOnevisionForConditionalGeneration"] {
            assert!(refused.contains(part), "{config}: `{part}` is not in {refused}");
        }
    }
    // Known, but for scoring text only.
    let plain = json!({ "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2" });
    let refused = open(&plain, &[], 1).expect_err("refused");
    assert!(refused.contains("Qwen2ForCausalLM") && refused.contains("cannot see videos"), "{refused}");
}
