//! Memory does not grow with the number of clips.

#![cfg(target_os = "linux")]

use std::time::Duration;

use super::workplace::{QUESTION, Workplace};
use crate::support::process::{PATIENCE, high_water_bytes};

#[test]
#[ignore = "takes minutes: `make test-long`"]
fn the_peak_after_a_thousand_clips_is_that_after_a_hundred() {
    let place = Workplace::with_clips(1000);
    let mut running = place.start(&[&["clips", "-o", "out.jsonl", "--concurrency", "4"], &QUESTION[..]].concat());
    let status = format!("/proc/{}/status", running.id());
    let peak = || high_water_bytes(&std::fs::read_to_string(&status).unwrap_or_default());
    let (mut after_hundred, mut last) = (None, 0);
    while !running.has_ended() {
        last = peak().unwrap_or(last);
        if after_hundred.is_none() && place.line_count("out.jsonl") >= 100 {
            after_hundred = Some(last);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    running.end_within(PATIENCE).stdout_of_success();
    assert_eq!(place.records("out.jsonl").len(), 1000);
    let after_hundred = after_hundred.unwrap();
    assert!(last * 100 <= after_hundred * 105, "{after_hundred} bytes after 100 clips, {last} after 1000");
}
