//! `LLAVA_VIDEO_GPU`: what is done otherwise on NVIDIA GPUs, to compare ways of which only a GPU can tell the better.

/// The variable.
pub(crate) const VARIABLE: &str = "LLAVA_VIDEO_GPU";

/// A list in the variable that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={value}: `{word}` is none of {}", WORDS.map(|(word, _)| word).join(", "))]
pub struct Error {
    /// The variable's value.
    value: String,
    /// What is wrong in it.
    word: String,
}

/// What differs from the way that this program takes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Switches {
    /// Attention without the flash kernels.
    pub(crate) no_flash: bool,
    /// candle's events around each tensor, which order several streams; there is one.
    pub(crate) track_events: bool,
    /// Freed memory goes back to the driver.
    pub(crate) return_memory: bool,
    /// Weights go up through page-locked buffers while the next are read.
    pub(crate) pinned_upload: bool,
}

type Set = fn(&mut Switches);

const WORDS: [(&str, Set); 4] = [
    ("no-flash", |switches| switches.no_flash = true),
    ("track-events", |switches| switches.track_events = true),
    ("return-memory", |switches| switches.return_memory = true),
    ("pinned-upload", |switches| switches.pinned_upload = true),
];

impl Switches {
    /// Those of this process.
    ///
    /// # Errors
    /// A word that means nothing.
    pub(crate) fn of_this_process() -> Result<Self, Error> {
        Self::read(&std::env::var(VARIABLE).unwrap_or_default())
    }

    fn read(value: &str) -> Result<Self, Error> {
        let mut switches = Self::default();
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match WORDS.iter().find(|(known, _)| *known == word) {
                Some((_, set)) => set(&mut switches),
                None => return Err(Error { value: value.to_owned(), word: word.to_owned() }),
            }
        }
        Ok(switches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        assert_eq!(Switches::read(""), Ok(Switches::default()));
        let both = Switches { no_flash: true, pinned_upload: true, ..Switches::default() };
        assert_eq!(Switches::read("pinned-upload, no-flash"), Ok(both));
        let all = WORDS.map(|(word, _)| word).join(",");
        let Switches { no_flash, track_events, return_memory, pinned_upload } = Switches::read(&all).unwrap();
        assert!(no_flash && track_events && return_memory && pinned_upload);
        let error = Switches::read("no-flash,fast").unwrap_err().to_string();
        assert!(error.contains("`fast` is none of no-flash, track-events"), "{error}");
    }
}
