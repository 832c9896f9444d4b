//! The name of an archive's entry -> a path that stays below a folder, on every file system.

use super::error::Refusal;

/// File systems hold no longer parts.
const MAX_PART_BYTES: usize = 255;
const MAX_BYTES: usize = 1024;
const MAX_PARTS: usize = 32;

/// The parts of an entry's path below the folder, joined with `/`; empty for the folder itself.
pub(super) fn safe(name: &[u8]) -> Result<String, Refusal> {
    let name = text(name)?;
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Refusal::Outside),
            part => parts.push(part),
        }
    }
    joined(&parts)
}

/// What a link in the folder of `link` leads to, if that is below the folder of the archive.
pub(super) fn link_target(link: &str, target: &[u8]) -> Result<String, Refusal> {
    let target = text(target)?;
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or(Refusal::Outside)?),
            part => parts.push(part),
        }
    }
    joined(&parts)
}

fn text(name: &[u8]) -> Result<&str, Refusal> {
    let name = std::str::from_utf8(name).map_err(|_| Refusal::Name)?;
    let has_drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    match name {
        // A backslash parts names on other systems.
        _ if name.starts_with(['/', '\\']) || has_drive => Err(Refusal::Absolute),
        "" => Err(Refusal::Name),
        _ if name.contains(|c: char| c == '\\' || c.is_control()) => Err(Refusal::Name),
        _ => Ok(name),
    }
}

fn joined(parts: &[&str]) -> Result<String, Refusal> {
    let path = parts.join("/");
    let is_short = parts.iter().all(|part| part.len() <= MAX_PART_BYTES);
    match is_short && path.len() <= MAX_BYTES && parts.len() <= MAX_PARTS {
        true => Ok(path),
        false => Err(Refusal::Name),
    }
}

/// What file managers leave in archives, and no benchmark has.
pub(super) fn is_litter(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    path.split('/').next() == Some("__MACOSX") || last == ".DS_Store" || last.starts_with("._")
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;

    #[test]
    fn names_stay_below_their_folder_or_are_refused() {
        for (name, path) in [
            ("a.mp4", "a.mp4"),
            ("./videos//a.mp4", "videos/a.mp4"),
            ("videos/", "videos"),
            ("./", ""),
            ("ü b/..c/d..", "ü b/..c/d.."),
        ] {
            assert_eq!(safe(name.as_bytes()).as_deref(), Ok(path), "{name}");
        }
        for (name, refusal) in [
            ("/etc/passwd", Refusal::Absolute),
            ("C:x", Refusal::Absolute),
            ("\\\\host\\x", Refusal::Absolute),
            ("a/../../x", Refusal::Outside),
            ("a/../x", Refusal::Outside),
            ("..", Refusal::Outside),
            ("a\\..\\x", Refusal::Name),
            ("a\0b", Refusal::Name),
            ("a\nb", Refusal::Name),
            ("", Refusal::Name),
        ] {
            assert_eq!(safe(name.as_bytes()), Err(refusal), "{name}");
        }
        assert_eq!(safe(b"\xff"), Err(Refusal::Name));
        assert_eq!(safe("x".repeat(256).as_bytes()), Err(Refusal::Name));
        assert_eq!(safe("d/".repeat(33).as_bytes()), Err(Refusal::Name));
    }

    #[test]
    fn links_lead_to_where_they_would() {
        assert_eq!(link_target("a/b/c", b"../d").as_deref(), Ok("a/d"));
        assert_eq!(link_target("c", b"d/./e").as_deref(), Ok("d/e"));
        assert_eq!(link_target("a/c", b"../../d"), Err(Refusal::Outside));
        assert_eq!(link_target("a/c", b"/etc/passwd"), Err(Refusal::Absolute));
    }

    proptest::proptest! {
        #[test]
        fn no_name_leads_out(name in "[a-c./\\\\:\\PC]{0,40}", link in "[ab/]{0,9}c") {
            let is_below = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if let Ok(path) = safe(name.as_bytes()) {
                proptest::prop_assert!(is_below(&path), "{path}");
                proptest::prop_assert_eq!(safe(path.as_bytes()).unwrap_or_default(), path);
            }
            if let (Ok(link), name) = (safe(link.as_bytes()), name.as_bytes())
                && let Ok(path) = link_target(&link, name)
            {
                proptest::prop_assert!(is_below(&path), "{path}");
            }
        }
    }
}
