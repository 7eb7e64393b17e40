//! Matrix products: `kernels/matmul.cu`, and on tensor cores `kernels/matmul_sm80.cu`.

use super::{FILL, Launch, Precision, Scratch, Slice};
use crate::cpu::gemm::Shape3;

/// What happens to a product C = op(A) · op(B) on its way out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Epilogue {
    /// c = ab.
    Store,
    /// c = c + ab.
    Accumulate,
    /// c = ab + bias, then relu if asked; bias: `[n]`.
    Bias {
        /// `[n]`.
        bias: Slice,
        /// Whether relu follows.
        relu: bool,
    },
    /// c = momentum · c - lr · (grad + ab), param = param + c.
    Momentum {
        /// [m, n]; C is its velocity.
        param: Slice,
        /// The learning rate, one number.
        lr: Slice,
        /// One number.
        momentum: Slice,
        /// [m, n], an earlier part of the gradient.
        grad: Option<Slice>,
    },
    /// c = ab · by: a gradient through dropout.
    Times {
        /// [m, n].
        by: Slice,
    },
    /// c = ab where at > 0, else below · ab: a gradient through relu or leaky relu.
    Step {
        /// [m, n].
        at: Slice,
        /// The slope on the other side.
        below: f32,
    },
}

impl Epilogue {
    /// Adds the struct of the kernels to a launch whose C is [m, n].
    fn argument(self, launch: Launch, m: usize, n: usize) -> Launch {
        let launch = launch.longs(&self.longs(m, n));
        match self {
            Epilogue::Store | Epilogue::Accumulate => launch,
            Epilogue::Bias { bias, .. } => launch.touches(bias, false),
            Epilogue::Momentum {
                param,
                lr,
                momentum,
                grad,
            } => launch
                .touches(param, true)
                .touches(lr, false)
                .touches(momentum, false)
                .touches(grad.unwrap_or(Slice::NONE), false),
            Epilogue::Times { by: other } | Epilogue::Step { at: other, .. } => {
                launch.touches(other, false)
            }
        }
    }

    /// The struct of the kernels, for C [m, n].
    fn longs(self, m: usize, n: usize) -> [u64; 6] {
        let matrix = |s: Slice| {
            assert_eq!(
                s.len(),
                m * n,
                "an operand of the epilogue is no [{m}, {n}]"
            );
            s.address()
        };
        match self {
            Epilogue::Store => [0; 6],
            Epilogue::Accumulate => [1, 0, 0, 0, 0, 0],
            Epilogue::Bias { bias, relu } => {
                assert_eq!(bias.len(), n, "a bias is no [{n}]");
                [2 + u64::from(relu), bias.address(), 0, 0, 0, 0]
            }
            Epilogue::Momentum {
                param,
                lr,
                momentum,
                grad,
            } => {
                assert!(
                    lr.len() == 1 && momentum.len() == 1,
                    "expected single numbers"
                );
                let grad_address = grad.map_or(0, matrix);
                let finish = 4 + u64::from(grad.is_some());
                [
                    finish,
                    0,
                    grad_address,
                    matrix(param),
                    lr.address(),
                    momentum.address(),
                ]
            }
            Epilogue::Times { by } => [6, 0, matrix(by), 0, 0, 0],
            Epilogue::Step { at, below } => {
                let finish = 7 | u64::from(below.to_bits()) << 32;
                [finish, 0, matrix(at), 0, 0, 0]
            }
        }
    }
}

/// Which kernel computes a product, and how k is cut; from the precision and the shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    precision: Precision,
    rung: &'static str,
    tile: usize,
    /// Terms per part of k, a multiple of 16.
    part: usize,
}

/// Fewer rows or columns are few.
const FEW: usize = 16;

impl Choice {
    /// Few rows or columns: small tiles, in f32, since they are no work for tensor cores. Many large tiles: those. Between:
    /// tiles of 64 x 64.
    fn of(precision: Precision, dims: Shape3) -> Choice {
        let Shape3 { m, k, n } = dims;
        let tiles = m.div_ceil(128) * n.div_ceil(128);
        match precision {
            _ if m.min(n) <= FEW => Choice::whole(Precision::F32, "v2_tiled", 32, k),
            Precision::F32 if tiles >= FILL / 2 => Choice::whole(precision, "v4_large", 128, k),
            _ if tiles >= FILL / 2 => Choice::whole(precision, "v3_large", 128, k),
            _ => Choice::blocks(precision, dims),
        }
    }

