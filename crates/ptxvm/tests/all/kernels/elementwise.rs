//! Element-wise programs: every op of the tensor crate, and programs of several.

use super::{Arg, Device, Pointer, assert_same, everywhere, numbers, on_cpu};
use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_kernels::cuda::elementwise::Opcode;
use ganforge_ptxvm::{Counts, Launch};
use ganforge_tensor::gradcheck::draw;
use ganforge_tensor::ops::{self, Kind, Op};

const VARIANTS: [(&str, u32, usize); 2] = [
    ("elementwise_v1_naive_f32", 1, 4),
    ("elementwise_v2_vector_f32", 4, 16),
];
const SIZES: [usize; 8] = [1, 2, 3, 4, 5, 127, 513, 1030];

const CONSTANT: u32 = Opcode::Constant as u32;
const UNIFORM: u32 = Opcode::Uniform as u32;
const NORMAL: u32 = Opcode::Normal as u32;
const BERNOULLI: u32 = Opcode::Bernoulli as u32;
const ADD: u32 = Opcode::Add as u32;
const MUL: u32 = Opcode::Mul as u32;
const SOFTPLUS: u32 = Opcode::Softplus as u32;
const RELU: u32 = Opcode::Relu as u32;

/// code, a, b, stream, word, x, y
type Inst = (u32, u32, u32, u32, u32, f32, f32);

/// An op on the first registers.
fn inst(op: &Op) -> Inst {
    let instruction = op.instruction().expect("an element-wise op has one");
    let [code, a, b, stream, word, x, y] = instruction.on(0, op.arity() - 1).words();
    (
        code,
        a,
        b,
        stream,
        word,
        f32::from_bits(x),
        f32::from_bits(y),
    )
}

/// A program as the kernel takes it: inputs (data, access, period), outputs (data, register).
#[derive(Default)]
struct Program {
    control: u64,
    elements: u32,
    inputs: Vec<(u64, u32, u32)>,
    outputs: Vec<(u64, u32)>,
    insts: Vec<Inst>,
}

const FULL: u32 = 0;
const SCALAR: u32 = 1;
const ROW: u32 = 2;
const COLUMN: u32 = 3;

impl Program {
    fn bytes(&self) -> Arg {
        let mut bytes = self.control.to_le_bytes().to_vec();
        let sizes = [
            self.elements,
            self.inputs.len() as u32,
            self.insts.len() as u32,
            self.outputs.len() as u32,
        ];
        bytes.extend(sizes.iter().flat_map(|n| n.to_le_bytes()));
        for i in 0..10 {
            let (data, access, period) = self.inputs.get(i).copied().unwrap_or_default();
            bytes.extend(data.to_le_bytes());
            bytes.extend([access, period].iter().flat_map(|n| n.to_le_bytes()));
        }
        for o in 0..4 {
            let (data, from) = self.outputs.get(o).copied().unwrap_or_default();
            bytes.extend(data.to_le_bytes());
            bytes.extend([from, 0].iter().flat_map(|n| n.to_le_bytes()));
        }
        for i in 0..14 {
            let (code, a, b, stream, word, x, y) = self.insts.get(i).copied().unwrap_or_default();
            let words = [code, a, b, stream, word, x.to_bits(), y.to_bits()];
            bytes.extend(words.iter().flat_map(|n| n.to_le_bytes()));
        }
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        Arg::Bytes(bytes)
    }

    fn run(
        &self,
        device: &mut Device,
        (kernel, each, register): (&str, u32, usize),
    ) -> Option<Counts> {
        let launch = Launch {
            shared: (self.inputs.len() + self.insts.len()) * 128 * register,
            ..Launch::new(self.elements.div_ceil(128 * each), 128)
        };
        device.launch(kernel, launch, &[self.bytes()])
    }
}

#[test]
fn every_op_has_the_cpus_bits() {
    everywhere(|| {
        let mut device = Device::new("elementwise");
        let mut seen = 0;
        for sample in ops::samples() {
            if sample.op.kind() != Kind::Elementwise {
                continue;
            }
            seen += 1;
            for n in SIZES {
                let shape = [n];
                let data: Vec<Vec<f32>> = (sample.inputs.iter().zip(1..))
                    .map(|(input, seed)| draw(&ops::input(&shape, input.range), seed))
                    .collect();
                let inputs: Vec<(&[usize], &[f32])> =
                    data.iter().map(|d| (&shape[..], &d[..])).collect();
                let (_, expected) = on_cpu(&inputs, &|g, x| g.record(sample.op, x));
                for variant in VARIANTS {
                    let y = device.space("y", n);
                    let mut program = Program {
                        elements: n as u32,
                        insts: vec![inst(&sample.op)],
                        outputs: vec![(address(y), data.len() as u32)],
                        ..Program::default()
                    };
                    for d in &data {
                        let x = device.memory.alloc_f32("x", d);
                        program.inputs.push((address(x), FULL, 0));
                    }
                    program.run(&mut device, variant);
                    let what = format!("{} of {n} in {}", sample.op.name(), variant.0);
                    assert_same(&what, &device.read(y), &expected);
                }
            }
        }
        assert!(seen >= 21, "only {seen} ops");
    });
}

