//! Results of few channels, as the last layer of a generator has them: a tile of C would be almost empty.
//!
//! Turned around: each pixel of the gathered image is multiplied by the filters of all taps and channels of the result, a product
//! of matrices that need not be gathered; the products of a pixel are added where its taps lie, in the order of pixels and
//! taps. A task is an image.

use super::{Form, Sizes};
use crate::cpu::gemm::out::{Out, Place};
use crate::cpu::gemm::{self, Epilogue, Shape3};
use crate::cpu::isa::Isa;
use crate::cpu::multiversion::multiversion;
use crate::cpu::workspace::lines;

/// Most channels of a result.
const COLUMNS: usize = 4;

/// How one call is cut.
pub(super) struct Cut {
    isa: Isa,
    form: Form,
    sizes: Sizes,
    /// Channels of the result.
    n: usize,
}

impl Cut {
    /// `None` where other kernels are faster, or where there are none for it.
    pub fn new(isa: Isa, form: Form, sizes: Sizes) -> Option<Cut> {
        let n = sizes.columns(form);
        let (kernel, window) = (sizes.kernel, sizes.window);
        let is_for_it = match form {
            // With a stride most of the products would be of no use.
            Form::Y => window.stride == [1, 1] && (0..2).all(|d| window.pad[d] < kernel[d]),
            Form::Dx => true,
            Form::Dw => false,
        };
        let is_thin = n <= COLUMNS && kernel[0] * kernel[1] * n > 1;
        (isa != Isa::Portable && is_for_it && is_thin).then_some(Cut {
            isa,
            form,
            sizes,
            n,
        })
    }

    /// The gathered image, and how far apart the places of its pixels are on the plane of sums.
    fn image(&self) -> ([usize; 2], [usize; 2]) {
        match self.form {
            Form::Dx => (self.sizes.window.out, self.sizes.window.stride),
            _ => (self.sizes.image, [1, 1]),
        }
    }

    /// The result, and where it begins on the plane of sums.
    fn result(&self) -> ([usize; 2], [usize; 2]) {
        let Sizes { kernel, window, .. } = self.sizes;
        match self.form {
            Form::Dx => (self.sizes.image, window.pad),
            _ => (window.out, [0, 1].map(|d| kernel[d] - 1 - window.pad[d])),
        }
    }

    /// Rows and columns of the plane of sums.
    fn plane(&self) -> [usize; 2] {
        let ((image, step), (result, first)) = (self.image(), self.result());
        let reached = |d: usize| (image[d] - 1) * step[d] + self.sizes.kernel[d];
        [0, 1].map(|d| reached(d).max(first[d] + result[d]))
    }

    /// The product of one image.
    fn dims(&self) -> Shape3 {
        let ([h, w], [kh, kw]) = (self.image().0, self.sizes.kernel);
        Shape3 {
            m: h * w,
            k: self.sizes.gathered_channels(self.form),
            n: kh * kw * self.n,
        }
    }

    /// How many numbers are multiplied.
    pub fn products(&self) -> usize {
        let Shape3 { m, k, n } = self.dims();
        self.sizes.n * m * k * n
    }

    /// Floats of each thread's products, sums, and memory of the product.
    fn own(&self) -> [usize; 3] {
        let (dims, [h, w]) = (self.dims(), self.plane());
        let product = gemm::needed_by_one(self.isa, self.form == Form::Dx, dims);
        [dims.m * dims.n, h * w * self.n, product].map(lines)
    }

    /// Floats for the filters, and for each thread.
    pub fn workspace(&self) -> [usize; 2] {
        let filters = match self.form {
            Form::Dx => 0,
            _ => self.sizes.w(),
        };
        [lines(filters), self.own().iter().sum()]
    }

    pub fn run(
        &self,
        threads: usize,
        images: &[f32],
        w: &[f32],
        c: &mut [f32],
        epilogue: Epilogue,
        workspace: &mut [f32],
    ) {
        let [filters, own] = self.workspace();
        let (filters, memory) = workspace.split_at_mut(filters);
        let filters = match self.form {
            Form::Dx => w,
            _ => {
                self.pack(w, filters);
                &filters[..w.len()]
            }
        };
        let out = Out::new(c, epilogue);
        super::each_task(self.sizes.n, threads, memory, own, |image, memory| {
            self.run_task(image, images, filters, &out, memory);
        });
    }

