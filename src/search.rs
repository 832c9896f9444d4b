//! The largest number that still does, found by halving.

/// The largest number below `limit`, and above 0, that `does`: larger ones never do where a smaller one does not.
///
/// # Errors
/// The first of `does`.
pub(crate) fn most_below<E>(limit: usize, does: impl Fn(usize) -> Result<bool, E>) -> Result<Option<usize>, E> {
    let (mut most, mut too_many) = (0, limit);
    while too_many - most > 1 {
        let middle = most + (too_many - most) / 2;
        *(if does(middle)? { &mut most } else { &mut too_many }) = middle;
    }
    Ok((most > 0).then_some(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_found_whatever_the_limit() {
        for limit in 0..20 {
            for number in 1..20 {
                let found = most_below(number, |n| Ok::<_, ()>(n <= limit)).expect("nothing fails");
                assert_eq!(found, Some(limit.min(number - 1)).filter(|&n| n > 0), "{limit} of {number}");
            }
        }
    }
}
