//! Concatenation of two tensors along a dimension.

use ganforge_kernels::cpu::layout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// b after a along one dimension.
///
/// ```text
/// y[.., i, ..] = a[.., i, ..] for i < n_a, else b[.., i - n_a, ..]     all other sizes equal
/// vjp:   da, db = the two slices of dy
/// order 2: linear: again a concatenation
/// cost:  0 flop, 8 bytes per element of y
/// source: elementary
/// errors: another rank; a size other than the joined one differs
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Concat {
    /// The dimension along which they are joined.
    pub axis: usize,
}

impl<'g> Var<'g> {
    /// `other` after this value along `axis`.
    #[track_caller]
    pub fn concat(self, other: Var<'g>, axis: usize) -> Var<'g> {
        self.apply2(Concat { axis }, other)
    }
}

impl OpDef for Concat {
    const NAME: &'static str = "concat";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Concat>] = &[
        sample(Concat { axis: 0 }, &[input(&[3], R), input(&[4], R)]),
        sample(Concat { axis: 0 }, &[input(&[2, 3], R), input(&[1, 3], R)]),
        sample(Concat { axis: 1 }, &[input(&[2, 3], R), input(&[2, 2], R)]),
        sample(
            Concat { axis: 2 },
            &[input(&[2, 2, 3, 2], R), input(&[2, 2, 1, 2], R)],
        ),
        sample(
            Concat { axis: 1 },
            &[input(&[37, 101], R), input(&[37, 7], R)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let (a, b) = (ins[0].dims(), ins[1].dims());
        let agree = |d: usize| d == self.axis || a[d] == b[d];
        if a.len() != b.len() || self.axis >= a.len() || !(0..a.len()).all(agree) {
            return Err(format!("cannot concatenate along dimension {}", self.axis));
        }
        let mut dims = a.to_vec();
        dims[self.axis] = dims[self.axis].saturating_add(b[self.axis]);
        Shape::try_new(&dims).ok_or_else(|| "too many elements".into())
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let mut start = vec![0; dy.shape().rank()];
        if wrt == 1 {
            start[self.axis] = x[0].shape().dims()[self.axis];
        }
        Some(dy.slice(start.as_slice(), x[wrt].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let inner: usize = shape.dims()[self.axis + 1..].iter().product();
        let (na, nb) = (
            ins[0].shape.dims()[self.axis],
            ins[1].shape.dims()[self.axis],
        );
        for (i, y) in out.iter_mut().enumerate() {
            let (row, column) = (i / inner, i % inner);
            let (outer, position) = (row / (na + nb), row % (na + nb));
            *y = if position < na {
                ins[0].data[(outer * na + position) * inner + column]
            } else {
                ins[1].data[(outer * nb + position - na) * inner + column]
            };
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        let (a, b) = (ins[0], ins[1]);
        let (a_dims, b_dims) = (a.shape.dims(), b.shape.dims());
        layout::concat(a.data, a_dims, b.data, b_dims, self.axis, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let [na, nb] = [0, 1].map(|i| ins[i].shape.dims()[self.axis..].iter().product());
        cx.launch(cuda::layout::concat(
            ins[0].data,
            ins[1].data,
            out.data,
            na,
            nb,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("axis {}", self.axis)
    }
}
