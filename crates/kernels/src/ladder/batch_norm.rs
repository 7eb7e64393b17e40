//! Batch norm and its gradient as work of a ladder.

use std::fmt;
use std::sync::Arc;

use super::Expected;
use super::cpu::Maker;
use super::device::{Memory, Plan};
use super::work::U;
use crate::cpu::program::{Access, Arg, Inst, Program, Sum};
use crate::cpu::reduce::{PartialSums, sum_to};
use crate::cpu::{Workspace, elementwise, moments};
use crate::cuda::elementwise::{
    Access as DeviceAccess, Instruction, Opcode, Program as DeviceProgram,
};
use crate::cuda::{self, Scratch};

/// What is added to variances.
const EPS: f32 = 1e-5;
/// Numbers that are compared, about.
const COMPARED: usize = 1 << 20;

/// y = gamma (x - mean) / sqrt(var + eps) + beta of x `[rows, channels]`, or its gradient in x: from x, dy, gamma and the moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchNorm {
    /// Pixels of all images.
    pub rows: usize,
    /// Channels, each with moments of its own.
    pub channels: usize,
    /// Whether it is the gradient.
    pub is_gradient: bool,
}

impl BatchNorm {
    /// Of layers of `dcgan28` and `sndcgan32`, batch 64.
    pub(super) fn all() -> Vec<BatchNorm> {
        let of = |side: usize, channels| {
            [false, true].map(|is_gradient| BatchNorm {
                rows: 64 * side * side,
                channels,
                is_gradient,
            })
        };
        [of(14, 64), of(32, 64)].concat()
    }

