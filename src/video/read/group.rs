//! Which packets must be decoded for which frames.

use crate::video::index::entries::Index;

/// A wanted frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Number among the presented frames.
    pub(crate) number: usize,
    /// Position of its packet in decoding order.
    pub(crate) position: usize,
    /// Its time stamp.
    pub(crate) pts: i64,
}

/// A run of packets to decode, from a keyframe to the last packet that a wanted frame needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Position of the keyframe.
    pub(crate) first: usize,
    /// Position of the last packet to decode.
    pub(crate) last: usize,
    /// Time stamp of the keyframe; frames before it belong to another group.
    pub(crate) start_pts: i64,
    /// In order of presentation, never empty.
    pub(crate) targets: Vec<Target>,
}

/// Divides `numbers` (ascending, distinct frames) into groups; `None` if the index does not have them.
///
/// A frame belongs to the last keyframe presented at or before it. With `merge`, groups whose packets overlap
/// become one, so that packets can be read in a single pass.
///
/// An H.264 decoder that starts at an open group drops the frames shown before the keyframe, and when it is emptied
/// it stops at the first that it drops. With a `margin`, so many packets more than those frames are decoded, which
/// moves them out in time; where the clip ends before that, decoding starts one keyframe earlier.
pub(crate) fn groups(index: &Index, numbers: &[usize], merge: bool, margin: usize) -> Option<Vec<Group>> {
    // The index was found to be in order: by time, keys come as they do by position.
    let mut keys: Vec<(i64, usize)> = Vec::new();
    for (position, entry) in index.entries.iter().enumerate() {
        if entry.key && !entry.hidden {
            keys.push((entry.pts?, position));
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for &number in numbers {
        let position = *index.presented.get(number)? as usize;
        let pts = index.entries.get(position)?.pts?;
        let target = Target { number, position, pts };
        let mut key = keys.partition_point(|key| key.0 <= pts).checked_sub(1)?;
        let mut least = keys[key].1;
        let leading = if margin > 0 { leading(index, keys[key]) } else { 0 };
        if leading > 0 {
            least += leading + margin;
            if least >= index.entries.len() && key > 0 {
                key -= 1;
                least = keys[key].1;
            }
        }
        let (start_pts, first) = keys[key];
        let position = position.max(least).min(index.entries.len() - 1);
        match groups.last_mut() {
            Some(group) if group.first == first || (merge && first <= group.last) => {
                group.last = group.last.max(position);
                group.targets.push(target);
            }
            _ => groups.push(Group { first, last: position, start_pts, targets: vec![target] }),
        }
    }
    Some(groups)
}

/// Number of packets right after a keyframe whose frames are shown before it.
fn leading(index: &Index, (start_pts, first): (i64, usize)) -> usize {
    let after = index.entries.iter().skip(first + 1);
    after.take_while(|entry| entry.hidden || entry.pts < Some(start_pts)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::index::entries::{CountSource, tests::entry};

    #[test]
    fn targets_go_to_the_keyframe_shown_before_them() {
        // Two open groups: frames 4 and 5 come after the second keyframe (6), and are shown before it.
        let stamps = [0, 3, 1, 2, 6, 4, 5, 8, 7];
        let entries = stamps.iter().map(|&pts| entry(pts, pts == 0 || pts == 6)).collect();
        let index = Index::new(entries, 1, CountSource::Packets);
        let found = groups(&index, &[1, 5, 7], false, 0).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].first, found[0].last, found[0].targets.len()), (0, 6, 2));
        assert_eq!((found[1].first, found[1].last, found[1].start_pts), (4, 8, 6));
        let merged = groups(&index, &[1, 5, 7], true, 0).unwrap();
        assert_eq!((merged.len(), merged[0].first, merged[0].last), (1, 0, 8));
        assert_eq!(groups(&index, &[9], false, 0), None);
        // The second group is too near the end to move its two leading frames out.
        let early = groups(&index, &[7], false, 4).unwrap();
        assert_eq!((early[0].first, early[0].last, early[0].start_pts), (0, 8, 0));
        assert_eq!(groups(&index, &[6], false, 1).unwrap()[0].last, 7);
    }
}
