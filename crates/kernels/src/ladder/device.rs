//! The ladders' GPU kernels: entries of the shipped PTX.

use std::sync::Arc;

use super::work::STREAM;
use super::{Kernel, Rung, Work};
use crate::cpu::gemm::Shape3;
use crate::cuda::elementwise::{self, Access, Instruction, Opcode, Program};
use crate::cuda::matmul::{self, Epilogue};
use crate::cuda::{
    Buffer, Captured, Device, Error, Launch, Precision, Result, Scratch, Slice, maxout, reduce,
};

/// What one graph runs several times, with the memory that it works on.
struct Graphs<F> {
    device: Device,
    /// The work so many times over.
    capture: F,
    graph: Option<(usize, Captured)>,
    memory: Arc<Memory>,
}

pub(super) struct Memory {
    pub inputs: Vec<Buffer>,
    pub result: Buffer,
    /// The indices of maxima, or P; a layer's moments, or the sums of its gradient.
    pub beside: Buffer,
    sums: Buffer,
    counters: Buffer<u32>,
    /// The random stream's key and step.
    pub control: Buffer<u64>,
}

impl<F: FnMut(&Device, usize) -> Result<Captured>> Kernel for Graphs<F> {
    fn prepare(&mut self, times: usize) -> Result<()> {
        if self.graph.as_ref().is_none_or(|g| g.0 != times) {
            self.graph = None;
            self.graph = Some((times, (self.capture)(&self.device, times)?));
        }
        Ok(())
    }

    fn run(&mut self, times: usize) -> Result<f64> {
        self.prepare(times)?;
        self.graph.as_ref().map_or(Ok(0.0), |g| g.1.time(1))
    }

    fn spoil(&mut self) -> Result<()> {
        let result = &self.memory.result;
        result.write(&vec![f32::NAN; result.slice().len()])
    }

    fn result(&mut self) -> Result<Vec<f32>> {
        self.memory.read_result()
    }
}

fn graphs(
    device: &Device,
    memory: &Arc<Memory>,
    capture: impl FnMut(&Device, usize) -> Result<Captured> + Send + 'static,
) -> Box<dyn Kernel + Send> {
    Box::new(Graphs {
        device: device.clone(),
        capture,
        graph: None,
        memory: Arc::clone(memory),
    })
}

/// A rung to be.
pub(super) struct Plan {
    /// That of its kernel.
    pub name: String,
    /// What it does.
    pub about: &'static str,
    pub launches: Vec<Launch>,
    /// Its operations, where they are not those of the work.
    pub executed: Option<u64>,
}

impl Plan {
    /// Launches of which the last one has the name.
    pub fn new(about: &'static str, launches: Vec<Launch>) -> Plan {
        Plan {
            name: launches.last().map_or("", |l| l.kernel()).to_string(),
            about,
            launches,
            executed: None,
        }
    }
}

