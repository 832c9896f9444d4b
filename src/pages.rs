//! Pages of memory: what large buffers ask the system for.

/// Asks for huge pages under memory that nothing has touched yet. Only a hint.
pub(crate) fn prefer_huge_pages<T>(memory: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const HUGE_PAGE_BYTES: usize = 2 << 20;
        let first = memory.as_ptr() as usize;
        let start = first.next_multiple_of(HUGE_PAGE_BYTES);
        let end = (first + std::mem::size_of_val(memory)) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        if start < end {
            // SAFETY: the range lies inside `memory`; this advice changes no contents.
            let _ = unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = memory;
    }
}
