//! From the steps of a plan to launches with all their arguments.

use ganforge_kernels::cuda::elementwise::{self, Instruction, Opcode};
use ganforge_kernels::cuda::matmul::{self, Epilogue, Put};
use ganforge_kernels::cuda::maxout::{self, Dropped};
use ganforge_kernels::cuda::{Launch, MAX_ELEMENTS, Precision, Scratch, Slice, random};

use super::apart::{Placed, Tail};
use super::join;
use crate::error::{Error, Result};
use crate::ops::{MatMul, Op};
use crate::plan::{Access, Arg, Finish, Kernel, Loc, Operand, Plan, Program};
use crate::shape::Shape;

/// A tensor on a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceView {
    /// Its values, row-major.
    pub data: Slice,
    /// Its shape.
    pub shape: Shape,
}

/// What an op has beside its tensors when it makes its launches.
pub struct DeviceCx {
    /// How products are computed.
    precision: Precision,
    /// Key and step.
    control: Slice<u64>,
    /// Memory for the parts of sums.
    pub scratch: Scratch,
    calls: Vec<Call>,
}

/// A launch, or what will be one.
pub(super) enum Call {
    Launch(Launch),
    /// An element-wise program that updates tensors of the store.
    Update(elementwise::Program, Launch),
}

impl Call {
    pub(super) fn launch(&self) -> &Launch {
        match self {
            Call::Launch(launch) | Call::Update(_, launch) => launch,
        }
    }
}

impl DeviceCx {
    /// Adds a launch.
    pub fn launch(&mut self, launch: Launch) {
        self.calls.push(Call::Launch(launch));
    }

    /// Adds an element-wise program: what an op outside of this crate can be made of.
    ///
    /// # Panics
    /// As [`elementwise::run`].
    pub fn program(&mut self, program: &elementwise::Program) {
        self.launch(elementwise::run(program, self.control));
    }

    /// Adds a product of the first two inputs.
    pub fn product(&mut self, op: MatMul, ins: &[DeviceView], c: Slice, epilogue: Epilogue) {
        let (a, b) = (ins[0], ins[1]);
        let sizes = op.sizes(a.shape, b.shape).expect("checked when recorded");
        let (forms, precision) = ((op.ta, op.tb), self.precision);
        let scratch = &mut self.scratch;
        let launch = matmul::product(
            forms, sizes, a.data, b.data, c, epilogue, precision, scratch,
        );
        self.launch(launch);
    }
}

/// The calls of a plan's steps, whose operands lie where `at` says; key and step at `control`. Says also
/// what of `scratch` they need.
pub(super) fn lower(
    plan: &Plan,
    steps: &[Placed],
    precision: Precision,
    control: Slice<u64>,
    scratch: Scratch,
    at: impl Fn(Operand) -> Slice,
) -> Result<(Vec<Call>, Scratch)> {
    let mut cx = DeviceCx {
        precision,
        control,
        scratch,
        calls: Vec::new(),
    };
    for placed in steps {
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
        let (ins, outs) = (views(&placed.ins)?, views(&placed.outs)?);
        // A kernel without threads cannot be launched.
        if outs.iter().any(|o| o.shape.elements() > 0) {
            let is_state = |o: &Operand| matches!(o.loc, Loc::State(_));
            let context = Context {
                control,
                is_update: placed.outs.iter().all(is_state),
                tail: placed.tail.as_ref(),
            };
            let kernel = &plan.steps[placed.step].kernel;
            lower_step(kernel, &ins, &outs, &context, &mut cx)?;
        }
    }
    Ok((cx.calls, cx.scratch))
}

/// What a step has beside its operands.
struct Context<'a> {
    control: Slice<u64>,
    /// Whether it writes tensors of the store only.
    is_update: bool,
    tail: Option<&'a Tail>,
}

