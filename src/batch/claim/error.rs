//! What can go wrong with claims.

use std::io;
use std::path::{Path, PathBuf};

/// Why work cannot be shared in a folder.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The folder belongs to a run with other options, or of another model.
    #[error(
        "`{}` holds the claims of a run with another model or other options (digest {found}, this one is {wanted}): \
         every process of a run needs the same ones, and another run another folder", dir.display()
    )]
    AnotherRun {
        /// The folder.
        dir: PathBuf,
        /// The digest that it states.
        found: String,
        /// This run's.
        wanted: String,
    },
    /// Something else is in the folder.
    #[error("`{}` is not empty and holds no claims (it has `{entry}`): name a folder for them alone", dir.display())]
    NotClaims {
        /// The folder.
        dir: PathBuf,
        /// One of its entries.
        entry: String,
    },
    /// The file system cannot make hard links between the folder's subfolders.
    #[error(
        "the file system of `{}` makes no hard links, by which processes claim inputs: name a folder on a local disk, \
         NFS, Lustre or the like, or divide the inputs with --shard", dir.display()
    )]
    NoLinks {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the folder that says nothing that is understood.
    #[error("`{}` is damaged or of another version of this program", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The path of the output cannot be told to others.
    #[error("the output's path `{}` is not Unicode, so that other processes cannot be told of it", path.display())]
    PathNotUnicode {
        /// The output.
        path: PathBuf,
    },
    /// A pace at which a living process would be taken for a dead one.
    #[error(
        "a heartbeat every {heartbeat_secs} s cannot be found stale after {stale_secs} s: that must be at least 4 \
         times as long, and a heartbeat takes at least a millisecond"
    )]
    Pace {
        /// Between heartbeats.
        heartbeat_secs: f64,
        /// Without one until a process counts as dead.
        stale_secs: f64,
    },
    /// The heartbeat could not be written for so long that others take this process for dead.
    #[error("the heartbeat in `{}` has not been written for {secs:.0} s", path.display())]
    Heartbeat {
        /// Its file.
        path: PathBuf,
        /// For how long.
        secs: f64,
        /// What the last attempt said.
        source: io::Error,
    },
    /// A file or a folder that cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Says of which file an error is.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ClaimError {
    let path = path.to_owned();
    |source| ClaimError::Io { path, source }
}
