//! Memory that is fetched into the cache before it is needed.

use super::super::prefetch;

/// Fetches values into the cache. No access: there need be none.
#[inline]
pub(super) fn fetch<T>(values: *const T, count: usize) {
    for offset in (0..count * size_of::<T>()).step_by(64) {
        prefetch::line(values.cast::<u8>().wrapping_add(offset));
    }
}
