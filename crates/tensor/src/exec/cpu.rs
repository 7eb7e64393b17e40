//! The f32 executor on the CPU.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ganforge_comm::{Alone, Communicator};
use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cpu::program::{MAX_OUTPUTS, MAX_SUMS};
use ganforge_kernels::cpu::{Floats, Workspace};

use crate::error::{Error, Result};
use crate::exec::{Executor, Feed, Span, check_feeds, check_index, check_ranks};
use crate::graph::NodeId;
use crate::ops::{Cx, Env, Op};
use crate::plan::{Call, Kernel, Loc, Operand, Plan};
use crate::shape::Shape;
use crate::store::Store;
use crate::view::View;

/// The most operands of a call.
const MAX_OPERANDS: usize = 12;
/// The most results of a call.
const MAX_RESULTS: usize = MAX_OUTPUTS + MAX_SUMS;
/// The elements from which on what one rank adds of a tensor is worth an exchange of its own, which saves copies. It is the
/// rank's part that counts, since that is what each message of the exchange carries.
const LARGE_PART: usize = 1 << 13;
/// Where each input, tensor or scalar of a plan was found.
type Places = Vec<usize>;

/// Runs plans in f32 on the current rayon pool.
///
/// The same bits for any number of threads. After the first run of a plan nothing is allocated;
/// run inside of `ThreadPool::install` so that rayon, too, has no cause to.
pub struct Cpu {
    algorithm: Algorithm,
    /// The other ranks, if there are some.
    comm: Arc<dyn Communicator>,
    buffers: Vec<Floats>,
    workspace: Workspace,
    /// [`LARGE_PART`].
    large_part: usize,
    /// What is added over all ranks at once, and room for it.
    packed: Vec<f32>,
    scratch: Vec<f32>,
    states: Places,
    feeds: Places,
    scalars: Places,
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu {
            algorithm: Algorithm::default(),
            comm: Arc::new(Alone),
            buffers: Vec::new(),
            workspace: Workspace::default(),
            large_part: LARGE_PART,
            packed: Vec::new(),
            scratch: Vec::new(),
            states: Places::new(),
            feeds: Places::new(),
            scalars: Places::new(),
        }
    }
}

impl Cpu {
    /// An executor with the buffers of `plan`.
    pub fn new(plan: &Plan) -> Cpu {
        let mut cpu = Cpu::default();
        cpu.fit(plan);
        cpu
    }

    /// An executor of convolutions by this algorithm.
    pub fn by(algorithm: Algorithm) -> Cpu {
        Cpu {
            algorithm,
            ..Cpu::default()
        }
    }

