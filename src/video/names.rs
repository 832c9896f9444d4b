//! What the name of a file says of it, before anybody opens it.

use std::path::Path;

/// Endings of the files that count as pictures, in lower case.
const PICTURE_ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

/// Endings of files that are likely videos, in lower case.
const VIDEO_ENDINGS: [&str; 36] = [
    "3g2", "3gp", "apng", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "h264", "h265", "hevc", "ivf", "m1v",
    "m2ts", "m2v", "m4v", "mj2", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "obu", "ogm", "ogv", "rm",
    "ts", "vob", "webm", "wmv", "y4m",
];

/// Whether its ending is that of a video.
pub(crate) fn is_video(path: &Path) -> bool {
    has_ending(path, &VIDEO_ENDINGS)
}

/// Whether its ending is that of a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    has_ending(path, &PICTURE_ENDINGS)
}

/// Whether listings leave it out.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_in_any_case() {
        for name in ["a.mp4", "a/b.MKV", "a.b.webm", "é.Mov"] {
            assert!(is_video(Path::new(name)) && !is_picture(Path::new(name)), "{name}");
        }
        assert!(is_picture(Path::new("a.JPG")) && !is_video(Path::new("a.JPG")));
        for name in ["mp4", ".mp4", "a.mp4.part", "a.mp4/b", "a.txt", "", "a."] {
            assert!(!is_video(Path::new(name)) && !is_picture(Path::new(name)), "{name}");
        }
        assert!(is_hidden(Path::new("a/.b")) && !is_hidden(Path::new(".a/b")) && !is_hidden(Path::new("..")));
    }
}
