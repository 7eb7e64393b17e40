//! Element-wise programs: several element-wise ops in one pass over memory.
//!
//! A program runs chunk by chunk: each op over a chunk of a few hundred elements that stays in
//! the first-level cache, its result in a register (an array of that length) or, for values that
//! leave the program, in the output itself. Nothing is generated: each op is its own kernel, and
//! which one is the caller's to say.

use super::Workspace;
use super::reduce::{Adder, PartialSums};

/// The most inputs of a program.
pub const MAX_INPUTS: usize = 10;
/// The most outputs of a program.
pub const MAX_OUTPUTS: usize = 4;
/// The most ops of a program.
pub const MAX_INSTRUCTIONS: usize = 14;
/// The most sums of a program.
pub const MAX_SUMS: usize = 4;
/// The most operands of an op.
pub const MAX_ARGS: usize = 4;
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
    pub fn broadcast(small: &[usize], large: &[usize]) -> Option<Access> {
        let elements = |dims: &[usize]| dims.iter().product::<usize>();
        let period = elements(small);
        if period == elements(large) {
            return Some(Access::Full);
        }
        if period == 1 {
            return Some(Access::Scalar);
        }
        let ones = small.iter().take_while(|&&d| d == 1).count();
        if large.ends_with(&small[ones..]) {
            return Some(Access::Row { period });
        }
        if small.len() == large.len() {
            let prefix = small.iter().zip(large).take_while(|(s, l)| s == l).count();
            if small[prefix..].iter().all(|&d| d == 1) {
                let repeat = elements(&large[prefix..]);
                return Some(Access::Column { repeat });
            }
        }
        None
    }
}

/// An operand of an op.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// An input of the program.
    In(u8),
    /// The result of an earlier op.
    Inst(u8),
}

/// One op of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct Inst<T> {
    /// The op.
    pub op: T,
    /// Its operands, at most [`MAX_ARGS`].
    pub args: Vec<Arg>,
}

/// Where the result of an op goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Register(usize),
    Out(usize),
}

/// A sum with which a program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    /// What is summed.
    pub of: Arg,
    /// Over what.
    pub sizes: PartialSums,
}

/// Element-wise ops over `elements` elements in one pass.
#[derive(Clone, PartialEq, Debug)]
pub struct Program<T> {
    /// The ops in order.
    pub insts: Vec<Inst<T>>,
    /// How each input is read.
    pub inputs: Vec<Access>,
    /// Which ops' results leave the program.
    pub outputs: Vec<u8>,
    /// The sums that it writes behind them, all over the same.
    pub sums: Vec<Sum>,
    /// How many elements.
    pub elements: usize,
    places: Vec<Place>,
    /// For an aliased output: the register to copy from at the end of a chunk.
    copies: Vec<Option<usize>>,
    registers: usize,
}

impl<T> Program<T> {
    /// A program of these ops.
    ///
    /// # Panics
    /// With more ops, inputs or outputs than a program has.
    pub fn new(
        insts: Vec<Inst<T>>,
        inputs: Vec<Access>,
        outputs: Vec<u8>,
        elements: usize,
    ) -> Self {
        let sizes = [insts.len(), inputs.len(), outputs.len()];
        let most = [MAX_INSTRUCTIONS, MAX_INPUTS, MAX_OUTPUTS];
        assert!(
            sizes.iter().zip(most).all(|(n, most)| *n <= most),
            "a program of {sizes:?}"
        );
        let mut program = Program {
            insts,
            inputs,
            outputs,
            sums: Vec::new(),
            elements,
            places: Vec::new(),
            copies: Vec::new(),
            registers: 0,
        };
        program.lay_out();
        program
    }

    /// Sums something; the results of an op are summed instead of being written.
    ///
    /// # Panics
    /// With more sums than a program has, or one over something else than the others.
    pub fn end_in(&mut self, sum: Sum) {
        let is_alike = self.sums.iter().all(|s| s.sizes == sum.sizes);
        assert!(is_alike && self.sums.len() < MAX_SUMS, "one sum too many");
        self.sums.push(sum);
        self.outputs.retain(|&o| sum.of != Arg::Inst(o));
        self.lay_out();
    }

