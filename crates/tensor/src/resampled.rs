//! Convolutions beside a change of the images' size, recorded as one convolution that does less.
//!
//! Frameworks run these pairs as they are written. Both steps are linear, and what the change of size repeats, averages or
//! fills with zeros need not be multiplied: each pair is one strided convolution with filters made of the given ones. Those
//! are recorded, too, as ops on a small tensor, so that gradients of any order follow. The proofs: docs/book/src/less-work.md.

use crate::graph::Var;
use crate::ops::{Divisor, Window};

impl<'g> Var<'g> {
    /// `self.unpool_zeros(stride).conv2d(filters, SAME)`: images `[n, h, w, c_in]` and filters `[kh, kw, c_in, c_out]` give
    /// `[n, h s, w s, c_out]`, for 1/s² of the multiplications.
    ///
    /// ```text
    /// y = conv2d_dx(x, filters turned by 180 degrees, c_in and c_out swapped) at stride s
    /// ```
    #[track_caller]
    pub fn unpool_conv(self, filters: Var<'g>, stride: usize) -> Var<'g> {
        match sizes(self, filters) {
            Some([image, _]) if stride > 0 => {
                let image = image.map(|size| size.saturating_mul(stride));
                self.spread(filters, kernel_of(filters), stride, image)
            }
            _ => self.unpool_zeros(stride).conv2d(filters, SINGLE),
        }
    }

    /// `self.upsample_nearest(factor).conv2d(filters, SAME)`: images `[n, h, w, c_in]` and filters `[kh, kw, c_in, c_out]`
    /// give `[n, h f, w f, c_out]`, for ((k + f - 1) / (k f))² of the multiplications: 16/36 for 3 x 3 and 2.
    ///
    /// ```text
    /// y = conv2d_dx(x, Σ of the f² shifts of the turned filters, [kh + f - 1, kw + f - 1, c_out, c_in]) at stride f
    /// ```
    #[track_caller]
    pub fn upsample_conv(self, filters: Var<'g>, factor: usize) -> Var<'g> {
        match sizes(self, filters) {
            Some([image, kernel]) if factor > 0 => {
                let image = image.map(|size| size.saturating_mul(factor));
                let filters = shifted(filters, factor, Divisor::One);
                self.spread(filters, kernel, factor, image)
            }
            _ => self.upsample_nearest(factor).conv2d(filters, SINGLE),
        }
    }

    /// `self.conv2d(filters, SAME).mean_pool([factor; 2])`: images `[n, h, w, c_in]` and filters `[kh, kw, c_in, c_out]` give
    /// `[n, ⌊h / f⌋, ⌊w / f⌋, c_out]`, for ((k + f - 1) / (k f))² of the multiplications: 16/36 for 3 x 3 and 2.
    ///
    /// ```text
    /// y = conv2d(x, mean of the f² shifts of the filters, [kh + f - 1, kw + f - 1, c_in, c_out]) at stride f
    /// ```
    ///
    /// With filters of 1 x 1 the pool comes first, for 1/f².
    #[track_caller]
    pub fn conv_mean_pool(self, filters: Var<'g>, factor: usize) -> Var<'g> {
        match sizes(self, filters) {
            Some([_, [1, 1]]) => {
                let pooled = self.mean_pool([factor; 2]);
                let image = [pooled.shape().dims()[1], pooled.shape().dims()[2]];
                pooled.conv2d(filters, Window::same(image, [1, 1], [1, 1]))
            }
            Some([image, kernel]) if factor > 0 => {
                let Window { pad, .. } = Window::same(image, kernel, [1, 1]);
                let (stride, out) = ([factor; 2], image.map(|size| size / factor));
                let filters = shifted(filters, factor, Divisor::Kernel);
                self.conv2d(filters, Window { stride, pad, out })
            }
            _ => self.conv2d(filters, SINGLE).mean_pool([factor; 2]),
        }
    }

    /// The transposed convolution at `stride` that puts each pixel's `filters`, turned, where a convolution SAME with filters
    /// of `kernel` after the change of size reads that pixel.
    #[track_caller]
    fn spread(
        self,
        filters: Var<'g>,
        kernel: [usize; 2],
        stride: usize,
        image: [usize; 2],
    ) -> Var<'g> {
        let before = Window::same(image, kernel, [1, 1]).pad;
        let window = Window {
            stride: [stride; 2],
            pad: [0, 1].map(|d| (kernel[d] - 1).saturating_sub(before[d])),
            out: image.map(|size| size / stride),
        };
        let turned = filters.flip(&[0, 1]).transpose(&[0, 1, 3, 2]);
        self.conv2d_dx(turned, window, image)
    }
}

/// What is recorded where operands are no images and filters: it says so.
const SINGLE: Window = Window {
    stride: [1; 2],
    pad: [0; 2],
    out: [1; 2],
};

/// Rows and columns of images and of filters, unless they are something else or empty.
fn sizes(x: Var<'_>, filters: Var<'_>) -> Option<[[usize; 2]; 2]> {
    match (x.shape().dims(), filters.shape().dims()) {
        (&[_, h, w, _], &[kh, kw, _, _]) if kh.min(kw).min(h).min(w) > 0 => {
            Some([[h, w], [kh, kw]])
        }
        _ => None,
    }
}

fn kernel_of(filters: Var<'_>) -> [usize; 2] {
    [filters.shape().dims()[0], filters.shape().dims()[1]]
}

/// The sum or the mean of the f² filters that are `filters` moved by 0 .. f - 1 rows and columns.
#[track_caller]
fn shifted<'g>(filters: Var<'g>, f: usize, divisor: Divisor) -> Var<'g> {
    let &[kh, kw, c_in, c_out] = filters.shape().dims() else {
        unreachable!("the sizes are known")
    };
    let [h, w] = [kh, kw].map(|k| k + f - 1);
    let window = Window {
        stride: [1; 2],
        pad: [f - 1; 2],
        out: [h, w],
    };
    let image = filters.reshape([1, kh, kw, c_in * c_out]);
    let sums = image.pool([f; 2], window, divisor);
    sums.reshape([h, w, c_in, c_out])
}
