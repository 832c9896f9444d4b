//! Models that can be measured without a checkpoint: random weights of the published sizes, or of a part of them.

use super::stage::Stage;
use crate::checkpoint::Source;
use crate::checkpoint::generated::{HALF_B, SEVEN_B, SEVENTY_TWO_B, Size};

/// Rows of the embedding table where the output head is no part of what is measured.
const FEW_ROWS: usize = 1024;

/// A model of random weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// The model of 0.5 billion parameters.
    #[default]
    HalfB,
    /// The model of 7 billion parameters.
    SevenB,
    /// It with 4 of its 28 decoder layers, embedding table and output head whole.
    SevenBFourLayers,
    /// One decoder layer of the model of 72 billion parameters, and hardly any output head.
    SeventyTwoBLayer,
    /// The vision tower and the projector of the 7B model.
    Tower,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::HalfB, Self::SevenB, Self::SevenBFourLayers, Self::SeventyTwoBLayer, Self::Tower];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfB => "0.5b",
            Self::SevenB => "7b",
            Self::SevenBFourLayers => "7b-4-layers",
            Self::SeventyTwoBLayer => "72b-layer",
            Self::Tower => "tower",
        }
    }

    /// Its checkpoint, which lies nowhere.
    pub fn source(self) -> Source {
        let name = match self {
            Self::HalfB => "random weights of the 0.5B model",
            Self::SevenB => "random weights of the 7B model",
            Self::SevenBFourLayers => "random weights of 4 layers of the 7B model",
            Self::SeventyTwoBLayer => "random weights of a layer of the 72B model",
            Self::Tower => "random weights of the vision tower",
        };
        Source::Generated { name, size: self.size() }
    }

    /// What is measured of it.
    pub fn stages(self) -> Vec<Stage> {
        let has = |stage: &Stage| match self {
            Self::HalfB | Self::SevenB | Self::SevenBFourLayers => true,
            Self::SeventyTwoBLayer => *stage == Stage::Load || stage.needs_language(),
            Self::Tower => !stage.needs_language(),
        };
        Stage::ALL.into_iter().filter(|stage| !stage.is_part() && has(stage)).collect()
    }

    fn size(self) -> Size {
        match self {
            Self::HalfB => HALF_B,
            Self::SevenB => SEVEN_B,
            Self::SevenBFourLayers => Size { layers: 4, ..SEVEN_B },
            Self::SeventyTwoBLayer => Size { layers: 1, rows: FEW_ROWS, tied: true, ..SEVENTY_TWO_B },
            Self::Tower => Size { layers: 1, rows: FEW_ROWS, tied: true, ..SEVEN_B },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    #[test]
    fn every_preset_is_a_checkpoint_that_opens() {
        for (preset, parameters) in [
            (Preset::HalfB, 893_618_208),
            (Preset::SevenB, 8_030_348_832),
            (Preset::SevenBFourLayers, 2_436_961_824),
            (Preset::SeventyTwoBLayer, 1_360_399_904),
            (Preset::Tower, 651_463_712),
        ] {
            let checkpoint = Checkpoint::open(preset.source(), &[]).expect("a generated checkpoint");
            assert_eq!(checkpoint.weights.total_bytes(), 2 * parameters, "{}", preset.name());
        }
    }

    #[test]
    fn parts_of_a_model_are_measured_for_themselves() {
        assert_eq!(Preset::HalfB.stages(), Stage::ALL[..8], "all but parts of stages");
        let of_the_decoder = [Stage::Load, Stage::Prefill, Stage::Decode, Stage::BatchDecode];
        assert_eq!(Preset::SeventyTwoBLayer.stages(), of_the_decoder);
        assert!(!Preset::Tower.stages().contains(&Stage::Prefill));
    }
}
