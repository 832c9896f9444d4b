//! `file://` URLs, as file managers and browsers hand them out (RFC 8089), to paths.

use std::ffi::OsStr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::exit::UsageError;

const SCHEME: &str = "file://";

/// The path that `argument` names: as it stands, unless it is a `file://` URL.
///
/// # Errors
/// A URL of another host, without a path, or with a query or a fragment, which no file has.
pub(crate) fn local_path(argument: &OsStr) -> Result<PathBuf, UsageError> {
    let url = argument
        .to_str()
        .filter(|text| text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)));
    let Some(url) = url else { return Ok(argument.into()) };
    let refused = |why: &str| UsageError(format!("`{url}` {why}; give the path of a file"));
    let rest = &url[SCHEME.len()..];
    let (host, encoded) = rest.split_at(rest.find('/').ok_or_else(|| refused("names no file"))?);
    if !(host.is_empty() || host.eq_ignore_ascii_case("localhost")) {
        return Err(refused("is a file of another machine"));
    }
    if encoded.contains(['?', '#']) {
        return Err(refused("has a query or a fragment (write `?` as %3F and `#` as %23 if they belong to the name)"));
    }
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    if bytes.contains(&0) {
        return Err(refused("holds a zero byte"));
    }
    path_of(bytes).ok_or_else(|| refused("is not UTF-8"))
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

/// `/C:/clip.mp4` stands for `C:/clip.mp4`.
#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Option<PathBuf> {
    let path = String::from_utf8(bytes).ok()?;
    Some(path.strip_prefix('/').filter(|path| path.get(1..2) == Some(":")).unwrap_or(&path).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn file_urls_are_paths() {
        use std::os::unix::ffi::OsStrExt;
        let path = |argument: &str| local_path(OsStr::new(argument)).map_err(|error| error.0);
        for (argument, expected) in [
            ("file:///a/b%20c.mp4", "/a/b c.mp4"),
            ("FILE://localhost/%C3%A9.mp4", "/é.mp4"),
            ("file:///100%.mp4", "/100%.mp4"),
            ("a b.mp4", "a b.mp4"),
            ("file:x.mp4", "file:x.mp4"),
            ("https://example.com/a.mp4", "https://example.com/a.mp4"),
        ] {
            assert_eq!(path(argument), Ok(PathBuf::from(expected)), "{argument}");
        }
        assert_eq!(path("file:///%ff").unwrap().as_os_str().as_bytes(), b"/\xff");
        for (argument, part) in [
            ("file://server/a.mp4", "another machine"),
            ("file://", "names no file"),
            ("file://a.mp4", "names no file"),
            ("file:///a%00", "zero byte"),
            ("file:///a?b", "%3F"),
        ] {
            let error = path(argument).unwrap_err();
            assert!(error.contains(part) && error.contains(argument), "{error}");
        }
    }
}