    /// The filters of y as a matrix of channels by taps, the last one first, and channels of the result.
    fn pack(&self, w: &[f32], to: &mut [f32]) {
        let (c_in, n) = (self.sizes.c_in, self.n);
        let taps = self.sizes.kernel[0] * self.sizes.kernel[1];
        for (row, from) in w.chunks_exact(n).enumerate() {
            let (tap, c) = (row / c_in, row % c_in);
            to[(c * taps + taps - 1 - tap) * n..][..n].copy_from_slice(from);
        }
    }

    fn run_task(
        &self,
        image: usize,
        images: &[f32],
        filters: &[f32],
        out: &Out,
        memory: &mut [f32],
    ) {
        let dims = self.dims();
        let [products, sums, _] = self.own();
        let (products, memory) = memory.split_at_mut(products);
        let (sums, memory) = memory.split_at_mut(sums);
        let products = &mut products[..dims.m * dims.n];
        let pixels = &images[image * dims.m * dims.k..][..dims.m * dims.k];
        let is_turned = self.form == Form::Dx;
        gemm::gemm_by_one(self.isa, is_turned, dims, pixels, filters, products, memory);
        let ([_, columns], step) = self.image();
        let plane = self.plane();
        sums.fill(0.0);
        let [kh, kw] = self.sizes.kernel;
        add(
            products,
            columns,
            step,
            [kh, kw * self.n],
            plane[1],
            self.n,
            sums,
        );
        let ([h, w], [top, left]) = self.result();
        for r in 0..h {
            let place = Place {
                at: (image * h + r) * w * self.n,
                column: 0,
                ld: self.n,
                rows: w,
                cols: self.n,
                step: self.n,
            };
            let sums = &sums[((top + r) * plane[1] + left) * self.n..];
            // SAFETY: tasks have different images.
            unsafe { out.finish(place, sums) };
        }
    }
}

multiversion! {
    /// Adds the products of each pixel, `taps[0]` rows of `taps[1]` numbers, where they lie on a plane of `width` columns of n
    /// numbers.
    fn add(products: &[f32], columns: usize, step: [usize; 2], taps: [usize; 2], width: usize, n: usize, sums: &mut [f32]) {
        match taps[1] {
            3 => add_rows::<3>(products, columns, step, taps, width, n, sums),
            4 => add_rows::<4>(products, columns, step, taps, width, n, sums),
            5 => add_rows::<5>(products, columns, step, taps, width, n, sums),
            9 => add_rows::<9>(products, columns, step, taps, width, n, sums),
            12 => add_rows::<12>(products, columns, step, taps, width, n, sums),
            15 => add_rows::<15>(products, columns, step, taps, width, n, sums),
            _ => add_rows::<0>(products, columns, step, taps, width, n, sums),
        }
    }
}

/// [`add`] with LEN for `taps[1]`; 0 for any.
#[inline(always)]
fn add_rows<const LEN: usize>(
    products: &[f32],
    columns: usize,
    step: [usize; 2],
    taps: [usize; 2],
    width: usize,
    n: usize,
    sums: &mut [f32],
) {
    for (i, row) in products
        .chunks_exact(columns * taps[0] * taps[1])
        .enumerate()
    {
        for (j, pixel) in row.chunks_exact(taps[0] * taps[1]).enumerate() {
            for (u, products) in pixel.chunks_exact(taps[1]).enumerate() {
                let to = &mut sums[((i * step[0] + u) * width + j * step[1]) * n..][..taps[1]];
                match (to.first_chunk_mut::<LEN>(), products.first_chunk::<LEN>()) {
                    (Some(to), Some(products)) if LEN > 0 => {
                        for l in 0..LEN {
                            to[l] += products[l];
                        }
                    }
                    _ => to.iter_mut().zip(products).for_each(|(to, x)| *to += x),
                }
            }
        }
    }
}