fn address(p: Pointer) -> u64 {
    p.address()
}

#[test]
fn special_values_take_the_cpus_way() {
    everywhere(|| {
        let x = [
            f32::NAN,
            f32::INFINITY,
            -f32::INFINITY,
            0.0,
            -0.0,
            1e-45,
            -1e-40,
            89.0,
            -104.5,
            3e38,
        ];
        let mut device = Device::new("elementwise");
        for sample in ops::samples() {
            if sample.op.kind() != Kind::Elementwise {
                continue;
            }
            let mut other = x;
            other.rotate_left(3);
            let both: [(&[usize], &[f32]); 2] = [(&[10], &x), (&[10], &other)];
            let (_, expected) =
                on_cpu(&both[..sample.inputs.len()], &|g, x| g.record(sample.op, x));
            for variant in VARIANTS {
                let y = device.space("y", 10);
                let inputs =
                    [x, other].map(|d| (address(device.memory.alloc_f32("x", &d)), FULL, 0));
                let program = Program {
                    elements: 10,
                    inputs: inputs[..sample.inputs.len()].to_vec(),
                    outputs: vec![(address(y), sample.inputs.len() as u32)],
                    insts: vec![inst(&sample.op)],
                    ..Program::default()
                };
                program.run(&mut device, variant);
                let what = format!("{} in {}", sample.op.name(), variant.0);
                assert_same(&what, &device.read(y), &expected);
            }
        }
    });
}

#[test]
fn programs_read_rows_columns_and_scalars_and_write_in_place() {
    everywhere(|| {
        // y = softplus(x + row), x = relu(y · column + scalar), in place; rows of 6 and of 8 (which are read as vectors).
        for (rows, width) in [(1, 1), (7, 6), (33, 8), (5, 131)] {
            let n = rows * width;
            let (x, row, column) = (numbers(n, 1), numbers(width, 2), numbers(rows, 3));
            for variant in VARIANTS {
                let mut device = Device::new("elementwise");
                let [px, prow, pcolumn, pscalar] =
                    [&x[..], &row, &column, &[0.25]].map(|d| device.memory.alloc_f32("in", d));
                let y = device.space("y", n);
                let program = Program {
                    elements: n as u32,
                    inputs: vec![
                        (address(px), FULL, 0),
                        (address(prow), ROW, width as u32),
                        (address(pcolumn), COLUMN, width as u32),
                        (address(pscalar), SCALAR, 0),
                    ],
                    insts: vec![
                        (ADD, 0, 1, 0, 0, 0.0, 0.0),
                        (SOFTPLUS, 4, 0, 0, 0, 0.0, 0.0),
                        (MUL, 5, 2, 0, 0, 0.0, 0.0),
                        (ADD, 6, 3, 0, 0, 0.0, 0.0),
                        (RELU, 7, 0, 0, 0, 0.0, 0.0),
                    ],
                    outputs: vec![(address(y), 5), (address(px), 8)],
                    ..Program::default()
                };
                program.run(&mut device, variant);
                let feeds: [(&[usize], &[f32]); 4] = [
                    (&[rows, width], &x),
                    (&[width], &row),
                    (&[rows, 1], &column),
                    (&[], &[0.25]),
                ];
                let (_, soft) = on_cpu(&feeds[..2], &|_, x| (x[0] + x[1]).softplus());
                let (_, last) = on_cpu(&feeds, &|_, x| {
                    ((x[0] + x[1]).softplus() * x[2] + x[3]).relu()
                });
                let what = format!("{rows} x {width} in {}", variant.0);
                assert_same(&what, &device.read(y), &soft);
                assert_same(&what, &device.read(px), &last);
            }
        }
    });
}

