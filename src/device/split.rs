//! Decoder layers over several devices: which slot each stage runs on, and tensors that say on which slot they are.
//!
//! A tensor that reaches a stage on another slot is an error here, not a wrong answer or a slow copy: on two GPUs the
//! backend would refuse it, between two CPU slots, which tests use, nothing else would notice.

use candle_core::{DType, Result, Tensor};

use super::Placement;

/// A place in the list of devices.
pub type SlotId = usize;

/// A tensor and the slot that it is on.
#[derive(Debug, Clone)]
pub struct Placed {
    tensor: Tensor,
    slot: SlotId,
}

impl Placed {
    /// Marks a tensor that was computed on `slot`.
    pub fn new(tensor: Tensor, slot: SlotId) -> Self {
        Self { tensor, slot }
    }

    /// The tensor, for a stage that runs on `slot`.
    ///
    /// # Errors
    /// A tensor that is on another slot.
    pub fn on(&self, slot: SlotId) -> Result<&Tensor> {
        match self.slot == slot {
            true => Ok(&self.tensor),
            false => candle_core::bail!("a tensor on device slot {} reached a stage on slot {slot}", self.slot),
        }
    }

    /// The tensor, wherever it is.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

/// Which slot each stage runs on.
///
/// The tower and the projector run on the first slot, embeddings where the first decoder layer is, the final norm and
/// the output head where the last one is, so that hidden states cross once per change of slot.
#[derive(Debug, Clone)]
pub struct DeviceMap {
    slots: Vec<Placement>,
    layers: Vec<SlotId>,
}

impl DeviceMap {
    /// All stages on one device.
    pub fn single(placement: Placement, num_layers: usize) -> Self {
        Self { slots: vec![placement], layers: vec![0; num_layers] }
    }

    /// `counts[i]` consecutive layers on `slots[i]`.
    ///
    /// # Panics
    /// If there is no slot, or not one count for each.
    pub fn new(slots: Vec<Placement>, counts: &[usize]) -> Self {
        assert!(!slots.is_empty() && slots.len() == counts.len(), "a count for each slot");
        let layers = counts.iter().enumerate().flat_map(|(slot, &count)| std::iter::repeat_n(slot, count)).collect();
        Self { slots, layers }
    }

    /// All slots.
    pub fn slots(&self) -> &[Placement] {
        &self.slots
    }

    /// Device and arithmetic of a slot.
    pub fn placement(&self, slot: SlotId) -> &Placement {
        &self.slots[slot]
    }

    /// Where the vision tower and the projector run.
    pub fn vision_slot(&self) -> SlotId {
        0
    }

    /// Where ids are embedded.
    pub fn embedding_slot(&self) -> SlotId {
        self.layers.first().copied().unwrap_or(0)
    }

    /// Where a decoder layer runs.
    pub fn layer_slot(&self, layer: usize) -> SlotId {
        self.layers[layer]
    }

    /// How many layers run on a slot.
    pub fn layers_on(&self, slot: SlotId) -> usize {
        self.layers.iter().filter(|&&layer| layer == slot).count()
    }

    /// Where logits are computed.
    pub fn head_slot(&self) -> SlotId {
        self.layers.last().copied().unwrap_or(0)
    }

    /// Whether one table, held as `floats` (`None`: in blocks), serves to look rows up and as the output head: on one
    /// device, in one type.
    pub(crate) fn shares_table(&self, floats: Option<DType>) -> bool {
        let (first, last) = (self.embedding_slot(), self.head_slot());
        first == last && floats.is_none_or(|held| self.placement(last).matrix_dtype(Some(held)) == Some(held))
    }

    /// Brings a tensor to `slot`, in that slot's arithmetic.
    ///
    /// # Errors
    /// A failing device.
    pub fn transfer(&self, x: Placed, slot: SlotId) -> Result<Placed> {
        if x.slot == slot {
            return Ok(x);
        }
        let target = &self.slots[slot];
        let copy = || x.tensor.to_device(&target.device)?.to_dtype(target.dtype);
        #[cfg(feature = "cuda")]
        let tensor = super::cuda::copy_in_order(x.tensor.device(), &target.device, copy)?;
        #[cfg(not(feature = "cuda"))]
        let tensor = copy()?;
        Ok(Placed { tensor, slot })
    }

    /// Waits until all that was asked of the devices is computed, so that a stage's time is its own.
    ///
    /// # Errors
    /// A failing device.
    pub fn synchronize(&self) -> Result<()> {
        self.slots.iter().try_for_each(|placement| placement.device.synchronize())
    }

    /// Positions that go through the decoder together in prefill: what the most modest slot in use takes.
    pub fn prefill_chunk_tokens(&self) -> usize {
        let used = self.layers.iter().map(|&slot| self.slots[slot].limits.prefill_chunk_tokens);
        used.min().unwrap_or(1)
    }

