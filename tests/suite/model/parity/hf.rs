//! Checkpoints in the layout of transformers against transformers: its logits and ids, under every naming of tensors.

use candle_core::{Device, Tensor};
use llava_video::checkpoint::Checkpoint;
use llava_video::device::DtypeRequest;
use llava_video::generate::{Sampler, SamplingParams};
use llava_video::interrupt::Interrupt;
use llava_video::model::{PictureTiles, penalized_prompt_ids, picture_tokens, video_tokens};
use llava_video::trace::Trace;

use super::{LOGITS, answer, answer_by, load, prompts, resized};
use crate::support::{CheckpointCopy, assert_close, golden, ids, json, placement, rgb_frames};

#[test]
fn the_hf_layout_gives_the_hf_logits_and_ids() {
    let dir = golden().join("hf");
    let facts = json(&dir.join("b_7x7_tied_single_bf16_hf_case.json"));
    let tensors = candle_core::safetensors::load(dir.join("b_7x7_tied_single_bf16_hf_case.safetensors"), &Device::Cpu);
    let tensors = tensors.unwrap();
    let checkpoint = Checkpoint::open(dir.join("b_7x7_tied_single_bf16_hf"), &[]).unwrap();
    let (model, tokenizer) = load(&checkpoint, &placement(DtypeRequest::F32), true);
    // What transformers writes as `<video>` is the same place that the original writes as `<image>`.
    let prompt = facts["prompt"].as_str().unwrap().replace("<video>", "<image>");
    let prompt = prompts::encode_reference_prompt(&prompt, &tokenizer);
    let expanded = ids(&facts["input_ids_expanded"]);
    let visual_tokens = facts["num_video_tokens"].as_u64().unwrap() as usize;
    assert_eq!(prompt.len(visual_tokens), expanded.len());

    let (frames, width, height) = rgb_frames(&tensors["frames"]);
    let frames = resized(&frames, width, height, &checkpoint);
    let mut trace = Trace::recording();
    let generated = answer(&model, &checkpoint, &prompt, Some(&frames), 32, &mut trace);
    let seams = trace.tensors().unwrap();
    assert_eq!(seams["video_sequence"].dims()[0], visual_tokens);
    assert_close("hf logits", &seams["prefill_logits_last"], &tensors["prefill_logits_last"], LOGITS);
    assert_eq!(generated, ids(&facts["generated_ids"]));
}

/// A checkpoint as `save_pretrained` of transformers 5 writes it, and the cases recorded with it.
struct Transformers5 {
    dir: std::path::PathBuf,
    facts: serde_json::Value,
    tensors: std::collections::HashMap<String, Tensor>,
}

impl Transformers5 {
    fn load() -> Self {
        let file = |name: &str| golden().join("hf").join(name);
        Self {
            dir: file("transformers5"),
            facts: json(&file("transformers5_case.json")),
            tensors: candle_core::safetensors::load(file("transformers5_case.safetensors"), &Device::Cpu).unwrap(),
        }
    }

    /// Asks `checkpoint`, which holds the recorded weights, all cases.
    #[track_caller]
    fn check(&self, checkpoint: &Checkpoint) {
        let (model, tokenizer) = load(checkpoint, &placement(DtypeRequest::F32), true);
        let interrupt = Interrupt::default();
        let (frames, width, height) = rgb_frames(&self.tensors["frames"]);
        let frames = resized(&frames, width, height, checkpoint);
        let (picture, width, height) = rgb_frames(&self.tensors["picture"].unsqueeze(0).unwrap());
        let layout = picture_tokens(checkpoint).unwrap().layout(width, height).unwrap();
        let tiles = PictureTiles::new(layout, &picture[0]);
        for case in self.facts["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let trace = &mut Trace::recording();
            let visual = match name {
                "video" => vec![model.encode_clip(&frames, &interrupt, &mut |_, _, _| (), trace).unwrap()],
                "picture" => model.encode_pictures(&[&tiles], &interrupt, &mut |_, _, _| (), trace).unwrap(),
                _ => Vec::new(),
            };
            let text = case["prompt"].as_str().unwrap().replace("<video>", "<image>");
            let prompt = prompts::encode_reference_prompt(&text, &tokenizer);
            let visual_tokens = visual.iter().map(|tokens| tokens.tensor().dims()[0]).sum();
            let expanded = ids(&case["input_ids"]);
            assert_eq!(prompt.len(visual_tokens), expanded.len(), "{name}");

            let counted = penalized_prompt_ids(&checkpoint.config, &prompt, name == "picture");
            let distinct = |ids: &mut dyn Iterator<Item = i64>| ids.collect::<std::collections::BTreeSet<_>>();
            let of_prompt = distinct(&mut counted.iter().copied().map(i64::from));
            assert_eq!(of_prompt, distinct(&mut expanded.iter().copied()), "{name}");
            let penalty = case["repetition_penalty"].as_f64().unwrap();
            let sampler = Sampler::new(&SamplingParams::greedy(penalty), counted);
            let generated = answer_by(sampler, &model, checkpoint, &prompt, &visual, 24, trace);
            let logits = &trace.tensors().unwrap()["prefill_logits_last"];
            assert_close(name, logits, &self.tensors[&format!("{name}_logits")], LOGITS);
            assert_eq!(generated, ids(&case["generated_ids"]), "{name}, penalty {penalty}");
        }
    }
}

