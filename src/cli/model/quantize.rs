//! `model quantize`: a checkpoint to one GGUF file of fewer bits.

use anyhow::Result;
use llava_video::Error;
use llava_video::checkpoint::{Checkpoint, fallbacks, gguf};
use llava_video::quantization::Scheme;
use llava_video::size::shown;

use crate::cli::args::ModelQuantizeArgs;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::Printer;
use crate::cli::signals;

pub(crate) fn run(args: &ModelQuantizeArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    // `--model` tells a GGUF file from a directory by what is there, people by its name.
    if args.output.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("gguf")) {
        return Err(UsageError(format!("--output `{}` does not end in .gguf", args.output.display())).into());
    }
    let source = super::obtain(&args.model, None, &interrupt, printer)?;
    let mut checkpoint = Checkpoint::open(&source, &[]).map_err(Error::from)?;
    let scheme = Scheme { quantization: args.quantize, vision: args.quantize_vision };
    for line in fallbacks(&checkpoint.plan_if_quantized(scheme)) {
        printer.note(&line);
    }
    let before = checkpoint.weights.total_bytes();
    let mut progress = |done, total| printer.bytes_progress("quantizing", done, total);
    let bytes = gguf::write(&mut checkpoint, scheme, &args.output, args.force, &interrupt, &mut progress)
        .map_err(Error::from)?;
    printer.end_progress();
    printer.note(&format!(
        "`{}` has {}, the checkpoint's weights {}",
        args.output.display(),
        shown(bytes),
        shown(before as u64)
    ));
    Ok(Exit::Done)
}
