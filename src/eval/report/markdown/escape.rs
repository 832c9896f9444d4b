//! Foreign text within Markdown: shown as it is, never read as markup, by GitHub's rules, too.

use super::super::text::visible;

/// Text between other text. Every mark that Markdown knows is escaped, but for those that people read most and that
/// mean nothing within a line.
pub(super) fn escape(text: &str) -> String {
    let text = visible(text);
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    for (index, c) in text.char_indices() {
        let is_first = index == 0;
        let is_mark = match c {
            // A list, a heading, a quotation or a number of a list at the start of a line.
            '-' | '+' | '.' | ')' => {
                is_first || (matches!(c, '.' | ')') && text[..index].bytes().all(|b| b.is_ascii_digit()))
            }
            // `www.` and `https:` become links.
            ':' => text[index..].starts_with("://"),
            '(' | ',' | ';' | '%' | '/' | '?' | '\'' | '"' | '=' => false,
            // Within words an underscore stays one.
            '_' => !(before.is_some_and(char::is_alphanumeric) && text[index + 1..].starts_with(char::is_alphanumeric)),
            c => c.is_ascii_punctuation(),
        };
        let is_link = c == '.' && text[..index].to_ascii_lowercase().ends_with("www");
        if is_mark || is_link {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}

/// Text of a cell of a table.
pub(super) fn cell(text: &str) -> String {
    escape(text)
}

/// A name as code, in which nothing is markup: the fence is longer than any within.
pub(super) fn code(text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let room = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{room}{text}{room}{fence}")
}

/// A table with the first column to the left and the others to the right. Heads and cells are Markdown already.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let is_text = head.len() < 4;
    let rules = (0..head.len()).map(|index| if index == 0 || is_text { "---" } else { "---:" });
    let mut lines = vec![line(head.iter().copied()), line(rules)];
    lines.extend(rows.into_iter().map(|row| line(row.iter().map(String::as_str))));
    lines.join("\n")
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_is_markup() {
        assert_eq!(
            escape("<img src=x onerror=alert(1)>|`*_[x](y)"),
            "\\<img src=x onerror=alert(1)\\>\\|\\`\\*\\_\\[x\\](y)"
        );
    }

    #[test]
    fn links_and_mentions_are_text() {
        assert_eq!(
            escape("see https://x.org, www.x.org, @you, #1, a@b.c"),
            "see https\\://x.org, www\\.x.org, \\@you, \\#1, a\\@b.c"
        );
    }

    #[test]
    fn what_begins_a_block_does_not() {
        assert_eq!(
            ["- a", "# a", "> a", "1. a", "12) a", "+ a", "= a"].map(escape),
            ["\\- a", "\\# a", "\\> a", "1\\. a", "12\\) a", "\\+ a", "= a"]
        );
        assert_eq!(escape("a\n# b"), "a\\\\u\\{a\\}\\# b");
    }

    #[test]
    fn ordinary_names_stay_readable() {
        assert_eq!(escape("fine_grained_pose, 3.5 % of v-1.mp4"), "fine_grained_pose, 3.5 % of v-1.mp4");
        assert_eq!(escape("_a_"), "\\_a\\_");
    }

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a.mp4"), "`a.mp4`");
        assert_eq!(code("a``b`"), "``` a``b` ```");
        assert_eq!(code("<b>|\n"), "`<b>|\\u{a}`");
    }
}