#[test]
fn checkpoints_that_transformers_5_saves_give_its_logits_and_ids() {
    let recorded = Transformers5::load();
    let checkpoint = Checkpoint::open(&recorded.dir, &[]).unwrap();
    assert_eq!(checkpoint.vision.num_heads, 12, "a default of SiglipVisionConfig");
    assert_eq!(checkpoint.generation.repetition_penalty, 1.3);
    assert_eq!(video_tokens(&checkpoint).unwrap().count(3), 3 * 4 + 1);
    recorded.check(&checkpoint);
}

/// Earlier names of the same tensors, and a mix of them, which transformers maps name by name, too.
#[test]
fn names_of_all_generations_mean_the_same_tensors() {
    let converted = |name: &str| name.replacen("vision_tower.", "vision_tower.vision_model.", 1);
    let modules = |name: &str| match name.strip_prefix("language_model.") {
        Some(head) if head.starts_with("lm_head.") => head.to_owned(),
        Some(rest) => format!("model.language_model.{}", rest.strip_prefix("model.").unwrap()),
        None => format!("model.{name}"),
    };
    let recorded = Transformers5::load();
    type Rename<'a> = &'a dyn Fn(usize, &str) -> String;
    let table: [(&str, Rename<'_>); 4] = [
        ("language_model.model, vision_tower.vision_model", &|_, name| converted(name)),
        ("model.language_model, model.vision_tower.vision_model", &|_, name| modules(&converted(name))),
        ("model.language_model, model.vision_tower", &|_, name| modules(name)),
        ("a mix", &|index, name| if index % 2 == 0 { converted(name) } else { modules(name) }),
    ];
    for (naming, rename) in table {
        let copy = CheckpointCopy::of(&recorded.dir);
        copy.edit_tensors(|tensors| {
            let mut all: Vec<_> = tensors.drain().collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            let renamed = all.into_iter().enumerate().map(|(index, (name, tensor))| (rename(index, &name), tensor));
            tensors.extend(renamed);
        });
        let checkpoint = Checkpoint::open(copy.path(), &[]).unwrap_or_else(|why| panic!("{naming}: {why}"));
        recorded.check(&checkpoint);
    }
}

#[test]
fn names_that_the_hf_layout_does_not_have_are_refused() {
    let recorded = Transformers5::load();
    let refused = |edit: &dyn Fn(&mut std::collections::HashMap<String, Tensor>)| {
        let copy = CheckpointCopy::of(&recorded.dir);
        copy.edit_tensors(edit);
        Checkpoint::open(copy.path(), &[]).expect_err("refused").to_string()
    };
    let norm = "language_model.model.norm.weight";
    // The original layout's name is none of this one.
    let original = refused(&|tensors| {
        let tensor = tensors.remove(norm).unwrap();
        tensors.insert("model.norm.weight".to_owned(), tensor);
    });
    assert!(original.contains("1 missing: model.norm.weight; 1 unexpected: model.norm.weight"), "{original}");
    let unknown = refused(&|tensors| {
        let tensor = tensors[norm].clone();
        tensors.insert("visual.merger.norm.weight".to_owned(), tensor);
    });
    assert!(unknown.contains("1 unexpected: visual.merger.norm.weight"), "{unknown}");
    let twice = refused(&|tensors| {
        let tensor = tensors[norm].clone();
        tensors.insert("model.language_model.norm.weight".to_owned(), tensor);
    });
    for name in [norm, "model.language_model.norm.weight"] {
        assert!(twice.contains(name) && twice.contains("two names of one tensor"), "{twice}");
    }
}

/// transformers 5 saves a tied model without `lm_head`, whichever level of the config says that it is tied.
#[test]
fn either_level_of_an_hf_config_can_tie_the_head() {
    let recorded = Transformers5::load();
    for (inner, outer, has_head, tied) in [
        (Some(true), Some(true), false, Some(true)),
        (Some(true), Some(false), false, Some(true)),
        (Some(false), Some(true), false, Some(true)),
        (None, Some(true), false, Some(true)),
        (Some(false), Some(false), true, Some(false)),
        (Some(false), Some(true), true, Some(false)),
        (None, None, true, Some(false)),
        (Some(false), Some(false), false, None),
    ] {
        let copy = CheckpointCopy::of(&recorded.dir);
        copy.edit_json("config.json", |config| {
            config["tie_word_embeddings"] = outer.into();
            config["text_config"]["tie_word_embeddings"] = inner.into();
        });
        if !has_head {
            copy.edit_tensors(|tensors| drop(tensors.remove("language_model.lm_head.weight").unwrap()));
        }
        let opened = Checkpoint::open(copy.path(), &[]);
        let found = opened.ok().map(|checkpoint| checkpoint.config.language.tie_word_embeddings);
        assert_eq!(found, tied, "{inner:?} {outer:?} {has_head}");
    }
}
