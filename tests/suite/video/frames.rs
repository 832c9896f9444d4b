//! `frames` on the committed clips: indices, times and pixels against the recorded facts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::odd_heights::are_pixels_exact;
use crate::support::{clip, fixtures, golden, json, llava_video, sha256_hex};

/// The committed clips; all others, too, where the environment variable names the folder that holds them.
fn clips() -> Vec<(PathBuf, Value)> {
    let expected = json(&fixtures().join("clips/EXPECTED.json"));
    let others = std::env::var_os("LLAVA_VIDEO_TEST_CLIPS").map(PathBuf::from);
    let roots: Vec<PathBuf> = [fixtures().join("clips")].into_iter().chain(others).collect();
    let locate = |clip: &Value| {
        let file = clip["file"].as_str().unwrap();
        let found = roots.iter().map(|root| root.join(file)).find(|path| path.is_file());
        assert!(found.is_some() || roots.len() == 1, "{file} is in none of {roots:?}");
        found
    };
    let all = expected["clips"].as_array().unwrap().iter();
    all.filter_map(|clip| Some((locate(clip)?, clip.clone()))).collect()
}

fn lines(path: &Path, extra: &[&str]) -> Vec<Value> {
    let run = llava_video(["frames", path.to_str().unwrap()].into_iter().chain(extra.iter().copied()));
    run.stdout_of_success().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_clip_gives_the_expected_frames() {
    let clips = clips();
    assert!(clips.len() >= 60, "only {} clips", clips.len());
    let mut faults = Vec::new();
    for (path, facts) in &clips {
        match facts["expect"].as_str().unwrap() {
            "frames" => {
                for (k, mode, flags) in [
                    ("8", "force", &["--frames", "8"][..]),
                    ("110", "force", &["--frames", "110"]),
                    ("8", "auto", &["--frames", "8", "--fps", "1"]),
                    ("110", "auto", &["--frames", "110", "--fps", "1"]),
                ] {
                    let plan = &facts["plans"][format!("{k}_{mode}")];
                    if plan["error"].is_null()
                        && let Err(fault) = check(facts, plan, (k, mode) == ("8", "force"), &lines(path, flags))
                    {
                        faults.push(format!("{} {k} {mode}: {fault}", path.display()));
                    }
                }
            }
            "error" => llava_video(["frames", path.to_str().unwrap()]).fails_with(&[]),
            "lenient" => {
                let run = llava_video(["frames", path.to_str().unwrap(), "--frames", "8"]);
                let fine = match run.code {
                    Some(0) => !run.stdout.is_empty(),
                    Some(1) => run.stdout.is_empty(),
                    _ => false,
                };
                if !fine || run.stderr.contains("panicked") {
                    faults.push(format!("{}: {run:?}", path.display()));
                }
            }
            other => panic!("unknown expectation {other}"),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn check(facts: &Value, plan: &Value, is_uniform_8: bool, lines: &[Value]) -> Result<(), String> {
    let indices: Vec<&Value> = lines.iter().map(|line| &line["index"]).collect();
    if indices != plan["idx"].as_array().unwrap().iter().collect::<Vec<_>>() {
        return Err(format!("indices {indices:?}"));
    }
    let labels =
        lines.iter().map(|line| format!("{:.2}s", line["time_secs"].as_f64().unwrap())).collect::<Vec<_>>().join(",");
    if labels != plan["time"].as_str().unwrap() {
        return Err(format!("times {labels}, expected {}", plan["time"]));
    }
    let size = (&lines[0]["width"], &lines[0]["height"]);
    if size != (&facts["width"], &facts["height"]) {
        return Err(format!("size {size:?}"));
    }
    // Pixels were recorded for the uniform plan of 8.
    let recorded = facts["frames8"].as_array().filter(|_| is_uniform_8 && are_pixels_exact(facts));
    for (line, recorded) in lines.iter().zip(recorded.into_iter().flatten()) {
        if line["sha256"] != recorded["sha256"] {
            return Err(format!("frame {} is not exact", line["index"]));
        }
    }
    Ok(())
}

/// The golden clips against what decord 0.6.0 returned for them, pixel by pixel.
#[test]
fn frames_are_decords_to_the_bit() {
    let dir = golden().join("video");
    for clip in json(&dir.join("clips.json"))["clips"].as_array().unwrap() {
        let file = clip["file"].as_str().unwrap();
        let path = dir.join(file);
        let recorded = dir.join(format!("{file}.frames.safetensors"));
        let recorded = candle_core::safetensors::load(recorded, &candle_core::Device::Cpu).unwrap();
        let count = clip["decord_len"].as_u64().unwrap();
        let all = lines(&path, &["--frames", &count.to_string()]);
        assert_eq!(all.len() as u64, count, "{file}");
        let picked = clip["picked"].as_array().unwrap();
        let frames = recorded.values().next().unwrap();
        assert_eq!(frames.dims()[0], picked.len(), "{file}");
        for (row, index) in picked.iter().enumerate() {
            let bytes = frames.get(row).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
            assert_eq!(
                all[index.as_u64().unwrap() as usize]["sha256"],
                sha256_hex(bytes).as_str(),
                "{file} frame {index}"
            );
        }
        for plan in clip["load_video"].as_array().unwrap() {
            let max_frames = plan["max_frames"].to_string();
            let mut flags = vec!["--frames", max_frames.as_str()];
            let fps = plan["fps"].to_string();
            if plan["force_sample"] == Value::Bool(false) {
                flags.extend(["--fps", &fps]);
            }
            let lines = lines(&path, &flags);
            let label = |line: &Value| format!("{:.2}s", line["time_secs"].as_f64().unwrap());
            let labels = lines.iter().map(label).collect::<Vec<_>>().join(",");
            assert_eq!(labels, plan["frame_time"].as_str().unwrap(), "{file}");
        }
    }
}

fn indices(path: &Path, extra: &[&str]) -> Vec<u64> {
    lines(path, extra).iter().map(|line| line["index"].as_u64().unwrap()).collect()
}

#[test]
fn a_part_of_the_clip_keeps_the_clips_own_numbers_and_times() {
    // 90 frames at 30 per second.
    let path = clip("plain_h264.mp4");
    assert_eq!(indices(&path, &["--start", "1", "--end", "2", "--frames", "4"]), [30, 39, 49, 59]);
    assert_eq!(indices(&path, &["--start", "0:02", "--frames", "2"]), [60, 89]);
    assert_eq!(indices(&path, &["--end", "0:00:00.1", "--frames", "3"]), [0, 1, 2]);
    assert_eq!(indices(&path, &["--end", "1000", "--frames", "2"]), [0, 89]);
    assert_eq!(indices(&path, &["--start", "0.5", "--fps", "1"]), [15, 45, 75]);
    let part = lines(&path, &["--start", "1", "--end", "2", "--frames", "2"]);
    let whole = lines(&path, &["--frames", "90"]);
    for line in part {
        assert_eq!(line, whole[line["index"].as_u64().unwrap() as usize]);
    }
    // A file whose clock starts at an hour: times count from its first frame.
    let late = clip("ts_start_1h.ts");
    assert_eq!(indices(&late, &["--start", "1", "--end", "2", "--frames", "2"]), [30, 59]);
}

#[test]
fn moments_take_the_frame_shown_then() {
    let path = clip("plain_h264.mp4");
    assert_eq!(indices(&path, &["--at", "0,1,1.01,2.99"]), [0, 30, 30, 89]);
    assert_eq!(indices(&path, &["--at", "2,0:01"]), [30, 60], "in the order of time");
    // Frames of a variable rate lie where their time stamps say; these are of the same clip in two containers.
    let (mp4, mkv) = (clip("vfr.mp4"), clip("vfr.mkv"));
    let at = ["--at", "0.41,2.34,4.44,4.6"];
    assert_eq!(indices(&mp4, &at), indices(&mkv, &at));
    for (line, moment) in lines(&mp4, &at).iter().zip([0.41, 2.34, 4.44, 4.6]) {
        let shown = line["pts_secs"].as_f64().unwrap();
        assert!((moment - 0.2..=moment + 0.001).contains(&shown), "{shown} at {moment}");
    }
    // Index over rate is not when such a frame is shown, so that the model is told the time that was asked for.
    let times = |path: &Path, at: &str| -> Vec<f64> {
        lines(path, &["--at", at]).iter().map(|line| line["time_secs"].as_f64().unwrap()).collect()
    };
    for varying in [&mp4, &mkv] {
        assert_eq!(times(varying, at[1]), [0.41, 2.34, 4.44, 4.6], "{}", varying.display());
    }
    assert_eq!(times(&path, "0,1,1.01,2.99"), [0.0, 1.0, 1.0, 2.97]);
}

#[test]
fn times_that_make_no_sense_are_refused() {
    let path = clip("plain_h264.mp4");
    let path = path.to_str().unwrap();
    for wrong in [
        &["--start", "2", "--end", "1"][..],
        &["--start", "1", "--end", "1"],
        &["--start", "x"],
        &["--at", "1,x"],
        &["--at", "1", "--frames", "3"],
        &["--at", "1", "--start", "1"],
    ] {
        assert_eq!(llava_video(["frames", path].iter().chain(wrong)).code, Some(2), "{wrong:?}");
    }
    llava_video(["frames", path, "--start", "3"]).fails_with(&["plain_h264.mp4", "no frame at 3 s", "lasts 3.0"]);
    llava_video(["frames", path, "--at", "1,3.5"]).fails_with(&["plain_h264.mp4", "no frame at 3.5 s"]);
}

#[test]
fn pictures_show_the_frames() {
    let dir = tempfile::tempdir().unwrap();
    let path = clip("plain_h264.mp4");
    let (out, sheet) = (dir.path().join("new/out"), dir.path().join("sheet.png"));
    let (out, sheet) = (out.to_str().unwrap(), sheet.to_str().unwrap());
    let shown = lines(&path, &["--frames", "3", "--out", out, "--contact-sheet", sheet]);
    for line in &shown {
        let picture = image::open(line["path"].as_str().unwrap()).unwrap().to_rgb8();
        assert_eq!(line["sha256"], sha256_hex(picture.as_raw()).as_str());
    }
    let sheet = image::open(sheet).unwrap();
    assert!(sheet.width() > 600 && sheet.height() > 200, "{}x{}", sheet.width(), sheet.height());
    let squares = lines(&path, &["--frames", "1", "--out", out, "--model-view"]);
    let square = image::open(squares[0]["path"].as_str().unwrap()).unwrap();
    assert_eq!((square.width(), square.height()), (384, 384));
    let file = path.to_str().unwrap();
    llava_video(["frames", file, "--frames", "1", "--out", "/dev/null/x"]).fails_with(&["/dev/null/x"]);
}

#[test]
fn standard_input_is_as_good_as_a_file() {
    use std::process::Stdio;
    let path = clip("plain_h264.mp4");
    let mut command = crate::support::command();
    command.args(["frames", "-", "--frames", "4"]).stdin(Stdio::from(std::fs::File::open(&path).unwrap()));
    let from_stdin = crate::support::run(&mut command);
    let from_file = llava_video(["frames", path.to_str().unwrap(), "--frames", "4"]);
    assert_eq!(from_stdin.stdout_of_success(), from_file.stdout_of_success());
}

#[test]
fn probe_tells_what_is_used() {
    let path = clip("rotate_90.mp4");
    let facts = llava_video(["probe", path.to_str().unwrap(), "--json"]).json();
    assert_eq!((&facts["codec"], &facts["frame_count"], &facts["avg_fps"]), (&"h264".into(), &60.into(), &30.0.into()));
    assert_eq!((&facts["width"], &facts["height"], &facts["transposed"]), (&240.into(), &320.into(), &true.into()));
    let text = llava_video(["probe", path.to_str().unwrap()]);
    let lines: Vec<&str> = text.stdout_of_success().lines().collect();
    for line in [
        "size          240x320, rotated 90° counterclockwise",
        "frames        60 (container index)",
        "rate          30 frames per second (average frame rate)",
        "duration      2 s",
    ] {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
}

#[test]
fn probe_shows_people_no_long_numbers_and_nothing_unknown() {
    for (path, facts) in clips() {
        if facts["expect"] != "frames" {
            continue;
        }
        let run = llava_video(["probe", path.to_str().unwrap()]);
        for line in run.stdout_of_success().lines() {
            let decimals = line.split(' ').filter_map(|word| word.split_once('.')).map(|(_, decimals)| decimals.len());
            assert!(line.starts_with("codec") || decimals.max().unwrap_or(0) <= 3, "{line}");
            for word in ["null", "true", "false", "unknown", "0:1", "NaN"] {
                assert!(!line.contains(word), "{}: {line}", path.display());
            }
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn a_contact_sheet_goes_where_it_is_told_in_the_format_that_its_name_says() {
    let dir = tempfile::tempdir().unwrap();
    let clip = clip("plain_h264.mp4");
    let sheet = |file: &str| {
        let file = dir.path().join(file);
        lines(&clip, &["--frames", "4", "--contact-sheet", file.to_str().unwrap()]);
        std::fs::read(file).unwrap()
    };
    let png = sheet("sheet.png");
    assert!(png.starts_with(b"\x89PNG") && sheet("sheet.JPG").starts_with(b"\xff\xd8\xff"));
    // On standard output the picture stands alone.
    let mut command = crate::support::command();
    let printed = command.args(["frames", clip.to_str().unwrap(), "-n", "4", "--contact-sheet", "-"]).output().unwrap();
    assert!(printed.status.success() && printed.stdout == png, "{:?}", printed.stderr);
    assert!(!Path::new("-").exists());
    let gif = dir.path().join("sheet.gif");
    for (wrong, part) in [
        (["--contact-sheet", gif.to_str().unwrap()], "sheet.gif`: expected a .png or .jpg file"),
        (["--out", "-"], "--out takes a directory"),
    ] {
        let run = llava_video(["frames", clip.to_str().unwrap()].iter().chain(&wrong));
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
        assert!(run.stderr.contains(part), "{run:?}");
    }
    assert!(!gif.exists());
}
