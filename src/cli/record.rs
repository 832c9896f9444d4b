//! What is recorded of an answer, or of the plan of one, with everything that led to it: `--json` and `--timings` of
//! `ask` and `chat`, and the records of `batch`.
//! `docs/json.md` has the keys.

use std::time::Duration;

use llava_video::device::DeviceMap;
use llava_video::engine::{Answer, Choice, CutPicture, Media, PlannedClip, SizedPrompt, Stopwatch, Timings};
use llava_video::memory::{MemoryPlan, Need, Room, SlotPlan};
use llava_video::quantization::Quantization;
use serde_json::{Map, Value, json};

/// What is asked of which model.
pub(crate) struct Request<'a> {
    pub(crate) question: &'a str,
    pub(crate) prompt: &'a SizedPrompt,
    pub(crate) media: &'a Media,
    pub(crate) model: &'a str,
    pub(crate) devices: &'a DeviceMap,
    /// As asked for with this run; a GGUF file is quantized as it is.
    pub(crate) quantize: Option<Quantization>,
}

/// What came of it.
pub(crate) struct Outcome<'a> {
    pub(crate) answer: &'a Answer,
    /// Frames or tiles that went through the vision tower.
    pub(crate) frames_encoded: usize,
    /// Only where the answer was sampled.
    pub(crate) seed: Option<u64>,
    pub(crate) timings: Timings,
    /// Wall time of this answer.
    pub(crate) total: Duration,
}

impl Request<'_> {
    /// What `--json` prints.
    pub(crate) fn answered(&self, outcome: &Outcome<'_>, warnings: &[String]) -> Value {
        let mut result = answer(self.question, self.prompt, outcome);
        result.extend(media(self.media));
        self.and_run(result, warnings)
    }

    /// What `--dry-run --json` prints.
    pub(crate) fn planned(&self, memory: &MemoryPlan, warnings: &[String]) -> Value {
        let plan = [
            ("question", json!(self.question)),
            ("fits", json!(memory.fits())),
            ("devices", memory.slots.iter().map(slot).collect()),
        ];
        let mut result = keyed(plan);
        result.extend(sizes(self.prompt));
        result.extend(media(self.media));
        self.and_run(result, warnings)
    }

    /// Adds what it ran on.
    fn and_run(&self, mut result: Map<String, Value>, warnings: &[String]) -> Value {
        result.extend(run(self.model, self.devices, self.quantize));
        result.insert("warnings".to_owned(), json!(warnings));
        Value::Object(result)
    }
}

fn keyed<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// An answer, and how it came about.
pub(crate) fn answer(question: &str, prompt: &SizedPrompt, outcome: &Outcome<'_>) -> Map<String, Value> {
    let Outcome { answer, frames_encoded, seed, timings, total } = outcome;
    let mut result = keyed([
        ("question", json!(question)),
        ("answer", json!(answer.text)),
        ("stop_reason", json!(answer.stop_reason)),
        ("token_ids", json!(answer.token_ids)),
        ("completion_tokens", json!(answer.token_ids.len())),
        ("cached_tokens", json!(answer.cached_tokens)),
        ("frames_encoded", json!(frames_encoded)),
        ("choices", answer.choices.iter().map(choice).collect()),
        ("seed", json!(seed)),
        ("timings", timings_json(timings, *total)),
    ]);
    result.extend(sizes(prompt));
    result
}

/// How long a prompt is.
fn sizes(prompt: &SizedPrompt) -> Map<String, Value> {
    keyed([("prompt_tokens", json!(prompt.tokens)), ("visual_tokens", json!(prompt.visual_tokens))])
}

/// What was looked at.
pub(crate) fn media(media: &Media) -> Map<String, Value> {
    keyed([
        ("frames", media.clip().map_or_else(Vec::new, frames).into()),
        ("video", media.clip().map(video).into()),
        ("pictures", media.pictures().iter().map(picture).collect()),
    ])
}

/// What was computed with which model, and how.
pub(crate) fn run(model: &str, devices: &DeviceMap, quantize: Option<Quantization>) -> Map<String, Value> {
    keyed([
        ("model", json!(model)),
        ("device", json!(devices.device_names())),
        ("dtype", json!(devices.dtype_name())),
        ("kernels", json!(devices.kernels_name())),
        ("quantize", json!(quantize.map(Quantization::name))),
    ])
}

