//! What consecutive positions hold: token ids, and visual tokens by name, so that two prompts can be compared.

use crate::error::Error;
use crate::prompt::{Prompt, Segment};

/// Which visual tokens they are. Equal ids say that content and number are equal; whoever makes them sees to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VisualId(pub u64);

/// Positions from the first on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Positions {
    /// No two runs of ids follow each other, and none is empty.
    runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Run {
    Ids(Vec<u32>),
    Visual { id: VisualId, count: usize },
}

impl Run {
    fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Visual { count, .. } => *count,
        }
    }
}

impl Positions {
    /// Those of a prompt, given name and number of each clip's or picture's visual tokens.
    ///
    /// # Errors
    /// Another number of them than of visual segments.
    pub(super) fn of(prompt: &Prompt, visual: impl ExactSizeIterator<Item = (VisualId, usize)>) -> Result<Self, Error> {
        prompt.check_places(visual.len())?;
        let (mut positions, mut visual) = (Self::default(), visual);
        for segment in &prompt.segments {
            match segment {
                Segment::Tokens(ids) => positions.extend(ids),
                Segment::Visual => positions.runs.extend(visual.next().map(|(id, count)| Run::Visual { id, count })),
            }
        }
        Ok(positions)
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(Run::len).sum()
    }

    /// Adds ids at the end.
    pub(super) fn extend(&mut self, ids: &[u32]) {
        match self.runs.last_mut() {
            _ if ids.is_empty() => {}
            Some(Run::Ids(last)) => last.extend_from_slice(ids),
            _ => self.runs.push(Run::Ids(ids.to_vec())),
        }
    }

    /// With how many positions both begin. The visual tokens of a clip count whole or not at all.
    pub(super) fn common(&self, other: &Self) -> usize {
        let mut common = 0;
        for pair in self.runs.iter().zip(&other.runs) {
            match pair {
                (a, b) if a == b => common += a.len(),
                (Run::Ids(a), Run::Ids(b)) => return common + a.iter().zip(b).take_while(|(a, b)| a == b).count(),
                _ => break,
            }
        }
        common
    }

    /// Keeps the first `len` positions; fewer where that would cut a clip's visual tokens in two, which then go whole.
    pub(super) fn truncate(&mut self, len: usize) {
        let mut left = len;
        let mut kept = 0;
        for run in &mut self.runs {
            match run {
                _ if run.len() <= left => left -= run.len(),
                Run::Ids(ids) if left > 0 => {
                    ids.truncate(left);
                    left = 0;
                }
                _ => break,
            }
            kept += 1;
        }
        self.runs.truncate(kept);
    }

