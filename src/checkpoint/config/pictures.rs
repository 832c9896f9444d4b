//! How still pictures become visual tokens, as config.json says; a config that does not say is refused with the reason.
//!
//! Sources: `process_images`, `process_anyres_image` and `get_anyres_image_grid_shape` in LLaVA-NeXT `mm_utils.py`; the
//! image branch of `prepare_inputs_labels_for_multimodal` in `llava_arch.py`; `LlavaOnevisionConfig` of transformers.

use serde_json::Value;

use super::super::json::Object;
use super::video_tokens::MergeType;

/// A picture's side as the tower takes it, in pixels, and the sizes that a picture may be cut in tiles at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyresConfig {
    /// Canvas sizes in pixels, (width, height), in the order in which ties are decided.
    pub canvases: Vec<(usize, usize)>,
    /// A map of more patches than so many tiles have is shrunk (the N of `anyres_max_N`).
    pub max_tiles: Option<usize>,
    /// How the part of the map that is no padding is rounded.
    pub rounding: UnpadRounding,
}

/// How the number of rows or columns without padding is rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnpadRounding {
    /// As the original: towards zero.
    Truncate,
    /// As transformers: to seven decimals, then towards zero.
    SevenDecimals,
}

/// What is made of a picture (`image_aspect_ratio`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureAspect {
    /// Squeezed to a square (the default).
    Square,
    /// Padded with grey to a square.
    Pad,
    /// Squeezed to a square, and cut in tiles besides.
    Anyres(AnyresConfig),
}

/// How a picture becomes visual tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureConfig {
    /// What is made of the picture.
    pub aspect: PictureAspect,
    /// The merge type, which decides whether newlines and unpadding apply.
    pub merge_type: MergeType,
}

/// The keys of the original layout; the error is the reason why pictures cannot be asked about.
pub(super) fn original(object: &Object, merge_type: MergeType, image_size: usize) -> Result<PictureConfig, String> {
    let merge_name = text(object, "mm_patch_merge_type")?.unwrap_or("flat");
    if let Some(part) = ["maxpool2x2", "nobase"].into_iter().find(|part| merge_name.contains(part)) {
        return Err(format!("mm_patch_merge_type is `{merge_name}`, and `{part}` is not supported for pictures"));
    }
    let aspect = match text(object, "image_aspect_ratio")?.unwrap_or("square") {
        "square" => PictureAspect::Square,
        "pad" => PictureAspect::Pad,
        name => PictureAspect::Anyres(AnyresConfig {
            max_tiles: max_tiles("image_aspect_ratio", name)?,
            canvases: canvases(object.value("image_grid_pinpoints"), image_size)?,
            rounding: UnpadRounding::Truncate,
        }),
    };
    Ok(PictureConfig { aspect, merge_type })
}

/// The keys of the HF layout, which has no other way than anyres. Its pairs are (height, width).
pub(super) fn hugging_face(object: &Object, image_size: usize) -> Result<PictureConfig, String> {
    let name = text(object, "vision_aspect_ratio")?.unwrap_or("anyres_max_9");
    let max_tiles = max_tiles("vision_aspect_ratio", name)?;
    if max_tiles.is_none() {
        return Err(format!("vision_aspect_ratio is `{name}`, expected anyres_max_N"));
    }
    let canvases = match object.value("image_grid_pinpoints") {
        // LlavaOnevisionConfig's default.
        None => every_canvas(384, 1..=6, 1..=6),
        pairs => canvases(pairs, image_size)?,
    };
    let canvases = canvases.into_iter().map(|(height, width)| (width, height)).collect();
    let anyres = AnyresConfig {
        canvases: whole_tiles(canvases, image_size)?,
        max_tiles,
        rounding: UnpadRounding::SevenDecimals,
    };
    Ok(PictureConfig { aspect: PictureAspect::Anyres(anyres), merge_type: MergeType::Spatial { has_newline: true } })
}

fn text<'o>(object: &'o Object, key: &str) -> Result<Option<&'o str>, String> {
    object.str(key).map_err(|_| format!("{key} is not a string"))
}

/// N of `anyres_max_N`; none for `anyres`.
fn max_tiles(key: &str, name: &str) -> Result<Option<usize>, String> {
    let count = name.strip_prefix("anyres_max_").and_then(|n| n.parse().ok()).filter(|&n: &usize| n > 0);
    match count {
        None if name != "anyres" => Err(format!("{key} is `{name}`, expected square, pad, anyres or anyres_max_N")),
        count => Ok(count),
    }
}

/// `image_grid_pinpoints`: a list of pairs in pixels, such a list as a string, or `(1x1),...,(6x6)` counted in tiles.
fn canvases(value: Option<&Value>, image_size: usize) -> Result<Vec<(usize, usize)>, String> {
    let wrong = || {
        let found = value.map_or_else(|| "missing".to_owned(), |value| format!("{value}"));
        format!("image_grid_pinpoints is {found}, expected pairs of pixels or `(1x1),...,(6x6)`")
    };
    let pairs = match value {
        Some(Value::String(text)) if text.contains('x') => {
            let corners: Vec<(usize, usize)> = tile_pairs(text);
            let (Some(first), Some(last)) = (corners.first(), corners.last()) else { return Err(wrong()) };
            // A grid beyond any that is published would only make a list too long to hold.
            if last.0.max(last.1) > MAX_TILES_A_SIDE {
                return Err(wrong());
            }
            every_canvas(image_size, first.0..=last.0, first.1..=last.1)
        }
        // Python writes tuples.
        Some(Value::String(text)) => {
            let list = text.replace('(', "[").replace(')', "]");
            serde_json::from_str(&list).map_err(|_| wrong())?
        }
        Some(list) => serde_json::from_value(list.clone()).map_err(|_| wrong())?,
        None => return Err(wrong()),
    };
    match pairs.is_empty() {
        true => Err(wrong()),
        false => whole_tiles(pairs, image_size),
    }
}

