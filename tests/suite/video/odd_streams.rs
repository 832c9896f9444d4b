//! Streams in which packets and frames do not match one to one, or timestamps are missing: always the frames that a
//! decode from the start gives.

use std::path::Path;

use llava_video::video::{Access, ClipInfo, ClipOptions, SamplePolicy};

use super::clips::{linear, sample, uniform};
use crate::support::{clip, fixtures, json, mp4, remux::remux};

/// Checks that frames are those of a decode from the start, however many are taken; returns what is known in the end.
fn as_from_the_start(path: &Path) -> ClipInfo {
    let everything = SamplePolicy { max_frames: usize::MAX, fps: Some(f64::MAX) };
    let (_, _, whole, from_start, _) = sample(path, &everything, &linear()).unwrap();
    let name = path.display();
    assert_eq!(whole.len(), from_start.frame_count, "{name}");
    let mut last = None;
    for count in [1, 3, 8, 32, from_start.frame_count] {
        let (_, _, frames, info, warnings) = sample(path, &uniform(count), &ClipOptions::default()).unwrap();
        assert_eq!((info.frame_count, info.avg_fps), (from_start.frame_count, from_start.avg_fps), "{name}");
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
        for (index, frame) in frames {
            assert_eq!(frame, whole[&index], "{name}: frame {index} of {count}");
        }
        last = Some(info);
    }
    last.unwrap()
}

/// Copies a clip into several containers, with a unit put at the end of each packet for which `is_chosen`.
fn with_unit(from: &Path, unit: &[u8], is_chosen: impl Fn(usize) -> bool, check: impl Fn(ClipInfo)) {
    let dir = tempfile::tempdir().unwrap();
    for ending in ["mp4", "mkv", "ts"] {
        let path = dir.path().join(format!("changed.{ending}"));
        remux(from, &path, |number, mut data| {
            if is_chosen(number) {
                data.extend((unit.len() as u32).to_be_bytes());
                data.extend(unit);
            }
            data
        });
        check(as_from_the_start(&path));
    }
}

#[test]
fn a_sequence_may_end_before_an_open_group() {
    let info = as_from_the_start(&clip("hevc_opengop.mp4"));
    assert_eq!(info.access, Access::Seek);
    let whole = info.frame_count;
    let keys = keyframes(&clip("hevc_opengop.mp4"));
    assert!(keys.len() > 2, "{keys:?}");
    // An end of sequence (36) makes the decoder drop the frames shown before the next keyframe.
    for key in [keys[1], keys[2]] {
        let loses_frames = |info: ClipInfo| assert!(info.frame_count < whole, "{info:?}");
        with_unit(&clip("hevc_opengop.mp4"), &[36 << 1, 1], |number| number + 1 == key, loses_frames);
    }
    // H.264 has such a unit (10), too.
    let keys = keyframes(&clip("bframes_opengop.mp4"));
    assert!(keys.len() > 2, "{keys:?}");
    with_unit(&clip("bframes_opengop.mp4"), &[10], |number| number + 1 == keys[1], |_| ());
}

#[test]
fn a_link_may_be_broken() {
    let from = clip("hevc_opengop.mp4");
    let whole = as_from_the_start(&from).frame_count;
    // The first open group but one: frames shown before its keyframe come after it.
    let key = keyframes(&from)[2];
    let dir = tempfile::tempdir().unwrap();
    for ending in ["mp4", "mkv", "ts"] {
        let path = dir.path().join(format!("broken.{ending}"));
        remux(&from, &path, |number, mut data| {
            let mut place = 0;
            while number == key && place < data.len() {
                let length = u32::from_be_bytes(data[place..place + 4].try_into().unwrap()) as usize;
                // Clean random access (21) becomes a broken link (16).
                if data[place + 4] >> 1 == 21 {
                    data[place + 4] = 16 << 1;
                }
                place += 4 + length;
            }
            data
        });
        assert!(as_from_the_start(&path).frame_count < whole, "{ending}");
    }
}

/// Numbers of the packets that the container calls keyframes.
fn keyframes(path: &Path) -> Vec<usize> {
    ffmpeg_next::init().unwrap();
    let mut input = ffmpeg_next::format::input(path).unwrap();
    let packets = input.packets().map(|(_, packet)| packet).enumerate();
    packets.filter(|(_, packet)| packet.is_key()).map(|(number, _)| number).collect()
}

