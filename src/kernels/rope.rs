//! Between a decoder layer's first product and its attention: rotates queries and keys, and stores keys and values.

use super::isa::Isa;
use super::out::{Disjoint, Value};
use super::pool;

/// About so many values make a task: below it, handing out costs more than it gains.
const TASK_VALUES: usize = 1 << 14;

/// The heads of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    /// Heads of keys, and as many of values.
    pub(crate) keys: usize,
    /// Values of one head, an even number.
    pub(crate) width: usize,
}

impl Heads {
    /// Values of a position: queries, keys, values.
    pub(crate) fn row(self) -> usize {
        (self.queries + 2 * self.keys) * self.width
    }
}

/// Angles of consecutive positions, each `[positions, width / 2]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation<'a> {
    pub(crate) cos: &'a [f32],
    pub(crate) sin: &'a [f32],
}

/// Where a layer keeps keys and values, each `[heads, capacity, width]`.
#[derive(Debug)]
pub(crate) struct CacheMut<'a, T> {
    pub(crate) keys: &'a mut [T],
    pub(crate) values: &'a mut [T],
    /// Positions that there is room for.
    pub(crate) capacity: usize,
    /// The position that the first row is stored at.
    pub(crate) first: usize,
}

/// Takes the rows `[positions, queries + keys + values]` of `qkv` apart: rotated queries go to `queries`
/// `[positions, heads, width]`, rotated keys and the values to `cache`.
///
/// Value i of a head and the one half a head later turn by the same angle. All instructions give the same bits.
pub(crate) fn rotate_and_store<T: Value>(
    isa: Isa,
    heads: Heads,
    qkv: &[f32],
    rotation: Rotation<'_>,
    queries: &mut [f32],
    cache: CacheMut<'_, T>,
) {
    let row = heads.row();
    assert!(row > 0 && heads.width.is_multiple_of(2) && qkv.len().is_multiple_of(row), "rows of {heads:?}");
    let positions = qkv.len() / row;
    let angles = positions * heads.width / 2;
    assert_eq!((rotation.cos.len(), rotation.sin.len()), (angles, angles), "an angle for each pair");
    assert_eq!(queries.len(), positions * heads.queries * heads.width, "room for the queries");
    let room = heads.keys * cache.capacity * heads.width;
    assert_eq!((cache.keys.len(), cache.values.len()), (room, room), "a cache of {} positions", cache.capacity);
    assert!(cache.first + positions <= cache.capacity, "{positions} from {} on", cache.first);
    let layer = Layer {
        heads,
        qkv,
        rotation,
        queries: Disjoint::new(queries),
        keys: Disjoint::new(cache.keys),
        values: Disjoint::new(cache.values),
        capacity: cache.capacity,
        first: cache.first,
    };
    let task_positions = TASK_VALUES.div_ceil(row);
    pool::run(positions.div_ceil(task_positions), |task| {
        let first = task * task_positions;
        let positions = first..positions.min(first + task_positions);
        match isa {
            // SAFETY: sets of instructions that are handed around are ones that this machine has.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => {
                positions.for_each(|position| unsafe { layer.position_avx512(position) })
            }
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => positions.for_each(|position| unsafe { layer.position_avx2(position) }),
            _ => positions.for_each(|position| layer.position(position)),
        }
    });
}

struct Layer<'a, T> {
    heads: Heads,
    qkv: &'a [f32],
    rotation: Rotation<'a>,
    queries: Disjoint<'a, f32>,
    keys: Disjoint<'a, T>,
    values: Disjoint<'a, T>,
    capacity: usize,
    first: usize,
}