    /// Does what `other` does in the same pass; input i of it is input `inputs[i]` of this one, which may be new. What both
    /// compute is computed once.
    ///
    /// # Panics
    /// With more of anything than a program has, sums over something else, or other elements.
    pub fn join(&mut self, other: Program<T>, inputs: &[usize])
    where
        T: PartialEq,
    {
        assert_eq!(self.elements, other.elements, "programs of other sizes");
        // Where the results of the other's ops are.
        let mut places: Vec<u8> = Vec::new();
        let moved = |arg: Arg, places: &[u8]| match arg {
            Arg::In(i) => Arg::In(inputs[usize::from(i)] as u8),
            Arg::Inst(i) => Arg::Inst(places[usize::from(i)]),
        };
        for (access, &i) in other.inputs.into_iter().zip(inputs) {
            match self.inputs.get(i) {
                None => self.inputs.push(access),
                Some(known) => assert_eq!(*known, access, "an input read in two ways"),
            }
        }
        for (i, Inst { op, args }) in other.insts.into_iter().enumerate() {
            let args = args.into_iter().map(|arg| moved(arg, &places)).collect();
            let inst = Inst { op, args };
            // What is written has one place.
            let is_written = other.outputs.contains(&(i as u8));
            let known = self.insts.iter().position(|i| *i == inst);
            let known = known.filter(|k| !is_written && !self.outputs.contains(&(*k as u8)));
            places.push(known.unwrap_or(self.insts.len()) as u8);
            if known.is_none() {
                self.insts.push(inst);
            }
        }
        let outputs = other.outputs.iter().map(|o| places[usize::from(*o)]);
        self.outputs.extend(outputs);
        let sizes = [self.insts.len(), self.inputs.len(), self.outputs.len()];
        let most = [MAX_INSTRUCTIONS, MAX_INPUTS, MAX_OUTPUTS];
        assert!(
            sizes.iter().zip(most).all(|(n, most)| *n <= most),
            "a program of {sizes:?}"
        );
        for Sum { of, sizes } in other.sums {
            self.end_in(Sum {
                of: moved(of, &places),
                sizes,
            });
        }
        self.lay_out();
    }

    /// Notes which inputs lie where output `o` will be written.
    pub fn alias(&mut self, lies_there: impl Fn(usize) -> bool, o: usize) {
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

    /// What a task takes whole: stretches of elements, or the parts of the sums. Where one begins; how many there are.
    fn start(&self, unit: usize) -> usize {
        match self.sums.first() {
            Some(sum) => sum.sizes.start(unit),
            None => (unit * TASK).min(self.elements),
        }
    }

    fn units(&self) -> usize {
        let stretches = self.elements.div_ceil(TASK);
        let sum = self.sums.first();
        sum.map_or(stretches, |sum| sum.sizes.parts())
    }

    /// The floats of a unit's part of one sum.
    fn width(&self) -> usize {
        self.sums.first().map_or(0, |sum| sum.sizes.width())
    }

    /// The floats of memory beside its operands that [`Program::run`] needs: for partial sums.
    pub fn partial_sums(&self) -> usize {
        self.sums.len() * self.units() * self.width()
    }
}

impl<T: Sync> Program<T> {
    /// Runs it on the current rayon pool: `compute` is given an op, its operands, where its result goes, and the index of the
    /// first element. An input that lies in an output is given as anything.
    ///
    /// ins: as [`Program::inputs`] say; outs: `elements` numbers each, then the sums
    pub fn run<F>(
        &self,
        ins: &[&[f32]],
        outs: &mut [&mut [f32]],
        workspace: &mut Workspace,
        compute: F,
    ) where
        F: Fn(&T, &[&[f32]], &mut [f32], usize) + Sync,
    {
        let (written, sums) = outs.split_at_mut(self.outputs.len());
        let mut whole: Outs = Default::default();
        for (slot, out) in whole.iter_mut().zip(written) {
            *slot = out;
        }
        let mut room = workspace.take(self.partial_sums());
        let mut slots: Slots = Default::default();
        for slot in slots.iter_mut().take(self.sums.len()) {
            let (first, rest) = room.split_at_mut(self.units() * self.width());
            (*slot, room) = (first, rest);
        }
        let pass = Pass {
            program: self,
            ins,
            compute,
        };
        pass.split(whole, reborrowed(&mut slots), [0, self.units()]);
        for ((sum, slots), y) in self.sums.iter().zip(slots).zip(sums) {
            sum.sizes.fold(slots, y);
        }
    }
}

type Outs<'a> = [&'a mut [f32]; MAX_OUTPUTS];

/// The parts of each sum.
type Slots<'a> = [&'a mut [f32]; MAX_SUMS];

fn reborrowed<'a>(slots: &'a mut Slots<'_>) -> Slots<'a> {
    slots.each_mut().map(|slot| &mut **slot)
}

/// A program with what it reads and what computes its ops.
struct Pass<'a, T, F> {
    program: &'a Program<T>,
    ins: &'a [&'a [f32]],
    compute: F,
}

