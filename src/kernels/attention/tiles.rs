//! The loops over a tile, written once for every width of vector.
//!
//! `tiles!` defines `scores`, `weights` and `accumulate` in the module that calls it, in terms of what that module has:
//! `Vector`, `VECTOR`, `VECTORS`, `ROWS` and `PAIR`, and functions of those names that are used here. Sums of `ROWS` rows
//! and of the tile's vectors stay in registers. Every output has one accumulator, over which products are added in
//! order, so that it is the same in any tile.

macro_rules! tiles {
    ($features:literal) => {
        /// Lanes of a tile.
        const LANES: usize = VECTORS * VECTOR;

        /// # Safety
        /// The slices behind the pointers are as [`Kernel::scores`] says, for `N` vectors of lanes.
        #[target_feature(enable = $features)]
        unsafe fn scores<const N: usize>(
            tile: Tile,
            queries: *const f32,
            keys: *const f32,
            limits: *const i32,
            all_see: i32,
            scores: *mut f32,
            highest: *mut f32,
            ahead: &Ahead<'_>,
        ) {
            // SAFETY: all offsets lie within the slices, as the caller says.
            unsafe {
                let mut high = [splat(UNSEEN); N];
                for key in (0..tile.keys).step_by(ROWS) {
                    let mut sums = [[splat(0.0); N]; ROWS];
                    ahead.fetch_in_scores(key / ROWS, tile.keys / ROWS);
                    let rows = keys.add(key * tile.depth);
                    for word in 0..tile.depth {
                        let mut lanes = [splat(0.0); N];
                        for (vector, lanes) in lanes.iter_mut().enumerate() {
                            *lanes = load(queries.add(word * LANES + vector * VECTOR));
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let number = broadcast(rows.add(row * tile.depth + word));
                            for (sum, lanes) in sums.iter_mut().zip(lanes) {
                                *sum = add_products(*sum, number, lanes);
                            }
                        }
                    }
                    if (key + ROWS) as i32 > all_see {
                        for (row, sums) in sums.iter_mut().enumerate() {
                            for (vector, sum) in sums.iter_mut().enumerate() {
                                let limits = limits.add(vector * VECTOR);
                                *sum = where_below(limits, (key + row) as i32, *sum, splat(UNSEEN));
                            }
                        }
                    }
                    for (row, sums) in sums.iter().enumerate() {
                        for (vector, (sum, high)) in sums.iter().zip(&mut high).enumerate() {
                            *high = max(*high, *sum);
                            store(scores.add((key + row) * LANES + vector * VECTOR), *sum);
                        }
                    }
                }
                for (vector, high) in high.into_iter().enumerate() {
                    store(highest.add(vector * VECTOR), high);
                }
            }
        }

        /// # Safety
        /// The slices behind the pointers are as [`Kernel::weights`] says, for `N` vectors of lanes.
        #[target_feature(enable = $features)]
        unsafe fn weights<const N: usize, const ROUND: bool>(
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
                for key in (0..tile.keys).step_by(2) {
                    for vector in 0..N {
                        let first = scores.add(key * LANES + vector * VECTOR);
                        let power = |score: *const f32| exp2(subtract(multiply(load(score), scale), levels[vector]));
                        let pair = [power(first), power(first.add(LANES))];
                        sums[vector] = add(add(sums[vector], pair[0]), pair[1]);
                        store_weights::<ROUND>(scores.add(key / PAIR * LANES + vector * VECTOR), LANES, pair);
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

        /// # Safety
        /// The slices behind the pointers are as [`Kernel::accumulate`] says, for `N` vectors of lanes.
        #[target_feature(enable = $features)]
        unsafe fn accumulate<const N: usize>(
            tile: Tile,
            values: *const f32,
            weights: *const f32,
            rescale: Option<&[f32]>,
            into: *mut f32,
            ahead: &Ahead<'_>,
        ) {
            // SAFETY: all offsets lie within the slices, as the caller says.
            unsafe {
                for panel in 0..tile.dims / ROWS {
                    ahead.fetch_in_sums(panel, tile.dims / ROWS);
                    let into = into.add(panel * ROWS * LANES);
                    let values = values.add(panel * (tile.packed / PAIR) * ROWS);
                    let mut sums = [[splat(0.0); N]; ROWS];
                    if !tile.first {
                        for (row, sums) in sums.iter_mut().enumerate() {
                            for (vector, sum) in sums.iter_mut().enumerate() {
                                *sum = load(into.add(row * LANES + vector * VECTOR));
                                if let Some(rescale) = rescale {
                                    *sum = multiply(*sum, load(rescale.as_ptr().add(vector * VECTOR)));
                                }
                            }
                        }
                    }
                    for word in 0..tile.keys / PAIR {
                        let mut lanes = [splat(0.0); N];
                        for (vector, lanes) in lanes.iter_mut().enumerate() {
                            *lanes = load(weights.add(word * LANES + vector * VECTOR));
                        }
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let number = broadcast(values.add(word * ROWS + row));
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
        }
    };
}

/// The methods of a [`super::kernel::Kernel`] that run what `tiles!` defines.
macro_rules! tile_methods {
    () => {
        const VECTOR: usize = VECTOR;
        const LANES: usize = LANES;
        const ROWS: usize = ROWS;
        const PAIR: usize = PAIR;

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
            // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
            unsafe {
                match tile.vectors {
                    1 => self::scores::<1>(tile, queries, keys, limits, all_see, scores, highest, ahead),
                    2 => self::scores::<2>(tile, queries, keys, limits, all_see, scores, highest, ahead),
                    _ => self::scores::<VECTORS>(tile, queries, keys, limits, all_see, scores, highest, ahead),
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
                match (tile.vectors, self.rounds()) {
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
            // SAFETY: a value of this type says that the machine has the instructions; the lengths are asserted.
            unsafe {
                match tile.vectors {
                    1 => self::accumulate::<1>(tile, values, weights, rescale, sums, ahead),
                    2 => self::accumulate::<2>(tile, values, weights, rescale, sums, ahead),
                    _ => self::accumulate::<VECTORS>(tile, values, weights, rescale, sums, ahead),
                }
            }
        }
    };
}

pub(super) use {tile_methods, tiles};
