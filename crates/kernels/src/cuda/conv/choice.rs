//! The choice of the kernel for a convolution.

use crate::cpu::conv::{Form, Sizes};
use crate::cuda::{FILL, PROCESSORS, Precision};

/// Which kernel computes a convolution, and how its sums are cut; from the precision and the sizes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub precision: Precision,
    pub rung: &'static str,
    /// Rows and columns of the result that a block has.
    pub tile: [usize; 2],
    pub threads: u32,
    /// Terms per part of a sum, a multiple of 16.
    pub part: usize,
}

/// At most so many columns of a result are few.
const FEW: usize = 16;

/// The fewest terms of a part of a sum.
const SHORT: usize = 32;

/// Whether patches can be read by fours of channels.
fn has_fours(form: Form, s: &Sizes) -> bool {
    let channels = match form {
        Form::Y | Form::Dw => s.c_in,
        Form::Dx => s.c_out,
    };
    channels.is_multiple_of(4)
}

/// Whether the other factor can be, too.
fn is_wide(form: Form, s: &Sizes) -> bool {
    has_fours(form, s) && s.c_out.is_multiple_of(4)
}

/// How many tiles there are: of conv2d_dx in all phases, each counted as the largest.
pub(super) fn tiles(form: Form, s: &Sizes, [high, wide]: [usize; 2]) -> usize {
    let ([h, w], [sh, sw]) = (s.image, s.window.stride);
    let (phases, rows) = match form {
        Form::Y => (1, s.n * s.window.out[0] * s.window.out[1]),
        Form::Dw => (1, s.kernel[0] * s.kernel[1] * s.c_in),
        Form::Dx => (sh.min(h) * sw.min(w), s.n * h.div_ceil(sh) * w.div_ceil(sw)),
    };
    phases * rows.div_ceil(high) * s.columns(form).div_ceil(wide)
}

/// Whether tiles of 128 x 128 take no longer than those of 64 x 64: see the choice for matrix products.
fn is_large(form: Form, s: &Sizes) -> bool {
    let rounds = |tile| tiles(form, s, [tile; 2]).div_ceil(PROCESSORS);
    7 * rounds(128) <= 2 * rounds(64)
}

impl Choice {
    /// Patches word by word where channels are no multiples of 4. Few columns: tiles of 16 of them. Else tiles of 128 x 128 where
    /// they take no longer, or of 64 x 64. The first two are no work for tensor cores.
    pub(super) fn of(precision: Precision, form: Form, s: &Sizes) -> Choice {
        let is_few = s.columns(form) <= FEW;
        let (precision, rung) = match precision {
            Precision::Tf32 | Precision::Bf16 if is_wide(form, s) && !is_few => {
                let rung = if is_large(form, s) {
                    "v3_large"
                } else {
                    "v2_block"
                };
                (precision, rung)
            }
            _ if has_fours(form, s) && is_few => (Precision::F32, "v5_few"),
            _ if !is_wide(form, s) => (Precision::F32, "v2_block"),
            _ if is_large(form, s) => (Precision::F32, "v4_large"),
            _ => (Precision::F32, "v3_wide"),
        };
        Choice::new(precision, rung, form, s)
    }

    /// Every kernel of a precision's ladder that can compute it, with what it does, last the one of [`Choice::of`]; none where that
    /// takes another precision.
    pub(super) fn ladder(
        precision: Precision,
        form: Form,
        s: &Sizes,
    ) -> Vec<(&'static str, Choice)> {
        let used = Choice::of(precision, form, s);
        let (wide, few) = (
            is_wide(form, s),
            has_fours(form, s) && s.columns(form) <= FEW,
        );
        let rungs: &[(&str, &str, bool)] = match precision {
            _ if used.precision != precision => &[],
            Precision::F32 => &[
                (
                    "a thread per element, each index worked out anew",
                    "v1_naive",
                    true,
                ),
                (
                    "64 x 64 per block, patches word by word, long sums in parts",
                    "v2_block",
                    true,
                ),
                ("patches by fours of channels", "v3_wide", wide),
                ("128 x 128 per block", "v4_large", wide),
                ("128 x 16 per block", "v5_few", few),
            ],
            _ => &[
                (
                    "tensor cores, 64 x 64 per block, long sums in parts",
                    "v2_block",
                    true,
                ),
                ("tensor cores, 128 x 128 per block", "v3_large", true),
            ],
        };
        let fitting = rungs.iter().filter(|r| r.2);
        let mut rungs: Vec<_> = fitting
            .map(|&(about, rung, _)| (about, Choice::new(precision, rung, form, s)))
            .collect();
        // What runs comes last, whichever it is.
        rungs.sort_by_key(|(_, choice)| choice.rung == used.rung);
        rungs
    }