#[test]
fn packets_of_no_bytes_are_no_frames() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.mov");
    let mut data = Vec::new();
    let mut samples = Vec::new();
    for number in 0..12u8 {
        let picture = image::RgbImage::from_pixel(64, 48, image::Rgb([20 * number, 10, 255 - 20 * number]));
        let mut jpeg = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        samples.push(data.len()..data.len() + jpeg.get_ref().len());
        data.extend(jpeg.into_inner());
    }
    mp4::write(&path, (64, 48), 10, &data, &samples);
    assert_eq!(as_from_the_start(&path).access, Access::Seek);
    let (_, _, whole, _, _) = sample(&path, &uniform(12), &linear()).unwrap();
    // FFmpeg would take an empty packet for the end, and give no frame after it.
    for empty in [1, 5, 11] {
        let mut samples = samples.clone();
        samples[empty] = 0..0;
        mp4::write(&path, (64, 48), 10, &data, &samples);
        assert_eq!(as_from_the_start(&path).frame_count, 11, "{empty}");
        let (_, _, frames, _, _) = sample(&path, &uniform(11), &ClipOptions::default()).unwrap();
        let digests = |frames: &std::collections::BTreeMap<usize, (String, _)>, without: Option<usize>| {
            let kept = frames.iter().filter(|(index, _)| Some(**index) != without);
            kept.map(|(_, (digest, _))| digest.clone()).collect::<Vec<_>>()
        };
        assert_eq!(digests(&frames, None), digests(&whole, Some(empty)), "{empty}");
    }
}

#[test]
fn packed_frames_keep_the_stated_rate() {
    let info = as_from_the_start(&clip("packed_bframes.avi"));
    assert_eq!(info.avg_fps, 30_000.0 / 1001.0);
}

/// What is there of the last picture is shown, always in the same way, with a warning.
#[test]
fn a_transport_stream_may_be_cut_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.ts");
    let whole = std::fs::read(clip("bframes_opengop.ts")).unwrap();
    let strict = ClipOptions { strict: true, ..ClipOptions::default() };
    let mut within = 0;
    for bytes in [62_000, 70_001, 62_040, 90_000] {
        std::fs::write(&path, &whole[..bytes]).unwrap();
        let read = |threads| {
            let options = ClipOptions { threads, ..ClipOptions::default() };
            let (_, _, frames, _, warnings) = sample(&path, &uniform(8), &options).unwrap();
            (frames, warnings)
        };
        let (frames, warnings) = read(1);
        let is_within = warnings.iter().any(|text| text.contains("ends in the middle of a packet"));
        within += usize::from(is_within);
        assert!(warnings.iter().any(|text| text.starts_with("1 of ")), "{bytes}: {warnings:?}");
        for threads in [2, 4, 8].into_iter().cycle().take(12) {
            assert_eq!(read(threads), (frames.clone(), warnings.clone()), "{bytes} with {threads}");
        }
        let refused = sample(&path, &uniform(8), &strict).err().unwrap();
        assert!(matches!(refused, llava_video::video::Error::Damaged { .. }), "{refused}");
    }
    assert!(within > 0);
}

/// Clips of what decoders and containers have in store, and the frames of FFmpeg's command line, with one thread; of
/// decord where a quarter turn swaps the directions of uneven chroma, for which the two differ.
#[test]
fn odd_clips_are_as_ffmpegs_own_decode() {
    let recorded = json(&fixtures().join("clips/odd/frames.json"));
    let everything = SamplePolicy { max_frames: usize::MAX, fps: Some(f64::MAX) };
    for (name, digests) in recorded.as_object().unwrap() {
        let info = as_from_the_start(&clip(name));
        assert_eq!(info.frame_count, digests.as_array().unwrap().len(), "{name}");
        let (_, _, frames, _, _) = sample(&clip(name), &everything, &ClipOptions::default()).unwrap();
        assert!(frames.values().map(|(digest, _)| digest).eq(digests.as_array().unwrap()), "{name}");
    }
    assert_eq!(recorded.as_object().unwrap().len(), 8);
}

/// A colour matrix that no version of FFmpeg has a name for, which its AV1 decoder hands on as it is.
#[test]
fn colour_fields_may_hold_any_number() {
    let info = as_from_the_start(&clip("av1_matrix_200.mp4"));
    assert_eq!((info.color_space.as_str(), info.color_range.as_str()), ("unknown", "tv"));
}

#[test]
fn text_behind_a_clip_is_no_damage() {
    let strict = ClipOptions { strict: true, ..ClipOptions::default() };
    let dir = tempfile::tempdir().unwrap();
    let names = ["plain_h264.mp4", "fragmented.mp4", "mjpeg.avi", "vp9.webm", "flv_h264.flv", "bframes_opengop.ts"];
    for name in names.into_iter().chain(["ts_mpeg2.ts", "anim.gif", "anim.apng"]) {
        let (_, _, whole, sound, _) = sample(&clip(name), &uniform(8), &ClipOptions::default()).unwrap();
        for tail in ["a few bytes of text", "\n", "GGGG: not a packet"] {
            let path = dir.path().join(name);
            std::fs::write(&path, [std::fs::read(clip(name)).unwrap().as_slice(), tail.as_bytes()].concat()).unwrap();
            let (_, _, frames, info, warnings) = sample(&path, &uniform(8), &strict).unwrap_or_else(|e| panic!("{e}"));
            assert!(warnings.is_empty(), "{name}: {warnings:?}");
            assert_eq!((frames, info.access), (whole.clone(), sound.access.clone()), "{name} {tail}");
        }
    }
}