    /// Tiles of 64 x 64, with as many parts of at least 64 terms as fill a large device; whole and in f32 where
    /// [`Choice::of`] has it so, so that a product has the same bits whichever kernel computes it.
    fn blocks(precision: Precision, Shape3 { m, k, n }: Shape3) -> Choice {
        let tiles = m.div_ceil(64) * n.div_ceil(64);
        let (precision, parts) = match m.min(n) <= FEW {
            true => (Precision::F32, 1),
            false => (precision, (FILL / tiles.max(1)).clamp(1, (k / 64).max(1))),
        };
        let rung = match precision {
            Precision::F32 => "v3_block",
            _ => "v2_block",
        };
        Choice::whole(precision, rung, 64, k.div_ceil(parts))
    }

    /// One part of k terms.
    fn whole(precision: Precision, rung: &'static str, tile: usize, k: usize) -> Choice {
        Choice {
            precision,
            rung,
            tile,
            part: k.max(1).next_multiple_of(16),
        }
    }

    fn parts(self, k: usize) -> usize {
        k.div_ceil(self.part).max(1)
    }

    /// Whether the kernel can cut k.
    fn cuts(self) -> bool {
        !matches!(self.rung, "v1_naive" | "v2_tiled" | "v1_mma")
    }

    /// A launch of `form`, such as `nn`, by this kernel.
    fn launch(self, rung: &str, form: &str) -> Launch {
        let (family, threads) = match self.precision {
            Precision::F32 => ("matmul", 256),
            _ if rung == "v1_mma" => ("matmul_sm80", 256),
            _ => ("matmul_sm80", 128),
        };
        let precision = self.precision.name();
        Launch::new(family, format!("matmul_{rung}_{form}_{precision}")).block(threads, 0)
    }
}

/// C [m, n] = op(A) · op(B), op transposing where `ta`, `tb` say so, then `epilogue`.
///
/// # Panics
/// Where an array has another length than the sizes say.
#[allow(clippy::too_many_arguments, reason = "a product, as on the CPU")]
pub fn product(
    form: (bool, bool),
    dims: Shape3,
    a: Slice,
    b: Slice,
    c: Slice,
    epilogue: Epilogue,
    precision: Precision,
    scratch: &mut Scratch,
) -> Launch {
    check(dims, [a, b, c]);
    if is_matvec(form, dims.n) {
        return matvec(dims.m, dims.k, a, b, c, epilogue);
    }
    let choice = Choice::of(precision, dims);
    plain(choice, form, dims, a, b, c, epilogue, scratch)
}

fn check(Shape3 { m, k, n }: Shape3, matrices: [Slice; 3]) {
    assert_eq!(
        matrices.map(Slice::len),
        [m * k, k * n, m * n],
        "C [{m}, {n}] over {k}"
    );
}

/// Whether a product is one of a matrix and a vector as they lie, which has a kernel of its own.
fn is_matvec(form: (bool, bool), n: usize) -> bool {
    form == (false, false) && n == 1
}

fn matvec(m: usize, k: usize, a: Slice, x: Slice, y: Slice, epilogue: Epilogue) -> Launch {
    let launch = Launch::new("matvec", "matvec_v1_f32").grid([m.div_ceil(8), 1, 1]);
    let launch = launch.reads(a).reads(x).writes(y).u32(m).u32(k);
    epilogue.argument(launch, m, 1)
}

/// A product by the chosen kernel.
#[allow(clippy::too_many_arguments, reason = "a product, as on the CPU")]
fn plain(
    choice: Choice,
    form: (bool, bool),
    dims: Shape3,
    a: Slice,
    b: Slice,
    c: Slice,
    epilogue: Epilogue,
    scratch: &mut Scratch,
) -> Launch {
    let Shape3 { m, k, n } = dims;
    let form = match form {
        (false, false) => "nn",
        (true, false) => "tn",
        (false, true) => "nt",
        (true, true) => "tt",
    };
    let launch = choice.launch(choice.rung, form);
    let launch = launch.reads(a).reads(b).writes(c).u32(m).u32(n).u32(k);
    finish(launch, choice, dims, epilogue, scratch)
}

