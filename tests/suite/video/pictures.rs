//! Pictures: directories of them as clips in natural order, and single ones that are asked about as they are.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Case, CheckpointCopy, SINGLE, ask, clip, clip_arg, command, device, fixtures, golden_checkpoint, ids, llava_video,
    run, tiny_checkpoint,
};

/// A picture of one colour.
fn picture(path: &Path, width: u32, height: u32, rgb: [u8; 3]) {
    image::RgbImage::from_pixel(width, height, image::Rgb(rgb)).save(path).unwrap();
}

fn means(args: &[&str]) -> Vec<(u64, f64, i64)> {
    let run = llava_video(["frames"].iter().chain(args));
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let red = line["rgb_mean"][0].as_f64().unwrap().round() as i64;
        (line["index"].as_u64().unwrap(), line["time_secs"].as_f64().unwrap(), red)
    };
    run.stdout_of_success().lines().map(line).collect()
}

#[test]
fn a_directory_is_a_clip_in_natural_order() {
    let dir = tempfile::tempdir().unwrap();
    for (name, red) in [("frame10.png", 100), ("frame2.png", 20), ("frame1.bmp", 10), ("Frame 3.PNG", 5)] {
        picture(&dir.path().join(name), 32, 24, [red, 0, 0]);
    }
    std::fs::write(dir.path().join("notes.txt"), "not a picture").unwrap();
    std::fs::write(dir.path().join(".hidden.png"), "not for show").unwrap();
    let path = dir.path().to_str().unwrap();
    let reds = |args: &[&str]| means(args).into_iter().map(|(_, _, red)| red).collect::<Vec<_>>();
    assert_eq!(reds(&[path, "--frames", "4"]), [5, 10, 20, 100]);
    assert_eq!(means(&[path, "--frames", "2"]), [(0, 0.0, 5), (3, 3.0, 100)]);
    assert_eq!(means(&[path, "--frames", "2", "--image-fps", "2"]), [(0, 0.0, 5), (3, 1.5, 100)]);
    assert_eq!(means(&[path, "--at", "1,2.5"]), [(1, 1.0, 10), (2, 2.0, 20)]);
    assert_eq!(means(&[path, "--start", "1", "--end", "3", "--frames", "2"]), [(1, 1.0, 10), (2, 2.0, 20)]);

    let asked = ask(&[path, "What?"], &["--frames", "4", "--json", "--image-fps", "2"]);
    assert!(asked.stderr.contains("taking its 4 pictures as a video of 2 frames per second"), "{asked:?}");
    let default = llava_video(["frames", path, "-n", "1"]).stderr;
    assert!(default.contains("as a video of 1 frame per second"), "{default}");
    assert_eq!(asked.json()["warnings"], json!([format!("{path}: `notes.txt` is not a picture and is left out")]));
}

#[test]
fn a_directory_with_videos_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let refused = |part: &str| {
        llava_video(["frames", path]).fails_with(&[path, part, "hint: name one of its videos"]);
        ask(&[path, "Why?"], &["--frames", "2"]).fails_with(&[path, part]);
    };
    std::fs::copy(clip("two_frames.mp4"), dir.path().join("b.MP4")).unwrap();
    refused("holds 1 video (`b.MP4`)");
    for name in ["1.png", "2.png", "3.jpg"] {
        picture(&dir.path().join(name), 8, 8, [1, 2, 3]);
    }
    refused("holds 1 video (`b.MP4`) beside 3 pictures");
    std::fs::copy(clip("anim.gif"), dir.path().join("a.gif")).unwrap();
    refused("holds 2 videos (`a.gif`, ...) beside 3 pictures");
    // A directory of that name is no video, and what is hidden is not there.
    for name in ["a.gif", "b.MP4"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    std::fs::create_dir(dir.path().join("old.mp4")).unwrap();
    std::fs::write(dir.path().join(".trash.mkv"), "").unwrap();
    let run = llava_video(["frames", path]);
    assert!(run.code == Some(0) && run.stderr.contains("`old.mp4` is not a picture and is left out"), "{run:?}");
}

