//! The library against the reference, seam by seam: numbers within the stated tolerance, ids exactly equal.
//!
//! Tolerances in f32 on a CPU, as the golden data states them: 1e-4 for features and embeddings, 2e-3 for logits.

mod hf;

use candle_core::{DType, Device, Tensor};
use llava_video::checkpoint::Checkpoint;
use llava_video::device::{DeviceMap, DtypeRequest, Placed, Placement};
use llava_video::engine::session::{Session, VisualId, VisualTokens};
use llava_video::generate::{Generation, Sampler, SamplingParams, StopRule, generate};
use llava_video::interrupt::Interrupt;
use llava_video::model::{ClipFrames, LlavaVideo, PictureTiles, penalized_prompt_ids, picture_tokens, vocab_len};
use llava_video::prompt::{self, Conversation, Segment, Tokenizer, Turn, picture_message};
use llava_video::trace::Trace;
use llava_video::vision::preprocess;

use super::prompts;
use crate::support::{
    Case, CheckpointCopy, SINGLE, assert_close, golden, golden_checkpoint, json, placement, sha256_hex,
};

const FEATURES: f32 = 1e-4;
const LOGITS: f32 = 2e-3;

fn load(checkpoint: &Checkpoint, placement: &Placement, with_vision: bool) -> (LlavaVideo, Tokenizer) {
    load_over(checkpoint, &DeviceMap::single(placement.clone(), checkpoint.config.language.num_layers), with_vision)
}

pub(crate) fn load_over(checkpoint: &Checkpoint, devices: &DeviceMap, with_vision: bool) -> (LlavaVideo, Tokenizer) {
    let tokenizer = Tokenizer::open(&checkpoint.source).unwrap();
    let vocab = vocab_len(checkpoint, &tokenizer);
    let model = LlavaVideo::load(checkpoint, vocab, with_vision, devices, &Interrupt::default(), &mut |_, _, _| ());
    (model.unwrap(), tokenizer)
}

/// Runs a prompt to the end and returns the generated ids.
pub(crate) fn answer(
    model: &LlavaVideo,
    checkpoint: &Checkpoint,
    prompt: &llava_video::prompt::Prompt,
    frames: Option<&ClipFrames>,
    max_new_tokens: usize,
    trace: &mut Trace,
) -> Vec<i64> {
    let interrupt = Interrupt::default();
    let visual = frames.map(|frames| model.encode_clip(frames, &interrupt, &mut |_, _, _| (), trace).unwrap());
    answer_to(model, checkpoint, prompt, visual.as_slice(), max_new_tokens, trace)
}

/// As [`answer`], the visual tokens being known.
fn answer_to(
    model: &LlavaVideo,
    checkpoint: &Checkpoint,
    prompt: &llava_video::prompt::Prompt,
    visual: &[Placed],
    max_new_tokens: usize,
    trace: &mut Trace,
) -> Vec<i64> {
    let penalty = checkpoint.generation.repetition_penalty;
    let prompt_ids = penalized_prompt_ids(&checkpoint.config, prompt, false);
    let sampler = Sampler::new(&SamplingParams::greedy(penalty), prompt_ids);
    answer_by(sampler, model, checkpoint, prompt, visual, max_new_tokens, trace)
}

/// As [`answer_to`], with a sampler of one's own.
fn answer_by(
    sampler: Sampler,
    model: &LlavaVideo,
    checkpoint: &Checkpoint,
    prompt: &llava_video::prompt::Prompt,
    visual: &[Placed],
    max_new_tokens: usize,
    trace: &mut Trace,
) -> Vec<i64> {
    let interrupt = Interrupt::default();
    let visual = named(visual);
    let mut session = Session::new(model, &interrupt);
    let logits = session.prefill(prompt, &visual, max_new_tokens, &mut |_, _, _| (), trace).unwrap().logits;
    let rule = StopRule::new(checkpoint.generation.eos_token_ids.clone(), max_new_tokens, prompt.len(0), None);
    let mut ignore = |_| Ok::<(), llava_video::Error>(());
    let (ids, _) = generate(logits, &mut session, Generation::new(sampler, rule), &interrupt, &mut ignore).unwrap();
    ids.into_iter().map(i64::from).collect()
}

/// Visual tokens by their number.
pub(crate) fn named(visual: &[Placed]) -> Vec<VisualTokens> {
    (0..).zip(visual).map(|(id, tokens)| VisualTokens { id: VisualId(id), tokens: tokens.clone() }).collect()
}

pub(crate) fn resized(frames: &[Vec<u8>], width: usize, height: usize, checkpoint: &Checkpoint) -> ClipFrames {
    let size = checkpoint.vision.image_size;
    let distinct = frames.iter().map(|frame| preprocess::resize(frame, width, height, size)).collect();
    ClipFrames::new(distinct, &(0..frames.len()).collect::<Vec<_>>())
}

