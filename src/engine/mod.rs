//! The story of an answer: what is asked about is opened and planned, refused or placed, looked at, and answered, as
//! often as asked.
//!
//! [`Engine`] holds one checkpoint with its tokenizer and devices, and the model once it is loaded. It prints nothing
//! and knows no flag: options go in, typed errors come out, and an [`Observer`] is told what happens in between.
//! `examples/answer.rs` is the shortest way through it.

mod answer;
pub mod choices;
mod clip;
mod conversation;
mod core;
mod error;
mod estimate;
mod events;
mod foreseen;
mod look;
mod media;
mod pictures;
mod placement;
mod plan;
mod positions;
mod remember;
pub mod session;
mod together;
pub mod visual_cache;

pub use self::core::{Engine, EngineOptions, Placing};
pub use answer::{Answer, Begun, SamplingOptions};
pub use choices::Choice;
pub use clip::{ClipRequest, DEFAULT_FRAMES, PlannedClip, Reading, Selection};
pub use error::{Error, PictureMisfit};
pub use estimate::LongWork;
pub(crate) use estimate::Work;
pub use events::{Event, Observer, Stage, Stopwatch, Timings, Watch};
pub use foreseen::Foreseen;
pub use look::{Seen, Visual};
pub use media::Media;
pub use pictures::CutPicture;
pub(crate) use placement::Budget;
pub use placement::DeviceOptions;
pub use plan::{AskOptions, Exchange, SizedPrompt, Views};
pub use session::{Session, VisualTokens};
pub use together::{Ended, Ticket, Together};
