//! Projected patches `[T, g * g, D]` -> pooled grid -> newline tokens -> visual tokens `[N_v, D]`; owns their count.
//!
//! Project first, pool second. Reference: `get_2dPool`, `add_token_per_grid`, `add_token_per_frame` and the video
//! branch of `prepare_inputs_labels_for_multimodal` in LLaVA-NeXT `llava_arch.py`. Its plain path pools with stride 2
//! whatever `mm_spatial_pool_stride` says; we honour the key, which released video checkpoints set to 2 or leave null.

use candle_core::{DType, IndexOp, Result, Tensor};

use crate::checkpoint::{FasterVideo, MergeType, NewlinePosition, PoolMode, VideoTokenConfig};

/// Tokens that are learned, not seen.
#[derive(Debug, Clone)]
pub struct ExtraTokens {
    /// `model.image_newline`, `[D]`.
    pub newline: Option<Tensor>,
    /// `model.faster_token`, `[D]`.
    pub faster: Option<Tensor>,
}

/// How one frame of a clip is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pooling {
    /// With the plain stride.
    Plain,
    /// With twice that.
    Coarse,
}

/// The rule that turns one clip's patches into visual tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoTokens {
    config: VideoTokenConfig,
    grid: usize,
}

impl VideoTokens {
    /// The rule for a tower with `grid` patches a side; `None` if pooling would leave nothing of the grid.
    pub fn new(config: VideoTokenConfig, grid: usize) -> Option<Self> {
        let rule = Self { config, grid };
        let coarsest = if rule.slow_fast().is_some() { 2 * config.pool_stride } else { config.pool_stride };
        (rule.pooled_side(coarsest) > 0).then_some(rule)
    }

    /// Visual tokens of a clip of `frames` frames, known before anything is computed.
    pub fn count(&self, frames: usize) -> usize {
        let side = self.pooled_side(self.config.pool_stride);
        let plain = frames * side * side;
        match (self.config.merge_type, self.config.newline_position) {
            (MergeType::Flat, _) | (_, NewlinePosition::NoToken) => plain,
            (MergeType::Spatial { .. }, NewlinePosition::Grid) => match self.slow_fast() {
                None => frames * side * (side + 1),
                Some(FasterVideo { frame_stride }) => {
                    let fast_side = self.pooled_side(2 * self.config.pool_stride);
                    let slow_frames = frames.div_ceil(frame_stride);
                    slow_frames * side * (side + 1) + (frames - slow_frames) * fast_side * (fast_side + 1) + frames
                }
            },
            (MergeType::Spatial { .. }, NewlinePosition::Frame) => plain + frames,
            (MergeType::Spatial { has_newline }, NewlinePosition::OneToken) => plain + usize::from(has_newline),
        }
    }

    /// How the frame of this number in the clip is pooled; frames of equal content that are pooled alike have equal
    /// tokens.
    pub fn pooling(&self, frame: usize) -> Pooling {
        match self.slow_fast() {
            Some(FasterVideo { frame_stride }) if !frame.is_multiple_of(frame_stride) => Pooling::Coarse,
            _ => Pooling::Plain,
        }
    }

    /// Slow/fast pooling applies to grid newlines only; elsewhere the reference ignores the fast features.
    fn slow_fast(&self) -> Option<FasterVideo> {
        let VideoTokenConfig { merge_type, newline_position, faster_video, .. } = self.config;
        let applies = merge_type != MergeType::Flat && newline_position == NewlinePosition::Grid;
        faster_video.filter(|_| applies)
    }

    /// Side of the pooled grid: interpolation rounds up, windows drop a remainder.
    fn pooled_side(&self, stride: usize) -> usize {
        match self.config.pool_mode {
            PoolMode::Bilinear => self.grid.div_ceil(stride),
            PoolMode::Average | PoolMode::Max => self.grid / stride,
        }
    }

