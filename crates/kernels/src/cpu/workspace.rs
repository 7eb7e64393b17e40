//! Memory that kernels need beside their operands.

use super::Floats;

pub(super) use super::floats::lines;

/// Memory for one kernel call at a time. Each kernel that needs some says how much (such as [`gemm::workspace`]); it grows
/// to the most that was ever asked for, and stays. What is in it means nothing to the next call.
///
/// [`gemm::workspace`]: super::gemm::workspace
#[derive(Default)]
pub struct Workspace(Floats);

impl Workspace {
    /// Makes room for `len` floats, so that a call that needs as many allocates nothing.
    pub fn reserve(&mut self, len: usize) {
        if self.0.len() < len {
            self.0 = Floats::zeros(len);
        }
    }

    /// `len` floats of any value, the first one at the beginning of a cache line.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        self.reserve(len);
        &mut self.0[..len]
    }
}
