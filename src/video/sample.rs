//! Which frames a model sees, and the seconds it is told: the arithmetic of the reference's `load_video`.
//!
//! Source of the rules: `load_video` of the LLaVA-Video model card (decord's length and average rate in,
//! `numpy.linspace(0, n - 1, count, dtype=int)` for the uniform plan). Nothing here touches a decoder.

use std::ops::Range;

/// Times that differ by less are the same: containers round their time stamps to milliseconds, up or down.
const MOMENT_TOLERANCE_SECS: f64 = 2e-3;

/// How many frames to take, and at what pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplePolicy {
    /// The most frames a plan may have; the uniform plan has exactly this many.
    pub max_frames: usize,
    /// Frames per second to take; `None` always makes the uniform plan (the card's `force_sample`).
    pub fps: Option<f64>,
}

/// Frames to show to the model, in order.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FramePlan {
    /// Indices of presented frames, ascending; they repeat where the clip has fewer frames than asked for.
    pub indices: Vec<usize>,
    /// The time in seconds told to the model for each index. As in the reference, the uniform plan says
    /// `index / avg_fps` and the paced plan `index / stride`, which is only close to seconds.
    pub label_secs: Vec<f64>,
}

/// Plans the frames of a clip with `frame_count` frames at `avg_fps` frames per second.
///
/// With [`SamplePolicy::fps`] every `stride`-th frame is taken, `stride` being `avg_fps / fps` rounded half to
/// even as Python's `round` does, and at least 1 (the reference raises at 0). If more than
/// [`SamplePolicy::max_frames`] result, the plan is exactly the uniform one. No frames in the clip, or none
/// allowed, give an empty plan.
pub fn plan(frame_count: usize, avg_fps: f64, policy: &SamplePolicy) -> FramePlan {
    plan_part(0..frame_count, avg_fps, policy)
}

/// As [`plan`], of the frames in `part` alone. Indices and labels stay those of the whole clip.
pub fn plan_part(part: Range<usize>, avg_fps: f64, policy: &SamplePolicy) -> FramePlan {
    if let Some(fps) = policy.fps {
        // A float-to-integer cast saturates, and NaN becomes 0: every odd rate ends in 1..=usize::MAX.
        let stride = ((avg_fps / fps).round_ties_even() as usize).max(1);
        if part.len().div_ceil(stride) <= policy.max_frames {
            let indices: Vec<usize> = part.step_by(stride).collect();
            let label_secs = indices.iter().map(|&index| index as f64 / stride as f64).collect();
            return FramePlan { indices, label_secs };
        }
    }
    let first = part.start;
    labelled_by_rate(uniform(part.len(), policy.max_frames).into_iter().map(|index| first + index).collect(), avg_fps)
}

/// The plan that takes the frame shown at each of `moments_secs` (ascending), whose indices are `indices`.
///
/// Labels are those of the uniform plan where these agree with the moments, as they do in a clip of constant rate.
/// Where the rate varies, `index / avg_fps` is not when a frame is shown, and the labels are the moments themselves.
pub fn plan_moments(indices: Vec<usize>, moments_secs: &[f64], avg_fps: f64) -> FramePlan {
    let plan = labelled_by_rate(indices, avg_fps);
    let frame_secs = 1.0 / avg_fps;
    let agrees = |(&label, &moment): (&f64, &f64)| {
        (label - MOMENT_TOLERANCE_SECS..label + frame_secs + MOMENT_TOLERANCE_SECS).contains(&moment)
    };
    match plan.label_secs.iter().zip(moments_secs).all(agrees) {
        true => plan,
        false => FramePlan { label_secs: moments_secs.to_vec(), ..plan },
    }
}

/// The frames at `indices`, labelled as if they came at a constant rate.
fn labelled_by_rate(indices: Vec<usize>, avg_fps: f64) -> FramePlan {
    let label_secs = indices.iter().map(|&index| index as f64 / avg_fps).collect();
    FramePlan { indices, label_secs }
}

/// `numpy.linspace(0, frame_count - 1, count, dtype=int)`: the step is formed first in doubles, the last value is
/// forced to the end, and the rest are floored. (Integer arithmetic differs, for example at 11,439 frames and 64.)
fn uniform(frame_count: usize, count: usize) -> Vec<usize> {
    if frame_count == 0 || count == 0 {
        return Vec::new();
    }
    if count == 1 {
        return vec![0];
    }
    let last = frame_count - 1;
    let step = last as f64 / (count - 1) as f64;
    (0..count).map(|i| if i + 1 == count { last } else { (i as f64 * step) as usize }).collect()
}

