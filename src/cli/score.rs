//! `score`: how well the language model predicts a text, as one number.

use anyhow::{Context, Result, bail};
use llava_video::Error;
use llava_video::checkpoint::LanguageCheckpoint;
use llava_video::device::{DeviceMap, DeviceRequest, Placement};
use llava_video::hub;
use llava_video::language::Qwen2;
use llava_video::prompt::Tokenizer;
use llava_video::score::{Score, score};
use serde_json::json;

use super::args::ScoreArgs;
use super::exit::{Exit, UsageError};
use super::output::Printer;
use super::signals;

pub(crate) fn run(args: &ScoreArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let path = &args.text_only;
    let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let text = String::from_utf8(text).with_context(|| format!("`{}` is not UTF-8 text", path.display()))?;
    let mut placements = Placement::open_all(&args.device, args.dtype).map_err(Error::from)?;
    if matches!(&args.device, DeviceRequest::List(names) if names.len() > 1) {
        return Err(UsageError("score runs on one device".to_owned()).into());
    }
    let placement = placements.swap_remove(0);
    let dir = hub::locate_by_name(&args.model).map_err(Error::from)?;
    let tokenizer = Tokenizer::open(&dir).map_err(Error::from)?;
    let mut checkpoint = LanguageCheckpoint::open(&dir, &tokenizer).map_err(Error::from)?;
    checkpoint.weights.stop_with(&interrupt);
    if let Some(scheme) = args.quantize.scheme() {
        checkpoint.quantize(scheme).map_err(Error::from)?;
    }
    if let Some(limit) = checkpoint.context_length.filter(|&limit| args.context > limit) {
        return Err(UsageError(format!("--context {} is more than the model's {limit}", args.context)).into());
    }
    let ids = tokenizer.encode_plain(&text).map_err(Error::from)?;
    if ids.len() < 2 {
        bail!("`{}` has {} tokens; at least 2 are needed", path.display(), ids.len());
    }
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
        true => record(args, &score, &placement),
        false => format!("{:.4}", score.perplexity()),
    })?;
    Ok(Exit::Done)
}

fn record(args: &ScoreArgs, score: &Score, placement: &Placement) -> String {
    json!({
        "perplexity": score.perplexity(),
        "mean_nats": score.mean_nats,
        "predicted_tokens": score.predicted,
        "windows": score.windows,
        "context": args.context,
        "model": args.model,
        "quantize": args.quantize.quantize.map(|quantization| quantization.name()),
        "device": placement.device_name(),
        "dtype": placement.dtype_name(),
    })
    .to_string()
}
