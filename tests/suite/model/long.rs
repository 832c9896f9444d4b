//! Prompts longer than one prefill chunk (512 positions on a CPU, 2,048 on a GPU) or one block of attention scores.
//!
//! Ids alone would not find a key that is lost at a chunk's end: the logits differ by 1e-3 then.

use candle_core::Device;
use llava_video::checkpoint::LanguageCheckpoint;
use llava_video::device::{DeviceMap, DtypeRequest};
use llava_video::interrupt::Interrupt;
use llava_video::language::Qwen2;
use llava_video::model::vocab_len;
use llava_video::prompt::Tokenizer;

use crate::support::{
    assert_close, device, golden, golden_checkpoint, ids, json, llava_video, placement, set_flags, tiny_checkpoint,
};

const LOGITS: f32 = 5e-4;

#[test]
fn long_prompts_give_the_references_logits_and_ids() {
    let (dir, out) = (golden().join("long"), tempfile::tempdir().unwrap());
    let expected = candle_core::safetensors::load(dir.join("tensors.safetensors"), &Device::Cpu).unwrap();
    let cases = json(&dir.join("cases.json"));
    let cases = cases.as_array().unwrap();
    let positions: Vec<u64> = cases.iter().map(|case| case["seq_len"].as_u64().unwrap()).collect();
    assert!(positions.iter().any(|&n| (513..2048).contains(&n)) && positions.iter().any(|&n| n > 3 * 2048 - 256));
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let name = text("name");
        let (clip, model) = (dir.join(text("clip")), golden_checkpoint(text("ckpt")));
        let (dump, frames) = (out.path().join(name), case["frames"].to_string());
        let mut args = vec!["ask", clip.to_str().unwrap(), text("question"), "--model", model.to_str().unwrap()];
        args.extend(["--frames", &frames, "--time-instruction", text("time_instruction"), "--max-new-tokens", "24"]);
        args.extend(["--device", device(), "--dtype", "f32", "--json", "--dump-tensors", dump.to_str().unwrap()]);
        let penalty = case["repetition_penalty"].as_f64().map(|penalty| penalty.to_string());
        penalty.iter().for_each(|penalty| args.extend(["--repetition-penalty", penalty]));
        let flags = set_flags(&case["config_overrides"]);
        let record = llava_video(args.into_iter().chain(flags.iter().map(String::as_str))).json();
        assert_eq!(
            (&record["prompt_tokens"], &record["visual_tokens"]),
            (&case["seq_len"], &case["visual_tokens"]),
            "{name}"
        );
        let seams = candle_core::safetensors::load(&dump, &Device::Cpu).unwrap();
        let logits = &expected[&format!("{name}.prefill_logits_last")];
        assert_close(name, &seams["prefill_logits_last"], logits, LOGITS);
        assert_eq!(ids(&record["token_ids"]), ids(&case["token_ids"]), "{name}");
    }
}

/// Prompts that end just before, at and just behind the end of a chunk, against one decode step for each position.
#[test]
fn a_prompt_may_end_anywhere_in_a_chunk() {
    const ENDS: [usize; 9] = [511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049];
    let path = tiny_checkpoint();
    let tokenizer = Tokenizer::open(&path).unwrap();
    let checkpoint = LanguageCheckpoint::open(&path, |seeing| vocab_len(seeing, &tokenizer)).unwrap();
    let LanguageCheckpoint { config, weights, vocab_len, .. } = &checkpoint;
    let devices = DeviceMap::single(placement(DtypeRequest::F32), config.num_layers);
    let model = Qwen2::load(config, weights, *vocab_len, &devices, &mut |_, _| Ok(())).unwrap();
    // No two stretches alike.
    let prompt: Vec<u32> = (0..2049u32).map(|i| (i * i / 7 + i * 13) % *vocab_len as u32).collect();
    let interrupt = Interrupt::default();
    let mut stepwise = model.new_cache(prompt.len());
    for (index, id) in prompt.iter().enumerate() {
        let expected = model.step(*id, &mut stepwise, &interrupt).unwrap();
        let end = index + 1;
        if ENDS.contains(&end) {
            let (embeds, mut cache) = (model.embed(&prompt[..end]).unwrap(), model.new_cache(end));
            let logits = model.prefill(&embeds, &mut cache, &interrupt, &mut |_, _| ()).unwrap();
            assert_close(&format!("{end} positions"), &logits, &expected, LOGITS);
        }
    }
}