    pub(super) fn family(&self) -> &'static str {
        match self.is_gradient {
            false => "batch norm",
            true => "batch norm gradient",
        }
    }

    pub(super) fn elements(&self) -> usize {
        self.rows * self.channels
    }

    /// Of y a sum, a difference, its square, another sum; then a difference, a product and a sum. Of dx two sums of a term and of a
    /// product; then five more.
    pub(super) fn flops(&self) -> usize {
        self.elements() * if self.is_gradient { 9 } else { 7 }
    }

    /// Elements that are read once more than each once: nothing of the result is known before all of x (and dy) was read.
    pub(super) fn read_again(&self) -> usize {
        self.elements() * if self.is_gradient { 2 } else { 1 }
    }

    /// x, gamma, beta; x, dy, gamma, mean and variance.
    pub(super) fn input_sizes(&self) -> Vec<usize> {
        let (n, c) = (self.elements(), self.channels);
        match self.is_gradient {
            false => vec![n, c, c],
            true => vec![n, n, c, 2 * c],
        }
    }

    /// Input 3 follows from input 0.
    pub(super) fn complete(&self, inputs: &mut [Vec<f32>]) {
        if let [x, _, _, stats] = inputs {
            moments::moments(x, [1, self.rows, self.channels], stats);
        }
    }

    pub(super) fn expected(&self, inputs: &[Vec<f32>]) -> Vec<Expected> {
        let columns: Vec<Column> = (0..self.channels).map(|j| self.column(inputs, j)).collect();
        let step = (self.elements() / COMPARED) | 1;
        let places = (0..self.elements()).step_by(step);
        let all = places.map(|place| {
            let column = &columns[place % self.channels];
            let at = |i: usize| f64::from(inputs[i][place]);
            let normal = (at(0) - column.mean) * column.inverse;
            // Sums of `rows` terms, a rounding for each of the other operations.
            let (roundings, scale) = (U * (self.rows + 12) as f64, column.scale.abs());
            let (value, size) = match self.is_gradient {
                false => {
                    let beta = f64::from(inputs[2][place % self.channels]);
                    let size =
                        (column.magnitude * column.inverse + normal.abs()) * scale + beta.abs();
                    (normal * column.scale + beta, size)
                }
                true => {
                    let sums = column.sum + normal * column.product;
                    let size =
                        at(1).abs() + column.magnitude + (normal.abs() + 1.0) * column.magnitude;
                    let scale = column.scale * column.inverse;
                    ((at(1) - sums) * scale, size * scale.abs())
                }
            };
            Expected::within(place, value, roundings * size)
        });
        all.collect()
    }

    fn column(&self, inputs: &[Vec<f32>], j: usize) -> Column {
        let values = |i: usize| {
            let values = inputs[i][j..].iter().step_by(self.channels);
            values.map(|v| f64::from(*v))
        };
        let mean_of = |terms: &mut dyn Iterator<Item = f64>| terms.sum::<f64>() / self.rows as f64;
        let mean = mean_of(&mut values(0));
        let var = mean_of(&mut values(0).map(|x| (x - mean) * (x - mean)));
        let (mean, var) = match self.is_gradient {
            false => (mean, var),
            // As the kernels have them.
            true => (
                f64::from(inputs[3][j]),
                f64::from(inputs[3][self.channels + j]),
            ),
        };
        let inverse = 1.0 / (var + f64::from(EPS)).sqrt();
        let scale = f64::from(inputs[if self.is_gradient { 2 } else { 1 }][j]);
        let mut column = Column {
            mean,
            inverse,
            scale,
            sum: 0.0,
            product: 0.0,
            magnitude: mean_of(&mut values(0).map(f64::abs)),
        };
        if self.is_gradient {
            let pairs = || values(0).zip(values(1));
            column.sum = mean_of(&mut values(1));
            column.product = mean_of(&mut pairs().map(|(x, dy)| (x - mean) * inverse * dy));
            column.magnitude = mean_of(
                &mut pairs().map(|(x, dy)| dy.abs() * ((x - mean) * inverse).abs().max(1.0)),
            );
        }
        column
    }

    pub(super) fn on_cpu(self, maker: &mut Maker, inputs: Arc<[Vec<f32>]>) {
        let x = inputs.clone();
        maker.add(
            "naive",
            "channel after channel, with strided accesses",
            move |y| {
                self.naive(&x, y);
            },
        );
        let (x, mut passes) = (inputs.clone(), Passes::new(self));
        maker.add(
            "passes",
            "a pass over memory for each operation",
            move |y| match self.is_gradient {
                false => passes.forwards(&x, y),
                true => passes.backwards(&x, y),
            },
        );
        let (x, mut fused) = (inputs, Fused::new(self));
        let about = "one pass for the sums, one for the result";
        maker.add("two passes", about, move |y| match self.is_gradient {
            false => fused.forwards(&x, y),
            true => fused.backwards(&x, y),
        });
    }

    fn naive(&self, x: &[Vec<f32>], y: &mut [f32]) {
        let (c, rows) = (self.channels, self.rows as f32);
        let at = |i: usize, j: usize| x[i][j..].iter().step_by(c);
        for j in 0..c {
            let [mean, var] = match self.is_gradient {
                false => {
                    let mean = at(0, j).sum::<f32>() / rows;
                    [
                        mean,
                        at(0, j).map(|x| (x - mean) * (x - mean)).sum::<f32>() / rows,
                    ]
                }
                true => [x[3][j], x[3][c + j]],
            };
            let inverse = 1.0 / (var + EPS).sqrt();
            let y = y[j..].iter_mut().step_by(c);
            if self.is_gradient {
                let sum = at(1, j).sum::<f32>() / rows;
                let products = at(0, j)
                    .zip(at(1, j))
                    .map(|(x, dy)| (x - mean) * inverse * dy);
                let (product, scale) = (products.sum::<f32>() / rows, x[2][j] * inverse);
                for ((dx, x), dy) in y.zip(at(0, j)).zip(at(1, j)) {
                    *dx = scale * (dy - sum - (x - mean) * inverse * product);
                }
            } else {
                for (y, v) in y.zip(at(0, j)) {
                    *y = (v - mean) * inverse * x[1][j] + x[2][j];
                }
            }
        }
    }

    pub(super) fn on_device(&self, memory: &Memory, scratch: &mut Scratch) -> Vec<Plan> {
        let x = |i: usize| memory.inputs[i].slice();
        let (y, control, c) = (memory.result.slice(), memory.control.slice(), self.channels);
        let (beside, sizes) = (memory.beside.slice(), [1, self.rows, c]);
        let new = |code, constant: f32| Instruction::new(code, [constant, 0.0]);
        let program = |inputs: Vec<_>, instructions: Vec<Instruction>| {
            let last = inputs.len() + instructions.len() - 1;
            DeviceProgram {
                elements: self.elements(),
                inputs,
                instructions,
                outputs: vec![(y, last)],
            }
        };
        let (full, row) = (DeviceAccess::Full, DeviceAccess::Row);
        let halves = |of: crate::cuda::Slice| [of.part(0, c), of.part(c, c)];
        if !self.is_gradient {
            let [mean, var] = halves(beside);
            let inputs = vec![
                (x(0), full),
                (mean, row),
                (var, row),
                (x(1), row),
                (x(2), row),
            ];
            let instructions = vec![
                new(Opcode::AddScalar, EPS).on(2, 0),
                new(Opcode::Rsqrt, 0.0).on(5, 0),
                new(Opcode::Mul, 0.0).on(6, 3),
                new(Opcode::Sub, 0.0).on(0, 1),
                new(Opcode::Mul, 0.0).on(8, 7),
                new(Opcode::Add, 0.0).on(9, 4),
            ];
            let program = program(inputs, instructions);
            let mut launches = cuda::moments::moments(x(0), beside, sizes, scratch).to_vec();
            launches.push(cuda::elementwise::run(&program, control));
            return vec![Plan::new("moments, then one program", launches)];
        }
        let ([mean, var], [sum, product]) = (halves(x(3)), halves(beside));
        let terms = DeviceProgram {
            outputs: Vec::new(),
            ..program(
                vec![(x(0), full), (x(1), full), (mean, row)],
                vec![
                    new(Opcode::Sub, 0.0).on(0, 2),
                    new(Opcode::Mul, 0.0).on(3, 1),
                ],
            )
        };
        let sums = [(1, sum), (4, product)];
        let mut launches = cuda::elementwise::sums(&terms, &sums, sizes, control, scratch);
        let inputs = [(x(0), full), (x(1), full)].into_iter();
        let rows = [mean, var, x(2), sum, product].map(|slice| (slice, row));
        let instructions = vec![
            new(Opcode::AddScalar, EPS).on(3, 0),
            new(Opcode::Rsqrt, 0.0).on(7, 0),
            new(Opcode::Square, 0.0).on(8, 0),
            new(Opcode::Sub, 0.0).on(0, 2),
            new(Opcode::Mul, 0.0).on(10, 9),
            new(Opcode::Mul, 0.0).on(11, 6),
            new(Opcode::Add, 0.0).on(12, 5),
            new(Opcode::MulScalar, -1.0 / self.rows as f32).on(13, 0),
            new(Opcode::Add, 0.0).on(14, 1),
            new(Opcode::Mul, 0.0).on(15, 8),
            new(Opcode::Mul, 0.0).on(16, 4),
        ];
        let program = program(inputs.chain(rows).collect(), instructions);
        launches.push(cuda::elementwise::run(&program, control));
        vec![Plan::new("the sums, then one program", launches)]
    }
}

