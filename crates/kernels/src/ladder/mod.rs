//! Ladders: the same work by several kernels, from a naive one to the one in use, verified and ready to be timed.
//!
//! ```
//! use ganforge_kernels::ladder::{Ladder, Work};
//! let mut ladder = Ladder::on_cpu(Work::Maxout { batch: 3, units: 4, pieces: 5 });
//! ladder.verify().unwrap();
//! let last = ladder.rungs.last().unwrap();
//! assert!(last.is_used && ladder.work.bytes() == 4 * (60 + 12 + 12));
//! ```

mod cpu;
mod device;
mod work;

pub use work::Work;

use crate::cuda;

/// Several kernels for the same work.
pub struct Ladder {
    /// What they compute.
    pub work: Work,
    /// The naive kernel first, what runs last.
    pub rungs: Vec<Rung>,
    exact: Vec<Expected>,
}

/// One kernel of a ladder.
pub struct Rung {
    /// Its name: of a GPU kernel that of its entry.
    pub name: String,
    /// What it does otherwise than the one before.
    pub about: &'static str,
    /// Whether it is what a plan runs; of libraries and of steps on the way it is not.
    pub is_used: bool,
    kernel: Box<dyn Kernel + Send>,
}

/// A kernel with its operands.
trait Kernel {
    /// Runs it so many times and waits for the end.
    fn run(&mut self, times: usize) -> cuda::Result<()>;

    /// The result of the last run.
    fn result(&mut self) -> cuda::Result<Vec<f32>>;
}

/// What an element of the result has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    place: usize,
    value: f64,
    bound: f64,
}

/// Why a ladder cannot be timed.
#[derive(thiserror::Error)]
pub enum Error {
    /// A kernel's result is wrong.
    #[error("{work}: {rung}: element {place}: expected {expected:e} within {bound:e}, got {got:e}")]
    Wrong {
        /// What was computed.
        work: String,
        /// The kernel.
        rung: String,
        /// The element of the result.
        place: usize,
        /// What it gave.
        got: f32,
        /// The result in f64.
        expected: f64,
        /// The bound of its rounding errors.
        bound: f64,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] cuda::Error),
}

crate::debug_as_display!(Error);

impl Ladder {
    /// The CPU's kernels, on the current rayon pool.
    pub fn on_cpu(work: Work) -> Ladder {
        let inputs = work.inputs();
        Ladder {
            work,
            rungs: cpu::rungs(work, &inputs),
            exact: work.expected(&inputs),
        }
    }

    /// The kernels of a device.
    ///
    /// # Errors
    /// Memory that is exhausted; a kernel that the device refuses.
    pub fn on_device(work: Work, device: &cuda::Device) -> cuda::Result<Ladder> {
        let inputs = work.inputs();
        Ok(Ladder {
            work,
            rungs: device::rungs(work, &inputs, device)?,
            exact: work.expected(&inputs),
        })
    }

    /// Runs every rung once and compares its result with plain loops in f64: of large results some rows.
    ///
    /// # Errors
    /// The first element beyond the bound of its rounding errors; the device's.
    pub fn verify(&mut self) -> Result<(), Error> {
        for rung in &mut self.rungs {
            rung.kernel.run(1)?;
            let result = rung.kernel.result()?;
            for e in &self.exact {
                let got = result[e.place];
                let error = (f64::from(got) - e.value).abs();
                if error.is_nan() || error > e.bound * rung.precision() {
                    return Err(Error::Wrong {
                        work: self.work.to_string(),
                        rung: rung.name.clone(),
                        place: e.place,
                        got,
                        expected: e.value,
                        bound: e.bound * rung.precision(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Rung {
    /// Runs it so many times and waits for the end.
    ///
    /// # Errors
    /// The device's; on the CPU none.
    pub fn run(&mut self, times: usize) -> cuda::Result<()> {
        self.kernel.run(times)
    }

    /// How much wider its rounding errors are than those of f32: factors of 10 or 7 bits of fraction instead of 23.
    fn precision(&self) -> f64 {
        match () {
            () if self.name.ends_with("_tf32") => f64::from(1 << 13),
            () if self.name.ends_with("_bf16") => f64::from(1 << 16),
            () => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::gemm::Shape3;

    /// Every kind of work at sizes that fit no vector.
    fn works() -> Vec<Work> {
        let mut works = vec![
            Work::Maxout {
                batch: 3,
                units: 7,
                pieces: 5,
            },
            Work::MaxoutWeights {
                batch: 9,
                inputs: 11,
                units: 7,
                pieces: 3,
            },
            Work::Sigmoid { n: 1003 },
            Work::Dropout { n: 1003 },
            Work::SumColumns {
                rows: 37,
                columns: 71,
            },
        ];
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let dims = Shape3 {
                m: 13,
                k: 29,
                n: 37,
            };
            works.push(Work::Product { ta, tb, dims });
        }
        works
    }

    #[test]
    fn all_rungs_compute_the_same_and_one_of_them_runs() {
        for work in works() {
            let mut ladder = Ladder::on_cpu(work);
            assert!(ladder.rungs.len() >= 2, "{work}");
            assert_eq!(
                ladder.rungs.iter().filter(|r| r.is_used).count(),
                1,
                "{work}"
            );
            ladder.verify().unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// The kernel of another rung with one element changed.
    struct Off(Box<dyn Kernel + Send>);

    impl Kernel for Off {
        fn run(&mut self, times: usize) -> cuda::Result<()> {
            self.0.run(times)
        }

        fn result(&mut self) -> cuda::Result<Vec<f32>> {
            let mut result = self.0.result()?;
            let middle = result.len() / 2;
            result[middle] = result[middle] * (1.0 + 1e-4) + 1e-5;
            Ok(result)
        }
    }

    #[test]
    fn a_wrong_element_is_found() {
        for work in works() {
            let mut ladder = Ladder::on_cpu(work);
            let last = ladder.rungs.pop().expect("several");
            let kernel = Box::new(Off(last.kernel));
            ladder.rungs.push(Rung { kernel, ..last });
            match ladder.verify() {
                Err(Error::Wrong { place, .. }) => assert_eq!(place, work.outputs() / 2, "{work}"),
                other => panic!("{work}: {other:?}"),
            }
        }
    }

    #[test]
    fn work_is_counted() {
        let dims = Shape3 {
            m: 100,
            k: 1200,
            n: 784,
        };
        let product = Work::Product {
            ta: false,
            tb: false,
            dims,
        };
        assert_eq!(product.flops(), 2 * 100 * 1200 * 784);
        assert_eq!(product.bytes(), 4 * (100 * 1200 + 1200 * 784 + 100 * 784));
        assert_eq!(product.to_string(), "NN 100x784 k=1200");
        let all = Work::all();
        let names: std::collections::BTreeSet<String> =
            all.iter().map(|w| format!("{} {w}", w.family())).collect();
        assert_eq!(names.len(), all.len());
    }
}
