//! `model info`: what a checkpoint is and what memory it takes, from its headers alone, be it downloaded or not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use llava_video::Error;
use llava_video::checkpoint::{Checkpoint, Layout, Source, TensorPlan, fallbacks};
use llava_video::model;
use llava_video::model_name::ModelName;
use llava_video::quantization::{Quantization, Scheme};
use llava_video::size::shown;
use llava_video::vision::pool::VideoTokens;
use serde_json::{Value, json};

use super::super::args::InfoArgs;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::signals;
use super::fit::{self, Fit};

pub(super) fn run(args: &InfoArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let found = super::find(&args.model, args.offline.then_some("--offline"), &interrupt, printer)?;
    let checkpoint = Checkpoint::open(&found.source, &[]).map_err(Error::from)?;
    if let Some(bytes) = found.missing_bytes() {
        printer.note(&format!("{} of weights are not downloaded yet", shown(bytes)));
    }
    let facts = Facts::of(&checkpoint)?;
    let name = match ModelName::parse(&args.model).map_err(Error::from)? {
        ModelName::Repo(repo) => repo.to_string(),
        ModelName::Demo | ModelName::Local(_) => args.model.clone(),
    };
    let fits = fit::on_this_machine(&checkpoint)?;
    if args.json {
        printer.line(&record(&name, &checkpoint, &facts, &fits, printer.warnings()).to_string())?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![("model", name)];
    if let Source::Path(path) = &checkpoint.source {
        lines.push(("path", path.display().to_string()));
    }
    lines.extend(table(&checkpoint, &facts));
    lines.iter().try_for_each(|(label, fact)| printer.line(&format!("{label:<14}{fact}")))?;
    printer.line("")?;
    fit::table(&fits).iter().try_for_each(|line| printer.line(line))?;
    facts.fallbacks.iter().for_each(|line| printer.detail(line));
    Ok(Exit::Done)
}

/// What is worked out from the headers.
struct Facts {
    parameters: usize,
    parameters_by_dtype: BTreeMap<&'static str, usize>,
    tokens: VideoTokens,
    /// Keys and values of one position, in numbers: bytes follow from the dtype.
    kv_values: usize,
    /// What `--quantize` makes of the weights; empty where they are quantized.
    bytes_by_quantization: Vec<(Quantization, usize)>,
    /// Which rows it cannot hold as asked, the tower's and the projector's included.
    fallbacks: BTreeSet<String>,
}

impl Facts {
    fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let (language, weights) = (&checkpoint.config.language, &checkpoint.weights);
        let mut facts = Self {
            parameters: 0,
            parameters_by_dtype: BTreeMap::new(),
            tokens: model::video_tokens(checkpoint)?,
            kv_values: 2 * language.num_layers * language.num_kv_heads * language.head_dim(),
            bytes_by_quantization: Vec::new(),
            fallbacks: BTreeSet::new(),
        };
        let mut is_quantized = false;
        for name in weights.names() {
            let (shape, format) = weights.shape(name).zip(weights.format(name)).context("a tensor without a header")?;
            let count = shape.iter().product::<usize>();
            facts.parameters += count;
            *facts.parameters_by_dtype.entry(format.name()).or_default() += count;
            is_quantized |= format.float().is_none();
        }
        for quantization in Quantization::ALL.into_iter().filter(|_| !is_quantized) {
            let plan = |vision| checkpoint.plan_if_quantized(Scheme { quantization, vision });
            let bytes = plan(false).iter().map(TensorPlan::bytes).sum();
            facts.bytes_by_quantization.push((quantization, bytes));
            facts.fallbacks.extend(fallbacks(&plan(true)));
        }
        Ok(facts)
    }
}

