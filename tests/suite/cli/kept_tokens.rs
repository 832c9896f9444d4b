//! Visual tokens that `ask` keeps on disk: a second process looks at nothing, and answers as the first.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Run, clip_arg, command, device, run, tiny_checkpoint_arg};

/// A cache of its own.
struct Cache(TempDir);

impl Cache {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command();
        // Of a flag that is given twice, the last value counts.
        let demo = ["-n", "8", "--model", "demo", "--device", device(), "--json"];
        command.arg("ask").args(demo).args(args).env("LLAVA_VIDEO_CACHE", self.0.path().join("cache"));
        command.env_remove("LLAVA_VIDEO_CACHE_SIZE");
        command
    }

    fn ask(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    fn entries(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.0.path().join("cache")).into_iter().flatten();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors")).collect()
    }
}

/// A record without what differs from run to run.
fn lasting(mut record: Value) -> Value {
    for key in ["timings", "frames_encoded"] {
        record.as_object_mut().unwrap().remove(key);
    }
    record
}

fn secs(record: &Value, stage: &str) -> f64 {
    record["timings"][format!("{stage}_secs")].as_f64().unwrap()
}

#[test]
fn a_second_process_decodes_no_video_and_runs_no_tower() {
    // The second holds fewer frames than it says: what reading taught is kept with the tokens.
    for name in ["clip2-vp9.webm", "trunc_half_faststart.mp4", "vfr.mkv"] {
        let (cache, clip) = (Cache::new(), clip_arg(name));
        for time_instruction in ["none", "newline"] {
            let ask = |extra: &[&str]| {
                let args = [&[clip.as_str(), "Describe this video.", "--time-instruction", time_instruction], extra];
                cache.ask(&args.concat()).json()
            };
            let without = ask(&["--no-cache"]);
            let (first, second) = (ask(&[]), ask(&[]));
            assert_eq!(lasting(first.clone()), lasting(without.clone()), "{name}");
            assert_eq!(lasting(second.clone()), lasting(without.clone()), "{name}");
            assert!(without["frames_encoded"].as_u64().unwrap() > 0 && secs(&without, "vision") > 0.0);
            assert_eq!((&second["frames_encoded"], secs(&second, "video_decode")), (&0.into(), 0.0), "{name}");
            assert_eq!(secs(&second, "vision"), 0.0, "{name}");
        }
        // The prompt is no part of what is kept.
        assert_eq!(cache.entries().len(), 1, "{name}");
    }
}

#[test]
fn everything_that_shapes_visual_tokens_is_part_of_their_name() {
    let (cache, dir) = (Cache::new(), tempfile::tempdir().unwrap());
    let clip = dir.path().join("clip.webm");
    fs::copy(clip_arg("clip2-vp9.webm"), &clip).unwrap();
    let (clip, tiny) = (clip.to_str().unwrap(), tiny_checkpoint_arg());
    let variants: [&[&str]; 8] = [
        &[],
        &["-n", "7"],
        &["--fps", "3"],
        &["--start", "0.5"],
        &["--end", "1.5"],
        &["--set", "mm_spatial_pool_mode=average"],
        &["--quantize", "q8_0", "--quantize-vision"],
        &["--model", &tiny, "--max-new-tokens", "2"],
    ];
    for (number, variant) in variants.iter().enumerate() {
        let args = [&[clip, "Why?"], *variant].concat();
        let (first, second) = (cache.ask(&args).json(), cache.ask(&args).json());
        assert_ne!(first["frames_encoded"], 0, "{variant:?}");
        assert_eq!(second["frames_encoded"], 0, "{variant:?}");
        assert_eq!(cache.entries().len(), number + 1, "{variant:?}");
    }
    // Neither the question nor the quantization of the language model shapes them.
    for variant in [&["--system", "Short."][..], &["--quantize", "q4_k"], &["--temperature", "1"]] {
        assert_eq!(cache.ask(&[&[clip, "Who?"], variant].concat()).json()["frames_encoded"], 0, "{variant:?}");
    }
    // Another name of the same bytes, and other bytes under the same name.
    let copy = dir.path().join("copy.webm");
    fs::copy(clip, &copy).unwrap();
    assert_eq!(cache.ask(&[copy.to_str().unwrap(), "Why?"]).json()["frames_encoded"], 0);
    fs::copy(clip_arg("clip5-vp9.webm"), clip).unwrap();
    assert_ne!(cache.ask(&[clip, "Why?"]).json()["frames_encoded"], 0);
}

#[test]
fn a_damaged_entry_costs_a_warning_and_nothing_else() {
    let (cache, clip) = (Cache::new(), clip_arg("clip1-h264.mp4"));
    let args = [clip.as_str(), "What color is the square?"];
    let first = cache.ask(&args).json();
    let entry = cache.entries().pop().unwrap();
    let mut bytes = fs::read(&entry).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&entry, bytes).unwrap();
    let damaged = cache.ask(&args).json();
    assert_eq!((&damaged["token_ids"], &damaged["frames_encoded"]), (&first["token_ids"], &first["frames_encoded"]));
    let warnings = damaged["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| warning.as_str().unwrap().contains("visual tokens")), "{warnings:?}");
    let mended = cache.ask(&args).json();
    assert_eq!((&mended["frames_encoded"], &mended["warnings"]), (&0.into(), &first["warnings"]));
}

#[test]
fn four_processes_that_ask_at_once_agree() {
    let (cache, clip) = (Cache::new(), clip_arg("clip3-mpeg4.mp4"));
    let start = |_| cache.command(&[&clip, "What happens?"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let started: Vec<Child> = (0..4).map(|number| start(number).unwrap()).collect();
    let answers = started.into_iter().map(|child| Run::of(child.wait_with_output().unwrap()).json());
    let answers: Vec<Value> = answers.map(lasting).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(cache.entries().len(), 1);
    assert_eq!(cache.ask(&[&clip, "What happens?"]).json()["frames_encoded"], 0);
}

/// A folder that cannot be used is told, and the answer comes all the same.
#[test]
fn a_folder_that_is_none_costs_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let cache = Cache::new();
    let ask = run(cache.command(&[&clip_arg("clip1-h264.mp4"), "Why?"]).env("LLAVA_VIDEO_CACHE", &file));
    let record = ask.json();
    assert!(ask.stderr.contains("warning: ") && ask.stderr.contains("not a folder"), "{}", ask.stderr);
    assert_ne!(record["frames_encoded"], 0);
    // None is made where nothing is kept.
    for off in [["--no-cache"].as_slice(), &["--cache-size", "0"]] {
        let clip = clip_arg("clip1-h264.mp4");
        let args = [&[clip.as_str(), "Why?"], off].concat();
        assert_eq!(cache.ask(&args).json()["warnings"].as_array().unwrap().len(), 0);
        assert_eq!(cache.entries(), Vec::<PathBuf>::new());
    }
}