/// C = op(A) · op(B) by every kernel of a precision's ladder, each with what it does; last the one of [`product`]. None
/// where that takes another precision.
///
/// # Panics
/// Where an array has another length than the sizes say.
#[allow(clippy::too_many_arguments, reason = "a product, as on the CPU")]
pub fn ladder(
    form: (bool, bool),
    dims: Shape3,
    a: Slice,
    b: Slice,
    c: Slice,
    precision: Precision,
    scratch: &mut Scratch,
) -> Vec<(&'static str, Launch)> {
    check(dims, [a, b, c]);
    let used = Choice::of(precision, dims);
    let whole = |rung, tile| Choice::whole(precision, rung, tile, dims.k);
    let blocks = Choice::blocks(precision, dims);
    let mut rungs = match precision {
        _ if used.precision != precision => Vec::new(),
        Precision::F32 => vec![
            (
                "a thread per element, all from device memory",
                whole("v1_naive", 32),
            ),
            ("tiles of 32 x 32 in shared memory", whole("v2_tiled", 32)),
            (
                "64 x 64 of C per block, 4 x 4 per thread, long sums in parts",
                blocks,
            ),
            (
                "128 x 128 of C per block, 8 x 8 per thread",
                whole("v4_large", 128),
            ),
        ],
        _ => vec![
            (
                "tensor cores, 64 x 64 of C per block, long sums in parts",
                blocks,
            ),
            (
                "tensor cores, 128 x 128 of C per block",
                whole("v3_large", 128),
            ),
        ],
    };
    // The first rung on tensor cores has one form only: it is there to be read.
    if !rungs.is_empty() && precision != Precision::F32 && form == (false, false) {
        let about = "tensor cores, factors word by word through registers";
        rungs.insert(0, (about, whole("v1_mma", 128)));
    }
    // What runs comes last, whichever it is.
    rungs.sort_by_key(|(_, choice)| choice.rung == used.rung);
    let launch = |(about, choice): (&'static str, Choice)| {
        (
            about,
            plain(choice, form, dims, a, b, c, Epilogue::Store, scratch),
        )
    };
    let mut rungs: Vec<(&str, Launch)> = rungs.into_iter().map(launch).collect();
    if precision == Precision::F32 && is_matvec(form, dims.n) {
        let launch = matvec(dims.m, dims.k, a, b, c, Epilogue::Store);
        rungs.push(("a warp per row", launch));
    }
    rungs
}

/// The gradient in the responses of a maxout layer before it is put to its places:
/// P [batch, units · pieces], P[i, j · pieces + p] = dy[i, j] where p = index[i, j], else 0.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// [batch, units].
    pub dy: Slice,
    /// [batch, units].
    pub index: Slice,
    /// Rows.
    pub batch: usize,
    /// Units.
    pub units: usize,
    /// Pieces per unit.
    pub pieces: usize,
}

/// Products with P, whose zeros are not read: Xᵀ · P [inputs, units · pieces] for X [batch, inputs] where `in_weights`,
/// else P · Wᵀ [batch, inputs] for W [inputs, units · pieces].
///
/// # Panics
/// Where an array has another length than the sizes say.
#[allow(clippy::too_many_arguments, reason = "a product, as on the CPU")]
pub fn maxout_gradient(
    in_weights: bool,
    put: Put,
    other: Slice,
    inputs: usize,
    c: Slice,
    epilogue: Epilogue,
    precision: Precision,
    scratch: &mut Scratch,
) -> Launch {
    let (batch, wide) = (put.batch, put.units * put.pieces);
    assert_eq!(
        [put.dy.len(), put.index.len()],
        [batch * put.units; 2],
        "dy and index"
    );
    let (form, m, n, k) = match in_weights {
        true => ("tn", inputs, wide, batch),
        false => ("nt", batch, inputs, wide),
    };
    let factor = if in_weights {
        batch * inputs
    } else {
        inputs * wide
    };
    assert_eq!(
        [other.len(), c.len()],
        [factor, m * n],
        "C [{m}, {n}] over {k}"
    );
    let dims = Shape3 { m, k, n };
    let choice = Choice::blocks(precision, dims);
    let rung = match choice.precision {
        Precision::F32 => "v3_put",
        _ => "v2_put",
    };
    let launch = choice.launch(rung, form).reads(other);
    let launch = launch.reads(put.dy).reads(put.index).writes(c);
    let launch = launch.u32(inputs).u32(batch).u32(put.units).u32(put.pieces);
    finish(launch, choice, dims, epilogue, scratch)
}

