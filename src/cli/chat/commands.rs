//! The commands of a chat: one table with their names, arguments, help and needs; and what a line is, a question or one
//! of them.

use anyhow::{Result, bail};

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Help,
    Video,
    Frames,
    Clear,
    Undo,
    Edit,
    Save,
    Load,
    Set,
    Exit,
}

/// What must be there for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A clip or pictures.
    Media,
    /// A question that was answered.
    Past,
    /// Somebody at a terminal.
    Terminal,
}

impl Need {
    /// What is said where it is missing.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Self::Media => "no video is shown; `/video FILE` shows one",
            Self::Past => "nothing was asked yet",
            Self::Terminal => "it needs a terminal",
        }
    }
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Command {
    /// With the slash.
    pub(super) name: &'static str,
    /// Another name for it.
    alias: Option<&'static str>,
    arguments: &'static str,
    help: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) action: Action,
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    needs: &'static [Need],
    action: Action,
) -> Command {
    Command { name, alias: None, arguments, help, needs, action }
}

pub(super) static COMMANDS: [Command; 10] = [
    command("/help", "", "list the commands and keys", &[], Action::Help),
    command("/video", "FILE...", "show another video, or pictures, in a new conversation", &[], Action::Video),
    command(
        "/frames",
        "[SHEET]",
        "list the frames that are shown, or write them to a PNG or JPEG",
        &[Need::Media],
        Action::Frames,
    ),
    command("/clear", "", "forget the conversation; the video stays", &[], Action::Clear),
    command("/undo", "", "take back the last question and its answer", &[Need::Past], Action::Undo),
    command(
        "/edit",
        "",
        "change the last question in $VISUAL or $EDITOR and ask again",
        &[Need::Terminal],
        Action::Edit,
    ),
    command(
        "/save",
        "[--force] FILE",
        "write the conversation to a file; --force replaces one",
        &[Need::Past],
        Action::Save,
    ),
    command("/load", "FILE", "go on with a conversation that was saved", &[], Action::Load),
    command("/set", "[KEY VALUE]", "change a setting, `default` to reset it; alone, list them", &[], Action::Set),
    Command { alias: Some("/quit"), ..command("/exit", "", "leave", &[], Action::Exit) },
];

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<'l> {
    /// Nothing but white space.
    Blank,
    /// A question, as it is put to the model.
    Question(&'l str),
    /// An action of the table's, and what follows its name.
    Command(&'static str, &'l str),
}

/// Sorts a line: what starts with a slash is a command, with two of them a question that starts with one.
///
/// # Errors
/// A name that no command has.
pub(super) fn sort(line: &str) -> Result<Input<'_>> {
    if line.trim().is_empty() {
        return Ok(Input::Blank);
    }
    if let Some(question) = line.strip_prefix("//") {
        return Ok(Input::Question(&line[line.len() - question.len() - 1..]));
    }
    if !line.starts_with('/') {
        return Ok(Input::Question(line));
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match named(name) {
        Some(command) => Ok(Input::Command(command.name, rest.trim())),
        None => {
            let nearest = nearest(name).map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            bail!(
                "there is no command `{name}`{nearest} (`/help` lists them; a question that starts with a slash takes \
                 two)"
            )
        }
    }
}

/// The command of this name.
pub(super) fn named(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name || command.alias == Some(name))
}

/// The name that `name` is a slip of, if there is one.
fn nearest(name: &str) -> Option<&'static str> {
    let names = COMMANDS.iter().flat_map(|command| [Some(command.name), command.alias]).flatten();
    let most = if name.chars().count() <= 5 { 1 } else { 2 };
    let slips = |other: &&str| strsim::osa_distance(&name.to_lowercase(), other);
    names.filter(|other| slips(other) <= most).min_by_key(slips)
}

/// What `/help` says of the commands.
pub(super) fn listing() -> Vec<String> {
    let usage = |command: &Command| {
        let names = [Some(command.name), command.alias].into_iter().flatten().collect::<Vec<_>>().join(", ");
        format!("{names} {}", command.arguments)
    };
    let width = COMMANDS.iter().map(|command| usage(command).len()).max().unwrap_or(0);
    COMMANDS.iter().map(|command| format!("{:width$}  {}", usage(command), command.help)).collect()
}

/// The words of a command as a shell splits them: quotes keep spaces together, a backslash takes the next letter as it
/// is (not on Windows, where it is a part of paths).
///
/// # Errors
/// A quote without its end.
pub(super) fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) if cfg!(not(windows)) => {
                word.get_or_insert_default().push(letters.next().unwrap_or('\\'));
            }
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(open)) if letter == open => quote = None,
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    match quote {
        Some(quote) => bail!("the {quote} has no end"),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_questions_or_commands() {
        let sorted = |line| sort(line).expect("a known command");
        assert_eq!(sorted(" \t"), Input::Blank);
        assert_eq!(sorted("What is this?"), Input::Question("What is this?"));
        assert_eq!(sorted(" /undo"), Input::Question(" /undo"), "only the first letter makes a command");
        assert_eq!(sorted("//undo x"), Input::Question("/undo x"));
        assert_eq!(sorted("//"), Input::Question("/"));
        assert_eq!(sorted("/video  a.mp4 b "), Input::Command("/video", "a.mp4 b"));
        assert_eq!(sorted("/quit"), Input::Command("/exit", ""));
    }

    #[test]
    fn an_unknown_command_is_named_with_its_nearest() {
        let error = |line| sort(line).expect_err("an unknown command").to_string();
        assert!(error("/vido x.mp4").contains("`/vido`; did you mean `/video`?"));
        assert!(error("/UNDO").contains("did you mean `/undo`?"));
        assert!(error("/qiut").contains("did you mean `/quit`?"));
        for strange in ["/", "/usr/bin", "/frobnicate"] {
            let error = error(strange);
            assert!(error.contains(&format!("`{strange}`")) && !error.contains("did you mean"), "{error}");
        }
    }

    #[test]
    fn names_are_one_word_and_unique() {
        let names: Vec<&str> = COMMANDS.iter().flat_map(|c| [Some(c.name), c.alias]).flatten().collect();
        for name in &names {
            assert!(name.starts_with('/') && !name.contains(char::is_whitespace), "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn words_are_split_as_in_a_shell() {
        let split = |text| words(text).expect("closed quotes");
        assert_eq!(split("  a.mp4\tb "), ["a.mp4", "b"]);
        assert_eq!(split(r#""my clip.mp4" 'it''s' a\ b """#), ["my clip.mp4", "its", "a b", ""]);
        assert_eq!(split(r#""a\"b" 'a\b' \\"#), [r#"a"b"#, r"a\b", r"\"]);
        assert!(split("").is_empty());
        assert!(words("\"a").is_err() && words("it's").is_err());
    }

    proptest! {
        #[test]
        fn quoted_names_come_back_whole(names in prop::collection::vec("[^']{0,12}", 0..5)) {
            let line = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line).expect("closed quotes"), names);
        }

        #[test]
        fn no_line_panics(line in "\\PC{0,40}") {
            let _ = (sort(&line), words(&line));
        }
    }
}
