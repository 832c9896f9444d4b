//! The loops over a tile, written once for every width of vector.
//!
//! `tiles!` defines `scores`, `weights` and `accumulate` in the module that calls it, in terms of what that module has:
//! `Vector`, `VECTOR`, `LANES`, `ROWS` and `PAIR`, and functions of those names that are used here. Sums of `ROWS` rows
//! and of the tile's vectors stay in registers. Every output has one accumulator, over which products are added in
//! order, so that it is the same in any tile.

use super::ahead::Ahead;

/// The operands of [`super::kernel::Kernel::scores`].
pub(super) struct Scores<'a> {
    pub(super) queries: *const f32,
    pub(super) keys: *const f32,
    pub(super) limits: *const i32,
    pub(super) all_see: i32,
    pub(super) scores: *mut f32,
    pub(super) highest: *mut f32,
    pub(super) ahead: &'a Ahead<'a>,
}

/// The operands of [`super::kernel::Kernel::accumulate`].
pub(super) struct Sums<'a> {
    pub(super) values: *const f32,
    pub(super) weights: *const f32,
    pub(super) rescale: Option<&'a [f32]>,
    pub(super) sums: *mut f32,
    pub(super) ahead: &'a Ahead<'a>,
}

macro_rules! tiles {
    ($features:literal) => {
        $crate::kernels::attention::tiles::softmax!($features);

        /// # Safety
        /// The slices behind the pointers are as [`Kernel::scores`] says, for `N` vectors of lanes.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn scores<const N: usize>(tile: Tile, operands: &Scores<'_>) {
            let mut high = [splat(UNSEEN); N];
            let mut key = 0;
            // SAFETY: as the caller says.
            unsafe {
                // A sum waits for the one before it: with one vector there are too few of them in `ROWS` rows.
                while N == 1 && key + 2 * ROWS <= tile.keys {
                    score_rows::<N, { 2 * ROWS }>(tile, operands, key, &mut high);
                    key += 2 * ROWS;
                }
                while key < tile.keys {
                    score_rows::<N, ROWS>(tile, operands, key, &mut high);
                    key += ROWS;
                }
                for (vector, high) in high.into_iter().enumerate() {
                    store(operands.highest.add(vector * VECTOR), high);
                }
            }
        }

        /// The scores of `R` keys from `key` on.
        ///
        /// # Safety
        /// As for `scores`.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn score_rows<const N: usize, const R: usize>(
            tile: Tile,
            operands: &Scores<'_>,
            key: usize,
            high: &mut [Vector; N],
        ) {
            operands.ahead.fetch_in_scores(key..key + R, tile.keys);
            // SAFETY: all offsets lie within the slices, as the caller says.
            unsafe {
                let rows = operands.keys.add(key * tile.depth);
                let mut sums = [[splat(0.0); N]; R];
                for word in 0..tile.depth {
                    let mut lanes = [splat(0.0); N];
                    for (vector, lanes) in lanes.iter_mut().enumerate() {
                        *lanes = load(operands.queries.add(word * LANES + vector * VECTOR));
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let number = broadcast(rows.add(row * tile.depth + word));
                        for (sum, lanes) in sums.iter_mut().zip(lanes) {
                            *sum = add_products(*sum, number, lanes);
                        }
                    }
                }
                if (key + R) as i32 > operands.all_see {
                    for (row, sums) in sums.iter_mut().enumerate() {
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            let limits = operands.limits.add(vector * VECTOR);
                            *sum = where_below(limits, (key + row) as i32, *sum, splat(UNSEEN));
                        }
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (vector, (sum, high)) in sums.iter().zip(high.iter_mut()).enumerate() {
                        *high = max(*high, *sum);
                        store(operands.scores.add((key + row) * LANES + vector * VECTOR), *sum);
                    }
                }
            }
        }

        /// # Safety
        /// The slices behind the pointers are as [`Kernel::accumulate`] says, for `N` vectors of lanes.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn accumulate<const N: usize>(tile: Tile, operands: &Sums<'_>) {
            let mut dim = 0;
            // SAFETY: as the caller says.
            unsafe {
                while N == 1 && dim + 2 * ROWS <= tile.dims {
                    sum_rows::<N, { 2 * ROWS }>(tile, operands, dim);
                    dim += 2 * ROWS;
                }
                while dim < tile.dims {
                    sum_rows::<N, ROWS>(tile, operands, dim);
                    dim += ROWS;
                }
            }
        }

        /// The sums of `R` dims from `dim` on.
        ///
        /// # Safety
        /// As for `accumulate`.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn sum_rows<const N: usize, const R: usize>(tile: Tile, operands: &Sums<'_>, dim: usize) {
            operands.ahead.fetch_in_sums(dim..dim + R, tile.dims);
            // SAFETY: all offsets lie within the slices, as the caller says.
            unsafe {
                let into = operands.sums.add(dim * LANES);
                let panel = tile.packed / PAIR * ROWS;
                let values = operands.values.add(dim / ROWS * panel);
                let mut sums = [[splat(0.0); N]; R];
                if !tile.first {
                    for (row, sums) in sums.iter_mut().enumerate() {
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            *sum = load(into.add(row * LANES + vector * VECTOR));
                            if let Some(rescale) = operands.rescale {
                                *sum = multiply(*sum, load(rescale.as_ptr().add(vector * VECTOR)));
                            }
                        }
                    }
                }
                for word in 0..tile.keys / PAIR {
                    let mut lanes = [splat(0.0); N];
                    for (vector, lanes) in lanes.iter_mut().enumerate() {
                        *lanes = load(operands.weights.add(word * LANES + vector * VECTOR));
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let number = broadcast(values.add(row / ROWS * panel + word * ROWS + row % ROWS));
                        for (sum, lanes) in sums.iter_mut().zip(lanes) {
                            *sum = add_products(*sum, number, lanes);
                        }
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (vector, sum) in sums.iter().enumerate() {
                        store(into.add(row * LANES + vector * VECTOR), *sum);
                    }
                }
            }
        }
    };
}

