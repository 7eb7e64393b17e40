//! Gather and scatter of rows by index.

use ganforge_kernels::cpu::gather;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, OpDef, R, Range, Sample, input, sample};
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
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<GatherRows>] = &[
        sample(
            GatherRows,
            &[input(&[5, 3], R), input(&[4], Range::Index(5))],
        ),
        sample(
            GatherRows,
            &[input(&[67, 101], R), input(&[33], Range::Index(67))],
        ),
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
        cx.launch(cuda::rows::gather(
            ins[0].data,
            ins[1].data,
            out.data,
            width,
        ));
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
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<ScatterRows>] = &[
        sample(
            ScatterRows { rows: 3 },
            &[input(&[4, 3], R), input(&[4], Range::Index(3))],
        ),
        sample(
            ScatterRows { rows: 67 },
            &[input(&[33, 101], R), input(&[33], Range::Index(67))],
        ),
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
        cx.launch(cuda::rows::scatter(
            ins[0].data,
            ins[1].data,
            out.data,
            width,
        ));
        Ok(())
    }

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        ins[0].elements() as u64
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
