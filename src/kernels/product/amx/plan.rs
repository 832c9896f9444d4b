//! How a product in tiles is cut into items of work, and its columns into runs.

use std::ops::Range;

use super::PAIR;
use super::block::{STEP_COLUMNS, TILE_BYTES};
use crate::kernels::amx::TILE_ROWS;

/// Rows of a block: two tiles.
pub(super) const BAND_ROWS: usize = 2 * TILE_ROWS;
/// The most bands of an item: 512 rows.
const MOST_BANDS: usize = 16;
/// The fewest that items are cut down to for the sake of their number.
const FEWEST_BANDS: usize = 3;
/// The most pairs of panels of an item.
const MOST_PAIRS: usize = 16;
/// With up to so many bands, panels that a source makes are multiplied while they are in the second cache. With more it
/// pays to have the activations there.
const FEW_BANDS: usize = 3;
const MADE_BYTES: usize = 1 << 20;
/// Steps of a run, at most: a pair of panels' tiles for them are most of the first cache.
const RUN_STEPS: usize = 18;
/// Activations of an item that stay in the second cache while all its panels pass.
const KEPT_BYTES: usize = 1 << 20;
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
    /// Steps of 32 columns, and the runs that they are taken in.
    steps: usize,
    runs: usize,
}

impl Plan {
    /// The cuts of `m` rows by so many panels; `are_made` says that the source makes these when it is asked for them.
    pub(super) fn new(m: usize, panels: usize, columns: usize, are_made: bool, threads: usize) -> Self {
        let (bands, pairs) = (m.div_ceil(BAND_ROWS), panels.div_ceil(PAIR));
        let steps = columns.div_ceil(STEP_COLUMNS);
        let most_pairs = match are_made && bands <= FEW_BANDS {
            true => (MADE_BYTES / (PAIR * steps * TILE_BYTES)).clamp(1, MOST_PAIRS),
            false => MOST_PAIRS,
        };
        let mut band_parts = bands.div_ceil(MOST_BANDS);
        let mut pair_parts = pairs.div_ceil(most_pairs);
        let enough = ENOUGH_ITEMS * threads;
        if band_parts * pair_parts < enough {
            pair_parts = enough.div_ceil(band_parts).min(pairs.div_ceil(2));
        }
        if band_parts * pair_parts < enough {
            band_parts = enough.div_ceil(pair_parts).min(bands.div_ceil(FEWEST_BANDS)).max(band_parts);
        }
        let few = bands.div_ceil(band_parts) < FEWEST_BANDS_FOR_RUNS;
        let runs = if few { 1 } else { steps.div_ceil(RUN_STEPS) };
        Self { bands, panels, band_parts, pair_parts, steps, runs }
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

    #[cfg(test)]
    fn runs(&self) -> usize {
        self.runs
    }

    /// The steps of a run.
    pub(super) fn run(&self, run: usize) -> Range<usize> {
        self.steps * run / self.runs..self.steps * (run + 1) / self.runs
    }

    /// In which order an item of so many panels takes its pairs and runs.
    pub(super) fn order(&self, panels: usize) -> Order {
        let band_bytes = 2 * self.steps * TILE_BYTES;
        let runs_first = self.bands.div_ceil(self.band_parts) * band_bytes <= KEPT_BYTES;
        Order { pairs: panels.div_ceil(PAIR), runs: self.runs, runs_first }
    }
}

/// An order of pairs of panels and runs of steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pairs: usize,
    runs: usize,
    /// All runs of a pair, then those of the next.
    runs_first: bool,
}

impl Order {
    pub(super) fn len(self) -> usize {
        self.pairs * self.runs
    }

    /// What comes at some place in the order.
    pub(super) fn get(self, index: usize) -> Option<InOrder> {
        let (run, pair, set, finished_rows) = match self.runs_first {
            _ if index >= self.len() => return None,
            true => {
                let pair = index / self.runs;
                (index % self.runs, pair, pair % 2, BAND_ROWS.div_ceil(self.runs))
            }
            false => (index / self.pairs, index % self.pairs, index % self.pairs, BAND_ROWS),
        };
        Some(InOrder { run, pair, set, finished_rows, is_last_run: run + 1 == self.runs })
    }

    /// Sets of sums, one for each band, that are set aside at the same time.
    pub(super) fn sets(self) -> usize {
        if self.runs_first { self.pairs.min(2) } else { self.pairs }
    }
}

/// A run of a pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct InOrder {
    pub(super) run: usize,
    pub(super) pair: usize,
    pub(super) is_last_run: bool,
    /// Where its sums are.
    pub(super) set: usize,
    /// Unfinished rows that are to be finished with each band.
    pub(super) finished_rows: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_band_and_panel_is_in_one_item(
            m in 1usize..2000,
            panels in 1usize..300,
            are_made: bool,
            threads in 1usize..70,
        ) {
            let plan = Plan::new(m, panels, 1152, are_made, threads);
            let mut taken = vec![0; m.div_ceil(BAND_ROWS) * panels];
            for index in 0..plan.items() {
                let (bands, of) = plan.item(index);
                prop_assert!(!bands.is_empty() && !of.is_empty() && of.start % PAIR == 0);
                bands.for_each(|band| of.clone().for_each(|panel| taken[band * panels + panel] += 1));
            }
            prop_assert!(taken.into_iter().all(|times| times == 1));
        }

        /// Each pair has all steps in order, and its sums stay where they are until they are finished: until the next
        /// pair has its own, if runs of a pair follow each other, or else to the end.
        #[test]
        fn every_pair_takes_every_run_in_order(
            m in 1usize..700,
            panels in 1usize..40,
            columns in 1usize..9000,
            are_made: bool,
        ) {
            let plan = Plan::new(m, panels, columns, are_made, 2);
            let order = plan.order(panels);
            let pairs = panels.div_ceil(PAIR);
            let mut next = vec![0; pairs];
            let mut owners = vec![None; order.sets()];
            for index in 0..order.len() {
                let InOrder { run, pair, is_last_run, set, finished_rows } = order.get(index).expect("a place");
                prop_assert_eq!(run, next[pair]);
                next[pair] += 1;
                prop_assert_eq!(is_last_run, next[pair] == plan.runs());
                match owners[set].replace(pair) {
                    Some(owner) if owner != pair => prop_assert!(owner + 1 < pair && next[owner] == plan.runs()),
                    _ => {}
                }
                let times = if order.runs_first { plan.runs() } else { 1 };
                prop_assert!(finished_rows * times >= BAND_ROWS);
            }
            prop_assert!(next.into_iter().all(|runs| runs == plan.runs()) && order.get(order.len()).is_none());
            let steps: Vec<usize> = (0..plan.runs()).flat_map(|run| plan.run(run)).collect();
            prop_assert_eq!(steps, (0..columns.div_ceil(STEP_COLUMNS)).collect::<Vec<_>>());
        }
    }
}