/// The values in `indices`, ascending and each once: the frames that have to be read.
pub fn distinct(indices: &[usize]) -> Vec<usize> {
    let mut distinct = indices.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// A label as the model reads it: seconds with two decimals and an `s`.
pub fn label_text(secs: f64) -> String {
    format!("{secs:.2}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_row_of_the_reference() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/golden/load_video_cases.json");
        let rows: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut checked = 0;
        for row in rows.as_array().unwrap() {
            let number = |key: &str| row[key].as_f64().unwrap();
            let force = row["force_sample"].as_bool().unwrap();
            let policy =
                SamplePolicy { max_frames: number("max_frames") as usize, fps: (!force).then(|| number("fps")) };
            let rate = number("avg_fps_num") / number("avg_fps_den");
            let got = plan(number("total_frames") as usize, rate, &policy);
            if row.get("error").is_some() {
                // The reference raises on a stride of 0; a stride of 1 gives 40 frames, over the 8 allowed.
                assert_eq!(got.indices, [0, 5, 11, 16, 22, 27, 33, 39]);
            } else {
                let want: Vec<usize> = serde_json::from_value(row["frame_idx"].clone()).unwrap();
                assert_eq!(got.indices, want, "{row}");
                let labels: Vec<String> = got.label_secs.iter().map(|&secs| label_text(secs)).collect();
                assert_eq!(labels.join(","), row["frame_time"].as_str().unwrap());
            }
            checked += 1;
        }
        assert_eq!(checked, 18);
    }

    #[test]
    fn rounding_is_half_to_even_and_never_zero() {
        let stride = |rate: f64| {
            let policy = SamplePolicy { max_frames: 1000, fps: Some(1.0) };
            plan(100, rate, &policy).indices[1]
        };
        assert_eq!([stride(2.5), stride(1.5), stride(0.5), stride(3.5)], [2, 2, 1, 4]);
    }

    #[test]
    fn moments_are_told_where_the_rate_varies() {
        let constant = plan_moments(vec![0, 30, 30, 89], &[0.0, 1.0, 1.01, 2.999], 30.0);
        assert_eq!(constant.label_secs, [0.0, 1.0, 1.0, 89.0 / 30.0]);
        // Time stamps in whole milliseconds: frame 10 of 29.97 a second is shown from 0.334 on, or from 0.333 on.
        let rounded = plan_moments(vec![10, 9], &[0.333, 0.3335], 30_000.0 / 1001.0);
        assert_eq!(rounded.label_secs, [10.0 * 1001.0 / 30_000.0, 9.0 * 1001.0 / 30_000.0]);
        let varying = plan_moments(vec![0, 30, 80], &[0.0, 1.0, 4.44], 30.0);
        assert_eq!((varying.indices, varying.label_secs), (vec![0, 30, 80], vec![0.0, 1.0, 4.44]));
        assert!(plan_moments(vec![0], &[7.0], f64::NAN).label_secs == [7.0]);
    }

    #[test]
    fn degenerate_input_gives_plans_and_no_panic() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            for fps in [None, Some(1.0), Some(f64::NAN), Some(1e-300)] {
                let policy = SamplePolicy { max_frames: 4, fps };
                assert!(plan(10, rate, &policy).indices.len() <= 4);
                assert!(plan(0, rate, &policy).indices.is_empty());
            }
        }
    }

    proptest! {
        #[test]
        fn uniform_plans_are_ordered_within_and_exact(frames in 1usize..200_000, count in 1usize..300) {
            let plan = plan(frames, 30.0, &SamplePolicy { max_frames: count, fps: None });
            prop_assert_eq!(plan.indices.len(), count);
            prop_assert!(plan.indices.is_sorted());
            prop_assert_eq!(plan.indices[0], 0);
            prop_assert!(plan.indices.iter().all(|&index| index < frames));
            prop_assert!(count == 1 || plan.indices[count - 1] == frames - 1);
        }

        #[test]
        fn paced_plans_never_exceed_the_limit(
            frames in 0usize..50_000, count in 1usize..300, rate in 0.01f64..240.0, fps in 0.01f64..240.0
        ) {
            let plan = plan(frames, rate, &SamplePolicy { max_frames: count, fps: Some(fps) });
            prop_assert!(plan.indices.len() <= count);
            prop_assert_eq!(plan.indices.len(), plan.label_secs.len());
            prop_assert!(plan.indices.is_sorted());
            prop_assert!(plan.indices.iter().all(|&index| index < frames));
        }
    }
}
