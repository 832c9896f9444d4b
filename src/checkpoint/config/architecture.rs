//! Which kind of model a config describes.

use serde_json::Value;

use super::super::documents::Documents;
use super::super::error::Error;
use super::super::json::Object;
use super::super::layout::Layout;

/// The architecture of a language model without a vision tower.
pub(super) const QWEN2: &str = "Qwen2ForCausalLM";

/// What kind of model a config describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Architecture {
    /// One that takes videos, in this layout.
    Seeing(Layout),
    /// The plain language model.
    Qwen2,
}

/// The architecture that config.json names.
pub(in super::super) fn architecture(documents: &Documents) -> Result<Architecture, Error> {
    named_architecture(&Object::read(documents, "config.json")?)
}

/// What the `architectures` key (or, where that is absent, `model_type`) names. `model_type` alone is not trusted:
/// several originals say `llava`.
pub(super) fn named_architecture(object: &Object) -> Result<Architecture, Error> {
    let unknown = |found: String| Error::UnknownArchitecture { path: object.path.clone(), found };
    match object.value("architectures") {
        Some(Value::Array(names)) if !names.is_empty() => {
            let mut names = names.iter().filter_map(Value::as_str);
            let listed = names.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = |name| match name {
                QWEN2 => Some(Architecture::Qwen2),
                _ => Layout::of_architecture(name).map(Architecture::Seeing),
            };
            names.find_map(known).ok_or_else(|| unknown(listed))
        }
        _ => match object.str("model_type")? {
            Some("llava_qwen") => Ok(Architecture::Seeing(Layout::Original)),
            Some("llava_onevision") => Ok(Architecture::Seeing(Layout::HuggingFace)),
            Some("qwen2") => Ok(Architecture::Qwen2),
            Some(other) => Err(unknown(format!("(model_type `{other}`)"))),
            None => Err(unknown("(it has neither `architectures` nor `model_type`)".to_owned())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object {
        Object { path: "config.json".into(), map: serde_json::from_str(json).expect("valid JSON in a test") }
    }

    #[test]
    fn model_type_llava_does_not_hide_the_architecture() {
        let config = object(r#"{"architectures": ["LlavaQwenForCausalLM"], "model_type": "llava"}"#);
        assert_eq!(named_architecture(&config).expect("known"), Architecture::Seeing(Layout::Original));
        let plain = object(r#"{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}"#);
        assert_eq!(named_architecture(&plain).expect("known"), Architecture::Qwen2);
        let message =
            named_architecture(&object(r#"{"architectures": ["MambaForCausalLM"]}"#)).expect_err("unknown").to_string();
        assert!(message.contains("MambaForCausalLM") && message.contains("LlavaQwenForCausalLM"), "{message}");
    }
}
