//! The demo model: a small checkpoint inside the program, of the architecture of the real one, trained for a small
//! world.
//!
//! It goes the way of any other checkpoint. How it was made, and what it gets right, is told in `tools/demo-model`.

use crate::checkpoint::{BuiltInFiles, Source};

/// How `--model` names it.
pub const NAME: &str = "demo";

/// What it knows, in one line.
pub const KNOWS: &str = "the demo model knows only short clips of one or two plain shapes (circle, square, triangle, \
    star) that move and change; leave --model out for the real model";

/// Its files, in the original layout.
const FILES: BuiltInFiles = &[
    ("config.json", include_bytes!("../assets/demo-model/config.json")),
    ("generation_config.json", include_bytes!("../assets/demo-model/generation_config.json")),
    ("tokenizer.json", include_bytes!("../assets/demo-model/tokenizer.json")),
    ("model.safetensors", include_bytes!("../assets/demo-model/model.safetensors")),
];

/// Where it is.
pub fn source() -> Source {
    Source::BuiltIn { name: "the built-in demo model", files: FILES }
}

/// What it adds to the program, in bytes.
pub fn size_bytes() -> u64 {
    FILES.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_small() {
        assert!(size_bytes() < 6_000_000, "{} bytes", size_bytes());
    }
}
