//! Texts and bytes of Python's literals.

use super::literal_reader::Reader;

/// A text or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

/// One text with its prefix and quotes.
pub(super) fn text(reader: &mut Reader<'_>) -> Option<Text> {
    let mut prefix = String::new();
    while let Some(c) = reader.peek().filter(char::is_ascii_alphabetic) {
        prefix.push(c.to_ascii_lowercase());
        reader.place += 1;
    }
    let (is_raw, is_bytes) = match prefix.as_str() {
        "" | "u" => (false, false),
        "r" => (true, false),
        "b" => (false, true),
        "br" | "rb" => (true, true),
        _ => return None,
    };
    let quote = reader.peek()?;
    let is_triple = (reader.peek_at(1), reader.peek_at(2)) == (Some(quote), Some(quote));
    let quotes = if is_triple { 3 } else { 1 };
    reader.place += quotes;
    let (mut text, mut bytes) = (String::new(), Vec::new());
    loop {
        let c = reader.peek()?;
        if c == quote && (1..quotes).all(|ahead| reader.peek_at(ahead) == Some(quote)) {
            reader.place += quotes;
            break;
        }
        if (matches!(c, '\n' | '\r') && !is_triple) || (is_bytes && !c.is_ascii()) {
            return None;
        }
        reader.place += 1;
        let (value, is_number) = match (c, is_raw) {
            ('\\', true) => {
                // The next character is no quote that ends the text, but the backslash stays.
                push(&mut text, &mut bytes, '\\', is_bytes);
                let next = reader.peek()?;
                reader.place += 1;
                (Some(next), false)
            }
            ('\\', false) => escape(reader, is_bytes)?,
            _ => (Some(c), false),
        };
        let Some(value) = value else { continue };
        if is_bytes && !is_number && !value.is_ascii() {
            return None;
        }
        push(&mut text, &mut bytes, value, is_bytes);
    }
    Some(if is_bytes { Text::Bytes(bytes) } else { Text::Text(text) })
}

fn push(text: &mut String, bytes: &mut Vec<u8>, c: char, is_bytes: bool) {
    match is_bytes {
        // Python cuts octal numbers above 255 too.
        true => bytes.push((u32::from(c) & 0xff) as u8),
        false => text.push(c),
    }
}

/// What follows a backslash: the character, and whether it was written as a number. `None` within for the end of a
/// line. An escape that Python does not know stays as it is.
fn escape(reader: &mut Reader<'_>, is_bytes: bool) -> Option<(Option<char>, bool)> {
    let c = reader.peek()?;
    reader.place += 1;
    let one = |c: char| Some((Some(c), false));
    match c {
        '\n' => Some((None, false)),
        '\\' | '\'' | '"' => one(c),
        'a' => one('\u{7}'),
        'b' => one('\u{8}'),
        'f' => one('\u{c}'),
        'n' => one('\n'),
        'r' => one('\r'),
        't' => one('\t'),
        'v' => one('\u{b}'),
        '0'..='7' => {
            let mut value = c.to_digit(8)?;
            for _ in 0..2 {
                let Some(digit) = reader.peek().and_then(|c| c.to_digit(8)) else { break };
                value = value * 8 + digit;
                reader.place += 1;
            }
            Some((char::from_u32(value), true))
        }
        'x' => number(reader, 2),
        'u' if !is_bytes => number(reader, 4),
        'U' if !is_bytes => number(reader, 8),
        'N' if !is_bytes => {
            // Which character it is does not matter here, only that there is one.
            reader.take('{').then_some(())?;
            while reader.peek()? != '}' {
                reader.place += 1;
            }
            reader.place += 1;
            one(char::REPLACEMENT_CHARACTER)
        }
        _ => {
            reader.place -= 1;
            one('\\')
        }
    }
}

/// A character by its number; half of a pair is no character of Rust's.
fn number(reader: &mut Reader<'_>, digits: usize) -> Option<(Option<char>, bool)> {
    let mut value = 0;
    for _ in 0..digits {
        value = value * 16 + reader.peek()?.to_digit(16)?;
        reader.place += 1;
    }
    match value {
        0xd800..=0xdfff => Some((Some(char::REPLACEMENT_CHARACTER), true)),
        _ => Some((Some(char::from_u32(value)?), true)),
    }
}
