//! Products against a plain triple loop in f64, in every transposition, instruction set and at awkward sizes.

use super::*;
use crate::cpu::elementwise;

const SIZES: [usize; 17] = [0, 1, 2, 3, 5, 7, 12, 13, 15, 16, 17, 31, 32, 33, 47, 100, 0];
const FENCE: usize = 40;

/// Numbers in [-1, 1) that depend on the seed only.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2654435761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn forms() -> [(bool, bool); 4] {
    [(false, false), (false, true), (true, false), (true, true)]
}

struct Inputs {
    ta: bool,
    tb: bool,
    dims: Shape3,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Inputs {
    fn new((ta, tb): (bool, bool), m: usize, k: usize, n: usize) -> Self {
        Self {
            ta,
            tb,
            dims: Shape3 { m, k, n },
            a: numbers(m * k, 1),
            b: numbers(k * n, 2),
        }
    }

    fn len(&self) -> usize {
        self.dims.m * self.dims.n
    }

    fn run(&self, isa: Isa, c: &mut [f32], epilogue: Epilogue, workspace: &mut Workspace) {
        let (a, b) = (&self.a, &self.b);
        gemm_with(
            isa, self.ta, self.tb, self.dims, a, b, c, epilogue, workspace,
        );
    }

    fn store(&self, isa: Isa) -> Vec<f32> {
        let mut c = vec![f32::NAN; self.len()];
        self.run(isa, &mut c, Epilogue::Store, &mut Workspace::default());
        c
    }

    /// Element (i, j) in f64, and the sum of the magnitudes of its terms.
    fn exact(&self, i: usize, j: usize) -> (f64, f64) {
        let Shape3 { m, k, n } = self.dims;
        let (mut sum, mut magnitude) = (0.0, 0.0);
        for p in 0..k {
            let a = self.a[if self.ta { p * m + i } else { i * k + p }];
            let b = self.b[if self.tb { j * k + p } else { p * n + j }];
            let term = f64::from(a) * f64::from(b);
            sum += term;
            magnitude += term.abs();
        }
        (sum, magnitude)
    }

    /// |c − exact| ≤ (k + 1) · eps · Σ|a||b|, for the given rows.
    fn check(&self, isa: Isa, c: &[f32], rows: impl Iterator<Item = usize>) {
        for i in rows {
            for j in 0..self.dims.n {
                let (exact, magnitude) = self.exact(i, j);
                let bound = (self.dims.k + 1) as f64 * f64::from(f32::EPSILON) * magnitude;
                let x = f64::from(c[i * self.dims.n + j]);
                assert!(
                    (x - exact).abs() <= bound,
                    "{isa:?} ta={} tb={} {:?} [{i}, {j}]: {x}, expected {exact} ± {bound:e}",
                    self.ta,
                    self.tb,
                    self.dims
                );
            }
        }
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// A product between NaN fences, which must survive; c is NaN before, so reading it would show.
fn fenced_product(isa: Isa, inputs: &Inputs, workspace: &mut Workspace) {
    let mut c = vec![f32::NAN; inputs.len() + 2 * FENCE];
    let inside = FENCE..FENCE + inputs.len();
    let out = &mut c[inside.clone()];
    inputs.run(isa, out, Epilogue::Store, workspace);
    inputs.check(isa, out, 0..inputs.dims.m);
    let mut fences = c[..FENCE].iter().chain(&c[inside.end..]);
    assert!(fences.all(|x| x.is_nan()), "{isa:?} {:?}", inputs.dims);
}

/// Sweeps sizes around those of tiles.
fn sweep(isa: Isa) {
    let mut workspace = Workspace::default();
    for form in forms() {
        for m in SIZES {
            for n in SIZES {
                for k in [0, 1, 2, 5, 16, 17, 33, 100] {
                    fenced_product(isa, &Inputs::new(form, m, k, n), &mut workspace);
                }
            }
        }
    }
}

/// Every number of columns that is left of a strip of 16 or 32, after none, one and two whole ones.
#[test]
fn every_edge_column_is_right_with_every_instruction_set() {
    let mut workspace = Workspace::default();
    for isa in available() {
        for form in forms() {
            for (m, k) in [(1, 3), (6, 17), (14, 9), (15, 5)] {
                for n in 0..=80 {
                    let inputs = Inputs::new(form, m, k, n);
                    fenced_product(isa, &inputs, &mut workspace);
                }
            }
        }
    }
}

#[test]
fn portable_product_is_right_at_all_sizes() {
    sweep(Isa::Portable);
}

#[test]
fn avx2_product_is_right_at_all_sizes() {
    match Isa::Avx2.is_available() {
        true => sweep(Isa::Avx2),
        false => testkit::skip("avx2", "not on this processor"),
    }
}

#[test]
fn avx512_product_is_right_at_all_sizes() {
    match Isa::Avx512.is_available() {
        true => sweep(Isa::Avx512),
        false => testkit::skip("avx512", "not on this processor"),
    }
}

#[test]
fn inner_sizes_of_all_residues_are_right() {
    for isa in available() {
        for k in SIZES {
            for form in forms() {
                let inputs = Inputs::new(form, 29, k, 35);
                inputs.check(isa, &inputs.store(isa), 0..29);
            }
        }
    }
}

/// Large enough for several threads, with whole and with shared strips.
const THREADED: [(usize, usize, usize); 10] = [
    (100, 120, 784),
    (37, 250, 1201),
    (300, 64, 70),
    (1500, 700, 1),
    // Blocks of several strips, and many of them.
    (600, 300, 1201),
    (460, 30, 2100),
    // Several parts of k.
    (40, 4500, 50),
    (15, 1030, 2047),
    // Rows of B that crowd into few sets of L2, in blocks of several strips.
    (15, 600, 1024),
    // The same with fewer blocks than threads.
    (15, 33_000, 64),
];

fn in_pool<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a thread pool").install(f)
}

#[test]
fn thread_count_does_not_change_bits() {
    for isa in available() {
        for form in forms() {
            for (m, k, n) in THREADED {
                let inputs = Inputs::new(form, m, k, n);
                let one = in_pool(1, || inputs.store(isa));
                inputs.check(isa, &one, (0..m).step_by(17));
                for threads in [2, 3] {
                    let many = in_pool(threads, || inputs.store(isa));
                    assert_eq!(bits(&one), bits(&many), "{isa:?} {:?}", inputs.dims);
                }
            }
        }
    }
}

/// c·1 + a·b is a little less than halfway from c to the next number. Rounded to f64 first it is exactly halfway, and
/// ends, rounded a second time, at that next number.
#[test]
fn a_step_of_the_chain_rounds_once() {
    let unit = |exponent: i32| 2f32.powi(exponent);
    let (a, b, c) = (
        1.0 + unit(-18),
        unit(-24) * (1.0 - unit(-18)),
        1.0 + unit(-23),
    );
    let twice = (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
    assert_eq!(twice, 1.0 + unit(-22));
    for isa in available().filter(|isa| *isa != Isa::Portable) {
        for (m, n) in [(30, 45), (30, 1), (1, 40)] {
            let mut inputs = Inputs::new((false, false), m, 2, n);
            inputs.a = [c, a].repeat(m);
            inputs.b = [vec![1.0; n], vec![b; n]].concat();
            // A single column's terms are in chains of their own, each rounded by itself.
            let expected = if n == 1 { c + a * b } else { c };
            assert!(
                inputs.store(isa).iter().all(|x| *x == expected),
                "{isa:?} {m} x {n}"
            );
        }
    }
}

#[test]
fn each_element_is_one_chain_of_fmas() {
    for isa in available().filter(|isa| *isa != Isa::Portable) {
        for form in forms() {
            // The last ones in several parts of k: few panels, many, and a single row.
            for (m, k, n) in [
                (30, 77, 45),
                (200, 240, 1),
                // Every number of rows beside those that are summed together, and a last round that is not whole.
                (31, 77, 1),
                // Rows that are fetched in advance.
                (1000, 300, 1),
                (1, 300, 40),
                (13, 4999, 35),
                (250, 4100, 19),
                (1, 5000, 9),
                // And rows of B that crowd into few sets of L2.
                (15, 600, 512),
            ] {
                let inputs = Inputs::new(form, m, k, n);
                let c = inputs.store(isa);
                for (at, c) in c.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let step = |sum: f32, p: usize| {
                        let a = inputs.a[if inputs.ta { p * m + i } else { i * k + p }];
                        let b = inputs.b[if inputs.tb { j * k + p } else { p * n + j }];
                        a.mul_add(b, sum)
                    };
                    // A single column is summed in 16 interleaved chains, added in pairs.
                    let chains = if n == 1 && !inputs.ta { 16 } else { 1 };
                    let mut sums: Vec<f32> = (0..chains)
                        .map(|lane| (lane..k).step_by(chains).fold(0.0, step))
                        .collect();
                    while sums.len() > 1 {
                        let upper = sums.split_off(sums.len() / 2);
                        sums.iter_mut().zip(upper).for_each(|(s, u)| *s += u);
                    }
                    assert_eq!(c.to_bits(), sums[0].to_bits(), "{isa:?} [{i}, {j}]");
                }
            }
        }
    }
}

/// Shapes for the epilogues: inline and threaded, both vector edges, one column, k = 0, and k in several parts.
const EPILOGUES: [(usize, usize, usize); 6] = [
    (9, 4200, 37),
    (29, 17, 35),
    (1, 5, 1),
    (50, 9, 1),
    (3, 0, 20),
    (120, 130, 150),
];

/// Calls `test` with each instruction set, form and shape, and with ab as `Store` leaves it.
fn for_each_product(test: impl Fn(Isa, &Inputs, Vec<f32>)) {
    for isa in available() {
        for form in forms() {
            for (m, k, n) in EPILOGUES {
                let inputs = Inputs::new(form, m, k, n);
                test(isa, &inputs, inputs.store(isa));
            }
        }
    }
}

#[test]
fn accumulate_is_store_then_add() {
    for_each_product(|isa, inputs, ab| {
        let old = numbers(inputs.len(), 3);
        let mut c = old.clone();
        inputs.run(isa, &mut c, Epilogue::Accumulate, &mut Workspace::default());
        let expected: Vec<f32> = old.iter().zip(&ab).map(|(c, ab)| c + ab).collect();
        assert_eq!(bits(&c), bits(&expected), "{isa:?} {:?}", inputs.dims);
    });
}

#[test]
fn bias_is_store_then_add_then_a_rectifier() {
    for_each_product(|isa, inputs, ab| {
        let mut bias = numbers(inputs.dims.n, 4);
        bias[0] = 0.0;
        let plus: Vec<f32> = ab
            .iter()
            .enumerate()
            .map(|(i, ab)| ab + bias[i % inputs.dims.n])
            .collect();
        for below in [None, Some(0.0), Some(0.2)] {
            let mut c = vec![f32::NAN; inputs.len()];
            let epilogue = Epilogue::Bias { bias: &bias, below };
            inputs.run(isa, &mut c, epilogue, &mut Workspace::default());
            let mut expected = plus.clone();
            match below {
                None => {}
                Some(0.0) => elementwise::relu(&plus, &mut expected),
                Some(slope) => elementwise::leaky_relu(slope, &plus, &mut expected),
            }
            assert_eq!(bits(&c), bits(&expected), "{isa:?} {:?}", inputs.dims);
        }
    });
}

#[test]
fn relu_passes_nan_and_turns_minus_zero_into_zero() {
    for isa in available() {
        let mut inputs = Inputs::new((false, false), 1, 1, 3);
        inputs.a = vec![1.0];
        inputs.b = vec![f32::NAN, -0.0, -2.0];
        let mut c = [1.0; 3];
        let bias = &[-0.0; 3];
        let below = Some(0.0);
        let epilogue = Epilogue::Bias { bias, below };
        inputs.run(isa, &mut c, epilogue, &mut Workspace::default());
        assert!(c[0].is_nan(), "{isa:?} {c:?}");
        assert_eq!(bits(&c[1..]), [0, 0], "{isa:?}");
    }
}

#[test]
fn factors_are_store_then_the_element_wise_ops() {
    for_each_product(|isa, inputs, ab| {
        let by = numbers(inputs.len(), 8);
        let run = |epilogue| {
            let mut c = vec![f32::NAN; inputs.len()];
            inputs.run(isa, &mut c, epilogue, &mut Workspace::default());
            bits(&c)
        };
        let mut expected = vec![f32::NAN; inputs.len()];
        elementwise::mul(&by, &ab, &mut expected);
        let got = run(Epilogue::Times { by: &by });
        assert_eq!(got, bits(&expected), "{isa:?} {:?}", inputs.dims);
        for below in [0.0, 0.2] {
            elementwise::step_mul(below, &by, &ab, &mut expected);
            let got = run(Epilogue::Step { at: &by, below });
            assert_eq!(got, bits(&expected), "{isa:?} {below} {:?}", inputs.dims);
        }
    });
}

/// v = momentum · v − lr · g, p = p + v
fn momentum_step(v: &mut [f32], p: &mut [f32], g: &[f32], lr: f32, momentum: f32) {
    for ((v, p), g) in v.iter_mut().zip(p).zip(g) {
        *v = momentum * *v - lr * g;
        *p += *v;
    }
}

#[test]
fn momentum_is_store_then_the_update() {
    for_each_product(|isa, inputs, ab| {
        let (lr, momentum) = (0.1, 0.7);
        let (mut v, mut p) = (numbers(inputs.len(), 5), numbers(inputs.len(), 6));
        let (mut v2, mut p2) = (v.clone(), p.clone());
        let param = &mut p;
        let epilogue = Epilogue::Momentum {
            grad: None,
            param,
            lr,
            momentum,
        };
        inputs.run(isa, &mut v, epilogue, &mut Workspace::default());
        momentum_step(&mut v2, &mut p2, &ab, lr, momentum);
        assert_eq!(bits(&v), bits(&v2), "{isa:?} {:?}", inputs.dims);
        assert_eq!(bits(&p), bits(&p2), "{isa:?} {:?}", inputs.dims);
    });
}

#[test]
fn momentum_adds_the_earlier_gradient_first() {
    for_each_product(|isa, inputs, ab| {
        let (lr, momentum) = (0.1, 0.7);
        let grad = numbers(inputs.len(), 7);
        let (mut v, mut p) = (numbers(inputs.len(), 5), numbers(inputs.len(), 6));
        let (mut v2, mut p2) = (v.clone(), p.clone());
        let epilogue = Epilogue::Momentum {
            grad: Some(&grad),
            param: &mut p,
            lr,
            momentum,
        };
        inputs.run(isa, &mut v, epilogue, &mut Workspace::default());
        let g: Vec<f32> = grad.iter().zip(&ab).map(|(g, ab)| g + ab).collect();
        momentum_step(&mut v2, &mut p2, &g, lr, momentum);
        assert_eq!(bits(&v), bits(&v2), "{isa:?} {:?}", inputs.dims);
        assert_eq!(bits(&p), bits(&p2), "{isa:?} {:?}", inputs.dims);
    });
}

#[test]
fn adam_is_store_then_the_update() {
    for_each_product(|isa, inputs, ab| {
        let earlier = numbers(inputs.len(), 7);
        for grad in [None, Some(&earlier[..])] {
            let adam = Adam {
                kept: [0.5, 0.999],
                taken: [0.5, 0.001],
                eps: 1e-8,
                corrections: [2.0, 1000.0],
                lr: 0.01,
            };
            let positive = |x: f32| x * x;
            let mut slots = [5, 6, 8].map(|seed| numbers(inputs.len(), seed));
            slots[1] = slots[1].iter().copied().map(positive).collect();
            let mut expected = slots.clone();
            let [mean, square, param] = &mut slots;
            let epilogue = Epilogue::Adam {
                grad,
                square,
                param,
                adam,
            };
            inputs.run(isa, mean, epilogue, &mut Workspace::default());
            for (i, ab) in ab.iter().enumerate() {
                let [m, s, p] = expected.each_mut().map(|slot| &mut slot[i]);
                let g = grad.map_or(*ab, |grad| grad[i] + ab);
                *m = *m * 0.5 + g * 0.5;
                *s = *s * 0.999 + g * g * 0.001;
                let root = (*s * 1000.0).sqrt() + 1e-8;
                *p -= *m * 2.0 / root * 0.01;
            }
            for (found, expected) in slots.iter().zip(&expected) {
                assert_eq!(bits(found), bits(expected), "{isa:?} {:?}", inputs.dims);
            }
        }
    });
}

#[test]
#[should_panic(expected = "gemm: b has length 5, expected 2 x 3")]
fn wrong_length_panics_with_its_name() {
    let mut inputs = Inputs::new((false, false), 1, 2, 3);
    inputs.b.pop();
    inputs.store(isa());
}

#[test]
fn peak_is_positive() {
    assert!(measured_peak_gflops(1) > 0.0);
}

#[test]
fn packing_lays_lines_side_by_side_and_touches_nothing_behind_them() {
    for isa in available() {
        let Some(micro) = micro(isa) else { continue };
        for lines in 1..=33 {
            for k in [1, 2, 3, 7, 8, 9, 15, 16, 17, 30] {
                for is_turned in [false, true] {
                    let data = numbers(lines * k, 1);
                    let operand = Operand::new(&data, lines, k, is_turned);
                    let is_turned = operand.side_by_side && lines > 1;
                    for step in [lines, lines + 1, 48] {
                        let mut to = vec![f32::NAN; k * step + FENCE];
                        operand.pack(micro, 0, lines, step, &mut to[..k * step]);
                        for (i, p) in (0..lines).flat_map(|i| (0..k).map(move |p| (i, p))) {
                            let x = data[if is_turned { p * lines + i } else { i * k + p }];
                            assert_eq!(to[p * step + i], x, "{isa:?} {lines} {k} {step}");
                        }
                        assert!(to[k * step..].iter().all(|x| x.is_nan()), "{isa:?}");
                    }
                }
            }
        }
    }
}
