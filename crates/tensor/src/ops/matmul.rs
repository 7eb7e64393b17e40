//! Matrix product in its four transpose forms.

use ganforge_kernels::cpu::gemm::{self, Shape3};
use ganforge_kernels::cuda::{self, matmul};

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::plan::{Contract, Operand};
use crate::shape::Shape;
use crate::view::View;

/// Matrix product; `ta`, `tb` say which factor is read transposed, without a copy.
///
/// ```text
/// C[m,n] = op(A)[m,k] · op(B)[k,n]      A: [m,k], or [k,m] with ta; B: [k,n], or [n,k] with tb
/// vjp:   dA = dC · Bᵀ,  dB = Aᵀ · dC    (each of them one product in the form that fits)
/// order 2: bilinear: d(dA)/dB and d(dB)/dA are again products
/// cost:  2 m k n flop, 4 (m k + k n + m n) bytes
/// source: elementary; docs/book/src/ops/matmul.md
/// errors: not two matrices; inner dimensions differ
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MatMul {
    /// Whether A is stored [k, m].
    pub ta: bool,
    /// Whether B is stored [n, k].
    pub tb: bool,
}

impl<'g> Var<'g> {
    /// C = A · B; A: `[m,k]`, B: `[k,n]`.
    #[track_caller]
    pub fn matmul(self, other: Var<'g>) -> Var<'g> {
        self.matmul_with(false, false, other)
    }

    /// C = op(A) · op(B), op transposing where `ta`, `tb` say so.
    #[track_caller]
    pub fn matmul_with(self, ta: bool, tb: bool, other: Var<'g>) -> Var<'g> {
        self.apply2(MatMul { ta, tb }, other)
    }
}

impl MatMul {
    /// The sizes m, k, n, or what is wrong with the shapes.
    pub fn sizes(&self, a: Shape, b: Shape) -> Result<Shape3, String> {
        let (&[a0, a1], &[b0, b1]) = (a.dims(), b.dims()) else {
            return Err("expected two matrices".into());
        };
        let (m, k) = if self.ta { (a1, a0) } else { (a0, a1) };
        let (k2, n) = if self.tb { (b1, b0) } else { (b0, b1) };
        if k != k2 {
            return Err(format!("inner dimensions differ, {k} and {k2}"));
        }
        Ok(Shape3 { m, k, n })
    }
}

impl OpDef for MatMul {
    const NAME: &'static str = "matmul";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<MatMul>] = &[
        sample(NN, &[input(&[5, 7], R), input(&[7, 3], R)]),
        sample(TN, &[input(&[7, 5], R), input(&[7, 3], R)]),
        sample(NT, &[input(&[5, 7], R), input(&[3, 7], R)]),
        sample(TT, &[input(&[7, 5], R), input(&[3, 7], R)]),
        sample(NN, &[input(&[1, 1], R), input(&[1, 1], R)]),
        sample(NN, &[input(&[13, 61], R), input(&[61, 37], R)]),
        sample(TN, &[input(&[47, 29], R), input(&[47, 1], R)]),
        sample(NT, &[input(&[31, 129], R), input(&[17, 129], R)]),
        sample(TT, &[input(&[1, 19], R), input(&[33, 1], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let s = self.sizes(ins[0], ins[1])?;
        Ok(Shape::new(&[s.m, s.n]))
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dc: Var<'g>) -> Option<Var<'g>> {
        let (a, b) = (x[0], x[1]);
        Some(match (wrt, self.ta, self.tb) {
            (0, false, tb) => dc.matmul_with(false, !tb, b),
            (0, true, tb) => b.matmul_with(tb, true, dc),
            (_, ta, false) => a.matmul_with(!ta, false, dc),
            (_, ta, true) => dc.matmul_with(true, ta, a),
        })
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        let sizes = self.sizes(ins[0].shape, ins[1].shape);
        let s = sizes.expect("checked when recorded");
        for i in 0..s.m {
            for j in 0..s.n {
                let mut sum = 0.0;
                for p in 0..s.k {
                    let a = ins[0].data[if self.ta { p * s.m + i } else { i * s.k + p }];
                    let b = ins[1].data[if self.tb { j * s.k + p } else { p * s.n + j }];
                    sum += a * b;
                }
                out[i * s.n + j] = sum;
            }
        }
    }

    fn workspace(&self, ins: &[Shape]) -> usize {
        let sizes = self.sizes(ins[0], ins[1]).expect("checked when recorded");
        gemm::workspace(self.ta, self.tb, sizes)
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        Contract::cpu(self, ins, out, gemm::Epilogue::Store, cx);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        Contract::cuda(self, ins, out.data, matmul::Epilogue::Store, cx)
    }

    fn flops(&self, ins: &[Shape], out: Shape) -> u64 {
        (2 * out.elements() as u64).saturating_mul(self.terms(ins) as u64)
    }

    fn terms(&self, ins: &[Shape]) -> usize {
        self.sizes(ins[0], ins[1]).map_or(1, |s| s.k)
    }

    fn attributes(&self) -> String {
        match (self.ta, self.tb) {
            (false, false) => String::new(),
            (true, false) => "Aᵀ".into(),
            (false, true) => "Bᵀ".into(),
            (true, true) => "Aᵀ, Bᵀ".into(),
        }
    }
}

impl Contract for MatMul {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn workspace(&self, ins: &[Operand]) -> usize {
        OpDef::workspace(self, &[ins[0].shape, ins[1].shape])
    }

    fn cpu(&self, ins: &[View<f32>], c: &mut [f32], epilogue: gemm::Epilogue, cx: &mut Cx) {
        let (a, b) = (ins[0], ins[1]);
        let sizes = self.sizes(a.shape, b.shape).expect("checked when recorded");
        let (ta, tb, workspace) = (self.ta, self.tb, &mut *cx.workspace);
        gemm::gemm(ta, tb, sizes, a.data, b.data, c, epilogue, workspace);
    }

    fn cuda(
        &self,
        ins: &[DeviceView],
        c: cuda::Slice,
        epilogue: matmul::Epilogue,
        cx: &mut DeviceCx,
    ) -> Result<()> {
        let (a, b) = (ins[0], ins[1]);
        let sizes = self.sizes(a.shape, b.shape).expect("checked when recorded");
        let (forms, precision, scratch) = ((self.ta, self.tb), cx.precision, &mut cx.scratch);
        let launch = matmul::product(
            forms, sizes, a.data, b.data, c, epilogue, precision, scratch,
        );
        cx.launch(launch);
        Ok(())
    }
}

const NN: MatMul = MatMul {
    ta: false,
    tb: false,
};
const TN: MatMul = MatMul {
    ta: true,
    tb: false,
};
const NT: MatMul = MatMul {
    ta: false,
    tb: true,
};
const TT: MatMul = MatMul { ta: true, tb: true };
