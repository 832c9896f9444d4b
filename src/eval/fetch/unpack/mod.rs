//! Archives of strangers, unpacked: nothing leaves the folder, no link is made, no more is written than the archive
//! states, and each file has its name only when it is whole.
//!
//! An interrupted run is taken up by the next: what is there and is the same stays, the rest is written. What is there
//! and is something else is never replaced.

mod archive;
mod error;
mod joined;
mod name;
mod tarball;
mod target;
mod zipped;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::archive::Form;
pub(super) use self::archive::{Archive, Unpacked};
pub use self::error::{Refusal, UnpackError};
use self::target::Target;
use crate::interrupt::Interrupt;

/// Unpacks an archive below `root`, and returns what is there of it, in no order.
///
/// `on_bytes` is told how many of the bytes of how many have been gone through.
///
/// # Errors
/// What cannot be unpacked safely, or at all; what was whole until then stays, and the next run goes on from there.
pub(super) fn unpack(
    archive: Archive,
    root: &Path,
    interrupt: &Interrupt,
    on_bytes: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Unpacked>, UnpackError> {
    let mut target = Target::new(archive.name, root, interrupt, on_bytes);
    match archive.form {
        Form::Zip => zipped::unpack(archive, &mut target)?,
        Form::Tar => tarball::unpack(archive, &mut target)?,
    }
    let length = |piece: &PathBuf| piece.metadata().map_or(0, |metadata| metadata.len());
    target.finish(archive.pieces.iter().map(length).sum())
}
