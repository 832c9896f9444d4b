//! What a tensor is for, told from its name in the original layout: the one place that takes such names apart and puts
//! them together. Quantization and the checkpoint both ask for it, so that it lies below both.
//!
//! The names are those of the PyTorch modules of LLaVA-NeXT's `LlavaQwenForCausalLM`.

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The embedding table.
    Embedding,
    /// The output head, where it is not the embedding table.
    Head,
    /// The norm after the decoder's last layer.
    Norm,
    /// A part of this layer of the decoder.
    Decoder(usize),
    /// A part of this layer of the vision tower, or (`None`) of what stands around its layers.
    Tower(Option<usize>),
    /// A part of the projector.
    Projector,
    /// A learned token: `image_newline`, or `faster_token` of the slow/fast scheme.
    Token,
}

const EMBEDDING: &str = "model.embed_tokens";
const HEAD: &str = "lm_head";
const NORM: &str = "model.norm";
const DECODER_LAYERS: &str = "model.layers";
const TOWER: &str = "model.vision_tower.vision_tower.vision_model";
/// Below the tower.
const TOWER_LAYERS: &str = "encoder.layers";
const PROJECTOR: &str = "model.mm_projector";
const MODEL: &str = "model";
/// Names of the learned tokens, below the model.
const TOKENS: [&str; 2] = ["image_newline", "faster_token"];

impl Role {
    /// The role of the tensor `name`; `None` for a name that this family of models does not have.
    pub fn of(name: &str) -> Option<Self> {
        Self::split(name).map(|(role, _)| role)
    }

    /// A tensor's role, and which part of it the tensor is: `model.layers.3.mlp.fc1.bias` is `mlp.fc1.bias` of decoder
    /// layer 3. [`Self::tensor`] is the way back.
    pub(crate) fn split(name: &str) -> Option<(Self, &str)> {
        if let Some(rest) = below(name, TOWER) {
            let in_layer = below(rest, TOWER_LAYERS).and_then(numbered);
            return Some(in_layer.map_or((Self::Tower(None), rest), |(layer, part)| (Self::Tower(Some(layer)), part)));
        }
        if let Some((layer, part)) = below(name, DECODER_LAYERS).and_then(numbered) {
            return Some((Self::Decoder(layer), part));
        }
        let modules =
            [(Self::Embedding, EMBEDDING), (Self::Head, HEAD), (Self::Norm, NORM), (Self::Projector, PROJECTOR)];
        if let Some(found) = modules.into_iter().find_map(|(role, module)| Some((role, below(name, module)?))) {
            return Some(found);
        }
        below(name, MODEL).filter(|part| TOKENS.contains(part)).map(|part| (Self::Token, part))
    }

    /// What the names of all tensors of this role begin with, without the dot that follows.
    pub(crate) fn prefix(self) -> String {
        match self {
            Self::Embedding => EMBEDDING.to_owned(),
            Self::Head => HEAD.to_owned(),
            Self::Norm => NORM.to_owned(),
            Self::Tower(None) => TOWER.to_owned(),
            Self::Projector => PROJECTOR.to_owned(),
            Self::Token => MODEL.to_owned(),
            Self::Decoder(layer) | Self::Tower(Some(layer)) => format!("{}.{layer}", self.layers()),
        }
    }

    /// What the names of this layer and of its siblings begin with; for what is no layer, the prefix.
    pub(crate) fn layers(self) -> String {
        match self {
            Self::Decoder(_) => DECODER_LAYERS.to_owned(),
            Self::Tower(Some(_)) => format!("{TOWER}.{TOWER_LAYERS}"),
            _ => self.prefix(),
        }
    }

    /// The name of a part of this role.
    pub(crate) fn tensor(self, part: &str) -> String {
        format!("{}.{part}", self.prefix())
    }
}

/// The number of a layer, as such names write it: digits, and no zeros in front.
pub(crate) fn layer_number(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

/// What follows `prefix` and a dot.
fn below<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    name.strip_prefix(prefix)?.strip_prefix('.')
}

/// A layer's number and what follows it.
fn numbered(rest: &str) -> Option<(usize, &str)> {
    let (number, part) = rest.split_once('.')?;
    Some((layer_number(number)?, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOWER_LAYER: &str = "model.vision_tower.vision_tower.vision_model.encoder.layers.25.mlp.fc1.bias";
    const PATCHES: &str = "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight";

    #[test]
    fn names_tell_roles_and_roles_names() {
        for (name, role, part) in [
            ("model.embed_tokens.weight", Role::Embedding, "weight"),
            ("lm_head.weight", Role::Head, "weight"),
            ("model.norm.weight", Role::Norm, "weight"),
            ("model.layers.0.input_layernorm.weight", Role::Decoder(0), "input_layernorm.weight"),
            ("model.layers.27.self_attn.q_proj.bias", Role::Decoder(27), "self_attn.q_proj.bias"),
            (TOWER_LAYER, Role::Tower(Some(25)), "mlp.fc1.bias"),
            (PATCHES, Role::Tower(None), "embeddings.patch_embedding.weight"),
            ("model.mm_projector.2.weight", Role::Projector, "2.weight"),
            ("model.mm_projector.weight", Role::Projector, "weight"),
            ("model.image_newline", Role::Token, "image_newline"),
            ("model.faster_token", Role::Token, "faster_token"),
        ] {
            assert_eq!(Role::split(name), Some((role, part)), "{name}");
            assert_eq!(role.tensor(part), name);
        }
    }

    #[test]
    fn names_of_no_role_have_none() {
        for name in [
            "",
            "model.layers",
            "model.layers.x.mlp.fc1.weight",
            "model.layers.+1.mlp.fc1.weight",
            "model.layers.01.mlp.fc1.weight",
            "model.layers.99999999999999999999.mlp.fc1.weight",
            "model.embed_tokens_2.weight",
            "model.newline",
            "language_model.model.norm.weight",
        ] {
            assert_eq!(Role::of(name), None, "{name}");
        }
    }

    #[test]
    fn a_layer_and_its_siblings_begin_alike() {
        assert_eq!(
            (Role::Decoder(3).layers(), Role::Decoder(3).prefix()),
            ("model.layers".into(), "model.layers.3".into())
        );
        assert_eq!(Role::of(TOWER_LAYER).map(|role| TOWER_LAYER.starts_with(&role.layers())), Some(true));
        assert_eq!(Role::Head.layers(), Role::Head.prefix());
    }

    proptest::proptest! {
        /// However a name looks, what is split is put together again.
        #[test]
        fn no_name_is_lost(
            module in "(model([.](layers|norm|mm_projector|vision_tower[.]vision_tower[.]vision_model))?|lm_head)",
            below in "([.]encoder[.]layers)?[.][+]?[0-9]{0,3}[.]?[a-z_]{0,8}([.](weight|bias))?",
        ) {
            let name = module.clone() + &below;
            match Role::split(&name) {
                Some((role, part)) => proptest::prop_assert_eq!(role.tensor(part), name),
                // Of these modules all has a role but what is neither a layer nor a token.
                None => proptest::prop_assert!(["model", "model.layers"].contains(&module.as_str()), "{}", name),
            }
        }
    }
}
