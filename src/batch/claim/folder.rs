//! The folder itself: made by whoever comes first, and only ever for one run.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{ClaimError, at};
use super::name::subfolder;

/// States which run the folder is of.
const RUN: &str = "run";
/// Heartbeats, and who they are of.
const WORKERS: &str = "workers";
/// Of the folder's format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Run {
    version: u32,
    digest: String,
}

pub(super) fn workers(root: &Path) -> PathBuf {
    root.join(WORKERS)
}

/// Makes the folder or finds it made, for the run of this digest.
pub(super) fn open(root: &Path, digest: &str, worker: &str) -> Result<(), ClaimError> {
    std::fs::create_dir_all(root).map_err(at(root))?;
    let path = root.join(RUN);
    if !path.exists() {
        refuse_others(root)?;
        state(root, &path, digest, worker)?;
    }
    let text = std::fs::read(&path).map_err(at(&path))?;
    match serde_json::from_slice::<Run>(&text) {
        Ok(Run { version: VERSION, digest: found }) if found == digest => {}
        Ok(Run { version: VERSION, digest: found }) => {
            return Err(ClaimError::AnotherRun { dir: root.to_owned(), found, wanted: digest.to_owned() });
        }
        _ => return Err(ClaimError::Damaged { path }),
    }
    let folders = (0..=u8::MAX).map(|folder| subfolder(root, folder));
    for folder in std::iter::once(workers(root)).chain(folders) {
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(&folder)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// States the run, unless somebody just did.
fn state(root: &Path, path: &Path, digest: &str, worker: &str) -> Result<(), ClaimError> {
    let text = serde_json::to_string(&Run { version: VERSION, digest: digest.to_owned() }).expect("plain data");
    let draft = root.join(format!("{RUN}.{worker}"));
    std::fs::write(&draft, text).map_err(at(&draft))?;
    let linked = std::fs::hard_link(&draft, path);
    let _ = std::fs::remove_file(&draft);
    match linked {
        // Whose it is shows when it is read.
        Err(source) if !path.exists() => Err(ClaimError::NoLinks { dir: root.to_owned(), source }),
        _ => Ok(()),
    }
}

/// Whether links lead from the workers' folder into the others: some file systems make them within a folder alone.
pub(super) fn check_links(root: &Path, from: &Path, worker: &str) -> Result<(), ClaimError> {
    let probe = subfolder(root, 0).join(format!("probe.{worker}"));
    let linked = std::fs::hard_link(from, &probe);
    let there = probe.exists();
    let _ = std::fs::remove_file(&probe);
    match linked {
        Err(source) if !there => Err(ClaimError::NoLinks { dir: root.to_owned(), source }),
        _ => Ok(()),
    }
}

/// A folder of other things would be littered.
fn refuse_others(root: &Path) -> Result<(), ClaimError> {
    for entry in std::fs::read_dir(root).map_err(at(root))? {
        let name = entry.map_err(at(root))?.file_name();
        if !name.to_string_lossy().starts_with(RUN) {
            let entry = name.to_string_lossy().into_owned();
            // Somebody may have made it just now.
            return match root.join(RUN).exists() {
                true => Ok(()),
                false => Err(ClaimError::NotClaims { dir: root.to_owned(), entry }),
            };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_of_one_run() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("new/claims");
        open(&root, "d", "a").expect("it is made");
        open(&root, "d", "b").expect("it is found");
        let refused = open(&root, "other", "c").expect_err("another run").to_string();
        assert!(refused.contains("digest d, this one is other"), "{refused}");
        assert_eq!(std::fs::read_dir(&root).expect("a folder").count(), 258, "no draft stays");
        std::fs::write(root.join(RUN), "{}").expect("a file");
        assert!(matches!(open(&root, "d", "d"), Err(ClaimError::Damaged { .. })));
    }

    #[test]
    fn a_folder_of_other_things_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("clip.mp4"), "").expect("a file");
        let refused = open(dir.path(), "d", "a").expect_err("not claims").to_string();
        assert!(refused.contains("clip.mp4"), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_folder_without_links_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        open(dir.path(), "d", "a").expect("it is made");
        let refused = check_links(dir.path(), &dir.path().join("absent"), "a").expect_err("nothing to link");
        assert!(refused.to_string().contains("hard links"), "{refused}");
        check_links(dir.path(), &dir.path().join(RUN), "a").expect("links are made");
        assert_eq!(std::fs::read_dir(subfolder(dir.path(), 0)).expect("a folder").count(), 0, "no probe stays");
    }

    #[test]
    fn many_make_one_folder_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let digests = ["a", "b"];
        let opened: Vec<bool> = std::thread::scope(|scope| {
            let open = |i: usize| open(dir.path(), digests[i % 2], &i.to_string()).is_ok();
            let all: Vec<_> = (0..8).map(|i| scope.spawn(move || open(i))).collect();
            all.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let of = |parity: usize| opened.iter().skip(parity).step_by(2).filter(|&&ok| ok).count();
        assert!(matches!((of(0), of(1)), (4, 0) | (0, 4)), "{opened:?}");
    }
}