    /// The prompt of the positions after these first `len`, which end no clip's visual tokens half-way, and how many
    /// visual segments lie before it.
    pub(super) fn rest(&self, len: usize) -> (Prompt, usize) {
        let (mut start, mut visual_before) = (0, 0);
        let mut segments = Vec::new();
        for run in &self.runs {
            let skipped = len.saturating_sub(start).min(run.len());
            start += run.len();
            match run {
                Run::Ids(ids) if skipped < ids.len() => segments.push(Segment::Tokens(ids[skipped..].to_vec())),
                Run::Ids(_) => {}
                Run::Visual { .. } if skipped == 0 => segments.push(Segment::Visual),
                Run::Visual { .. } => visual_before += 1,
            }
        }
        (Prompt { segments }, visual_before)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(ids: &[u32]) -> Segment {
        Segment::Tokens(ids.to_vec())
    }

    fn positions(segments: &[Segment], visual: &[(u64, usize)]) -> Positions {
        let prompt = Prompt { segments: segments.to_vec() };
        Positions::of(&prompt, visual.iter().map(|&(id, count)| (VisualId(id), count))).expect("places for all")
    }

    #[test]
    fn a_clip_counts_whole_or_not_at_all() {
        let asked = [ids(&[1, 2]), Segment::Visual, ids(&[3, 4])];
        let first = positions(&asked, &[(7, 10)]);
        assert_eq!(first.len(), 14);
        let other_question = positions(&[ids(&[1, 2]), Segment::Visual, ids(&[3, 5, 6])], &[(7, 10)]);
        assert_eq!(first.common(&other_question), 13);
        assert_eq!(first.common(&positions(&asked, &[(8, 10)])), 2);
        assert_eq!(first.common(&positions(&asked[..2], &[(7, 10)])), 12);
        assert_eq!(first.common(&positions(&[ids(&[1, 2, 3])], &[])), 2);
        assert_eq!(first.common(&Positions::default()), 0);
        for (len, kept) in [(0, 0), (1, 1), (2, 2), (3, 2), (11, 2), (12, 12), (13, 13), (99, 14)] {
            let mut cut = first.clone();
            cut.truncate(len);
            assert_eq!((cut.len(), cut.common(&first)), (kept, kept), "{len}");
        }
    }

    #[test]
    fn the_rest_is_what_was_not_kept() {
        let asked = positions(&[ids(&[1, 2]), Segment::Visual, ids(&[3, 4]), Segment::Visual], &[(7, 10), (8, 5)]);
        let rest = |len| {
            let (prompt, visual_before) = asked.rest(len);
            (prompt.segments, visual_before)
        };
        assert_eq!(rest(0), (vec![ids(&[1, 2]), Segment::Visual, ids(&[3, 4]), Segment::Visual], 0));
        assert_eq!(rest(1), (vec![ids(&[2]), Segment::Visual, ids(&[3, 4]), Segment::Visual], 0));
        assert_eq!(rest(2), (vec![Segment::Visual, ids(&[3, 4]), Segment::Visual], 0));
        assert_eq!(rest(13), (vec![ids(&[4]), Segment::Visual], 1));
        assert_eq!(rest(14), (vec![Segment::Visual], 1));
        assert_eq!(rest(19), (vec![], 2));
    }

    #[test]
    fn visual_tokens_without_a_place_are_refused() {
        let prompt = Prompt { segments: vec![ids(&[1]), Segment::Visual] };
        for given in [0, 2] {
            let visual = vec![(VisualId(1), 3); given];
            let error = Positions::of(&prompt, visual.into_iter()).expect_err("one place").to_string();
            assert!(error.contains("1 place for") && error.contains(&format!("given {given}")), "{error}");
        }
    }

    /// Prompts of few ids and clips, so that many begin alike.
    fn any_positions() -> impl Strategy<Value = Positions> {
        let run = prop_oneof![
            prop::collection::vec(0u32..2, 0..4).prop_map(Ok),
            (0u64..2).prop_map(|id| Err((VisualId(id), 3))),
        ];
        prop::collection::vec(run, 0..6).prop_map(|runs| {
            let mut positions = Positions::default();
            for run in runs {
                match run {
                    Ok(ids) => positions.extend(&ids),
                    Err((id, count)) => positions.runs.push(Run::Visual { id, count }),
                }
            }
            positions
        })
    }

    /// Each position by itself, a clip's by its place in the clip.
    fn spelled(positions: &Positions) -> Vec<(u64, usize)> {
        let spell = |run: &Run| match run {
            Run::Ids(ids) => ids.iter().map(|&id| (u64::from(id), 0)).collect::<Vec<_>>(),
            Run::Visual { id, count } => (1..=*count).map(|place| (100 + id.0, place)).collect(),
        };
        positions.runs.iter().flat_map(spell).collect()
    }

    proptest! {
        #[test]
        fn what_is_common_is_common(a in any_positions(), b in any_positions()) {
            let common = a.common(&b);
            prop_assert_eq!(common, b.common(&a));
            let (spelled_a, spelled_b) = (spelled(&a), spelled(&b));
            prop_assert_eq!(&spelled_a[..common], &spelled_b[..common]);
            // Where it ends, they differ, or one ends, or a clip begins.
            let next = (spelled_a.get(common), spelled_b.get(common));
            prop_assert!(next.0.is_none() || next.1.is_none() || next.0 != next.1, "{next:?}");
        }

        #[test]
        fn a_cut_and_its_rest_are_the_whole(whole in any_positions(), len in 0usize..20) {
            let mut cut = whole.clone();
            cut.truncate(len);
            prop_assert!(cut.len() <= len);
            prop_assert_eq!(&spelled(&cut)[..], &spelled(&whole)[..cut.len()]);
            let (rest, visual_before) = whole.rest(cut.len());
            let visual: Vec<_> = whole.runs.iter().filter_map(|run| match run {
                Run::Visual { id, count } => Some((*id, *count)),
                Run::Ids(_) => None,
            }).collect();
            let rest = Positions::of(&rest, visual[visual_before..].iter().copied()).expect("places for all");
            prop_assert_eq!([spelled(&cut), spelled(&rest)].concat(), spelled(&whole));
        }
    }
}
