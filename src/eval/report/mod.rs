//! The report of one or several evaluations: a model of the page, and the page as HTML and as Markdown.
//!
//! Every text of a page may come from somebody else: names of files, categories, failures, judges. HTML is written by
//! `maud`, which escapes what is put into it; Markdown by [`markdown`]'s own rules. SVG stands within the HTML, so
//! that it follows the reader's colours, and its places are shares of the width, so that it fits every screen.

mod axis;
mod gather;
mod html;
mod judge;
mod length;
mod markdown;
mod missing;
mod model;
mod overview;
mod page;
mod pair;
mod settings;
mod tables;
mod text;
mod words;

use crate::calendar;

pub use self::gather::{File, gather};
pub use self::html::html;
pub use self::judge::Judge;
pub use self::markdown::markdown;
pub use self::model::{Run, Standing};
pub use self::page::Report;
pub use self::pair::Pair;

/// Today in UTC, as reports have it.
pub fn today() -> String {
    calendar::now().split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
