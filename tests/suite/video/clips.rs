//! Clips through the public interface: pixels, counts, errors, damage.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::Ordering;

use llava_video::video::{
    Access, Clip, ClipInfo, ClipOptions, Error, Frame, ImageClip, ReadError, SamplePolicy, View, WebpClip, label_text,
    plan,
};
use serde_json::Value;

use super::odd_heights::are_pixels_exact;
use crate::support::{Random, clip, fixtures, sha256_hex};

pub(super) fn linear() -> ClipOptions {
    ClipOptions { linear: true, ..ClipOptions::default() }
}

/// The distinct frames a policy samples (index to digest and time), and the plan they are from.
pub(super) type Sampled = (Vec<usize>, Vec<f64>, BTreeMap<usize, (String, Option<f64>)>, ClipInfo, Vec<String>);

pub(super) fn sample(path: &Path, policy: &SamplePolicy, options: &ClipOptions) -> Result<Sampled, Error> {
    let mut clip = Clip::open(path, options)?;
    // Each recount takes a surer way; there are four.
    for _ in 0..4 {
        let plan = plan(clip.info().frame_count, clip.info().avg_fps, policy);
        let mut frames = BTreeMap::new();
        let mut last = None;
        let mut sink = |frame: Frame| {
            assert!(last.is_none_or(|last| last < frame.index), "frames come in order, each once");
            last = Some(frame.index);
            assert_eq!(frame.rgb.len(), 3 * frame.width as usize * frame.height as usize);
            frames.insert(frame.index, (sha256_hex(&frame.rgb), frame.pts_secs));
            Ok::<(), Infallible>(())
        };
        match clip.read(&plan.indices, View::Native, &mut sink) {
            Ok(()) => {
                return Ok((plan.indices, plan.label_secs, frames, clip.info().clone(), clip.take_warnings()));
            }
            Err(ReadError::Clip(Error::Recounted { .. })) => {}
            Err(ReadError::Clip(error)) => return Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
    }
    panic!("{}: counted four times", path.display());
}

pub(super) fn uniform(max_frames: usize) -> SamplePolicy {
    SamplePolicy { max_frames, fps: None }
}

/// The entries of EXPECTED.json whose clips are in the repository.
fn expected() -> Vec<Value> {
    let text = std::fs::read(fixtures().join("clips/EXPECTED.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let clips = all["clips"].as_array().unwrap().iter();
    clips.filter(|clip| fixtures().join("clips").join(clip["file"].as_str().unwrap()).exists()).cloned().collect()
}

#[test]
fn every_expected_clip_has_its_frames() {
    let mut count = 0;
    for clip in expected() {
        let name = clip["file"].as_str().unwrap();
        let path = fixtures().join("clips").join(name);
        let result = sample(&path, &uniform(8), &ClipOptions::default());
        count += 1;
        if clip["expect"] == "error" {
            assert!(result.is_err(), "{name}");
            continue;
        }
        let (indices, labels, frames, info, _) = result.unwrap_or_else(|error| panic!("{error}"));
        if clip["expect"] != "frames" {
            continue;
        }
        assert_eq!(info.frame_count as u64, clip["n_frames"].as_u64().unwrap(), "{name}");
        assert_eq!(info.avg_fps, clip["avg_fps"].as_f64().unwrap(), "{name}");
        assert_eq!(u64::from(info.width), clip["width"].as_u64().unwrap(), "{name}");
        assert_eq!(u64::from(info.height), clip["height"].as_u64().unwrap(), "{name}");
        assert_eq!(info.stream_index as u64, clip["stream"].as_u64().unwrap(), "{name}");
        let plan = &clip["plans"]["8_force"];
        let want: Vec<usize> = serde_json::from_value(plan["idx"].clone()).unwrap();
        assert_eq!(indices, want, "{name}");
        let labels: Vec<String> = labels.into_iter().map(label_text).collect();
        assert_eq!(labels.join(","), plan["time"].as_str().unwrap(), "{name}");
        for (place, frame) in clip["frames8"].as_array().unwrap().iter().enumerate() {
            let (digest, pts_secs) = &frames[&(frame["index"].as_u64().unwrap() as usize)];
            if are_pixels_exact(&clip) {
                assert_eq!(digest, frame["sha256"].as_str().unwrap(), "{name}");
            }
            let Some(time) = clip["pts8"].get(place) else { continue };
            let distance = pts_secs.unwrap_or(0.0) - time.as_f64().unwrap_or(0.0);
            assert!(distance.abs() < 1e-5 && pts_secs.is_some() == time.is_f64(), "{name}");
        }
    }
    assert!(count >= 50, "only {count} clips");
}

#[test]
fn parts_decode_as_the_whole_does() {
    let mut by_parts = 0;
    for clip in expected() {
        if clip["expect"] != "frames" {
            continue;
        }
        let name = clip["file"].as_str().unwrap();
        let path = fixtures().join("clips").join(name);
        let everything = SamplePolicy { max_frames: usize::MAX, fps: Some(f64::MAX) };
        let (_, _, whole, _, _) = sample(&path, &everything, &linear()).unwrap();
        for count in [1, 3, 8, 32, 110] {
            let (_, _, frames, info, _) = sample(&path, &uniform(count), &ClipOptions::default()).unwrap();
            assert_eq!(info.frame_count, whole.len(), "{name}");
            by_parts += usize::from(!matches!(info.access, Access::Linear(_)));
            for (index, frame) in frames {
                assert_eq!(frame, whole[&index], "{name}: frame {index} of {count}");
            }
        }
    }
    assert!(by_parts > 100, "only {by_parts} were decoded in parts");
}

#[test]
fn golden_frames_are_bit_exact() {
    let folder = fixtures().join("golden/video");
    for name in ["h264_b_30.mp4", "mpeg4_2997.mp4", "rot90.mp4", "vp9.webm"] {
        let bytes = std::fs::read(folder.join(format!("{name}.frames.safetensors"))).unwrap();
        let golden = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let clips: Value = serde_json::from_slice(&std::fs::read(folder.join("clips.json")).unwrap()).unwrap();
        let clip = clips["clips"].as_array().unwrap().iter().find(|clip| clip["file"] == name).unwrap();
        let picked: Vec<usize> = serde_json::from_value(clip["picked"].clone()).unwrap();
        let (_, frames) = golden.tensors().into_iter().find(|(_, view)| view.shape().len() == 4).unwrap();
        let mut got = Vec::new();
        let mut clip = Clip::open(&folder.join(name), &ClipOptions::default()).unwrap();
        let mut sink = |frame: Frame| {
            got.extend_from_slice(&frame.rgb);
            Ok::<(), Infallible>(())
        };
        clip.read(&picked, View::Native, &mut sink).unwrap();
        assert!(got == frames.data(), "{name}");
    }
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let error = |path: &Path| Clip::open(path, &ClipOptions::default()).err().unwrap();
    assert!(matches!(error(&folder.join("none.mp4")), Error::NotFound { .. }));
    assert!(matches!(error(folder), Error::Directory { .. }));
    let url = error(Path::new("https://example.org/a.mp4"));
    assert_eq!(url.hint().as_deref(), Some("download it first"));
    assert!(matches!(error(&clip("zero_bytes.mp4")), Error::EmptyFile { .. }));
    assert!(matches!(error(&clip("text_file.mp4")), Error::NotVideo { .. }));
    assert!(matches!(error(&clip("trunc_moov_missing.mp4")), Error::NotVideo { .. }));
    assert!(matches!(error(&clip("audio_only.mp3")), Error::NoVideoStream { cover_art: false, .. }));
    assert!(matches!(error(&clip("cover_art.m4a")), Error::NoVideoStream { cover_art: true, .. }));

    let small = ClipOptions { max_pixels: 1000, ..ClipOptions::default() };
    let large = Clip::open(&clip("plain_h264.mp4"), &small).err().unwrap();
    assert!(matches!(large, Error::FrameTooLarge { width: 320, height: 240, .. }), "{large}");
    let mut gif = std::fs::read(clip("anim.gif")).unwrap();
    gif[6..10].copy_from_slice(&[0x30, 0x75, 0x30, 0x75]);
    std::fs::write(folder.join("large.gif"), gif).unwrap();
    let large = error(&folder.join("large.gif"));
    assert!(matches!(large, Error::FrameTooLarge { width: 30_000, height: 30_000, .. }), "{large}");

    // Scripts that name other files are refused whatever they are called.
    let canary = clip("bframes_opengop.ts").canonicalize().unwrap();
    let canary = canary.display();
    let concat = format!("ffconcat version 1.0\nfile '{canary}'\n");
    let playlist = format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{canary}\n#EXT-X-ENDLIST\n");
    for (name, text) in [("a.mp4", &concat), ("a.ffconcat", &concat), ("b.mp4", &playlist), ("b.m3u8", &playlist)] {
        std::fs::write(folder.join(name), text).unwrap();
        assert!(matches!(error(&folder.join(name)), Error::NotVideo { .. }), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn any_file_name_opens() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::Builder::new().prefix("video names ").tempdir().unwrap();
    let folder = folder.path();
    for name in [b"-i.mp4".as_slice(), b"a:b.mp4", b"%03d.mp4", b"http:x.mp4", b"\xff\xfe.mp4", "é 視.mp4".as_bytes()]
    {
        let path = folder.join(std::ffi::OsStr::from_bytes(name));
        std::fs::copy(clip("plain_h264.mp4"), &path).unwrap();
        let clip = Clip::open(&path, &ClipOptions::default()).unwrap();
        assert_eq!((clip.info().frame_count, clip.info().duration_secs()), (90, 3.0));
    }
}

#[test]
fn reading_stops_when_asked() {
    for options in [ClipOptions::default(), linear()] {
        let mut clip = Clip::open(&clip("plain_h264.mp4"), &options).unwrap();
        let all: Vec<usize> = (0..90).collect();
        options.stop.store(true, Ordering::Relaxed);
        let result = clip.read(&all, View::Native, &mut |_| Ok::<(), Infallible>(()));
        assert!(matches!(result, Err(ReadError::Clip(Error::Interrupted { .. }))));
        options.stop.store(false, Ordering::Relaxed);
        let mut seen = 0;
        let result = clip.read(&all, View::Native, &mut |_| {
            seen += 1;
            if seen == 3 { Err("full") } else { Ok(()) }
        });
        assert!(matches!(result, Err(ReadError::Sink("full"))) && seen == 3);
        let result = clip.read(&[90], View::Native, &mut |_| Ok::<(), Infallible>(()));
        assert!(matches!(result, Err(ReadError::Clip(Error::IndexOutOfRange { index: 90, frame_count: 90, .. }))));
        // None of that spoils the clip.
        clip.read(&[0, 89], View::Native, &mut |_| Ok::<(), Infallible>(())).unwrap();
        clip.read(&[], View::Native, &mut |_| Ok::<(), Infallible>(())).unwrap();
    }
    let options = ClipOptions::default();
    options.stop.store(true, Ordering::Relaxed);
    assert!(matches!(Clip::open(&clip("plain_h264.mp4"), &options), Err(Error::Interrupted { .. })));
}

/// The stop flag may come down on FFmpeg at any point; the same clip gives the same frames afterwards.
#[test]
fn a_stop_in_the_middle_of_a_read_spoils_nothing() {
    for (name, options) in [
        ("plain_h264.mp4", ClipOptions::default()),
        ("plain_h264.mp4", linear()),
        ("bframes_opengop.ts", ClipOptions::default()),
        ("vp9.webm", ClipOptions::default()),
    ] {
        let mut clip = Clip::open(&clip(name), &options).unwrap();
        let all: Vec<usize> = (0..clip.info().frame_count).collect();
        let read = |clip: &mut Clip, stop_after: usize| {
            let mut frames = Vec::new();
            let result = clip.read(&all, View::Native, &mut |frame| {
                frames.push(frame);
                options.stop.store(frames.len() == stop_after, Ordering::Relaxed);
                Ok::<(), Infallible>(())
            });
            options.stop.store(false, Ordering::Relaxed);
            result.map(|()| frames)
        };
        let want = read(&mut clip, usize::MAX).unwrap();
        for stop_after in [1, 3, 40] {
            let stopped = read(&mut clip, stop_after);
            assert!(matches!(stopped, Err(ReadError::Clip(Error::Interrupted { .. }))), "{name}, {stop_after}");
            assert!(read(&mut clip, usize::MAX).unwrap() == want, "{name}, {stop_after}");
        }
    }
}

#[test]
fn reading_pictures_stops_when_asked() {
    let options = ClipOptions::default();
    let mut picture = ImageClip::open_file(&fixtures().join("pictures/anim.webp"), &options).unwrap();
    let animation = WebpClip::open(&fixtures().join("pictures/anim.webp"), &options).unwrap();
    let mut sink = |_| Ok::<(), Infallible>(());
    picture.read(&[0], View::Native, &mut sink).unwrap();
    animation.read(&[0], View::Native, &mut sink).unwrap();
    options.stop.store(true, Ordering::Relaxed);
    for result in [picture.read(&[0], View::Native, &mut sink), animation.read(&[0], View::Native, &mut sink)] {
        assert!(matches!(result, Err(ReadError::Clip(Error::Interrupted { .. }))));
    }
}

#[test]
fn damage_is_reported_and_strict_refuses_it() {
    let strict = ClipOptions { strict: true, ..ClipOptions::default() };
    for name in ["trunc_half_faststart.mp4", "trunc_half.mkv", "corrupt_mid.mkv", "corrupt_mid_light.mp4"] {
        let (indices, _, _, _, warnings) = sample(&clip(name), &uniform(32), &ClipOptions::default()).unwrap();
        assert_eq!(indices.len(), 32);
        assert!(!warnings.is_empty(), "{name}");
        let error = sample(&clip(name), &uniform(32), &strict).err().unwrap();
        assert!(matches!(error, Error::Damaged { .. }), "{name}: {error}");
    }
    let (_, _, _, info, warnings) = sample(&clip("trunc_half_faststart.mp4"), &uniform(4), &linear()).unwrap();
    assert!(
        warnings.iter().any(|text| text == "frames 44-89 could not be decoded; using the 44 before"),
        "{warnings:?}"
    );
    assert_eq!(info.frame_count, 44);
    for name in ["plain_h264.mp4", "bframes_opengop.ts", "vp9.webm"] {
        let (_, _, _, _, warnings) = sample(&clip(name), &uniform(8), &strict).unwrap();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
    }
}

#[test]
fn broken_files_give_frames_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (mut readable, mut refused) = (0, 0);
    let names = ["plain_h264.mp4", "bframes_opengop.mkv", "bframes_opengop.ts", "vp9.webm", "hevc_opengop.mp4"];
    let more = ["fragmented.mp4", "mjpeg.avi", "anim.gif", "av1.mp4", "editlist_cut1.5.mp4"];
    for name in names.into_iter().chain(more) {
        let sound = std::fs::read(clip(name)).unwrap();
        for seed in 1..=10 {
            let mut random = Random::new(seed);
            let mut bytes = sound.clone();
            if seed % 4 == 0 {
                bytes.truncate(1 + random.below(sound.len()));
            }
            // Half of the flips go to the headers, which is where a demuxer trusts most.
            let reach = if seed % 2 == 0 { bytes.len() } else { bytes.len().min(4096) };
            for _ in 0..1 << random.below(8) {
                bytes[random.below(reach)] ^= 1 << random.below(8);
            }
            let path = folder.path().join(format!("{seed}-{name}"));
            std::fs::write(&path, bytes).unwrap();
            match sample(&path, &uniform(16), &ClipOptions::default()) {
                Ok((indices, _, frames, _, _)) => {
                    assert!(indices.len() == 16 && !frames.is_empty(), "{name} {seed}");
                    readable += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty(), "{name} {seed}");
                    refused += 1;
                }
            }
        }
    }
    assert!(readable > 25 && refused > 0, "{readable} read, {refused} refused: other damage would test more");
}
