//! Ladders: the same work by several kernels, from a naive one to the one in use, verified and ready to be timed.
//!
//! ```
//! use ganforge_kernels::ladder::{Ladder, Work};
//! let mut ladder = Ladder::on_cpu(Work::Maxout { batch: 3, units: 4, pieces: 5 });
//! ladder.verify().unwrap();
//! let last = ladder.rungs.last().unwrap();
//! assert!(last.is_used && ladder.work.bytes() == 4 * (60 + 12 + 12));
//! ```

mod batch_norm;
mod columns;
mod convolution;
mod cpu;
mod device;
mod pooling;
mod work;

pub use batch_norm::BatchNorm;
pub use convolution::Convolution;
pub use pooling::{MaxPool, MeanPool};
pub use work::Work;

use crate::cuda;

/// Several kernels for the same work.
pub struct Ladder {
    /// What they compute.
    pub work: Work,
    /// The naive kernel first, what runs last.
    pub rungs: Vec<Rung>,
    /// What is missing here, and why: a sentence.
    pub missing: Option<String>,
    /// Whether its kernels are a device's, whose clocks rise only after some time of work.
    pub is_on_device: bool,
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
    /// Floating-point operations that it carries out: more than [`Work::flops`] where it multiplies zeros, fewer after Winograd.
    pub executed: u64,
    kernel: Box<dyn Kernel + Send>,
}

/// A kernel with its operands.
trait Kernel {
    /// Makes ready what so many runs need.
    fn prepare(&mut self, _times: usize) -> cuda::Result<()> {
        Ok(())
    }

    /// Runs it so many times; the seconds from the first to the end of the last.
    fn run(&mut self, times: usize) -> cuda::Result<f64>;

    /// Fills the result with what is no number.
    fn spoil(&mut self) -> cuda::Result<()>;

    /// The result of the last run.
    fn result(&mut self) -> cuda::Result<Vec<f32>>;
}

/// What an element of the result has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    place: usize,
    value: f64,
    /// Of f32's rounding errors.
    bound: f64,
    /// Of a sum of products that of their absolute values.
    size: f64,
    /// The bound of f32's rounding errors after Winograd, of a convolution.
    after_winograd: f64,
}

