//! Values put back to the indexed piece of each unit.

use ganforge_kernels::cpu::maxout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// Puts each value at the indexed one of `pieces` places, zeros elsewhere: the adjoint of take.
///
/// ```text
/// y[.., j·q + i[.., j]] = x[.., j], 0 elsewhere    x, i: [.., u], y: [.., u·q]
/// vjp:   dx = take(dy, i);  di = none
/// order 2: linear in x: again a put
/// cost:  0 flop
/// source: maxout: Goodfellow et al. 2013, section 3; docs/book/src/maxout.md
/// errors: shapes that differ; an index outside 0..q
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Put {
    /// The pieces per unit, q.
    pub pieces: usize,
}

impl<'g> Var<'g> {
    /// Each value at the indexed one of `pieces` places, zeros elsewhere.
    #[track_caller]
    pub fn put(self, index: Var<'g>, pieces: usize) -> Var<'g> {
        self.apply2(Put { pieces }, index)
    }
}

impl OpDef for Put {
    const NAME: &'static str = "put";
    const SAMPLES: &'static [Sample<Put>] = &[
        sample(3, &[input(&[2, 2], R), input(&[2, 2], Range::Index(3))]),
        sample(5, &[input(&[37, 11], R), input(&[37, 11], Range::Index(5))]),
        sample(2, &[input(&[3, 2, 17], R), input(&[3, 2, 17], Range::Index(2))]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if ins[0] != ins[1] {
            return Err("values and indices differ in shape".into());
        }
        let mut dims = ins[0].dims().to_vec();
        match dims.last_mut() {
            // Too large a product stays too large for any shape.
            Some(last) if self.pieces > 0 => *last = last.saturating_mul(self.pieces),
            _ => return Err("expected at least one dimension and one piece".into()),
        }
        Shape::try_new(&dims).ok_or_else(|| "too many elements".into())
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 0).then(|| dy.take(x[1], self.pieces))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        for (j, x) in ins[0].data.iter().enumerate() {
            out[j * self.pieces + ins[1].data[j] as usize] = *x;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        maxout::put(self.pieces, ins[0].data, ins[1].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.launch(cuda::maxout::put(ins[0].data, ins[1].data, out.data, self.pieces));
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

const fn sample(pieces: usize, inputs: &'static [crate::ops::In]) -> Sample<Put> {
    Sample {
        op: Put { pieces },
        inputs,
    }
}