#[test]
fn a_warning_names_the_picture_once() {
    let grey = fixtures().join("pictures");
    let grey = |name: &str| grey.join(name);
    let name = std::fs::read_dir(fixtures().join("pictures")).unwrap().map(|entry| entry.unwrap().file_name());
    let name = name.map(|name| name.into_string().unwrap()).find(|name| name.starts_with("i16")).unwrap();
    let warning = |args: &[&str]| {
        let run = llava_video(["frames"].iter().chain(args));
        run.stderr.lines().find_map(|line| line.strip_prefix("warning: ").map(str::to_owned)).unwrap()
    };
    let file = grey(&name).to_str().unwrap().to_owned();
    assert!(warning(&[&file]).starts_with(&format!("{file}: it is 16-bit grey")), "{}", warning(&[&file]));
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(&file, dir.path().join(&name)).unwrap();
    let path = dir.path().to_str().unwrap();
    assert!(warning(&[path, "-n", "1"]).starts_with(&format!("{path}: `{name}` is 16-bit grey")));
    let mut piped = command();
    piped.args(["frames", "-"]).stdin(std::fs::File::open(&file).unwrap());
    let piped = run(&mut piped);
    assert!(piped.stderr.contains("warning: standard input: it is 16-bit grey"), "{piped:?}");
}

#[cfg(unix)]
#[test]
fn links_in_a_directory_are_followed() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    picture(&elsewhere.path().join("real.png"), 8, 8, [77, 0, 0]);
    std::os::unix::fs::symlink(elsewhere.path().join("real.png"), dir.path().join("1.png")).unwrap();
    assert_eq!(means(&[dir.path().to_str().unwrap(), "--frames", "1"]), [(0, 0.0, 77)]);
}

#[test]
fn a_picture_is_a_clip_of_one_frame() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.bmp", "a.webp", "a.jpg", "no-ending"] {
        let path = dir.path().join(name);
        match name {
            "no-ending" => std::fs::copy(dir.path().join("a.png"), &path).map(|_| ()).unwrap(),
            _ => picture(&path, 20, 10, [200, 1, 2]),
        }
        assert_eq!(means(&[path.to_str().unwrap(), "--frames", "2"]), [(0, 0.0, 200), (0, 0.0, 200)], "{name}");
        assert_eq!(means(&[path.to_str().unwrap()]), [(0, 0.0, 200)], "{name}: one line unless more are asked for");
    }
}

/// The way of golden pictures through the real binary; PNG keeps their bytes.
#[test]
fn every_picture_case_through_the_binary() {
    for case in Case::all("image_anyres") {
        let (dir, checkpoint) = (tempfile::tempdir().unwrap(), case.checkpoint());
        let (rgb, width, height) = case.picture();
        let path = dir.path().join("picture.png");
        image::RgbImage::from_raw(width as u32, height as u32, rgb).unwrap().save(&path).unwrap();
        let question = case.str("prompt").split("<image>\n").nth(1).unwrap().split("<|im_end|>").next().unwrap();
        let (path, model) = (path.to_str().unwrap(), checkpoint.path().to_str().unwrap());
        let rest = ["--model", model, "--device", device(), "--dtype", "f32", "--max-new-tokens", "32"];
        let record = llava_video(["ask", path, question, "--json"].into_iter().chain(rest)).json();
        assert_eq!(ids(&record["token_ids"]), case.ids("generated_ids"), "{}", case.name);
        assert_eq!(record["visual_tokens"], case.facts["num_visual_tokens"], "{}", case.name);
        assert_eq!(record["prompt_tokens"], case.facts["seq_len"], "{}", case.name);
        assert_eq!((&record["video"], &record["frames"]), (&Value::Null, &json!([])));
        let facts = json!([{
            "path": path,
            "width": width,
            "height": height,
            "tiles": [3, 2],
            "visual_tokens": case.facts["num_visual_tokens"],
        }]);
        assert_eq!(record["pictures"], facts);

        // From standard input it is the same.
        let stdin = std::fs::File::open(path).unwrap();
        let piped = run(command().args(["ask", "-", question, "--json"]).args(rest).stdin(stdin)).json();
        assert_eq!(piped["token_ids"], record["token_ids"]);
        let timed = llava_video(["ask", path, question, "--timings"].into_iter().chain(rest));
        assert_eq!(timed.stdout_of_success(), format!("{}\n", record["answer"].as_str().unwrap()));
        assert!(timed.stderr.lines().any(|line| line.starts_with("vision")), "{}", timed.stderr);
    }
}

