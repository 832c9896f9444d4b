//! `eval report`: results as one page for people.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use llava_video::batch::journal::same_file;
use llava_video::eval::report::{Report, gather, html, markdown, today};
use llava_video::size::counted;

use crate::cli::args::EvalReportArgs;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::Printer;

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Markdown,
}

pub(crate) fn run(args: &EvalReportArgs, printer: &mut Printer) -> Result<Exit> {
    // All that is wrong with names is told before anything is read.
    let formats = args.output.iter().map(|output| format(output)).collect::<Result<Vec<_>, _>>()?;
    for output in &args.output {
        if let Some(results) = args.results.iter().find(|results| same_file(output, results)) {
            let message = format!("the report would replace the results `{}`", results.display());
            return Err(UsageError(message).into());
        }
    }
    let program = format!("llava-video {}", env!("CARGO_PKG_VERSION"));
    let report = gather(&args.results, &today(), &program)?;
    for file in report.files.iter().filter(|file| file.is_torn) {
        printer.warning(&format!("{}: the last record is torn and left out", file.name));
    }
    for (output, format) in args.output.iter().zip(formats) {
        write(output, &text(&report, format)).with_context(|| format!("cannot write `{}`", output.display()))?;
        printer.note(&format!("{} in {}", counted(report.runs.len(), "run"), output.display()));
    }
    Ok(Exit::Done)
}

fn format(output: &Path) -> Result<Format, UsageError> {
    let extension = output.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => Ok(Format::Html),
        Some("md" | "markdown") => Ok(Format::Markdown),
        _ => Err(UsageError(format!("a report is named REPORT.html or REPORT.md, not `{}`", output.display()))),
    }
}

fn text(report: &Report, format: Format) -> String {
    match format {
        Format::Html => html(report),
        Format::Markdown => markdown(report),
    }
}

/// Whole or not at all: what stands there stays until the report is written.
fn write(output: &Path, text: &str) -> std::io::Result<()> {
    let dir = output.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // A temporary file is its owner's alone; a report is as readable as other files are.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(output).map_err(|error| error.error)?;
    Ok(())
}
