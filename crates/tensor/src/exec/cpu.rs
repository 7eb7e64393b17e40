//! f32 on the CPU.

use std::borrow::Cow;
use std::time::Instant;

use ganforge_kernels::cpu::gemm::{self, Epilogue, Scratch};
use ganforge_kernels::cpu::maxout;
use ganforge_kernels::cpu::maxout_grad::{self, Put};

use crate::error::Result;
use crate::exec::{Executor, Feed, Span, check_feeds, check_index};
use crate::graph::NodeId;
use crate::ops::{Cx, Env, MatMul};
use crate::plan::{Finish, Kernel, Loc, Operand, Plan, Step};
use crate::shape::Shape;
use crate::store::Store;
use crate::view::View;

/// The most operands of a step.
const MAX_OPERANDS: usize = 12;
/// Where each input, tensor or scalar of a plan was found.
type Places = Vec<usize>;

/// Runs plans in f32 on the current rayon pool.
///
/// The same bits for any number of threads. After the first run of a plan nothing is allocated;
/// run inside of `ThreadPool::install` so that rayon, too, has no cause to.
#[derive(Default)]
pub struct Cpu {
    buffers: Vec<Vec<f32>>,
    scratch: Scratch,
    grad_scratch: maxout_grad::Scratch,
    states: Places,
    feeds: Places,
    scalars: Places,
}

impl Cpu {
    /// An executor with the buffers of `plan`.
    pub fn new(plan: &Plan) -> Cpu {
        let mut cpu = Cpu::default();
        cpu.fit(plan);
        cpu
    }

    fn at<'a>(&'a self, plan: &Plan, store: &'a Store, at: Operand) -> Option<&'a [f32]> {
        let n = at.shape.elements();
        match at.loc {
            Loc::Temp(b) => self.buffers.get(b as usize)?.get(..n),
            Loc::State(s) => Some(&store.get(&plan.states[s as usize].name)?.data),
            Loc::Feed(_) | Loc::Scalar(_) => None,
        }
    }

    fn fit(&mut self, plan: &Plan) {
        if self.buffers.len() < plan.buffers.len() {
            self.buffers.resize(plan.buffers.len(), Vec::new());
        }
        for (buffer, &n) in self.buffers.iter_mut().zip(&plan.buffers) {
            if buffer.len() < n {
                buffer.resize(n, 0.0);
            }
        }
    }

    fn bind(&mut self, plan: &Plan, store: &Store, feeds: &[Feed]) -> Result<()> {
        check_feeds(plan, feeds)?;
        self.states.clear();
        self.feeds.clear();
        self.scalars.clear();
        for state in &plan.states {
            self.states.push(store.position(&state.name, state.shape)?);
        }
        for input in &plan.inputs {
            let found = feeds.iter().position(|f| f.name == input.name);
            self.feeds
                .push(found.expect("every input is fed: checked above"));
        }
        for scalar in &plan.scalars {
            self.scalars.push(store.control.position(&scalar.name)?);
        }
        Ok(())
    }

    fn take(&mut self, store: &mut Store, loc: Loc) -> Vec<f32> {
        std::mem::take(self.slot(store, loc))
    }

    fn slot<'a>(&'a mut self, store: &'a mut Store, loc: Loc) -> &'a mut Vec<f32> {
        match loc {
            Loc::Temp(b) => &mut self.buffers[b as usize],
            Loc::State(s) => store.data_mut(self.states[s as usize]),
            Loc::Feed(_) | Loc::Scalar(_) => unreachable!("a plan writes no input"),
        }
    }

    fn step(&mut self, plan: &Plan, step: &Step, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        let mut owned: [Vec<f32>; 4] = Default::default();
        for (taken, out) in owned.iter_mut().zip(&step.outs) {
            *taken = self.take(store, out.loc);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut grad_scratch = std::mem::take(&mut self.grad_scratch);
        let result = {
            let mut outs: [&mut [f32]; 4] = Default::default();
            for ((slot, taken), out) in outs.iter_mut().zip(&mut owned).zip(&step.outs) {
                *slot = &mut taken[..out.shape.elements()];
            }
            let mut ins = [View {
                data: &[][..],
                shape: Shape::SCALAR,
            }; MAX_OPERANDS];
            for (view, operand) in ins.iter_mut().zip(&step.ins) {
                *view = self.view(operand, store, feeds);
            }
            let call = Call {
                ins: &ins[..step.ins.len()],
                outs: &mut outs[..step.outs.len()],
                env: Env {
                    key: store.control.key,
                    counter: store.control.step,
                },
                scratch: &mut scratch,
                grad_scratch: &mut grad_scratch,
            };
            call.run(plan, step)
        };
        self.scratch = scratch;
        self.grad_scratch = grad_scratch;
        for (taken, out) in owned.iter_mut().zip(&step.outs) {
            *self.slot(store, out.loc) = std::mem::take(taken);
        }
        if cfg!(debug_assertions) {
            for &b in &step.frees {
                self.buffers[b as usize].fill(f32::NAN);
            }
        }
        result
    }

    /// What an operand holds; empty where it lies in an output, which has been taken out.
    fn view<'a>(
        &'a self,
        operand: &Operand,
        store: &'a Store,
        feeds: &[Feed<'a>],
    ) -> View<'a, f32> {
        let n = operand.shape.elements();
        let data: &[f32] = match operand.loc {
            Loc::Temp(b) => &self.buffers[b as usize],
            Loc::State(s) => &store.entries[self.states[s as usize]].data,
            Loc::Feed(f) => feeds[self.feeds[f as usize]].data,
            Loc::Scalar(s) => std::slice::from_ref(store.control.at(self.scalars[s as usize])),
        };
        View {
            data: &data[..n.min(data.len())],
            shape: operand.shape,
        }
    }
}