impl<T: Sync, F: Fn(&T, &[&[f32]], &mut [f32], usize) + Sync> Pass<'_, T, F> {
    /// Halves the units `first..end` until they are few elements, on all threads of the pool.
    fn split(&self, outs: Outs, slots: Slots, [first, end]: [usize; 2]) {
        let program = self.program;
        let start = program.start(first);
        let len = program.start(end) - start;
        if len <= TASK || end - first == 1 || rayon::current_num_threads() == 1 {
            return match program.registers {
                0..=8 => self.task::<8>(outs, slots, first, len),
                _ => self.task::<{ MAX_INPUTS + MAX_INSTRUCTIONS }>(outs, slots, first, len),
            };
        }
        let middle = first + (end - first) / 2;
        let (mut left, mut right): (Outs, Outs) = Default::default();
        for ((out, l), r) in outs.into_iter().zip(&mut left).zip(&mut right) {
            if !out.is_empty() {
                (*l, *r) = out.split_at_mut(program.start(middle) - start);
            }
        }
        let (mut below, mut above): (Slots, Slots) = Default::default();
        for ((slot, b), a) in slots.into_iter().zip(&mut below).zip(&mut above) {
            if !slot.is_empty() {
                (*b, *a) = slot.split_at_mut((middle - first) * program.width());
            }
        }
        rayon::join(
            || self.split(left, below, [first, middle]),
            || self.split(right, above, [middle, end]),
        );
    }

    /// The `len` elements from unit `first` on.
    fn task<const R: usize>(&self, mut outs: Outs, slots: Slots, first: usize, len: usize) {
        let program = self.program;
        let start = program.start(first);
        let mut registers = [[0.0f32; CHUNK]; R];
        let mut rows = [None; MAX_INPUTS];
        let mut adders: [Option<Adder>; MAX_SUMS] = Default::default();
        for ((adder, sum), slots) in adders.iter_mut().zip(&program.sums).zip(slots) {
            *adder = Some(Adder::new(sum.sizes, first, slots));
        }
        for (i, access) in program.inputs.iter().enumerate() {
            if *access == Access::Scalar {
                registers[i].fill(self.ins[i][0]);
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
            self.load(&chunk, start + at, n, &mut registers, &mut rows);
            for i in 0..program.insts.len() {
                self.step(i, &mut chunk, start + at, n, &mut registers);
            }
            for (adder, sum) in adders.iter_mut().flatten().zip(&program.sums) {
                adder.add(self.operand(sum.of, &chunk, start + at, &registers, n));
            }
            for (out, copy) in chunk.iter_mut().zip(&program.copies) {
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
        match self.program.places[usize::from(inst)] {
            Place::Register(r) => &registers[r][..n],
            Place::Out(o) => &outs[o][..n],
        }
    }

    /// The `n` numbers of an operand from element `at` on.
    fn operand<'a>(
        &'a self,
        arg: Arg,
        outs: &'a Outs,
        at: usize,
        registers: &'a [[f32; CHUNK]],
        n: usize,
    ) -> &'a [f32] {
        match arg {
            Arg::In(i) => {
                let i = usize::from(i);
                match self.program.inputs[i] {
                    Access::Full => &self.ins[i][at..at + n],
                    _ => &registers[i][..n],
                }
            }
            Arg::Inst(i) => self.result(i, outs, registers, n),
        }
    }

    /// Fills the registers of inputs that are not read in place. `rows`: where in the row and how far a register of a repeated
    /// row is filled already, which mostly serves for the next chunk as well.
    fn load(
        &self,
        outs: &Outs,
        at: usize,
        n: usize,
        registers: &mut [[f32; CHUNK]],
        rows: &mut [Option<(usize, usize)>; MAX_INPUTS],
    ) {
        for (i, access) in self.program.inputs.iter().enumerate() {
            let register = &mut registers[i][..n];
            match *access {
                Access::Full | Access::Scalar => {}
                Access::Aliased(o) => register.copy_from_slice(&outs[usize::from(o)][..n]),
                Access::Row { period } => {
                    let (mut filled, mut from) = (0, at % period);
                    if rows[i].is_some_and(|(begin, len)| begin == from && len >= n) {
                        continue;
                    }
                    rows[i] = Some((from, n));
                    while filled < n {
                        let run = (period - from).min(n - filled);
                        let source = &self.ins[i][from..from + run];
                        register[filled..filled + run].copy_from_slice(source);
                        (filled, from) = (filled + run, 0);
                    }
                }
                Access::Column { repeat } => {
                    let mut filled = 0;
                    while filled < n {
                        let index = (at + filled) / repeat;
                        let run = ((index + 1) * repeat - at - filled).min(n - filled);
                        register[filled..filled + run].fill(self.ins[i][index]);
                        filled += run;
                    }
                }
            }
        }
    }

    /// Computes op `i` over the `n` elements from `at` on.
    fn step(&self, i: usize, outs: &mut Outs, at: usize, n: usize, registers: &mut [[f32; CHUNK]]) {
        // Registers are numbered in order, so that everything read lies below what is written.
        match self.program.places[i] {
            Place::Register(r) => {
                let (below, from) = registers.split_at_mut(r);
                self.call(&self.program.insts[i], outs, at, below, &mut from[0][..n]);
            }
            Place::Out(o) => {
                let out = std::mem::take(&mut outs[o]);
                self.call(&self.program.insts[i], outs, at, registers, out);
                outs[o] = out;
            }
        }
    }

    fn call(
        &self,
        inst: &Inst<T>,
        outs: &Outs,
        at: usize,
        registers: &[[f32; CHUNK]],
        out: &mut [f32],
    ) {
        let n = out.len();
        let mut args = [&[][..]; MAX_ARGS];
        for (slot, arg) in args.iter_mut().zip(&inst.args) {
            *slot = self.operand(*arg, outs, at, registers, n);
        }
        (self.compute)(&inst.op, &args[..inst.args.len()], out, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over several tasks and a part of a chunk, with every access, a result in the place of an input, and a sum.
    #[test]
    fn every_access_reads_the_element_that_it_names() {
        let n = 3 * TASK + 700;
        let (args, other) = (|i, j| vec![Arg::Inst(i), Arg::In(j)], n / 4);
        let insts = [vec![Arg::In(0), Arg::In(1)], args(0, 2), args(1, 3)];
        let insts = insts.map(|args| Inst { op: (), args }).to_vec();
        let inputs = vec![
            Access::Full,
            Access::Scalar,
            Access::Row { period: other },
            Access::Column { repeat: 4 },
        ];
        let add = |_: &(), x: &[&[f32]], y: &mut [f32], _: usize| {
            for (i, y) in y.iter_mut().enumerate() {
                *y = x[0][i] + x[1][i];
            }
        };
        let numbers: Vec<f32> = (0..n).map(|i| (i % 64) as f32).collect();
        let expected = |i: usize| (i % 64 + 7 + i % other % 64 + i / 4 % 64) as f32;
        let mut program = Program::new(insts, inputs, vec![2], n);
        program.alias(|i| i == 0, 0);
        let mut y = numbers.clone();
        let ins = [&[][..], &[7.0], &numbers[..other], &numbers[..other]];
        let workspace = &mut Workspace::default();
        program.run(&ins, &mut [&mut y], workspace, add);
        assert!((0..n).all(|i| y[i] == expected(i)));

        let sizes = PartialSums::new(&[n], &[]).expect("a sum of all");
        program.inputs[0] = Access::Full;
        let of = Arg::Inst(2);
        program.end_in(Sum { of, sizes });
        // Another program in the same pass: of x, which is an input of both, and of x + x; the latter is written, too.
        let args = vec![Arg::In(0), Arg::In(0)];
        let twice = vec![Inst { op: (), args }];
        let mut other = Program::new(twice, vec![Access::Full], vec![0], n);
        let of = Arg::In(0);
        other.end_in(Sum { of, sizes });
        program.join(other, &[0]);
        let ins = [&numbers[..], ins[1], ins[2], ins[3]];
        let (mut sums, mut twice) = ([[0.0]; 2], vec![0.0; n]);
        let [first, second] = &mut sums;
        program.run(&ins, &mut [&mut twice, first, second], workspace, add);
        let total = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>();
        let exact = [
            total(&|i| f64::from(expected(i))),
            total(&|i| f64::from(numbers[i])),
        ];
        for (sum, exact) in sums.iter().zip(exact) {
            assert!((f64::from(sum[0]) - exact).abs() <= 1e-6 * exact);
        }
        assert!((0..n).all(|i| twice[i] == 2.0 * numbers[i]));
    }

    #[test]
    fn a_broadcast_is_read_by_the_simplest_pattern() {
        let access = Access::broadcast;
        assert_eq!(access(&[1, 6], &[2, 3]), Some(Access::Full));
        assert_eq!(access(&[1, 1], &[2, 3]), Some(Access::Scalar));
        let row = Some(Access::Row { period: 3 });
        assert_eq!(access(&[1, 3], &[4, 2, 3]), row);
        let column = Some(Access::Column { repeat: 3 });
        assert_eq!(access(&[2, 1], &[2, 3]), column);
        assert_eq!(access(&[2, 1, 3], &[2, 4, 3]), None);
    }
}
