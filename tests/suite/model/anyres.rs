//! Pictures cut and merged: layouts against the reference's formulas, tiles against Pillow, bit for bit.
//!
//! The digests were made by Python with the reference's formulas (LLaVA-NeXT at df17966) and Pillow 10.4.0.

use std::fmt::Write;

use candle_core::Tensor;
use llava_video::checkpoint::{AnyresConfig, MergeType, PictureAspect, PictureConfig, UnpadRounding};
use llava_video::device::DtypeRequest;
use llava_video::vision::anyres::PictureTokens;

use crate::support::{placement, sha256_hex};

fn canvases(tile: usize, most: usize) -> Vec<(usize, usize)> {
    (1..=most).flat_map(|across| (1..=most).map(move |down| (across * tile, down * tile))).collect()
}

fn anyres(tile: usize, most: usize, max_tiles: Option<usize>, rounding: UnpadRounding) -> PictureConfig {
    PictureConfig {
        aspect: PictureAspect::Anyres(AnyresConfig { canvases: canvases(tile, most), max_tiles, rounding }),
        merge_type: MergeType::Spatial { has_newline: true },
    }
}

/// The published models: tiles of 384 pixels and 27 patches a side, up to six each way.
fn published(rounding: UnpadRounding) -> PictureTokens {
    PictureTokens::new(anyres(384, 6, Some(9), rounding), 384, 27)
}

#[test]
fn counts_of_the_published_models() {
    let rule = published(UnpadRounding::Truncate);
    for (size, tiles, count) in [
        ((384, 384), (1, 1), 1485),
        ((1, 1), (1, 1), 1485),
        ((400, 300), (2, 1), 1728),
        ((640, 480), (2, 2), 2929),
        ((1920, 1080), (5, 3), 7269),
        ((1080, 1920), (3, 5), 7317),
        ((4000, 3000), (6, 5), 7309),
        ((2304, 2304), (6, 6), 7371),
        ((10_000, 10), (6, 1), 892),
        ((1, 100_000), (1, 1), 783),
    ] {
        let layout = rule.layout(size.0, size.1).unwrap();
        assert_eq!((layout.tiles_across_and_down(), layout.count()), (Some(tiles), count), "{size:?}");
    }
    // Where transformers' rounding to seven decimals makes another count.
    for (size, original, hugging_face) in [((1666, 1428), 7329, 7241), ((738, 1722), 7604, 7714)] {
        let count = |rounding| published(rounding).layout(size.0, size.1).unwrap().count();
        assert_eq!(count(UnpadRounding::Truncate), original);
        assert_eq!(count(UnpadRounding::SevenDecimals), hugging_face);
    }
}

#[test]
fn layouts_of_thousands_of_sizes() {
    let rule = published(UnpadRounding::Truncate);
    let mut text = String::new();
    for (width, height) in (1..3000).step_by(37).flat_map(|w| (1..3000).step_by(41).map(move |h| (w, h))) {
        let layout = rule.layout(width, height).unwrap();
        let ((across, down), (columns, rows)) = (layout.tiles_across_and_down().unwrap(), layout.map_size().unwrap());
        write!(text, "{across},{down},{columns},{rows},{};", layout.count()).unwrap();
    }
    assert_eq!(sha256_hex(text), "49b1fe28a825912bf4e94860e721a53037f46d24662127fbea167cb6816a1724");
}

/// A picture of which no two parts are alike.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let value = |x: usize, y: usize, c: usize| ((x * x * 3 + y * y * 5 + x * y * 7 + c * 31) % 256) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    pixels.flat_map(|(x, y)| (0..3).map(move |c| value(x, y, c))).collect()
}

#[test]
fn tiles_are_pillows_to_the_bit() {
    let rule = PictureTokens::new(anyres(32, 3, Some(9), UnpadRounding::Truncate), 32, 4);
    for ((width, height), count, digest) in [
        ((32, 32), 2, "3a9067a4dc2e2c038730c6338141d2542371bd5b4a45d67293ed450b1012dfe6"),
        ((50, 20), 3, "39004357e03483ea5b9b387153308bbea553c4297d2d7480879040e6efd0e45c"),
        ((20, 50), 3, "fd4876d966c6935200c094b693f32a3d42f1b39c3d56162320f760cb982a0ee0"),
        ((97, 96), 10, "6b97441129e9ef2891fb0b40a5724579a0ee6fcaed0f01f8ac193132f2b22cc7"),
        ((31, 33), 3, "0648f2cd256b800ffdc041003e7a1d25cc834f8df3cc3d0d2c7ea0c913b9bb77"),
        ((300, 7), 4, "78e6785b6f46c96d5e5f6473e8700cbd5c668633bb42fa5a95ba8ba8b0db73e7"),
        ((1, 1), 2, "09ab7fa91db6c41fd8e20196ca05f578c42af5ec8a9328c49973fffc1f9cbf7a"),
    ] {
        let layout = rule.layout(width, height).unwrap();
        let tiles = layout.tiles(&picture(width, height));
        assert_eq!((tiles.len(), layout.tile_count()), (count, count), "{width}x{height}");
        assert_eq!(sha256_hex(tiles.concat()), digest, "{width}x{height}");
    }
    let pad = PictureConfig { aspect: PictureAspect::Pad, merge_type: MergeType::Spatial { has_newline: true } };
    let pad = PictureTokens::new(pad, 32, 4);
    for ((width, height), digest) in [
        ((50, 21), "f1a1d27c8108e15a1f829afb776b0e1b230b001606e1e4f109613088c4ada96b"),
        ((20, 51), "692097248da8b8c2a91b46753ef0db8f97f8158938a099cb5e9e5f7775b2e21f"),
    ] {
        let layout = pad.layout(width, height).unwrap();
        let tiles = layout.tiles(&picture(width, height));
        assert_eq!((layout.count(), sha256_hex(tiles.concat()).as_str()), (17, digest), "{width}x{height}");
    }
}

