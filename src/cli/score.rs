//! `score`: how well the language model predicts a text, as one number.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use llava_video::Error;
use llava_video::checkpoint::LanguageCheckpoint;
use llava_video::device::{DeviceMap, DeviceRequest, Placement};
use llava_video::language::Qwen2;
use llava_video::model::vocab_len;
use llava_video::model_name::locate_by_name;
use llava_video::prompt::Tokenizer;
use llava_video::score::{Score, score};
use llava_video::size::counted;
use serde_json::{Value, json};

use super::announce;
use super::args::ScoreArgs;
use super::exit::{Exit, UsageError};
use super::output::Printer;
use super::signals;

pub(crate) fn run(args: &ScoreArgs, printer: &mut Printer) -> Result<Exit> {
    let name = match args.text_only == Path::new("-") {
        true => "standard input".to_owned(),
        false => format!("`{}`", args.text_only.display()),
    };
    let text = read_text(&args.text_only).with_context(|| format!("cannot read {name}"))?;
    let text = String::from_utf8(text).with_context(|| format!("{name} is not UTF-8 text"))?;
    // Only now: while standard input is awaited, Ctrl-C ends the process by itself.
    let interrupt = signals::install()?;
    let devices = announce::opened(&args.device, args.dtype, printer)?;
    if matches!(&args.device, DeviceRequest::List(names) if names.len() > 1) {
        return Err(UsageError("score runs on one device".to_owned()).into());
    }
    let placement = devices.placements().swap_remove(0);
    let dir = locate_by_name(&args.model).map_err(Error::from)?;
    let tokenizer = Tokenizer::open(&dir).map_err(Error::from)?;
    let mut checkpoint = LanguageCheckpoint::open(&dir, |seeing| vocab_len(seeing, &tokenizer)).map_err(Error::from)?;
    checkpoint.weights.stop_with(&interrupt);
    if let Some(scheme) = args.quantize.scheme() {
        checkpoint.quantize(scheme).map_err(Error::from)?;
    }
    if let Some(limit) = checkpoint.context_length.filter(|&limit| args.context > limit) {
        return Err(UsageError(format!("--context {} is more than the model's {limit}", args.context)).into());
    }
    let ids = tokenizer.encode_plain(&text).map_err(Error::from)?;
    if ids.len() < 2 {
        bail!("{name} has {}; at least 2 are needed", counted(ids.len(), "token"));
    }
    announce::failed_instructions([&placement], printer);
    let placement = placement.suited_to(args.dtype, checkpoint.weights.decoder_dtype());
    let LanguageCheckpoint { config, vocab_len, weights, .. } = &checkpoint;
    let devices = DeviceMap::single(placement.clone(), config.num_layers);
    let mut on_layer = |done, total| {
        printer.progress("loading", "layers", done, total);
        Ok(interrupt.check()?)
    };
    let language = Qwen2::load(config, weights, *vocab_len, &devices, &mut on_layer)?;
    let mut on_tokens = |done, total| printer.progress("scoring", "tokens", done, total);
    let outcome = score(&language, &ids, args.context, &interrupt, &mut on_tokens)?;
    printer.end_progress();
    let Some(score) = outcome else {
        bail!("windows of {} tokens leave nothing to predict", args.context);
    };
    printer.line(&match args.json {
        true => record(args, &score, &placement, printer.warnings()).to_string(),
        false => format!("{:.4}", score.perplexity()),
    })?;
    Ok(Exit::Done)
}

/// A file, or standard input where it is `-`.
fn read_text(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

/// What `--json` prints; `docs/json.md` has the keys.
fn record(args: &ScoreArgs, score: &Score, placement: &Placement, warnings: &[String]) -> Value {
    json!({
        "perplexity": score.perplexity(),
        "mean_nats": score.mean_nats,
        "predicted_tokens": score.predicted,
        "window_count": score.windows,
        "window_tokens": args.context,
        "path": args.text_only.to_string_lossy(),
        "model": args.model,
        "quantize": args.quantize.quantize.map(|quantization| quantization.name()),
        "device": placement.device_name(),
        "dtype": placement.dtype_name(),
        "warnings": warnings,
    })
}
