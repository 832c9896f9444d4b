//! Pictures of odd height with chroma of half of it, which not every libswscale converts as the reference's does.

use std::convert::Infallible;

use llava_video::video::{Clip, ClipOptions, Frame, View, ffmpeg_versions};
use serde_json::Value;

use crate::support::{fixtures, json};

/// True where the linked libswscale makes the very pixels recorded in `facts`. From FFmpeg 8 on it does not for odd
/// heights: docs/packages.md.
pub(super) fn are_pixels_exact(facts: &Value) -> bool {
    let versions = ffmpeg_versions();
    let (_, swscale) = versions.split_once("libswscale ").unwrap();
    let major: u32 = swscale.split('.').next().unwrap().parse().unwrap();
    facts["exact"] == true && (major < 9 || facts["height"].as_u64().unwrap().is_multiple_of(2))
}

#[test]
fn odd_heights_are_near_the_reference() {
    let expected = json(&fixtures().join("clips/EXPECTED.json"));
    // What FFmpeg 8.1.2 is off by: the mean of a channel of a frame, of 255.
    for (name, most) in [("nasty/odd_321x241_vp9.webm", 0.14), ("nasty/odd_33x17_ffv1.mkv", 2.0)] {
        let facts = expected["clips"].as_array().unwrap().iter().find(|facts| facts["file"] == name).unwrap();
        let recorded = facts["frames8"].as_array().unwrap();
        let indices: Vec<usize> =
            recorded.iter().map(|frame| frame["index"].as_u64().unwrap().try_into().unwrap()).collect();
        let mut clip = Clip::open(&fixtures().join("clips").join(name), &ClipOptions::default()).unwrap();
        let mut frames = recorded.iter();
        let mut sink = |frame: Frame| {
            let means: Vec<f64> = serde_json::from_value(frames.next().unwrap()["rgb_mean"].clone()).unwrap();
            for (channel, mean) in means.into_iter().enumerate() {
                let values = frame.rgb.iter().skip(channel).step_by(3);
                let sum: f64 = values.copied().map(f64::from).sum();
                let off = (sum / (frame.rgb.len() / 3) as f64 - mean).abs();
                assert!(off <= most, "{name}, frame {}: channel {channel} is off by {off}", frame.index);
            }
            Ok::<(), Infallible>(())
        };
        assert!(clip.read(&indices, View::Native, &mut sink).is_ok(), "{name}");
        assert!(frames.next().is_none(), "{name}");
    }
}
