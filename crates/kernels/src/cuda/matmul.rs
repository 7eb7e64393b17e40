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

/// Which kernel computes a product, and how k is cut; from the shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    rung: &'static str,
    tile: usize,
    /// Terms per part of k, a multiple of 16.
    part: usize,
}

/// Fewer rows or columns are few.
const FEW: usize = 16;

impl Choice {
    /// Few rows or columns: small tiles. Many large tiles: those. Between: tiles of 64 x 64.
    fn of(m: usize, n: usize, k: usize) -> Choice {
        let tiles = m.div_ceil(128) * n.div_ceil(128);
        let (rung, tile) = match () {
            () if m.min(n) <= FEW => ("v2_tiled", 32),
            () if tiles >= FILL / 2 => ("v4_large", 128),
            () => return Choice::blocks(m, n, k),
        };
        let part = k.max(1).next_multiple_of(16);
        Choice { rung, tile, part }
    }

    /// Tiles of 64 x 64, with as many parts of at least 64 terms as fill a large device; whole where [`Choice::of`] has it
    /// whole, so that a product has the same bits whichever kernel computes it.
    fn blocks(m: usize, n: usize, k: usize) -> Choice {
        let tiles = m.div_ceil(64) * n.div_ceil(64);
        let parts = match m.min(n) <= FEW {
            true => 1,
            false => (FILL / tiles.max(1)).clamp(1, (k / 64).max(1)),
        };
        Choice {
            rung: "v3_block",
            tile: 64,
            part: k.div_ceil(parts).max(1).next_multiple_of(16),
        }
    }

    fn parts(self, k: usize) -> usize {
        k.div_ceil(self.part).max(1)
    }

    /// Whether the kernel can cut k.
    fn cuts(self) -> bool {
        !matches!(self.rung, "v1_naive" | "v2_tiled")
    }
}

/// C [m, n] = op(A) · op(B), op transposing where `ta`, `tb` say so, then `epilogue`.
///
/// # Panics
/// Where an array has another length than the sizes say.
#[allow(clippy::too_many_arguments, reason = "a product, as on the CPU")]
pub fn product(
    (ta, tb): (bool, bool),
    Shape3 { m, k, n }: Shape3,
    a: Slice,
    b: Slice,
    c: Slice,
    epilogue: Epilogue,
    precision: Precision,
    scratch: &mut Scratch,
) -> Launch {
    assert_eq!(
        [a.len(), b.len(), c.len()],
        [m * k, k * n, m * n],
        "C [{m}, {n}] over {k}"
    );
    if is_matvec((ta, tb), n) {
        return matvec(m, k, a, b, c, epilogue);
    }
    let form = form_name((ta, tb));
    // Products of few rows or columns are no work for tensor cores.
    if precision != Precision::F32 && m.min(n) > FEW {
        let kernel = format!("matmul_v1_mma_{form}_{}", precision.name());
        let launch = Launch::new("matmul_sm80", kernel).grid([n.div_ceil(128), m.div_ceil(128), 1]);
        let launch = launch.reads(a).reads(b).writes(c).u32(m).u32(n).u32(k);
        return epilogue.argument(launch, m, n);
    }
    let dims = Shape3 { m, k, n };
    plain(
        Choice::of(m, n, k),
        (ta, tb),
        dims,
        a,
        b,
        c,
        epilogue,
        scratch,
    )
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

/// A product in f32 by the chosen kernel.
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
    let kernel = format!("matmul_{}_{}_f32", choice.rung, form_name(form));
    let launch = Launch::new("matmul", kernel);
    let launch = launch.reads(a).reads(b).writes(c).u32(m).u32(n).u32(k);
    finish(launch, choice, dims, epilogue, scratch)
}

fn form_name(form: (bool, bool)) -> &'static str {
    match form {
        (false, false) => "nn",
        (true, false) => "tn",
        (false, true) => "nt",
        (true, true) => "tt",
    }
}

/// C = op(A) · op(B) in f32 by every kernel of the ladder, each with what it does; last the one of [`product`].
///
/// # Panics
/// Where an array has another length than the sizes say.
pub fn ladder(
    form: (bool, bool),
    dims: Shape3,
    a: Slice,
    b: Slice,
    c: Slice,
    scratch: &mut Scratch,
) -> Vec<(&'static str, Launch)> {
    let Shape3 { m, k, n } = dims;
    let used = Choice::of(m, n, k);
    let whole = |rung, tile| Choice {
        rung,
        tile,
        part: k.max(1).next_multiple_of(16),
    };
    let mut rungs = vec![
        (
            "a thread per element, all from device memory",
            whole("v1_naive", 32),
        ),
        ("tiles of 32 x 32 in shared memory", whole("v2_tiled", 32)),
        (
            "64 x 64 of C per block, 4 x 4 per thread, long sums in parts",
            Choice::blocks(m, n, k),
        ),
        (
            "128 x 128 of C per block, 8 x 8 per thread",
            whole("v4_large", 128),
        ),
    ];
    // What runs comes last, whichever it is.
    rungs.sort_by_key(|(_, choice)| choice.rung == used.rung);
    let launch = |(about, choice): (&'static str, Choice)| {
        (
            about,
            plain(choice, form, dims, a, b, c, Epilogue::Store, scratch),
        )
    };
    let mut rungs: Vec<(&str, Launch)> = rungs.into_iter().map(launch).collect();
    if is_matvec(form, n) {
        rungs.push(("a warp per row", matvec(m, k, a, b, c, Epilogue::Store)));
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
pub fn maxout_gradient(
    in_weights: bool,
    put: Put,
    other: Slice,
    inputs: usize,
    c: Slice,
    epilogue: Epilogue,
    scratch: &mut Scratch,
) -> Launch {
    let (batch, wide) = (put.batch, put.units * put.pieces);
    assert_eq!(
        [put.dy.len(), put.index.len()],
        [batch * put.units; 2],
        "dy and index"
    );
    let (kernel, m, n, k) = match in_weights {
        true => ("matmul_v3_put_tn_f32", inputs, wide, batch),
        false => ("matmul_v3_put_nt_f32", batch, inputs, wide),
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
    let launch = Launch::new("matmul", kernel)
        .reads(other)
        .reads(put.dy)
        .reads(put.index)
        .writes(c);
    let launch = launch.u32(inputs).u32(batch).u32(put.units).u32(put.pieces);
    finish(
        launch,
        Choice::blocks(m, n, k),
        Shape3 { m, k, n },
        epilogue,
        scratch,
    )
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

    fn choice(m: usize, n: usize, k: usize) -> (&'static str, usize) {
        let choice = Choice::of(m, n, k);
        (choice.rung, choice.parts(k))
    }

    #[test]
    fn thin_products_are_cut_and_large_ones_are_not() {
        // The products of the paper's nets.
        assert_eq!(choice(100, 1200, 1200), ("v3_block", 6));
        assert_eq!(choice(100, 1200, 100), ("v3_block", 1));
        assert_eq!(choice(1200, 1200, 100), ("v3_block", 1));
        assert_eq!(choice(200, 784, 1200), ("v3_block", 5));
        assert_eq!(choice(200, 1, 240), ("v2_tiled", 1));
        assert_eq!(choice(4096, 4096, 4096), ("v4_large", 1));
        assert_eq!(choice(100, 100, 0), ("v3_block", 1));
    }

    #[test]
    fn parts_are_multiples_of_16_that_cover_k() {
        for (m, n, k) in [
            (17, 17, 1),
            (17, 17, 129),
            (100, 1200, 1200),
            (64, 64, 100_000),
        ] {
            let c = Choice::of(m, n, k);
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
}
