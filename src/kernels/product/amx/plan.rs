//! How a product in tiles is cut into items of work, and its columns into runs.

use std::ops::Range;

use super::PAIR;
use super::block::STEP_COLUMNS;
use crate::kernels::amx::TILE_ROWS;

/// Rows of a block: two tiles.
pub(super) const BAND_ROWS: usize = 2 * TILE_ROWS;
/// The most bands of an item: 512 rows.
const MOST_BANDS: usize = 16;
/// The fewest that items are cut down to for the sake of their number.
const FEWEST_BANDS: usize = 3;
/// The most pairs of panels of an item.
const MOST_PAIRS: usize = 16;
/// Steps of a run, at most: a pair of panels' tiles for them are most of the first cache.
const RUN_STEPS: usize = 18;
/// With fewer bands it does not pay to set sums aside.
const FEWEST_BANDS_FOR_RUNS: usize = 3;
/// So many items for each thread keep all of them equally busy.
const ENOUGH_ITEMS: usize = 4;

/// The cuts.
#[derive(Debug)]
pub(super) struct Plan {
    bands: usize,
    panels: usize,
    /// Parts of the bands and of the pairs of panels.
    band_parts: usize,
    pair_parts: usize,
    /// Where runs of steps begin, and the end of the last.
    runs: Vec<usize>,
}

impl Plan {
    pub(super) fn new(m: usize, panels: usize, columns: usize, threads: usize) -> Self {
        let (bands, pairs) = (m.div_ceil(BAND_ROWS), panels.div_ceil(PAIR));
        let mut band_parts = bands.div_ceil(MOST_BANDS);
        let mut pair_parts = pairs.div_ceil(MOST_PAIRS);
        let enough = ENOUGH_ITEMS * threads;
        if band_parts * pair_parts < enough {
            pair_parts = enough.div_ceil(band_parts).min(pairs.div_ceil(2));
        }
        if band_parts * pair_parts < enough {
            band_parts = enough.div_ceil(pair_parts).min(bands.div_ceil(FEWEST_BANDS)).max(band_parts);
        }
        let steps = columns.div_ceil(STEP_COLUMNS);
        let count = if bands.div_ceil(band_parts) < FEWEST_BANDS_FOR_RUNS { 1 } else { steps.div_ceil(RUN_STEPS) };
        let runs = (0..=count).map(|run| steps * run / count).collect();
        Self { bands, panels, band_parts, pair_parts, runs }
    }

    pub(super) fn items(&self) -> usize {
        self.band_parts * self.pair_parts
    }

    /// Bands and panels of an item. Items with the same bands follow each other.
    pub(super) fn item(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let part = |part: usize, parts: usize, of: usize| of * part / parts..of * (part + 1) / parts;
        let bands = part(index / self.pair_parts, self.band_parts, self.bands);
        let pairs = part(index % self.pair_parts, self.pair_parts, self.panels.div_ceil(PAIR));
        (bands, pairs.start * PAIR..(pairs.end * PAIR).min(self.panels))
    }

    pub(super) fn runs(&self) -> &[usize] {
        &self.runs
    }
}