#[test]
fn every_seam_of_every_video_case() {
    assert_video_cases(&placement(DtypeRequest::F32));
}

/// Compares every seam of every video case, and the ids, with the reference's.
pub(crate) fn assert_video_cases(placement: &Placement) {
    let cases = Case::all("video");
    assert!(cases.len() >= 9, "only {} cases", cases.len());
    for case in &cases {
        let dir = case.checkpoint();
        let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
        let (model, tokenizer) = load(&checkpoint, placement, true);
        let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
        assert_eq!(prompt.ids_with_placeholder(-200), case.ids("input_ids"), "{}", case.name);

        let (frames, width, height) = case.frames();
        let frames = resized(&frames, width, height, &checkpoint);
        let mut trace = Trace::recording();
        let max_new_tokens = case.facts["max_new_tokens"].as_u64().unwrap() as usize;
        let generated = answer(&model, &checkpoint, &prompt, Some(&frames), max_new_tokens, &mut trace);

        let seams = trace.tensors().unwrap();
        assert_eq!(digest(&seams["pixel_values"]), case.str("pixel_values_sha256_f32_le"), "{}", case.name);
        for seam in ["vision_features", "projected", "video_sequence", "inputs_embeds"] {
            assert_close(&format!("{} {seam}", case.name), &seams[seam], &case.tensors[seam], FEATURES);
        }
        let logits = &case.tensors["prefill_logits_last"];
        assert_close(&format!("{} logits", case.name), &seams["prefill_logits_last"], logits, LOGITS);
        assert_eq!(generated, case.ids("generated_ids"), "{}", case.name);
    }
}

#[test]
fn every_seam_of_every_picture_case() {
    let cases = Case::all("image_anyres");
    assert!(!cases.is_empty());
    for case in &cases {
        let dir = case.checkpoint();
        let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
        let (model, tokenizer) = load(&checkpoint, &placement(DtypeRequest::F32), true);
        let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
        assert_eq!(prompt.ids_with_placeholder(-200), case.ids("input_ids"), "{}", case.name);

        let (rgb, width, height) = case.picture();
        let layout = picture_tokens(&checkpoint).unwrap().layout(width, height).unwrap();
        let facts = |key: &str| case.facts[key].as_u64().unwrap() as usize;
        assert_eq!((layout.tile_count(), layout.count()), (facts("n_patches"), facts("num_visual_tokens")));
        assert_eq!(prompt.len(layout.count()), facts("seq_len"), "{}", case.name);
        let mut trace = Trace::recording();
        let picture = PictureTiles::new(layout, &rgb);
        let visual = model.encode_pictures(&[&picture], &Interrupt::default(), &mut |_, _, _| (), &mut trace).unwrap();
        let generated = answer_to(&model, &checkpoint, &prompt, &visual, 32, &mut trace);

        let seams = trace.tensors().unwrap();
        for (seam, tolerance) in [("pixel_values", 0.0), ("inputs_embeds", FEATURES), ("prefill_logits_last", LOGITS)] {
            assert_close(&format!("{} {seam}", case.name), &seams[seam], &case.tensors[seam], tolerance);
        }
        assert_eq!(generated, case.ids("generated_ids"), "{}", case.name);
    }
}

/// A picture of which no two parts are alike.
fn picture(width: usize, height: usize) -> Vec<u8> {
    (0..width * height * 3).map(|i| (i * i / 7 + i * 13) as u8).collect()
}

/// The HF checkpoint holds the weights of an original one: pictures must come out alike, whatever the order in which
/// each config writes width and height.
#[test]
fn both_layouts_see_the_same_pictures() {
    let dirs = ["ckpt/b_7x7_tied_single_bf16", "hf/b_7x7_tied_single_bf16_hf"].map(|name| golden().join(name));
    let models = dirs.map(|dir| {
        let checkpoint = Checkpoint::open(&dir, &[]).unwrap();
        (load(&checkpoint, &placement(DtypeRequest::F32), true).0, checkpoint)
    });
    for (width, height) in [(60, 60), (170, 50), (50, 170), (133, 101), (300, 299)] {
        let [original, hugging_face] = models.each_ref().map(|(model, checkpoint)| {
            let layout = picture_tokens(checkpoint).unwrap().layout(width, height).unwrap();
            let tiles = PictureTiles::new(layout, &picture(width, height));
            let trace = &mut Trace::default();
            let tokens = model.encode_pictures(&[&tiles], &Interrupt::default(), &mut |_, _, _| (), trace).unwrap();
            tokens[0].tensor().clone()
        });
        assert_close(&format!("{width}x{height}"), &hugging_face, &original, 1e-5);
    }
}

