//! The ladders' GPU kernels: entries of the shipped PTX.

use std::sync::Arc;

use super::work::STREAM;
use super::{Kernel, Rung, Work};
use crate::cpu::gemm::Shape3;
use crate::cuda::elementwise::{self, Access, Instruction, Opcode, Program};
use crate::cuda::matmul::{self, Epilogue};
use crate::cuda::{Buffer, Device, Launch, Precision, Result, Scratch, Slice, maxout, reduce};

/// Launches with the memory that they work on.
struct Launches {
    device: Device,
    launches: Vec<Launch>,
    memory: Arc<Memory>,
}

struct Memory {
    inputs: Vec<Buffer>,
    result: Buffer,
    /// The indices of maxout, or P.
    beside: Buffer,
    sums: Buffer,
    counters: Buffer<u32>,
    /// The random stream's key and step.
    control: Buffer<u64>,
}

impl Kernel for Launches {
    fn run(&mut self, times: usize) -> Result<()> {
        for _ in 0..times {
            self.device.run(&self.launches)?;
        }
        self.device.synchronise()
    }

    fn result(&mut self) -> Result<Vec<f32>> {
        self.memory.read_result()
    }
}

/// The vendor's library at the same product.
struct Library {
    device: Device,
    form: (bool, bool),
    dims: Shape3,
    memory: Arc<Memory>,
}

impl Library {
    fn launch(&self) -> Result<bool> {
        let [a, b] = [0, 1].map(|i| self.memory.inputs[i].slice());
        let c = self.memory.result.slice();
        self.device.library_product(self.form, self.dims, [a, b, c])
    }
}

impl Kernel for Library {
    fn run(&mut self, times: usize) -> Result<()> {
        for _ in 0..times {
            self.launch()?;
        }
        self.device.synchronise()
    }

    fn result(&mut self) -> Result<Vec<f32>> {
        self.memory.read_result()
    }
}

/// A rung to be: what it does, and its launches.
type Plan = (&'static str, Vec<Launch>);

pub(super) fn rungs(work: Work, inputs: &[Vec<f32>], device: &Device) -> Result<Vec<Rung>> {
    // A first pass notes how much memory sums need.
    let mut scratch = Scratch::measure();
    let mut memory = Memory::new(work, inputs, &scratch, device)?;
    plans(work, &memory, device, &mut scratch);
    (memory.sums, memory.counters) = sums_and_counters(&scratch, device)?;
    let mut scratch = Scratch::of(memory.sums.slice(), memory.counters.slice());
    let plans = plans(work, &memory, device, &mut scratch);
    let used = plans.iter().rposition(|(_, l)| is_f32(l));
    let memory = Arc::new(memory);
    let rung = |(i, (about, launches)): (usize, Plan)| {
        device.load(&launches)?;
        Ok(Rung {
            name: launches
                .last()
                .map_or(String::new(), |l| l.kernel().to_string()),
            about,
            is_used: Some(i) == used,
            kernel: Box::new(Launches {
                device: device.clone(),
                launches,
                memory: memory.clone(),
            }),
        })
    };
    let mut rungs = plans
        .into_iter()
        .enumerate()
        .map(rung)
        .collect::<Result<Vec<Rung>>>()?;
    if let Work::Product { ta, tb, dims } = work {
        let (device, memory) = (device.clone(), memory.clone());
        let library = Library {
            device,
            form: (ta, tb),
            dims,
            memory,
        };
        if library.launch()? {
            // After the naive kernel, which stays the first.
            rungs.insert(
                1,
                Rung {
                    name: "cublas".to_string(),
                    about: "the vendor's library, f32 without TF32",
                    is_used: false,
                    kernel: Box::new(library),
                },
            );
        }
    }
    Ok(rungs)
}

fn is_f32(launches: &[Launch]) -> bool {
    launches.iter().all(|l| l.kernel().ends_with("_f32"))
}

fn sums_and_counters(scratch: &Scratch, device: &Device) -> Result<(Buffer, Buffer<u32>)> {
    let sums = device.alloc(scratch.sums_needed.max(1))?;
    let counters = device.copy_of(&vec![0; scratch.counters_needed.max(1)])?;
    Ok((sums, counters))
}

impl Memory {
    fn read_result(&self) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.result.slice().len()];
        self.result.read(&mut out)?;
        Ok(out)
    }

    fn new(work: Work, inputs: &[Vec<f32>], scratch: &Scratch, device: &Device) -> Result<Memory> {
        let beside = match work {
            Work::MaxoutWeights {
                batch,
                units,
                pieces,
                ..
            } => batch * units * pieces,
            _ => work.outputs(),
        };
        let (sums, counters) = sums_and_counters(scratch, device)?;
        let inputs = inputs.iter().map(|x| device.copy_of(x));
        Ok(Memory {
            inputs: inputs.collect::<Result<_>>()?,
            result: device.alloc(work.outputs())?,
            beside: device.alloc(beside)?,
            sums,
            counters,
            control: device.copy_of(&[STREAM.key, STREAM.counter])?,
        })
    }
}

