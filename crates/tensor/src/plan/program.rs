//! Element-wise programs: several element-wise ops in one pass over memory.
//!
//! A program runs chunk by chunk: each op over a chunk of a few hundred elements that stays in
//! the first-level cache, its result in a register (an array of that length) or, for values that
//! leave the program, in the output itself. Nothing is generated: each op is its own kernel.

use ganforge_kernels::cpu::Workspace;
use ganforge_kernels::cpu::reduce::{Adder, PartialSums};
use ganforge_kernels::cuda::elementwise::{self, Instruction};
use ganforge_kernels::cuda::{Launch, random};

use crate::error::{Error, Result};
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::ops::{Cx, Env, Op};
use crate::plan::Operand;
use crate::plan::kernel::Run;
use crate::shape::Shape;
use crate::view::View;

/// The most inputs of a program.
pub(super) const MAX_INS: usize = 10;
/// The most outputs of a program.
pub(super) const MAX_OUTS: usize = 4;
/// The most ops of a program.
pub(super) const MAX_INSTS: usize = 14;
/// Elements per register.
const CHUNK: usize = 512;
/// Elements per parallel task, a multiple of the chunk.
const TASK: usize = 32 * CHUNK;

/// How a program reads an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Element i of the program is element i of the input.
    Full,
    /// The input lies in the buffer of this output: read before it is written.
    Aliased(u8),
    /// The input is one number.
    Scalar,
    /// Element i is element i mod period.
    Row {
        /// The number of elements of the input.
        period: usize,
    },
    /// Element i is element i / repeat.
    Column {
        /// How often each element of the input is repeated.
        repeat: usize,
    },
}

impl Access {
    /// How a tensor of shape `small` is read where `large`, to which it broadcasts, is meant;
    /// `None` where no simple pattern does it.
    pub(super) fn broadcast(small: Shape, large: Shape) -> Option<Access> {
        if small.elements() == large.elements() {
            return Some(Access::Full);
        }
        if small.elements() == 1 {
            return Some(Access::Scalar);
        }
        let ones = |dims: &[usize]| dims.iter().take_while(|&&d| d == 1).count();
        let core = &small.dims()[ones(small.dims())..];
        if large.dims().ends_with(core) {
            return Some(Access::Row {
                period: small.elements(),
            });
        }
        if small.rank() == large.rank() {
            let same = small.dims().iter().zip(large.dims());
            let prefix = same.take_while(|(s, l)| s == l).count();
            if small.dims()[prefix..].iter().all(|&d| d == 1) {
                let repeat = large.dims()[prefix..].iter().product();
                return Some(Access::Column { repeat });
            }
        }
        None
    }
}

/// What an op of a program reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// An input of the program.
    In(u8),
    /// The result of an earlier op.
    Inst(u8),
}

/// One op of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct Inst {
    /// What is computed.
    pub op: Op,
    /// From what.
    pub args: Vec<Arg>,
}

/// Where an op's result goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Register(usize),
    Out(usize),
}

/// A sum with which a program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    /// Which op's results are summed.
    pub inst: u8,
    /// Over what.
    pub sizes: PartialSums,
}

/// Element-wise ops over `elements` elements in one pass.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    /// The ops in order.
    pub insts: Vec<Inst>,
    /// How each input is read.
    pub inputs: Vec<Access>,
    /// Which ops' results leave the program.
    pub outputs: Vec<u8>,
    /// The sum that it writes behind them.
    pub sum: Option<Sum>,
    /// How many elements.
    pub elements: usize,
    places: Vec<Place>,
    /// For an aliased output: the register to copy from at the end of a chunk.
    copies: Vec<Option<usize>>,
    registers: usize,
}

impl Program {
    pub(super) fn new(
        insts: Vec<Inst>,
        inputs: Vec<Access>,
        outputs: Vec<u8>,
        elements: usize,
    ) -> Program {
        assert!(insts.len() <= MAX_INSTS && inputs.len() <= MAX_INS && outputs.len() <= MAX_OUTS);
        let mut program = Program {
            insts,
            inputs,
            outputs,
            sum: None,
            elements,
            places: Vec::new(),
            copies: Vec::new(),
            registers: 0,
        };
        program.lay_out();
        program
    }

