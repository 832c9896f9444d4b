//! A text in the user's editor.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Lets the user change `text`, and returns it without the last line's end.
///
/// # Errors
/// No editor, one that fails, or a text that is not UTF-8.
pub(super) fn edit(text: &str) -> Result<String> {
    let named = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
    let Some(editor) = named else { bail!("neither $VISUAL nor $EDITOR names an editor") };
    edit_with(&editor, text)
}

fn edit_with(editor: &OsString, text: &str) -> Result<String> {
    let mut file =
        tempfile::Builder::new().prefix("question-").suffix(".txt").tempfile().context("cannot create a file")?;
    writeln!(file, "{text}").context("cannot write the question to a file")?;
    // Closed, so that an editor may put another file in its place.
    let file = file.into_temp_path();
    let mut command = command(editor, &file);
    // Standard output may go elsewhere.
    if let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty")
        && let Ok(same) = terminal.try_clone()
    {
        command.stdin(terminal).stdout(same);
    }
    let shown = editor.display();
    let status = command.status().with_context(|| format!("cannot start the editor `{shown}`"))?;
    if !status.success() {
        bail!("the editor `{shown}` ended with {status}; nothing was asked");
    }
    let edited = std::fs::read_to_string(&file).context("cannot read what the editor wrote")?;
    Ok(edited.strip_suffix('\n').unwrap_or(&edited).to_owned())
}

/// A shell takes the editor's name apart, which may have arguments.
#[cfg(unix)]
fn command(editor: &OsString, file: &Path) -> Command {
    let mut script = editor.clone();
    script.push(" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(editor).arg(file);
    command
}

#[cfg(not(unix))]
fn command(editor: &OsString, file: &Path) -> Command {
    let mut command = Command::new(editor);
    command.arg(file);
    command
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_editor_changes_the_text() {
        let edited = |editor: &str, text| edit_with(&editor.into(), text);
        assert_eq!(edited("sed -i s/is/was/", "What is\nthis?").expect("an editor"), "What was\nthwas?");
        assert_eq!(edited("true", "two\nlines").expect("an editor"), "two\nlines");
        assert_eq!(edited("true", "").expect("an editor"), "");
        let failed = edited("exit 3; true", "x").expect_err("a failure").to_string();
        assert!(failed.contains("nothing was asked"), "{failed}");
    }
}
