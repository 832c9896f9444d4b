//! `model info`: what a checkpoint is and what memory it takes, from its headers alone, be it downloaded or not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use llava_video::Error;
use llava_video::checkpoint::{Checkpoint, Layout, Source};
use llava_video::demo;
use llava_video::hub::ModelName;
use llava_video::model;
use llava_video::quantization::{Quantization, Scheme, TensorPlan, fallbacks};
use llava_video::size::shown;
use serde_json::{Value, json};

use super::super::args::InfoArgs;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::signals;
use super::fit::{self, Fit};

pub(super) fn run(args: &InfoArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let name = ModelName::parse(&args.model).map_err(Error::from)?;
    let found = super::find(&args.model, args.offline.then_some("--offline"), &interrupt, printer)?;
    let checkpoint = Checkpoint::open(&found.source, &[]).map_err(Error::from)?;
    if let Some(bytes) = found.missing_bytes() {
        printer.note(&format!("{} of weights are not downloaded yet", shown(bytes)));
    }
    let facts = facts(&name, &checkpoint)?;
    let fits = fit::on_this_machine(&checkpoint)?;
    if args.json {
        let mut object: serde_json::Map<String, Value> =
            facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        object.insert("memory".to_owned(), fits.iter().flat_map(Fit::to_json).collect());
        printer.line(&Value::Object(object).to_string())?;
        return Ok(Exit::Done);
    }
    for (key, value) in facts {
        printer.line(&format!("{key:<32}{}", in_words(key, &value)))?;
    }
    for fit in &fits {
        printer.line(&format!("{:<32}{}", fit.label(), fit.in_words()))?;
    }
    Ok(Exit::Done)
}

/// What there is to know, in the order in which it is shown.
fn facts(name: &ModelName, checkpoint: &Checkpoint) -> Result<Vec<(&'static str, Value)>> {
    let (config, weights) = (&checkpoint.config, &checkpoint.weights);
    let (language, vision) = (&config.language, &checkpoint.vision);
    let mut parameters = 0usize;
    let mut parameters_by_dtype = BTreeMap::<&str, usize>::new();
    for name in weights.names() {
        let (shape, format) = weights.shape(name).zip(weights.format(name)).context("a tensor without a header")?;
        let count = shape.iter().product::<usize>();
        parameters += count;
        *parameters_by_dtype.entry(format.name()).or_default() += count;
    }
    let tokens = model::video_tokens(checkpoint)?;
    // Keys and values of one position, in numbers: bytes follow from the dtype.
    let kv_values = 2 * language.num_layers * language.num_kv_heads * language.head_dim();
    let mut facts = Vec::new();
    match name {
        ModelName::Repo(repo) => facts.push(("model", json!(repo.to_string()))),
        ModelName::Demo => facts.push(("model", json!(demo::NAME))),
        ModelName::Local(_) => {}
    }
    if let Source::Path(path) = &checkpoint.source {
        facts.push(("dir", json!(path.to_string_lossy())));
    }
    facts.extend([
        (
            "layout",
            json!(match config.layout {
                Layout::Original => "original",
                Layout::HuggingFace => "transformers",
            }),
        ),
        ("parameters", json!(parameters)),
        ("parameters_by_dtype", json!(parameters_by_dtype)),
        ("weight_bytes", json!(weights.total_bytes())),
        ("context_tokens", json!(config.context_length)),
        ("language_layers", json!(language.num_layers)),
        ("language_width", json!(language.hidden_size)),
        ("attention_heads", json!(language.num_heads)),
        ("key_value_heads", json!(language.num_kv_heads)),
        ("vision_layers", json!(vision.num_layers)),
        ("vision_width", json!(vision.hidden_size)),
        ("image_pixels", json!(config.vision.image_size)),
        ("tokens_of_1_frame", json!(tokens.count(1))),
        ("tokens_of_110_frames", json!(tokens.count(110))),
        ("kv_bytes_per_position_16_bit", json!(2 * kv_values)),
        ("kv_bytes_per_position_32_bit", json!(4 * kv_values)),
    ]);
    let is_quantized = weights.names().any(|name| weights.format(name).is_some_and(|format| format.float().is_none()));
    if !is_quantized {
        facts.extend(quantized(checkpoint));
    }
    Ok(facts)
}

/// What `--quantize` makes of the weights, and which rows it cannot hold as asked, the tower's and projector's included.
fn quantized(checkpoint: &Checkpoint) -> [(&'static str, Value); 2] {
    let (mut bytes, mut lines) = (serde_json::Map::new(), BTreeSet::new());
    for quantization in Quantization::ALL {
        let plan = |vision| checkpoint.plan(Some(Scheme { quantization, vision }));
        let total: usize = plan(false).iter().map(TensorPlan::bytes).sum();
        bytes.insert(quantization.name().to_owned(), json!(total));
        lines.extend(fallbacks(&plan(true)));
    }
    [("weight_bytes_by_quantization", Value::Object(bytes)), ("quantization_fallbacks", json!(lines))]
}

/// A value as a person reads it.
fn in_words(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "no limit".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(lines) if lines.is_empty() => "none".to_owned(),
        Value::Array(lines) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            lines.join(&format!("\n{:<32}", ""))
        }
        Value::Object(map) if key == "weight_bytes_by_quantization" => {
            let one = |(key, bytes): (&String, &Value)| format!("{key}: {}", shown(bytes.as_u64().unwrap_or_default()));
            map.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Value::Object(map) => map.iter().map(|(key, count)| format!("{key}: {count}")).collect::<Vec<_>>().join(", "),
        number => match (key, number.as_u64()) {
            ("weight_bytes", Some(bytes)) => shown(bytes),
            _ => number.to_string(),
        },
    }
}
