//! Python literals as `ast.literal_eval` reads them, for judges reply in them.

pub use super::literal_number::Number;
use super::literal_number::number;
use super::literal_reader::Reader;
use super::literal_text::{Text, text};
use crate::eval::python::is_space;

/// Brackets within brackets, past which Python refuses too.
const MAX_DEPTH: usize = 200;

/// A literal, as far as its value matters here.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `None`.
    None,
    /// `True` and `False`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `...`.
    Ellipsis,
    /// A tuple.
    Tuple(Vec<Self>),
    /// A list.
    List(Vec<Self>),
    /// A set.
    Set(Vec<Self>),
    /// A dictionary, with keys that are there twice.
    Dict(Vec<(Self, Self)>),
}

impl Literal {
    /// The value of a text key, the last where it is there twice; `None` also where this is no dictionary.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(members) = self else { return None };
        members.iter().rev().find(|(name, _)| matches!(name, Self::Text(name) if name == key)).map(|(_, value)| value)
    }

    /// Python's `int(value)`, where it does not fail and is below 2^63 in size.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Bool(is) => Some(i64::from(*is)),
            Self::Number(Number::Int(int)) => i64::try_from(*int).ok(),
            Self::Number(Number::Float(float)) => int_of_float(*float),
            Self::Text(text) => int_of_text(text),
            Self::Bytes(bytes) => int_of_text(std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())?),
            _ => None,
        }
    }

    fn is_hashable(&self) -> bool {
        match self {
            Self::List(_) | Self::Set(_) | Self::Dict(_) => false,
            Self::Tuple(items) => items.iter().all(Self::is_hashable),
            _ => true,
        }
    }
}

/// Python's `int` of a JSON value.
pub fn int_of_json(value: &serde_json::Value) -> Option<i64> {
    match value {
        serde_json::Value::Bool(is) => Some(i64::from(*is)),
        serde_json::Value::Number(number) => number.as_i64().or_else(|| int_of_float(number.as_f64()?)),
        serde_json::Value::String(text) => int_of_text(text),
        _ => None,
    }
}

fn int_of_float(float: f64) -> Option<i64> {
    // 2^63 itself is no `i64`; no number is lost in between.
    (float.is_finite() && float.abs() < 9.2e18).then_some(float as i64)
}

fn int_of_text(text: &str) -> Option<i64> {
    let text = text.trim_matches(is_space);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut value: i64 = 0;
    let mut before = '_';
    for c in digits.chars() {
        match (c, before) {
            ('_', '_') => return None,
            ('_', _) => {}
            _ => value = value.checked_mul(10)?.checked_add(i64::from(decimal(c)?))?,
        }
        before = c;
    }
    (before != '_').then_some(sign * value)
}

/// The value of a decimal digit of any script: they stand in tens.
fn decimal(c: char) -> Option<u32> {
    use crate::eval::parse::is_digit;
    if let Some(digit) = c.to_digit(10) {
        return Some(digit);
    }
    let is_decimal = |code: u32| char::from_u32(code).is_some_and(is_digit);
    let code = u32::from(c);
    is_decimal(code).then(|| (1..).take_while(|&back| is_decimal(code - back)).count() as u32 % 10)
}

