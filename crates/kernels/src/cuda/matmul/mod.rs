//! Matrix products: `kernels/matmul.cu`, and on tensor cores `kernels/matmul_sm80.cu`.

mod choice;
mod epilogue;

use super::{Launch, Precision, Scratch, Slice};
use crate::cpu::gemm::Shape3;

use choice::Choice;
pub use epilogue::Epilogue;

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
    if let Some(kernel) = matvec_of(form, dims.n) {
        return matvec(kernel, dims, a, b, c, epilogue);
    }
    let choice = Choice::of(precision, dims);
    plain(choice, form, dims, a, b, c, epilogue, scratch)
}

/// Refuses matrices of other lengths than their product's sizes say.
pub(super) fn check(Shape3 { m, k, n }: Shape3, matrices: [Slice; 3]) {
    assert_eq!(
        matrices.map(Slice::len),
        [m * k, k * n, m * n],
        "C [{m}, {n}] over {k}"
    );
}

/// The kernel for a product of a matrix, as it lies or transposed, and a vector, with how many rows of C a block has.
fn matvec_of(form: (bool, bool), n: usize) -> Option<(&'static str, usize)> {
    match (form, n) {
        ((false, false), 1) => Some(("matvec_v1_f32", 8)),
        ((true, false), 1) => Some(("matvec_v1_tn_f32", 32)),
        _ => None,
    }
}

fn matvec(
    (kernel, rows): (&str, usize),
    Shape3 { m, k, .. }: Shape3,
    a: Slice,
    x: Slice,
    y: Slice,
    epilogue: Epilogue,
) -> Launch {
    let launch = Launch::new("matvec", kernel).grid([m.div_ceil(rows), 1, 1]);
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
                "64 x 64 of C per block, 8 x 4 per thread, long sums in parts",
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
    if let Some(kernel) = matvec_of(form, dims.n).filter(|_| precision == Precision::F32) {
        let launch = matvec(kernel, dims, a, b, c, Epilogue::Store);
        rungs.push(("all loads of a row or column at once", launch));
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
    // Tiles along x alone: y and z end at 65,535.
    let mut launch = launch.grid([columns * rows, 1, parts]);
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
        let f32 = ("matmul_v3_put_nt_f32".to_string(), 128);
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

    #[test]
    fn products_of_millions_of_rows_or_columns_have_grids_that_devices_have() {
        for (m, n) in [
            (5_000_000, 17),
            (17, 5_000_000),
            (5_000_000, 5),
            (3, 5_000_000),
        ] {
            for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
                let dims = Shape3 { m, k: 40, n };
                let [a, b] = [Slice::at(1 << 40, m * 40), Slice::at(1 << 41, 40 * n)];
                let (c, mut scratch) = (Slice::at(1 << 42, m * n), Scratch::measure());
                for (_, launch) in ladder((false, false), dims, a, b, c, precision, &mut scratch) {
                    assert_eq!(launch.check(), Ok(()), "{}: {m} x {n}", launch.kernel());
                }
            }
        }
    }
}
