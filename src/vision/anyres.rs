//! A still picture -> tiles for the tower -> visual tokens `[N_v, D]`, as the reference's anyres path does it.
//!
//! The tower sees the whole picture squeezed to a square, and the picture again at its own shape, resized into the
//! canvas that suits it best and cut in square tiles. The tiles' projected patches are put together to one map, what
//! was padding is cut off, a map that is too large is shrunk, and each row ends with a newline token; the squeezed
//! picture's patches come first. Nothing is pooled. Reference: `process_anyres_image` in LLaVA-NeXT `mm_utils.py`,
//! `unpad_image` and the image branch of `prepare_inputs_labels_for_multimodal` in `llava_arch.py`.

use std::cmp::Reverse;
use std::ops::Range;

use candle_core::{DType, Result, Tensor};

use super::pool::interpolate;
use super::preprocess::{resize, resize_to};
use crate::checkpoint::{AnyresConfig, MergeType, PictureAspect, PictureConfig, UnpadRounding};

/// The grey that pads a picture to a square: `int(0.5 * 255)` of the processor's mean.
const PAD_GREY: u8 = 127;

/// A map is shrunk when its side is beyond the limit by more than this factor.
const SHRINK_FROM: f64 = 1.1;

/// The rule that turns pictures into tiles and visual tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureTokens {
    config: PictureConfig,
    image_size: usize,
    grid: usize,
}

impl PictureTokens {
    /// The rule for a tower that takes `image_size` pixels and gives `grid` patches a side.
    pub fn new(config: PictureConfig, image_size: usize, grid: usize) -> Self {
        Self { config, image_size, grid }
    }

    /// What is done to a picture of `width` x `height` pixels; `None` where shrinking would leave nothing of it.
    ///
    /// # Panics
    /// If a side is zero.
    pub fn layout(&self, width: usize, height: usize) -> Option<PictureLayout> {
        assert!(width > 0 && height > 0, "a picture of {width}x{height}");
        let size = (width, height);
        let map = match &self.config.aspect {
            PictureAspect::Anyres(anyres) => Some(self.map(anyres, size)?),
            PictureAspect::Square | PictureAspect::Pad => None,
        };
        Some(PictureLayout {
            size,
            image_size: self.image_size,
            grid: self.grid,
            padded: self.config.aspect == PictureAspect::Pad,
            merge_type: self.config.merge_type,
            map,
        })
    }

    fn map(&self, anyres: &AnyresConfig, size: (usize, usize)) -> Option<TileMap> {
        let canvas = best_canvas(&anyres.canvases, size);
        let tiles = (canvas.0 / self.image_size, canvas.1 / self.image_size);
        let full = (tiles.0 * self.grid, tiles.1 * self.grid);
        let (mut columns, mut rows) = (0..full.0, 0..full.1);
        let mut merged = full;
        if self.config.merge_type == (MergeType::Spatial { has_newline: true }) {
            (columns, rows) = without_padding(full, size, anyres.rounding);
            merged = (columns.len(), rows.len());
            if let Some(max_tiles) = anyres.max_tiles {
                merged = shrunk(merged, max_tiles * self.grid * self.grid)?;
            }
        }
        Some(TileMap { canvas, tiles, columns, rows, merged })
    }
}

/// `select_best_resolution`: the canvas that keeps most pixels of the picture, of several the first that wastes least.
fn best_canvas(canvases: &[(usize, usize)], (width, height): (usize, usize)) -> (usize, usize) {
    let merit = |canvas: &&(usize, usize)| {
        let scale = (canvas.0 as f64 / width as f64).min(canvas.1 as f64 / height as f64);
        let (scaled_width, scaled_height) = ((width as f64 * scale) as usize, (height as f64 * scale) as usize);
        let kept = (scaled_width * scaled_height).min(width * height);
        (Reverse(kept), canvas.0 * canvas.1 - kept)
    };
    *canvases.iter().min_by_key(merit).expect("a config with canvases")
}

