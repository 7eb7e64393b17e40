//! Contractions with an epilogue on their results.

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cpu::gemm;
use ganforge_kernels::cuda::elementwise::{self, Access, Instruction, Opcode};
use ganforge_kernels::cuda::{Slice, matmul};

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::ops::{Conv2d, Conv2dDw, Conv2dDx, Cx, MatMul, Op};
use crate::plan::Operand;
use crate::plan::fuse_maxout_grad::MaxoutGrad;
use crate::plan::kernel::Run;
use crate::view::View;

/// A contraction and its epilogue. Inputs: those of the contraction, then those of each stage.
#[derive(Clone, PartialEq, Debug)]
pub struct Product {
    /// What is multiplied and summed.
    pub contraction: Contraction,
    /// What happens to the sums.
    pub epilogue: Epilogue,
}

/// What is multiplied and summed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Contraction {
    /// A matrix product.
    MatMul(MatMul),
    /// A convolution.
    Conv2d(Conv2d),
    /// Its adjoint in the images.
    Conv2dDx(Conv2dDx),
    /// Its adjoint in the filters.
    Conv2dDw(Conv2dDw),
    /// A matrix product with the gradient of a maxout layer's pieces.
    MaxoutGrad(MaxoutGrad),
}

/// What a plan and its executors ask of a contraction. Its kernels take every [`Epilogue`].
pub trait Contract {
    /// Its name.
    fn name(&self) -> &'static str;

    /// How many inputs.
    fn arity(&self) -> usize {
        2
    }

    /// The floating-point operations that the CPU's kernels carry out, where the op has `flops` as it is written: fewer where
    /// they leave out zeros, or after Winograd.
    fn executed_flops(&self, _ins: &[Operand], flops: u64, _: Algorithm) -> u64 {
        flops
    }

    /// See [`Run::workspace`].
    fn workspace(&self, ins: &[Operand]) -> usize;

    /// See [`Run::cpu`].
    fn cpu(&self, ins: &[View<f32>], c: &mut [f32], epilogue: gemm::Epilogue, cx: &mut Cx);

    /// See [`Run::cuda`].
    fn cuda(
        &self,
        ins: &[DeviceView],
        c: Slice,
        epilogue: matmul::Epilogue,
        cx: &mut DeviceCx,
    ) -> Result<()>;
}

impl Contraction {
    /// What an op by itself contracts.
    pub fn of(op: &Op) -> Option<Contraction> {
        match *op {
            Op::MatMul(op) => Some(Contraction::MatMul(op)),
            Op::Conv2d(op) => Some(Contraction::Conv2d(op)),
            Op::Conv2dDx(op) => Some(Contraction::Conv2dDx(op)),
            Op::Conv2dDw(op) => Some(Contraction::Conv2dDw(op)),
            _ => None,
        }
    }

    /// What a plan and its executors ask of it.
    pub fn get(&self) -> &dyn Contract {
        match self {
            Contraction::MatMul(op) => op,
            Contraction::Conv2d(op) => op,
            Contraction::Conv2dDx(op) => op,
            Contraction::Conv2dDw(op) => op,
            Contraction::MaxoutGrad(op) => op,
        }
    }
}

/// What happens to an element on its way out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stage {
    /// Plus an earlier product, the input, which lies where the result is written unless an update follows.
    Accumulate,
    /// Plus a number per column, the input.
    Bias,
    /// ReLU.
    Relu,
    /// Leaky ReLU.
    LeakyRelu {
        /// The slope below 0, not 0.
        slope: f32,
    },
    /// Times an element of the input: a gradient through dropout.
    Times,
    /// As it is where the input is above 0, else times `below`: a gradient through relu or leaky relu.
    Step {
        /// The slope on the other side.
        below: f32,
    },
    /// v = momentum · v - lr · gradient, p = p + v, both in place; inputs: lr, momentum; outputs: v, p.
    Momentum,
    /// [`gemm::Adam`], in place; inputs: lr and the corrections of mean and mean square; outputs: mean, mean square,
    /// parameter.
    Adam(AdamRule),
}

