//! What of a batch is refused before anything is opened: files that would overwrite each other, and subtitles of
//! several questions.

use std::path::Path;

use anyhow::Result;
use llava_video::batch::Sidecars;
use llava_video::batch::inputs::Input;
use llava_video::batch::journal::same_file;
use llava_video::batch::sidecar::{Protected, conflicts};
use llava_video::size::counted;

use crate::cli::args::BatchRunArgs;
use crate::cli::exit::UsageError;

/// Whether two paths lead to one file, or would if it were there.
pub(crate) fn is_one_place(a: &Path, b: &Path) -> bool {
    let folder =
        |path: &Path| path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")).to_owned();
    same_file(a, b) || (a.file_name() == b.file_name() && same_file(&folder(a), &folder(b)))
}

/// Refuses what cannot be right.
pub(crate) fn check(args: &BatchRunArgs, inputs: &[Input], sidecars: Option<&Sidecars>) -> Result<()> {
    let mut protected = Vec::new();
    let mut written = Vec::new();
    if let Some(output) = &args.output {
        if output.as_os_str() == "-" {
            let message = "--output names a file, which a later run goes on with; `worker` writes to standard output";
            return Err(UsageError(message.to_owned()).into());
        }
        protected.push(Protected { what: "the output", path: output });
        written.push(("output", output));
    }
    if let Some(summary) = &args.summary {
        protected.push(Protected { what: "the summary", path: summary });
        written.push(("summary", summary));
    }
    let is_list = |path: &Path| path.as_os_str() != "-";
    let lists = [&args.input, &args.work.questions, &args.work.choices_file].into_iter().flatten();
    protected
        .extend(lists.clone().filter(|path| is_list(path)).map(|path| Protected { what: "read by the run", path }));
    for (what, path) in &written {
        let read = lists.clone().map(|list| list.as_path()).chain(inputs.iter().map(|input| input.job.video.as_path()));
        if let Some(read) = read.filter(|read| is_list(read)).find(|read| same_file(read, path)) {
            return Err(UsageError(format!("the {what} `{}` is an input: `{}`", path.display(), read.display())).into());
        }
    }
    if let [(_, output), (_, summary)] = written[..]
        && is_one_place(output, summary)
    {
        return Err(UsageError(format!("`{}` cannot be both output and summary", output.display())).into());
    }
    let Some(Sidecars { layout, .. }) = sidecars else { return Ok(()) };
    if let Some(format) = layout.formats().iter().find(|format| format.is_subtitles()) {
        let several = inputs.iter().filter(|input| input.job.questions.len() > 1).count();
        if several > 0 {
            let inputs = counted(several, "input");
            let message = format!("--sidecar {format} takes one question about a clip, and {inputs} have several");
            return Err(UsageError(message).into());
        }
    }
    conflicts(inputs, layout, &protected)
        .map_err(|conflicts| UsageError(format!("{conflicts} ({})", conflicts.hint())).into())
}
