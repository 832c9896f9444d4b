//! The progress line at the foot of the terminal, for `output.rs`: never wider than the terminal, and gone without a
//! trace.

use std::io;
use std::time::Duration;

use console::{Term, is_dumb, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// The line is no wider than this, in columns: a bar across a wide screen tells no more.
const MAX_WIDTH: u16 = 80;

/// How often the line is drawn at most, in times per second.
const MAX_HZ: u8 = 20;

/// How often it is drawn at least, so that the clock in it goes on.
const TICK: Duration = Duration::from_millis(200);

/// A bar for a stage that is counted in `unit`s, on standard error; hidden where that is not a terminal.
pub(super) fn bar(stage: &'static str, unit: &'static str, template: &str, total: u64, done: u64) -> ProgressBar {
    let term = Term::buffered_stderr();
    let target = match term.features().is_attended() && !is_dumb() {
        true => ProgressDrawTarget::term_like_with_hz(Box::new(FootLine(term)), MAX_HZ),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(stage);
    bar.set_prefix(unit);
    // What was there before is no speed.
    bar.set_position(done);
    bar.reset_eta();
    bar.enable_steady_tick(TICK);
    bar
}

/// The last line of a terminal, to which nothing but the bar is drawn.
///
/// After each drawing the cursor goes back to the first column. Terminals that break lines anew when they become
/// narrower keep it there, at the start of the broken line, so that clearing to the end of the screen takes all of the
/// line away; it works just as well in those that cut lines off.
#[derive(Debug)]
struct FootLine<T>(T);

impl<T: TermLike> TermLike for FootLine<T> {
    /// One column less than there is: a full line would already break.
    fn width(&self) -> u16 {
        self.0.width().saturating_sub(1).clamp(1, MAX_WIDTH)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // Blanks at the end would only be there to be broken.
        match text.trim_end() {
            "" => Ok(()),
            text => self.0.write_str(&truncate_str(text, self.width().into(), "")),
        }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.write_str("\r\x1b[J")
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::output::TEMPLATES;
    use super::*;

    /// A terminal that breaks long lines, and breaks them anew when its width changes, as tmux and VTE do.
    #[derive(Debug, Default)]
    struct Screen {
        width: usize,
        /// Lines as they were written, breaks by the terminal not counted.
        lines: Vec<String>,
        /// The cursor: a line, and a place in it.
        cursor: (usize, usize),
    }

    impl Screen {
        fn new(width: usize) -> Arc<Mutex<Self>> {
            Arc::new(Mutex::new(Self { width, lines: vec!["$ llava-video".to_owned(), String::new()], cursor: (1, 0) }))
        }

        fn put(&mut self, text: &str) {
            let (line, mut place) = self.cursor;
            let mut rest = text;
            while let Some(letter) = rest.chars().next() {
                if let Some(after) = rest.strip_prefix("\x1b[J") {
                    // From the cursor to the end of the screen: what stands before it stays.
                    self.lines.truncate(line + 1);
                    self.lines[line] = self.lines[line].chars().take(place).collect();
                    rest = after;
                    continue;
                }
                assert!(!letter.is_control() || letter == '\r', "{text:?}");
                if letter == '\r' {
                    // To the start of the row, not of the line that was broken.
                    place -= place % self.width;
                } else {
                    let mut letters: Vec<char> = self.lines[line].chars().collect();
                    letters.resize(letters.len().max(place + 1), ' ');
                    letters[place] = letter;
                    self.lines[line] = letters.into_iter().collect();
                    place += 1;
                }
                rest = &rest[letter.len_utf8()..];
            }
            self.cursor = (line, place);
        }

        fn rows(&self) -> usize {
            self.lines.iter().map(|line| line.chars().count().div_ceil(self.width).max(1)).sum()
        }
    }

    #[derive(Debug)]
    struct Shared(Arc<Mutex<Screen>>);

    impl TermLike for Shared {
        fn width(&self) -> u16 {
            self.0.lock().expect("no panic while it is held").width as u16
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            unreachable!("{n} rows up");
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            unreachable!("{n} rows down");
        }
        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            unreachable!("{n} columns right");
        }
        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            unreachable!("{n} columns left");
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            unreachable!("a whole line `{line}`");
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("no panic while it is held").put(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            unreachable!("a whole line");
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_fits_every_width_and_leaves_nothing_behind() {
        for template in TEMPLATES {
            let screen = Screen::new(100);
            let target = ProgressDrawTarget::term_like(Box::new(FootLine(Shared(Arc::clone(&screen)))));
            let bar = ProgressBar::with_draw_target(Some(16_060_000_000), target);
            bar.set_style(ProgressStyle::with_template(template).expect("a template"));
            bar.set_message("prefill");
            // Wider and narrower in turn, down to hardly anything.
            for (step, width) in [100, 44, 80, 30, 45, 20, 60, 10, 80].into_iter().enumerate() {
                screen.lock().expect("held by nobody").width = width;
                bar.set_position(1_234_567_890 * step as u64);
                bar.tick();
                let screen = screen.lock().expect("held by nobody");
                assert_eq!(screen.lines[0], "$ llava-video", "what stood there before");
                assert_eq!(screen.lines.len(), 2, "{screen:?}");
                assert!(screen.lines[1].chars().count() < width.max(2), "{width}: {screen:?}");
                assert_eq!(screen.rows(), 1 + "$ llava-video".len().div_ceil(width), "{width}: {screen:?}");
                assert!(screen.lines[1].starts_with(&"prefill"[..(width - 1).min(7)]), "{width}: {screen:?}");
            }
            bar.finish_and_clear();
            assert_eq!(screen.lock().expect("held by nobody").lines[1], "");
        }
    }
}