#[test]
fn several_pictures_take_their_places_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (wide, high) = (path("wide.png"), path("high.jpg"));
    picture(Path::new(&wide), 160, 100, [200, 10, 10]);
    picture(Path::new(&high), 60, 200, [10, 10, 200]);
    let record = |inputs: &[&str]| ask(inputs, &["--json"]).json();
    let (one, other) = (record(&[&wide, "Why?"]), record(&[&high, "Why?"]));
    let both = record(&[&wide, &high, "Why?"]);
    let tokens = |record: &Value, key: &str| record[key].as_u64().unwrap();
    assert_eq!(tokens(&both, "visual_tokens"), tokens(&one, "visual_tokens") + tokens(&other, "visual_tokens"));
    // A blank stands between two pictures.
    let text = tokens(&one, "prompt_tokens") - tokens(&one, "visual_tokens");
    assert_eq!(tokens(&both, "prompt_tokens") - tokens(&both, "visual_tokens"), text + 1);
    let paths: Vec<&Value> = both["pictures"].as_array().unwrap().iter().map(|picture| &picture["path"]).collect();
    assert_eq!(paths, [&json!(wide), &json!(high)]);
    assert_ne!(record(&[&high, &wide, "Why?"])["token_ids"], both["token_ids"]);
    let plan = ask(&[&wide, &high, "Why?"], &["--dry-run"]);
    assert!(plan.stdout_of_success().contains("activations"), "{plan:?}");
    let detail = ask(&[&wide, &high, "Why?"], &["-v"]).stderr;
    assert!(detail.contains("wide.png`, 160x100, cut in 3x2 tiles") && detail.contains("high.jpg"), "{detail}");
}

#[test]
fn what_is_no_picture_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png").to_str().unwrap().to_owned();
    picture(Path::new(&path), 20, 10, [1, 2, 3]);
    let clip = clip_arg("two_frames.mp4");
    let gif = clip_arg("anim.gif");
    for (inputs, extra, part) in [
        (&[path.as_str(), &clip, "Why?"][..], &[][..], "is a video"),
        (&[&clip, &path, "Why?"], &[], "is a video"),
        (&[&path, &gif, "Why?"], &[], "is a video"),
        (&[&path, "what", "is", "this"], &[], "quotes"),
        (&[&clip, "what", "is", "this"], &[], "quotes"),
        (&["-", "-", "Why?"], &[], "standard input"),
        (&[&path, "Why?"], &["--time-instruction", "newline"], "--time-instruction"),
        (&[&path, "Why?"], &["--fps", "1"], "--fps"),
        (&[&path, "Why?"], &["--at", "0"], "--at"),
        (&[&path, "Why?"], &["--frames", "8"], "a.png` is a picture; --frames does not apply"),
        (&[&path, &path, "Why?"], &["-n", "8"], "--frames"),
        (&["what", "is", "this"], &["--no-video"], "quotes"),
        (&[&path], &[], "Usage"),
    ] {
        let run = ask(inputs, extra);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
        assert!(run.stderr.contains(part), "{part}: {run:?}");
    }
    let forgotten = ask(&[&path, &path], &[]);
    assert!(forgotten.code == Some(0) && forgotten.stderr.contains("the name of a file"), "{forgotten:?}");
    let no_video = ask(&[&path, "Why?"], &["--no-video"]);
    assert!(no_video.code == Some(0) && no_video.stderr.contains("is not looked at"), "{no_video:?}");
}

