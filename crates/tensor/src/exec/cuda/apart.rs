//! Memory of a plan on a device: each value has its own.
//!
//! A plan's buffers hold one value after another, which on a device would order steps that otherwise may run at the same
//! time: one could not write before the last reader of what lay there is done. Where there is no memory for that, values lie
//! where the plan says.

use ganforge_kernels::cuda::elementwise::Instruction;

use crate::plan::{Finish, Kernel, Loc, Operand, Plan, Step};

/// A plan's steps, with [`Loc::Temp`] numbering values instead of the plan's buffers.
pub(super) struct Apart {
    /// In the order in which they run.
    pub steps: Vec<Placed>,
    /// The number of f32 in each value.
    pub sizes: Vec<usize>,
    /// By the plan's buffer: the last value that lies there.
    last: Vec<u32>,
}

/// A step with its own operands.
pub(super) struct Placed {
    /// The plan's step that has the kernel.
    pub step: usize,
    /// The kernel's, then the tail's.
    pub ins: Vec<Operand>,
    pub outs: Vec<Operand>,
    /// What else the kernel does; see [`super::join`].
    pub tail: Option<Tail>,
}

/// An element-wise step that runs inside of the one before it.
pub(super) enum Tail {
    /// A product, times the last input.
    Times,
    /// A product where the last input is above 0, else `below` times it.
    Step { below: f32 },
    /// A program, one of whose results is summed to a single number, which takes its place; or a maxout layer's gradient,
    /// summed over the batch.
    Sum(usize),
    /// Maxima times a mask, which is the third output where it is wanted.
    Dropout(Instruction),
}

impl Apart {
    /// Values where the plan says.
    pub(super) fn as_planned(plan: &Plan) -> Apart {
        let steps = plan.steps.iter().enumerate();
        let placed = |(step, s): (usize, &Step)| Placed {
            step,
            ins: s.ins.clone(),
            outs: s.outs.clone(),
            tail: None,
        };
        Apart {
            steps: steps.map(placed).collect(),
            sizes: plan.buffers.clone(),
            last: (0..).take(plan.buffers.len()).collect(),
        }
    }

    /// Each value by itself.
    pub(super) fn of(plan: &Plan) -> Apart {
        let mut apart = Apart {
            steps: Vec::with_capacity(plan.steps.len()),
            sizes: Vec::new(),
            last: vec![u32::MAX; plan.buffers.len()],
        };
        for (place, step) in plan.steps.iter().enumerate() {
            let ins = step.ins.iter().map(|o| apart.at_end(*o)).collect();
            if !adds_in_place(step) {
                for out in &step.outs {
                    if let Loc::Temp(b) = out.loc {
                        apart.last[b as usize] = apart.sizes.len() as u32;
                        apart.sizes.push(out.shape.elements());
                    }
                }
            }
            let outs = step.outs.iter().map(|o| apart.at_end(*o)).collect();
            apart.steps.push(Placed {
                step: place,
                ins,
                outs,
                tail: None,
            });
        }
        apart
    }

    /// Where each value begins in one stretch of memory, and how many f32 that has.
    pub(super) fn offsets(&self) -> (Vec<usize>, usize) {
        let mut end = 0;
        let offsets = self.sizes.iter().map(|size| {
            let start = end;
            end += size.next_multiple_of(64); // of 256 bytes, as allocations are
            start
        });
        (offsets.collect(), end)
    }

    /// Where a value of the plan lies after the steps so far.
    pub(super) fn at_end(&self, operand: Operand) -> Operand {
        let loc = match operand.loc {
            Loc::Temp(b) => Loc::Temp(self.last[b as usize]),
            other => other,
        };
        Operand { loc, ..operand }
    }
}

/// Whether a step changes a value instead of writing one.
fn adds_in_place(step: &Step) -> bool {
    let finish = match step.kernel {
        Kernel::Gemm(_, finish) => Some(finish),
        Kernel::MaxoutGrad { finish, .. } => finish,
        _ => None,
    };
    finish == Some(Finish::Accumulate)
}