/// Each place in a prompt of several pictures takes the tokens of its own.
#[test]
fn pictures_are_spliced_in_order() {
    let checkpoint = Checkpoint::open(golden_checkpoint(SINGLE), &[]).unwrap();
    let (model, tokenizer) = load(&checkpoint, &placement(DtypeRequest::F32), true);
    let rule = picture_tokens(&checkpoint).unwrap();
    let tiles = [(100, 60), (60, 150)]
        .map(|(width, height)| PictureTiles::new(rule.layout(width, height).unwrap(), &picture(width, height)));
    let mut trace = Trace::default();
    let tiles = [&tiles[0], &tiles[1]];
    let visual = model.encode_pictures(&tiles, &Interrupt::default(), &mut |_, _, _| (), &mut trace).unwrap();
    let turns = vec![Turn::User(picture_message(2, "Why?"))];
    let prompt = prompt::encode(&Conversation { system: None, turns }, &tokenizer).unwrap();
    let embeds = model.embed_prompt(&prompt, &visual, &mut trace).unwrap().tensor().clone();
    let mut start = 0;
    let mut seen = visual.iter();
    for segment in &prompt.segments {
        match segment {
            Segment::Tokens(ids) => start += ids.len(),
            Segment::Visual => {
                let tokens = seen.next().unwrap();
                let len = tokens.tensor().dims()[0];
                assert_close("spliced", &embeds.narrow(0, start, len).unwrap(), tokens.tensor(), 0.0);
                start += len;
            }
        }
    }
    assert_eq!((start, seen.next().is_none()), (embeds.dims()[0], true));
    for wrong in [&visual[..1], &[visual.clone(), visual.clone()].concat()] {
        assert!(model.embed_prompt(&prompt, wrong, &mut trace).is_err());
    }
}

#[test]
fn text_cases_through_the_language_model_alone() {
    let cases = Case::all("text_only");
    assert!(!cases.is_empty());
    for case in &cases {
        let dir = case.checkpoint();
        let checkpoint = Checkpoint::open(dir.path(), &[]).unwrap();
        let (model, tokenizer) = load(&checkpoint, &placement(DtypeRequest::F32), false);
        let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
        assert_eq!(prompt.ids_with_placeholder(-200), case.ids("input_ids"));
        let mut trace = Trace::recording();
        let generated = answer(&model, &checkpoint, &prompt, None, 32, &mut trace);
        let logits = &trace.tensors().unwrap()["prefill_logits_last"];
        assert_close(&case.name, logits, &case.tensors["prefill_logits_last"], LOGITS);
        assert_eq!(generated, case.ids("generated_ids"), "{}", case.name);
    }
}

/// The same weights stored as bf16, f16 and f32, tied or not, in one file: the same ids. (All golden weights are bf16
/// values small enough for f16 to hold them closely.)
#[test]
fn storage_dtype_and_tying_do_not_change_the_answer() {
    let case = Case::load("grid_average_s2_b");
    let original = golden_checkpoint(case.str("ckpt"));
    for (dtype, untie) in [(DType::F32, false), (DType::F16, false), (DType::F32, true)] {
        let copy = CheckpointCopy::of(&original);
        copy.edit_tensors(|tensors| {
            for tensor in tensors.values_mut() {
                *tensor = tensor.to_dtype(dtype).unwrap();
            }
            if untie {
                let head = tensors["model.embed_tokens.weight"].copy().unwrap();
                tensors.insert("lm_head.weight".to_owned(), head);
            }
        });
        copy.edit_json("config.json", |config| config["tie_word_embeddings"] = (!untie).into());
        let checkpoint = Checkpoint::open(copy.path(), &case.overrides()).unwrap();
        let (model, tokenizer) = load(&checkpoint, &placement(DtypeRequest::F32), true);
        let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
        let (frames, width, height) = case.frames();
        let frames = resized(&frames, width, height, &checkpoint);
        let generated = answer(&model, &checkpoint, &prompt, Some(&frames), 32, &mut Trace::default());
        assert_eq!(generated, case.ids("generated_ids"), "{dtype:?} untied {untie}");
    }
}

/// Everything computed in bf16 or f16, as a GPU does it, stays near the f32 logits: a wrong cast or a table in the
/// wrong dtype would not.
#[test]
fn half_precision_stays_near_the_reference() {
    let case = Case::load("grid_bilinear_s2_a");
    let device = placement(DtypeRequest::F32).device;
    for (dtype, tolerance) in [(DType::BF16, 0.4), (DType::F16, 0.1)] {
        let logits = prefill_logits(&case, &Placement::whole(device.clone(), dtype));
        assert_close(&format!("{dtype:?}"), &logits, &case.tensors["prefill_logits_last"], tolerance);
    }
}