/// The grid and the last arguments: how k is cut, where to, and the epilogue.
fn finish(
    launch: Launch,
    choice: Choice,
    Shape3 { m, k, n }: Shape3,
    epilogue: Epilogue,
    scratch: &mut Scratch,
) -> Launch {
    let (parts, tile) = (choice.parts(k), choice.tile);
    // The naive kernel's blocks are 32 columns wide and 8 rows high.
    let high = if choice.rung == "v1_naive" { 8 } else { tile };
    let [columns, rows] = [n.div_ceil(tile), m.div_ceil(high)];
    let mut launch = launch.grid([columns, rows, parts]);
    if choice.cuts() {
        let tiles = columns * rows;
        let needs = if parts > 1 {
            (parts * tiles * tile * tile, tiles)
        } else {
            (0, 0)
        };
        let (sums, counters) = scratch.take(needs.0, needs.1);
        launch = launch.longs(&[choice.part as u64, sums.address(), counters.address()]);
        launch = launch.touches(sums, true).touches(counters, true);
    }
    epilogue.argument(launch, m, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(precision: Precision, m: usize, n: usize, k: usize) -> (&'static str, usize) {
        let choice = Choice::of(precision, Shape3 { m, k, n });
        (choice.rung, choice.parts(k))
    }

    #[test]
    fn thin_products_are_cut_and_large_ones_are_not() {
        // The products of the paper's nets.
        let [f32, tf32] = [Precision::F32, Precision::Tf32];
        for (precision, block, large) in [
            (f32, "v3_block", "v4_large"),
            (tf32, "v2_block", "v3_large"),
        ] {
            let choice = |m, n, k| choice(precision, m, n, k);
            assert_eq!(choice(100, 1200, 1200), (block, 6));
            assert_eq!(choice(100, 1200, 100), (block, 1));
            assert_eq!(choice(1200, 1200, 100), (block, 1));
            assert_eq!(choice(200, 784, 1200), (block, 5));
            assert_eq!(choice(200, 1, 240), ("v2_tiled", 1));
            assert_eq!(choice(4096, 4096, 4096), (large, 1));
            assert_eq!(choice(100, 100, 0), (block, 1));
        }
        let few = Choice::of(
            tf32,
            Shape3 {
                m: 200,
                k: 240,
                n: 1,
            },
        );
        assert_eq!(few.precision, f32);
    }

    #[test]
    fn parts_are_multiples_of_16_that_cover_k() {
        for (m, n, k) in [
            (17, 17, 1),
            (17, 17, 129),
            (100, 1200, 1200),
            (64, 64, 100_000),
        ] {
            let c = Choice::of(Precision::F32, Shape3 { m, k, n });
            assert!(
                c.part.is_multiple_of(16) && c.part * c.parts(k) >= k,
                "{c:?}"
            );
            assert!(
                c.part * (c.parts(k) - 1) < k,
                "a part of {k} is empty: {c:?}"
            );
        }
    }

    #[test]
    fn maxout_gradients_are_of_the_precision_asked_for_unless_they_have_few_rows() {
        let of = |batch, precision| {
            let [dy, index] = [0x1000, 0x2000].map(|a| Slice::at(a, batch * 30));
            let put = Put {
                dy,
                index,
                batch,
                units: 30,
                pieces: 5,
            };
            let [w, c] = [Slice::at(0x10000, 20 * 150), Slice::at(0x20000, batch * 20)];
            let mut scratch = Scratch::measure();
            let (store, scratch) = (Epilogue::Store, &mut scratch);
            let launch = maxout_gradient(false, put, w, 20, c, store, precision, scratch);
            (launch.kernel().to_string(), launch.block_threads())
        };
        let tf32 = ("matmul_v2_put_nt_tf32".to_string(), 128);
        assert_eq!(of(17, Precision::Tf32), tf32);
        let f32 = ("matmul_v3_put_nt_f32".to_string(), 256);
        assert_eq!(of(17, Precision::F32), f32);
        assert_eq!(of(16, Precision::Tf32), f32);
    }

    #[test]
    fn products_that_read_dy_and_index_are_cut_as_those_of_the_matrix() {
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            for m in [1, 16, 17, 100, 784, 1200, 1500, 10_000] {
                for (n, k) in [
                    (5, 3000),
                    (17, 70),
                    (1200, 100),
                    (1200, 1200),
                    (20_000, 500),
                ] {
                    let dims = Shape3 { m, k, n };
                    let (of, blocks) =
                        (Choice::of(precision, dims), Choice::blocks(precision, dims));
                    assert_eq!(of.precision, blocks.precision, "{dims:?}");
                    assert_eq!(of.parts(k), blocks.parts(k), "{dims:?}");
                }
            }
        }
    }
}
