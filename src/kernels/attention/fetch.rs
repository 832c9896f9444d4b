//! Memory that is fetched into the cache before it is needed.

/// Fetches values into the cache. No access: there need be none.
#[inline]
pub(super) fn fetch<T>(values: *const T, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..count * size_of::<T>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: fetching is no access: any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.cast::<i8>().wrapping_add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, count);
}