/// Patches that hold their own place in the map: channel 0 the column, channel 1 the row.
fn places(tiles: (usize, usize), grid: usize) -> Tensor {
    let mut values = vec![-1f32; 2 * grid * grid];
    for (down, across) in (0..tiles.1).flat_map(|down| (0..tiles.0).map(move |across| (down, across))) {
        for (y, x) in (0..grid).flat_map(|y| (0..grid).map(move |x| (y, x))) {
            values.extend([(across * grid + x) as f32, (down * grid + y) as f32]);
        }
    }
    Tensor::from_vec(values, (1 + tiles.0 * tiles.1, grid * grid, 2), &placement(DtypeRequest::F32).device).unwrap()
}

/// Interpolating a map that holds its own places gives the places sampled at: rows and columns, unpadding and shrinking
/// must all be right for that.
#[test]
fn tokens_come_from_the_places_they_should() {
    let newline = Tensor::new(&[-2f32, -2.0], &placement(DtypeRequest::F32).device).unwrap();
    let grid = 5;
    for max_tiles in [None, Some(1), Some(2), Some(9)] {
        let rule = PictureTokens::new(anyres(32, 3, max_tiles, UnpadRounding::Truncate), 32, grid);
        for (width, height) in [(32, 32), (100, 40), (40, 100), (96, 96), (90, 64), (1000, 1), (1, 1000), (33, 700)] {
            let layout = rule.layout(width, height).unwrap();
            let tiles = layout.tiles_across_and_down().unwrap();
            let tokens = layout.tokens(&places(tiles, grid), Some(&newline)).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(tokens.len(), layout.count(), "{width}x{height}");
            assert!(tokens[..grid * grid].iter().all(|token| token[..] == [-1.0, -1.0]));
            let (columns, rows) = layout.map_size().unwrap();
            let shown = layout.shown().unwrap();
            let at = |range: &std::ops::Range<usize>, count: usize, i: usize| {
                range.start as f32 + (i as f32 + 0.5) * range.len() as f32 / count as f32 - 0.5
            };
            for (row, line) in tokens[grid * grid..].chunks_exact(columns + 1).enumerate() {
                assert_eq!(line[columns], [-2.0, -2.0], "{width}x{height}");
                for (column, token) in line[..columns].iter().enumerate() {
                    let expected = [at(&shown.0, columns, column), at(&shown.1, rows, row)];
                    let off = (token[0] - expected[0]).abs().max((token[1] - expected[1]).abs());
                    assert!(off < 1e-4, "{width}x{height} {max_tiles:?}: {token:?}, expected {expected:?}");
                }
            }
        }
    }
}

#[test]
fn merge_types_without_newlines() {
    for (merge_type, count) in [(MergeType::Flat, 3 * 16), (MergeType::Spatial { has_newline: false }, 16 + 4 * 8)] {
        let config = PictureConfig { merge_type, ..anyres(32, 3, Some(9), UnpadRounding::Truncate) };
        let layout = PictureTokens::new(config, 32, 4).layout(50, 20).unwrap();
        let tokens = layout.tokens(&places((2, 1), 4), None).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((layout.count(), tokens.len()), (count, count));
        // Flat keeps the tiles apart, so that column 4 does not follow column 3.
        let fifth = if merge_type == MergeType::Flat { [0.0, 1.0] } else { [4.0, 0.0] };
        assert_eq!(tokens[16 + 4], fifth, "{merge_type:?}");
    }
    let square = PictureConfig { aspect: PictureAspect::Square, merge_type: MergeType::Flat };
    assert_eq!(PictureTokens::new(square, 32, 4).layout(50, 20).unwrap().count(), 16);
}
