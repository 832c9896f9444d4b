//! Numbers of Python's literals.

use super::literal_reader::Reader;

/// A number, as far as its value matters here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i128),
    /// A whole number beyond those.
    Huge,
    /// A floating point number.
    Float(f64),
    /// An imaginary or complex number.
    Complex,
}

impl Number {
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Int(int) => Self::Int(-int),
            Self::Float(float) => Self::Float(-float),
            Self::Huge | Self::Complex => self,
        }
    }
}

/// A number without a sign; no letter or digit may follow it.
pub(super) fn number(reader: &mut Reader<'_>) -> Option<Number> {
    let found = match (reader.peek()?, reader.peek_at(1).map(|c| c.to_ascii_lowercase())) {
        ('0', Some('x')) => radix(reader, 16),
        ('0', Some('o')) => radix(reader, 8),
        ('0', Some('b')) => radix(reader, 2),
        ('.' | '0'..='9', _) => decimal(reader),
        _ => None,
    }?;
    match reader.peek().is_some_and(|c| c == '_' || c == '.' || c.is_alphanumeric()) {
        true => None,
        false => Some(found),
    }
}

fn radix(reader: &mut Reader<'_>, radix: u32) -> Option<Number> {
    reader.place += 2;
    // One underscore may stand before the first digit too.
    reader.take('_');
    let digits = digits(reader, radix)?;
    Some(i128::from_str_radix(&digits, radix).map_or(Number::Huge, Number::Int))
}

fn decimal(reader: &mut Reader<'_>) -> Option<Number> {
    let whole = if reader.peek() == Some('.') { String::new() } else { digits(reader, 10)? };
    let mut float = String::new();
    if reader.take('.') {
        let is_fraction = reader.peek().is_some_and(|c| c.is_ascii_digit());
        let fraction = if is_fraction { digits(reader, 10)? } else { String::new() };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        float = format!(".{fraction}0");
    }
    if matches!(reader.peek(), Some('e' | 'E')) {
        reader.place += 1;
        let sign = if reader.take('-') { "-" } else { "" };
        if sign.is_empty() {
            reader.take('+');
        }
        float = format!("{float}e{sign}{}", digits(reader, 10)?);
    }
    if matches!(reader.peek(), Some('j' | 'J')) {
        reader.place += 1;
        return Some(Number::Complex);
    }
    match float.is_empty() {
        false => Some(Number::Float(format!("0{whole}{float}").parse().ok()?)),
        // Whole numbers do not begin with 0, unless they are 0.
        true if whole.starts_with('0') && whole.bytes().any(|digit| digit != b'0') => None,
        true => Some(whole.parse().map_or(Number::Huge, Number::Int)),
    }
}

/// Digits, with single underscores between them.
fn digits(reader: &mut Reader<'_>, radix: u32) -> Option<String> {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_digit(radix));
    let mut digits = String::new();
    loop {
        match reader.peek() {
            c if is_digit(c) => digits.extend(c),
            Some('_') if !digits.is_empty() && is_digit(reader.peek_at(1)) => {}
            _ => break,
        }
        reader.place += 1;
    }
    (!digits.is_empty()).then_some(digits)
}