/// Defines `weights` alone, in terms of what a module has, too.
macro_rules! softmax {
    ($features:literal) => {
        /// # Safety
        /// The slices behind the pointers are as [`Kernel::weights`] says, for `N` vectors of lanes.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn weights<const N: usize, const ROUND: bool>(
            tile: Tile,
            scale: f32,
            scores: *mut f32,
            softmax: &mut Softmax<'_>,
        ) -> bool {
            let scale = splat(scale);
            let mut moved = false;
            let mut levels = [splat(0.0); N];
            let mut sums = [splat(0.0); N];
            // SAFETY: all offsets lie within the slices, as the caller says. Weights are written over scores that
            // were read before: a word takes as many rows of scores as it holds weights.
            unsafe {
                for (vector, level) in levels.iter_mut().enumerate() {
                    let before = load(softmax.level.as_ptr().add(vector * VECTOR));
                    let highest = load(softmax.highest.as_ptr().add(vector * VECTOR));
                    *level = max(before, multiply(highest, scale));
                    moved |= differ(*level, before);
                    store(softmax.level.as_mut_ptr().add(vector * VECTOR), *level);
                    store(softmax.rescale.as_mut_ptr().add(vector * VECTOR), exp2(subtract(before, *level)));
                }
                // Not multiplied and subtracted in one: the level is rounded, too, and none may come out above it.
                for word in 0..tile.keys / PAIR {
                    for vector in 0..N {
                        let mut weights = [splat(0.0); PAIR];
                        for (row, weight) in weights.iter_mut().enumerate() {
                            let score = load(scores.add((word * PAIR + row) * LANES + vector * VECTOR));
                            *weight = exp2(subtract(multiply(score, scale), levels[vector]));
                            sums[vector] = add(sums[vector], *weight);
                        }
                        store_weights::<ROUND>(scores.add(word * LANES + vector * VECTOR), weights);
                    }
                }
                for (vector, sum) in sums.into_iter().enumerate() {
                    let total = softmax.total.as_mut_ptr().add(vector * VECTOR);
                    let rescale = load(softmax.rescale.as_ptr().add(vector * VECTOR));
                    store(total, add(multiply(load(total), rescale), sum));
                }
            }
            moved
        }
    };
}

