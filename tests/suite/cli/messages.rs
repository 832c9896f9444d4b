//! Every sentence that the program can print, in one table that somebody has read: a new or changed one fails this test
//! until it stands there, so that a review sees it as its reader will.

use std::fmt::Write;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::support::rust_files;

const TABLE: &str = "tests/fixtures/messages.txt";

/// Words that are ours and not the reader's, or no English, and what they stand for.
const NOT_OUR_WORDS: [(&str, &str); 10] = [
    ("golden", "the reference's output"),
    ("is said", "say who prints it"),
    ("forbids to", "forbids doing it"),
    ("beforehand", "name the moment"),
    ("anew", "again"),
    ("cannot be used:", "say what is wrong with it"),
    ("was given up", "gave up"),
    ("invalid", "say what was expected"),
    ("illegal", "say what was expected"),
    ("oops", "say what failed"),
];

/// The string literals of a file that read as words: at least two of them, one of letters.
fn is_sentence(text: &str) -> bool {
    let words = text.split_whitespace().filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1);
    words.count() > 1
}

/// Adds the sentences among the string literals of `stream`, test modules, documentation and reasons for panics left
/// out.
fn collect(stream: TokenStream, sentences: &mut Vec<String>) {
    let mut in_test_item = false;
    // The two tokens before, the nearer one last.
    let mut before = [String::new(), String::new()];
    for token in stream {
        match &token {
            TokenTree::Group(group) if is_attribute(group, &before) => {
                in_test_item |= group.stream().to_string().replace(' ', "") == "cfg(test)";
                if holds_messages(group) {
                    collect(group.stream(), sentences);
                }
            }
            TokenTree::Group(group) if in_test_item => in_test_item = group.delimiter() != Delimiter::Brace,
            // What a broken promise panics with is for ourselves.
            TokenTree::Group(_) if before[1] == "expect" => {}
            // Instructions in assembly.
            TokenTree::Group(_) if before == ["asm", "!"] => {}
            TokenTree::Group(group) => collect(group.stream(), sentences),
            TokenTree::Literal(literal) if !in_test_item => {
                sentences.extend(unquoted(&literal.to_string()).filter(|text| is_sentence(text)));
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => in_test_item = false,
            _ => {}
        }
        before = [std::mem::take(&mut before[1]), token.to_string()];
    }
}

/// `#[..]` or `#![..]`, which documentation is, too.
fn is_attribute(group: &Group, before: &[String; 2]) -> bool {
    group.delimiter() == Delimiter::Bracket && (before[1] == "#" || before[0] == "#" && before[1] == "!")
}

/// thiserror's messages and clap's texts.
fn holds_messages(attribute: &Group) -> bool {
    let name = attribute.stream().into_iter().next().map(|token| token.to_string());
    name.is_some_and(|name| ["error", "arg", "command"].contains(&name.as_str()))
}

/// The value of a string literal, line continuations joined; `None` for any other literal.
fn unquoted(literal: &str) -> Option<String> {
    let body = match literal.strip_prefix('r') {
        Some(raw) => raw.trim_matches('#'),
        None => literal,
    };
    let body = body.strip_prefix('"')?.strip_suffix('"')?;
    let mut lines = body.split("\\\n");
    let first = lines.next()?.to_owned();
    let joined = lines.fold(first, |text, line| text + line.trim_start());
    Some(joined.replace('\n', "\\n").replace("\\\"", "\""))
}

fn table() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut table = String::new();
    for file in rust_files(&root.join("src")).iter().filter(|file| !file.to_string_lossy().ends_with("tests.rs")) {
        let mut sentences = Vec::new();
        collect(std::fs::read_to_string(file).unwrap().parse().unwrap(), &mut sentences);
        if !sentences.is_empty() {
            writeln!(table, "\n{}", file.strip_prefix(root).unwrap().display()).unwrap();
            sentences.iter().for_each(|sentence| writeln!(table, "    {sentence}").unwrap());
        }
    }
    table
}

#[test]
fn every_message_stands_in_the_table() {
    let found = table();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("LLAVA_VIDEO_WRITE_MESSAGES").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let read = std::fs::read_to_string(&path).unwrap();
    let differing = |a: &str, b: &str| {
        let lines = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(
        found == read,
        "messages changed. Read the new ones as a stranger would, then write the table with \
         `LLAVA_VIDEO_WRITE_MESSAGES=1 cargo test --release --test suite messages`.\nnew:\n{}\ngone:\n{}",
        differing(&found, &read),
        differing(&read, &found)
    );
}

#[test]
fn messages_use_our_readers_words() {
    let table = table();
    for (word, instead) in NOT_OUR_WORDS {
        let found: Vec<&str> = table.lines().filter(|line| line.to_lowercase().contains(word)).collect();
        assert!(found.is_empty(), "`{word}` ({instead}):\n{}", found.join("\n"));
    }
}

#[test]
fn sentences_are_found_and_nothing_else() {
    let source = r#"
        //! A file about something.
        /// Says something.
        #[error("no such {thing}")]
        #[expect(unused, reason = "left out as a reason")]
        fn f() { warn(&format!("two words {x}")); one("word"); y.expect("left out as a panic") }
        #[cfg(test)]
        mod tests { const A: &str = "left out as a test"; }
        const B: &str = "said \
            in two lines";
    "#;
    let mut sentences = Vec::new();
    collect(source.parse().unwrap(), &mut sentences);
    assert_eq!(sentences, ["no such {thing}", "two words {x}", "said in two lines"]);
}