    /// The devices as `--device` writes them.
    pub fn device_names(&self) -> String {
        self.slots.iter().map(Placement::device_name).collect::<Vec<_>>().join(",")
    }

    /// The arithmetic as `--dtype` writes it; several, in the order of the devices, where they differ.
    pub fn dtype_name(&self) -> String {
        let mut names: Vec<&str> = self.slots.iter().map(Placement::dtype_name).collect();
        names.dedup();
        names.join(",")
    }

    /// Whose kernels multiply; several, in the order of the devices, where they differ.
    pub fn kernels_name(&self) -> String {
        let mut names: Vec<&str> = self.slots.iter().map(Placement::kernels_name).collect();
        names.dedup();
        names.join(",")
    }

    /// The devices in use, each with its number of layers when there are several.
    pub fn names(&self) -> String {
        match self.slots.as_slice() {
            [only] => only.device_name(),
            several => {
                let name = |(slot, placement): (SlotId, &Placement)| {
                    format!("{} ({} layers)", placement.device_name(), self.layers_on(slot))
                };
                several.iter().enumerate().map(name).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Shares out `num_layers` by room: consecutive layers, in proportion to the bytes that each slot has left for them.
/// What does not divide goes to the slots that lose most by rounding down. Without any room it all goes to the first.
pub fn share_by_room(num_layers: usize, room_bytes: &[u64]) -> Vec<usize> {
    let total: u128 = room_bytes.iter().map(|&bytes| u128::from(bytes)).sum();
    if total == 0 {
        let mut counts = vec![0; room_bytes.len()];
        if let Some(first) = counts.first_mut() {
            *first = num_layers;
        }
        return counts;
    }
    let exact = |&bytes: &u64| num_layers as u128 * u128::from(bytes);
    let mut counts: Vec<usize> = room_bytes.iter().map(|bytes| (exact(bytes) / total) as usize).collect();
    let mut by_loss: Vec<usize> = (0..counts.len()).collect();
    by_loss.sort_by_key(|&slot| std::cmp::Reverse(exact(&room_bytes[slot]) % total));
    let left = num_layers - counts.iter().sum::<usize>();
    for &slot in by_loss.iter().take(left) {
        counts[slot] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    use super::*;

    fn two_slots() -> DeviceMap {
        let cpu = Placement::whole(Device::Cpu, DType::F32);
        DeviceMap::new(vec![cpu.clone(), Placement { dtype: DType::BF16, ..cpu }], &[2, 1])
    }

    #[test]
    fn a_tensor_is_refused_on_another_slot_until_it_is_transferred() -> Result<()> {
        let map = two_slots();
        let x = Placed::new(Tensor::new(&[1.5f32], &Device::Cpu)?, 0);
        assert!(x.on(0).is_ok());
        let error = x.on(1).expect_err("it was never brought there").to_string();
        assert!(error.contains("on device slot 0 reached a stage on slot 1"), "{error}");
        let moved = map.transfer(x, 1)?;
        assert_eq!(moved.on(1)?.dtype(), DType::BF16);
        assert!(moved.on(0).is_err());
        Ok(())
    }

    #[test]
    fn stages_follow_the_layers() {
        let map = two_slots();
        let slots: Vec<SlotId> = (0..3).map(|layer| map.layer_slot(layer)).collect();
        assert_eq!((slots, map.embedding_slot(), map.head_slot()), (vec![0, 0, 1], 0, 1));
        assert_eq!(map.names(), "cpu (2 layers), cpu (1 layers)");
    }

    #[test]
    fn shares_follow_the_room() {
        assert_eq!(share_by_room(28, &[24, 24]), [14, 14]);
        assert_eq!(share_by_room(28, &[24, 8]), [21, 7]);
        assert_eq!(share_by_room(3, &[10, 10]), [2, 1]);
        assert_eq!(share_by_room(28, &[0, 5]), [0, 28]);
        assert_eq!(share_by_room(28, &[0, 0]), [28, 0]);
    }

    proptest! {
        #[test]
        fn every_layer_has_a_place(layers in 0usize..200, room in proptest::collection::vec(0u64..1 << 40, 1..9)) {
            let counts = share_by_room(layers, &room);
            prop_assert_eq!(counts.iter().sum::<usize>(), layers);
            let total: u64 = room.iter().sum();
            for (&count, &bytes) in counts.iter().zip(&room) {
                if total > 0 {
                    let exact = layers as f64 * bytes as f64 / total as f64;
                    prop_assert!((count as f64 - exact).abs() < 1.0 + 1e-6, "{count} for {exact}");
                }
            }
        }
    }
}