impl Executor for Cpu {
    fn run(&mut self, plan: &Plan, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        self.run_timed(plan, store, feeds, &mut [])
    }

    fn run_timed(
        &mut self,
        plan: &Plan,
        store: &mut Store,
        feeds: &[Feed],
        spans: &mut [Span],
    ) -> Result<()> {
        let begin = Instant::now();
        self.bind(plan, store, feeds)?;
        self.fit(plan);
        let mut spans = spans.iter_mut();
        for step in &plan.steps {
            let span = spans.next().map(|span| (span, begin.elapsed()));
            self.step(plan, step, store, feeds)?;
            if let Some((span, start)) = span {
                let length = begin.elapsed().saturating_sub(start);
                *span = Span { start, length };
            }
        }
        Ok(())
    }

    fn fetch<'a>(&'a self, plan: &Plan, store: &'a Store, name: &str) -> Option<&'a [f32]> {
        let fetch = plan.fetches.iter().find(|f| f.name == name)?;
        self.at(plan, store, fetch.at)
    }

    fn value<'a>(
        &'a self,
        plan: &Plan,
        store: &'a Store,
        node: NodeId,
    ) -> Result<Option<Cow<'a, [f32]>>> {
        let loc = plan.locations.get(node.index()).copied().flatten();
        let value = loc.and_then(|loc| {
            let shape = plan.nodes()[node.index()].shape;
            self.at(plan, store, Operand { loc, shape })
        });
        Ok(value.map(Cow::Borrowed))
    }
}

/// One kernel call with its operands at hand.
struct Call<'a, 'b> {
    ins: &'b [View<'a, f32>],
    outs: &'b mut [&'a mut [f32]],
    env: Env,
    scratch: &'b mut Scratch,
    grad_scratch: &'b mut maxout_grad::Scratch,
}

impl Call<'_, '_> {
    fn run(self, plan: &Plan, step: &Step) -> Result<()> {
        match &step.kernel {
            Kernel::Op(op) => {
                check_index(&plan.nodes()[step.nodes[0].index()], self.ins)?;
                let mut cx = Cx {
                    env: self.env,
                    start: 0,
                    shape: step.outs[0].shape,
                    scratch: self.scratch,
                };
                op.cpu(self.ins, self.outs[0], &mut cx);
            }
            Kernel::Elementwise(program) => program.run(self.ins, self.outs, self.env),
            Kernel::Maxout { pieces } => {
                let [y, index] = self.outs else {
                    unreachable!("maxout writes two values")
                };
                maxout::maxout(*pieces, self.ins[0].data, y, index);
            }
            Kernel::Copy => self.outs[0].copy_from_slice(self.ins[0].data),
            Kernel::Gemm(op, finish) => self.gemm(*op, *finish),
            Kernel::MaxoutGrad { op, pieces, finish } => self.maxout_grad(*op, *pieces, *finish),
        }
        Ok(())
    }

    fn gemm(self, op: MatMul, finish: Finish) {
        let [a, b, extra @ ..] = self.ins else {
            unreachable!("a product has two factors")
        };
        let sizes = op.sizes(a.shape, b.shape).expect("checked when recorded");
        let (c, epilogue) = epilogue(Some(finish), extra, self.outs);
        let (ta, tb, scratch) = (op.ta, op.tb, self.scratch);
        gemm::gemm(ta, tb, sizes, a.data, b.data, c, epilogue, scratch);
    }

    fn maxout_grad(self, op: MatMul, pieces: usize, finish: Option<Finish>) {
        let [other, dy, index, extra @ ..] = self.ins else {
            unreachable!("a maxout gradient has a factor, dy and an index")
        };
        let &[batch, units] = dy.shape.dims() else {
            unreachable!("a product reads matrices")
        };
        let put = Put {
            dy: dy.data,
            index: index.data,
            batch,
            units,
            pieces,
        };
        let inputs = other.shape.dims()[usize::from(op.ta)];
        let (c, epilogue) = epilogue(finish, extra, self.outs);
        if op.ta {
            maxout_grad::weight_gradient(put, other.data, inputs, c, epilogue, self.grad_scratch);
        } else {
            maxout_grad::input_gradient(put, other.data, inputs, c, self.grad_scratch);
        }
    }
}

/// Where a product goes and how, from the operands beside its factors.
fn epilogue<'a>(
    finish: Option<Finish>,
    extra: &[View<'a, f32>],
    outs: &'a mut [&mut [f32]],
) -> (&'a mut [f32], Epilogue<'a>) {
    match (finish, outs) {
        (None, [c]) => (c, Epilogue::Store),
        (Some(Finish::Accumulate), [c]) => (c, Epilogue::Accumulate),
        (Some(Finish::Bias { relu }), [c]) => {
            let bias = extra[0].data;
            (c, Epilogue::Bias { bias, relu })
        }
        (Some(Finish::Momentum), [v, param]) => {
            let (lr, momentum) = (extra[0].data[0], extra[1].data[0]);
            let epilogue = match extra.get(2) {
                None => Epilogue::Momentum {
                    param,
                    lr,
                    momentum,
                },
                Some(grad) => Epilogue::MomentumAccumulate {
                    grad: grad.data,
                    param,
                    lr,
                    momentum,
                },
            };
            (v, epilogue)
        }
        _ => unreachable!("the plan gives each finish its outputs"),
    }
}
