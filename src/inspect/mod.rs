//! Inspects the GPU kernels without a GPU: [`crate::ptxvm`] interprets each on made-up inputs and counts its instructions and
//! memory traffic.

mod sample;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernels::cuda::{Device, Precision};
use crate::kernels::ptx::{FAMILIES, Family, RESOURCES};
use crate::ptxvm::{Counts, Interpreter, Launch, Module};
use crate::tensor::ops::{self, In, Kind};
use crate::tensor::{Cuda, Executor, Feed, Graph, Plan, Shape, Store, Var, gradcheck};

use sample::Setup;

/// A kernel of a family.
pub struct Kernel {
    /// Its name, such as `matmul_v3_block_nn_f32`.
    pub name: String,
    /// Its family, one `.cu` file.
    pub family: &'static Family,
    /// What its sizes mean.
    pub sizes: Sizes,
}

/// The sizes that a kernel is run on: none of a kernel of one op, which is run on the op's samples.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Their names, such as `MxNxK`.
    pub names: &'static str,
    /// Those taken where none are given.
    pub default: &'static [usize],
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.default.is_empty() {
            return f.write_str("those of a sample of its op");
        }
        let default: Vec<String> = self.default.iter().map(usize::to_string).collect();
        write!(f, "{} = {}", self.names, default.join("x"))
    }
}

/// A kernel's resources on a device generation.
pub struct Resources {
    /// Such as `sm_90`.
    pub device: &'static str,
    /// Registers per thread.
    pub registers: u32,
    /// Bytes of shared memory per block that the kernel declares.
    pub shared: u32,
}

/// A launch that was run.
pub struct Inspection {
    /// What it computed, such as `C[100, 1200] = A[100, 784] · B[784, 1200]`.
    pub what: String,
    /// Its grid and block.
    pub launch: Launch,
    /// Instructions and memory traffic.
    pub counts: Counts,
}

/// Every kernel that ships, by family, in the order of its ladder.
///
/// ```
/// let kernels = ganforge::inspect::kernels()?;
/// let matvec = kernels.iter().find(|k| k.name == "matvec_v1_f32").expect("it ships");
/// let counts = matvec.inspect(Some(&[8, 256]))?.counts; // y [8] = A [8, 256] · x [256]
/// assert_eq!(counts.flops, 8 * (2 * 256 + 5 * 32)); // then the tree, in which every lane adds
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// A message if the PTX cannot be parsed.
pub fn kernels() -> Result<Vec<Kernel>, String> {
    let mut all = Vec::new();
    for family in FAMILIES {
        let module = module(family)?;
        for name in module.kernels() {
            all.push(Kernel {
                name: name.to_string(),
                family,
                sizes: sizes(name),
            });
        }
    }
    Ok(all)
}

fn module(family: &Family) -> Result<Module, String> {
    let file = format!("{}.ptx", family.name);
    Module::parse(&file, family.ptx).map_err(|e| e.to_string())
}

fn sizes(kernel: &str) -> Sizes {
    let (names, default): (_, &[usize]) = match stem(kernel) {
        "matmul" if kernel.contains("_put_") => ("INPUTSxBATCHxUNITS", &[128, 64, 48]),
        "matmul" => ("MxNxK", &[128, 128, 64]),
        "maxout" | "maxout_dropout" | "put_sum" => ("BATCHxUNITS", &[100, 240]),
        "sum_to" | "transpose" | "strided" => ("ROWSxCOLUMNS", &[128, 192]),
        "gather_rows" if !kernel.ends_with("_v1_f32") => ("ROWSxWIDTHxCOUNT", &[60, 784, 20]),
        "parzen" | "parzen_merge" => ("POINTSxSAMPLESxDIM", &[64, 256, 64]),
        "iteration_begin" => ("SCALARSxROWS", &[5, 100]),
        "matvec" => ("MxK", &[100, 240]),
        "conv2d" | "conv2d_dx" | "conv2d_dw" => ("BATCHxSIDExC_INxC_OUT", &[4, 16, 16, 64]),
        "conv2d_sum" => ("ROWSxCOLUMNSxPARTS", &[48, 64, 20]),
        "fma_peak" => ("BLOCKSxSTEPS", &[4, 64]),
        "iteration_end" => ("RESULTS", &[4]),
        "parzen_mean" | "parzen_centre" => ("ROWSxDIM", &[100, 784]),
        "elementwise" | "uniform" | "normal" | "bernoulli" | "dropout" => ("N", &[8192]),
        _ => ("", &[]),
    };
    Sizes { names, default }
}

/// A kernel's name without version and type: `matmul` of `matmul_v1_naive_nn_f32`.
fn stem(kernel: &str) -> &str {
    kernel.split("_v").next().unwrap_or(kernel)
}

