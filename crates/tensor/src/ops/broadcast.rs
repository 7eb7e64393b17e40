//! Sum to a smaller shape and broadcast to a larger one: adjoint to each other.

use ganforge_kernels::cpu::reduce;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
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

impl SumTo {
    const fn to(shape: &[usize]) -> SumTo {
        SumTo {
            shape: Shape::new(shape),
        }
    }
}

impl OpDef for SumTo {
    const NAME: &'static str = "sum_to";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<SumTo>] = &[
        sample(SumTo::to(&[]), &[input(&[5, 3], R)]),
        sample(SumTo::to(&[3]), &[input(&[5, 3], R)]),
        sample(SumTo::to(&[5, 1]), &[input(&[5, 3], R)]),
        sample(SumTo::to(&[1, 3, 1]), &[input(&[2, 3, 4], R)]),
        sample(SumTo::to(&[2, 1, 1, 3]), &[input(&[2, 2, 2, 3], R)]),
        sample(SumTo::to(&[]), &[input(&[10007], R)]),
        sample(SumTo::to(&[131]), &[input(&[257, 131], R)]),
        sample(SumTo::to(&[257, 1]), &[input(&[257, 131], R)]),
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
        for (x, j) in ins[0].data.iter().zip(sources(ins[0].shape, self.shape)) {
            out[j] += x;
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

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        ins[0].elements() as u64
    }

    fn terms(&self, ins: &[Shape]) -> usize {
        ins[0].elements() / self.shape.elements().max(1)
    }

    fn attributes(&self) -> String {
        self.shape.to_string()
    }
}

/// Where the elements of a tensor of shape `large`, in their order, lie in one of shape `small`, which broadcasts to it.
pub(crate) fn sources(large: Shape, small: Shape) -> impl Iterator<Item = usize> {
    struct Axis {
        size: usize,
        stride: usize,
        at: usize,
    }
    let mut stride = 1;
    let mut small = small.dims().iter().rev();
    // The last axis first: it is the one that each element moves along.
    let axes = large.dims().iter().rev().map(|&size| {
        let n = small.next().copied().unwrap_or(1);
        let own = if n == 1 { 0 } else { stride };
        stride *= n;
        Axis {
            size,
            stride: own,
            at: 0,
        }
    });
    let mut axes: Vec<Axis> = axes.collect();
    let mut next = 0;
    (0..large.elements()).map(move |_| {
        let source = next;
        for axis in &mut axes {
            axis.at += 1;
            next += axis.stride;
            if axis.at < axis.size {
                break;
            }
            next -= axis.size * axis.stride;
            axis.at = 0;
        }
        source
    })
}

/// Repeats x along every dimension that `shape` adds or enlarges from 1.
///
/// ```text
/// y[i] = x[j], j = where NumPy's rule maps i       x: [..], y: shape
/// vjp:   dx = sum_to(dy)
/// order 2: linear: d(dx)/d(dy) is again a sum
/// cost:  0 flop; in a plan usually a read with stride 0, not a copy
/// source: elementary; docs/book/src/ops/broadcast_to.md
/// errors: the shape of x does not broadcast to `shape`
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BroadcastTo {
    /// The shape of the result.
    pub shape: Shape,
}

impl<'g> Var<'g> {
    /// This value repeated to `shape` under NumPy's rule; itself where that is its shape.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.apply(BroadcastTo { shape })
    }
}

impl BroadcastTo {
    const fn to(shape: &[usize]) -> BroadcastTo {
        BroadcastTo {
            shape: Shape::new(shape),
        }
    }
}

impl OpDef for BroadcastTo {
    const NAME: &'static str = "broadcast_to";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<BroadcastTo>] = &[
        sample(BroadcastTo::to(&[3, 5]), &[input(&[], R)]),
        sample(BroadcastTo::to(&[3, 5]), &[input(&[5], R)]),
        sample(BroadcastTo::to(&[3, 5]), &[input(&[3, 1], R)]),
        sample(BroadcastTo::to(&[2, 3, 4]), &[input(&[3, 1], R)]),
        sample(BroadcastTo::to(&[2, 2, 2, 3]), &[input(&[2, 1, 1, 3], R)]),
        sample(BroadcastTo::to(&[257, 131]), &[input(&[131], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if ins[0].broadcasts_to(self.shape) {
            Ok(self.shape)
        } else {
            Err(format!("the input does not broadcast to {}", self.shape))
        }
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.sum_to(x[0].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (y, j) in out.iter_mut().zip(sources(self.shape, ins[0].shape)) {
            *y = ins[0].data[j];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        reduce::broadcast_to(ins[0].data, ins[0].shape.dims(), out, self.shape.dims());
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let (x, large) = (ins[0], self.shape.dims());
        cx.launch(cuda::layout::broadcast(
            x.data,
            x.shape.dims(),
            out.data,
            large,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        self.shape.to_string()
    }
}
