//! The KV cache: keys and values of all positions so far, written in place, cut back without a copy.

use bytemuck::Zeroable;
use candle_core::{DType, Device, Result, Tensor};
use half::bf16;

use crate::kernels::values::Values;
use crate::pages::prefer_huge_pages;

/// The positions' dimension of `[kv_heads, capacity, head_dim]`.
const POSITIONS: usize = 1;

/// Keys and values of all positions so far, one pair per layer, each `[kv_heads, capacity, head_dim]`; allocated once,
/// when the first positions come, for candle's arithmetic before anything is computed of them.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<Option<Layer>>,
    len: usize,
    capacity: usize,
}

#[derive(Debug)]
enum Layer {
    /// For candle's arithmetic.
    Tensors { keys: Tensor, values: Tensor },
    /// For the CPU's kernels.
    Rows { kv_heads: usize, rows: Rows },
}

/// Keys and values of one layer, `[kv_heads, capacity, head_dim]` each.
#[derive(Debug)]
pub(super) enum Rows {
    F32([Vec<f32>; 2]),
    /// Where attention rounds its operands.
    Bf16([Vec<bf16>; 2]),
}

impl Rows {
    fn zeros(is_bf16: bool, len: usize) -> Self {
        match is_bf16 {
            true => Self::Bf16([zeros(len), zeros(len)]),
            false => Self::F32([zeros(len), zeros(len)]),
        }
    }

    /// Keys, and values.
    pub(super) fn values(&self) -> [Values<'_>; 2] {
        match self {
            Self::F32(rows) => rows.each_ref().map(|rows| Values::F32(rows)),
            Self::Bf16(rows) => rows.each_ref().map(|rows| Values::Bf16(rows)),
        }
    }

    fn fork(&self) -> Self {
        fn copy<T: Zeroable + Copy>(held: &[T]) -> Vec<T> {
            let mut copy = zeros(held.len());
            copy.copy_from_slice(held);
            copy
        }
        match self {
            Self::F32(rows) => Self::F32(rows.each_ref().map(|held| copy(held))),
            Self::Bf16(rows) => Self::Bf16(rows.each_ref().map(|held| copy(held))),
        }
    }

    /// A copy with room for `capacity` positions where `before` had it.
    fn grown(&self, kv_heads: usize, before: usize, capacity: usize) -> Self {
        match self {
            Self::F32(rows) => Self::F32(rows.each_ref().map(|held| spread(held, kv_heads, before, capacity))),
            Self::Bf16(rows) => Self::Bf16(rows.each_ref().map(|held| spread(held, kv_heads, before, capacity))),
        }
    }
}

/// The same heads, each with room for more positions.
fn spread<T: Zeroable + Copy>(held: &[T], kv_heads: usize, before: usize, capacity: usize) -> Vec<T> {
    let head_len = held.len() / kv_heads;
    let mut spread = zeros(held.len() / before * capacity);
    for (to, from) in spread.chunks_exact_mut(head_len / before * capacity).zip(held.chunks_exact(head_len)) {
        to[..head_len].copy_from_slice(from);
    }
    spread
}

/// Memory that nothing has touched yet, in huge pages where that helps.
fn zeros<T: Zeroable>(len: usize) -> Vec<T> {
    let mut values = bytemuck::zeroed_vec(len);
    prefer_huge_pages(&mut values);
    values
}