/// What `chat --json` prints of a turn.
pub(crate) fn turn(question: &str, prompt: &SizedPrompt, outcome: &Outcome<'_>, warnings: &[String]) -> Value {
    let mut turn = answer(question, prompt, outcome);
    turn.shift_remove("choices");
    turn.insert("warnings".to_owned(), json!(warnings));
    Value::Object(turn)
}

/// One device's part of a memory plan.
fn slot(slot: &SlotPlan) -> Value {
    let Need { weights, kv_cache, activations, base } = slot.need;
    json!({
        "device": slot.device,
        "layers": slot.layers,
        "weight_bytes": weights,
        "kv_cache_bytes": kv_cache,
        "activation_bytes": activations + base,
        "bytes": slot.need.total(),
        "free_bytes": slot.room.map(Room::bytes),
        "fits": slot.room.map(|room| slot.need.total() <= room.bytes()),
    })
}

fn frames(clip: &PlannedClip) -> Vec<Value> {
    let frame = |(&index, time_secs): (&usize, f64)| {
        let pts_secs = clip.pts_secs(index);
        json!({ "index": index, "time_secs": time_secs, "pts_secs": pts_secs })
    };
    clip.plan().indices.iter().zip(clip.label_secs()).map(frame).collect()
}

fn choice((text, choice): &(String, Choice)) -> Value {
    json!({
        "text": text,
        "logprob": choice.logprob,
        "logprob_with_end": choice.logprob_with_end,
        "logprob_per_token": choice.logprob_per_token,
        "probability": choice.probability,
    })
}

fn picture(picture: &CutPicture) -> Value {
    let (width, height) = picture.size();
    json!({
        "path": picture.path().to_string_lossy(),
        "width": width,
        "height": height,
        "tiles": picture.tiles().layout.tiles_across_and_down().map(|(across, down)| [across, down]),
        "visual_tokens": picture.visual_tokens(),
    })
}

fn video(clip: &PlannedClip) -> Value {
    let info = clip.info();
    json!({
        "path": clip.path().to_string_lossy(),
        "duration_secs": info.duration_secs(),
        "avg_fps": info.avg_fps,
        "frame_count": info.frame_count,
        "lost_frames": info.lost_frames,
        "width": info.width,
        "height": info.height,
    })
}

/// A stage's name, its time, and its rate in tokens per second where it has one.
type Row = (&'static str, f64, Option<f64>);

/// Every stage, and the whole, of which `total` is the wall time.
fn rows(timings: &Timings, total: Duration) -> [Row; 7] {
    let stage = |name, stopwatch: Stopwatch| (name, stopwatch.elapsed().as_secs_f64(), None);
    let rated = |name, stopwatch: Stopwatch, tokens: usize| {
        let secs = stopwatch.elapsed().as_secs_f64();
        (name, secs, (tokens > 0 && secs > 0.0).then(|| tokens as f64 / secs))
    };
    [
        stage("probe", timings.probe),
        stage("video_decode", timings.video_decode),
        stage("load", timings.load),
        stage("vision", timings.vision),
        rated("prefill", timings.prefill, timings.prefill_tokens),
        rated("decode", timings.decode, timings.decode_steps),
        ("total", total.as_secs_f64(), None),
    ]
}

fn timings_json(timings: &Timings, total: Duration) -> Value {
    let rows = rows(timings, total);
    let secs = rows.iter().map(|(name, secs, _)| (format!("{name}_secs"), json!(secs)));
    let rate = |(name, _, rate): &Row| (format!("{name}_tokens_per_sec"), json!(rate));
    let rates = rows.iter().filter(|(name, ..)| ["prefill", "decode"].contains(name)).map(rate);
    Value::Object(secs.chain(rates).collect())
}

/// A short table of how long each stage took, for people.
pub(crate) fn timings_table(timings: &Timings, total: Duration) -> Vec<String> {
    let line = |(name, secs, rate): Row| {
        let rate = rate.map_or_else(String::new, |rate| format!("  {rate:8.1} tokens/s"));
        format!("{name:<14}{secs:9.3} s{rate}")
    };
    rows(timings, total).into_iter().map(line).collect()
}
