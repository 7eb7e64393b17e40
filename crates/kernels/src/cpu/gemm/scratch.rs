//! Packing buffers that outlive a product.

/// Buffers into which [`gemm`](super::gemm) packs its operands. They grow to the largest product seen and stay.
///
/// One scratch serves one product at a time; give each caller that may run concurrently its own.
#[derive(Default)]
pub struct Scratch {
    /// A in row panels.
    pub(super) a: Aligned,
    /// Strips of B that several threads read.
    pub(super) b: Aligned,
    /// One strip of B for each thread.
    pub(super) strips: Vec<Aligned>,
    /// The whole product, where a portable epilogue needs it.
    pub(super) ab: Vec<f32>,
}

impl Scratch {
    /// Room for a whole product of `len` elements.
    pub(super) fn grow_ab(&mut self, len: usize) {
        if self.ab.len() < len {
            self.ab = vec![0.0; len];
        }
    }
}

/// A buffer whose slices begin on a cache line.
#[derive(Default)]
pub(super) struct Aligned(Vec<f32>);

impl Aligned {
    const LINE: usize = 64;

    /// The first `len` elements from the first line boundary on; grows when too short.
    pub(super) fn slice(&mut self, len: usize) -> &mut [f32] {
        let slack = Self::LINE / size_of::<f32>();
        if self.0.len() < len + slack {
            self.0 = vec![0.0; len + slack];
        }
        let start = self.0.as_ptr().align_offset(Self::LINE);
        &mut self.0[start..start + len]
    }
}
