//! Sum to a smaller shape: the adjoint of broadcasting.

use ganforge_kernels::cpu::reduce;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// Sums over every dimension along which `shape` would be broadcast to x.
///
/// ```text
/// y[j] = sum of x[i] over all i that broadcasting maps to j      x: [..], y: shape
/// vjp:   dx = broadcast(dy)
/// order 2: linear: d(dx)/d(dy) is again a broadcast
/// cost:  1 flop per element of x
/// source: elementary; bias gradients, batch means; docs/book/src/ops/sum_to.md
/// errors: `shape` does not broadcast to the shape of x
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SumTo {
    /// The shape of the result.
    pub shape: Shape,
}

impl<'g> Var<'g> {
    /// The sum over all dimensions along which `shape` is broadcast to this shape.
    #[track_caller]
    pub fn sum_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.apply(SumTo { shape })
    }

    /// The sum of all elements, shape [].
    #[track_caller]
    pub fn sum(self) -> Var<'g> {
        self.sum_to(Shape::SCALAR)
    }

    /// The mean of all elements, shape [].
    #[track_caller]
    pub fn mean(self) -> Var<'g> {
        let n = self.shape().elements();
        self.sum().mul_scalar(1.0 / n as f64)
    }

    /// The sum over the listed axes, which stay with size 1.
    #[track_caller]
    pub fn sum_axes(self, axes: &[usize]) -> Var<'g> {
        let mut dims = self.shape().dims().to_vec();
        for &axis in axes {
            // An axis out of range is left to the shape rule, which refuses the longer shape.
            match dims.get_mut(axis) {
                Some(d) => *d = 1,
                None => dims.insert(0, 1),
            }
        }
        self.sum_to(dims.as_slice())
    }

    /// The mean over the listed axes, which stay with size 1.
    #[track_caller]
    pub fn mean_axes(self, axes: &[usize]) -> Var<'g> {
        let sum = self.sum_axes(axes);
        let n = self.shape().elements() / sum.shape().elements().max(1);
        sum.mul_scalar(1.0 / n as f64)
    }
}

impl OpDef for SumTo {
    const NAME: &'static str = "sum_to";
    const SAMPLES: &'static [Sample<SumTo>] = &[
        sample(&[], &[input(&[5, 3], R)]),
        sample(&[3], &[input(&[5, 3], R)]),
        sample(&[5, 1], &[input(&[5, 3], R)]),
        sample(&[1, 3, 1], &[input(&[2, 3, 4], R)]),
        sample(&[2, 1, 1, 3], &[input(&[2, 2, 2, 3], R)]),
        sample(&[], &[input(&[10007], R)]),
        sample(&[131], &[input(&[257, 131], R)]),
        sample(&[257, 1], &[input(&[257, 131], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if self.shape.broadcasts_to(ins[0]) {
            Ok(self.shape)
        } else {
            Err(format!("{} does not broadcast to the input", self.shape))
        }
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.broadcast_to(x[0].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        for (i, x) in ins[0].data.iter().enumerate() {
            out[source_index(i, ins[0].shape, self.shape)] += x;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        reduce::sum_to(ins[0].data, ins[0].shape.dims(), out, self.shape.dims());
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let shape = cuda::reduce::normal_form(ins[0].shape.dims(), self.shape.dims());
        let launches = cuda::reduce::sum(ins[0].data, out.data, shape, &mut cx.scratch);
        launches.into_iter().for_each(|l| cx.launch(l));
        Ok(())
    }

    fn cost(&self, ins: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: ins[0].elements() as u64,
            bytes: 4 * (ins[0].elements() + out.elements()) as u64,
        }
    }

    fn terms(&self, ins: &[Shape]) -> usize {
        ins[0].elements() / self.shape.elements().max(1)
    }

    fn attributes(&self) -> String {
        self.shape.to_string()
    }
}

/// Where element `i` of a tensor of shape `large` lies in one of shape `small`, which broadcasts
/// to it.
pub(crate) fn source_index(mut i: usize, large: Shape, small: Shape) -> usize {
    let (mut index, mut stride) = (0, 1);
    let mut small_dims = small.dims().iter().rev();
    for &n in large.dims().iter().rev() {
        let position = i % n;
        i /= n;
        let Some(&d) = small_dims.next() else { break };
        if d != 1 {
            index += position * stride;
        }
        stride *= d;
    }
    index
}

const R: Range = Range::Real(-1.0, 1.0);

const fn sample(shape: &[usize], inputs: &'static [crate::ops::In]) -> Sample<SumTo> {
    Sample {
        op: SumTo {
            shape: Shape::new(shape),
        },
        inputs,
    }
}
