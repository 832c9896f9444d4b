//! The formats of files beside the clips.

use std::fmt;
use std::str::FromStr;

/// A format; its name is the ending of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The answers as text, as trainers of models read captions.
    Txt,
    /// The record.
    Json,
    /// Subtitles: SubRip.
    Srt,
    /// Subtitles: WebVTT.
    Vtt,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Txt, Self::Json, Self::Srt, Self::Vtt];

    /// Its name, and the ending of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
        }
    }

    /// Whether a moment of the clip can have one text only, so that one question can be asked.
    pub fn is_subtitles(self) -> bool {
        matches!(self, Self::Srt | Self::Vtt)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected txt, json, srt or vtt")]
pub struct NoFormat;

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, NoFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(NoFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_as_they_are_written() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!(["", "TXT", "all"].map(str::parse::<Format>), [Err(NoFormat); 3]);
    }
}