/// `--dtype bf16` is at least as near to f32 as the reference's own bf16, in the mean over all cases; in bf16 throughout,
/// as GPUs compute, it is about as near as that.
#[test]
fn bf16_is_nearer_to_f32_than_the_reference_is() {
    let whole = Placement::whole(placement(DtypeRequest::F32).device, DType::BF16);
    for (placement, bar) in [(placement(DtypeRequest::Bf16), 1.0), (whole, 1.1)] {
        let mean = ratio_of_errors(&placement);
        assert!(mean <= bar, "{placement:?}: {mean}");
    }
}

/// The RMS error of a placement's last prefill logits against f32, as a multiple of what the reference's own bf16 has:
/// the geometric mean over all cases.
fn ratio_of_errors(placement: &Placement) -> f64 {
    let facts = json(&golden().join("bf16.json"));
    let logits = candle_core::safetensors::load(golden().join("bf16.safetensors"), &Device::Cpu).unwrap();
    let mut ratios = Vec::new();
    for (name, facts) in facts.as_object().unwrap() {
        let got = prefill_logits(&Case::load(name), placement);
        let exact = &logits[&format!("{name}.f32")];
        let error = (got.flatten_all().unwrap() - exact).unwrap().sqr().unwrap().mean_all().unwrap().sqrt().unwrap();
        let ratio = f64::from(error.to_scalar::<f32>().unwrap()) / facts["prefill_rms_vs_f32"].as_f64().unwrap();
        assert!(ratio > 0.0, "{name}: this test compares nothing");
        ratios.push(ratio);
    }
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// The last logits of a video case's prompt.
fn prefill_logits(case: &Case, placement: &Placement) -> Tensor {
    let dir = case.checkpoint();
    let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
    let (model, tokenizer) = load(&checkpoint, placement, true);
    let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
    let (frames, width, height) = case.frames();
    let frames = resized(&frames, width, height, &checkpoint);
    let mut trace = Trace::recording();
    answer(&model, &checkpoint, &prompt, Some(&frames), 1, &mut trace);
    trace.tensors().unwrap()["prefill_logits_last"].clone()
}

/// A clip's repeats run through the tower once, and give what each slot would give alone.
#[test]
fn repeated_frames_give_repeated_tokens() {
    let case = Case::load("grid_bilinear_s2_a");
    let dir = case.checkpoint();
    let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
    let (model, _) = load(&checkpoint, &placement(DtypeRequest::F32), true);
    let (frames, width, height) = case.frames();
    let encode = |clip: &ClipFrames| {
        let tokens = model.encode_clip(clip, &Interrupt::default(), &mut |_, _, _| (), &mut Trace::default());
        tokens.unwrap().tensor().clone()
    };
    let once = resized(&frames, width, height, &checkpoint);
    let repeats = ClipFrames::new(once.distinct.clone(), &[0, 0, 0, 1, 1, 2, 2, 2, 2]);
    let (once, repeated) = (encode(&once), encode(&repeats));
    let per_frame = once.dims()[0] / 3;
    for (slot, frame) in repeats.slots.iter().enumerate() {
        let got = repeated.narrow(0, slot * per_frame, per_frame).unwrap();
        let expected = once.narrow(0, frame * per_frame, per_frame).unwrap();
        assert_close(&format!("slot {slot}"), &got, &expected, 1e-6);
    }
}

/// Wherever the layers are divided over two device slots, ids and logits are those of one slot, bit for bit.
#[test]
fn layers_on_two_slots_give_the_same_numbers() {
    let case = Case::load("grid_bilinear_s2_a");
    let dir = case.checkpoint();
    let checkpoint = Checkpoint::open(dir.path(), &case.overrides()).unwrap();
    let (frames, width, height) = case.frames();
    let frames = resized(&frames, width, height, &checkpoint);
    let one = placement(DtypeRequest::F32);
    let layers = checkpoint.config.language.num_layers;
    assert!(layers > 1, "one layer cannot be divided");
    let outcome = |devices: &DeviceMap| {
        let (model, tokenizer) = load_over(&checkpoint, devices, true);
        let prompt = prompts::encode_reference_prompt(case.str("prompt"), &tokenizer);
        let mut trace = Trace::recording();
        let ids = answer(&model, &checkpoint, &prompt, Some(&frames), 32, &mut trace);
        let logits = trace.tensors().unwrap()["prefill_logits_last"].flatten_all().unwrap();
        (ids, logits.to_vec1::<f32>().unwrap())
    };
    let undivided = outcome(&DeviceMap::single(one.clone(), layers));
    assert_eq!(undivided.0, case.ids("generated_ids"));
    for first in 0..=layers {
        let divided = outcome(&DeviceMap::new(vec![one.clone(), one.clone()], &[first, layers - first]));
        assert_eq!(divided, undivided, "{first} of {layers} layers on the first slot");
    }
}

fn digest(tensor: &Tensor) -> String {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    sha256_hex(bytes)
}