/// A channel's moments and, of the gradient, the means of dy and of dy times the normalised x.
struct Column {
    mean: f64,
    inverse: f64,
    scale: f64,
    sum: f64,
    product: f64,
    /// The mean of what is summed, without signs.
    magnitude: f64,
}

fn compute(code: &Opcode, x: &[&[f32]], y: &mut [f32], _: usize) {
    elementwise::run(*code, [0.0; 2], x[0], x.get(1).unwrap_or(&x[0]), y);
}

/// An array that is read element by element, or one with a number for each channel.
#[derive(Clone, Copy)]
enum By<'a> {
    Element(&'a [f32]),
    Channel(&'a [f32]),
}

/// y = `code` of the operands: a pass over memory.
fn pass(code: Opcode, operands: &[By], y: &mut [f32], workspace: &mut Workspace) {
    let accesses = operands.iter().map(|o| match o {
        By::Element(_) => Access::Full,
        By::Channel(x) => Access::Row { period: x.len() },
    });
    let args = (0..operands.len()).map(|i| Arg::In(i as u8)).collect();
    let program = Program::new(
        vec![Inst { op: code, args }],
        accesses.collect(),
        vec![0],
        y.len(),
    );
    let slices = operands.iter().map(|o| match o {
        By::Element(x) | By::Channel(x) => *x,
    });
    let slices: Vec<&[f32]> = slices.collect();
    program.run(&slices, &mut [y], workspace, compute);
}

/// 1 / sqrt(var + eps), times `scale` where there is one.
fn inverse(var: &[f32], scale: Option<&[f32]>, to: &mut Vec<f32>) {
    to.clear();
    to.extend(var.iter().map(|v| 1.0 / (v + EPS).sqrt()));
    if let Some(scale) = scale {
        to.iter_mut().zip(scale).for_each(|(to, s)| *to *= s);
    }
}

/// With every intermediate value written.
struct Passes {
    work: BatchNorm,
    values: [Vec<f32>; 2],
    sums: [Vec<f32>; 2],
    inverse: Vec<f32>,
    workspace: Workspace,
}

impl Passes {
    fn new(work: BatchNorm) -> Passes {
        Passes {
            work,
            values: Default::default(),
            sums: [vec![0.0; work.channels], vec![0.0; work.channels]],
            inverse: Vec::new(),
            workspace: Workspace::default(),
        }
    }

    /// The means of the columns of `x`.
    fn means(&self, x: &[f32], y: &mut [f32]) {
        let (rows, c) = (self.work.rows, self.work.channels);
        sum_to(x, &[rows, c], y, &[c]);
        y.iter_mut().for_each(|y| *y /= rows as f32);
    }

    fn forwards(&mut self, x: &[Vec<f32>], y: &mut [f32]) {
        let [mut a, mut b] = std::mem::take(&mut self.values);
        let [mut mean, mut var] = std::mem::take(&mut self.sums);
        a.resize(y.len(), 0.0);
        b.resize(y.len(), 0.0);
        let memory = &mut Workspace::default();
        std::mem::swap(memory, &mut self.workspace);
        self.means(&x[0], &mut mean);
        pass(
            Opcode::Sub,
            &[By::Element(&x[0]), By::Channel(&mean)],
            &mut a,
            memory,
        );
        pass(Opcode::Square, &[By::Element(&a)], &mut b, memory);
        self.means(&b, &mut var);
        inverse(&var, None, &mut self.inverse);
        pass(
            Opcode::Mul,
            &[By::Element(&a), By::Channel(&self.inverse)],
            &mut b,
            memory,
        );
        pass(
            Opcode::Mul,
            &[By::Element(&b), By::Channel(&x[1])],
            &mut a,
            memory,
        );
        pass(
            Opcode::Add,
            &[By::Element(&a), By::Channel(&x[2])],
            y,
            memory,
        );
        std::mem::swap(memory, &mut self.workspace);
        (self.values, self.sums) = ([a, b], [mean, var]);
    }

    fn backwards(&mut self, x: &[Vec<f32>], dx: &mut [f32]) {
        let [mut a, mut b] = std::mem::take(&mut self.values);
        let [mut sum, mut product] = std::mem::take(&mut self.sums);
        a.resize(dx.len(), 0.0);
        b.resize(dx.len(), 0.0);
        let memory = &mut Workspace::default();
        std::mem::swap(memory, &mut self.workspace);
        let (mean, var) = x[3].split_at(self.work.channels);
        pass(
            Opcode::Sub,
            &[By::Element(&x[0]), By::Channel(mean)],
            &mut a,
            memory,
        );
        inverse(var, None, &mut self.inverse);
        pass(
            Opcode::Mul,
            &[By::Element(&a), By::Channel(&self.inverse)],
            &mut b,
            memory,
        );
        pass(
            Opcode::Mul,
            &[By::Element(&b), By::Element(&x[1])],
            &mut a,
            memory,
        );
        self.means(&x[1], &mut sum);
        self.means(&a, &mut product);
        pass(
            Opcode::Mul,
            &[By::Element(&b), By::Channel(&product)],
            &mut a,
            memory,
        );
        pass(
            Opcode::Sub,
            &[By::Element(&x[1]), By::Channel(&sum)],
            &mut b,
            memory,
        );
        pass(Opcode::Sub, &[By::Element(&b), By::Element(&a)], dx, memory);
        inverse(var, Some(&x[2]), &mut self.inverse);
        pass(
            Opcode::Mul,
            &[By::Element(dx), By::Channel(&self.inverse)],
            &mut a,
            memory,
        );
        dx.copy_from_slice(&a);
        std::mem::swap(memory, &mut self.workspace);
        (self.values, self.sums) = ([a, b], [sum, product]);
    }
}

/// As a plan has it.
struct Fused {
    work: BatchNorm,
    moments: Vec<f32>,
    scale: Vec<f32>,
    /// What dx is of x - mean, and what is added.
    rows: [Vec<f32>; 2],
    /// The sums, of the gradient; the result.
    programs: [Program<Opcode>; 2],
    workspace: Workspace,
}

impl Fused {
    fn new(work: BatchNorm) -> Fused {
        use Arg::{In, Inst as Of};
        let (n, c) = (work.elements(), work.channels);
        let row = Access::Row { period: c };
        let program = |insts: &[(Opcode, [Arg; 2])], inputs: &[Access]| {
            let insts = insts.iter().map(|&(op, args)| {
                let args = args.to_vec();
                Inst { op, args }
            });
            let last = insts.len() as u8 - 1;
            Program::new(insts.collect(), inputs.to_vec(), vec![last], n)
        };
        let difference = (Opcode::Sub, [In(0), In(2)]);
        let mut sums = program(
            &[difference, (Opcode::Mul, [Of(0), In(1)])],
            &[Access::Full, Access::Full, row],
        );
        if let Some(sizes) = PartialSums::new(&[work.rows, c], &[c]) {
            sums.end_in(Sum { of: In(1), sizes });
            sums.end_in(Sum { of: Of(1), sizes });
        }
        let result = match work.is_gradient {
            false => program(
                &[
                    (Opcode::Sub, [In(0), In(1)]),
                    (Opcode::Mul, [Of(0), In(2)]),
                    (Opcode::Add, [Of(1), In(3)]),
                ],
                &[Access::Full, row, row, row],
            ),
            true => program(
                &[
                    difference,
                    (Opcode::Mul, [Of(0), In(3)]),
                    (Opcode::Add, [Of(1), In(4)]),
                    (Opcode::Mul, [In(1), In(5)]),
                    (Opcode::Add, [Of(2), Of(3)]),
                ],
                &[Access::Full, Access::Full, row, row, row, row],
            ),
        };
        Fused {
            work,
            moments: vec![0.0; 2 * c],
            scale: Vec::new(),
            rows: [vec![0.0; c], vec![0.0; c]],
            programs: [sums, result],
            workspace: Workspace::default(),
        }
    }

    fn forwards(&mut self, x: &[Vec<f32>], y: &mut [f32]) {
        let sizes = [1, self.work.rows, self.work.channels];
        moments::moments(&x[0], sizes, &mut self.moments);
        let (mean, var) = self.moments.split_at(self.work.channels);
        inverse(var, Some(&x[1]), &mut self.scale);
        let ins = [&x[0][..], mean, &self.scale, &x[2]];
        self.programs[1].run(&ins, &mut [y], &mut self.workspace, compute);
    }

    fn backwards(&mut self, x: &[Vec<f32>], dx: &mut [f32]) {
        let (mean, var) = x[3].split_at(self.work.channels);
        inverse(var, Some(&x[2]), &mut self.scale);
        let [sum, product] = &mut self.rows;
        let ins = [&x[0][..], &x[1], mean];
        self.programs[0].run(&ins, &mut [sum, product], &mut self.workspace, compute);
        let rows = self.work.rows as f32;
        for (j, (sum, product)) in sum.iter_mut().zip(product.iter_mut()).enumerate() {
            *sum *= -self.scale[j] / rows;
            *product *= -self.scale[j] / rows / (var[j] + EPS);
        }
        let ins = [&x[0][..], &x[1], mean, product, sum, &self.scale];
        self.programs[1].run(&ins, &mut [dx], &mut self.workspace, compute);
    }
}

/// "12544x64".
impl fmt::Display for BatchNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.channels)
    }
}
