//! Rows added to a table, by index.

use ganforge_kernels::cpu::gather;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// Adds each row at its index in a table of zeros: the adjoint of gather_rows.
///
/// ```text
/// y[r, :] = sum of x[i, :] over index[i] = r       x: [b, d], index: [b], y: [rows, d]
/// vjp:   dx = gather_rows(dy, index);  d(index) = none
/// order 2: linear in x: again a scatter
/// cost:  1 flop per element of x
/// source: the derivative of a minibatch in its table
/// errors: not a matrix and as many indices; an index outside 0..rows
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScatterRows {
    /// The rows of the result.
    pub rows: usize,
}

impl<'g> Var<'g> {
    /// The rows of this matrix added at `index` in a table of zeros with `rows` rows.
    #[track_caller]
    pub fn scatter_rows(self, index: Var<'g>, rows: usize) -> Var<'g> {
        self.apply2(ScatterRows { rows }, index)
    }
}

impl OpDef for ScatterRows {
    const NAME: &'static str = "scatter_rows";
    const SAMPLES: &'static [Sample<ScatterRows>] = &[
        sample(3, &[input(&[4, 3], R), input(&[4], Range::Index(3))]),
        sample(67, &[input(&[33, 101], R), input(&[33], Range::Index(67))]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        match (ins[0].dims(), ins[1].dims()) {
            (&[b, d], &[n]) if b == n => {
                Shape::try_new(&[self.rows, d]).ok_or_else(|| "too many elements".into())
            }
            _ => Err("expected a matrix and one index per row".into()),
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 0).then(|| dy.gather_rows(x[1]))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let d = shape.dims()[1];
        out.fill(0.0);
        for (i, &row) in ins[1].data.iter().enumerate() {
            for c in 0..d {
                out[row as usize * d + c] += ins[0].data[i * d + c];
            }
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let width = cx.shape.dims()[1];
        gather::scatter_rows(ins[0].data, width, ins[1].data, self.rows, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let width = out.shape.dims()[1];
        cx.launch(cuda::rows::scatter(ins[0].data, ins[1].data, out.data, width));
        Ok(())
    }

    fn cost(&self, ins: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: ins[0].elements() as u64,
            bytes: 4 * (ins[0].elements() + out.elements()) as u64,
        }
    }

    fn terms(&self, ins: &[Shape]) -> usize {
        ins[1].elements()
    }

    fn attributes(&self) -> String {
        format!("{} rows", self.rows)
    }

    fn rows(&self, _: Shape) -> Option<usize> {
        Some(self.rows)
    }
}

const R: Range = Range::Real(-1.0, 1.0);

const fn sample(rows: usize, inputs: &'static [crate::ops::In]) -> Sample<ScatterRows> {
    Sample {
        op: ScatterRows { rows },
        inputs,
    }
}
