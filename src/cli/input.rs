//! What the command line asks about: a clip or picture as the engine wants it, spooled if it is a stream; and the text
//! of a question.

use std::ffi::OsStr;

use anyhow::{Context, Result};
use llava_video::engine::ClipRequest;
use llava_video::interrupt::Interrupt;
use llava_video::video::ClipOptions;
use llava_video::video::isolated::Launcher;

use super::args::{DECODE_WORKER, FOR_EACH, FrameArgs};
use super::exit::UsageError;
use super::file_url;
use super::output::Printer;
use super::stream::{Spool, Stream};

/// A clip or a picture to open.
pub(crate) struct Input {
    pub(crate) request: ClipRequest,
    /// What was read from a stream; goes with the input.
    _spool: Option<Spool>,
}

impl Input {
    /// `video`, read as `args` say; a stream is read to its end.
    pub(crate) fn new(video: &OsStr, args: &FrameArgs, interrupt: &Interrupt, printer: &mut Printer) -> Result<Self> {
        let launcher = launcher()?;
        let options = ClipOptions { strict: args.strict, image_fps: args.image_fps, ..ClipOptions::default() };
        let selection = args.selection()?;
        let path = file_url::local_path(video)?;
        let stream = Stream::named(path.as_os_str());
        let name = stream.as_ref().map_or(path.as_path(), Stream::name).to_owned();
        let spool = stream.map(|stream| Spool::fill(stream, interrupt, printer)).transpose()?;
        let place = spool.as_ref().map_or(path.as_path(), Spool::path).to_owned();
        let timeout = args.timeout();
        let request = ClipRequest { path, place, name, selection, options, timeout, launcher };
        Ok(Self { request, _spool: spool })
    }
}

/// The process that decodes: this program again.
pub(crate) fn launcher() -> Result<Launcher> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(Launcher::new(program, [DECODE_WORKER]))
}

/// The same for many clips: processes that one of this program forks, which is started now.
pub(crate) fn launcher_of_many() -> Result<Launcher> {
    let launcher = launcher()?.forking([DECODE_WORKER, FOR_EACH]);
    launcher.prepare();
    Ok(launcher)
}

/// The question as given, or standard input where it is `-` (one final newline removed, nothing else).
pub(crate) fn question(argument: &OsStr, interrupt: &Interrupt, printer: &mut Printer) -> Result<String> {
    let question = if argument == "-" {
        let mut bytes = Vec::new();
        Stream::Stdin.announce("the question", printer);
        Stream::Stdin.read(interrupt, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        String::from_utf8(bytes).map_err(|_| UsageError("the question on standard input is not UTF-8".to_owned()))?
    } else {
        let text = argument.to_str().ok_or_else(|| UsageError("the question is not UTF-8".to_owned()))?;
        text.to_owned()
    };
    match question.trim().is_empty() {
        true => Err(UsageError("the question is empty".to_owned()).into()),
        false => Ok(question),
    }
}
