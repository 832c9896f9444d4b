//! Shell completion: a short script for each shell, and the candidates that the script asks this program for.
//!
//! clap_complete's other kind of script, which holds all candidates itself, cannot know cached models, and in bash it
//! is dead behind the subcommand of a program with a hyphen in its name (clap#6421).

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::engine::complete;
use clap_complete::env::{CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

use super::args::Cli;

/// The environment variable by which a script asks; its value is the shell's name.
const VARIABLE: &str = "LLAVA_VIDEO_COMPLETE";
/// The environment variable by which the bash script says which word is being completed.
const WORD_INDEX: &str = "_LLAVA_VIDEO_COMPLETE_WORD";
/// What is completed, and what answers: found on the PATH, wherever the script is kept.
const PROGRAM: &str = "llava-video";

const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Prints candidates if a completion script started this process; whether it did.
pub(super) fn answer_the_shell() -> clap::error::Result<bool> {
    let engine = CompleteEnv::with_factory(Cli::command).var(VARIABLE).completer(PROGRAM).shells(SHELLS);
    engine.try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref())
}

/// The script that makes a shell ask.
pub(super) fn script(shell: Shell) -> Result<Vec<u8>> {
    let name = shell.to_string();
    let adapter = SHELLS.completer(&name).with_context(|| format!("no completion script is known for {name}"))?;
    let mut script = Vec::new();
    adapter.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    if shell == Shell::Zsh {
        script.extend_from_slice(ZSH_FIRST_CALL.as_bytes());
    }
    Ok(script)
}

/// Kept in a file, zsh runs the whole script at the first completion, which defines the function but does not call it.
const ZSH_FIRST_CALL: &str = r#"
if [[ $funcstack[1] == _llava-video ]]; then
    _clap_dynamic_completer_llava_video "$@"
fi
"#;

/// Bash, with file names that keep their spaces: clap_complete's own script inserts them unquoted.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> std::io::Result<()> {
        // `-o default` leaves what has no candidates, such as a name with a quote in it, to bash's own completion of
        // files.
        write!(
            script,
            r#"_llava_video() {{
    local candidate words=("${{COMP_WORDS[@]}}")
    words[COMP_CWORD]=$2
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
        # Bash then quotes names where they need it, and writes no space behind a directory.
        [[ -e $candidate ]] && compopt -o filenames 2>/dev/null
    done < <({variable}=bash {WORD_INDEX}=$COMP_CWORD {completer} -- "${{words[@]}}" 2>/dev/null)
}}
complete -o nosort -o default -F _llava_video {bin} 2>/dev/null || complete -o default -F _llava_video {bin}
"#
        )
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        current_dir: Option<&Path>,
        answer: &mut dyn Write,
    ) -> std::io::Result<()> {
        let index = std::env::var(WORD_INDEX).ok().and_then(|index| index.parse().ok()).unwrap_or(words.len() - 1);
        let (words, index) = without_equals_signs(words, index);
        for candidate in complete(command, words, index, current_dir)? {
            writeln!(answer, "{}", candidate.get_value().to_string_lossy())?;
        }
        Ok(())
    }
}

/// Bash takes `--flag=value` for three words; without the one in the middle the value stands behind its flag, too.
fn without_equals_signs(words: Vec<OsString>, index: usize) -> (Vec<OsString>, usize) {
    let mut kept: Vec<OsString> = Vec::new();
    let mut kept_index = index;
    for (place, word) in words.into_iter().enumerate() {
        let follows_flag = kept.last().is_some_and(|last| last.as_encoded_bytes().starts_with(b"--"));
        match word == "=" && place < index && follows_flag {
            true => kept_index -= 1,
            false => kept.push(word),
        }
    }
    (kept, kept_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_behind_an_equals_sign_is_that_of_its_flag() {
        let split = |line: &str, index| {
            let (words, index) = without_equals_signs(line.split(' ').map(OsString::from).collect(), index);
            (words.join(std::ffi::OsStr::new(" ")), index)
        };
        assert_eq!(split("p ask --model = d", 4), ("p ask --model d".into(), 3));
        assert_eq!(split("p ask --frames = 3 --model = d x", 8), ("p ask --frames 3 --model d x".into(), 6));
        assert_eq!(split("p ask = d", 3), ("p ask = d".into(), 3));
        assert_eq!(split("p ask --model d", 3), ("p ask --model d".into(), 3));
    }
}
