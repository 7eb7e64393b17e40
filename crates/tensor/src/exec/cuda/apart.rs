//! Memory of a plan on a device: each value has its own.
//!
//! A plan's buffers hold one value after another, which on a device would order steps that otherwise may run at the same
//! time: one could not write before the last reader of what lay there is done. Memory is what a device has most of.

use crate::plan::{Finish, Kernel, Loc, Operand, Plan, Step};

/// The operands of a plan's steps, with [`Loc::Temp`] numbering values instead of the plan's buffers.
pub(super) struct Apart {
    /// By step: inputs and outputs.
    pub steps: Vec<(Vec<Operand>, Vec<Operand>)>,
    /// The number of f32 in each value.
    pub sizes: Vec<usize>,
    /// By the plan's buffer: the last value that lies there.
    last: Vec<u32>,
}

impl Apart {
    pub(super) fn of(plan: &Plan) -> Apart {
        let mut apart = Apart {
            steps: Vec::with_capacity(plan.steps.len()),
            sizes: Vec::new(),
            last: vec![u32::MAX; plan.buffers.len()],
        };
        for step in &plan.steps {
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
            apart.steps.push((ins, outs));
        }
        apart
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
