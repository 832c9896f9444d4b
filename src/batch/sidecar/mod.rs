//! Files beside the clips, in the formats that other programs read: made from the records, and made again from them
//! where a kill came in between.

mod conflict;
mod folders;
mod format;
mod render;
mod target;
mod write;

pub use conflict::{Conflict, Conflicts, Protected, conflicts};
pub use format::{Format, NoFormat};
pub use render::{NoContent, Part, render};
pub use target::{Layout, NoName};
pub use write::{WriteError, Written, write};