/// `unpad_image`: the columns and rows of a map of `full` (width, height) that show the picture.
fn without_padding(
    full: (usize, usize),
    (width, height): (usize, usize),
    rounding: UnpadRounding,
) -> (Range<usize>, Range<usize>) {
    let round = |x: f64| match rounding {
        UnpadRounding::Truncate => x as usize,
        // By way of text, which rounds the exact value of the double, as Python's `round` does.
        UnpadRounding::SevenDecimals => format!("{x:.7}").parse::<f64>().unwrap_or(x) as usize,
    };
    let middle = |all: usize, shown: usize| {
        let padding = all.saturating_sub(shown) / 2;
        padding..all - padding
    };
    let (full_width, full_height) = (full.0 as f64, full.1 as f64);
    if width as f64 / height as f64 > full_width / full_height {
        let shown = round(height as f64 * (full_width / width as f64));
        (0..full.0, middle(full.1, shown))
    } else {
        let shown = round(width as f64 * (full_height / height as f64));
        (middle(full.0, shown), 0..full.1)
    }
}

/// The size that a map is shrunk to if it has more than about `max_patches`; `None` if that is nothing.
fn shrunk((width, height): (usize, usize), max_patches: usize) -> Option<(usize, usize)> {
    let times = ((width * height) as f64 / max_patches as f64).sqrt();
    if times <= SHRINK_FROM {
        return Some((width, height));
    }
    let target = (floor_divide(width as f64, times), floor_divide(height as f64, times));
    (target.0 > 0 && target.1 > 0).then_some(target)
}

/// Python's `//` of positive doubles.
fn floor_divide(x: f64, by: f64) -> usize {
    let quotient = (x - x % by) / by;
    let floored = quotient.floor();
    (if quotient - floored > 0.5 { floored + 1.0 } else { floored }) as usize
}

/// The tiles of one picture and the part of their patches that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TileMap {
    /// Width and height in pixels.
    canvas: (usize, usize),
    /// Tiles across and down.
    tiles: (usize, usize),
    /// Patch columns and rows that show the picture.
    columns: Range<usize>,
    rows: Range<usize>,
    /// How many columns and rows of tokens they become.
    merged: (usize, usize),
}

/// How one picture is cut and merged; known from its size alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureLayout {
    size: (usize, usize),
    image_size: usize,
    grid: usize,
    padded: bool,
    merge_type: MergeType,
    map: Option<TileMap>,
}

impl PictureLayout {
    /// Visual tokens of the picture.
    pub fn count(&self) -> usize {
        let patches = self.grid * self.grid;
        let newline = usize::from(self.has_newline());
        match &self.map {
            None => patches + newline,
            Some(map) if self.merge_type == MergeType::Flat => (1 + map.tiles.0 * map.tiles.1) * patches,
            Some(TileMap { merged: (columns, rows), .. }) => patches + rows * (columns + newline),
        }
    }

    /// Pictures that the tower gets: the whole one, and the tiles.
    pub fn tile_count(&self) -> usize {
        1 + self.map.as_ref().map_or(0, |map| map.tiles.0 * map.tiles.1)
    }

    /// Tiles across and down that the picture is cut in; none where it is only squeezed or padded.
    pub fn tiles_across_and_down(&self) -> Option<(usize, usize)> {
        self.map.as_ref().map(|map| map.tiles)
    }

    /// Columns and rows of the patch map that are no padding.
    pub fn shown(&self) -> Option<(Range<usize>, Range<usize>)> {
        self.map.as_ref().map(|map| (map.columns.clone(), map.rows.clone()))
    }

    /// Columns and rows of tokens that the tiles become, newlines not counted.
    pub fn map_size(&self) -> Option<(usize, usize)> {
        self.map.as_ref().map(|map| map.merged)
    }

    fn has_newline(&self) -> bool {
        self.merge_type == (MergeType::Spatial { has_newline: true })
    }

    /// Cuts the picture, packed RGB of the layout's size, into what the tower gets: `[S, S, 3]` u8 each.
    ///
    /// # Panics
    /// If `rgb` is not of the layout's size.
    pub fn tiles(&self, rgb: &[u8]) -> Vec<Vec<u8>> {
        let (width, height) = self.size;
        let side = self.image_size;
        if self.padded {
            let longer = width.max(height);
            return vec![resize(&on_canvas(rgb, self.size, (longer, longer), PAD_GREY), longer, longer, side)];
        }
        let mut tiles = vec![resize(rgb, width, height, side)];
        if let Some(map) = &self.map {
            let fitted = fitted(self.size, map.canvas);
            let canvas = on_canvas(&resize_to(rgb, self.size, fitted), fitted, map.canvas, 0);
            for (down, across) in (0..map.tiles.1).flat_map(|down| (0..map.tiles.0).map(move |across| (down, across))) {
                tiles.push(crop(&canvas, map.canvas.0, (across * side, down * side), side));
            }
        }
        tiles
    }

