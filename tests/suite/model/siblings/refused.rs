//! Checkpoints that are nearly a relative: what does not fit is refused with the reason, what nobody needs is let be.

use super::*;

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