/// The constants of Adam.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamRule {
    /// β₁ and β₂.
    pub kept: [f32; 2],
    /// 1 - β₁ and 1 - β₂.
    pub taken: [f32; 2],
    /// Added to the root.
    pub eps: f32,
}

impl Stage {
    /// Whether it updates tensors of the store along the gradient that it is given.
    pub fn is_update(&self) -> bool {
        matches!(self, Stage::Momentum | Stage::Adam(_))
    }
}

/// A short program for each element of a product.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Epilogue(Vec<Stage>);

impl Epilogue {
    /// What is done, in order.
    pub fn stages(&self) -> &[Stage] {
        &self.0
    }

    /// With another stage behind; `None` where the kernels do not do the two at once.
    pub fn then(&self, stage: Stage) -> Option<Epilogue> {
        use Stage::{Accumulate, Adam, Bias, LeakyRelu, Momentum, Relu, Step, Times};
        let fits = matches!(
            (&self.0[..], stage),
            ([], Accumulate | Bias | Times | Step { .. })
                | ([Bias], Relu | LeakyRelu { .. })
                | ([] | [Accumulate], Momentum | Adam(_))
        );
        let stages = self.0.iter().copied().chain([stage]).collect();
        fits.then_some(Epilogue(stages))
    }

    /// As the CPU's kernels take it, and where they write, from the inputs beside the contraction's.
    fn cpu<'a>(
        &self,
        ins: &[View<'a, f32>],
        outs: &'a mut [&mut [f32]],
    ) -> (&'a mut [f32], gemm::Epilogue<'a>) {
        use gemm::Epilogue as To;
        match (&self.0[..], ins, outs) {
            ([], _, [c]) => (c, To::Store),
            ([Stage::Accumulate], _, [c]) => (c, To::Accumulate),
            ([Stage::Bias, rest @ ..], [bias], [c]) => {
                let below = rest.first().map(|stage| match *stage {
                    Stage::LeakyRelu { slope } => slope,
                    _ => 0.0,
                });
                let bias = bias.data;
                (c, To::Bias { bias, below })
            }
            ([Stage::Times], [by], [c]) => (c, To::Times { by: by.data }),
            (&[Stage::Step { below }], [at], [c]) => (c, To::Step { at: at.data, below }),
            (_, [earlier @ .., lr, momentum], [v, param]) => {
                let update = To::Momentum {
                    grad: earlier.first().map(|g| g.data),
                    param,
                    lr: lr.data[0],
                    momentum: momentum.data[0],
                };
                (v, update)
            }
            (
                [.., Stage::Adam(rule)],
                [earlier @ .., lr, mean_correction, square_correction],
                [mean, square, param],
            ) => {
                let update = To::Adam {
                    grad: earlier.first().map(|g| g.data),
                    square,
                    param,
                    adam: gemm::Adam {
                        kept: rule.kept,
                        taken: rule.taken,
                        eps: rule.eps,
                        corrections: [mean_correction.data[0], square_correction.data[0]],
                        lr: lr.data[0],
                    },
                };
                (mean, update)
            }
            _ => unreachable!("each stage has its operands"),
        }
    }

