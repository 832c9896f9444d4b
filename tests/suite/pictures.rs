//! Pictures as clips: directories of them in natural order, and single ones.

use std::path::Path;

use super::support::{fixtures, golden, llava_video};

/// A picture of one colour.
fn picture(path: &Path, width: u32, height: u32, rgb: [u8; 3]) {
    image::RgbImage::from_pixel(width, height, image::Rgb(rgb)).save(path).unwrap();
}

fn means(args: &[&str]) -> Vec<(u64, f64, i64)> {
    let run = llava_video(["frames"].iter().chain(args));
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let red = line["rgb_mean"][0].as_f64().unwrap().round() as i64;
        (line["index"].as_u64().unwrap(), line["time"].as_f64().unwrap(), red)
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

    let model = golden().join("ckpt/a_9x9_untied_sharded_bf16");
    let ask = ["ask", path, "What?", "--model", model.to_str().unwrap(), "--max-new-tokens", "2", "--frames", "4"];
    assert_eq!(llava_video(ask).code, Some(0));
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
    }
    let model = golden().join("ckpt/a_9x9_untied_sharded_bf16");
    for name in ["a.png", "a.jpg"] {
        let path = dir.path().join(name);
        let ask = ["ask", path.to_str().unwrap(), "What?", "--model", model.to_str().unwrap()];
        llava_video(ask).fails_with(&[name, "is a picture"]);
    }
}

#[test]
fn animations_are_videos() {
    for name in ["anim.gif", "anim.apng"] {
        let path = fixtures().join("clips/nasty").join(name);
        assert!(means(&[path.to_str().unwrap(), "--frames", "8"])[7].0 > 1, "{name}");
    }
}

#[test]
fn pictures_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.png"), b"\x89PNG\r\n\x1a\nnot really").unwrap();
    let path = dir.path().to_str().unwrap();
    llava_video(["frames", path]).fails_with(&["bad.png"]);
    llava_video(["frames", dir.path().join("bad.png").to_str().unwrap()]).fails_with(&["bad.png"]);
}