fn lower_step(
    kernel: &Kernel,
    ins: &[DeviceView],
    outs: &[DeviceView],
    context: &Context,
    cx: &mut DeviceCx,
) -> Result<()> {
    let control = context.control;
    match kernel {
        Kernel::Op(Op::MatMul(op)) => {
            let epilogue = factor(context.tail, ins).unwrap_or(Epilogue::Store);
            cx.product(*op, ins, outs[0].data, epilogue);
        }
        Kernel::Op(Op::Put(put)) if matches!(context.tail, Some(Tail::Sum(_))) => {
            let [dy, index, y] = [ins[0], ins[1], outs[0]].map(|v| v.data);
            cx.launch(maxout::put_sum(dy, index, y, put.pieces));
        }
        Kernel::Op(op) => op.cuda(ins, outs[0], cx)?,
        Kernel::Elementwise(program) => {
            if let Some(launch) = random_numbers(program, ins, outs, context) {
                cx.launch(launch);
                return Ok(());
            }
            let mut program = elementwise(program, ins, outs)?;
            if let Some(Tail::Sum(place)) = context.tail {
                let (total, register) = program.outputs.remove(*place);
                cx.launch(elementwise::sum(&program, register, total, control));
                return Ok(());
            }
            let launch = elementwise::run(&program, control);
            match context.is_update {
                true => cx.calls.push(Call::Update(program, launch)),
                false => cx.launch(launch),
            }
        }
        Kernel::Maxout { pieces } => {
            let (x, y, index) = (ins[0].data, outs[0].data, outs[1].data);
            cx.launch(match context.tail {
                Some(Tail::Dropout(draw)) => {
                    let mask = outs.get(2).map(|m| m.data);
                    maxout::dropout(x, Dropped { y, index, mask }, *draw, control, *pieces)
                }
                _ => maxout::maxout(x, Some(y), Some(index), *pieces),
            });
        }
        Kernel::Copy => cx.launch(elementwise::run(&copy(ins[0], outs[0]), control)),
        Kernel::Gemm(op, finish) => {
            let (c, epilogue) = epilogue(Some(*finish), &ins[2..], outs);
            cx.product(*op, ins, c, epilogue);
        }
        Kernel::MaxoutGrad { op, pieces, finish } => {
            let (c, epilogue) = epilogue(*finish, &ins[3..], outs);
            let epilogue = factor(context.tail, ins).unwrap_or(epilogue);
            let (other, dy, index) = (ins[0], ins[1], ins[2]);
            let &[batch, units] = dy.shape.dims() else {
                unreachable!("a product reads matrices")
            };
            let put = Put {
                dy: dy.data,
                index: index.data,
                batch,
                units,
                pieces: *pieces,
            };
            let inputs = other.shape.dims()[usize::from(op.ta)];
            let (precision, scratch) = (cx.precision, &mut cx.scratch);
            let launch = matmul::maxout_gradient(
                op.ta, put, other.data, inputs, c, epilogue, precision, scratch,
            );
            cx.launch(launch);
        }
    }
    Ok(())
}

/// What a product is multiplied with on its way out: its last input.
fn factor(tail: Option<&Tail>, ins: &[DeviceView]) -> Option<Epilogue> {
    let other = ins.last()?.data;
    match *tail? {
        Tail::Times => Some(Epilogue::Times { by: other }),
        Tail::Step { below } => Some(Epilogue::Step { at: other, below }),
        Tail::Sum(_) | Tail::Dropout(_) => None,
    }
}

/// A program that only draws random numbers, or multiplies with a mask that nothing else reads.
fn random_numbers(
    program: &Program,
    ins: &[DeviceView],
    outs: &[DeviceView],
    context: &Context,
) -> Option<Launch> {
    let control = context.control;
    match (&program.insts[..], outs) {
        _ if context.tail.is_some() => None,
        ([draw], [out]) if program.draws() => {
            Some(random::fill(out.data, draw.op.instruction()?, control))
        }
        ([_, _], [out]) if program.outputs == [1] => {
            let draw = join::mask(program)?;
            Some(random::dropout(ins[0].data, out.data, draw, control))
        }
        _ => None,
    }
}

/// Where a product goes and how, from the operands beside its factors.
fn epilogue(
    finish: Option<Finish>,
    extra: &[DeviceView],
    outs: &[DeviceView],
) -> (Slice, Epilogue) {
    let epilogue = match finish {
        None => Epilogue::Store,
        Some(Finish::Accumulate) => Epilogue::Accumulate,
        Some(Finish::Bias { relu }) => Epilogue::Bias {
            bias: extra[0].data,
            relu,
        },
        Some(Finish::Momentum) => Epilogue::Momentum {
            param: outs[1].data,
            lr: extra[0].data,
            momentum: extra[1].data,
            grad: extra.get(2).map(|g| g.data),
        },
    };
    (outs[0].data, epilogue)
}

fn elementwise(
    program: &Program,
    ins: &[DeviceView],
    outs: &[DeviceView],
) -> Result<elementwise::Program> {
    let first = ins.len();
    let register = |arg: Option<&Arg>| match arg {
        Some(Arg::In(i)) => usize::from(*i),
        Some(Arg::Inst(i)) => first + usize::from(*i),
        None => 0,
    };
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

fn copy(from: DeviceView, to: DeviceView) -> elementwise::Program {
    elementwise::Program {
        elements: from.shape.elements(),
        inputs: vec![(from.data, elementwise::Access::Full)],
        instructions: vec![Instruction::new(Opcode::Copy, [0.0; 2])],
        outputs: vec![(to.data, 1)],
    }
}
