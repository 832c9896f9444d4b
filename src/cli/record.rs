//! `ask --json` and `--timings`: one answer, or the plan of one, with everything that led to it. `docs/json.md` has the
//! keys.

use std::time::{Duration, Instant};

use llava_video::device::DeviceMap;
use llava_video::generate::StopReason;
use llava_video::memory::{MemoryPlan, Need, Room, SlotPlan};
use llava_video::quantization::Quantization;
use serde_json::{Value, json};

use super::ask::AskedPicture;
use super::request::PlannedClip;

/// What is asked of which model.
pub(crate) struct Asked<'a> {
    pub(crate) question: &'a str,
    /// All positions of the prompt, visual tokens included.
    pub(crate) prompt_tokens: usize,
    pub(crate) visual_tokens: usize,
    pub(crate) clip: Option<&'a PlannedClip>,
    /// Empty where no picture was asked about.
    pub(crate) pictures: &'a [AskedPicture],
    pub(crate) model: &'a str,
    pub(crate) devices: &'a DeviceMap,
    /// As asked for with this run; a GGUF file is quantized as it is.
    pub(crate) quantize: Option<Quantization>,
}

/// What came of it.
pub(crate) struct Outcome<'a> {
    pub(crate) answer: &'a str,
    pub(crate) stop_reason: StopReason,
    /// Generated ids, the stop id included.
    pub(crate) token_ids: &'a [u32],
    /// Only where the answer was sampled.
    pub(crate) seed: Option<u64>,
    pub(crate) timings: &'a Timings,
}

impl Asked<'_> {
    /// What `--json` prints.
    pub(crate) fn answered(&self, outcome: &Outcome<'_>, warnings: &[String]) -> Value {
        let Outcome { answer, stop_reason, token_ids, seed, timings } = outcome;
        let result = json!({
            "question": self.question,
            "answer": answer,
            "stop_reason": stop_reason,
            "token_ids": token_ids,
            "completion_tokens": token_ids.len(),
            "seed": seed,
            "timings": timings.to_json(),
        });
        self.and_request(result, warnings)
    }

    /// What `--dry-run --json` prints.
    pub(crate) fn planned(&self, memory: &MemoryPlan, warnings: &[String]) -> Value {
        let result = json!({
            "question": self.question,
            "fits": memory.fits(),
            "devices": memory.slots.iter().map(slot).collect::<Vec<_>>(),
        });
        self.and_request(result, warnings)
    }

    /// Adds what led to a result.
    fn and_request(&self, mut result: Value, warnings: &[String]) -> Value {
        let request = [
            ("prompt_tokens", json!(self.prompt_tokens)),
            ("visual_tokens", json!(self.visual_tokens)),
            ("frames", self.clip.map_or_else(Vec::new, frames).into()),
            ("video", self.clip.map(video).into()),
            ("pictures", self.pictures.iter().map(AskedPicture::to_json).collect()),
            ("model", json!(self.model)),
            ("device", json!(self.devices.device_names())),
            ("dtype", json!(self.devices.dtype_name())),
            ("quantize", json!(self.quantize.map(Quantization::name))),
            ("warnings", json!(warnings)),
        ];
        for (key, value) in request {
            result[key] = value;
        }
        result
    }
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
    let frame = |(&index, time_secs): (&usize, f64)| json!({ "index": index, "time_secs": time_secs, "pts_secs": clip.pts_secs(index) });
    clip.plan.indices.iter().zip(clip.label_secs()).map(frame).collect()
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

/// Wall time of one stage; stays zero for a stage that did not run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    /// Runs `work` and adds the time it takes, whether it succeeds or not.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let out = work();
        self.0 += started.elapsed();
        out
    }
}

/// Wall time per stage.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    pub(crate) probe: Stopwatch,
    pub(crate) video_decode: Stopwatch,
    pub(crate) load: Stopwatch,
    pub(crate) vision: Stopwatch,
    pub(crate) prefill: Stopwatch,
    pub(crate) decode: Stopwatch,
    total: Duration,
    prefill_tokens: usize,
    decode_steps: usize,
}

impl Timings {
    /// Fills in what is known at the end. The first token comes out of prefill, so that decode steps are one fewer than
    /// tokens.
    pub(crate) fn finish(&mut self, started: Instant, prompt_tokens: usize, completion_tokens: usize) {
        self.total = started.elapsed();
        self.prefill_tokens = prompt_tokens;
        self.decode_steps = completion_tokens.saturating_sub(1);
    }

    fn stages(&self) -> [(&'static str, f64); 7] {
        let secs = |stopwatch: Stopwatch| stopwatch.0.as_secs_f64();
        [
            ("probe", secs(self.probe)),
            ("video_decode", secs(self.video_decode)),
            ("load", secs(self.load)),
            ("vision", secs(self.vision)),
            ("prefill", secs(self.prefill)),
            ("decode", secs(self.decode)),
            ("total", self.total.as_secs_f64()),
        ]
    }

    /// Tokens per second of prefill and of decode steps; `None` for a stage that did not run.
    fn rates(&self) -> [(&'static str, Option<f64>); 2] {
        let rate = |tokens: usize, stopwatch: Stopwatch| {
            (tokens > 0 && stopwatch.0 > Duration::ZERO).then(|| tokens as f64 / stopwatch.0.as_secs_f64())
        };
        [("prefill", rate(self.prefill_tokens, self.prefill)), ("decode", rate(self.decode_steps, self.decode))]
    }

    fn to_json(&self) -> Value {
        let stages = self.stages().into_iter().map(|(name, secs)| (format!("{name}_secs"), json!(secs)));
        let rates = self.rates().into_iter().map(|(name, rate)| (format!("{name}_tokens_per_sec"), json!(rate)));
        Value::Object(stages.chain(rates).collect())
    }

    /// A short table for people.
    pub(crate) fn table(&self) -> Vec<String> {
        let rates = self.rates();
        let line = |(name, secs): (&str, f64)| {
            let rate = rates.iter().find(|(stage, _)| *stage == name).and_then(|(_, rate)| *rate);
            let rate = rate.map_or_else(String::new, |rate| format!("  {rate:8.1} tokens/s"));
            format!("{name:<14}{secs:9.3} s{rate}")
        };
        self.stages().into_iter().map(line).collect()
    }
}