    /// Sums the results of one op instead of writing them.
    pub(super) fn end_in(&mut self, sum: Sum) {
        self.sum = Some(sum);
        self.outputs.retain(|&o| o != sum.inst);
        self.lay_out();
    }

    /// Notes which inputs lie where output `o` will be written.
    pub(super) fn alias(&mut self, lies_there: impl Fn(usize) -> bool, o: usize) {
        for (i, access) in self.inputs.iter_mut().enumerate() {
            if *access == Access::Full && lies_there(i) {
                *access = Access::Aliased(o as u8);
            }
        }
        self.lay_out();
    }

    /// Decides where each result goes.
    fn lay_out(&mut self) {
        let is_aliased = |o: usize| self.inputs.contains(&Access::Aliased(o as u8));
        self.registers = self.inputs.len();
        self.copies = vec![None; self.outputs.len()];
        self.places.clear();
        for i in 0..self.insts.len() {
            let out = self.outputs.iter().position(|&o| usize::from(o) == i);
            self.places.push(match out {
                Some(o) if !is_aliased(o) => Place::Out(o),
                _ => {
                    if let Some(o) = out {
                        self.copies[o] = Some(self.registers);
                    }
                    self.registers += 1;
                    Place::Register(self.registers - 1)
                }
            });
        }
    }

    /// Whether it draws random numbers.
    pub fn draws(&self) -> bool {
        let is_random =
            |i: &Inst| matches!(i.op, Op::Uniform(_) | Op::Normal(_) | Op::Bernoulli(_));
        self.insts.iter().any(is_random)
    }

    /// What a task takes whole: stretches of elements, or the parts of the sum. Where one begins; how many there are.
    fn start(&self, unit: usize) -> usize {
        match self.sum {
            Some(sum) => sum.sizes.start(unit),
            None => (unit * TASK).min(self.elements),
        }
    }

    fn units(&self) -> usize {
        let stretches = self.elements.div_ceil(TASK);
        self.sum.map_or(stretches, |sum| sum.sizes.parts())
    }

    /// The floats of a unit's partial sums.
    fn width(&self) -> usize {
        self.sum.map_or(0, |sum| sum.sizes.width())
    }

    /// Halves the units `first..end` until they are few elements, on all threads of the pool.
    fn split(
        &self,
        ins: &[View<f32>],
        outs: Outs,
        slots: &mut [f32],
        [first, end]: [usize; 2],
        env: Env,
    ) {
        let (start, len) = (self.start(first), self.start(end) - self.start(first));
        if len <= TASK || end - first == 1 || rayon::current_num_threads() == 1 {
            return match self.registers {
                0..=8 => self.task::<8>(ins, outs, slots, first, len, env),
                _ => self.task::<{ MAX_INS + MAX_INSTS }>(ins, outs, slots, first, len, env),
            };
        }
        let middle = first + (end - first) / 2;
        let (mut left, mut right): (Outs, Outs) = Default::default();
        for ((out, l), r) in outs.into_iter().zip(&mut left).zip(&mut right) {
            if !out.is_empty() {
                (*l, *r) = out.split_at_mut(self.start(middle) - start);
            }
        }
        let (slots, slots_right) = slots.split_at_mut((middle - first) * self.width());
        rayon::join(
            || self.split(ins, left, slots, [first, middle], env),
            || self.split(ins, right, slots_right, [middle, end], env),
        );
    }

    /// The `len` elements from unit `first` on.
    fn task<const R: usize>(
        &self,
        ins: &[View<f32>],
        mut outs: Outs,
        slots: &mut [f32],
        first: usize,
        len: usize,
        env: Env,
    ) {
        let start = self.start(first);
        let mut registers = [[0.0f32; CHUNK]; R];
        let mut workspace = Workspace::default();
        let mut sum = self
            .sum
            .map(|sum| (sum.inst, Adder::new(sum.sizes, first, slots)));
        for (i, access) in self.inputs.iter().enumerate() {
            if *access == Access::Scalar {
                registers[i].fill(ins[i].data[0]);
            }
        }
        let mut at = 0;
        while at < len {
            let n = CHUNK.min(len - at);
            let mut chunk: Outs = Default::default();
            for (c, rest) in chunk.iter_mut().zip(&mut outs) {
                if !rest.is_empty() {
                    let (head, tail) = std::mem::take(rest).split_at_mut(n);
                    (*c, *rest) = (head, tail);
                }
            }
            self.load(ins, &chunk, start + at, n, &mut registers);
            for i in 0..self.insts.len() {
                let mut cx = Cx {
                    env,
                    start: start + at,
                    shape: Shape::new(&[self.elements]),
                    workspace: &mut workspace,
                };
                self.step(i, ins, &mut chunk, n, &mut registers, &mut cx);
            }
            if let Some((inst, adder)) = &mut sum {
                adder.add(self.result(*inst, &chunk, &registers, n));
            }
            for (out, copy) in chunk.iter_mut().zip(&self.copies) {
                if let Some(r) = *copy {
                    out.copy_from_slice(&registers[r][..n]);
                }
            }
            at += n;
        }
    }

