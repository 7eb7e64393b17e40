//! One piece of each unit, by index.

use ganforge_kernels::cpu::maxout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::arg_max::units;
use crate::ops::{Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// The indexed one of each group of `pieces` neighbours along the last dimension.
///
/// ```text
/// y[.., j] = x[.., j·q + i[.., j]]                 x: [.., u·q], i, y: [.., u]
/// vjp:   dx = put(dy, i): dy at the taken places, zeros elsewhere;  di = none
/// order 2: linear in x: again a take
/// cost:  0 flop
/// source: maxout: Goodfellow et al. 2013, section 3: the gradient goes to the largest piece; docs/book/src/maxout.md
/// errors: shapes that do not fit; an index outside 0..q
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Take {
    /// The pieces per unit, q.
    pub pieces: usize,
}

impl<'g> Var<'g> {
    /// The indexed one of each group of `pieces` neighbours.
    #[track_caller]
    pub fn take(self, index: Var<'g>, pieces: usize) -> Var<'g> {
        self.apply2(Take { pieces }, index)
    }
}

impl OpDef for Take {
    const NAME: &'static str = "take";
    const SAMPLES: &'static [Sample<Take>] = &[
        sample(3, &[input(&[2, 6], R), input(&[2, 2], Range::Index(3))]),
        sample(5, &[input(&[37, 55], R), input(&[37, 11], Range::Index(5))]),
        sample(2, &[input(&[3, 2, 34], R), input(&[3, 2, 17], Range::Index(2))]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let shape = units(ins[0], self.pieces)?;
        if shape == ins[1] {
            Ok(shape)
        } else {
            Err(format!("expected indices of shape {shape}"))
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 0).then(|| dy.put(x[1], self.pieces))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (j, y) in out.iter_mut().enumerate() {
            *y = ins[0].data[j * self.pieces + ins[1].data[j] as usize];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        maxout::take(self.pieces, ins[0].data, ins[1].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.launch(cuda::maxout::take(ins[0].data, ins[1].data, out.data, self.pieces));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{} pieces", self.pieces)
    }

    fn rows(&self, _: Shape) -> Option<usize> {
        Some(self.pieces)
    }
}

const R: Range = Range::Real(-1.0, 1.0);

const fn sample(pieces: usize, inputs: &'static [crate::ops::In]) -> Sample<Take> {
    Sample {
        op: Take { pieces },
        inputs,
    }
}
