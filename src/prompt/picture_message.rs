//! The user's message about still pictures.

use super::Part;

/// The message about `pictures` pictures, which come first: `<image> <image>\n{question}`.
///
/// Source: lmms-eval's `llava_onevision.py`, with which the authors measured; with one picture it is the form of the
/// model cards.
pub fn picture_message(pictures: usize, question: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for picture in 0..pictures {
        if picture > 0 {
            parts.push(Part::Text(" ".to_owned()));
        }
        parts.push(Part::Visual);
    }
    parts.push(Part::Text(format!("\n{question}")));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_divided_by_blanks() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(picture_message(1, "Why?"), [Part::Visual, text("\nWhy?")]);
        assert_eq!(picture_message(2, "Why?"), [Part::Visual, text(" "), Part::Visual, text("\nWhy?")]);
    }
}