/// The rungs, and what is missing among them.
pub(super) fn rungs(
    work: Work,
    inputs: &[Vec<f32>],
    device: &Device,
) -> Result<(Vec<Rung>, Option<String>)> {
    // A first pass notes how much memory sums need.
    let mut scratch = Scratch::measure();
    let mut memory = Memory::new(work, inputs, &scratch, device)?;
    plans(work, &memory, device, &mut scratch)?;
    (memory.sums, memory.counters) = sums_and_counters(&scratch, device)?;
    let mut scratch = Scratch::of(memory.sums.slice(), memory.counters.slice());
    let plans = plans(work, &memory, device, &mut scratch)?;
    let used = plans.iter().rposition(|p| is_f32(&p.launches));
    let memory = Arc::new(memory);
    let rung = |(i, plan): (usize, Plan)| {
        let launches = plan.launches;
        device.load(&launches)?;
        Ok(Rung {
            name: plan.name,
            about: plan.about,
            is_used: Some(i) == used,
            executed: plan.executed.unwrap_or(work.flops()),
            kernel: graphs(device, &memory, move |device, times| {
                device.capture(&launches, times)
            }),
        })
    };
    let mut rungs = plans
        .into_iter()
        .enumerate()
        .map(rung)
        .collect::<Result<Vec<Rung>>>()?;
    let Work::Product { ta, tb, dims } = work else {
        return Ok((rungs, None));
    };
    let [a, b] = [0, 1].map(|i| memory.inputs[i].slice());
    let (form, arrays) = ((ta, tb), [a, b, memory.result.slice()]);
    if let Err(missing) = device.capture_library(form, dims, arrays, 1)? {
        return Ok((rungs, Some(missing)));
    }
    let capture = move |device: &Device, times| {
        let captured = device.capture_library(form, dims, arrays, times)?;
        captured.map_err(|reason| Error::Driver {
            call: "cuBLAS",
            reason,
        })
    };
    let library = Rung {
        name: "cublas".to_string(),
        about: "the vendor's library, f32 without TF32",
        is_used: false,
        executed: work.flops(),
        kernel: graphs(device, &memory, capture),
    };
    rungs.insert(1, library); // after the naive kernel, which stays the first
    Ok((rungs, None))
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
            Work::BatchNorm(work) => 2 * work.channels,
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

fn plans(work: Work, memory: &Memory, device: &Device, scratch: &mut Scratch) -> Result<Vec<Plan>> {
    let x: Vec<Slice> = memory.inputs.iter().map(Buffer::slice).collect();
    let (y, beside) = (memory.result.slice(), memory.beside.slice());
    Ok(match work {
        Work::Product { ta, tb, dims } => {
            let (form, mut plans): (_, Vec<Plan>) = ((ta, tb), Vec::new());
            for precision in precisions(device) {
                let rungs = matmul::ladder(form, dims, x[0], x[1], y, precision, scratch);
                let rungs = rungs.into_iter();
                plans.extend(rungs.map(|(about, launch)| Plan::new(about, vec![launch])));
            }
            plans
        }
        Work::Maxout { pieces, .. } => {
            let launch = maxout::maxout(x[0], Some(y), Some(beside), pieces);
            vec![Plan::new("one thread per unit", vec![launch])]
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
            let mut plans = vec![Plan {
                executed: Some(2 * (inputs * batch * wide) as u64),
                ..Plan::new("P materialised, then a matrix product", dense)
            }];
            for precision in precisions(device) {
                let read =
                    matmul::maxout_gradient(true, put, x[0], inputs, y, store, precision, scratch);
                // Few rows stay in f32.
                let read = vec![read];
                if is_f32(&read) == (precision == Precision::F32) {
                    plans.push(Plan::new("P read as dy and index", read));
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
            let about = "32 sums per block of 8 rows of threads, long sums in parts";
            vec![
                Plan::new("one thread per sum", reduce::naive(x[0], y, shape)),
                Plan::new(about, reduce::sum(x[0], y, shape, scratch)),
            ]
        }
        Work::Convolution(work) => work.on_device(memory, device, scratch)?,
        Work::BatchNorm(work) => work.on_device(memory, scratch),
        Work::MeanPool(work) => work.on_device(memory),
        Work::MaxPool(work) => work.on_device(memory),
    })
}

/// Those that the device has, f32 first.
pub(super) fn precisions(device: &Device) -> impl Iterator<Item = Precision> {
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
    let [naive, used] = [elementwise::naive, elementwise::run].map(|f| vec![f(program, control)]);
    vec![
        Plan::new("one element per thread", naive),
        Plan::new("four elements per thread, 16-byte accesses", used),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::pretend::Pretend;
    use crate::ladder::{Error, Ladder};

    const WORK: Work = Work::Maxout {
        batch: 3,
        units: 7,
        pieces: 5,
    };

    #[test]
    fn kernels_that_write_nothing_are_refused() {
        // Also where the result of another rung is right: kernels of this device do nothing at all.
        let pretend = Pretend::default();
        let mut ladder = Ladder::on_device(WORK, &pretend.device()).expect("memory");
        let refused = ladder.verify().expect_err("nothing was computed");
        assert!(
            matches!(refused, Error::Wrong { got, .. } if got.is_nan()),
            "{refused}"
        );
    }

    #[test]
    fn a_rung_without_launches_is_refused_though_the_result_is_there() {
        let device = Pretend::default().device();
        let mut ladder = Ladder::on_device(WORK, &device).expect("memory");
        let inputs = WORK.inputs();
        let largest = |x: &[f32]| x.iter().copied().fold(f32::MIN, f32::max);
        let right: Vec<f32> = inputs[0].chunks(5).map(largest).collect();
        let scratch = Scratch::measure();
        let memory = Arc::new(Memory::new(WORK, &inputs, &scratch, &device).expect("memory"));
        memory.result.write(&right).expect("written");
        ladder.rungs[0].kernel = graphs(&device, &memory, |device, n| device.capture(&[], n));
        assert!(matches!(ladder.verify(), Err(Error::Wrong { .. })));
    }

    #[test]
    fn many_runs_are_one_call_of_the_driver() {
        let pretend = Pretend::default();
        let mut ladder = Ladder::on_device(WORK, &pretend.device()).expect("memory");
        for rung in &mut ladder.rungs {
            rung.prepare(1000).expect("captured");
            let before = pretend.calls();
            rung.run(1000).expect("runs");
            assert!(pretend.calls() - before <= 2, "{}", rung.name);
        }
    }
}