impl Expected {
    /// Of what is no sum of products.
    fn within(place: usize, value: f64, bound: f64) -> Expected {
        Expected {
            place,
            value,
            bound,
            size: 0.0,
            after_winograd: 0.0,
        }
    }
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
            missing: None,
            is_on_device: false,
            exact: work.expected(&inputs),
        }
    }

    /// The kernels of a device.
    ///
    /// # Errors
    /// Memory that is exhausted; a kernel that the device refuses.
    pub fn on_device(work: Work, device: &cuda::Device) -> cuda::Result<Ladder> {
        let inputs = work.inputs();
        let (rungs, missing) = device::rungs(work, &inputs, device)?;
        Ok(Ladder {
            work,
            rungs,
            missing,
            is_on_device: true,
            exact: work.expected(&inputs),
        })
    }

    /// Runs every rung once and compares its result with plain loops in f64: of large results some rows. All rungs of a device
    /// have one result, which is no number before each.
    ///
    /// # Errors
    /// The first element beyond the bound of its rounding errors; the device's.
    pub fn verify(&mut self) -> Result<(), Error> {
        for rung in &mut self.rungs {
            rung.kernel.spoil()?;
            rung.kernel.prepare(1)?;
            rung.kernel.run(1)?;
            let result = rung.kernel.result()?;
            for e in &self.exact {
                let got = result[e.place];
                let error = (f64::from(got) - e.value).abs();
                let bound = rung.bound(e);
                if error.is_nan() || error > bound {
                    return Err(Error::Wrong {
                        work: self.work.to_string(),
                        rung: rung.name.clone(),
                        place: e.place,
                        got,
                        expected: e.value,
                        bound,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Rung {
    /// Makes ready what so many runs need, which is not part of their time.
    ///
    /// # Errors
    /// The device's; on the CPU none.
    pub fn prepare(&mut self, times: usize) -> cuda::Result<()> {
        self.kernel.prepare(times)
    }

    /// Runs it so many times; the seconds from the first to the end of the last, on a device by its clock.
    ///
    /// # Errors
    /// The device's; on the CPU none.
    pub fn run(&mut self, times: usize) -> cuda::Result<f64> {
        self.kernel.run(times)
    }

    /// The bound of its rounding errors: factors of 10 or 7 bits of fraction are rounded by half a unit each, and tensor cores
    /// cut off what an addition has behind f32's bits instead of rounding it.
    fn bound(&self, e: &Expected) -> f64 {
        let kept = match () {
            () if self.name == "winograd" => return e.after_winograd,
            () if self.name.ends_with("_tf32") => 10,
            () if self.name.ends_with("_bf16") => 7,
            () => return e.bound,
        };
        2.1 * 0.5f64.powi(kept + 1) * e.size + 4.0 * e.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::conv::{Form, Sizes, Window};
    use crate::cpu::gemm::Shape3;

    fn convolution(
        form: Form,
        [n, side, c_in]: [usize; 3],
        [kernel, stride, c_out]: [usize; 3],
    ) -> Work {
        let (image, kernel) = ([side; 2], [kernel; 2]);
        let window = Window::same(image, kernel, [stride; 2]);
        let sizes = Sizes {
            n,
            image,
            c_in,
            kernel,
            c_out,
            window,
        };
        Work::Convolution(Convolution { form, sizes })
    }

    /// Few channels and many, with and without a stride.
    fn convolutions() -> Vec<Work> {
        let sizes = [
            ([2, 7, 3], [3, 1, 5]),
            ([3, 8, 2], [4, 2, 33]),
            ([2, 6, 32], [3, 1, 32]),
            ([1, 8, 32], [4, 2, 48]),
            ([2, 5, 4], [3, 3, 1]),
        ];
        let all = sizes
            .into_iter()
            .flat_map(|(x, y)| Form::ALL.map(|f| convolution(f, x, y)));
        all.collect()
    }

    /// Every kind of work at sizes that fit no vector.
    fn works() -> Vec<Work> {
        let mut works = Work::samples();
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let dims = Shape3 {
                m: 13,
                k: 29,
                n: 37,
            };
            works.push(Work::Product { ta, tb, dims });
        }
        works.extend(convolutions());
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

    /// The kernel of another rung with its result changed.
    struct Off<F>(Box<dyn Kernel + Send>, F);

    impl<F: FnMut(&mut [f32])> Kernel for Off<F> {
        fn run(&mut self, times: usize) -> cuda::Result<f64> {
            self.0.run(times)
        }

        fn spoil(&mut self) -> cuda::Result<()> {
            self.0.spoil()
        }

        fn result(&mut self) -> cuda::Result<Vec<f32>> {
            let mut result = self.0.result()?;
            (self.1)(&mut result);
            Ok(result)
        }
    }

    fn product(m: usize, n: usize, k: usize) -> Work {
        let (ta, tb, dims) = (false, false, Shape3 { m, k, n });
        Work::Product { ta, tb, dims }
    }

    /// The last rung alone, called `name`, its result changed.
    fn changed(work: Work, name: &str, change: impl FnMut(&mut [f32]) + Send + 'static) -> Ladder {
        let mut ladder = Ladder::on_cpu(work);
        let last = ladder.rungs.pop().expect("several");
        let (kernel, name) = (Box::new(Off(last.kernel, change)), name.to_string());
        ladder.rungs = vec![Rung {
            kernel,
            name,
            ..last
        }];
        ladder
    }

    #[test]
    fn a_wrong_element_is_found() {
        for work in works() {
            // After Winograd, and where relu leaves 0, less is found.
            let more = match work {
                Work::Convolution(_) => 1.0,
                _ => 0.0,
            };
            let name = Ladder::on_cpu(work).rungs.pop().expect("several").name;
            let mut ladder = changed(work, &name, move |result| {
                let middle = result.len() / 2;
                result[middle] = result[middle] * (1.0 + 1e-4) + 1e-5 + more;
            });
            match ladder.verify() {
                Err(Error::Wrong { place, .. }) => assert_eq!(place, work.outputs() / 2, "{work}"),
                other => panic!("{work}: {other:?}"),
            }
        }
    }

    #[test]
    fn zeros_and_exchanged_columns_are_found_in_every_precision() {
        const N: usize = 20;
        for k in [64, 1200, 4096] {
            for name in ["v_f32", "v_tf32", "v_bf16"] {
                let refused = |change: fn(&mut [f32])| {
                    let mut ladder = changed(product(20, N, k), name, change);
                    assert!(
                        matches!(ladder.verify(), Err(Error::Wrong { .. })),
                        "{name}, k = {k}"
                    );
                };
                refused(|result| result.fill(0.0));
                refused(|result| result.chunks_mut(N).for_each(|row| row.swap(3, 4)));
                changed(product(20, N, k), name, |_| ())
                    .verify()
                    .expect("right");
            }
        }
    }

    #[test]
    fn zeros_and_exchanged_channels_are_found_after_every_algorithm() {
        // The longest sums are those of dw: of 1024 pixels.
        for form in Form::ALL {
            let work = convolution(form, [1, 32, 32], [3, 1, 32]);
            for name in ["v_f32", "v_tf32", "v_bf16", "winograd"] {
                let refused = |change: fn(&mut [f32])| {
                    let mut ladder = changed(work, name, change);
                    let refused = matches!(ladder.verify(), Err(Error::Wrong { .. }));
                    assert!(refused, "{name}, {work}");
                };
                refused(|result| result.fill(0.0));
                refused(|result| result.chunks_mut(32).for_each(|row| row.swap(3, 4)));
            }
            Ladder::on_cpu(work).verify().expect("right");
        }
    }

    #[test]
    fn a_ladder_of_convolutions_says_what_is_executed() {
        let of = |form| {
            let ladder = Ladder::on_cpu(convolution(form, [1, 8, 32], [4, 2, 48]));
            let written = ladder.work.flops();
            let rungs = ladder.rungs.iter();
            let all = rungs.map(|r| (r.name.clone(), r.executed as f64 / written as f64));
            all.collect::<std::collections::BTreeMap<_, _>>()
        };
        let dx = of(Form::Dx);
        // A zero in three of four places; two taps in each dimension of each phase: 25 products instead of 64.
        assert_eq!((dx["zeros"], dx["phases"], dx["patches"]), (4.0, 1.0, 1.0));
        let has_winograd = crate::cpu::isa() != crate::cpu::Isa::Portable;
        let expected = has_winograd.then_some(25.0 / 64.0);
        for form in Form::ALL {
            assert_eq!(of(form).get("winograd").copied(), expected, "{form:?}");
        }
        assert!(of(Form::Y).contains_key("fused") && of(Form::Dw).contains_key("blocks"));
    }

    #[test]
    fn factors_may_be_rounded_to_the_bits_that_a_precision_keeps() {
        let k = 1200;
        let inputs = product(9, 8, k).inputs();
        for (kept, name) in [(10, "v_tf32"), (7, "v_bf16")] {
            let unit = |x: f32| 2f32.powi(x.abs().log2().floor() as i32 - kept);
            let round = |x: &[f32]| -> Vec<f64> {
                x.iter()
                    .map(|&x| f64::from((x / unit(x)).round() * unit(x)))
                    .collect()
            };
            let (a, b) = (round(&inputs[0]), round(&inputs[1]));
            let mut ladder = changed(product(9, 8, k), name, move |result| {
                for (at, c) in result.iter_mut().enumerate() {
                    let terms = (0..k).map(|p| a[at / 8 * k + p] * b[p * 8 + at % 8]);
                    *c = terms.sum::<f64>() as f32;
                }
            });
            ladder.verify().unwrap_or_else(|e| panic!("{e}"));
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
