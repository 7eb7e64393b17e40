//! Element-wise programs: `kernels/elementwise.cu`.

use super::{Launch, Scratch, Slice};

/// The most inputs of a program.
pub const MAX_INPUTS: usize = 10;
/// The most results of a program.
pub const MAX_OUTPUTS: usize = 4;
/// The most sums with which a program ends.
pub const MAX_SUMS: usize = 4;
/// Threads of a block.
const THREADS: usize = 128;
/// The most instructions of a program.
pub const MAX_INSTRUCTIONS: usize = 14;

macro_rules! opcodes {
    ($($name:ident)*) => {
        /// What an instruction does, as the kernel numbers it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        #[expect(missing_docs, reason = "named as the ops")]
        pub enum Opcode { $($name),* }

        /// Every opcode, in the order of their numbers.
        #[cfg(test)]
        const OPCODES: &[Opcode] = &[$(Opcode::$name),*];
    };
}

opcodes! {
    Constant Uniform Normal Bernoulli
    Add Sub Mul Div StepMul ClipMul
    Neg AddScalar MulScalar Exp Log Sqrt Square Abs Sign Tanh Sigmoid Softplus Relu LeakyRelu Clip Rsqrt
    Copy
}

/// An opcode with its constants and its operands: registers. Those of the inputs come first, then each instruction writes
/// the next one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Instruction {
    pub(super) code: Opcode,
    a: usize,
    b: usize,
    pub(super) stream: u32,
    pub(super) word: u32,
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Instruction {
    /// An op with up to two constants; its operands are both register 0 until [`Instruction::on`] says.
    pub const fn new(code: Opcode, [x, y]: [f32; 2]) -> Instruction {
        Instruction {
            code,
            a: 0,
            b: 0,
            stream: 0,
            word: 0,
            x,
            y,
        }
    }

    /// One number everywhere.
    pub const fn constant(value: f32) -> Instruction {
        Instruction::new(Opcode::Constant, [value, 0.0])
    }

    /// As [`crate::cpu::rng::uniform`].
    pub fn uniform(stream: u32, lo: f32, hi: f32) -> Instruction {
        Instruction {
            stream,
            word: hi.next_down().to_bits(),
            ..Instruction::new(Opcode::Uniform, [lo, hi - lo])
        }
    }

    /// As [`crate::cpu::rng::normal`].
    pub fn normal(stream: u32, mean: f32, sd: f32) -> Instruction {
        Instruction {
            stream,
            ..Instruction::new(Opcode::Normal, [mean, sd])
        }
    }

    /// As [`crate::cpu::rng::bernoulli`].
    pub fn bernoulli(stream: u32, p: f32, value: f32) -> Instruction {
        Instruction {
            stream,
            word: (f64::from(p) * 4_294_967_296.0) as u32,
            ..Instruction::new(Opcode::Bernoulli, [value, p])
        }
    }

    /// On these registers; an op of one operand reads `a`.
    pub const fn on(self, a: usize, b: usize) -> Instruction {
        Instruction { a, b, ..self }
    }

    /// As the kernel takes it: opcode, operands, stream, word, constants.
    pub fn words(&self) -> [u32; 7] {
        let Instruction {
            code, a, b, x, y, ..
        } = *self;
        let bits = [x.to_bits(), y.to_bits()];
        [
            code as u32,
            count(a),
            count(b),
            self.stream,
            self.word,
            bits[0],
            bits[1],
        ]
    }
}

/// How element i of a program finds its number in an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// At i.
    Full,
    /// There is one number.
    Scalar,
    /// At i mod the input's length.
    Row,
    /// At i / repeat.
    Column {
        /// How often each number is repeated.
        repeat: usize,
    },
}

/// A program over `elements` elements.
#[derive(Clone, Debug)]
pub struct Program {
    /// How many elements.
    pub elements: usize,
    /// What is read, and how.
    pub inputs: Vec<(Slice, Access)>,
    /// What is done, in order.
    pub instructions: Vec<Instruction>,
    /// Which registers are written where.
    pub outputs: Vec<(Slice, usize)>,
}

impl Program {
    /// Whether it draws random numbers.
    fn draws(&self) -> bool {
        let random = [Opcode::Uniform, Opcode::Normal, Opcode::Bernoulli];
        self.instructions.iter().any(|i| random.contains(&i.code))
    }
}

/// Runs a program; random numbers are drawn with the key and step at `control`.
///
/// # Panics
/// Where an array has another length than its access needs, or the program is too long.
pub fn run(program: &Program, control: Slice<u64>) -> Launch {
    launch("elementwise_v2_vector_f32", 4, program, control)
}

/// A copy of `from` to `to`.
pub fn copy(from: Slice, to: Slice) -> Program {
    Program {
        elements: from.len(),
        inputs: vec![(from, Access::Full)],
        instructions: vec![Instruction::new(Opcode::Copy, [0.0; 2])],
        outputs: vec![(to, 1)],
    }
}

/// As [`run`], by the ladder's first kernel: an element per thread.
pub fn naive(program: &Program, control: Slice<u64>) -> Launch {
    launch("elementwise_v1_naive_f32", 1, program, control)
}