impl KvCache {
    /// An empty cache of `layers` layers for `capacity` positions.
    pub(super) fn new(layers: usize, capacity: usize) -> Self {
        Self { layers: (0..layers).map(|_| None).collect(), len: 0, capacity }
    }

    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is filled yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all positions from `len` on. What comes next is written over them.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for `capacity` positions in all, those that are filled included. Growing copies the cache, a layer at
    /// a time; it never shrinks.
    ///
    /// # Errors
    /// A failing device.
    pub fn reserve(&mut self, capacity: usize) -> Result<()> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let before = self.capacity;
        for layer in self.layers.iter_mut().flatten() {
            layer.grow(before, capacity)?;
        }
        self.capacity = capacity;
        Ok(())
    }

    /// A copy that goes its own way.
    ///
    /// # Errors
    /// A failing device.
    pub fn fork(&self) -> Result<Self> {
        let fork = |layer: &Option<Layer>| layer.as_ref().map(Layer::fork).transpose();
        let layers = self.layers.iter().map(fork).collect::<Result<_>>()?;
        Ok(Self { layers, len: self.len, capacity: self.capacity })
    }

    /// Fails unless `count` more positions have room.
    pub(super) fn check_room(&self, count: usize) -> Result<()> {
        let Self { len, capacity, .. } = *self;
        if count > capacity - len {
            candle_core::bail!("a KV cache of {capacity} positions cannot take {count} more at position {len}");
        }
        Ok(())
    }

    /// Writes one layer's `keys` and `values`, `[kv_heads, S, head_dim]`, at the next positions, and returns those of
    /// all positions up to them. They do not count as filled before [`Self::advance`], so that a pass that ends
    /// between two layers leaves the cache as it was.
    ///
    /// # Errors
    /// No room, or a failing device.
    pub(super) fn write(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let count = keys.dim(POSITIONS)?;
        self.check_room(count)?;
        let len = self.len;
        let (kv_heads, _, head_dim) = keys.dims3()?;
        self.allocate(layer, (kv_heads, head_dim), keys.dtype(), keys.device())?;
        let Some(Layer::Tensors { keys: held_keys, values: held_values }) = &self.layers[layer] else {
            candle_core::bail!("a layer of the KV cache is filled by the CPU's kernels and by tensors");
        };
        held_keys.slice_set(keys, POSITIONS, len)?;
        held_values.slice_set(values, POSITIONS, len)?;
        let so_far = |held: &Tensor| held.narrow(POSITIONS, 0, len + count);
        Ok((so_far(held_keys)?, so_far(held_values)?))
    }

    /// Gives a layer that has no memory yet tensors for all positions. What stays is so allocated before what comes and
    /// goes, and leaves no gaps between it.
    ///
    /// # Errors
    /// A failing device.
    pub(super) fn allocate(
        &mut self,
        layer: usize,
        (kv_heads, head_dim): (usize, usize),
        dtype: DType,
        device: &Device,
    ) -> Result<()> {
        if self.layers[layer].is_none() {
            let empty = || Tensor::zeros((kv_heads, self.capacity, head_dim), dtype, device);
            self.layers[layer] = Some(Layer::Tensors { keys: empty()?, values: empty()? });
        }
        Ok(())
    }

    /// One layer's keys and values for the CPU's kernels to write `count` positions to, from [`Self::len`] on, which
    /// count as filled by [`Self::advance`]. The shape and the type are the same in all calls.
    ///
    /// # Errors
    /// No room.
    pub(super) fn rows(
        &mut self,
        layer: usize,
        count: usize,
        (kv_heads, head_dim): (usize, usize),
        is_bf16: bool,
    ) -> Result<&mut Rows> {
        self.check_room(count)?;
        let len = kv_heads * self.capacity * head_dim;
        let new = || Layer::Rows { kv_heads, rows: Rows::zeros(is_bf16, len) };
        match self.layers[layer].get_or_insert_with(new) {
            Layer::Rows { rows, .. } => Ok(rows),
            Layer::Tensors { .. } => {
                candle_core::bail!("a layer of the KV cache is filled by tensors and by the CPU's kernels")
            }
        }
    }

    /// Counts `count` positions as filled, which every layer has written.
    pub(super) fn advance(&mut self, count: usize) {
        self.len += count;
    }
}

impl Layer {
    /// A copy in memory of its own.
    fn fork(&self) -> Result<Self> {
        match self {
            Self::Tensors { keys, values } => Ok(Self::Tensors { keys: keys.copy()?, values: values.copy()? }),
            Self::Rows { kv_heads, rows } => Ok(Self::Rows { kv_heads: *kv_heads, rows: rows.fork() }),
        }
    }

    /// Makes room for `capacity` positions where `before` had it.
    fn grow(&mut self, before: usize, capacity: usize) -> Result<()> {
        match self {
            // A device that failed before has grown some of them.
            Self::Tensors { values, .. } if values.dim(POSITIONS)? >= capacity => {}
            Self::Tensors { keys, values } => {
                (*keys, *values) = (grown(keys, capacity)?, grown(values, capacity)?);
            }
            Self::Rows { kv_heads, rows } => *rows = rows.grown(*kv_heads, before, capacity),
        }
        Ok(())
    }
}

/// Zeros of the shape of `like`, but for `capacity` positions.
fn empty(like: &Tensor, capacity: usize) -> Result<Tensor> {
    let mut shape = like.dims().to_vec();
    shape[POSITIONS] = capacity;
    Tensor::zeros(shape, like.dtype(), like.device())
}

