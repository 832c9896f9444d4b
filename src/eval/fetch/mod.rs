//! A benchmark's files from the hub, put where the evaluation looks for them: planned, fetched, unpacked.
//!
//! A folder holds the tables under the publisher's names, the videos in the folders that the harness has, and in
//! `.fetched` what has been unpacked whole, so that nothing half is taken for it.

mod by_hand;
mod choose;
mod error;
mod marker;
mod place;
mod plan;
mod request;
mod run;
mod there;
mod unpack;

pub use error::FetchError;
pub use plan::{Item, Plan, State, plan};
pub use request::{Request, What};
pub use run::{Done, Event, carry_out};
pub use there::{There, there};
pub use unpack::{Form, Refusal, UnpackError};
