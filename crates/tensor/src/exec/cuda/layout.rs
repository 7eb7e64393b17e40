//! The layout of a plan's values in device memory: one allocation per value.
//!
//! Reusing a plan's buffers would serialise calls on a device that could run concurrently, since a call could not write
//! before the last reader of the buffer's previous value has finished. If there is not enough memory, the plan's buffers are
//! used.

use crate::plan::{Call, Loc, Operand, Plan};

/// The operands of a plan's calls, with [`Loc::Temp`] numbering values instead of the plan's buffers.
pub(super) struct Layout {
    /// By call.
    pub calls: Vec<Operands>,
    /// The number of f32 in each value.
    pub sizes: Vec<usize>,
    /// Whether they lie in the plan's buffers.
    pub is_planned: bool,
    /// By the plan's buffer: the last value that lies there.
    last: Vec<u32>,
}

/// The operands of a call, and behind the results a value between two launches where it needs one.
pub(super) struct Operands {
    pub ins: Vec<Operand>,
    pub outs: Vec<Operand>,
}

impl Layout {
    /// Values where the plan says.
    pub(super) fn as_planned(plan: &Plan) -> Layout {
        // One place for what lies between two launches, since calls run in turn.
        let between = plan.calls.iter().filter_map(between);
        let between = between.map(|o| o.shape.elements()).max();
        let operands = |call: &Call| Operands {
            ins: call.ins.clone(),
            outs: with_between(call, call.outs.clone(), plan.buffers.len()),
        };
        Layout {
            calls: plan.calls.iter().map(operands).collect(),
            sizes: plan.buffers.iter().copied().chain(between).collect(),
            is_planned: true,
            last: (0..).take(plan.buffers.len()).collect(),
        }
    }

    /// Each value by itself.
    pub(super) fn apart(plan: &Plan) -> Layout {
        let mut layout = Layout {
            calls: Vec::with_capacity(plan.calls.len()),
            sizes: Vec::new(),
            is_planned: false,
            last: vec![u32::MAX; plan.buffers.len()],
        };
        for call in &plan.calls {
            let ins = call.ins.iter().map(|o| layout.at_end(*o)).collect();
            if !call.kernel.accumulates() {
                for out in &call.outs {
                    if let Loc::Temp(b) = out.loc {
                        layout.last[b as usize] = layout.sizes.len() as u32;
                        layout.sizes.push(out.shape.elements());
                    }
                }
            }
            let outs = call.outs.iter().map(|o| layout.at_end(*o)).collect();
            let outs = with_between(call, outs, layout.sizes.len());
            layout
                .sizes
                .extend(between(call).map(|o| o.shape.elements()));
            layout.calls.push(Operands { ins, outs });
        }
        layout
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

    /// Where a value of the plan lies after the calls so far.
    pub(super) fn at_end(&self, operand: Operand) -> Operand {
        let loc = match operand.loc {
            Loc::Temp(b) => Loc::Temp(self.last[b as usize]),
            other => other,
        };
        Operand { loc, ..operand }
    }
}

/// What a call on a device writes by one launch for the next one: as large as its first result.
fn between(call: &Call) -> Option<&Operand> {
    call.outs
        .first()
        .filter(|_| call.kernel.is_cut_on_devices())
}

/// The results of a call, and the value `place` behind them where it has something between two launches.
fn with_between(call: &Call, mut outs: Vec<Operand>, place: usize) -> Vec<Operand> {
    outs.extend(between(call).map(|first| Operand {
        loc: Loc::Temp(place as u32),
        ..*first
    }));
    outs
}
