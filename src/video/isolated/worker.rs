//! The child: confines itself, opens the one clip, and answers requests until its input ends.

use std::io::{Read, Write};
use std::path::PathBuf;

use super::super::error::{Error, ReadError};
use super::super::frame::Frame;
use super::super::media::Media;
use super::super::options::ClipOptions;
use super::protocol::{self, Reply, Request};
use super::{budget, sandbox};

/// Serves one clip over standard input and output, in a process that has nothing else to do. Returns when the parent
/// closes its end or goes away.
pub fn serve() {
    // A parent that is gone needs no explanation.
    let _ = answer(&mut std::io::stdin().lock(), &mut std::io::stdout().lock());
}

/// There is nobody to talk to any more.
struct Gone;

fn answer(input: &mut impl Read, output: &mut impl Write) -> Result<(), Gone> {
    let (first, _) = protocol::receive::<Request>(input, 0).map_err(|_| Gone)?;
    let Request::Open { path, name, strict, linear, threads, max_pixels, image_fps, cpu_secs } = first else {
        return Err(Gone);
    };
    let names = Names { path: path.into(), name: name.into() };
    let path = names.path.as_path();
    let unconfined = sandbox::give_up_all_but(path, cpu_secs);
    let options = ClipOptions { strict, linear, threads, max_pixels, image_fps, ..ClipOptions::default() };
    let mut clip = match Media::open(path, &options) {
        Ok(clip) => clip,
        Err(error) => return reply(output, &names.failed(&error)),
    };
    warn(output, &mut clip, &names)?;
    reply(output, &Reply::Opened { info: clip.info().clone(), unconfined })?;
    loop {
        let (request, _) = protocol::receive::<Request>(input, 0).map_err(|_| Gone)?;
        let (indices, view, cpu_secs) = match request {
            Request::Read { indices, view, cpu_secs } => (indices, view, cpu_secs),
            Request::FramesBefore { secs } => {
                let counts = secs.into_iter().map(|secs| clip.frames_before(secs)).collect();
                reply(output, &Reply::FramesBefore { counts })?;
                continue;
            }
            Request::Open { .. } => return Err(Gone),
        };
        budget::allow_cpu_secs(cpu_secs);
        let outcome = clip.read(&indices, view, &mut |frame| send_frame(output, &frame));
        warn(output, &mut clip, &names)?;
        match outcome {
            Ok(()) => reply(output, &Reply::Done)?,
            Err(ReadError::Sink(error)) => return Err(error),
            Err(ReadError::Clip(Error::Recounted { .. })) => {
                reply(output, &Reply::Recounted { info: clip.info().clone() })?;
            }
            Err(ReadError::Clip(error)) => reply(output, &names.failed(&error))?,
        }
    }
}

fn send_frame(output: &mut impl Write, frame: &Frame) -> Result<(), Gone> {
    let Frame { index, pts_secs, width, height, ref rgb } = *frame;
    protocol::send(output, &Reply::Frame { index, pts_secs, width, height }, rgb).map_err(|_| Gone)
}

fn reply(output: &mut impl Write, message: &Reply) -> Result<(), Gone> {
    protocol::send(output, message, &[]).map_err(|_| Gone)
}

fn warn(output: &mut impl Write, clip: &mut Media, names: &Names) -> Result<(), Gone> {
    let warnings = clip.take_warnings().into_iter();
    warnings.map(|warning| names.rename(warning)).try_for_each(|message| reply(output, &Reply::Warning { message }))
}

/// Where the clip lies, and what the user calls it.
struct Names {
    path: PathBuf,
    name: PathBuf,
}

impl Names {
    fn rename(&self, text: String) -> String {
        match self.path == self.name {
            true => text,
            false => text.replace(&self.path.display().to_string(), &self.name.display().to_string()),
        }
    }

    /// An error with its causes, as one sentence.
    fn failed(&self, error: &Error) -> Reply {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let message = causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"));
        Reply::Failed { message: self.rename(message), hint: error.hint() }
    }
}