/// What `--json` prints; `docs/json.md` has the keys.
fn record(name: &str, checkpoint: &Checkpoint, facts: &Facts, fits: &[Fit], warnings: &[String]) -> Value {
    let (config, vision) = (&checkpoint.config, &checkpoint.vision);
    let language = &config.language;
    let path = match &checkpoint.source {
        Source::Path(path) | Source::Heads { dir: path, .. } => Some(path),
        Source::BuiltIn { .. } | Source::Generated { .. } => None,
    };
    let bytes = facts.bytes_by_quantization.iter().map(|(quantization, bytes)| (quantization.name(), *bytes));
    let can_be_quantized = !facts.bytes_by_quantization.is_empty();
    json!({
        "model": name,
        "dir": path.filter(|path| path.is_dir()).map(|path| path.to_string_lossy()),
        "path": path.filter(|path| !path.is_dir()).map(|path| path.to_string_lossy()),
        "layout": layout(config.layout),
        "parameters": facts.parameters,
        "parameters_by_dtype": facts.parameters_by_dtype,
        "weight_bytes": checkpoint.weights.total_bytes(),
        "context_tokens": config.context_length,
        "language_layers": language.num_layers,
        "language_width": language.hidden_size,
        "attention_heads": language.num_heads,
        "key_value_heads": language.num_kv_heads,
        "vision_layers": vision.num_layers,
        "vision_width": vision.hidden_size,
        "image_pixels": config.vision.image_size,
        "tokens_of_1_frame": facts.tokens.count(1),
        "tokens_of_110_frames": facts.tokens.count(110),
        "kv_bytes_per_position_16_bit": 2 * facts.kv_values,
        "kv_bytes_per_position_32_bit": 4 * facts.kv_values,
        "weight_bytes_by_quantization": can_be_quantized.then(|| bytes.collect::<BTreeMap<_, _>>()),
        "quantization_fallbacks": can_be_quantized.then_some(&facts.fallbacks),
        "memory": fits.iter().flat_map(Fit::to_json).collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

fn layout(layout: Layout) -> &'static str {
    match layout {
        Layout::Original => "original",
        Layout::HuggingFace => "transformers",
    }
}

/// The same for people, so that it fits a screen.
fn table(checkpoint: &Checkpoint, facts: &Facts) -> Vec<(&'static str, String)> {
    let (config, vision) = (&checkpoint.config, &checkpoint.vision);
    let language = &config.language;
    let dtypes: Vec<&str> = facts.parameters_by_dtype.keys().copied().collect();
    let context = config.context_length.map_or_else(|| "no limit".to_owned(), |tokens| format!("{tokens} tokens"));
    let (kv_16_bit, kv_32_bit) = (shown(2 * facts.kv_values as u64), shown(4 * facts.kv_values as u64));
    let mut lines = vec![
        ("layout", layout(config.layout).to_owned()),
        ("parameters", format!("{} in {}", shown_count(facts.parameters), dtypes.join(", "))),
        ("weights", shown(checkpoint.weights.total_bytes() as u64)),
    ];
    let by_quantization =
        |(quantization, bytes): &(Quantization, usize)| format!("{} as {}", shown(*bytes as u64), quantization.name());
    if !facts.bytes_by_quantization.is_empty() {
        let sizes: Vec<String> = facts.bytes_by_quantization.iter().map(by_quantization).collect();
        lines.push(("quantized", sizes.join(", ")));
    }
    if !facts.fallbacks.is_empty() {
        lines.push(("", "some tensors fall back to another format; `-v` prints which".to_owned()));
    }
    let language_model = format!(
        "{} layers of width {}, {} attention heads, {} key-value heads",
        language.num_layers, language.hidden_size, language.num_heads, language.num_kv_heads
    );
    let tower = format!(
        "{} layers of width {}, pictures of {size}x{size} pixels",
        vision.num_layers,
        vision.hidden_size,
        size = config.vision.image_size
    );
    lines.extend([
        ("context", context),
        ("language", language_model),
        ("vision", tower),
        ("visual tokens", format!("{} for 1 frame, {} for 110", facts.tokens.count(1), facts.tokens.count(110))),
        ("KV cache", format!("{kv_16_bit} a position in 16 bits, {kv_32_bit} in 32")),
    ]);
    lines
}

/// A number of parameters, to two decimals.
fn shown_count(count: usize) -> String {
    match count as f64 {
        n if n >= 1e9 => format!("{:.2} billion", n / 1e9),
        n if n >= 1e6 => format!("{:.2} million", n / 1e6),
        _ => count.to_string(),
    }
}
