//! Which instructions the kernels use: the best that the machine has and that pass a trial, or a lower set by
//! `LLAVA_VIDEO_ISA`.

use std::sync::OnceLock;

use super::isa::Isa;
use super::trial;

/// The variable that forces a set of instructions.
pub(crate) const VARIABLE: &str = "LLAVA_VIDEO_ISA";

/// What the kernels use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) isa: Isa,
    /// Better ones that gave wrong numbers, the best first.
    pub(crate) failed: Vec<Isa>,
}

/// A value of the variable that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a name.
    #[error("{VARIABLE}={value}: it is one of {}", names(Isa::ALL))]
    Unknown {
        /// The variable's value.
        value: String,
    },
    /// A name of what this machine lacks.
    #[error("{VARIABLE}={value}: this machine has {}", names(&Isa::available()))]
    Missing {
        /// The variable's value.
        value: String,
    },
}

fn names(sets: &[Isa]) -> String {
    sets.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}

/// The choice of this process, made by whoever asks first.
///
/// # Errors
/// A variable that names no set, or one that this machine lacks.
pub(crate) fn made() -> Result<&'static Choice, Error> {
    static CHOICE: OnceLock<Result<Choice, Error>> = OnceLock::new();
    let choice = CHOICE.get_or_init(|| choose(std::env::var(VARIABLE).ok().as_deref(), trial::passes));
    choice.as_ref().map_err(Clone::clone)
}

/// The best set that passes, of those up to the one that a value of the variable means; an empty value means none.
fn choose(value: Option<&str>, passes: impl Fn(Isa) -> bool) -> Result<Choice, Error> {
    let most = match value.filter(|value| !value.is_empty()) {
        None => None,
        Some(value) => match Isa::ALL.iter().copied().find(|isa| isa.name() == value) {
            None => return Err(Error::Unknown { value: value.to_owned() }),
            Some(isa) if !isa.is_here() => return Err(Error::Missing { value: value.to_owned() }),
            found => found,
        },
    };
    let mut candidates = Isa::available();
    candidates.retain(|&isa| most.is_none_or(|most| isa <= most));
    let mut failed = Vec::new();
    while let Some(isa) = candidates.pop() {
        // Plain Rust is what the others are compared with.
        if isa == Isa::Plain || passes(isa) {
            return Ok(Choice { isa, failed });
        }
        failed.push(isa);
    }
    Ok(Choice { isa: Isa::Plain, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(value: Option<&str>) -> Result<Isa, Error> {
        choose(value, |_| true).map(|choice| choice.isa)
    }

    #[test]
    fn the_variable_is_followed_or_refused() {
        assert_eq!(chosen(Some("plain")), Ok(Isa::Plain));
        let best = Isa::available().pop();
        assert_eq!(chosen(None).ok(), best);
        assert_eq!(chosen(Some("")).ok(), best);
        let error = chosen(Some("sse9")).expect_err("no such set").to_string();
        assert_eq!(error, format!("LLAVA_VIDEO_ISA=sse9: it is one of {}", names(Isa::ALL)));
        for &isa in Isa::ALL {
            let missing = Error::Missing { value: isa.name().to_owned() };
            assert_eq!(chosen(Some(isa.name())), if isa.is_here() { Ok(isa) } else { Err(missing) });
        }
    }

    #[test]
    fn what_fails_its_trial_is_passed_over() {
        let mut better = Isa::available();
        better.retain(|&isa| isa > Isa::Avx2);
        better.reverse();
        let choice = choose(None, |isa| isa <= Isa::Avx2).expect("nothing is asked for");
        assert_eq!(choice.failed, better);
        assert_eq!(choice.isa, *Isa::available().iter().rfind(|&&isa| isa <= Isa::Avx2).expect("plain Rust"));
        assert_eq!(choose(None, |_| false).map(|choice| choice.isa), Ok(Isa::Plain));
    }
}
