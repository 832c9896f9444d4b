//! Which frames a clip has, when each is shown, and whether what is known of them may be believed.

pub(crate) mod entries;
pub(crate) mod extent;
pub(crate) mod moments;
pub(crate) mod mp4;
pub(crate) mod rate;
pub(crate) mod trust;
