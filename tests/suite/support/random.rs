//! Random choices that are the same in every run, so that a failure can be repeated.

pub(crate) use llava_video::checkpoint::generated::Random;