    /// The same as one of several ranks: it runs plans of its shards, and all ranks run the same ones in the same order.
    pub fn among(self, comm: Arc<dyn Communicator>) -> Cpu {
        Cpu { comm, ..self }
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
            self.buffers.resize(plan.buffers.len(), Floats::default());
        }
        for (buffer, &n) in self.buffers.iter_mut().zip(&plan.buffers) {
            if buffer.len() < n {
                *buffer = Floats::zeros(n);
            }
        }
        self.workspace.reserve(plan.workspace);
    }

    fn bind(&mut self, plan: &Plan, store: &Store, feeds: &[Feed]) -> Result<()> {
        check_ranks(plan, self.comm.size())?;
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

    fn slot<'a>(&'a mut self, store: &'a mut Store, loc: Loc) -> &'a mut Floats {
        match loc {
            Loc::Temp(b) => &mut self.buffers[b as usize],
            Loc::State(s) => store.data_mut(self.states[s as usize]),
            Loc::Feed(_) | Loc::Scalar(_) => unreachable!("a plan writes no input"),
        }
    }

    fn call(&mut self, plan: &Plan, call: &Call, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        let mut owned: [Floats; MAX_RESULTS] = Default::default();
        for (taken, out) in owned.iter_mut().zip(&call.outs) {
            *taken = std::mem::take(self.slot(store, out.loc));
        }
        let mut workspace = std::mem::take(&mut self.workspace);
        let mut outs: [&mut [f32]; MAX_RESULTS] = Default::default();
        for ((slot, taken), out) in outs.iter_mut().zip(&mut owned).zip(&call.outs) {
            *slot = &mut taken[..out.shape.elements()];
        }
        let mut ins = [View {
            data: &[][..],
            shape: Shape::SCALAR,
        }; MAX_OPERANDS];
        for (view, operand) in ins.iter_mut().zip(&call.ins) {
            *view = self.view(operand, store, feeds);
        }
        let ins = &ins[..call.ins.len()];
        let checked = match call.kernel {
            Kernel::Op(_) => check_index(&plan.nodes()[call.nodes[0].index()], ins),
            _ => Ok(()),
        };
        let mut said = Ok(());
        if let Kernel::Op(Op::AllGather(_)) = call.kernel {
            said = self.comm.all_gather(ins[0].data, outs[0]);
        } else if checked.is_ok() {
            let mut cx = Cx {
                env: Env {
                    key: store.control.key,
                    counter: store.control.step,
                },
                start: 0,
                shape: call.outs[0].shape,
                algorithm: self.algorithm,
                workspace: &mut workspace,
            };
            let outs = &mut outs[..call.outs.len()];
            call.kernel.get().cpu(ins, outs, &mut cx);
        }
        self.workspace = workspace;
        for (taken, out) in owned.iter_mut().zip(&call.outs) {
            *self.slot(store, out.loc) = std::mem::take(taken);
        }
        if cfg!(debug_assertions) {
            for &b in &call.frees {
                self.buffers[b as usize].fill(f32::NAN);
            }
        }
        checked.and(said.map_err(Error::from))
    }

    /// Sums over all ranks that do not depend on each other: small ones in one exchange.
    fn all_reduce(
        &mut self,
        plan: &Plan,
        calls: &[Call],
        store: &mut Store,
        feeds: &[Feed],
    ) -> Result<()> {
        if self.comm.size() == 1 {
            let moved = |c: &&Call| c.ins[0].loc != c.outs[0].loc;
            return (calls.iter().filter(moved)).try_for_each(|c| self.call(plan, c, store, feeds));
        }
        let (large_part, ranks) = (self.large_part, self.comm.size());
        let is_large = |call: &Call| call.outs[0].shape.elements() / ranks >= large_part;
        let small = || calls.iter().filter(|call| !is_large(call));
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        packed.reserve_exact(small().map(|call| call.outs[0].shape.elements()).sum());
        for call in calls {
            match is_large(call) {
                true => self.all_reduce_large(call, store, feeds)?,
                false => packed.extend_from_slice(self.view(&call.ins[0], store, feeds).data),
            }
            // Another one of these calls may write there.
            if cfg!(debug_assertions) {
                for &b in &call.frees {
                    self.buffers[b as usize].fill(f32::NAN);
                }
            }
        }
        ganforge_comm::all_reduce(&*self.comm, &mut packed, &mut self.scratch)?;
        let mut rest = &packed[..];
        for out in small().map(|call| &call.outs[0]) {
            let (sum, after) = rest.split_at(out.shape.elements());
            self.slot(store, out.loc)[..sum.len()].copy_from_slice(sum);
            rest = after;
        }
        self.packed = packed;
        Ok(())
    }

    /// A sum over all ranks where it lies.
    fn all_reduce_large(&mut self, call: &Call, store: &mut Store, feeds: &[Feed]) -> Result<()> {
        let (from, out) = (&call.ins[0], &call.outs[0]);
        let mut sum = std::mem::take(self.slot(store, out.loc));
        let own = &mut sum[..out.shape.elements()];
        if from.loc != out.loc {
            own.copy_from_slice(self.view(from, store, feeds).data);
        }
        let said = ganforge_comm::all_reduce(&*self.comm, own, &mut self.scratch);
        *self.slot(store, out.loc) = sum;
        Ok(said?)
    }

    /// Runs the next of `calls`, of sums over all ranks as many as follow one another; returns how many.
    fn next(
        &mut self,
        plan: &Plan,
        calls: &[Call],
        store: &mut Store,
        feeds: &[Feed],
    ) -> Result<usize> {
        let n = sums(calls);
        match n {
            0 => self.call(plan, &calls[0], store, feeds)?,
            _ => self.all_reduce(plan, &calls[..n], store, feeds)?,
        }
        Ok(n.max(1))
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
        let mut at = 0;
        while at < plan.calls.len() {
            let start = match spans.is_empty() {
                true => Duration::ZERO,
                false => begin.elapsed(),
            };
            let n = self.next(plan, &plan.calls[at..], store, feeds)?;
            if let Some(span) = spans.get_mut(at) {
                let end = begin.elapsed();
                let length = end.saturating_sub(start);
                *span = Span { start, length };
                // The first of the sums of one exchange has its time.
                let (start, length) = (end, Duration::ZERO);
                let others = spans[at + 1..].iter_mut().take(n - 1);
                others.for_each(|span| *span = Span { start, length });
            }
            at += n;
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

/// How many sums over all ranks follow one another at the beginning of `calls`, none of which reads the result of another.
fn sums(calls: &[Call]) -> usize {
    let is_sum = |call: &Call| matches!(call.kernel, Kernel::Op(Op::AllReduce(_)));
    let count = |n: usize| {
        let reads = |of: &Call| calls[..n].iter().any(|c| c.outs[0].loc == of.ins[0].loc);
        calls.get(n).is_some_and(|c| is_sum(c) && !reads(c))
    };
    (0..).find(|&n| !count(n)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
