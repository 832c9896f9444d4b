//! Configs and tensors that no checkpoint should have: refused with a reason, or run to numbers; never a panic, and
//! never work or memory beyond what the files themselves hold.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, DtypeRequest};
use llava_video::engine::session::{Session, VisualId, VisualTokens};
use llava_video::interrupt::Interrupt;
use llava_video::model::{ClipFrames, LlavaVideo, PictureTiles, picture_tokens, video_tokens, vocab_len};
use llava_video::prompt::{Prompt, Segment, Tokenizer};
use llava_video::trace::Trace;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{CheckpointCopy, golden, placement};

const MODELS: [&str; 3] = ["ckpt/b_7x7_tied_single_bf16", "hf/b_7x7_tied_single_bf16_hf", "hf/transformers5"];

/// Opens the checkpoint and, where that succeeds, looks at two frames and a picture and reads a prompt.
fn open_and_run(dir: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| error.to_string();
    let checkpoint = Checkpoint::open(dir, &[]).map_err(|error| failed(&error))?;
    let tokenizer = Tokenizer::open(&checkpoint.source).map_err(|error| failed(&error))?;
    let rule = video_tokens(&checkpoint).map_err(|error| failed(&error))?;
    let devices = DeviceMap::single(placement(DtypeRequest::F32), checkpoint.config.language.num_layers);
    let interrupt = Interrupt::default();
    let vocab_len = vocab_len(&checkpoint, &tokenizer);
    let model = LlavaVideo::load(&checkpoint, vocab_len, true, &devices, &interrupt, &mut |_, _, _| ());
    let model = model.map_err(|error| failed(&error))?;

    let (trace, side) = (&mut Trace::default(), checkpoint.vision.image_size);
    let frames = ClipFrames::new(vec![vec![7; side * side * 3], vec![200; side * side * 3]], &[0, 1]);
    let clip = model.encode_clip(&frames, &interrupt, &mut |_, _, _| (), trace).map_err(|error| failed(&error))?;
    assert_eq!(clip.tensor().dims()[0], rule.count(2));
    let layout = picture_tokens(&checkpoint).ok().and_then(|rule| rule.layout(40, 30));
    if let Some(layout) = layout.filter(|layout| layout.tile_count() < 100) {
        let tiles = PictureTiles::new(layout, &[9; 40 * 30 * 3]);
        model.encode_pictures(&[&tiles], &interrupt, &mut |_, _, _| (), trace).map_err(|error| failed(&error))?;
    }
    let prompt = Prompt { segments: vec![Segment::Tokens(vec![1, 2]), Segment::Visual, Segment::Tokens(vec![3])] };
    let clip = VisualTokens { id: VisualId(0), tokens: clip };
    let prefilled = Session::new(&model, &interrupt).prefill(&prompt, &[clip], 1, &mut |_, _, _| (), trace);
    assert_eq!(prefilled.map_err(|error| failed(&error))?.logits.len(), vocab_len);
    Ok(())
}

/// Else a refusal of everything would be taken for caution.
#[test]
fn checkpoints_as_they_should_be_run() {
    for model in MODELS {
        open_and_run(&golden().join(model)).unwrap();
    }
}

/// Values that a key may have by mistake or by malice.
fn values() -> Vec<Value> {
    let mut values = vec![Value::Null, json!(true), json!(false), json!([]), json!({})];
    values.extend([-1i64, 0, 1, 2, 3, 4, 8, 16, 64, 96, 353, i64::from(i32::MAX), i64::MAX].map(Value::from));
    values.extend([json!(u64::MAX), json!(1e300), json!(0.5), json!(-1e-6), json!(2.0)]);
    values.extend(
        [
            "",
            "average",
            "max",
            "grid",
            "frame",
            "no_token",
            "flat",
            "spatial",
            "anyres",
            "anyres_max_2",
            "pad",
            "square",
        ]
        .map(Value::from),
    );
    values.extend(["mlp3x_gelu", "linear", "(1x1),...,(64x64)", "(9999999999x1),(1x1)"].map(Value::from));
    values.extend([
        json!([[60, 60]]),
        json!([[32, 64], [64, 32]]),
        json!([[0, 0]]),
        json!([352, 1]),
        json!([[-60, 60]]),
    ]);
    values.extend([json!({ "rope_type": "yarn" }), json!({ "rope_theta": 1e4 }), json!({ "hidden_size": u64::MAX })]);
    values
}

/// Every key of a config, as a path.
fn keys(config: &Value) -> Vec<Vec<String>> {
    let mut keys = vec![vec!["rope_scaling".to_owned()], vec!["add_faster_video".to_owned()]];
    for (key, value) in config.as_object().unwrap() {
        keys.push(vec![key.clone()]);
        let nested = value.as_object().into_iter().flatten();
        keys.extend(nested.map(|(inner, _)| vec![key.clone(), inner.clone()]));
    }
    keys
}

fn change(config: &mut Value, picks: &[(usize, usize)]) {
    let (keys, values) = (keys(config), values());
    for (key, value) in picks {
        let (key, value) = (&keys[key % keys.len()], values[value % values.len()].clone());
        match key.as_slice() {
            [outer, inner] if config[outer].is_object() => config[outer][inner] = value,
            [outer, ..] => config[outer] = value,
            [] => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_config_is_run_or_refused(
        model in 0..MODELS.len(),
        picks in proptest::collection::vec((any::<usize>(), any::<usize>()), 1..4),
    ) {
        let copy = CheckpointCopy::of(&golden().join(MODELS[model]));
        copy.edit_json("config.json", |config| change(config, &picks));
        if let Err(reason) = open_and_run(copy.path()) {
            prop_assert!(!reason.is_empty() && reason.len() < 8000, "{}", reason);
        }
    }

    #[test]
    fn tensors_of_any_shape_are_run_or_refused(
        model in 0..MODELS.len(),
        pick in any::<usize>(),
        shape in proptest::collection::vec(proptest::sample::select(vec![0usize, 1, 2, 3, 8, 24, 32, 64, 96]), 0..4),
    ) {
        let copy = CheckpointCopy::of(&golden().join(MODELS[model]));
        copy.edit_tensors(|tensors| {
            let mut names: Vec<String> = tensors.keys().cloned().collect();
            names.sort();
            let name = names.swap_remove(pick % names.len());
            tensors.insert(name, Tensor::ones(shape.clone(), DType::F32, &Device::Cpu).unwrap());
        });
        if let Err(reason) = open_and_run(copy.path()) {
            prop_assert!(!reason.is_empty() && reason.len() < 8000, "{}", reason);
        }
    }
}
