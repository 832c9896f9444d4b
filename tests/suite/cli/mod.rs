//! The program as its users meet it: commands, output, exit codes, signals.

mod ask;
mod bad_input;
mod bench;
mod chat;
mod chat_terminal;
mod completions;
mod json;
mod kept_tokens;
mod limits;
mod man;
mod messages;
mod model;
mod program;
mod progress;
mod questions;
mod signals;
mod streams;