fn plans(work: Work, memory: &Memory, device: &Device, scratch: &mut Scratch) -> Vec<Plan> {
    let x: Vec<Slice> = memory.inputs.iter().map(Buffer::slice).collect();
    let (y, beside) = (memory.result.slice(), memory.beside.slice());
    match work {
        Work::Product { ta, tb, dims } => {
            let (form, mut plans): (_, Vec<Plan>) = ((ta, tb), Vec::new());
            for precision in precisions(device) {
                let rungs = matmul::ladder(form, dims, x[0], x[1], y, precision, scratch);
                plans.extend(
                    rungs
                        .into_iter()
                        .map(|(about, launch)| (about, vec![launch])),
                );
            }
            plans
        }
        Work::Maxout { pieces, .. } => {
            vec![(
                "one thread per unit",
                vec![maxout::maxout(x[0], Some(y), Some(beside), pieces)],
            )]
        }
        Work::MaxoutWeights {
            batch,
            inputs,
            units,
            pieces,
        } => {
            let wide = units * pieces;
            let dims = Shape3 {
                m: inputs,
                k: batch,
                n: wide,
            };
            let (store, f32) = (Epilogue::Store, Precision::F32);
            let dense = vec![
                maxout::put(x[1], x[2], beside, pieces),
                matmul::product((true, false), dims, x[0], beside, y, store, f32, scratch),
            ];
            let put = matmul::Put {
                dy: x[1],
                index: x[2],
                batch,
                units,
                pieces,
            };
            let mut plans = vec![("P materialised, then a matrix product", dense)];
            for precision in precisions(device) {
                let read =
                    matmul::maxout_gradient(true, put, x[0], inputs, y, store, precision, scratch);
                // Few rows stay in f32.
                let read = vec![read];
                if is_f32(&read) == (precision == Precision::F32) {
                    plans.push(("P read as dy and index", read));
                }
            }
            plans
        }
        Work::Sigmoid { n } => {
            let instructions = vec![Instruction::new(Opcode::Sigmoid, [0.0; 2])];
            let program = program(n, x[0], y, instructions);
            elementwise_plans(&program, memory.control.slice())
        }
        Work::Dropout { n } => {
            let instructions = vec![
                Instruction::bernoulli(STREAM.stream, 0.5, 2.0),
                Instruction::new(Opcode::Mul, [0.0; 2]).on(0, 1),
            ];
            let program = program(n, x[0], y, instructions);
            elementwise_plans(&program, memory.control.slice())
        }
        Work::SumColumns { rows, columns } => {
            let shape = [1, 1, 1, rows, columns];
            vec![
                ("one thread per sum", reduce::naive(x[0], y, shape)),
                (
                    "32 sums per block of 8 rows of threads, long sums in parts",
                    reduce::sum(x[0], y, shape, scratch),
                ),
            ]
        }
    }
}

/// Those that the device has, f32 first.
fn precisions(device: &Device) -> impl Iterator<Item = Precision> {
    [Precision::F32, Precision::Tf32, Precision::Bf16]
        .into_iter()
        .filter(|p| device.check_precision(*p).is_ok())
}

fn program(elements: usize, x: Slice, y: Slice, instructions: Vec<Instruction>) -> Program {
    Program {
        elements,
        inputs: vec![(x, Access::Full)],
        outputs: vec![(y, instructions.len())],
        instructions,
    }
}

fn elementwise_plans(program: &Program, control: Slice<u64>) -> Vec<Plan> {
    vec![
        (
            "one element per thread",
            vec![elementwise::naive(program, control)],
        ),
        (
            "four elements per thread, 16-byte accesses",
            vec![elementwise::run(program, control)],
        ),
    ]
}
