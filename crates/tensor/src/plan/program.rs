//! Element-wise ops in one pass over memory: what a plan makes of [`ganforge_kernels::cpu::program`].

use ganforge_kernels::cpu::{Workspace, program};
use ganforge_kernels::cuda::elementwise::{self, Instruction};
use ganforge_kernels::cuda::{Launch, random};

pub use program::{Access, Arg, Sum};

use crate::error::{Error, Result};
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::ops::{Cx, Op};
use crate::plan::Operand;
use crate::plan::kernel::Run;
use crate::shape::Shape;
use crate::view::View;

/// One op of a program.
pub type Inst = program::Inst<Op>;

/// Element-wise ops over as many elements in one pass.
pub type Program = program::Program<Op>;

impl Run for Program {
    fn kind(&self) -> String {
        let random = if draws(self) { ", random" } else { "" };
        let summed = if self.sums.is_empty() { "" } else { ", summed" };
        format!("element-wise{random}{summed}")
    }

    fn workspace(&self, _: &[Operand], _: &[Operand]) -> usize {
        self.partial_sums()
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx) {
        let mut inputs = [&[][..]; program::MAX_INPUTS];
        for (input, view) in inputs.iter_mut().zip(ins) {
            *input = view.data;
        }
        let (env, algorithm, whole) = (cx.env, cx.algorithm, Shape::new(&[self.elements]));
        let compute = |op: &Op, args: &[&[f32]], out: &mut [f32], start: usize| {
            let shape = Shape::new(&[out.len()]);
            let mut views = [View { data: &[], shape }; program::MAX_ARGS];
            for (view, &data) in views.iter_mut().zip(args) {
                view.data = data;
            }
            let workspace = &mut Workspace::default();
            let mut cx = Cx {
                env,
                start,
                shape: whole,
                algorithm,
                workspace,
            };
            (**op).cpu(&views[..args.len()], out, &mut cx);
        };
        self.run(&inputs[..ins.len()], outs, cx.workspace, compute);
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        if let Some(launch) = random_numbers(self, ins, outs, cx) {
            cx.launch(launch);
            return Ok(());
        }
        let program = lower(self, ins, outs)?;
        let Some(first) = self.sums.first() else {
            cx.program(&program);
            return Ok(());
        };
        // In one pass: its other results may lie where the inputs do.
        let ys = self.sums.iter().zip(&outs[self.outputs.len()..]);
        let ys = ys.map(|(sum, y)| (register(ins.len(), sum.of), y.data));
        let (ys, sizes): (Vec<_>, _) = (ys.collect(), first.sizes.sizes());
        let launches = elementwise::sums(&program, &ys, sizes, cx.control, &mut cx.scratch);
        launches.into_iter().for_each(|launch| cx.launch(launch));
        Ok(())
    }
}

/// Whether it draws random numbers.
fn draws(program: &Program) -> bool {
    let is_random = |i: &Inst| matches!(i.op, Op::Uniform(_) | Op::Normal(_) | Op::Bernoulli(_));
    program.insts.iter().any(is_random)
}

/// A program that only draws random numbers, or multiplies with a mask that nothing else reads, as the launch of a kernel
/// of its own.
fn random_numbers(
    program: &Program,
    ins: &[DeviceView],
    outs: &[DeviceView],
    cx: &DeviceCx,
) -> Option<Launch> {
    match (&program.insts[..], outs) {
        _ if !program.sums.is_empty() => None,
        ([draw], [out]) if draws(program) => {
            Some(random::fill(out.data, draw.op.instruction()?, cx.control))
        }
        ([_, _], [out]) if program.outputs == [1] => {
            let (x, draw) = (ins.first()?.data, mask(program)?);
            Some(random::dropout(x, out.data, draw, cx.control))
        }
        _ => None,
    }
}

/// How the mask is drawn with which it multiplies its only input.
fn mask(program: &Program) -> Option<Instruction> {
    let [draw, product] = &program.insts[..] else {
        return None;
    };
    let (value, mask) = (Arg::In(0), Arg::Inst(0));
    let is_product = matches!(product.op, Op::Mul(_))
        && (product.args[..] == [value, mask] || product.args[..] == [mask, value]);
    match (draw.op, &program.inputs[..]) {
        (Op::Bernoulli(_), [Access::Full | Access::Aliased(_)]) if is_product => {
            draw.op.instruction()
        }
        _ => None,
    }
}

/// The register of an operand: those of the inputs come first.
fn register(inputs: usize, arg: Arg) -> usize {
    match arg {
        Arg::In(i) => usize::from(i),
        Arg::Inst(i) => inputs + usize::from(i),
    }
}

/// As a device's kernels take it, without the sums.
fn lower(
    program: &Program,
    ins: &[DeviceView],
    outs: &[DeviceView],
) -> Result<elementwise::Program> {
    let first = ins.len();
    let register = |arg: Option<&Arg>| arg.map_or(0, |arg| register(first, *arg));
    let instructions = program.insts.iter().map(|inst| {
        let instruction = inst.op.instruction();
        let instruction = instruction.ok_or(Error::NoKernel { op: inst.op.name() })?;
        Ok(instruction.on(register(inst.args.first()), register(inst.args.get(1))))
    });
    let inputs = ins.iter().zip(&program.inputs).map(|(view, access)| {
        let access = match *access {
            // A thread reads its elements of all inputs before it writes a result.
            Access::Full | Access::Aliased(_) => elementwise::Access::Full,
            Access::Scalar => elementwise::Access::Scalar,
            Access::Row { .. } => elementwise::Access::Row,
            Access::Column { repeat } => elementwise::Access::Column { repeat },
        };
        (view.data, access)
    });
    let outputs = outs.iter().zip(&program.outputs);
    Ok(elementwise::Program {
        elements: program.elements,
        inputs: inputs.collect(),
        instructions: instructions.collect::<Result<_>>()?,
        outputs: outputs
            .map(|(view, o)| (view.data, first + usize::from(*o)))
            .collect(),
    })
}
