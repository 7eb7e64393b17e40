//! Rows of a table, by index.

use ganforge_kernels::cpu::gather;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// The listed rows of a table: a minibatch from a data set.
///
/// ```text
/// y[i, :] = x[index[i], :]                         x: [rows, d], index: [b], y: [b, d]
/// vjp:   dx = scatter_rows(dy, index): rows added at their places;  d(index) = none
/// order 2: linear in x: again a gather
/// cost:  0 flop, 8 bytes per element of y
/// source: minibatches of Goodfellow et al. 2014, algorithm 1
/// errors: not a matrix and a list; an index outside 0..rows
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GatherRows;

impl<'g> Var<'g> {
    /// The rows of this matrix listed in `index` (whole numbers).
    #[track_caller]
    pub fn gather_rows(self, index: Var<'g>) -> Var<'g> {
        self.apply2(GatherRows, index)
    }
}

impl OpDef for GatherRows {
    const NAME: &'static str = "gather_rows";
    const SAMPLES: &'static [Sample<GatherRows>] = &[
        sample(&[input(&[5, 3], R), input(&[4], Range::Index(5))]),
        sample(&[input(&[67, 101], R), input(&[33], Range::Index(67))]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        match (ins[0].dims(), ins[1].dims()) {
            (&[_, d], &[b]) => Ok(Shape::new(&[b, d])),
            _ => Err("expected a matrix and a list of indices".into()),
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let rows = x[0].shape().dims()[0];
        (wrt == 0).then(|| dy.scatter_rows(x[1], rows))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let d = shape.dims()[1];
        for (i, &row) in ins[1].data.iter().enumerate() {
            for c in 0..d {
                out[i * d + c] = ins[0].data[row as usize * d + c];
            }
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        gather::gather_rows(ins[0].data, cx.shape.dims()[1], ins[1].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let width = out.shape.dims()[1];
        cx.launch(cuda::rows::gather(ins[0].data, ins[1].data, out.data, width));
        Ok(())
    }

    fn cost(&self, _: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: 0,
            bytes: 8 * out.elements() as u64,
        }
    }

    fn rows(&self, x: Shape) -> Option<usize> {
        x.dims().first().copied()
    }
}

const R: Range = Range::Real(-1.0, 1.0);

const fn sample(inputs: &'static [crate::ops::In]) -> Sample<GatherRows> {
    Sample {
        op: GatherRows,
        inputs,
    }
}
