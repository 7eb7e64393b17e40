//! Transposition.

use ganforge_kernels::cpu::layout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// Exchanges dimensions: dimension i of the result is dimension `perm[i]` of x.
///
/// ```text
/// y[i_0, i_1, ..] = x[j_0, j_1, ..],  j_{perm[d]} = i_d
/// vjp:   dx = transpose(dy) with the inverse permutation
/// order 2: linear: again a transposition
/// cost:  0 flop, 8 bytes per element
/// source: elementary
/// errors: `perm` is not a permutation of the dimensions of x
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transpose {
    perm: [u8; 4],
    rank: u8,
}

impl<'g> Var<'g> {
    /// The value with its dimensions in the order `perm`; an empty one reverses them.
    #[track_caller]
    pub fn transpose(self, perm: &[usize]) -> Var<'g> {
        let reversed: Vec<usize> = (0..self.shape().rank()).rev().collect();
        let perm = if perm.is_empty() { &reversed } else { perm };
        self.apply(Transpose::new(perm))
    }
}

impl Transpose {
    /// Anything that is no permutation of at most four dimensions is refused by the shape rule.
    const fn new(perm: &[usize]) -> Transpose {
        let mut inline = [u8::MAX; 4];
        let mut i = 0;
        while i < perm.len() && i < 4 {
            inline[i] = if perm[i] < 4 { perm[i] as u8 } else { u8::MAX };
            i += 1;
        }
        Transpose {
            perm: inline,
            rank: if perm.len() < 5 { perm.len() as u8 } else { 5 },
        }
    }

    fn perm(&self) -> [usize; 4] {
        self.perm.map(usize::from)
    }
}

impl OpDef for Transpose {
    const NAME: &'static str = "transpose";
    const ARITY: usize = 1;
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Transpose>] = &[
        sample(Transpose::new(&[1, 0]), &[input(&[3, 5], R)]),
        sample(Transpose::new(&[2, 0, 1]), &[input(&[2, 3, 4], R)]),
        sample(Transpose::new(&[0, 3, 1, 2]), &[input(&[2, 3, 2, 3], R)]),
        sample(Transpose::new(&[1, 0]), &[input(&[67, 131], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let dims = ins[0].dims();
        let perm = &self.perm()[..dims.len()];
        let is_permutation = (0..dims.len()).all(|d| perm.contains(&d));
        if usize::from(self.rank) != dims.len() || !is_permutation {
            return Err("not a permutation of the input's dimensions".into());
        }
        let permuted: Vec<usize> = perm.iter().map(|&p| dims[p]).collect();
        Ok(Shape::new(&permuted))
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let rank = usize::from(self.rank);
        let mut inverse = [0; 4];
        for (i, &p) in self.perm()[..rank].iter().enumerate() {
            inverse[p] = i;
        }
        Some(dy.apply(Transpose::new(&inverse[..rank])))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let strides = strides(ins[0].shape);
        for (i, y) in out.iter_mut().enumerate() {
            let (mut rest, mut at) = (i, 0);
            for (d, &n) in shape.dims().iter().enumerate().rev() {
                at += (rest % n) * strides[self.perm()[d]];
                rest /= n;
            }
            *y = ins[0].data[at];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        let perm = &self.perm()[..usize::from(self.rank)];
        layout::transpose(ins[0].data, ins[0].shape.dims(), perm, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let (x, rank) = (ins[0], usize::from(self.rank));
        let (perm, dims) = (&self.perm()[..rank], x.shape.dims());
        let n: usize = dims[..rank.saturating_sub(2)].iter().product();
        // The last two dimensions alone: through tiles. The grid has room for 65,535 of them along its third axis.
        let is_plain = rank >= 2 && (0..rank - 2).all(|d| perm[d] == d) && perm[rank - 2] == rank - 1;
        if let (true, &[.., rows, columns]) = (is_plain && n <= 65_535, dims)
            && rows.div_ceil(32) <= 65_535
        {
            cx.launch(cuda::layout::transpose(
                x.data,
                out.data,
                [n, rows, columns],
            ));
            return Ok(());
        }
        let old = strides(x.shape);
        let mut steps = [0; 4];
        for (d, &p) in perm.iter().enumerate() {
            steps[4 - rank + d] = old[p];
        }
        cx.launch(cuda::layout::strided(x.data, out.data, out.shape.padded(), steps, 0));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{:?}", &self.perm[..usize::from(self.rank)])
    }
}

/// The distance between neighbours along each dimension of a row-major tensor.
pub(crate) fn strides(shape: Shape) -> [usize; 4] {
    let mut strides = [1; 4];
    for d in (1..shape.rank()).rev() {
        strides[d - 1] = strides[d] * shape.dims()[d];
    }
    strides
}
