//! The gradient of a maxout layer's pieces, skipping its zeros.

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cpu::{gemm, maxout, maxout_grad};
use ganforge_kernels::cuda::{self, Slice, matmul};

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::ops::{Cx, MatMul, Op};
use crate::plan::compile::{Draft, Group};
use crate::plan::kernel::Run;
use crate::plan::product::{Contract, Contraction};
use crate::plan::{Kernel, Operand};
use crate::view::View;

/// Most rows that a column sum takes here: devices cut longer ones into parts.
const MAX_ROWS: usize = 1024;

/// Pattern: p = put(dy, arg_max(..)), read by products xᵀ · p (the gradient in the weights) and p · wᵀ (in the layer's
/// input), and summed over its rows (in the bias). Replacement: kernels that read dy and the index; where nothing else reads
/// p, it is never written.
pub(super) fn fuse(draft: &mut Draft) {
    for put in 0..draft.graph.nodes.len() {
        let Op::Put(op) = draft.node(put).op else {
            continue;
        };
        let sources = draft.reads(put);
        let index = &draft.node(sources[1].0).op;
        if !matches!(index, Op::ArgMax(_)) || !draft.is_open(put) {
            continue;
        }
        let readers = draft.readers[put].clone();
        let gradients = readers
            .iter()
            .map(|&r| (r, gradient(draft, r, put, op.pieces)));
        let gradients: Vec<_> = gradients.collect();
        let is_sum = |r: usize| is_sum_of_rows(draft, r, put);
        let ours = |r: &(usize, Option<_>)| r.1.is_some() || is_sum(r.0);
        let is_skipped = gradients.iter().all(ours) && !draft.root[put] && !readers.is_empty();
        let mut new_readers = Vec::new();
        for (reader, contraction) in gradients {
            if let Some((contraction, other)) = contraction {
                let ins = [other].into_iter().chain(sources.iter().copied()).collect();
                draft.contractions.insert(reader, (contraction, ins));
            } else if is_skipped {
                draft.add_group(Group {
                    kernel: Kernel::PutSum(PutSum { pieces: op.pieces }),
                    ins: sources.clone(),
                    outs: vec![reader],
                    members: vec![reader],
                    early: None,
                });
            } else {
                continue;
            }
            new_readers.push(reader);
        }
        draft.is_skipped[put] = is_skipped;
        for (source, _) in sources {
            let readers = &mut draft.readers[source];
            readers.retain(|&r| !is_skipped || r != put);
            readers.extend(&new_readers);
            readers.sort_unstable();
            readers.dedup();
        }
    }
}

/// The contraction of a product with `put`, and its other factor.
fn gradient(
    draft: &Draft,
    product: usize,
    put: usize,
    pieces: usize,
) -> Option<(Contraction, (usize, crate::Shape))> {
    let Op::MatMul(matmul) = draft.node(product).op else {
        return None;
    };
    let inputs = draft.node(product).inputs;
    let is_put = |i: usize| inputs.as_slice()[i].index() == put;
    let at = match (matmul.ta, matmul.tb) {
        (true, false) => 1,
        (false, true) => 0,
        _ => return None,
    };
    let other = draft.reads(product)[1 - at];
    let contraction = Contraction::MaxoutGrad(MaxoutGrad { matmul, pieces });
    (is_put(at) && !is_put(1 - at)).then_some((contraction, other))
}

/// Whether a node sums a matrix of several columns over its rows.
fn is_sum_of_rows(draft: &Draft, sum: usize, put: usize) -> bool {
    let (large, small) = (draft.reads(sum)[0].1, draft.shape(sum));
    matches!(draft.node(sum).op, Op::SumTo(_))
        && large == draft.shape(put)
        && matches!((large.dims(), small.dims()), (&[rows, n], &[.., kept])
            if kept == n && n > 1 && small.elements() == n && (1..=MAX_ROWS).contains(&rows))
}

/// A product with put(dy, index), which is read as dy and index: xᵀ · P (inputs x, dy, index) or P · wᵀ (inputs w, dy, index).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MaxoutGrad {
    /// The product.
    pub matmul: MatMul,
    /// The pieces per unit.
    pub pieces: usize,
}

impl MaxoutGrad {
    /// dy and index as [`maxout_grad`] takes them, and the size that the other factor shares with the result.
    fn put<'a>(&self, ins: &[View<'a, f32>]) -> (maxout_grad::Put<'a>, usize) {
        let [other, dy, index] = ins else {
            unreachable!("a maxout gradient has a factor, dy and an index")
        };
        let (batch, units) = (dy.shape.dims()[0], dy.shape.dims()[1]);
        let put = maxout_grad::Put {
            dy: dy.data,
            index: index.data,
            batch,
            units,
            pieces: self.pieces,
        };
        (put, other.shape.dims()[usize::from(self.matmul.ta)])
    }
}

impl Contract for MaxoutGrad {
    fn name(&self) -> &'static str {
        "maxout gradient"
    }

    fn arity(&self) -> usize {
        3
    }

    fn executed_flops(&self, _: &[Operand], flops: u64, _: Algorithm) -> u64 {
        // At most one in `pieces` is not 0.
        flops / self.pieces.max(1) as u64
    }

    fn workspace(&self, ins: &[Operand]) -> usize {
        let dims = ins[1].shape.dims();
        let inputs = ins[0].shape.dims()[usize::from(self.matmul.ta)];
        maxout_grad::workspace(self.matmul.ta, [dims[0], dims[1], self.pieces], inputs)
    }

    fn cpu(&self, ins: &[View<f32>], c: &mut [f32], epilogue: gemm::Epilogue, cx: &mut Cx) {
        let (put, inputs) = self.put(ins);
        let gradient = match self.matmul.ta {
            true => maxout_grad::weight_gradient,
            false => maxout_grad::input_gradient,
        };
        gradient(put, ins[0].data, inputs, c, epilogue, cx.workspace);
    }

    fn cuda(
        &self,
        ins: &[DeviceView],
        c: Slice,
        epilogue: matmul::Epilogue,
        cx: &mut DeviceCx,
    ) -> Result<()> {
        let (other, dy, index) = (ins[0], ins[1], ins[2]);
        let put = matmul::Put {
            dy: dy.data,
            index: index.data,
            batch: dy.shape.dims()[0],
            units: dy.shape.dims()[1],
            pieces: self.pieces,
        };
        let (ta, precision, scratch) = (self.matmul.ta, cx.precision, &mut cx.scratch);
        let inputs = other.shape.dims()[usize::from(ta)];
        let launch =
            matmul::maxout_gradient(ta, put, other.data, inputs, c, epilogue, precision, scratch);
        cx.launch(launch);
        Ok(())
    }
}

/// The column sums of put(dy, index), inputs dy and index: the gradient of a maxout layer's bias.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PutSum {
    /// The pieces per unit.
    pub pieces: usize,
}

impl Run for PutSum {
    fn kind(&self) -> String {
        "put+sum_to".into()
    }

    fn workspace(&self, ins: &[Operand], outs: &[Operand]) -> usize {
        maxout::put_sum_workspace(ins[0].shape.dims()[0], outs[0].shape.elements())
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx) {
        let (dy, index) = (ins[0].data, ins[1].data);
        maxout::put_sum(self.pieces, dy, index, outs[0], cx.workspace);
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        let [dy, index, y] = [ins[0], ins[1], outs[0]].map(|v| v.data);
        cx.launch(cuda::maxout::put_sum(dy, index, y, self.pieces));
        Ok(())
    }
}