    /// The rows of tokens of consecutive frames, `first_frame` being the first one's number in the clip:
    /// `[T, g * g, D]` -> `[N, D]`, without what follows the whole clip.
    ///
    /// # Errors
    /// A failing device, or a learned token that is missing (which the checkpoint check rules out).
    pub fn frames(&self, projected: &Tensor, first_frame: usize, extra: &ExtraTokens) -> Result<Tensor> {
        let (frames, patches, width) = projected.dims3()?;
        if patches != self.grid * self.grid {
            candle_core::bail!("projected patches: expected {0}x{0} of them, got {patches}", self.grid);
        }
        let grids = projected.reshape((frames, self.grid, self.grid, width))?;
        if self.slow_fast().is_some() {
            return self.slow_fast_frames(&grids, first_frame, extra);
        }
        let pooled = self.pool(&grids, self.config.pool_stride)?;
        match (self.config.merge_type, self.config.newline_position) {
            (MergeType::Spatial { .. }, NewlinePosition::Grid) => rows_with_newlines(&pooled, newline(extra)?),
            (MergeType::Spatial { .. }, NewlinePosition::Frame) => {
                let newline = newline(extra)?.to_dtype(pooled.dtype())?.broadcast_as((frames, 1, width))?;
                Tensor::cat(&[&pooled.flatten(1, 2)?, &newline], 1)?.flatten_to(1)
            }
            _ => pooled.flatten_to(2),
        }
    }

    /// What follows the whole clip: `[1, D]` or nothing.
    ///
    /// # Errors
    /// As [`Self::frames`].
    pub fn after_clip(&self, extra: &ExtraTokens) -> Result<Option<Tensor>> {
        match (self.config.merge_type, self.config.newline_position) {
            (MergeType::Spatial { has_newline: true }, NewlinePosition::OneToken) => {
                Ok(Some(newline(extra)?.unsqueeze(0)?))
            }
            _ => Ok(None),
        }
    }

    /// `encode_multimodals` and the `add_faster_video` branch: every `frame_stride`-th frame pooled with the plain
    /// stride, the others with twice that; each frame's rows are followed by one faster token.
    fn slow_fast_frames(&self, grids: &Tensor, first_frame: usize, extra: &ExtraTokens) -> Result<Tensor> {
        let Some(faster_token) = &extra.faster else { candle_core::bail!("model.faster_token is missing") };
        let faster_token = faster_token.unsqueeze(0)?.to_dtype(grids.dtype())?;
        let mut tokens = Vec::new();
        for frame in 0..grids.dim(0)? {
            let stride = match self.pooling(first_frame + frame) {
                Pooling::Plain => self.config.pool_stride,
                Pooling::Coarse => 2 * self.config.pool_stride,
            };
            let pooled = self.pool(&grids.i(frame..=frame)?, stride)?;
            tokens.push(rows_with_newlines(&pooled, newline(extra)?)?);
            tokens.push(faster_token.clone());
        }
        Tensor::cat(&tokens, 0)
    }

    /// `[T, g, g, D]` -> `[T, s, s, D]`, computed in f32.
    fn pool(&self, grids: &Tensor, stride: usize) -> Result<Tensor> {
        let wide = grids.to_dtype(DType::F32)?;
        let pooled = match self.config.pool_mode {
            PoolMode::Bilinear => {
                let side = self.grid.div_ceil(stride);
                interpolate(&interpolate(&wide, 1, side)?, 2, side)?
            }
            PoolMode::Average => channels_last(&channels_first(&wide)?.avg_pool2d(stride)?)?,
            PoolMode::Max => channels_last(&channels_first(&wide)?.max_pool2d(stride)?)?,
        };
        pooled.to_dtype(grids.dtype())
    }
}

fn newline(extra: &ExtraTokens) -> Result<&Tensor> {
    match &extra.newline {
        Some(newline) => Ok(newline),
        None => candle_core::bail!("model.image_newline is missing"),
    }
}

fn channels_first(grids: &Tensor) -> Result<Tensor> {
    grids.permute((0, 3, 1, 2))?.contiguous()
}

fn channels_last(grids: &Tensor) -> Result<Tensor> {
    grids.permute((0, 2, 3, 1))?.contiguous()
}

/// `[T, h, w, D]` -> `[T * h * (w + 1), D]`: the newline token after each row.
fn rows_with_newlines(pooled: &Tensor, newline: &Tensor) -> Result<Tensor> {
    let (frames, height, _, width) = pooled.dims4()?;
    let newline = newline.to_dtype(pooled.dtype())?.broadcast_as((frames, height, 1, width))?;
    Tensor::cat(&[pooled, &newline], 2)?.flatten_to(2)
}

