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

/// The fuzzers have a lock file of their own, which nothing else reads: it must follow ours.
#[test]
fn fuzzers_are_locked_to_the_same_dependencies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let (ours, fuzzers) = (locked(&text("Cargo.lock")), locked(&text("fuzz/Cargo.lock")));
    let manifest = text("Cargo.toml");
    let (always, for_tests) = manifest.split_once("[dev-dependencies]\n").unwrap();
    let optional = always.lines().filter(|line| line.contains("optional = true"));
    let left_out: Vec<&str> = for_tests.lines().chain(optional).filter_map(|line| line.split(' ').next()).collect();
    let of_program = |packages: &[Locked]| {
        packages.iter().find(|package| package.name == "llava-video").unwrap().dependencies.clone()
    };
    let theirs = of_program(&fuzzers);
    let missing: Vec<String> = of_program(&ours)
        .into_iter()
        .filter(|dependency| !theirs.contains(dependency) && !left_out.contains(&dependency.as_str()))
        .collect();
    let others: Vec<&Locked> = fuzzers
        .iter()
        .filter(|package| {
            package.name != "llava-video"
                && ours.iter().any(|other| other.name == package.name)
                && !ours.iter().any(|other| other.name == package.name && other.version == package.version)
        })
        .collect();
    assert!(
        missing.is_empty() && others.is_empty(),
        "missing: {missing:?}, other than ours: {others:?}; cargo metadata --manifest-path fuzz/Cargo.toml adds, \
         cargo update --manifest-path fuzz/Cargo.toml NAME --precise VERSION mends"
    );
}

/// A package of a lock file.
#[derive(Debug, PartialEq)]
struct Locked {
    name: String,
    version: String,
    dependencies: Vec<String>,
}

fn locked(text: &str) -> Vec<Locked> {
    let package = |entry: &str| {
        let value = |key| entry.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"').to_owned()));
        let dependency = |line: &str| Some(line.strip_prefix(" \"")?.split(['"', ' ']).next()?.to_owned());
        Locked {
            name: value("name = ").unwrap(),
            version: value("version = ").unwrap(),
            dependencies: entry.lines().filter_map(dependency).collect(),
        }
    };
    text.split("[[package]]").skip(1).map(package).collect()
}
