//! Memory that kernels need beside their operands.

/// Memory for one kernel call at a time. Each kernel that needs some says how much (such as [`gemm::workspace`]); it grows
/// to the most that was ever asked for, and stays. What is in it means nothing to the next call.
///
/// [`gemm::workspace`]: super::gemm::workspace
#[derive(Default)]
pub struct Workspace(Vec<f32>);

/// Floats of a cache line.
const LINE: usize = 16;

/// The floats of whole cache lines that hold `len`: what follows begins on a line, too.
pub(super) const fn lines(len: usize) -> usize {
    len.next_multiple_of(LINE)
}

impl Workspace {
    /// Makes room for `len` floats, so that a call that needs as many allocates nothing.
    pub fn reserve(&mut self, len: usize) {
        if len > 0 && self.0.len() < len + LINE {
            self.0 = vec![0.0; len + LINE];
        }
    }

    /// `len` floats of any value, the first one at the beginning of a cache line.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        self.reserve(len);
        match len {
            0 => &mut [],
            _ => {
                let start = self.0.as_ptr().align_offset(size_of::<f32>() * LINE);
                &mut self.0[start..start + len]
            }
        }
    }
}
