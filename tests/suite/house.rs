//! What the code promises about itself, read from its text.

use std::path::{Path, PathBuf};

use crate::support::rust_files;

/// The library serves programs without a command line: only ours knows how one is parsed.
#[test]
fn only_the_command_line_knows_clap() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names_clap = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "clap" || word.starts_with("clap_"))
    };
    let is_command_line = |path: &PathBuf| path.starts_with(src.join("cli")) || *path == src.join("main.rs");
    let (command_line, library): (Vec<_>, Vec<_>) = rust_files(&src).into_iter().partition(is_command_line);
    assert!(command_line.iter().any(names_clap), "clap has another name by now");
    assert_eq!(library.into_iter().filter(names_clap).collect::<Vec<_>>(), <Vec<PathBuf>>::new());
}
