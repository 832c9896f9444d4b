//! Why an input failed, as a record says it: which sort, and whether another time may help.

use std::time::Duration;

use super::record::{Failure, INTERRUPTED};
use crate::engine::Error;
use crate::interrupt::{Interrupted, OUT_OF_TIME};
use crate::video;

/// Shown in one line with all its causes, and the hint where there is one. `item_timeout` is what each input may take.
pub(super) fn failure_of(error: &Error, item_timeout: Option<Duration>) -> Failure {
    if let Error::Stage(crate::Error::Interrupted(Interrupted { signal: OUT_OF_TIME })) = error {
        return out_of_time(item_timeout);
    }
    let (kind, retryable) = sort(error);
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut message = causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"));
    let hint = match error {
        Error::Stage(error) => error.hint(),
        _ => None,
    };
    if let Some(hint) = hint {
        message += &format!(" ({hint})");
    }
    Failure::new(kind, message, retryable)
}

/// The failure of an input that took longer than it may.
pub(super) fn out_of_time(item_timeout: Option<Duration>) -> Failure {
    let secs = item_timeout.map_or(0.0, |timeout| timeout.as_secs_f64());
    Failure::new("timeout", format!("gave up after {secs} s"), true)
}

fn sort(error: &Error) -> (&'static str, bool) {
    let error = match error {
        Error::Stage(error) => error,
        Error::NotForAPicture { .. } | Error::OnlyPictures { .. } | Error::NothingToChoose => return ("input", false),
        Error::TooThin { .. } | Error::NoPicture { .. } | Error::Unsteady => return ("video", false),
        Error::Abandoned => return (INTERRUPTED, true),
    };
    match error {
        crate::Error::Video(error) => match error {
            video::Error::NotFound { .. } => ("missing", true),
            video::Error::Io { .. } => ("io", true),
            video::Error::Launch { .. } => ("launch", true),
            video::Error::TimedOut { .. } => ("timeout", true),
            video::Error::Child { .. } => ("crash", false),
            video::Error::NoFrameThen { .. } | video::Error::Url { .. } => ("input", false),
            video::Error::Interrupted { .. } => (INTERRUPTED, true),
            _ => ("video", false),
        },
        crate::Error::Prompt(_) => ("prompt", false),
        crate::Error::Memory(_) => ("memory", true),
        crate::Error::Compute(_) => ("compute", true),
        crate::Error::Interrupted(_) => (INTERRUPTED, true),
        _ => ("model", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_causes_and_a_way_out() {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = Error::from(video::Error::Io { path: "a.mp4".into(), source });
        let failure = failure_of(&error, None);
        assert_eq!((failure.kind.as_str(), failure.retryable), ("io", true));
        assert_eq!(failure.message, "a.mp4: cannot read the file: permission denied");
        let failure = failure_of(&video::Error::TimedOut { path: "a.mp4".into(), secs: 3 }.into(), None);
        assert_eq!(failure.kind, "timeout");
        assert!(failure.message.ends_with("(allow more time with `--decode-timeout SECS`)"), "{}", failure.message);
    }

    #[test]
    fn what_took_too_long_is_told_by_the_limit() {
        let error = Error::from(Interrupted { signal: OUT_OF_TIME });
        let failure = failure_of(&error, Some(Duration::from_millis(2500)));
        assert_eq!(failure, Failure::new("timeout", "gave up after 2.5 s", true));
        assert_eq!(failure_of(&Interrupted { signal: 15 }.into(), None).kind, "interrupted");
    }
}
