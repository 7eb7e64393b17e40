//! Matrix products too thin for tiles: a single column, or k = 1.

use super::epilogue::rectified;
use super::{Epilogue, Isa, Shape3};
use crate::cpu::multiversion::{multiversion, with_fma};
use crate::cpu::par;

/// Partial sums of a dot product. As many for every instruction set, so that all give the same bits.
const LANES: usize = 64;
/// Multiply-adds per parallel task.
const TASK: usize = 1 << 17;

/// C[m,1] = A · b where the rows of A lie one after the other.
///
/// Each element is a dot product in 64 interleaved chains, added in pairs: an order that depends on k alone.
pub(super) fn column(
    isa: Isa,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
) {
    let ab = |i: usize| dot(isa, &a[i * dims.k..(i + 1) * dims.k], b);
    let each = |c: &mut [f32], finish: &(dyn Fn(usize, f32, &mut f32) + Sync)| {
        let rows = (TASK / dims.k.max(1)).max(1);
        par::chunks_mut(c, rows, |first, c| {
            for (i, c) in (first..).zip(c) {
                finish(i, ab(i), c);
            }
        });
    };
    match epilogue {
        Epilogue::Store => each(c, &|_, ab, c| *c = ab),
        Epilogue::Accumulate => each(c, &|_, ab, c| *c += ab),
        Epilogue::Bias { bias, below } => each(c, &|_, ab, c| {
            *c = rectified(ab + bias[0], below);
        }),
        Epilogue::Times { by } => each(c, &|i, ab, c| *c = by[i] * ab),
        Epilogue::Step { at, below } => each(c, &|i, ab, c| {
            let other = if below == 0.0 { 0.0 } else { below * ab };
            *c = if at[i] > 0.0 { ab } else { other };
        }),
        Epilogue::Momentum {
            grad,
            param,
            lr,
            momentum,
        } => {
            // An update of a single column is too little work for a second thread.
            for (i, (v, p)) in c.iter_mut().zip(param).enumerate() {
                let g = grad.map_or(ab(i), |grad| grad[i] + ab(i));
                *v = momentum * *v - lr * g;
                *p += *v;
            }
        }
        Epilogue::Adam {
            grad,
            square,
            param,
            adam,
        } => {
            for (i, ((m, s), p)) in c.iter_mut().zip(square).zip(param).enumerate() {
                adam.step(grad.map_or(ab(i), |grad| grad[i] + ab(i)), m, s, p);
            }
        }
    }
}

/// C[m,n] = a · bᵀ with a single term in each sum, then a factor: bit for bit a chain of one fused multiply-add from zero.
/// `false` where the epilogue is another.
pub(super) fn outer(isa: Isa, a: &[f32], b: &[f32], c: &mut [f32], epilogue: &Epilogue) -> bool {
    let n = b.len();
    // `finish` gets a row, and where it begins in C.
    let each = |c: &mut [f32], finish: &(dyn Fn(usize, &mut [f32]) + Sync)| {
        par::chunks_mut(c, (TASK / n).max(1) * n, |start, c| {
            for (i, row) in c.chunks_exact_mut(n).enumerate() {
                scaled(isa, a[start / n + i], b, row);
                finish(start + i * n, row);
            }
        });
    };
    match epilogue {
        Epilogue::Store => each(c, &|_, _| {}),
        Epilogue::Times { by } => each(c, &|at, row| times(row, &by[at..at + n])),
        Epilogue::Step { at: of, below } => each(c, &|at, row| step(row, &of[at..at + n], *below)),
        _ => return false,
    }
    true
}

multiversion! {
    fn times(row: &mut [f32], by: &[f32]) {
        for (c, by) in row.iter_mut().zip(by) {
            *c *= by;
        }
    }

    fn step(row: &mut [f32], at: &[f32], below: f32) {
        for (c, at) in row.iter_mut().zip(at) {
            let other = if below == 0.0 { 0.0 } else { below * *c };
            *c = if *at > 0.0 { *c } else { other };
        }
    }
}

/// The last step of the chains, of fewer terms than there are chains, the first `WHOLE` in whole vectors. The others add
/// 0 · 0, which makes 0 of -0.
#[inline(always)]
fn rest<const WHOLE: usize>(a: &[f32], b: &[f32], sums: &mut [f32; LANES]) {
    let (head, tail) = sums.split_at_mut(WHOLE);
    for ((sum, a), b) in head.iter_mut().zip(&a[..WHOLE]).zip(&b[..WHOLE]) {
        *sum = a.mul_add(*b, *sum);
    }
    for ((sum, a), b) in tail.iter_mut().zip(&a[WHOLE..]).zip(&b[WHOLE..]) {
        *sum = a.mul_add(*b, *sum);
    }
    for sum in &mut tail[a.len() - WHOLE..] {
        *sum += 0.0;
    }
}

/// Adds the second `WIDTH` sums to the first.
#[inline(always)]
fn halve<const WIDTH: usize>(sums: &mut [f32; LANES]) {
    for i in 0..WIDTH {
        sums[i] += sums[i + WIDTH];
    }
}

with_fma! {
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let (a_rest, b_rest) = (a.remainder(), b.remainder());
        for (a, b) in a.zip(b) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = a.mul_add(*b, *sum);
            }
        }
        match a_rest.len() {
            0..16 => rest::<0>(a_rest, b_rest, &mut sums),
            16..32 => rest::<16>(a_rest, b_rest, &mut sums),
            32..48 => rest::<32>(a_rest, b_rest, &mut sums),
            _ => rest::<48>(a_rest, b_rest, &mut sums),
        }
        halve::<32>(&mut sums);
        halve::<16>(&mut sums);
        halve::<8>(&mut sums);
        halve::<4>(&mut sums);
        halve::<2>(&mut sums);
        halve::<1>(&mut sums);
        sums[0]
    }
}

with_fma! {
    fn scaled(x: f32, b: &[f32], row: &mut [f32]) {
        for (c, b) in row.iter_mut().zip(b) {
            *c = x.mul_add(*b, 0.0);
        }
    }
}
