//! Whatever is wrong: one `error:` line that names the file and the cause, nothing on stdout, the right exit code.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{CheckpointCopy, Run, ask, clip, clip_arg, llava_video, tiny_checkpoint};

const CLIP: &str = "plain_h264.mp4";

fn ask_about(clip: &Path) -> Run {
    ask(&[clip.to_str().unwrap(), "Why?"], &["--frames", "2"])
}

fn ask_model(model: &Path) -> Run {
    ask(&[&clip_arg(CLIP), "Why?"], &["--frames", "2", "--model", model.to_str().unwrap()])
}

#[test]
fn videos_that_are_none() {
    let (dir, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for (path, parts) in [
        (dir.path().join("missing.mp4"), vec!["missing.mp4", "no such file"]),
        (file("empty.mp4", b""), vec!["empty.mp4", "empty"]),
        (file("notes.mp4", b"These are my notes.\n"), vec!["notes.mp4", "not a video"]),
        (clip("audio_only.mp3"), vec!["audio_only.mp3", "no video stream"]),
        (clip("cover_art.m4a"), vec!["cover_art.m4a", "no video stream"]),
        (dir.path().to_owned(), vec![dir.path().to_str().unwrap(), "holds 2 videos"]),
        (empty.path().to_owned(), vec![empty.path().to_str().unwrap(), "holds no pictures"]),
        (PathBuf::from("https://example.com/a.mp4"), vec!["https://example.com/a.mp4", "hint: download it first"]),
    ] {
        ask_about(&path).fails_with(&parts);
        llava_video(["frames", path.to_str().unwrap()]).fails_with(&parts);
    }
}

/// A container in order whose picture data is noise.
#[test]
fn a_clip_with_no_decodable_frame() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(clip(CLIP)).unwrap();
    let data = bytes.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    let end = bytes.windows(4).position(|window| window == b"moov").filter(|&moov| moov > data).unwrap_or(bytes.len());
    for (index, byte) in bytes[data..end - 4].iter_mut().enumerate() {
        *byte = (index * 131 % 251) as u8;
    }
    let path = dir.path().join("noise.mp4");
    std::fs::write(&path, bytes).unwrap();
    ask_about(&path).fails_with(&["noise.mp4", "decoded"]);
}

#[test]
fn checkpoints_that_are_incomplete() {
    let without = |name: &str| {
        let copy = CheckpointCopy::of(&tiny_checkpoint());
        std::fs::remove_file(copy.path().join(name)).unwrap();
        copy
    };
    ask_model(without("config.json").path()).fails_with(&["config.json"]);
    ask_model(without("model-00003-of-00005.safetensors").path()).fails_with(&["model-00003-of-00005.safetensors"]);
    ask_model(without("model.safetensors.index.json").path()).fails_with(&["no safetensors"]);
    let no_tokenizer = without("tokenizer.json");
    std::fs::remove_file(no_tokenizer.path().join("vocab.json")).unwrap();
    ask_model(no_tokenizer.path()).fails_with(&["no tokenizer"]);
    ask_model(Path::new("./no/such/model")).fails_with(&["no/such/model"]);
}

#[test]
fn checkpoints_that_are_damaged() {
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    std::fs::write(copy.path().join("config.json"), "{ \"architectures\": ").unwrap();
    ask_model(copy.path()).fails_with(&["config.json", "JSON"]);

    let copy = CheckpointCopy::of(&tiny_checkpoint());
    let shard = copy.path().join("model-00002-of-00005.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    for keep in [bytes.len() - 1, bytes.len() / 2, 20, 0] {
        std::fs::write(&shard, &bytes[..keep]).unwrap();
        ask_model(copy.path()).fails_with(&["model-00002-of-00005.safetensors", "damaged", "hint: "]);
    }

    let copy = CheckpointCopy::of(&tiny_checkpoint());
    std::fs::write(copy.path().join("tokenizer.json"), "[]").unwrap();
    ask_model(copy.path()).fails_with(&["tokenizer.json"]);

    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("config.json", |config| config["architectures"] = json!(["MambaForCausalLM"]));
    ask_model(copy.path()).fails_with(&["MambaForCausalLM", "LlavaQwenForCausalLM", "config.json"]);

    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("config.json", |config| config["hidden_size"] = json!("wide"));
    ask_model(copy.path()).fails_with(&["config.json", "hidden_size", "wide"]);
}

#[test]
fn all_tensors_that_do_not_fit_are_named_in_one_error() {
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_tensors(|tensors| {
        tensors.remove("model.layers.1.mlp.up_proj.weight").unwrap();
        tensors.remove("model.image_newline").unwrap();
        let norm = tensors["model.norm.weight"].clone();
        tensors.insert("model.layers.0.mlp.extra.weight".to_owned(), norm.clone());
        tensors.insert("model.layers.2.input_layernorm.weight".to_owned(), norm.narrow(0, 0, 5).unwrap());
    });
    ask_model(copy.path()).fails_with(&[
        "2 missing: model.image_newline, model.layers.1.mlp.up_proj.weight",
        "1 unexpected: model.layers.0.mlp.extra.weight",
        "1 wrongly shaped: model.layers.2.input_layernorm.weight is [5], expected [96]",
    ]);
    // A whole layer of the tower that the config promises.
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_tensors(|tensors| tensors.retain(|name, _| !name.contains("encoder.layers.1.")));
    ask_model(copy.path()).fails_with(&["16 missing", "encoder.layers.1.mlp.fc1.weight"]);
}

#[test]
fn a_device_that_this_build_lacks() {
    for (device, built_in) in [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))] {
        if !built_in {
            ask(&[&clip_arg(CLIP), "Why?"], &["--device", device]).fails_with(&[
                "no",
                "support",
                "hint: ",
                "--device cpu",
            ]);
        }
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let clip = &clip_arg(CLIP);
    for wrong in [
        &["--frames", "0"][..],
        &["--frames", "-3"],
        &["--fps", "0"],
        &["--fps=-1"],
        &["--fps", "NaN"],
        &["--fps", "inf"],
        &["--max-new-tokens", "0"],
        &["--temperature=-1"],
        &["--top-p", "0"],
        &["--top-k", "0"],
        &["--repetition-penalty", "0"],
        &["--device", "tpu"],
        &["--dtype", "int3"],
        &["--time-instruction", "above"],
        &["--set", "novalue"],
        &["--no-such-flag"],
        &["--dump-tensors", "-"],
        &["-q", "-v"],
    ] {
        let run = ask(&[clip, "Why?"], wrong);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{wrong:?}: {run:?}");
    }
    for wrong in [&[][..], &["ask"], &["ask", clip], &["ask", clip, ""], &["no-such-command"], &["frames"]] {
        assert_eq!(llava_video(wrong).code, Some(2), "{wrong:?}");
    }
    for wrong in [&["frames", clip, "--frames", "0"], &["frames", clip, "--fps", "0"]] {
        assert_eq!(llava_video(wrong).code, Some(2), "{wrong:?}");
    }
}

/// A file name with a line break in it must not break the one line that names it.
#[test]
fn odd_file_names_stay_on_one_line() {
    let run = ask_about(Path::new("no\nsuch\u{1b}[31m.mp4"));
    run.fails_with(&["no such"]);
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}