/// Most tiles along one side of a canvas.
const MAX_TILES_A_SIDE: usize = 64;

/// Refuses canvases that tiles of `image_size` pixels do not fill.
fn whole_tiles(canvases: Vec<(usize, usize)>, image_size: usize) -> Result<Vec<(usize, usize)>, String> {
    let fits = |side: usize| side > 0 && side.is_multiple_of(image_size) && side / image_size <= MAX_TILES_A_SIDE;
    match canvases.iter().find(|&&(width, height)| !fits(width) || !fits(height)) {
        Some((a, b)) => Err(format!(
            "image_grid_pinpoints has {a}x{b}, which is not a whole number of tiles of {image_size} pixels"
        )),
        None => Ok(canvases),
    }
}

/// The numbers of each `(AxB)` in a text.
fn tile_pairs(text: &str) -> Vec<(usize, usize)> {
    let pair = |part: &str| {
        let (a, b) = part.split_once(')')?.0.split_once('x')?;
        Some((a.parse().ok()?, b.parse().ok()?))
    };
    text.split('(').filter_map(pair).collect()
}

fn every_canvas(
    tile: usize,
    first: std::ops::RangeInclusive<usize>,
    second: std::ops::RangeInclusive<usize>,
) -> Vec<(usize, usize)> {
    first.flat_map(|a| second.clone().map(move |b| (a * tile, b * tile))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object") };
        Object { path: "config.json".into(), map }
    }

    const UNPAD: MergeType = MergeType::Spatial { has_newline: true };

    fn anyres(value: Value) -> AnyresConfig {
        match original(&object(value), UNPAD, 384).expect("a usable config").aspect {
            PictureAspect::Anyres(anyres) => anyres,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_three_ways_to_write_canvases() {
        let range = anyres(json!({ "image_aspect_ratio": "anyres_max_9", "image_grid_pinpoints": "(1x1),...,(6x6)" }));
        assert_eq!((range.canvases.len(), range.max_tiles), (36, Some(9)));
        assert_eq!(range.canvases[..2], [(384, 384), (384, 768)]);
        assert_eq!(range.canvases[35], (2304, 2304));
        let pairs = [(384, 768), (768, 384)];
        let list = json!({ "image_aspect_ratio": "anyres", "image_grid_pinpoints": [[384, 768], [768, 384]] });
        assert_eq!((anyres(list.clone()).canvases, anyres(list).max_tiles), (pairs.to_vec(), None));
        let text = json!({ "image_aspect_ratio": "anyres", "image_grid_pinpoints": "[(384, 768), (768, 384)]" });
        assert_eq!(anyres(text).canvases, pairs);
    }

    #[test]
    fn what_would_be_a_guess_is_refused() {
        for (config, reason) in [
            (json!({ "image_aspect_ratio": "anyres_max_9" }), "image_grid_pinpoints is missing"),
            (json!({ "image_aspect_ratio": "anyres_max_9", "image_grid_pinpoints": [] }), "image_grid_pinpoints is []"),
            (json!({ "image_aspect_ratio": "anyres", "image_grid_pinpoints": [[400, 384]] }), "400x384"),
            (json!({ "image_aspect_ratio": "anyres", "image_grid_pinpoints": "(1x1),(9999999x2)" }), "9999999"),
            (json!({ "image_aspect_ratio": "anyres", "image_grid_pinpoints": "many" }), "many"),
            (json!({ "image_aspect_ratio": "highres" }), "`highres`"),
            (json!({ "image_aspect_ratio": "anyres_max_x" }), "`anyres_max_x`"),
            (json!({ "image_aspect_ratio": 7 }), "not a string"),
            (json!({ "mm_patch_merge_type": "spatial_unpad_maxpool2x2" }), "maxpool2x2"),
        ] {
            let refused = original(&object(config.clone()), UNPAD, 384).expect_err("refused");
            assert!(refused.contains(reason), "{config}: {refused}");
        }
        assert_eq!(original(&object(json!({})), UNPAD, 384).expect("usable").aspect, PictureAspect::Square);
    }

    #[test]
    fn hf_pairs_are_height_and_width() {
        let config = object(json!({ "image_grid_pinpoints": [[384, 768]] }));
        let PictureAspect::Anyres(anyres) = hugging_face(&config, 384).expect("usable").aspect else {
            panic!("anyres")
        };
        assert_eq!((anyres.canvases, anyres.max_tiles), (vec![(768, 384)], Some(9)));
        assert!(hugging_face(&object(json!({ "vision_aspect_ratio": "anyres" })), 384).is_err());
    }
}