#[test]
fn pictures_that_do_not_fit_are_refused_early() {
    let dir = tempfile::tempdir().unwrap();
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("config.json", |config| config["tokenizer_model_max_length"] = json!(1200));
    let path = dir.path().join("a.png").to_str().unwrap().to_owned();
    picture(Path::new(&path), 160, 100, [1, 2, 3]);
    let model = ["--model", copy.path().to_str().unwrap()];
    // 529 visual tokens each.
    assert_eq!(ask(&[&path, &path, "Why?"], &model).code, Some(0));
    ask(&[&path, &path, &path, &path, "Why?"], &model)
        .fails_with(&["the first 2 pictures would fit", "hint: ask about"]);
    copy.edit_json("config.json", |config| config["tokenizer_model_max_length"] = json!(300));
    ask(&[&path, "Why?"], &model).fails_with(&["300", "no picture of this shape would fit"]);
}

#[test]
fn a_config_that_does_not_say_how_is_refused_for_pictures_alone() {
    let dir = tempfile::tempdir().unwrap();
    let copy = CheckpointCopy::of(&tiny_checkpoint());
    copy.edit_json("config.json", |config| config["image_grid_pinpoints"] = Value::Null);
    let path = dir.path().join("a.png").to_str().unwrap().to_owned();
    picture(Path::new(&path), 40, 20, [1, 2, 3]);
    let model = ["--model", copy.path().to_str().unwrap()];
    ask(&[&path, "Why?"], &model).fails_with(&["config.json", "pictures", "image_grid_pinpoints is missing"]);
    let clip = clip_arg("two_frames.mp4");
    assert_eq!(ask(&[&clip, "Why?"], &model).code, Some(0));
    // Told how, it can.
    let tokens =
        |set: &[&str]| ask(&[&path, "Why?"], &[&model, set, &["--json"]].concat()).json()["visual_tokens"].clone();
    assert_eq!(tokens(&["--set", "image_aspect_ratio=pad"]), json!(82));
    assert_eq!(tokens(&["--set", "image_grid_pinpoints=(1x1),...,(3x3)"]), json!(81 + 5 * 10));
}

#[test]
fn animations_are_videos() {
    for name in ["anim.gif", "anim.apng"] {
        let path = clip(name);
        let record = ask(&[path.to_str().unwrap(), "Why?"], &["--frames", "2", "--json"]).json();
        assert!(record["pictures"] == json!([]) && record["frames"].as_array().unwrap().len() == 2, "{record}");
        assert!(means(&[path.to_str().unwrap(), "--frames", "8"])[7].0 > 1, "{name}");
    }
}

/// The one line that `frames` prints of a picture, and its standard error.
fn facts(path: &Path) -> (Value, String) {
    let run = llava_video(["frames", path.to_str().unwrap(), "--frames", "1"]);
    (serde_json::from_str(run.stdout_of_success()).unwrap(), run.stderr)
}

#[test]
fn pixels_are_those_of_pillow() {
    let dir = fixtures().join("pictures");
    let expected = crate::support::json(&dir.join("expected.json"));
    for (name, digest) in expected.as_object().unwrap() {
        let (facts, stderr) = facts(&dir.join(name));
        assert_eq!(&facts["sha256"], digest, "{name}");
        assert_eq!(stderr.contains("16-bit grey"), name.starts_with("i16"), "{name}: {stderr}");
    }
}