    fn new(precision: Precision, rung: &'static str, form: Form, s: &Sizes) -> Choice {
        let (tile, threads) = match (rung, precision) {
            ("v1_naive", _) => ([8, 32], 256),
            ("v4_large", _) => ([128; 2], 256),
            ("v3_large", _) => ([128; 2], 128),
            ("v5_few", _) => ([128, 16], 256),
            _ => ([64; 2], 128),
        };
        let k = s.terms(form);
        // As many parts as fill a large device. What adds them up takes longer with their number, a part takes less.
        let most = k.div_ceil(SHORT).min(k.isqrt() / 4).max(1);
        let parts = match rung {
            "v1_naive" | "v3_large" | "v4_large" => 1,
            _ => (FILL / tiles(form, s, tile).max(1)).clamp(1, most),
        };
        Choice {
            precision,
            rung,
            tile,
            threads,
            part: k.div_ceil(parts).max(1).next_multiple_of(16),
        }
    }

    /// How many parts a sum is cut into.
    pub(super) fn parts(&self, k: usize) -> usize {
        k.div_ceil(self.part).max(1)
    }

    /// Whether the kernel can cut sums.
    pub(super) fn cuts(&self) -> bool {
        self.rung != "v1_naive"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::conv::Window;

    fn sizes(
        n: usize,
        image: usize,
        c_in: usize,
        kernel: usize,
        stride: usize,
        c_out: usize,
    ) -> Sizes {
        let (image, kernel) = ([image; 2], [kernel; 2]);
        let window = Window::same(image, kernel, [stride; 2]);
        Sizes {
            n,
            image,
            c_in,
            kernel,
            c_out,
            window,
        }
    }

    /// Layers of a DCGAN for images of 64 x 64, and one of a residual net, batch 64.
    #[test]
    fn each_layer_takes_the_tiles_that_suit_it() {
        let [first, inner, last, wide] = [
            sizes(64, 64, 3, 4, 2, 64),
            sizes(64, 32, 64, 4, 2, 128),
            sizes(64, 8, 256, 4, 2, 512),
            sizes(64, 64, 128, 3, 1, 128),
        ];
        let of = |precision, form, s: &Sizes| {
            let choice = Choice::of(precision, form, s);
            let parts = choice.parts(s.terms(form));
            (choice.rung, choice.precision.name(), parts)
        };
        let [f32, tf32] = [Precision::F32, Precision::Tf32];
        for precision in [f32, tf32] {
            // Pictures: three channels.
            assert_eq!(of(precision, Form::Y, &first), ("v2_block", "f32", 1));
            assert_eq!(of(precision, Form::Dx, &first), ("v5_few", "f32", 1));
            assert_eq!(of(precision, Form::Dw, &first), ("v2_block", "f32", 64));
        }
        for s in [&inner, &last] {
            assert_eq!(of(f32, Form::Y, s), ("v3_wide", "f32", 1));
            assert_eq!(of(f32, Form::Dx, s), ("v3_wide", "f32", 1));
            assert_eq!(of(tf32, Form::Y, s), ("v2_block", "tf32", 1));
        }
        assert_eq!(of(f32, Form::Dw, &inner), ("v3_wide", "f32", 6));
        assert_eq!(of(tf32, Form::Dw, &inner), ("v2_block", "tf32", 6));
        assert_eq!(of(f32, Form::Dw, &last), ("v3_wide", "f32", 1));
        for form in [Form::Y, Form::Dx] {
            assert_eq!(of(f32, form, &wide), ("v4_large", "f32", 1));
            assert_eq!(of(tf32, form, &wide), ("v3_large", "tf32", 1));
        }
        assert_eq!(of(tf32, Form::Dw, &wide), ("v2_block", "tf32", 6));
        // Filters that are many tiles themselves.
        let many = sizes(64, 8, 512, 4, 2, 1024);
        assert_eq!(of(f32, Form::Dw, &many), ("v4_large", "f32", 1));
        assert_eq!(of(tf32, Form::Dw, &many), ("v3_large", "tf32", 1));
    }

    #[test]
    fn parts_are_multiples_of_16_that_cover_the_sum() {
        for form in Form::ALL {
            for s in [
                sizes(1, 1, 1, 1, 1, 1),
                sizes(64, 28, 1, 4, 2, 64),
                sizes(64, 64, 3, 7, 1, 5),
                sizes(2, 5, 512, 3, 3, 20),
                sizes(0, 5, 4, 3, 1, 20),
            ] {
                let (c, k) = (Choice::of(Precision::F32, form, &s), s.terms(form));
                assert!(
                    c.part.is_multiple_of(16) && c.part * c.parts(k) >= k,
                    "{c:?}"
                );
                assert!(
                    c.part * (c.parts(k) - 1) < k.max(1),
                    "a part of {k} is empty: {c:?}"
                );
            }
        }
    }
}