impl<T: Value> Layer<'_, T> {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn position_avx512(&self, position: usize) {
        self.position(position);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn position_avx2(&self, position: usize) {
        self.position(position);
    }

    /// One position; no two threads do the same one. Compiled for the features of whoever calls this.
    #[inline(always)]
    fn position(&self, position: usize) {
        let Heads { queries, keys, width } = self.heads;
        let row = &self.qkv[position * self.heads.row()..][..self.heads.row()];
        let (query, rest) = row.split_at(queries * width);
        let (key, value) = rest.split_at(keys * width);
        let cos = &self.rotation.cos[position * width / 2..][..width / 2];
        let sin = &self.rotation.sin[position * width / 2..][..width / 2];
        for (head, x) in query.chunks_exact(width).enumerate() {
            // SAFETY: each position and head has a place of its own.
            rotate(x, cos, sin, unsafe { self.queries.part((position * queries + head) * width, width) });
        }
        let place = |head: usize| (head * self.capacity + self.first + position) * width;
        for (head, x) in key.chunks_exact(width).enumerate() {
            // SAFETY: as above.
            rotate(x, cos, sin, unsafe { self.keys.part(place(head), width) });
        }
        for (head, x) in value.chunks_exact(width).enumerate() {
            // SAFETY: as above.
            let stored = unsafe { self.values.part(place(head), width) };
            stored.iter_mut().zip(x).for_each(|(stored, &x)| *stored = T::of(x));
        }
    }
}

