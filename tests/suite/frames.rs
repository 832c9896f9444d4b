//! `frames` on the committed clips: indices, times and pixels against the recorded facts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{fixtures, golden, json, llava_video};

/// The clips and where they lie: the committed ones, and all others where the folder that holds them is named by
/// `LLAVA_VIDEO_MORE_CLIPS`.
fn clips() -> Vec<(PathBuf, Value)> {
    let expected = json(&fixtures().join("clips/EXPECTED.json"));
    let roots = [Some(fixtures().join("clips")), std::env::var_os("LLAVA_VIDEO_MORE_CLIPS").map(PathBuf::from)];
    let locate = |clip: &Value| {
        let file = clip["file"].as_str().unwrap();
        roots.iter().flatten().map(|root| root.join(file)).find(|path| path.is_file())
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
        lines.iter().map(|line| format!("{:.2}s", line["time"].as_f64().unwrap())).collect::<Vec<_>>().join(",");
    if labels != plan["time"].as_str().unwrap() {
        return Err(format!("times {labels}, expected {}", plan["time"]));
    }
    let size = (&lines[0]["width"], &lines[0]["height"]);
    if size != (&facts["width"], &facts["height"]) {
        return Err(format!("size {size:?}"));
    }
    // Pixels were recorded for the uniform plan of 8.
    let recorded = facts["frames8"].as_array().filter(|_| is_uniform_8 && facts["exact"] == Value::Bool(true));
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
    use sha2::{Digest, Sha256};
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
            let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(all[index.as_u64().unwrap() as usize]["sha256"], digest.as_str(), "{file} frame {index}");
        }
        for plan in clip["load_video"].as_array().unwrap() {
            let max_frames = plan["max_frames"].to_string();
            let mut flags = vec!["--frames", max_frames.as_str()];
            let fps = plan["fps"].to_string();
            if plan["force_sample"] == Value::Bool(false) {
                flags.extend(["--fps", &fps]);
            }
            let lines = lines(&path, &flags);
            let label = |line: &Value| format!("{:.2}s", line["time"].as_f64().unwrap());
            let labels = lines.iter().map(label).collect::<Vec<_>>().join(",");
            assert_eq!(labels, plan["frame_time"].as_str().unwrap(), "{file}");
        }
    }
}
