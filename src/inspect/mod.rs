//! The GPU kernels, looked at without a GPU: each can be run on made-up numbers by [`crate::ptxvm`], which counts what it
//! asks of the hardware.

mod sample;

use std::fmt;

use crate::kernels::ptx::{FAMILIES, Family, RESOURCES};
use crate::ptxvm::{Counts, Launch, Module};

use sample::Setup;

/// A kernel of a family.
pub struct Kernel {
    /// Its name, such as `matmul_v3_block_nn_f32`.
    pub name: String,
    /// Where it comes from.
    pub family: &'static Family,
    /// What its sizes mean.
    pub sizes: Sizes,
}

/// The sizes that a kernel is run on.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Their names, such as `MxNxK`.
    pub names: &'static str,
    /// Those taken where none are given.
    pub default: &'static [usize],
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default: Vec<String> = self.default.iter().map(usize::to_string).collect();
        write!(f, "{} = {}", self.names, default.join("x"))
    }
}

/// What a kernel takes on a device generation.
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
    /// How many threads.
    pub launch: Launch,
    /// What it cost.
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
/// A message, should the PTX not be understood.
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
        "maxout" | "maxout_dropout" | "take" | "put" | "put_sum" => ("BATCHxUNITS", &[100, 240]),
        "sum_to" | "transpose" | "strided" | "pad" | "concat" => ("ROWSxCOLUMNS", &[128, 192]),
        "gather_rows" | "scatter_rows" => ("ROWSxWIDTHxCOUNT", &[60, 784, 20]),
        "parzen" | "parzen_merge" => ("POINTSxSAMPLESxDIM", &[64, 256, 64]),
        "iteration_begin" => ("SCALARSxROWS", &[5, 100]),
        "matvec" => ("MxK", &[100, 240]),
        "fma_peak" => ("BLOCKSxSTEPS", &[4, 64]),
        "iteration_end" => ("RESULTS", &[4]),
        "parzen_mean" | "parzen_centre" => ("ROWSxDIM", &[100, 784]),
        _ => ("N", &[8192]),
    };
    Sizes { names, default }
}

/// A kernel's name without its rung and type: `matmul` of `matmul_v1_naive_nn_f32`.
fn stem(kernel: &str) -> &str {
    kernel.split("_v").next().unwrap_or(kernel)
}

impl Kernel {
    /// What it takes on each device generation that it was assembled for.
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

    /// Runs it once on the given sizes, or the usual ones.
    ///
    /// # Errors
    /// A message where the sizes do not fit the kernel, or the kernel does something wrong.
    pub fn inspect(&self, sizes: Option<&[usize]>) -> Result<Inspection, String> {
        let sizes = sizes.unwrap_or(self.sizes.default);
        let (wanted, names) = (self.sizes.default.len(), self.sizes.names);
        if sizes.len() != wanted || sizes.iter().any(|n| !(1..=1 << 20).contains(n)) {
            let name = &self.name;
            return Err(format!(
                "{name}: expected sizes {names}, each from 1 to 1048576, got {sizes:?}"
            ));
        }
        // The largest array of any kernel: a product of two of the sizes, five times as wide for maxout.
        let largest = sizes
            .iter()
            .flat_map(|a| sizes.iter().map(move |b| a * b))
            .max();
        if largest.unwrap_or(0) > 1 << 26 {
            return Err(format!(
                "{}: arrays of {sizes:?} are too large to be run here",
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
            for sizes in [
                kernel.sizes.default.to_vec(),
                vec![1; kernel.sizes.default.len()],
            ] {
                let found = kernel
                    .inspect(Some(&sizes))
                    .unwrap_or_else(|e| panic!("{e}"));
                assert!(found.counts.global_stores.requests > 0, "{}", kernel.name);
            }
        }
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