/// The first launch of a kernel that a sample of an op comes to.
fn of_sample(kernel: &str) -> Result<Inspection, String> {
    let found = Arc::new(Mutex::new(None));
    let (seen, wanted) = (Arc::clone(&found), kernel.to_string());
    let interpreter = Interpreter::default().counting(move |kernel, launch, counts| {
        if kernel == wanted {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.get_or_insert((*launch, *counts));
        }
    });
    let device = Device::new(interpreter);
    let mut cuda = Cuda::new(&device, Precision::F32).map_err(|e| e.to_string())?;
    let samples = ops::samples().into_iter();
    for sample in samples.filter(|s| s.op.kind() == Kind::General) {
        let g = Graph::new();
        let draw = |(i, input): (usize, &In)| {
            (
                format!("x{i}"),
                input.shape,
                gradcheck::draw(input, i as u64),
            )
        };
        let values: Vec<(String, Shape, Vec<f32>)> =
            sample.inputs.iter().enumerate().map(draw).collect();
        let x: Vec<Var> = values.iter().map(|v| g.input(&v.0, v.1)).collect();
        let y = g.record(sample.op, &x);
        let feeds: Vec<Feed> = values.iter().map(|v| Feed::new(&v.0, v.1, &v.2)).collect();
        let plan = Plan::of(&g).fetch("y", y).compile();
        let run = plan.and_then(|plan| cuda.run(&plan, &mut Store::new(1), &feeds));
        run.map_err(|e| e.to_string())?;
        let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((launch, counts)) = found {
            let inputs: Vec<String> = values.iter().map(|v| format!("{} {}", v.0, v.1)).collect();
            let formula = g.formula(y.id(), |input| inputs[input.index()].clone());
            let what = format!("y {} = {formula}", y.shape());
            return Ok(Inspection {
                what,
                launch,
                counts,
            });
        }
    }
    Err(format!("{kernel}: no sample of an op comes to it"))
}

impl Kernel {
    /// Its resources on each device generation that it was assembled for.
    pub fn resources(&self) -> Vec<Resources> {
        let rows = RESOURCES.lines().map(|line| line.split_whitespace());
        let rows = rows.filter_map(|mut row| {
            let own = row.next() == Some(&self.name);
            let device = row.next().filter(|_| own)?;
            let mut number = || row.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let (registers, shared) = (number(), number());
            Some(Resources {
                device,
                registers,
                shared,
            })
        });
        rows.collect()
    }

    /// Runs it once on the given sizes, or on the default ones.
    ///
    /// # Errors
    /// A message if the sizes do not fit the kernel, or the interpreter finds a fault in it.
    pub fn inspect(&self, sizes: Option<&[usize]>) -> Result<Inspection, String> {
        let sizes = sizes.unwrap_or(self.sizes.default);
        let (wanted, names) = (self.sizes.default.len(), self.sizes.names);
        if wanted == 0 && sizes.is_empty() {
            return of_sample(&self.name);
        }
        if sizes.len() != wanted || sizes.iter().any(|n| !(1..=1 << 20).contains(n)) {
            let name = &self.name;
            return Err(match wanted {
                0 => format!("{name}: it has no sizes to choose: it is run on a sample of its op"),
                _ => {
                    format!("{name}: expected sizes {names}, each from 1 to 1048576, got {sizes:?}")
                }
            });
        }
        // The largest array of any kernel: the product of two sizes, five times as wide for maxout.
        let largest = sizes
            .iter()
            .flat_map(|a| sizes.iter().map(move |b| a * b))
            .max();
        if largest.unwrap_or(0) > 1 << 26 {
            return Err(format!(
                "{}: arrays of {sizes:?} are too large for the interpreter",
                self.name
            ));
        }
        let mut setup = Setup::default();
        let what = setup.fill(&self.name, sizes)?;
        let counts =
            module(self.family)?.launch(&self.name, &setup.launch, &setup.args, &mut setup.memory);
        Ok(Inspection {
            what,
            launch: setup.launch,
            counts: counts.map_err(|e| e.to_string())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_runs_on_its_usual_sizes_and_on_ones() {
        let kernels = kernels().expect("the PTX that ships is understood");
        assert!(kernels.len() > 40);
        for kernel in kernels {
            let resources = kernel.resources();
            assert!(resources.iter().all(|r| r.registers > 0), "{}", kernel.name);
            assert!(
                resources.iter().any(|r| r.device == "sm_90"),
                "{}",
                kernel.name
            );
            let usual = kernel.sizes.default.to_vec();
            let ones = vec![1; usual.len()];
            for sizes in [usual, ones] {
                let found = kernel
                    .inspect(Some(&sizes))
                    .unwrap_or_else(|e| panic!("{e}"));
                assert!(found.counts.global_stores.requests > 0, "{}", kernel.name);
            }
        }
    }

    #[test]
    fn a_kernel_of_one_op_is_run_on_its_sample() {
        let kernels = kernels().expect("the PTX that ships is understood");
        let take = kernels
            .iter()
            .find(|k| k.name == "take_v1_f32")
            .expect("there");
        let found = take.inspect(None).expect("it runs");
        assert_eq!(
            found.what,
            "y [2, 2] = take(x0 [2, 6], x1 [2, 2], 3 pieces)"
        );
        assert_eq!(found.counts.global_stores.bytes, 4 * 4);
        let refused = take.inspect(Some(&[3])).err().expect("refused");
        assert!(
            refused.starts_with("take_v1_f32: it has no sizes"),
            "{refused}"
        );
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let kernels = kernels().expect("the PTX that ships is understood");
        let product = kernels
            .iter()
            .find(|k| k.name.starts_with("matmul_v1"))
            .expect("there");
        for sizes in [
            &[1, 2][..],
            &[1, 0, 2],
            &[1, 2, 1 << 21],
            &[1 << 14, 1 << 14, 1],
        ] {
            assert!(product.inspect(Some(sizes)).is_err(), "{sizes:?}");
        }
    }
}
