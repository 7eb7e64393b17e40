//! Element-wise programs: several element-wise ops in one pass over memory.
//!
//! A program runs chunk by chunk: each op over a chunk of a few hundred elements that stays in
//! the first-level cache, its result in a register (an array of that length) or, for values that
//! leave the program, in the output itself. Nothing is generated: each op is its own kernel.

use std::fmt;

use crate::ops::{Cx, Env, Op};
use crate::shape::Shape;
use crate::view::View;
use ganforge_kernels::cpu::gemm::Scratch;

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

/// Element-wise ops over `elements` elements in one pass.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    /// The ops in order.
    pub insts: Vec<Inst>,
    /// How each input is read.
    pub inputs: Vec<Access>,
    /// Which ops' results leave the program.
    pub outputs: Vec<u8>,
    /// How many elements.
    pub elements: usize,
    places: Vec<Place>,
    /// For an aliased output: the register to copy from at the end of a chunk.
    copies: Vec<Option<usize>>,
    registers: usize,
}

impl Program {
    /// Decides where each result goes, once the access of every input is known.
    pub(super) fn new(
        insts: Vec<Inst>,
        inputs: Vec<Access>,
        outputs: Vec<u8>,
        elements: usize,
    ) -> Program {
        assert!(insts.len() <= MAX_INSTS && inputs.len() <= MAX_INS && outputs.len() <= MAX_OUTS);
        let is_aliased = |o: usize| inputs.contains(&Access::Aliased(o as u8));
        let mut registers = inputs.len();
        let mut copies = vec![None; outputs.len()];
        let mut places = Vec::new();
        for i in 0..insts.len() {
            let out = outputs.iter().position(|&o| usize::from(o) == i);
            places.push(match out {
                Some(o) if !is_aliased(o) => Place::Out(o),
                _ => {
                    if let Some(o) = out {
                        copies[o] = Some(registers);
                    }
                    registers += 1;
                    Place::Register(registers - 1)
                }
            });
        }
        Program {
            insts,
            inputs,
            outputs,
            elements,
            places,
            copies,
            registers,
        }
    }

    /// Whether it draws random numbers.
    pub fn draws(&self) -> bool {
        let is_random =
            |i: &Inst| matches!(i.op, Op::Uniform(_) | Op::Normal(_) | Op::Bernoulli(_));
        self.insts.iter().any(is_random)
    }

    /// Runs the program over all its elements.
    pub(crate) fn run(&self, ins: &[View<f32>], outs: &mut [&mut [f32]], env: Env) {
        let mut whole: Outs = Default::default();
        for (slot, out) in whole.iter_mut().zip(outs) {
            *slot = out;
        }
        self.split(ins, whole, 0, self.elements, env);
    }

    /// Halves the work at fixed places until a task is small, on all threads of the pool.
    fn split(&self, ins: &[View<f32>], outs: Outs, start: usize, len: usize, env: Env) {
        if len <= TASK || rayon::current_num_threads() == 1 {
            return match self.registers {
                0..=8 => self.task::<8>(ins, outs, start, len, env),
                _ => self.task::<{ MAX_INS + MAX_INSTS }>(ins, outs, start, len, env),
            };
        }
        let middle = (len / 2).next_multiple_of(TASK);
        let (mut left, mut right): (Outs, Outs) = Default::default();
        for ((out, l), r) in outs.into_iter().zip(&mut left).zip(&mut right) {
            if !out.is_empty() {
                (*l, *r) = out.split_at_mut(middle);
            }
        }
        rayon::join(
            || self.split(ins, left, start, middle, env),
            || self.split(ins, right, start + middle, len - middle, env),
        );
    }

    fn task<const R: usize>(
        &self,
        ins: &[View<f32>],
        mut outs: Outs,
        start: usize,
        len: usize,
        env: Env,
    ) {
        let mut registers = [[0.0f32; CHUNK]; R];
        let mut scratch = Scratch::default();
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
                    scratch: &mut scratch,
                };
                self.step(i, ins, &mut chunk, n, &mut registers, &mut cx);
            }
            for (out, copy) in chunk.iter_mut().zip(&self.copies) {
                if let Some(r) = *copy {
                    out.copy_from_slice(&registers[r][..n]);
                }
            }
            at += n;
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
                Arg::Inst(i) => match self.places[usize::from(i)] {
                    Place::Register(r) => &registers[r][..n],
                    Place::Out(o) => &outs[o][..n],
                },
            };
        }
        inst.op.cpu(&args[..inst.args.len()], out, cx);
    }
}

type Outs<'a> = [&'a mut [f32]; MAX_OUTS];

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.insts.iter().map(|i| i.op.name()).collect();
        f.write_str(&names.join("+"))
    }
}