    /// The last `n` results of an op.
    fn result<'a>(
        &self,
        inst: u8,
        outs: &'a Outs,
        registers: &'a [[f32; CHUNK]],
        n: usize,
    ) -> &'a [f32] {
        match self.places[usize::from(inst)] {
            Place::Register(r) => &registers[r][..n],
            Place::Out(o) => &outs[o][..n],
        }
    }

    /// Fills the registers of inputs that are not read in place.
    fn load(
        &self,
        ins: &[View<f32>],
        outs: &Outs,
        at: usize,
        n: usize,
        registers: &mut [[f32; CHUNK]],
    ) {
        for (i, access) in self.inputs.iter().enumerate() {
            let register = &mut registers[i][..n];
            match *access {
                Access::Full | Access::Scalar => {}
                Access::Aliased(o) => register.copy_from_slice(&outs[usize::from(o)][..n]),
                Access::Row { period } => {
                    let (mut filled, mut from) = (0, at % period);
                    while filled < n {
                        let run = (period - from).min(n - filled);
                        let source = &ins[i].data[from..from + run];
                        register[filled..filled + run].copy_from_slice(source);
                        (filled, from) = (filled + run, 0);
                    }
                }
                Access::Column { repeat } => {
                    let mut filled = 0;
                    while filled < n {
                        let index = (at + filled) / repeat;
                        let run = ((index + 1) * repeat - at - filled).min(n - filled);
                        register[filled..filled + run].fill(ins[i].data[index]);
                        filled += run;
                    }
                }
            }
        }
    }

    fn step(
        &self,
        i: usize,
        ins: &[View<f32>],
        outs: &mut Outs,
        n: usize,
        registers: &mut [[f32; CHUNK]],
        cx: &mut Cx,
    ) {
        let inst = &self.insts[i];
        // Registers are numbered in order, so that everything read lies below what is written.
        match self.places[i] {
            Place::Register(r) => {
                let (below, from) = registers.split_at_mut(r);
                self.call(inst, ins, outs, below, &mut from[0][..n], cx);
            }
            Place::Out(o) => {
                let out = std::mem::take(&mut outs[o]);
                self.call(inst, ins, outs, registers, out, cx);
                outs[o] = out;
            }
        }
    }

    fn call(
        &self,
        inst: &Inst,
        ins: &[View<f32>],
        outs: &Outs,
        registers: &[[f32; CHUNK]],
        out: &mut [f32],
        cx: &mut Cx,
    ) {
        let n = out.len();
        let shape = Shape::new(&[n]);
        let mut args = [View { data: &[], shape }; 4];
        for (slot, arg) in args.iter_mut().zip(&inst.args) {
            slot.data = match *arg {
                Arg::In(i) => {
                    let i = usize::from(i);
                    match self.inputs[i] {
                        Access::Full => &ins[i].data[cx.start..cx.start + n],
                        _ => &registers[i][..n],
                    }
                }
                Arg::Inst(i) => self.result(i, outs, registers, n),
            };
        }
        (*inst.op).cpu(&args[..inst.args.len()], out, cx);
    }
}

type Outs<'a> = [&'a mut [f32]; MAX_OUTS];

impl Run for Program {
    fn kind(&self) -> String {
        let random = if self.draws() { ", random" } else { "" };
        let summed = if self.sum.is_some() { ", summed" } else { "" };
        format!("element-wise{random}{summed}")
    }

