//! Which piece of each maxout unit is largest.

use ganforge_kernels::cpu::maxout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// The index of the largest of each group of `pieces` neighbours along the last dimension.
///
/// ```text
/// y[.., j] = argmax_p x[.., j·q + p], p < q        x: [.., u·q], y: [.., u], whole numbers
/// The first piece wins a tie; a NaN counts as largest.
/// vjp:   none: flat almost everywhere
/// order 2: zero
/// cost:  1 flop per element of x
/// source: maxout: Goodfellow et al. 2013, section 3; docs/book/src/maxout.md
/// errors: the last size is no multiple of `pieces`
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ArgMax {
    /// The pieces per unit, q.
    pub pieces: usize,
}

impl<'g> Var<'g> {
    /// The index of the largest of each group of `pieces` neighbours.
    #[track_caller]
    pub fn arg_max(self, pieces: usize) -> Var<'g> {
        self.apply(ArgMax { pieces })
    }

    /// Maxout: the largest of each group of `pieces` neighbours along the last dimension.
    ///
    /// ```text
    /// y[.., j] = max_p x[.., j·q + p]              x: [.., u·q], y: [.., u]
    /// ```
    #[track_caller]
    pub fn maxout(self, pieces: usize) -> Var<'g> {
        self.take(self.arg_max(pieces), pieces)
    }
}

/// [.., u·q] -> [.., u].
pub(crate) fn units(x: Shape, pieces: usize) -> Result<Shape, String> {
    let mut dims = x.dims().to_vec();
    match dims.last_mut() {
        Some(last) if pieces > 0 && *last % pieces == 0 => *last /= pieces,
        _ => return Err(format!("the last size is no multiple of {pieces} pieces")),
    }
    Ok(Shape::new(&dims))
}

impl OpDef for ArgMax {
    const NAME: &'static str = "arg_max";
    const SAMPLES: &'static [Sample<ArgMax>] = &[
        sample(3, &[input(&[2, 6], Range::Distinct)]),
        sample(5, &[input(&[37, 55], Range::Distinct)]),
        sample(2, &[input(&[3, 2, 34], Range::Distinct)]),
        sample(1, &[input(&[4], Range::Distinct)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        units(ins[0], self.pieces)
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, _: Var<'g>) -> Option<Var<'g>> {
        None
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (y, group) in out.iter_mut().zip(ins[0].data.chunks(self.pieces)) {
            let mut best = 0;
            for (p, &v) in group.iter().enumerate() {
                if v > group[best] || (v.is_nan() && !group[best].is_nan()) {
                    best = p;
                }
            }
            *y = best as f64;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        maxout::argmax(self.pieces, ins[0].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.launch(cuda::maxout::maxout(ins[0].data, None, Some(out.data), self.pieces));
        Ok(())
    }

    fn cost(&self, ins: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: ins[0].elements() as u64,
            bytes: 4 * (ins[0].elements() + out.elements()) as u64,
        }
    }

    fn attributes(&self) -> String {
        format!("{} pieces", self.pieces)
    }
}

const fn sample(pieces: usize, inputs: &'static [crate::ops::In]) -> Sample<ArgMax> {
    Sample {
        op: ArgMax { pieces },
        inputs,
    }
}
