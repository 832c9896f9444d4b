//! What becomes of each tensor when it is loaded: how it is stored, how it is held, and where its rows force another
//! format.

use super::weights::Weights;
use crate::quantization::{Format, Scheme};
use crate::role::Role;

/// What becomes of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPlan {
    /// Its name in the original layout.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub stored: Format,
    /// How it would be held if its rows divided into the blocks.
    pub wanted: Format,
    /// How it is held.
    pub held: Format,
}

impl TensorPlan {
    /// The plan for one tensor of `weights` under `scheme`, from headers alone; `None` if it is not there.
    pub(super) fn of(weights: &Weights, name: &str, scheme: Option<Scheme>) -> Option<Self> {
        let (shape, stored) = (weights.shape(name)?, weights.format(name)?);
        let held = weights.format_under(name, scheme)?;
        let wanted = scheme.zip(Role::of(name)).and_then(|(scheme, role)| scheme.wanted(role, shape)).unwrap_or(held);
        Some(Self { name: name.to_owned(), shape: shape.to_vec(), stored, wanted, held })
    }

    /// Bytes as it is held.
    pub fn bytes(&self) -> usize {
        self.held.bytes(self.shape.iter().product())
    }

    /// Whether its rows do not divide into the blocks of the format asked for.
    pub fn is_fallback(&self) -> bool {
        self.held != self.wanted
    }
}

/// One line for each kind of fallback in `plan`: row length, what it is held in, and which tensors (layers as `*`).
pub fn fallbacks(plan: &[TensorPlan]) -> Vec<String> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for tensor in plan.iter().filter(|tensor| tensor.is_fallback()) {
        let columns = tensor.shape.last().copied().unwrap_or_default();
        let name = match Role::split(&tensor.name) {
            Some((layer @ (Role::Decoder(_) | Role::Tower(Some(_))), part)) => format!("{}.*.{part}", layer.layers()),
            _ => tensor.name.clone(),
        };
        let (held, wanted) = (tensor.held.name(), tensor.wanted.name());
        let line =
            format!("{name} falls back to {held}: rows of {columns} values do not divide into blocks of {wanted}");
        match kinds.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => kinds.push((line, 1)),
        }
    }
    kinds.into_iter().map(|(line, count)| if count > 1 { format!("{line} ({count} tensors)") } else { line }).collect()
}