    fn workspace(&self, _: &[Operand], _: &[Operand]) -> usize {
        match self.sum {
            Some(_) => self.units() * self.width(),
            None => 0,
        }
    }

    fn cpu(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], cx: &mut Cx) {
        let (written, sum) = outs.split_at_mut(self.outputs.len());
        let mut whole: Outs = Default::default();
        for (slot, out) in whole.iter_mut().zip(written) {
            *slot = out;
        }
        let units = self.units();
        let slots = cx.workspace.take(units * self.width());
        self.split(ins, whole, slots, [0, units], cx.env);
        if let (Some(Sum { sizes, .. }), [y]) = (self.sum, sum) {
            sizes.fold(slots, y);
        }
    }

    fn cuda(&self, ins: &[DeviceView], outs: &[DeviceView], cx: &mut DeviceCx) -> Result<()> {
        if let Some(launch) = self.random_numbers(ins, outs, cx) {
            cx.launch(launch);
            return Ok(());
        }
        let program = self.lower(ins, outs)?;
        if let (Some(Sum { inst, sizes }), Some(y)) = (self.sum, outs.last()) {
            let register = ins.len() + usize::from(inst);
            let (control, scratch) = (cx.control, &mut cx.scratch);
            let sizes = sizes.sizes();
            let launches = elementwise::sum(&program, register, y.data, sizes, control, scratch);
            launches.into_iter().for_each(|launch| cx.launch(launch));
        } else {
            cx.program(&program);
        }
        Ok(())
    }
}

impl Program {
    /// A program that only draws random numbers, or multiplies with a mask that nothing else reads, as the launch of a kernel
    /// of its own.
    fn random_numbers(
        &self,
        ins: &[DeviceView],
        outs: &[DeviceView],
        cx: &DeviceCx,
    ) -> Option<Launch> {
        match (&self.insts[..], outs) {
            _ if self.sum.is_some() => None,
            ([draw], [out]) if self.draws() => {
                Some(random::fill(out.data, draw.op.instruction()?, cx.control))
            }
            ([_, _], [out]) if self.outputs == [1] => {
                let (x, draw) = (ins.first()?.data, self.mask()?);
                Some(random::dropout(x, out.data, draw, cx.control))
            }
            _ => None,
        }
    }

    /// How the mask is drawn with which it multiplies its only input.
    fn mask(&self) -> Option<Instruction> {
        let [draw, product] = &self.insts[..] else {
            return None;
        };
        let (value, mask) = (Arg::In(0), Arg::Inst(0));
        let is_product = matches!(product.op, Op::Mul(_))
            && (product.args[..] == [value, mask] || product.args[..] == [mask, value]);
        match (draw.op, &self.inputs[..]) {
            (Op::Bernoulli(_), [Access::Full | Access::Aliased(_)]) if is_product => {
                draw.op.instruction()
            }
            _ => None,
        }
    }

    /// As a device's kernels take it, without the sum.
    fn lower(&self, ins: &[DeviceView], outs: &[DeviceView]) -> Result<elementwise::Program> {
        let first = ins.len();
        let register = |arg: Option<&Arg>| match arg {
            Some(Arg::In(i)) => usize::from(*i),
            Some(Arg::Inst(i)) => first + usize::from(*i),
            None => 0,
        };
        let instructions = self.insts.iter().map(|inst| {
            let instruction = inst.op.instruction();
            let instruction = instruction.ok_or(Error::NoKernel { op: inst.op.name() })?;
            Ok(instruction.on(register(inst.args.first()), register(inst.args.get(1))))
        });
        let inputs = ins.iter().zip(&self.inputs).map(|(view, access)| {
            let access = match *access {
                // A thread reads its elements of all inputs before it writes a result.
                Access::Full | Access::Aliased(_) => elementwise::Access::Full,
                Access::Scalar => elementwise::Access::Scalar,
                Access::Row { .. } => elementwise::Access::Row,
                Access::Column { repeat } => elementwise::Access::Column { repeat },
            };
            (view.data, access)
        });
        let outputs = outs.iter().zip(&self.outputs);
        Ok(elementwise::Program {
            elements: self.elements,
            inputs: inputs.collect(),
            instructions: instructions.collect::<Result<_>>()?,
            outputs: outputs
                .map(|(view, o)| (view.data, first + usize::from(*o)))
                .collect(),
        })
    }
}