/// Whether two programs do the same to different arrays, each of which is read at the program's element or is a single
/// number: [`many`] runs such programs.
pub fn alike(a: &Program, b: &Program) -> bool {
    let is_simple = |i: &(Slice, Access)| matches!(i.1, Access::Full | Access::Scalar);
    // Of a single element both are the same.
    let is_single = a.elements.min(b.elements) == 1;
    let mut inputs = a.inputs.iter().zip(&b.inputs);
    let mut outputs = a.outputs.iter().zip(&b.outputs);
    a.instructions == b.instructions
        && a.inputs.len() == b.inputs.len()
        && inputs.all(|(a, b)| is_simple(a) && is_simple(b) && (is_single || a.1 == b.1))
        && a.outputs.len() == b.outputs.len()
        && outputs.all(|(a, b)| a.1 == b.1)
        && !a.draws()
}

/// The table by which [`many`] finds its arrays.
pub fn table(programs: &[&Program]) -> Vec<u64> {
    let (mut table, mut first_block) = (Vec::new(), 0);
    for p in programs {
        table.push(pair(count(p.elements), first_block));
        let mut inputs: Vec<u64> = p.inputs.iter().map(|i| i.0.address()).collect();
        inputs.resize(MAX_INPUTS, 0);
        let mut outputs: Vec<u64> = p.outputs.iter().map(|o| o.0.address()).collect();
        outputs.resize(MAX_OUTPUTS, 0);
        table.extend(inputs.into_iter().chain(outputs));
        first_block += blocks(p);
    }
    table
}

/// Blocks of a program in [`many`].
fn blocks(program: &Program) -> u32 {
    count(program.elements.div_ceil(4 * THREADS))
}

/// Runs programs that are alike in one launch; `table` on the device holds [`table`] of them.
///
/// # Panics
/// Where they are not alike, or the table has another length.
pub fn many(programs: &[&Program], table: Slice<u64>) -> Launch {
    let largest = programs.iter().max_by_key(|p| p.elements);
    let largest = *largest.expect("a program");
    assert!(
        programs.iter().all(|p| alike(largest, p)),
        "different programs"
    );
    let words = programs.len() * (1 + MAX_INPUTS + MAX_OUTPUTS);
    assert_eq!(table.len(), words, "a table of {}", programs.len());
    let all = programs.iter().map(|p| blocks(p) as usize).sum::<usize>();
    let registers = largest.inputs.len() + largest.instructions.len();
    let launch = Launch::new("elementwise", "elementwise_v2_many_f32")
        .block(THREADS as u32, registers * THREADS * 16)
        .grid([all, 1, 1])
        .longs(&longs(largest, Slice::NONE))
        .reads(table)
        .u32(programs.len());
    programs.iter().fold(launch, |launch, p| touches(launch, p))
}

/// Notes a program's arrays.
fn touches(launch: Launch, program: &Program) -> Launch {
    let inputs = program.inputs.iter();
    let launch = inputs.fold(launch, |launch, i| launch.touches(i.0, false));
    let outputs = program.outputs.iter();
    outputs.fold(launch, |launch, o| launch.touches(o.0, true))
}

/// Runs a program over elements [groups, terms, width], and sums registers over the terms, each to its array, in the order of
/// [`super::reduce::sum`]. One launch, or two where the sums are few and long.
///
/// # Panics
/// As [`run`]; for more than [`MAX_SUMS`] sums; for several groups and a width beside 1.
pub fn sums(
    program: &Program,
    sums: &[(usize, Slice)],
    sizes: [usize; 3],
    control: Slice<u64>,
    scratch: &mut Scratch,
) -> Vec<Launch> {
    let [groups, terms, width] = sizes;
    let outputs = groups * width;
    let registers = program.inputs.len() + program.instructions.len();
    let fits = |(register, y): &(usize, Slice)| *register < registers && y.len() == outputs;
    assert!(
        program.elements == groups * terms * width && sums.iter().all(fits),
        "a sum of {sizes:?}"
    );
    let (part, parts) = super::reduce::parts([1, 1, groups, terms, width]);
    if parts == 1 {
        return vec![sums_of_part(program, sums, sizes, (part, 1), control)];
    }
    let partial = sums.iter().map(|_| scratch.take(parts * outputs, 0).0);
    let partial: Vec<Slice> = partial.collect();
    let first = sums.iter().zip(&partial);
    let first: Vec<(usize, Slice)> = first.map(|((register, _), p)| (*register, *p)).collect();
    let mut launches = vec![sums_of_part(program, &first, sizes, (part, parts), control)];
    // Where room is only measured there are none.
    if partial.iter().all(|p| p.len() == parts * outputs) {
        let add = Program {
            elements: parts * outputs,
            inputs: partial.into_iter().map(|p| (p, Access::Full)).collect(),
            instructions: Vec::new(),
            outputs: Vec::new(),
        };
        let ys = sums.iter().enumerate();
        let ys: Vec<(usize, Slice)> = ys.map(|(i, (_, y))| (i, *y)).collect();
        launches.push(sums_of_part(
            &add,
            &ys,
            [1, parts, outputs],
            (parts, 1),
            control,
        ));
    }
    launches
}