    /// As the kernels of a device take it, and where they write; a leaky relu and Adam follow in a launch of their own
    /// ([`Epilogue::behind`]).
    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView]) -> (Slice, matmul::Epilogue) {
        use matmul::Epilogue as To;
        let epilogue = match (&self.0[..], ins) {
            ([Stage::Accumulate, Stage::Adam(_)], [earlier, ..]) => {
                return (earlier.data, To::Accumulate);
            }
            ([Stage::Adam(_)], _) => {
                let gradient = outs.last().expect("the value between two launches");
                return (gradient.data, To::Store);
            }
            ([], _) => To::Store,
            ([Stage::Accumulate], _) => To::Accumulate,
            ([Stage::Bias, rest @ ..], [bias]) => To::Bias {
                bias: bias.data,
                relu: matches!(rest, [Stage::Relu]),
            },
            ([Stage::Times], [by]) => To::Times { by: by.data },
            (&[Stage::Step { below }], [at]) => To::Step { at: at.data, below },
            (_, [earlier @ .., lr, momentum]) => To::Momentum {
                param: outs[1].data,
                lr: lr.data,
                momentum: momentum.data,
                grad: earlier.first().map(|g| g.data),
            },
            _ => unreachable!("each stage has its operands"),
        };
        (outs[0].data, epilogue)
    }

    /// The launch behind the product, which left `c`.
    fn behind(
        &self,
        c: Slice,
        ins: &[DeviceView],
        outs: &[DeviceView],
    ) -> Option<elementwise::Program> {
        let elements = c.len();
        let op = |code, x: f32| Instruction::new(code, [x, 0.0]);
        match self.0.last()? {
            Stage::LeakyRelu { slope } => Some(elementwise::Program {
                elements,
                inputs: vec![(c, Access::Full)],
                instructions: vec![op(Opcode::LeakyRelu, *slope)],
                outputs: vec![(c, 1)],
            }),
            Stage::Adam(rule) => {
                let [lr, mean_correction, square_correction] = ins.last_chunk()?.map(|v| v.data);
                let [mean, square, param] = outs.first_chunk()?.map(|v| v.data);
                let (full, single) = (|x| (x, Access::Full), |x| (x, Access::Scalar));
                // As the program that the plan makes of the update of a bias, so that both run together.
                let inputs = vec![
                    full(mean),
                    full(c),
                    full(square),
                    single(square_correction),
                    single(mean_correction),
                    single(lr),
                    full(param),
                ];
                let instructions = vec![
                    op(Opcode::MulScalar, rule.kept[0]).on(0, 0),
                    op(Opcode::MulScalar, rule.taken[0]).on(1, 0),
                    op(Opcode::Add, 0.0).on(7, 8),
                    op(Opcode::MulScalar, rule.kept[1]).on(2, 0),
                    op(Opcode::Square, 0.0).on(1, 0),
                    op(Opcode::MulScalar, rule.taken[1]).on(11, 0),
                    op(Opcode::Add, 0.0).on(10, 12),
                    op(Opcode::Mul, 0.0).on(13, 3),
                    op(Opcode::Sqrt, 0.0).on(14, 0),
                    op(Opcode::AddScalar, rule.eps).on(15, 0),
                    op(Opcode::Mul, 0.0).on(9, 4),
                    op(Opcode::Div, 0.0).on(17, 16),
                    op(Opcode::Mul, 0.0).on(18, 5),
                    op(Opcode::Sub, 0.0).on(6, 19),
                ];
                Some(elementwise::Program {
                    elements,
                    inputs,
                    instructions,
                    outputs: vec![(mean, 9), (square, 13), (param, 20)],
                })
            }
            _ => None,
        }
    }
}

impl Run for Product {
    fn kind(&self) -> String {
        let mut kind = self.contraction.get().name().to_string();
        for stage in self.epilogue.stages() {
            kind += match stage {
                Stage::Accumulate => "+accumulate",
                Stage::Bias => "+bias",
                Stage::Relu => "+relu",
                Stage::LeakyRelu { .. } => "+leaky_relu",
                Stage::Times => "+mul",
                Stage::Step { .. } => "+step_mul",
                Stage::Momentum => "+momentum",
                Stage::Adam(_) => "+adam",
            };
        }
        kind
    }

    fn workspace(&self, ins: &[Operand], _: &[Operand]) -> usize {
        self.contraction.get().workspace(ins)
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx) {
        let contraction = self.contraction.get();
        let (factors, rest) = ins.split_at(contraction.arity());
        let (c, epilogue) = self.epilogue.cpu(rest, outs);
        contraction.cpu(factors, c, epilogue, cx);
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        let contraction = self.contraction.get();
        let (factors, rest) = ins.split_at(contraction.arity());
        let (c, epilogue) = self.epilogue.cuda(rest, outs);
        contraction.cuda(factors, c, epilogue, cx)?;
        if let Some(program) = self.epilogue.behind(c, rest, outs) {
            cx.program(&program);
        }
        Ok(())
    }
}
