//! Memory for several threads.

/// Memory of which several threads write different parts.
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrow: std::marker::PhantomData<&'a mut f32>,
}

// SAFETY: the pointer is an exclusive borrow; `part` makes its callers promise that parts are disjoint.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub fn new(memory: &'a mut [f32]) -> Shared<'a> {
        Shared {
            start: memory.as_mut_ptr(),
            len: memory.len(),
            borrow: std::marker::PhantomData,
        }
    }

    /// # Safety
    /// No two parts that are used at the same time overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller's promise")]
    pub unsafe fn part(&self, at: usize, len: usize) -> &mut [f32] {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: within the memory; the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