#[test]
fn programs_draw_the_cpus_random_numbers() {
    everywhere(|| {
        let stream = RandomStream {
            key: 99,
            stream: 0x8000_0001,
            counter: 3,
        };
        for n in SIZES {
            for variant in VARIANTS {
                let mut device = Device::new("elementwise");
                let control = device
                    .memory
                    .alloc_u64("control", &[stream.key, stream.counter]);
                let spaces = [(); 4].map(|()| device.space("y", n));
                let top = 2f32.next_down().to_bits();
                let limit = (f64::from(0.3f32) * 4_294_967_296.0) as u32;
                let program = Program {
                    control: address(control),
                    elements: n as u32,
                    insts: vec![
                        (CONSTANT, 0, 0, 0, 0, 0.1, 0.0),
                        (UNIFORM, 0, 0, stream.stream, top, -1.5, 3.5),
                        (NORMAL, 0, 0, stream.stream, 0, 1.0, 0.5),
                        (BERNOULLI, 0, 0, stream.stream, limit, 1.25, 0.0),
                    ],
                    outputs: (0..4).map(|i| (address(spaces[i]), i as u32)).collect(),
                    ..Program::default()
                };
                program.run(&mut device, variant);
                let mut expected = [(); 4].map(|()| vec![0.1; n]);
                rng::uniform(stream, 0, -1.5, 2.0, &mut expected[1]);
                rng::normal(stream, 0, 1.0, 0.5, &mut expected[2]);
                rng::bernoulli(stream, 0, 0.3, 1.25, &mut expected[3]);
                for (space, expected) in spaces.iter().zip(&expected) {
                    assert_same(variant.0, &device.read(*space), expected);
                }
            }
        }
    });
}

#[test]
fn vectors_are_coalesced_and_free_of_bank_conflicts() {
    let n = 1024;
    let mut device = Device::new("elementwise");
    let x = device.memory.alloc_f32("x", &numbers(n, 1));
    let y = device.space("y", n);
    let program = Program {
        elements: n as u32,
        inputs: vec![(address(x), FULL, 0)],
        insts: vec![(RELU, 0, 0, 0, 0, 0.0, 0.0)],
        outputs: vec![(address(y), 1)],
        ..Program::default()
    };
    let counts = program.run(&mut device, VARIANTS[1]);
    let counts = counts.expect("the interpreter counts");
    assert_eq!(counts.global_loads.sectors, 4 * n as u64 / 32);
    assert_eq!(counts.global_stores.sectors, 4 * n as u64 / 32);
    assert_eq!(
        counts.shared_loads.conflicts() + counts.shared_stores.conflicts(),
        0
    );
}

#[test]
fn one_launch_runs_a_program_at_many_places() {
    everywhere(|| {
        let mut device = Device::new("elementwise");
        let scale = device.put("scale", &[0.7]);
        let Arg::Pointer(scale) = scale else {
            unreachable!("a pointer was put")
        };
        // p = p + (s · g), of each size; blocks of 512 elements.
        let data: Vec<[Vec<f32>; 2]> = (SIZES.iter().zip(1..))
            .map(|(&n, seed)| [numbers(n, seed), numbers(n, seed + 20)])
            .collect();
        let places: Vec<[Pointer; 2]> = data
            .iter()
            .map(|d| d.each_ref().map(|x| device.memory.alloc_f32("tensor", x)))
            .collect();
        let (mut table, mut blocks) = (Vec::new(), 0);
        for (&n, [p, g]) in SIZES.iter().zip(&places) {
            table.push(n as u64 | blocks << 32);
            let mut inputs = [0; 10];
            inputs[..3].copy_from_slice(&[address(*p), address(*g), address(scale)]);
            table.extend(inputs);
            table.extend([address(*p), 0, 0, 0]);
            blocks += n.div_ceil(512) as u64;
        }
        let program = Program {
            inputs: vec![(0, FULL, 0), (0, FULL, 0), (0, SCALAR, 0)],
            insts: vec![(MUL, 1, 2, 0, 0, 0.0, 0.0), (ADD, 0, 3, 0, 0, 0.0, 0.0)],
            outputs: vec![(0, 4)],
            ..Program::default()
        };
        let table = Arg::Pointer(device.memory.alloc_u64("table", &table));
        let args = [program.bytes(), table, Arg::U32(SIZES.len() as u32)];
        let launch = Launch {
            shared: 5 * 128 * 16,
            ..Launch::new(blocks as u32, 128)
        };
        device.launch("elementwise_v2_many_f32", launch, &args);
        for (n, ([p, g], place)) in SIZES.iter().zip(data.iter().zip(&places)) {
            let expected: Vec<f32> = p.iter().zip(g).map(|(p, g)| p + 0.7 * g).collect();
            assert_same(&format!("{n} elements"), &device.read(place[0]), &expected);
        }
    });
}