    /// Projected patches of all tiles `[n, g * g, D]` -> visual tokens `[N_v, D]`.
    ///
    /// # Errors
    /// A failing device, tiles of another layout, or a missing newline token (which the checkpoint check rules out).
    pub fn tokens(&self, projected: &Tensor, newline: Option<&Tensor>) -> Result<Tensor> {
        let (tiles, patches, width) = projected.dims3()?;
        if (tiles, patches) != (self.tile_count(), self.grid * self.grid) {
            candle_core::bail!("{} tiles expected, got {tiles} of {patches} patches", self.tile_count());
        }
        let newline = match (newline, self.has_newline()) {
            (_, false) => None,
            (Some(newline), true) => Some(newline.to_dtype(projected.dtype())?),
            (None, true) => candle_core::bail!("model.image_newline is missing"),
        };
        let whole = projected.get(0)?;
        let Some(map) = &self.map else {
            let end = newline.map(|newline| newline.unsqueeze(0)).transpose()?;
            return Tensor::cat(&[Some(whole), end].into_iter().flatten().collect::<Vec<_>>(), 0);
        };
        if self.merge_type == MergeType::Flat {
            return projected.flatten_to(1);
        }
        let (columns, rows) = map.merged;
        // All of a very thin picture can count as padding.
        if rows == 0 {
            return Ok(whole);
        }
        let patches = projected.narrow(0, 1, tiles - 1)?;
        // [down, across, g, g, D] -> [down * g, across * g, D]
        let grids = patches.reshape(&[map.tiles.1, map.tiles.0, self.grid, self.grid, width])?;
        let full = (map.tiles.1 * self.grid, map.tiles.0 * self.grid, width);
        let grid = grids.permute([0, 2, 1, 3, 4])?.reshape(full)?;
        let shown = match columns {
            0 => None,
            _ => {
                let shown = grid.narrow(0, map.rows.start, map.rows.len())?;
                Some(shrink(&shown.narrow(1, map.columns.start, map.columns.len())?, columns, rows)?)
            }
        };
        let ends = newline.map(|newline| newline.broadcast_as((rows, 1, width))).transpose()?;
        let lines = Tensor::cat(&shown.into_iter().chain(ends).collect::<Vec<_>>(), 1)?;
        Tensor::cat(&[whole, lines.flatten_to(1)?], 0)
    }
}

/// `[h, w, D]` -> `[rows, columns, D]`, computed in f32.
fn shrink(map: &Tensor, columns: usize, rows: usize) -> Result<Tensor> {
    if map.dims()[..2] == [rows, columns] {
        return Ok(map.clone());
    }
    let wide = map.to_dtype(DType::F32)?.contiguous()?;
    interpolate(&interpolate(&wide, 0, rows)?, 1, columns)?.to_dtype(map.dtype())
}

/// The size to which `resize_and_pad_image` brings a picture: as large as the canvas holds, the other side rounded up.
fn fitted((width, height): (usize, usize), canvas: (usize, usize)) -> (usize, usize) {
    let (across, down) = (canvas.0 as f64 / width as f64, canvas.1 as f64 / height as f64);
    match across < down {
        true => (canvas.0, ((height as f64 * across).ceil() as usize).min(canvas.1)),
        false => (((width as f64 * down).ceil() as usize).min(canvas.0), canvas.1),
    }
}

/// A picture in the middle of a canvas of one colour.
fn on_canvas(rgb: &[u8], size: (usize, usize), canvas: (usize, usize), grey: u8) -> Vec<u8> {
    let mut out = vec![grey; canvas.0 * canvas.1 * 3];
    let (left, top) = ((canvas.0 - size.0) / 2, (canvas.1 - size.1) / 2);
    for (row, pixels) in rgb.chunks_exact(size.0 * 3).enumerate() {
        let start = ((top + row) * canvas.0 + left) * 3;
        out[start..start + pixels.len()].copy_from_slice(pixels);
    }
    out
}

/// A square of `side` pixels from a picture `width` pixels wide.
fn crop(rgb: &[u8], width: usize, (left, top): (usize, usize), side: usize) -> Vec<u8> {
    let row = |y: usize| {
        let start = ((top + y) * width + left) * 3;
        &rgb[start..start + side * 3]
    };
    (0..side).flat_map(row).copied().collect()
}
