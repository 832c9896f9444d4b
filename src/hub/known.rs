//! Checkpoints that this program is made for.

/// The checkpoint that is used when none is named.
pub const DEFAULT_MODEL: &str = "lmms-lab/LLaVA-NeXT-Video-7B-Qwen2-Video-Only";

/// A checkpoint on the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// `owner/name`.
    pub id: &'static str,
    /// Parameters of the original layout, vision tower included, all of them stored in two bytes.
    pub parameters: u64,
}

impl Known {
    /// Size of its weight files in bytes, headers left out.
    pub fn weight_bytes(&self) -> u64 {
        2 * self.parameters
    }
}

const PARAMETERS_0_5B: u64 = 893_618_208;
const PARAMETERS_7B: u64 = 8_030_348_832;
const PARAMETERS_72B: u64 = 73_180_522_016;

/// Checkpoints of the family, the default first. They are named here for `model list`; any other repository of a known
/// architecture loads just as well.
pub const KNOWN: [Known; 7] = [
    Known { id: DEFAULT_MODEL, parameters: PARAMETERS_7B },
    Known { id: "lmms-lab/LLaVA-Video-7B-Qwen2", parameters: PARAMETERS_7B },
    Known { id: "lmms-lab/LLaVA-Video-72B-Qwen2", parameters: PARAMETERS_72B },
    Known { id: "lmms-lab/llava-onevision-qwen2-0.5b-ov", parameters: PARAMETERS_0_5B },
    Known { id: "lmms-lab/llava-onevision-qwen2-7b-ov", parameters: PARAMETERS_7B },
    Known { id: "llava-hf/llava-onevision-qwen2-0.5b-ov-hf", parameters: PARAMETERS_0_5B },
    Known { id: "llava-hf/llava-onevision-qwen2-7b-ov-hf", parameters: PARAMETERS_7B },
];

/// The model that a name was likely meant to be: one of these, named with a slip or without its owner, or one of
/// `others`, which are no repositories.
pub(crate) fn likely_meant(name: &str, others: &[&'static str]) -> Option<&'static str> {
    let name = name.split('@').next()?.to_lowercase();
    let distance = |other: &str| {
        let most = (other.len() / MAX_SLIPS).max(1);
        Some(strsim::osa_distance(&name, &other.to_lowercase())).filter(|&slips| slips <= most)
    };
    let known = KNOWN.iter().filter_map(|known| {
        let bare = known.id.split_once('/').map_or(known.id, |(_, bare)| bare);
        Some((distance(known.id).or_else(|| distance(bare))?, known.id))
    });
    let others_near = others.iter().filter_map(|other| Some((distance(other)?, *other)));
    let (_, meant) = known.chain(others_near).min_by_key(|(slips, _)| *slips)?;
    // The hub takes a repository's name in any case.
    (meant.to_lowercase() != name || others.contains(&meant)).then_some(meant)
}

/// One slip in so many letters.
const MAX_SLIPS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_names() {
        for (name, meant) in [
            ("Demo", Some("demo")),
            ("dmeo", Some("demo")),
            ("LLaVA-Video-7B-Qwen2", Some("lmms-lab/LLaVA-Video-7B-Qwen2")),
            ("lmms-lab/LLaVA-Video-7B-Qwen", Some("lmms-lab/LLaVA-Video-7B-Qwen2")),
            ("lmms-lab/llava-video-72b-qwen2@v1", None),
            ("owner/video-model", None),
            ("model", None),
            ("", None),
        ] {
            assert_eq!(likely_meant(name, &["demo"]), meant, "{name}");
        }
    }

    /// Qwen2's decoder: embeddings, layers with biased q, k and v, and an output head unless it is tied.
    fn decoder(hidden: u64, mlp: u64, layers: u64, kv: u64, rows: u64, tied: bool) -> u64 {
        let attention = 2 * hidden * hidden + 2 * hidden * kv + hidden + 2 * kv;
        let layer = attention + 3 * hidden * mlp + 2 * hidden;
        layers * layer + rows * hidden * if tied { 1 } else { 2 } + hidden
    }

    /// SigLIP-SO400M/14-384 with 26 of its 27 layers and without its head, the projector, and the newline token.
    fn vision(hidden: u64) -> u64 {
        let (width, mlp, patches) = (1152, 4304, 729);
        let layer = 4 * (width * width + width) + 2 * width * mlp + mlp + width + 4 * width;
        let tower = 26 * layer + 3 * 14 * 14 * width + width + patches * width + 2 * width;
        let projector = width * hidden + hidden + hidden * hidden + hidden;
        tower + projector + hidden
    }

    #[test]
    fn parameters_follow_from_the_sizes() {
        assert_eq!(decoder(896, 4864, 24, 128, 151_936, true) + vision(896), PARAMETERS_0_5B);
        assert_eq!(decoder(3584, 18_944, 28, 512, 152_064, false) + vision(3584), PARAMETERS_7B);
        assert_eq!(decoder(8192, 29_568, 80, 1024, 152_064, false) + vision(8192), PARAMETERS_72B);
    }
}
