//! Whether a clip's index may be believed enough to decode only parts of it.
//!
//! Each rule stands for files on which decoding from a keyframe was seen, or is known, to differ from decoding
//! everything. What breaks one is decoded from start to end.

use super::entries::{Entry, Index};

/// The deepest reordering H.264 and HEVC allow, in frames.
const MAX_REORDER: usize = 16;

/// Why an index cannot be used to decode parts only; `None` if it can.
///
/// `reorder_frames` is how many frames the decoder holds back to put them in order.
pub(crate) fn objection(index: &Index, reorder_frames: usize) -> Option<&'static str> {
    let entries = &index.entries;
    if index.fault.is_some() || index.corrupt_count > 0 {
        return Some("the file is damaged");
    }
    if index.changes_parameters {
        return Some("codec parameters change within the file");
    }
    if index.restarts {
        return Some("a sequence ends within the file");
    }
    if entries.iter().any(|entry| entry.discard) {
        return Some("an edit list cuts frames away");
    }
    if entries.iter().any(Entry::is_empty) {
        return Some("packets are empty");
    }
    let Some(stamps) = entries.iter().map(|entry| entry.pts).collect::<Option<Vec<i64>>>() else {
        return Some("timestamps are missing");
    };
    let in_order = |pair: &[u32]| stamps[pair[0] as usize] < stamps[pair[1] as usize];
    if !index.presented.windows(2).all(in_order) {
        return Some("timestamps repeat");
    }
    if !entries.first().is_some_and(|first| first.key && !first.hidden) {
        return Some("the file does not start with a keyframe");
    }
    let mut highest = i64::MIN;
    // The highest stamps so far, in ascending order: those above the present one are frames that overtake it.
    let mut ahead: Vec<i64> = Vec::with_capacity(MAX_REORDER + 2);
    for (entry, &pts) in entries.iter().zip(&stamps) {
        if entry.hidden {
            continue;
        }
        if pts < stamps[0] {
            return Some("frames precede the first keyframe");
        }
        if entry.key && pts < highest {
            return Some("keyframes are out of order");
        }
        highest = highest.max(pts);
        let place = ahead.partition_point(|&other| other < pts);
        if ahead.len() - place > reorder_frames.min(MAX_REORDER) {
            return Some("frames are reordered further than the decoder expects");
        }
        ahead.insert(place, pts);
        if ahead.len() > MAX_REORDER + 1 {
            ahead.remove(0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::entries::{CountSource, tests::entry};
    use super::*;

    fn verdict(stamps: &[i64], keys: &[i64], reorder: usize, change: impl Fn(&mut Vec<Entry>)) -> Option<&'static str> {
        let mut entries = stamps.iter().map(|&pts| entry(pts, keys.contains(&pts))).collect();
        change(&mut entries);
        objection(&Index::new(entries, 1, CountSource::Packets), reorder)
    }

    #[test]
    fn plain_and_open_groups_are_trusted() {
        assert_eq!(verdict(&[0, 1, 2, 3], &[0], 0, |_| {}), None);
        assert_eq!(verdict(&[0, 3, 1, 2, 6, 4, 5], &[0, 6], 1, |_| {}), None);
    }

    #[test]
    fn doubtful_indices_are_not() {
        let stamps = [0, 3, 1, 2, 6, 4, 5];
        assert!(verdict(&stamps, &[0], 0, |_| {}).is_some(), "reordered");
        assert!(verdict(&stamps, &[3], 1, |_| {}).is_some(), "no keyframe first");
        assert!(verdict(&[3, 0, 1, 2], &[3], 4, |_| {}).is_some(), "leading frames");
        assert!(verdict(&[0, 4, 2, 6], &[0, 2], 4, |_| {}).is_some(), "a keyframe overtaken");
        assert!(verdict(&[0, 1, 1, 2], &[0], 4, |_| {}).is_some(), "a time twice");
        assert!(verdict(&stamps, &[0], 1, |entries| entries[2].pts = None).is_some());
        assert!(verdict(&stamps, &[0], 1, |entries| entries[6].discard = true).is_some());
        assert!(verdict(&stamps, &[0], 1, |entries| entries[6].size = 0).is_some());
    }
}
