//! The rows that a command without a model is about.

use anyhow::Result;
use llava_video::eval::data::{self, Data};

use crate::cli::args::RowsArgs;
use crate::cli::output::Printer;

/// Reads them, and names the parts that are not there.
pub(super) fn read(args: &RowsArgs, printer: &mut Printer) -> Result<Data> {
    let data = data::read(&args.data, args.benchmark, args.split, args.part.as_deref())?;
    if !data.missing_parts.is_empty() {
        let (missing, parts) = (data.missing_parts.len(), data::parts(args.benchmark).len());
        printer.warning(&format!(
            "`{}` holds {} of the {parts} parts of {}; not there: {}",
            args.data.display(),
            parts - missing,
            args.benchmark,
            data.missing_parts.join(", ")
        ));
    }
    Ok(data)
}