/// Linear interpolation along one axis to `target` points: align_corners false, no antialias
/// (`torch.nn.functional.interpolate`, mode bilinear, one axis at a time).
pub(super) fn interpolate(x: &Tensor, axis: usize, target: usize) -> Result<Tensor> {
    let source = x.dim(axis)?;
    let scale = source as f32 / target as f32;
    let (mut low, mut high, mut fraction) = (Vec::new(), Vec::new(), Vec::new());
    for point in 0..target {
        let at = (scale * (point as f32 + 0.5) - 0.5).max(0.0);
        let first = (at as usize).min(source - 1);
        low.push(first as u32);
        high.push((first + 1).min(source - 1) as u32);
        fraction.push(at - first as f32);
    }
    let device = x.device();
    let mut shape = vec![1; x.rank()];
    shape[axis] = target;
    let fraction = Tensor::from_vec(fraction, shape.as_slice(), device)?;
    let pick = |points: Vec<u32>| x.index_select(&Tensor::from_vec(points, target, device)?, axis);
    let from_low = pick(low)?.broadcast_mul(&fraction.affine(-1.0, 1.0)?)?;
    from_low + pick(high)?.broadcast_mul(&fraction)?
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn config(pool_mode: PoolMode, newline_position: NewlinePosition) -> VideoTokenConfig {
        VideoTokenConfig {
            pool_mode,
            pool_stride: 2,
            merge_type: MergeType::Spatial { has_newline: true },
            newline_position,
            faster_video: None,
        }
    }

    fn rule(config: VideoTokenConfig, grid: usize) -> VideoTokens {
        VideoTokens::new(config, grid).expect("something is left of the grid")
    }

    #[test]
    fn counts_of_the_real_model() {
        use NewlinePosition::{Frame, Grid, NoToken, OneToken};
        for (mode, newlines, frames, count) in [
            (PoolMode::Bilinear, Grid, 110, 23_100),
            (PoolMode::Bilinear, Frame, 110, 21_670),
            (PoolMode::Bilinear, OneToken, 110, 21_561),
            (PoolMode::Bilinear, NoToken, 110, 21_560),
            (PoolMode::Average, Grid, 110, 20_020),
            (PoolMode::Max, Frame, 110, 18_700),
            (PoolMode::Average, OneToken, 110, 18_591),
            (PoolMode::Max, NoToken, 110, 18_590),
            (PoolMode::Bilinear, Grid, 64, 13_440),
            (PoolMode::Average, Grid, 64, 11_648),
        ] {
            assert_eq!(rule(config(mode, newlines), 27).count(frames), count, "{mode:?} {newlines:?}");
        }
    }

    #[test]
    fn predicted_counts_are_produced() -> Result<()> {
        let device = Device::Cpu;
        let token = Tensor::ones(4, DType::F32, &device)?;
        let extra = ExtraTokens { newline: Some(token.clone()), faster: Some(token) };
        let faster = [None, Some(FasterVideo { frame_stride: 1 }), Some(FasterVideo { frame_stride: 3 })];
        use NewlinePosition::{Frame, Grid, NoToken, OneToken};
        let merges = [MergeType::Flat, MergeType::Spatial { has_newline: true }];
        for mode in [PoolMode::Bilinear, PoolMode::Average, PoolMode::Max] {
            for newline_position in [Grid, Frame, OneToken, NoToken] {
                for merge_type in merges {
                    for faster_video in faster {
                        for (grid, pool_stride, frames) in [(9, 2, 5), (7, 3, 4), (8, 1, 1)] {
                            let config = VideoTokenConfig {
                                pool_mode: mode,
                                pool_stride,
                                merge_type,
                                newline_position,
                                faster_video,
                            };
                            let rule = rule(config, grid);
                            let projected = Tensor::zeros((frames, grid * grid, 4), DType::F32, &device)?;
                            let mut produced = rule.frames(&projected, 0, &extra)?.dim(0)?;
                            produced += rule.after_clip(&extra)?.map_or(0, |tokens| tokens.dims()[0]);
                            assert_eq!(produced, rule.count(frames), "{config:?} {grid} {frames}");
                        }
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_stride_beyond_the_grid_leaves_nothing() {
        let config = VideoTokenConfig { pool_stride: 10, ..config(PoolMode::Average, NewlinePosition::Grid) };
        assert_eq!(VideoTokens::new(config, 9), None);
    }
}
