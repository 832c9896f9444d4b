//! `model`: commands about checkpoints themselves.

mod quantize;

use anyhow::Result;

use super::args::ModelCommand;
use super::exit::Exit;
use super::output::Printer;

pub(crate) fn run(command: &ModelCommand, printer: &mut Printer) -> Result<Exit> {
    match command {
        ModelCommand::Quantize(args) => quantize::run(args, printer),
    }
}
