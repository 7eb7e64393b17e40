//! arg_max and take of the same value in one pass, with dropout of the result.

use ganforge_kernels::cpu::{Workspace, maxout};
use ganforge_kernels::cuda;

use crate::error::{Error, Result};
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::ops::{Cx, Op};
use crate::plan::Kernel;
use crate::plan::compile::{Draft, Group};
use crate::plan::kernel::Run;
use crate::view::View;

/// Pattern: i = arg_max(x), y = take(x, i), perhaps y · m where m is a random mask and y is read by nothing else.
/// Replacement: one kernel that writes y or y · m, i, and m where it is read elsewhere.
pub(super) fn fuse(draft: &mut Draft) {
    for take in 0..draft.graph.nodes.len() {
        let Op::Take(op) = draft.node(take).op else {
            continue;
        };
        if !draft.is_open(take) {
            continue;
        }
        let inputs: Vec<usize> = draft.inputs(take).collect();
        let (x, index) = (inputs[0], inputs[1]);
        let same = matches!(draft.node(index).op, Op::ArgMax(a) if a.pieces == op.pieces)
            && draft.inputs(index).next() == Some(x);
        // Whether nothing else reads a value before the kernel runs.
        let waits = |i: usize, at: usize| draft.readers[i].iter().all(|&r| r >= at || r == take);
        if !same || !waits(index, take) || !draft.is_free(index) {
            continue;
        }
        let mut group = Group {
            kernel: Kernel::Maxout(Maxout {
                pieces: op.pieces,
                mask: None,
            }),
            ins: draft.reads(index),
            outs: vec![take, index],
            members: vec![index, take],
            early: None,
        };
        let dropout = dropout(draft, take);
        if let Some((product, mask)) = dropout.filter(|d| waits(index, d.0) && waits(d.1, d.0)) {
            group.kernel = Kernel::Maxout(Maxout {
                pieces: op.pieces,
                mask: Some(draft.node(mask).op),
            });
            group.outs[0] = product;
            if draft.root[mask] || draft.only_reader(mask).is_none() {
                group.outs.push(mask);
            }
            group.members.extend([mask, product]);
        }
        draft.add_group(group);
    }
}

/// The product of a value with a mask, and the mask.
fn dropout(draft: &Draft, y: usize) -> Option<(usize, usize)> {
    let product = draft.only_reader(y)?;
    let mask = draft.partner(product, y)?;
    let is_mask = matches!(draft.node(mask).op, Op::Bernoulli(_)) && draft.is_open(mask);
    let is_product = matches!(draft.node(product).op, Op::Mul(_)) && draft.is_free(product);
    let same = draft.shape(mask).elements() == draft.shape(y).elements();
    (is_mask && is_product && same).then_some((product, mask))
}

/// argmax and take in one pass: input x; outputs the maxima, the indices, and the mask where it is wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Maxout {
    /// The pieces per unit.
    pub pieces: usize,
    /// The draw of the mask with which the maxima are multiplied.
    pub mask: Option<Op>,
}

impl Run for Maxout {
    fn kind(&self) -> String {
        match self.mask {
            None => "maxout".into(),
            Some(_) => "maxout+dropout".into(),
        }
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx) {
        let [y, index, rest @ ..] = outs else {
            unreachable!("maxout writes two values")
        };
        let Some(mask) = self.mask else {
            return maxout::maxout(self.pieces, ins[0].data, y, index);
        };
        let (env, algorithm, shape) = (cx.env, cx.algorithm, cx.shape);
        let draw = |start: usize, out: &mut [f32]| {
            let workspace = &mut Workspace::default();
            let mut cx = Cx {
                env,
                start,
                shape,
                algorithm,
                workspace,
            };
            (*mask).cpu(&[], out, &mut cx);
        };
        let kept = rest.first_mut().map_or(&mut [][..], |m| m);
        maxout::dropout(self.pieces, ins[0].data, y, index, kept, &draw);
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        let (x, y, index) = (ins[0].data, outs[0].data, outs[1].data);
        let launch = match self.mask {
            None => cuda::maxout::maxout(x, Some(y), Some(index), self.pieces),
            Some(op) => {
                let draw = op.instruction().ok_or(Error::NoKernel { op: op.name() })?;
                let mask = outs.get(2).map(|m| m.data);
                let to = cuda::maxout::Dropped { y, index, mask };
                cuda::maxout::dropout(x, to, draw, cx.control, self.pieces)
            }
        };
        cx.launch(launch);
        Ok(())
    }
}
