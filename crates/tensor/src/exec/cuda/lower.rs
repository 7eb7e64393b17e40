//! Lowers the calls of a plan to launches with all their arguments.

use ganforge_kernels::cuda::elementwise::{self, Program};
use ganforge_kernels::cuda::updates::Command;
use ganforge_kernels::cuda::{Launch, MAX_ELEMENTS, Precision, Scratch, Slice};

use super::layout::Layout;
use crate::error::{Error, Result};
use crate::plan::{Loc, Operand, Plan};
use crate::shape::Shape;

/// A tensor on a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceView {
    /// Its values, row-major.
    pub data: Slice,
    /// Its shape.
    pub shape: Shape,
}

/// What a kernel has beside its tensors when it makes its launches.
pub struct DeviceCx {
    /// How products are computed.
    pub precision: Precision,
    /// Memory for the parts of sums.
    pub scratch: Scratch,
    /// Where key and step lie.
    pub control: Slice<u64>,
    /// Whether the call writes tensors of the store only.
    is_update: bool,
    commands: Vec<Command>,
}

impl DeviceCx {
    /// Adds a launch.
    pub fn launch(&mut self, launch: Launch) {
        self.commands.push(Command::Launch(launch));
    }

    /// Adds an element-wise program: what an op outside of this crate can be made of. Updates that are alike run together.
    ///
    /// # Panics
    /// As [`elementwise::run`].
    pub fn program(&mut self, program: &Program) {
        let launch = elementwise::run(program, self.control);
        self.commands.push(match self.is_update {
            true => Command::Update(program.clone(), launch),
            false => Command::Launch(launch),
        });
    }
}

/// The commands of a plan's calls, whose operands lie where `at` says; key and step at `control`. Says also
/// what of `scratch` they need.
pub(super) fn lower(
    plan: &Plan,
    layout: &Layout,
    precision: Precision,
    control: Slice<u64>,
    scratch: Scratch,
    at: impl Fn(Operand) -> Slice,
) -> Result<(Vec<Command>, Scratch)> {
    let mut cx = DeviceCx {
        precision,
        scratch,
        control,
        is_update: false,
        commands: Vec::new(),
    };
    let view = |operand: &Operand| {
        let shape = operand.shape;
        match shape.elements() <= MAX_ELEMENTS {
            true => Ok(DeviceView {
                data: at(*operand),
                shape,
            }),
            false => Err(Error::TooLarge { shape }),
        }
    };
    let views = |operands: &[Operand]| operands.iter().map(view).collect::<Result<Vec<_>>>();
    for (call, operands) in plan.calls.iter().zip(&layout.calls) {
        let (ins, outs) = (views(&operands.ins)?, views(&operands.outs)?);
        // A kernel without threads cannot be launched.
        if outs.iter().any(|o| o.shape.elements() > 0) {
            let is_state = |o: &Operand| matches!(o.loc, Loc::State(_));
            cx.is_update = call.outs.iter().all(is_state);
            call.kernel.get().cuda(&ins, &outs, &mut cx)?;
        }
    }
    Ok((cx.commands, cx.scratch))
}