/// The launch that sums each part of `part` terms by itself, to [parts, groups, width].
fn sums_of_part(
    program: &Program,
    sums: &[(usize, Slice)],
    [groups, terms, width]: [usize; 3],
    (part, parts): (usize, usize),
    control: Slice<u64>,
) -> Launch {
    assert!(
        sums.len() <= MAX_SUMS && groups.min(width) == 1,
        "{} sums of {groups} groups, {width} wide",
        sums.len()
    );
    let registers = program.inputs.len() + program.instructions.len();
    let (threads, blocks) = (256, groups * width.div_ceil(32));
    let kernel = match width {
        1 => "elementwise_v1_sum_rows_f32",
        _ => "elementwise_v1_sum_columns_f32",
    };
    let mut from: Vec<u32> = sums.iter().map(|s| count(s.0)).collect();
    let mut ys: Vec<u64> = sums.iter().map(|s| s.1.address()).collect();
    from.resize(MAX_SUMS, 0);
    ys.resize(MAX_SUMS, 0);
    let mut longs_of_sums = vec![
        pair(count(sums.len()), from[0]),
        pair(from[1], from[2]),
        from[3].into(),
    ];
    longs_of_sums.extend(ys);
    let launch = Launch::new("elementwise", kernel)
        .block(threads, registers * threads as usize * 4)
        .grid([blocks, parts, 1])
        .longs(&longs(program, control))
        .longs(&longs_of_sums);
    let launch = match width {
        1 => launch,
        _ => launch.u32(width),
    };
    let launch = touches(launch.u32(terms).u32(part), program);
    let written = |launch: Launch, s: &(usize, Slice)| launch.touches(s.1, true);
    draws(sums.iter().fold(launch, written), program, control)
}

/// Notes that a program reads key and step, if it draws random numbers.
fn draws(launch: Launch, program: &Program, control: Slice<u64>) -> Launch {
    assert_eq!(control.len(), 2, "key and step");
    match program.draws() {
        true => launch.touches(control, false),
        false => launch,
    }
}

/// A kernel whose threads compute `each` elements.
fn launch(kernel: &str, each: usize, program: &Program, control: Slice<u64>) -> Launch {
    let registers = program.inputs.len() + program.instructions.len();
    let launch = Launch::new("elementwise", kernel)
        .block(THREADS as u32, registers * THREADS * 4 * each)
        .threads(program.elements.div_ceil(each))
        .longs(&longs(program, control));
    draws(touches(launch, program), program, control)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("sizes are checked before")
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The struct of the kernels.
fn longs(program: &Program, control: Slice<u64>) -> Vec<u64> {
    let Program {
        elements,
        inputs,
        instructions,
        outputs,
    } = program;
    let sizes = [inputs.len(), instructions.len(), outputs.len()];
    let most = [MAX_INPUTS, MAX_INSTRUCTIONS, MAX_OUTPUTS];
    assert!(
        sizes.iter().zip(most).all(|(n, most)| *n <= most),
        "a program of {sizes:?}"
    );
    let mut longs = vec![
        control.address(),
        pair(count(*elements), count(inputs.len())),
        pair(count(instructions.len()), count(outputs.len())),
    ];
    for (slice, access) in inputs {
        let (code, period, len) = match *access {
            Access::Full => (0, 0, *elements),
            Access::Scalar => (1, 0, 1),
            Access::Row => (2, slice.len(), slice.len()),
            Access::Column { repeat } => (3, repeat, elements.div_ceil(repeat.max(1))),
        };
        assert!(
            slice.len() >= len,
            "{} numbers read as {access:?} of {elements}",
            slice.len()
        );
        longs.extend([slice.address(), pair(code, count(period))]);
    }
    longs.resize(3 + 2 * MAX_INPUTS, 0);
    let registers = inputs.len() + instructions.len();
    for (slice, register) in outputs {
        assert!(
            slice.len() >= *elements && *register < registers,
            "a result of {elements}"
        );
        longs.extend([slice.address(), count(*register).into()]);
    }
    longs.resize(3 + 2 * (MAX_INPUTS + MAX_OUTPUTS), 0);
    let mut words = Vec::new();
    for (i, instruction) in instructions.iter().enumerate() {
        assert!(
            instruction.a.max(instruction.b) < inputs.len() + i.max(1),
            "instruction {i} reads a later register"
        );
        words.extend(instruction.words());
    }
    words.resize(7 * MAX_INSTRUCTIONS, 0);
    longs.extend(
        words
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[low, high]| pair(*low, *high)),
    );
    longs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_have_the_kernels_numbers() {
        let source = include_str!("../../../../kernels/elementwise.cu");
        let (_, list) = source.split_once("enum Code {").expect("the enum");
        let (list, _) = list.split_once('}').expect("its end");
        let kernel: Vec<String> = list
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty())
            .map(|word| word.replace('_', "").to_lowercase())
            .collect();
        let here = OPCODES
            .iter()
            .map(|code| format!("{code:?}").to_lowercase());
        assert_eq!(here.collect::<Vec<_>>(), kernel);
    }
}