/// Turns the pairs of one head.
#[inline(always)]
fn rotate<T: Value>(x: &[f32], cos: &[f32], sin: &[f32], out: &mut [T]) {
    let half = cos.len();
    let (low, high) = x.split_at(half);
    let (low_out, high_out) = out.split_at_mut(half);
    let (high, sin, high_out) = (&high[..half], &sin[..half], &mut high_out[..half]);
    for i in 0..half {
        low_out[i] = T::of(low[i] * cos[i] - high[i] * sin[i]);
        high_out[i] = T::of(high[i] * cos[i] + low[i] * sin[i]);
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Case {
        heads: Heads,
        capacity: usize,
        first: usize,
        qkv: Vec<f32>,
        cos: Vec<f32>,
        sin: Vec<f32>,
    }

    fn cases() -> impl Strategy<Value = Case> {
        let sizes = (1usize..8, 1usize..4, 1usize..40, 0usize..50, 0usize..9, 0usize..9);
        sizes.prop_map(|(queries, keys, half, positions, first, spare)| {
            let heads = Heads { queries, keys, width: 2 * half };
            let wave = |i: usize, step: f32| (i as f32 * step).sin();
            Case {
                heads,
                capacity: first + positions + spare,
                first,
                qkv: (0..positions * heads.row()).map(|i| 3.0 * wave(i, 0.731)).collect(),
                cos: (0..positions * half).map(|i| wave(i + 1, 0.37)).collect(),
                sin: (0..positions * half).map(|i| wave(i + 2, 1.93)).collect(),
            }
        })
    }

    impl Case {
        fn positions(&self) -> usize {
            self.qkv.len() / self.heads.row()
        }

        /// Queries, keys and values, the positions from `from` on, stored beside `untouched` values.
        fn run<T: Value>(
            &self,
            isa: Isa,
            positions: std::ops::Range<usize>,
            untouched: T,
        ) -> (Vec<f32>, Vec<T>, Vec<T>) {
            let Heads { queries, keys, width } = self.heads;
            let mut out = vec![f32::NAN; positions.len() * queries * width];
            let mut cache = [(); 2].map(|()| vec![untouched; keys * self.capacity * width]);
            let [stored_keys, stored_values] = &mut cache;
            let angles = positions.start * width / 2..positions.end * width / 2;
            rotate_and_store(
                isa,
                self.heads,
                &self.qkv[positions.start * self.heads.row()..positions.end * self.heads.row()],
                Rotation { cos: &self.cos[angles.clone()], sin: &self.sin[angles] },
                &mut out,
                CacheMut {
                    keys: stored_keys,
                    values: stored_values,
                    capacity: self.capacity,
                    first: self.first + positions.start,
                },
            );
            let [stored_keys, stored_values] = cache;
            (out, stored_keys, stored_values)
        }
    }

    proptest! {
        #[test]
        fn each_value_goes_to_its_place(case in cases()) {
            let Heads { queries, keys, width } = case.heads;
            let half = width / 2;
            for isa in Isa::available() {
                let (q, k, v) = case.run(isa, 0..case.positions(), -77.5f32);
                for position in 0..case.positions() {
                    let row = &case.qkv[position * case.heads.row()..][..case.heads.row()];
                    for (head, x) in row[..(queries + keys) * width].chunks_exact(width).enumerate() {
                        let got = match head.checked_sub(queries) {
                            None => &q[(position * queries + head) * width..][..width],
                            Some(head) => &k[(head * case.capacity + case.first + position) * width..][..width],
                        };
                        for i in 0..half {
                            let [low, high] = [x[i], x[i + half]].map(f64::from);
                            let [cos, sin] =
                                [case.cos[position * half + i], case.sin[position * half + i]].map(f64::from);
                            let size = f64::from(f32::EPSILON) * (low.abs() + high.abs());
                            prop_assert!((f64::from(got[i]) - (low * cos - high * sin)).abs() <= size);
                            prop_assert!((f64::from(got[i + half]) - (high * cos + low * sin)).abs() <= size);
                        }
                    }
                    for (head, x) in row[(queries + keys) * width..].chunks_exact(width).enumerate() {
                        prop_assert_eq!(&v[(head * case.capacity + case.first + position) * width..][..width], x);
                    }
                }
                let stored = case.first..case.first + case.positions();
                for cache in [&k, &v] {
                    for (place, x) in cache.chunks_exact(width).enumerate() {
                        prop_assert_eq!(x == vec![-77.5; width], !stored.contains(&(place % case.capacity)));
                    }
                }
            }
        }

        #[test]
        fn a_position_is_the_same_alone_and_on_all_instructions(case in cases()) {
            let (q, k, v) = case.run(Isa::Plain, 0..case.positions(), 0f32);
            for isa in Isa::available() {
                prop_assert_eq!(case.run(isa, 0..case.positions(), 0f32), (q.clone(), k.clone(), v.clone()));
                let mut sums = (Vec::new(), vec![0f32; k.len()], vec![0f32; v.len()]);
                for position in 0..case.positions() {
                    let one = case.run(isa, position..position + 1, 0f32);
                    sums.0.extend(one.0);
                    sums.1.iter_mut().zip(one.1).for_each(|(sum, x)| *sum += x);
                    sums.2.iter_mut().zip(one.2).for_each(|(sum, x)| *sum += x);
                }
                prop_assert_eq!(sums, (q.clone(), k.clone(), v.clone()));
            }
        }

        #[test]
        fn a_cache_of_bf16_holds_the_same_rounded(case in cases()) {
            let rounded = |values: Vec<f32>| values.into_iter().map(bf16::from_f32).collect::<Vec<_>>();
            for isa in Isa::available() {
                let (q, k, v) = case.run(isa, 0..case.positions(), 0f32);
                let expected = (q, rounded(k), rounded(v));
                prop_assert_eq!(case.run(isa, 0..case.positions(), bf16::ZERO), expected);
            }
        }
    }

    #[test]
    fn a_full_cache_is_refused() {
        let heads = Heads { queries: 1, keys: 1, width: 2 };
        let (mut queries, mut keys, mut values) = ([0f32; 4], [0f32; 6], [0f32; 6]);
        let cache = CacheMut { keys: &mut keys, values: &mut values, capacity: 3, first: 2 };
        let rotation = Rotation { cos: &[1.0; 2], sin: &[0.0; 2] };
        let stored = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            rotate_and_store(Isa::Plain, heads, &[1.0; 12], rotation, &mut queries, cache);
        }));
        assert!(stored.is_err());
        assert_eq!((keys, values), ([0.0; 6], [0.0; 6]));
    }
}
