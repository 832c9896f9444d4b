//! Whether the clips of a batch are there.

use std::io;
use std::path::PathBuf;

use super::Input;

/// So many are named; of the rest only the number is.
const KEPT: usize = 20;

/// Clips that are not there, or that cannot be looked at.
#[derive(Debug, Default)]
pub struct Missing {
    /// The first of them: the input's id, the path, and what the system says.
    pub kept: Vec<(String, PathBuf, io::Error)>,
    /// How many there are.
    pub total: usize,
}

/// Looks for the clip of every input.
pub fn missing<'a>(inputs: impl IntoIterator<Item = &'a Input>) -> Missing {
    let mut missing = Missing::default();
    for Input { job, .. } in inputs {
        let Err(error) = job.video.metadata() else { continue };
        missing.total += 1;
        if missing.kept.len() < KEPT {
            missing.kept.push((job.id.clone(), job.video.clone(), error));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::super::{RunWide, gather};
    use super::*;

    #[test]
    fn what_is_not_there_is_named_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let line = |name: &str| {
            let path = dir.path().join(name);
            format!("{}\n", serde_json::json!({ "id": name, "video": path, "question": "?" }))
        };
        std::fs::write(dir.path().join("here"), "").unwrap();
        let list: String =
            ["here".to_owned()].into_iter().chain((0..30).map(|n| n.to_string())).map(|n| line(&n)).collect();
        let run = RunWide { questions: &[], choices: &[], system: None, local_path: &|text| Ok(text.into()) };
        let inputs = gather(Vec::new(), Some(list.as_bytes()), &run).unwrap();
        let missing = missing(&inputs);
        assert_eq!((missing.total, missing.kept.len()), (30, KEPT));
        assert_eq!((missing.kept[0].0.as_str(), missing.kept[0].2.kind()), ("0", io::ErrorKind::NotFound));
    }
}
