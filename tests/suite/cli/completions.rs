//! Completion as shells do it: the real script in the real shell, where that is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::hub_home::{HubHome, REPO, hub_with};
use crate::support::process::skipped;
use crate::support::{SINGLE, command, llava_video};

/// Prints what bash would offer for its arguments, a command line, by the function that is registered for the program.
const BASH: &str = r#"
source <(llava-video completions bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
registered=$(complete -p llava-video)
[[ $registered =~ -F\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" llava-video "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The same in zsh, whose completion system is replaced by its two functions that the script calls. `$1` says whether
/// the script is in a file among zsh's functions or was sourced.
const ZSH: &str = r#"
compdef() { registered=$1 }
_describe() { local name; for name in "$@"; do [[ $name == (dirs|other) ]] && print -rl -- "${(@P)name}"; done }
kept=$1; shift
words=("$@") CURRENT=$#
if [[ $kept == file ]]; then
    llava-video completions zsh > _llava-video
    fpath=($PWD) && autoload -Uz _llava-video && _llava-video
else
    source <(llava-video completions zsh)
    $registered
fi
"#;

const FISH: &str = "llava-video completions fish | source; complete --do-complete \"$argv\"";

/// What a shell offers for a command line, the first word of each line that it prints; and its standard error, in which
/// some complain about the terminal or the locale.
fn offered(shell: &[&str], home: &HubHome, dir: &Path, line: &[&str]) -> (Vec<String>, String) {
    let program_dir = Path::new(env!("CARGO_BIN_EXE_llava-video")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([program_dir.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(line).current_dir(dir).stdin(Stdio::null());
    command.env("PATH", path).env("HF_HOME", home.path()).env_remove("HF_HUB_CACHE");
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, home.path());
    }
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    // Behind a candidate zsh has its help after a colon, fish after a tab.
    let word = |line: &str| line.split(['\t', ':']).next().unwrap_or_default().to_owned();
    (stdout.lines().map(word).filter(|word| !word.is_empty()).collect(), stderr)
}

/// What every shell must offer; `ask` gives the candidates of a command line.
fn check(ask: impl Fn(&[&str]) -> (Vec<String>, String)) {
    let has = |line: &[&str], expected: &[&str], unexpected: &[&str]| {
        let line: Vec<&str> = ["llava-video"].iter().chain(line).copied().collect();
        let offered = ask(&line);
        let is_offered = |word: &&str| offered.0.iter().any(|other| other.trim_end_matches('/') == *word);
        assert!(expected.iter().all(is_offered), "{line:?} offers {offered:?}");
        assert!(!unexpected.iter().any(is_offered), "{line:?} offers {offered:?}");
    };
    has(&[""], &["ask", "frames", "model", "completions"], &["decode-worker"]);
    has(&["dec"], &[], &["decode-worker"]);
    has(&["help", "dec"], &[], &["decode-worker"]);
    has(&["ask", "a.mp4", "Why?", "--mo"], &["--model"], &["--frames"]);
    has(&["ask", "a.mp4", "Why?", "--time-instruction", ""], &["none", "newline", "inline"], &["demo"]);
    has(&["model", ""], &["pull", "list", "verify"], &["ask"]);
    has(&["cache", ""], &["info", "clear", "prune"], &["ask"]);
    has(&["model", "quantize", "x", "--quantize", "q4"], &["q4_k"], &["q8_0"]);
    for flag in ["ask", "score"] {
        has(&[flag, "--model", ""], &["demo", REPO, "my clip.mp4", "checkpoints"], &["lmms-lab/LLaVA-Video-7B-Qwen2"]);
    }
    has(&["ask", "--model", "own"], &[REPO], &["demo", "checkpoints"]);
    has(&["ask", "--model", "checkpoints/"], &["checkpoints/own"], &["demo"]);
    has(&["model", "info", "d"], &["demo"], &[REPO]);
    has(&["model", "rm", ""], &[REPO], &["demo", "checkpoints"]);
    has(&["model", "pull", ""], &[REPO, "lmms-lab/LLaVA-Video-7B-Qwen2"], &["demo"]);
    has(&["frames", "my"], &["my clip.mp4"], &["checkpoints"]);
}

/// A cache with one model, and a folder with a clip and a checkpoint, as far as their names matter.
fn surroundings() -> (HubHome, tempfile::TempDir) {
    let (_hub, home, _) = hub_with(SINGLE, REPO);
    home.run(["model", "pull", REPO]).stdout_of_success();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("my clip.mp4"), "").unwrap();
    std::fs::create_dir_all(dir.path().join("checkpoints/own")).unwrap();
    (home, dir)
}

fn is_installed(shell: &str) -> bool {
    let found = Command::new(shell).args(["-c", "true"]).status().is_ok_and(|status| status.success());
    if !found {
        skipped(&format!("completion in {shell}"), "it is not installed");
    }
    found
}

#[test]
fn bash_completes_behind_the_subcommand() {
    if is_installed("bash") {
        let (home, dir) = surroundings();
        let shell = ["bash", "--norc", "--noprofile", "-c", BASH, "bash"];
        let ask = |line: &[&str]| offered(&shell, &home, dir.path(), line);
        check(ask);
        // As bash cuts `--model=de`.
        assert_eq!(ask(&["llava-video", "ask", "--model", "=", "de"]).0, ["demo"]);
    }
}

#[test]
fn zsh_completes_behind_the_subcommand() {
    if is_installed("zsh") {
        let (home, dir) = surroundings();
        for kept in ["file", "sourced"] {
            let shell = ["zsh", "-f", "-c", ZSH, "zsh", kept];
            check(|line| offered(&shell, &home, dir.path(), line));
        }
    }
}

#[test]
fn fish_completes_behind_the_subcommand() {
    if is_installed("fish") {
        let (home, dir) = surroundings();
        let shell = ["fish", "-c", FISH];
        check(|line| offered(&shell, &home, dir.path(), line));
    }
}

#[test]
fn every_shell_has_a_script_and_the_worker_is_no_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = llava_video(["completions", shell]);
        assert!(script.stdout_of_success().contains("llava-video"), "{shell}");
        assert!(!script.stdout.contains("decode-worker"), "{shell}");
    }
    assert_eq!(llava_video(["completions", "csh"]).code, Some(2));
    assert_eq!(llava_video(["decode-worker", "--help"]).code, Some(2));
    // A shell that the variable does not know is no reason to run a command that nobody gave.
    let unknown = crate::support::run(command().args(["--", "llava-video", ""]).env("LLAVA_VIDEO_COMPLETE", "csh"));
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""), "{unknown:?}");
}
