//! Reports in a real browser, light, dark, on a phone and on paper. Needs Chromium and Python: `make check-report` runs
//! it.

use std::path::Path;
use std::process::Command;

use super::made_up::MadeUp;
use super::report;

/// Looks at a page, and leaves pictures of it where people find them.
fn look_at(page: &Path, name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-report").join(name);
    let mut python = Command::new("python3");
    let status = python.arg(root.join("scripts/check-report/browser.py")).arg(page).arg(&out).status().unwrap();
    assert!(status.success(), "{name}: see {}", out.display());
    std::fs::copy(page, out.join("report.html")).unwrap();
}

#[test]
#[ignore = "needs Chromium: `make check-report`"]
fn pages_are_whole_quiet_and_fit_in_a_browser() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    let whole = MadeUp { rows: usize::MAX, is_hostile: false, protocol: "card", gain: 0.005 };
    let other = MadeUp { protocol: "docs", gain: -0.02, ..whole };
    let mut results = whole.write(dir.path());
    results.push(other.write_one(dir.path(), "videomme"));
    let run = report(&results, &[&page]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    look_at(&page, "whole");

    let hostile = MadeUp { rows: 240, is_hostile: true, protocol: "train", gain: 0.0 }.write(dir.path());
    let run = report(&hostile[..9], &[&page]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    look_at(&page, "hostile");
}

/// The look itself notices what it is there for.
#[test]
#[ignore = "needs Chromium: `make check-report`"]
fn the_browser_notices_faults() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("bad.html");
    let text = "<!doctype html><title></title><body style='background: #fff; color: #ddd; width: 3000px'>\
        <p>faint<script>console.log('said'); window.hostile = 1</script><img src=https://evil.example/x.png>";
    std::fs::write(&page, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-report/browser.py");
    let output = Command::new("python3").arg(script).arg(&page).arg(dir.path().join("out")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for fault in [
        "it asks for: ['https://evil.example/x.png']",
        "the console says",
        "it holds what loads or runs something",
        "a foreign text ran",
        "it is wider than the screen by",
        "less contrast",
        "does not follow the colour scheme",
        "nearly empty",
    ] {
        assert!(said.contains(fault), "{fault}\n{said}");
    }
}