/// Reads a literal; `None` where Python fails.
pub fn literal(source: &str) -> Option<Literal> {
    let chars: Vec<char> = source.trim_start_matches([' ', '\t']).chars().collect();
    let mut reader = Reader { chars: &chars, place: 0, depth: 0 };
    if chars.contains(&'\0') {
        return None;
    }
    let mut items = vec![reader.value()?];
    let mut is_tuple = false;
    loop {
        reader.skip();
        if reader.take(',') {
            is_tuple = true;
            reader.skip();
            match reader.peek() {
                Some('\n' | '\r') | None => {}
                Some(_) => {
                    items.push(reader.value()?);
                    continue;
                }
            }
        }
        break;
    }
    // After the end of the line nothing but blanks and comments may follow.
    if !matches!(reader.peek(), Some('\n' | '\r') | None) {
        return None;
    }
    reader.depth = 1;
    reader.skip();
    let value = if is_tuple { Literal::Tuple(items) } else { items.pop()? };
    reader.peek().is_none().then_some(value)
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Literal> {
        self.skip();
        let value = match self.peek()? {
            '{' => self.braces(),
            '[' => self.items(']').map(|(items, _)| Literal::List(items)),
            '(' => self.brackets(),
            '\'' | '"' => self.texts(),
            '.' if (self.peek_at(1), self.peek_at(2)) == (Some('.'), Some('.')) => {
                self.place += 3;
                Some(Literal::Ellipsis)
            }
            '+' | '-' | '.' | '0'..='9' => self.numbers(),
            _ => self.word(),
        }?;
        self.skip();
        Some(value)
    }

    /// Names, and texts with a prefix.
    fn word(&mut self) -> Option<Literal> {
        let rest = &self.chars[self.place..];
        let len = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count();
        let word: String = rest[..len].iter().collect();
        if matches!(rest.get(len), Some('\'' | '"')) {
            return self.texts();
        }
        self.place += len;
        match word.as_str() {
            "None" => Some(Literal::None),
            "True" => Some(Literal::Bool(true)),
            "False" => Some(Literal::Bool(false)),
            "set" => {
                self.skip();
                let (items, _) = (self.peek() == Some('(')).then(|| self.items(')'))??;
                items.is_empty().then(|| Literal::Set(Vec::new()))
            }
            _ => None,
        }
    }

    /// One text or more, which Python joins.
    fn texts(&mut self) -> Option<Literal> {
        let mut joined = text(self)?;
        loop {
            let before = self.place;
            self.skip();
            let rest = &self.chars[self.place..];
            let prefix = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
            if prefix > 2 || !matches!(rest.get(prefix), Some('\'' | '"')) {
                self.place = before;
                break;
            }
            joined = match (joined, text(self)?) {
                (Text::Text(a), Text::Text(b)) => Text::Text(a + &b),
                (Text::Bytes(a), Text::Bytes(b)) => Text::Bytes([a, b].concat()),
                _ => return None,
            };
        }
        Some(match joined {
            Text::Text(text) => Literal::Text(text),
            Text::Bytes(bytes) => Literal::Bytes(bytes),
        })
    }

    /// A number with its sign; a real and an imaginary one make a complex one.
    fn numbers(&mut self) -> Option<Literal> {
        let first = self.signed()?;
        self.skip();
        if !matches!(self.peek(), Some('+' | '-')) {
            return Some(Literal::Number(first));
        }
        self.place += 1;
        self.skip();
        let second = self.unsigned()?;
        let is_complex = first != Number::Complex && second == Number::Complex;
        is_complex.then_some(Literal::Number(Number::Complex))
    }

    fn signed(&mut self) -> Option<Number> {
        let is_negative = self.take('-');
        if !is_negative {
            self.take('+');
        }
        self.skip();
        let found = self.unsigned()?;
        Some(if is_negative { found.negated() } else { found })
    }

    /// A number, within any brackets: Python drops those before it looks at signs.
    fn unsigned(&mut self) -> Option<Number> {
        if self.peek() != Some('(') {
            return number(self);
        }
        self.open()?;
        self.skip();
        let found = self.unsigned()?;
        self.skip();
        self.close(')')?;
        Some(found)
    }

    fn open(&mut self) -> Option<()> {
        self.place += 1;
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn close(&mut self, end: char) -> Option<()> {
        self.depth -= 1;
        self.take(end).then_some(())
    }

    /// Values between brackets, and whether a comma follows the last.
    fn items(&mut self, end: char) -> Option<(Vec<Literal>, bool)> {
        self.open()?;
        let (mut items, mut has_comma) = (Vec::new(), false);
        self.skip();
        while self.peek() != Some(end) {
            if !items.is_empty() && !has_comma {
                return None;
            }
            items.push(self.value()?);
            has_comma = self.take(',');
            self.skip();
        }
        self.close(end)?;
        Some((items, has_comma))
    }

    /// A tuple, or one value in brackets.
    fn brackets(&mut self) -> Option<Literal> {
        let (mut items, has_comma) = self.items(')')?;
        match items.len() == 1 && !has_comma {
            true => items.pop(),
            false => Some(Literal::Tuple(items)),
        }
    }

    /// A dictionary or a set.
    fn braces(&mut self) -> Option<Literal> {
        self.open()?;
        let (mut members, mut items, mut has_comma, mut is_dict) = (Vec::new(), Vec::new(), true, true);
        self.skip();
        while self.peek() != Some('}') {
            if !has_comma {
                return None;
            }
            let first = self.value()?;
            let is_member = self.take(':');
            if !first.is_hashable() || (is_member != is_dict && !(members.is_empty() && items.is_empty())) {
                return None;
            }
            is_dict = is_member;
            match is_member {
                true => members.push((first, self.value()?)),
                false => items.push(first),
            }
            has_comma = self.take(',');
            self.skip();
        }
        self.close('}')?;
        Some(if is_dict { Literal::Dict(members) } else { Literal::Set(items) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(source: &str) -> Option<i64> {
        literal(source)?.get("score")?.int()
    }

    /// Right-hand sides from CPython 3.11: `int(ast.literal_eval(source)["score"])`.
    #[test]
    fn dictionaries_read_as_python_reads_them() {
        for source in [
            "{'score': 4}",
            "({'score': 4})",
            "((({'score': +4,})))",
            "{'score': 0x4, 'x': [1, (2,), {3}, set(), ...]}",
            "{'sc' 'ore': 4}",
            "{r'score': 4.999e0}",
            "{'score': 1, 'score': 4}",
            "{'score': b' 4\\n'}",
            "{'score': ' +0_4 '}",
            "{'score': '４'}",
            "{'score': 4} # a note",
            "{'score': 4}\n  # a note\n",
            "{ # a note\n'score'\n:\n4\n}",
            "\t {'score': 4}",
            "{'score': 4, 'x': 1+2j, 'y': -1.5j, 'z': -(3)}",
            "{'score': 4, None: None, True: False, (1, 2): '''a\n'b' \"\"\"'''}",
            "{'score': 4, 'a': 'it\\'s \\x41\\u00e9\\N{EM DASH}\\q'}",
            "{'score': \\\n4}",
            "{'\\x73core': 4_0e-1}",
            "{'score': 04.0}",
        ] {
            assert_eq!(score(source), Some(4), "{source}");
        }
        assert_eq!(score("{'score': -2.9}"), Some(-2));
        assert_eq!(score("{'score': True}"), Some(1));
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for source in [
            "",
            "{'score': 4",
            "{'score': 4}}",
            "{'score': 4};",
            "{'score': 4} x",
            "{'score': 4},",
            "{'score': 4}\n{'score': 4}",
            "{'score': 04}",
            "{'score': 4__0}",
            "{'score': 4_}",
            "{'score': --4}",
            "{'score': -(-4)}",
            "{'score': - -4}",
            "{'score': -True}",
            "{'score': 2+2}",
            "{'score': 2*2}",
            "{'score': 1e999}",
            "{'score': '4.8'}",
            "{'score': '4 0'}",
            "{'score': '4_'}",
            "{'score': '1__0'}",
            "{'score': ''}",
            "{'score': 4j}",
            "{'score': None}",
            "{'score': true}",
            "{'score': f'4'}",
            "{'score': u'4' b'0'}",
            "{'score': 'a\nb'}",
            "{'score': 4, 5}",
            "{5, 'score': 4}",
            "{'score': 4,,}",
            "{,}",
            "{'score' 4}",
            "{'score': 4 if 1 else 0}",
            "{'score': 4, [1]: 2}",
            "{'score': 4, ([1],): 2}",
            "{**{'score': 4}}",
            "{'score': 4abc}",
            "{'score': 4, 'x': set(1)}",
            "{'score': '\\x4'}",
            "{'score': 4, 'x': '\\u12'}",
            "{''score': 4.8}",
            "{“score”: 4}",
            "{'score': 4, 'x': b'é'}",
            "{'score': 4, 'x': ur'a'}",
            "{'score': \0 4}",
        ] {
            assert_eq!(score(source), None, "{source}");
        }
    }

    #[test]
    fn brackets_end_somewhere() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(literal(&nested(200)).is_some());
        assert!(literal(&nested(201)).is_none());
        assert!(literal(&"[".repeat(100_000)).is_none());
    }

    #[test]
    fn whole_numbers_of_json_are_pythons() {
        for (value, int) in [
            (serde_json::json!(3.9), Some(3)),
            (serde_json::json!("4"), Some(4)),
            (serde_json::json!("x"), None),
            (serde_json::json!(null), None),
            (serde_json::json!(true), Some(1)),
            (serde_json::json!(1e300), None),
        ] {
            assert_eq!(int_of_json(&value), int);
        }
    }

    const MARKS: &str = "[\\[\\](){}'\"\\\\,:.0-9a-fjxoruNTF_ \n#+-]{0,40}";

    proptest! {
        #[test]
        fn no_text_is_too_odd(source in prop_oneof![any::<String>(), MARKS]) {
            let found = literal(&source);
            prop_assert!(found.is_none_or(|found| found.int().is_none_or(|int| int.abs() < i64::MAX)));
        }

        #[test]
        fn integers_read_back(int in -1_000_000i64..1_000_000) {
            prop_assert_eq!(score(&format!("{{'score': {int}}}")), Some(int));
            prop_assert_eq!(score(&format!("{{\"score\": \"{int}\"}}")), Some(int));
            prop_assert_eq!(score(&format!("{{'score': {int}.75}}")), Some(int));
        }
    }
}
