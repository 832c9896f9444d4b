//! Every published relative of the model, by its real names and shapes: each opens, or is refused with a reason.
//!
//! Configs as published, less the keys that no loader reads; the weights are holes in files, since opening reads
//! headers only.

mod refused;

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