/// A copy with room for `capacity` positions.
fn grown(held: &Tensor, capacity: usize) -> Result<Tensor> {
    let grown = empty(held, capacity)?;
    grown.slice_set(held, POSITIONS, 0)?;
    Ok(grown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: usize = 2;

    /// `[2, count, 3]`, all values different and from `first` on.
    fn block(first: usize, count: usize) -> Tensor {
        let values: Vec<f32> = (0..2 * count * 3).map(|i| (first * 1000 + i) as f32).collect();
        Tensor::from_vec(values, (2, count, 3), &Device::Cpu).expect("a block")
    }

    /// Writes a block to all layers; returns what the last of them then holds.
    fn append(cache: &mut KvCache, keys: &Tensor) -> (Tensor, Tensor) {
        let values = (keys * 2.0).expect("doubled");
        let mut held = None;
        for layer in 0..LAYERS {
            held = Some(cache.write(layer, keys, &values).expect("there is room"));
        }
        cache.advance(keys.dims()[POSITIONS]);
        held.expect("a layer")
    }

    #[track_caller]
    fn assert_holds((keys, values): &(Tensor, Tensor), blocks: &[&Tensor]) {
        let expected = Tensor::cat(blocks, POSITIONS).expect("blocks of one shape");
        let numbers = |tensor: &Tensor| tensor.to_vec3::<f32>().expect("numbers");
        assert_eq!(numbers(keys), numbers(&expected));
        assert_eq!(numbers(values), numbers(&(expected * 2.0).expect("doubled")));
    }

    #[test]
    fn what_is_cut_off_is_written_over() {
        let mut cache = KvCache::new(LAYERS, 8);
        let (a, b, c) = (block(1, 3), block(2, 4), block(3, 2));
        append(&mut cache, &a);
        assert_holds(&append(&mut cache, &b), &[&a, &b]);
        cache.truncate(3);
        assert_eq!((cache.len(), cache.capacity()), (3, 8));
        assert_holds(&append(&mut cache, &c), &[&a, &c]);
        cache.truncate(100);
        assert_eq!(cache.len(), 5);
        cache.truncate(0);
        assert!(cache.is_empty());
        assert_holds(&append(&mut cache, &b), &[&b]);
    }

    #[test]
    fn growing_keeps_what_is_held() {
        let (a, b) = (block(1, 3), block(2, 4));
        let mut cache = KvCache::new(LAYERS, 3);
        append(&mut cache, &a);
        assert!(cache.write(0, &b, &b).is_err(), "there is no room yet");
        cache.reserve(7).expect("memory");
        assert_eq!((cache.len(), cache.capacity()), (3, 7));
        assert_holds(&append(&mut cache, &b), &[&a, &b]);
        cache.reserve(2).expect("nothing to do");
        assert_eq!(cache.capacity(), 7);
        let mut empty = KvCache::new(LAYERS, 0);
        empty.reserve(4).expect("nothing is allocated yet");
        assert_holds(&append(&mut empty, &b), &[&b]);
    }

    #[test]
    fn forks_go_their_own_way() {
        let (a, b, c) = (block(1, 3), block(2, 4), block(3, 4));
        let mut cache = KvCache::new(LAYERS, 8);
        append(&mut cache, &a);
        let mut fork = cache.fork().expect("memory");
        assert_holds(&append(&mut fork, &b), &[&a, &b]);
        assert_eq!((cache.len(), fork.len()), (3, 7));
        assert_holds(&append(&mut cache, &c), &[&a, &c]);
        fork.truncate(3);
        assert_holds(&append(&mut fork, &c), &[&a, &c]);
        for is_bf16 in [false, true] {
            let mut cache = KvCache::new(1, 2);
            fill(cache.rows(0, 1, (1, 2), is_bf16).expect("there is room"), 1.0);
            let mut fork = cache.fork().expect("memory");
            fill(fork.rows(0, 1, (1, 2), is_bf16).expect("there is room"), 2.0);
            let held = |cache: &mut KvCache| first(cache.rows(0, 1, (1, 2), is_bf16).expect("there is room"));
            assert_eq!((held(&mut cache), held(&mut fork)), (1.0, 2.0));
        }
    }

    fn fill(rows: &mut Rows, value: f32) {
        match rows {
            Rows::F32(rows) => rows.iter_mut().for_each(|rows| rows.fill(value)),
            Rows::Bf16(rows) => rows.iter_mut().for_each(|rows| rows.fill(bf16::from_f32(value))),
        }
    }

    fn first(rows: &Rows) -> f32 {
        match rows {
            Rows::F32([keys, _]) => keys[0],
            Rows::Bf16([keys, _]) => keys[0].to_f32(),
        }
    }

    /// As when an interrupt comes between two layers.
    #[test]
    fn positions_that_not_every_layer_wrote_do_not_count() {
        let mut cache = KvCache::new(LAYERS, 8);
        let (a, b, c) = (block(1, 3), block(2, 4), block(3, 2));
        append(&mut cache, &a);
        cache.write(0, &b, &b).expect("there is room");
        assert_eq!(cache.len(), 3);
        assert_holds(&append(&mut cache, &c), &[&a, &c]);
    }
}