/// The methods of a [`super::kernel::Kernel`] that run what `tiles!` defines, here and, for tiles whose lanes fill no
/// more than half a vector, in a module of narrower vectors.
macro_rules! tile_methods {
    ($($narrow:ident)?) => {
        const VECTOR: usize = VECTOR;
        const LANES: usize = LANES;
        const ROWS: usize = ROWS;
        const PAIR: usize = PAIR;

        type SetUp = ();

        fn set_up(self) {}

        fn scores(
            self,
            tile: Tile,
            queries: &[f32],
            keys: &[f32],
            limits: &[i32],
            all_see: i32,
            scores: &mut [f32],
            highest: &mut [f32],
            ahead: &Ahead<'_>,
        ) {
            assert!(tile.keys.is_multiple_of(ROWS) && queries.len() >= tile.depth * LANES);
            assert!(keys.len() >= tile.keys * tile.depth && scores.len() >= tile.keys * LANES);
            assert!(limits.len() >= LANES && highest.len() >= LANES);
            let (queries, keys, limits) = (queries.as_ptr(), keys.as_ptr(), limits.as_ptr());
            let (scores, highest) = (scores.as_mut_ptr(), highest.as_mut_ptr());
            let operands = &Scores { queries, keys, limits, all_see, scores, highest, ahead };
            // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
            unsafe {
                match tile.lanes.div_ceil(VECTOR) {
                    $(1 if tile.lanes <= VECTOR / 2 => $narrow::scores::<1>(tile, operands),)?
                    1 => self::scores::<1>(tile, operands),
                    2 => self::scores::<2>(tile, operands),
                    _ => self::scores::<VECTORS>(tile, operands),
                }
            }
        }

        fn weights(self, tile: Tile, scale: f32, scores: &mut [f32], softmax: &mut Softmax<'_>) -> bool {
            assert!(tile.keys.is_multiple_of(ROWS) && scores.len() >= tile.keys * LANES);
            assert!(softmax.highest.len() >= LANES && softmax.level.len() >= LANES);
            assert!(softmax.total.len() >= LANES && softmax.rescale.len() >= LANES);
            let scores = scores.as_mut_ptr();
            // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
            unsafe {
                match (tile.lanes.div_ceil(VECTOR), self.rounds()) {
                    $((1, false) if tile.lanes <= VECTOR / 2 => {
                        $narrow::weights::<1, false>(tile, scale, scores, softmax)
                    }
                    (1, true) if tile.lanes <= VECTOR / 2 => {
                        $narrow::weights::<1, true>(tile, scale, scores, softmax)
                    })?
                    (1, false) => self::weights::<1, false>(tile, scale, scores, softmax),
                    (2, false) => self::weights::<2, false>(tile, scale, scores, softmax),
                    (_, false) => self::weights::<VECTORS, false>(tile, scale, scores, softmax),
                    (1, true) => self::weights::<1, true>(tile, scale, scores, softmax),
                    (2, true) => self::weights::<2, true>(tile, scale, scores, softmax),
                    (_, true) => self::weights::<VECTORS, true>(tile, scale, scores, softmax),
                }
            }
        }

        fn accumulate(
            self,
            tile: Tile,
            values: &[f32],
            weights: &[f32],
            rescale: Option<&[f32]>,
            sums: &mut [f32],
            ahead: &Ahead<'_>,
        ) {
            assert!(tile.keys.is_multiple_of(ROWS) && tile.dims.is_multiple_of(ROWS) && tile.keys <= tile.packed);
            assert!(values.len() >= tile.packed / PAIR * tile.dims && weights.len() >= tile.keys / PAIR * LANES);
            assert!(sums.len() >= tile.dims * LANES && rescale.is_none_or(|rescale| rescale.len() >= LANES));
            let (values, weights, sums) = (values.as_ptr(), weights.as_ptr(), sums.as_mut_ptr());
            let operands = &Sums { values, weights, rescale, sums, ahead };
            // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
            unsafe {
                match tile.lanes.div_ceil(VECTOR) {
                    $(1 if tile.lanes <= VECTOR / 2 => $narrow::accumulate::<1>(tile, operands),)?
                    1 => self::accumulate::<1>(tile, operands),
                    2 => self::accumulate::<2>(tile, operands),
                    _ => self::accumulate::<VECTORS>(tile, operands),
                }
            }
        }
    };
}

pub(super) use {softmax, tile_methods, tiles};
