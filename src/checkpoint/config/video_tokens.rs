//! How a clip becomes visual tokens, as config.json says.
//!
//! Sources: `prepare_inputs_labels_for_multimodal` and `get_2dPool` in LLaVA-NeXT `llava_arch.py`; `apply_pooling` in
//! transformers' `modeling_llava_onevision.py`.

use super::super::error::Error;
use super::super::json::Object;

/// How patch features are pooled (`mm_spatial_pool_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Interpolation to `ceil(grid / stride)`.
    Bilinear,
    /// Mean over windows; a remainder row or column is dropped.
    Average,
    /// Maximum over windows; a remainder row or column is dropped.
    Max,
}

/// Where newline tokens go among the visual tokens (`mm_newline_position`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewlinePosition {
    /// After each row of each frame.
    Grid,
    /// After each frame.
    Frame,
    /// Once, after all frames, if the merge type has `unpad`.
    OneToken,
    /// Nowhere.
    NoToken,
}

/// How visual tokens are merged (`mm_patch_merge_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeType {
    /// Tokens follow each other; the newline position is ignored.
    Flat,
    /// Newline positions apply.
    Spatial {
        /// Whether the model has an `image_newline` token.
        has_newline: bool,
    },
}

/// The slow/fast scheme of `add_faster_video`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FasterVideo {
    /// Every so many frames one is pooled with the plain stride, the others with twice that.
    pub frame_stride: usize,
}

/// How a clip becomes visual tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoTokenConfig {
    /// The pooling of each frame's patch grid.
    pub pool_mode: PoolMode,
    /// The pooling stride, in patches.
    pub pool_stride: usize,
    /// The merge type, which decides whether newlines apply.
    pub merge_type: MergeType,
    /// Where newline tokens go.
    pub newline_position: NewlinePosition,
    /// Slow/fast pooling, where switched on.
    pub faster_video: Option<FasterVideo>,
}

/// transformers' class has no keys for it: bilinear to ceil(g / 2), then one newline per clip.
pub(super) const HUGGING_FACE: VideoTokenConfig = VideoTokenConfig {
    pool_mode: PoolMode::Bilinear,
    pool_stride: 2,
    merge_type: MergeType::Spatial { has_newline: true },
    newline_position: NewlinePosition::OneToken,
    faster_video: None,
};

/// The keys of the original layout.
pub(super) fn original(object: &Object) -> Result<VideoTokenConfig, Error> {
    let merge_type = match object.str("mm_patch_merge_type")?.unwrap_or("flat") {
        "flat" => MergeType::Flat,
        spatial if spatial.starts_with("spatial") => MergeType::Spatial { has_newline: spatial.contains("unpad") },
        other => {
            return Err(object.error(format!("mm_patch_merge_type is `{other}`, expected flat or spatial*")));
        }
    };
    let newline_position = match object.str("mm_newline_position")?.unwrap_or("one_token") {
        "grid" => NewlinePosition::Grid,
        "frame" => NewlinePosition::Frame,
        "one_token" => NewlinePosition::OneToken,
        "no_token" => NewlinePosition::NoToken,
        other => {
            let expected = "expected grid, frame, one_token or no_token";
            return Err(object.error(format!("mm_newline_position is `{other}`, {expected}")));
        }
    };
    let needs_newline = matches!(newline_position, NewlinePosition::Grid | NewlinePosition::Frame);
    if merge_type == (MergeType::Spatial { has_newline: false }) && needs_newline {
        let message = "mm_newline_position needs a newline token, but mm_patch_merge_type has no `unpad`";
        return Err(object.error(message.to_owned()));
    }
    let pool_mode = match object.str("mm_spatial_pool_mode")?.unwrap_or("bilinear") {
        "bilinear" => PoolMode::Bilinear,
        "average" => PoolMode::Average,
        "max" => PoolMode::Max,
        other => {
            let expected = "expected bilinear, average or max";
            return Err(object.error(format!("mm_spatial_pool_mode is `{other}`, {expected}")));
        }
    };
    let faster_video = match object.bool("add_faster_video")?.unwrap_or(false) {
        true => Some(FasterVideo { frame_stride: object.count("faster_token_stride")?.unwrap_or(10) }),
        false => None,
    };
    let pool_stride = object.count("mm_spatial_pool_stride")?.unwrap_or(2);
    Ok(VideoTokenConfig { pool_mode, pool_stride, merge_type, newline_position, faster_video })
}
