//! The tensors of a checkpoint by name, with their shapes where those are known: what the manifest is checked against.

use std::collections::BTreeMap;

use super::layout::Layout;

/// Names in the original layout, from the headers of weight files or from the index of shards.
#[derive(Debug, Default)]
pub(super) struct TensorNames<'a> {
    /// The shape, where a header was read.
    shapes: BTreeMap<String, Option<&'a [usize]>>,
    /// Names, as they are stored, that the layout does not have.
    foreign: Vec<String>,
}

impl<'a> TensorNames<'a> {
    /// Names whose headers were read; `foreign` are those that the layout does not have.
    pub(super) fn of_headers(shapes: impl Iterator<Item = (&'a str, &'a [usize])>, foreign: &[String]) -> Self {
        let shapes = shapes.map(|(name, shape)| (name.to_owned(), Some(shape))).collect();
        Self { shapes, foreign: foreign.to_vec() }
    }

    /// Names as an index lists them.
    pub(super) fn of_index<'n>(names: impl Iterator<Item = &'n str>, layout: Layout) -> Self {
        let mut out = Self::default();
        for name in names.filter(|name| !is_index_buffer(name)) {
            match layout.original_name(name) {
                Some(original) => out.shapes.insert(original, None),
                None => {
                    out.foreign.push(name.to_owned());
                    continue;
                }
            };
        }
        out
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    /// Names, as they are stored, that the layout does not have.
    pub(super) fn foreign(&self) -> &[String] {
        &self.foreign
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    /// The shape of a tensor, if it is there and its header was read.
    pub(super) fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.shapes.get(name).copied().flatten()
    }
}

/// Whether a tensor is a table of position numbers, which old exports carry and nothing loads.
pub(super) fn is_index_buffer(name: &str) -> bool {
    name.ends_with(".position_ids")
}
