//! Spectral normalisation.

use ganforge_settings::{list, settings, whole};
use ganforge_tensor::Var;

use super::Transform;
use crate::nn::Build;
use crate::tensors::Initial;

settings! {
    /// The weights divided by the largest singular value of their matrix, as power iterations estimate it.
    ///
    /// ```text
    /// W [rows, cols] = w [kh, kw, c_in, c_out] or [inputs, outputs], its last axis the columns
    /// v = Wᵀu / (‖Wᵀu‖ + 1e-12),  u = Wv / (‖Wv‖ + 1e-12),  sigma = uᵀWv,  w' = w / sigma
    /// dW = (A - ⟨A, W'⟩ u vᵀ) / sigma for A = dW': u and v are constants to the gradient, sigma is not
    /// ```
    ///
    /// A transposed convolution stores the filter of the convolution that it is the adjoint of, `[kh, kw, c, channels
    /// before]`, and its matrix is that filter's. It bounds the matrix and not the map of images that a convolution is,
    /// whose norm can be larger.
    ///
    /// `u` is kept from step to step. Power iterations go on from it in every forward pass, and those of training keep
    /// where they come to; with `moves = "each_update"` only the first one after the weights have changed does: all passes
    /// through the same weights have the same `u`, also those of the other network's step. Samples and scores go on from it
    /// and keep nothing.
    /// source: Miyato et al. 2018, Spectral Normalization for GANs, equation 8 and algorithm 1; u of the length of the rows
    /// as in the code of the large study of 2018, of the outputs in the paper's
    #[derive(Copy)]
    pub struct SpectralNorm {
        /// Power iterations in each forward pass.
        pub iterations: usize = 1, whole(1, 1000);
        /// Which forward passes of training keep u.
        pub moves: Moves = Moves::EachPass;
    }
}

list! {
    /// Forward passes of training that keep the u of their power iterations.
    pub enum Moves {
        /// All: of D those on real and on generated examples, one where they are joined, on the points of a penalty, and that
        /// of G's step; so the paper's code, the large study's and PyTorch do.
        "each_pass" => EachPass,
        /// The first one after each update of the weights, whose u, v and sigma the others share.
        "each_update" => EachUpdate,
    }
}

impl Transform for SpectralNorm {
    #[track_caller]
    fn of<'g>(&self, build: &mut Build<'g>, w: Var<'g>, _: usize) -> Var<'g> {
        let shape = w.shape();
        let cols = shape.dims().last().copied().unwrap_or(1);
        let rows = shape.elements() / cols.max(1);
        let matrix = w.reshape([rows, cols]);
        let iterate = |build: &mut Build<'g>| {
            let frozen = matrix.detach();
            let stored = build.buffer("u", [rows], Initial::Normal(1.0));
            let (mut u, mut v) = (stored.reshape([rows, 1]), None);
            for _ in 0..self.iterations {
                let next = unit(frozen.matmul_with(true, false, u));
                u = unit(frozen.matmul(next));
                v = Some(next);
            }
            // The other network's step meets the weights that the next pass of this one's step will begin with.
            if self.moves == Moves::EachPass || build.learns() {
                build.update("u", u.reshape([rows]).detach());
            }
            [u, v.expect("there is an iteration")].map(Var::detach)
        };
        let [u, v] = match self.moves {
            Moves::EachUpdate if build.is_training() => build.once("u", w, iterate),
            _ => iterate(build),
        };
        w / (u * matrix.matmul(v)).sum()
    }
}

/// x / (‖x‖ + 1e-12)
#[track_caller]
fn unit(x: Var<'_>) -> Var<'_> {
    x / (x.square().sum().sqrt() + 1e-12)
}