/// JPEG decoders round differently; the picture is not turned as its EXIF block says, as in the reference.
#[test]
fn a_jpeg_is_near_pillows_and_not_turned() {
    let (dir, out) = (fixtures().join("pictures"), tempfile::tempdir().unwrap());
    let args = ["frames", dir.join("exif6.jpg").to_str().unwrap(), "--frames", "1"].map(str::to_owned);
    llava_video(args.iter().map(String::as_str).chain(["--out", out.path().to_str().unwrap()])).stdout_of_success();
    let read = |path: &Path| image::open(path).unwrap().into_rgb8();
    let (got, expected) = (read(&out.path().join("frame_000000.png")), read(&dir.join("exif6.jpg.png")));
    assert_eq!(got.dimensions(), expected.dimensions());
    let differences = || got.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b)));
    let (max, sum) = (differences().max().unwrap(), differences().sum::<u64>());
    assert!(max <= 4 && sum <= got.as_raw().len() as u64, "differs by up to {max}, {sum} in all");
}

#[test]
fn an_animated_webp_is_a_video() {
    let dir = fixtures().join("pictures");
    let path = dir.join("anim.webp").to_str().unwrap().to_owned();
    let out = tempfile::tempdir().unwrap();
    llava_video(["frames", &path, "--frames", "5", "--out", out.path().to_str().unwrap()]).stdout_of_success();
    let frame = |i: u32| image::open(out.path().join(format!("frame_{i:06}.png"))).unwrap().into_rgb8();
    // Each frame is the first one rolled on by four pixels; blending a frame over another may round.
    let (first, width) = (frame(0), 32);
    for i in 0..5 {
        for (x, y, pixel) in frame(i).enumerate_pixels() {
            let expected = first.get_pixel((x + width - 4 * i) % width, y);
            let near = pixel.0.iter().zip(expected.0).all(|(a, b)| a.abs_diff(b) <= 1);
            assert!(near, "frame {i} at {x},{y}: {pixel:?}, expected {expected:?}");
        }
    }
    // Five frames of 200 ms.
    assert_eq!(
        means(&[&path, "--frames", "2"]).iter().map(|frame| (frame.0, frame.1)).collect::<Vec<_>>(),
        [(0, 0.0), (4, 0.8)]
    );
    assert_eq!(means(&[&path, "--at", "0.5"])[0].0, 2);
    let record = ask(&[&path, "Why?"], &["--frames", "2", "--json"]).json();
    assert_eq!(record["video"]["frame_count"], json!(5));
    let cut = tempfile::Builder::new().suffix(".webp").tempfile().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(cut.path(), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(llava_video(["frames", cut.path().to_str().unwrap()]).code, Some(1));
}

#[test]
fn pictures_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.png"), b"\x89PNG\r\n\x1a\nnot really").unwrap();
    let path = dir.path().to_str().unwrap();
    llava_video(["frames", path]).fails_with(&["bad.png"]);
    llava_video(["frames", dir.path().join("bad.png").to_str().unwrap()]).fails_with(&["bad.png"]);
}

/// There is no directory with a config.json in it where the model is one file, or a part of the program.
#[test]
fn a_refusal_names_the_document_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.png");
    picture(&image, 40, 40, [9, 9, 9]);
    let copy = CheckpointCopy::of(&golden_checkpoint(SINGLE));
    copy.edit_json("config.json", |config| config["image_aspect_ratio"] = json!("highres"));
    let file = dir.path().join("b.gguf");
    let (model, out) = (copy.path().to_str().unwrap(), file.to_str().unwrap());
    llava_video(["model", "quantize", model, "-o", out, "--quantize", "q8_0"]).stdout_of_success();
    let asked =
        |model: &str, extra: &[&str]| ask(&[image.to_str().unwrap(), "Why?"], &[&["--model", model], extra].concat());
    asked(model, &[]).fails_with(&[&format!("`{}`", copy.path().join("config.json").display()), "`highres`"]);
    asked(out, &[]).fails_with(&[&format!("`{out}:config.json`"), "`highres`"]);
    asked("demo", &["--set", "image_aspect_ratio=highres"])
        .fails_with(&["`config.json of the built-in demo model`", "`highres`"]);
}
