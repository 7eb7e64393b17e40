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
    /// The dimensions in their new order.
    pub perm: Shape,
}

impl<'g> Var<'g> {
    /// The value with its dimensions in the order `perm`; an empty one reverses them.
    #[track_caller]
    pub fn transpose(self, perm: &[usize]) -> Var<'g> {
        let reversed: Vec<usize> = (0..self.shape().rank()).rev().collect();
        let perm = if perm.is_empty() { &reversed } else { perm };
        self.apply(Transpose::of(perm))
    }
}

impl Transpose {
    const fn of(perm: &[usize]) -> Transpose {
        Transpose {
            perm: Shape::new(perm),
        }
    }
}

impl OpDef for Transpose {
    const NAME: &'static str = "transpose";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Transpose>] = &[
        sample(Transpose::of(&[1, 0]), &[input(&[3, 5], R)]),
        sample(Transpose::of(&[2, 0, 1]), &[input(&[2, 3, 4], R)]),
        sample(Transpose::of(&[0, 3, 1, 2]), &[input(&[2, 3, 2, 3], R)]),
        sample(Transpose::of(&[1, 0]), &[input(&[67, 131], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let dims = ins[0].dims();
        let perm = self.perm.dims();
        let is_permutation = (0..dims.len()).all(|d| perm.contains(&d));
        if perm.len() != dims.len() || !is_permutation {
            return Err("not a permutation of the input's dimensions".into());
        }
        let permuted: Vec<usize> = perm.iter().map(|&p| dims[p]).collect();
        Ok(Shape::new(&permuted))
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let perm = self.perm.dims();
        let mut inverse = vec![0; perm.len()];
        for (i, &p) in perm.iter().enumerate() {
            inverse[p] = i;
        }
        Some(dy.transpose(&inverse))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let strides = strides(ins[0].shape);
        for (i, y) in out.iter_mut().enumerate() {
            let (mut rest, mut at) = (i, 0);
            for (d, &n) in shape.dims().iter().enumerate().rev() {
                at += (rest % n) * strides[self.perm.dims()[d]];
                rest /= n;
            }
            *y = ins[0].data[at];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        layout::transpose(ins[0].data, ins[0].shape.dims(), self.perm.dims(), out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let x = ins[0];
        cx.launch(cuda::layout::permuted(
            x.data,
            x.shape.dims(),
            self.perm.dims(),
            out.data,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        self.perm.to_string()
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
