//! `model verify`: are the cached bytes those that the hub has?

use anyhow::{Result, bail};
use llava_video::Error;
use llava_video::hub::{self, Settings, Verdict, Verified};
use llava_video::size::shown;
use serde_json::json;

use super::super::args::VerifyArgs;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::signals;
use super::obtain;

pub(super) fn run(args: &VerifyArgs, printer: &mut Printer) -> Result<Exit> {
    let interrupt = signals::install()?;
    let repo = super::repository(&args.model)?;
    let settings = Settings::from_env(args.offline.then_some("--offline")).map_err(Error::from)?;
    let mut on_progress = |done, total| printer.bytes_progress("verify", done, total);
    let verification = hub::verify(&settings, &repo, &interrupt, &mut on_progress).map_err(Error::from)?;
    let files = &verification.files;
    let damaged: Vec<&str> = files.iter().filter(|file| is_damaged(file)).map(|file| file.name.as_str()).collect();
    if args.json {
        printer.line(
            &json!({
                "model": repo.to_string(),
                "files": files.iter().map(to_json).collect::<Vec<_>>(),
                "warnings": printer.warnings(),
            })
            .to_string(),
        )?;
    } else {
        for file in files {
            printer.line(&line(file))?;
        }
    }
    let unknown = files.iter().filter(|file| file.verdict == Verdict::Unknown).count();
    if damaged.is_empty() && unknown > 0 {
        let count = files.len();
        bail!(
            "no checksum is known for {unknown} of {count} files of {repo}; `llava-video model pull {repo}` gets them"
        );
    }
    if damaged.is_empty() {
        return Ok(Exit::Done);
    }
    let are = if damaged.len() == 1 { "is" } else { "are" };
    let summary = format!("{} of {} files of {repo} {are} damaged: {}", damaged.len(), files.len(), damaged.join(", "));
    if !args.repair {
        bail!("{summary}; `llava-video model verify {repo} --repair` fetches what is damaged again");
    }
    if let Some(by) = settings.offline {
        bail!("{summary}; {by} forbids fetching anything");
    }
    printer.warning(&summary);
    obtain::download(&settings, &repo, printer, |on_event| {
        hub::repair(&settings, &repo, &verification, &interrupt, on_event)
    })?;
    Ok(Exit::Done)
}

fn is_damaged(file: &Verified) -> bool {
    matches!(file.verdict, Verdict::Damaged { .. })
}

fn word(file: &Verified) -> &'static str {
    match file.verdict {
        Verdict::Sound => "sound",
        Verdict::Damaged { .. } => "damaged",
        Verdict::Unknown => "no checksum known",
    }
}

fn line(file: &Verified) -> String {
    format!("{:<44} {:>10}  {}", file.name, shown(file.bytes), word(file))
}

fn to_json(file: &Verified) -> serde_json::Value {
    let found = match &file.verdict {
        Verdict::Damaged { found } => Some(found.as_str()),
        _ => None,
    };
    json!({
        "name": file.name,
        "bytes": file.bytes,
        "state": word(file),
        "expected": file.expected.as_ref().map(hub::Digest::as_str),
        "found": found,
    })
}
