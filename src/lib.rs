//! Answers questions about videos with the LLaVA-Video family of models.
//!
//! The whole way of one answer, each stage in the module that owns it:
//!
//! | stage | in -> out | module |
//! | --- | --- | --- |
//! | probe and plan | file -> clip facts -> frame indices and their labels | [`video`] |
//! | video decode | indices -> RGB frames `[H, W, 3]` u8 | [`video`] |
//! | preprocess | frames -> pixel_values `[T, 3, S, S]` | [`vision::preprocess`] |
//! | vision tower | pixel_values -> patch features `[T, P, D_v]` | [`vision`] |
//! | projector | patch features -> `[T, P, D]` | [`vision`] |
//! | pooling | patch grid -> visual tokens `[N_v, D]`, newline tokens included | [`vision::pool`] |
//! | pictures | picture -> tiles `[n, S, S, 3]`; their projected patches -> visual tokens `[N_v, D]` | [`vision::anyres`] |
//! | prompt | question, times -> token ids with a place for the visual tokens | [`prompt`] |
//! | prefill | embeddings `[S, D]` -> KV cache, logits of the last position | [`engine::session`], [`language`] |
//! | decode steps | logits -> id -> logits ... | [`generate`] |
//! | text | ids -> valid UTF-8 pieces | [`generate::TextStream`] |
//!
//! Letters: T frames, S pixels a side (or, for the decoder, positions), P patches of a frame, D_v width of the tower,
//! D width of the decoder, N_v visual tokens of a clip.
//!
//! [`model_name`] says which checkpoint is meant, [`hub`] brings it here, [`demo`] is one inside the program,
//! [`checkpoint`] knows what is on disk, [`quantization`] in how many bits weights are held, [`device`] where things
//! run, [`memory`] whether they fit, [`model`] puts the stages together, [`engine`] tells the story of an answer with
//! them, [`batch`] asks about thousands of clips, [`score`] measures how well text is predicted, [`mod@bench`] how fast
//! each stage is. The library never prints
//! and never exits; the binary's `cli` does.
//!
//! # A program that answers a question
//!
//! This is `examples/answer.rs`, all of it:
//!
//! ```no_run
#![doc = include_str!("../examples/answer.rs")]
//! ```
//!
//! A clip is read by a child process, which is the program itself once more: [`video::isolated`] says why. To open a
//! checkpoint on disk, give `Source::from(path)` to [`Engine::open`](engine::Engine::open). To be told of progress and
//! warnings, and to get the answer piece by piece, give an [`Observer`](engine::Observer) in place of `&mut ()`.

#[cfg(test)]
mod allocations;
mod attention;
pub mod batch;
pub mod bench;
mod calendar;
mod cgroup;
pub mod checkpoint;
pub mod demo;
pub mod device;
pub mod disk;
pub mod engine;
mod error;
pub mod eval;
mod file_lock;
mod folders;
pub mod generate;
mod host;
pub mod hub;
pub mod interrupt;
mod kernels;
pub mod language;
mod linear;
pub mod memory;
pub mod model;
pub mod model_name;
pub mod moment;
mod norm;
mod pages;
pub mod prompt;
pub mod quantization;
mod role;
pub mod score;
mod search;
pub mod size;
mod stamp;
pub mod threads;
pub mod trace;
pub mod video;
pub mod vision;

pub use error::Error;
