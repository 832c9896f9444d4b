//! Manual pages, one for each command: what `--help` says, as troff.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};

use super::args::Cli;
use super::output::Printer;

/// The section of the manual, of programs that users start.
const SECTION: &str = "1";

/// The source that a page names at its foot. `--version` says more, which is true of one machine only.
const SOURCE: &str = concat!("llava-video ", env!("CARGO_PKG_VERSION"));

/// What the paragraphs after the flags begin with, and the sections that they become.
const SECTIONS: [(&str, &str); 3] =
    [("Examples:", "EXAMPLES"), ("Environment:", "ENVIRONMENT"), ("Exit codes:", "EXIT STATUS")];

/// Writes all pages to `dir`.
pub(super) fn write(dir: &Path, printer: &mut Printer) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
    let pages = pages();
    for command in &pages {
        let path = dir.join(format!("{}.{SECTION}", name(command)));
        let written = File::create(&path).and_then(|file| {
            let mut file = BufWriter::new(file);
            render(command, &pages, &mut file)?;
            file.flush()
        });
        written.with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    printer.detail(&format!("wrote {} manual pages to `{}`", pages.len(), dir.display()));
    Ok(())
}

/// The commands that have a page: the program, and all below it.
fn pages() -> Vec<Command> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    collect(program, &mut pages);
    pages
}

fn collect(command: Command, pages: &mut Vec<Command>) {
    let below: Vec<Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).cloned().collect();
    pages.push(command);
    below.into_iter().for_each(|below| collect(below, pages));
}

/// What the page of a command is called: all its words, joined by hyphens.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn render(command: &Command, pages: &[Command], out: &mut dyn Write) -> io::Result<()> {
    // By hand, since clap_mangen writes an empty date as none, and what follows would move up.
    writeln!(out, r#".TH "{}" "{SECTION}" "" "{SOURCE}" "Manual of llava-video""#, name(command).to_uppercase())?;
    let page = Man::new(command.clone()).section(SECTION);
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
    }
    let mut rest = Roff::new();
    if let Some(text) = command.get_after_help() {
        text.to_string().split("\n\n").for_each(|paragraph| section(paragraph, &mut rest));
    }
    see_also(command, pages, &mut rest);
    rest.to_writer(out)
}

/// A paragraph from behind the flags of `--help`, under a heading that says what it is.
fn section(paragraph: &str, page: &mut Roff) {
    let known = SECTIONS.iter().find_map(|(start, heading)| Some((*heading, paragraph.strip_prefix(start)?)));
    let (heading, text) = known.unwrap_or(("NOTES", paragraph));
    page.control("SH", [heading]);
    // Lines that are indented are typed, and keep their breaks.
    let mut verbatim = false;
    for line in text.trim_start_matches('\n').lines() {
        let is_typed = line.starts_with("  ");
        if is_typed != verbatim {
            page.control(if is_typed { "nf" } else { "fi" }, []);
            verbatim = is_typed;
        }
        page.text([roman(if is_typed { line } else { line.trim_start() })]);
    }
    if verbatim {
        page.control("fi", []);
    }
}

/// The pages of the commands that begin with the same words.
fn see_also(command: &Command, pages: &[Command], page: &mut Roff) {
    let parent = name(command).rsplit_once(&format!("-{}", command.get_name())).map_or("", |(parent, _)| parent);
    let others = pages.iter().map(name).filter(|&other| {
        let beside = other.strip_prefix(parent).is_some_and(|rest| !parent.is_empty() && is_one_word(rest));
        other != name(command) && (other == parent || beside)
    });
    let mut line: Vec<Inline> = Vec::new();
    for other in others {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(other), roman(format!("({SECTION})"))]);
    }
    if !line.is_empty() {
        page.control("SH", ["SEE ALSO"]);
        page.text(line);
    }
}

/// Whether a name goes on by one hyphen and one word.
fn is_one_word(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|word| !word.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &str) -> String {
        let pages = pages();
        let command = pages.iter().find(|page| name(page) == command).expect("a page");
        let mut text = Vec::new();
        render(command, &pages, &mut text).expect("memory takes it");
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn every_command_has_a_page_with_a_name_of_its_own() {
        let pages = pages();
        let mut names: Vec<&str> = pages.iter().map(name).collect();
        for expected in ["llava-video", "llava-video-ask", "llava-video-model-pull", "llava-video-man"] {
            assert!(names.contains(&expected), "{expected} is missing of {names:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pages.len());
    }

    #[test]
    fn what_follows_the_flags_stands_under_its_own_headings() {
        let page = text("llava-video-ask");
        let (_, examples) = page.split_once(".SH EXAMPLES\n.nf\n").expect("examples");
        assert!(examples.starts_with("  llava\\-video ask clip.mp4 \"What is the man holding?\"\n"), "{examples}");
        let (_, codes) = examples.split_once(".fi\n.SH \"EXIT STATUS\"\n").expect("exit codes");
        assert!(codes.starts_with("0 done, 1 failed"), "{codes}");
        assert!(!page.contains("Examples:") && !page.contains("Exit codes:"));
    }

    #[test]
    fn pages_point_to_those_beside_and_above_them() {
        let page = text("llava-video-model-pull");
        let (_, others) = page.split_once(".SH \"SEE ALSO\"\n").expect("other pages");
        assert!(
            others.contains("\\fBllava\\-video\\-model\\fR(1)") && others.contains("model\\-verify\\fR(1)"),
            "{others}"
        );
        assert!(!others.contains("model\\-pull") && !others.contains("video\\-ask"), "{others}");
    }

    /// What is true of the machine that wrote them alone is in no page.
    #[test]
    fn pages_are_the_same_on_every_machine() {
        let page = text("llava-video");
        assert!(
            !page.contains("FFmpeg:") && page.starts_with(".TH \"LLAVA-VIDEO\" \"1\" \"\" \"llava-video "),
            "{page}"
        );
    }
}
