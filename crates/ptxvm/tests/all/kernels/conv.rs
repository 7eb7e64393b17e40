//! Convolutions: every kernel of the three forms, as the host launches them, against plain loops in f64.

use super::device::current;
use super::{absolute, assert_near, assert_same, everywhere_from, numbers};
use ganforge_kernels::cpu::conv::{Form, Sizes, Window};
use ganforge_kernels::cuda::matmul::Epilogue;
use ganforge_kernels::cuda::{Buffer, Device, Launch, Precision, Scratch, conv};
use ganforge_kernels::ptx;
use ganforge_ptxvm::{Class, Counts};

/// n, image, c_in, kernel, c_out, stride, padding where not SAME.
type Case = (
    usize,
    [usize; 2],
    usize,
    [usize; 2],
    usize,
    [usize; 2],
    Option<[usize; 2]>,
);

fn sizes((n, image, c_in, kernel, c_out, stride, pad): Case) -> Sizes {
    let window = match pad {
        None => Window::same(image, kernel, stride),
        Some(pad) => Window::padded(image, kernel, stride, pad),
    };
    Sizes {
        n,
        image,
        c_in,
        kernel,
        c_out,
        window,
    }
}

/// Odd images, borders, strides 1 to 3, filters of 1 to 7 cells, one channel and pictures', batch 1.
const CASES: [Case; 17] = [
    (1, [1, 1], 1, [1, 1], 1, [1, 1], None),
    (2, [5, 7], 3, [3, 3], 5, [1, 1], None),
    (1, [9, 6], 1, [4, 4], 20, [2, 2], None),
    (3, [7, 5], 4, [5, 5], 8, [2, 2], None),
    (1, [11, 4], 8, [7, 2], 4, [3, 1], None),
    (2, [4, 6], 4, [3, 3], 68, [1, 2], None),
    (2, [6, 7], 12, [4, 4], 3, [2, 2], None),
    (1, [3, 4], 2, [2, 3], 4, [1, 2], Some([4, 6])),
    (1, [8, 8], 4, [2, 2], 4, [3, 3], Some([0, 0])),
    (2, [5, 5], 4, [1, 1], 20, [2, 2], None), // phases that no tap hits
    (3, [2, 3], 20, [2, 3], 24, [1, 1], Some([0, 0])), // as a product
    (2, [3, 3], 8, [1, 1], 20, [1, 1], None), // as a product
    (5, [9, 9], 4, [3, 3], 4, [1, 1], None),  // long sums over pixels
    (1, [70, 71], 1, [2, 1], 3, [1, 1], None), // so long that a launch of its own adds them up
    (2, [3, 2], 36, [3, 3], 20, [1, 1], None),
    (1, [13, 13], 16, [3, 3], 24, [1, 1], None),
    (1, [2, 2], 132, [2, 2], 136, [2, 2], None),
];

const PRECISIONS: [(Precision, i32); 3] = [
    (Precision::F32, 23),
    (Precision::Tf32, 10),
    (Precision::Bf16, 7),
];

/// The sum of each element of C in f64.
fn exact(form: Form, s: &Sizes, a: &[f32], b: &[f32]) -> Vec<f64> {
    let mut c = vec![0.0; s.operands(form)[2]];
    let ([h, width], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    for pixel in 0..s.n * oh * ow {
        let (n, i, j) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
            let (r, q) = ((i * sh + u).wrapping_sub(ph), (j * sw + v).wrapping_sub(pw));
            if r >= h || q >= width {
                continue;
            }
            for (ci, co) in (0..s.c_in).flat_map(|ci| (0..s.c_out).map(move |co| (ci, co))) {
                let x = ((n * h + r) * width + q) * s.c_in + ci;
                let w = ((u * kw + v) * s.c_in + ci) * s.c_out + co;
                let y = pixel * s.c_out + co;
                let (ia, ib, ic) = match form {
                    Form::Y => (x, w, y),
                    Form::Dx => (y, w, x),
                    Form::Dw => (x, y, w),
                };
                c[ic] += f64::from(a[ia]) * f64::from(b[ib]);
            }
        }
    }
    c
}

/// The ladder's rungs with what each computes, C beginning with NaN or with `c`.
fn run(
    device: &Device,
    form: Form,
    s: &Sizes,
    [a, b, c]: [&[f32]; 3],
    epilogue: Epilogue,
    precision: Precision,
) -> Vec<(String, Vec<f32>)> {
    let copy = |data: &[f32]| device.copy_of(data).expect("there is memory");
    let (a, b, out): (Buffer, Buffer, Buffer) = (copy(a), copy(b), copy(c));
    let operands = [a.slice(), b.slice(), out.slice()];
    let ladder = |scratch: &mut Scratch| {
        let ladder = conv::ladder(form, s, operands, epilogue, precision, scratch);
        ladder.unwrap_or_else(|e| panic!("{e}"))
    };
    let mut needs = Scratch::measure();
    ladder(&mut needs);
    let sums: Buffer = device
        .copy_of(&vec![f32::NAN; needs.sums_needed])
        .expect("there is memory");
    let counters = device
        .copy_of(&vec![0u32; needs.counters_needed])
        .expect("there is memory");
    let mut scratch = Scratch::of(sums.slice(), counters.slice());
    let rungs = ladder(&mut scratch).into_iter();
    rungs
        .map(|(_, launches)| {
            out.write(c).expect("there is memory");
            device.load(&launches).unwrap_or_else(|e| panic!("{e}"));
            device.run(&launches).unwrap_or_else(|e| panic!("{e}"));
            let names: Vec<&str> = launches.iter().map(Launch::kernel).collect();
            let mut got = vec![0.0; c.len()];
            out.read(&mut got).expect("it is there");
            let mut left = vec![1u32; needs.counters_needed];
            counters.read(&mut left).expect("it is there");
            assert!(
                left.iter().all(|n| *n == 0),
                "{names:?}: counters are not reset"
            );
            (names.join(", "), got)
        })
        .collect()
}

/// Numbers with `bits` bits of fraction: rounding to them changes nothing.
fn coarse(x: Vec<f32>, bits: i32) -> Vec<f32> {
    let unit = 2f32.powi(bits);
    x.into_iter().map(|x| (x * unit).round() / unit).collect()
}

#[test]
fn every_form_and_rung_on_awkward_sizes() {
    everywhere_from((8, 0), || {
        let (device, _) = current();
        let mut seen = std::collections::BTreeSet::new();
        for case in CASES {
            let s = sizes(case);
            for form in Form::ALL {
                let [a, b, c] = s.operands(form);
                let nan = vec![f32::NAN; c];
                for (precision, kept) in PRECISIONS {
                    let (a, b) = (numbers(a, 1), numbers(b, 2));
                    let (a, b) = match precision {
                        Precision::F32 => (a, b),
                        _ => (coarse(a, kept - 1), coarse(b, kept - 1)),
                    };
                    let sum = exact(form, &s, &a, &b);
                    let size = exact(form, &s, &absolute(&a), &absolute(&b));
                    let results = run(
                        &device,
                        form,
                        &s,
                        [&a, &b, &nan],
                        Epilogue::Store,
                        precision,
                    );
                    assert!(
                        precision != Precision::F32 || results.len() >= 2,
                        "{case:?}"
                    );
                    for (rung, got) in &results {
                        let what = format!("{form:?} of {case:?} by {rung}");
                        // Tensor cores cut off what an addition has behind f32's bits instead of rounding it.
                        let terms = match rung.contains("_tf32") || rung.contains("_bf16") {
                            true => 4 * (s.terms(form) + 2),
                            false => s.terms(form),
                        };
                        assert_near(&what, got, &sum, terms, &size);
                        seen.insert(rung.clone());
                    }
                    // Sums that no rung cuts are one chain, in the same order.
                    if precision == Precision::F32
                        && s.terms(form) < 64
                        && results.last().is_some_and(|r| !r.0.contains("matvec"))
                    {
                        for (rung, got) in &results {
                            assert_same(
                                &format!("{form:?} of {case:?} by {rung}"),
                                got,
                                &results[0].1,
                            );
                        }
                    }
                }
            }
        }
        let of_conv = seen.iter().filter(|name| name.starts_with("conv2d"));
        let kernels: std::collections::BTreeSet<&str> =
            of_conv.flat_map(|names| names.split(", ")).collect();
        let in_ptx = ["conv", "conv_tf32_sm80", "conv_bf16_sm80"].map(|f| {
            let family = ptx::family(f).expect("it ships");
            family.ptx.matches(".visible .entry ").count()
        });
        assert_eq!(kernels.len(), in_ptx.iter().sum::<usize>(), "{kernels:?}");
    });
}

#[test]
fn every_epilogue_is_that_of_separate_ops() {
    everywhere_from((8, 0), || {
        let (device, _) = current();
        let (lr, mu, below) = (0.1f32, 0.7f32, 0.2f32);
        let copy = |data: &[f32]| -> Buffer { device.copy_of(data).expect("there is memory") };
        let cases: [Case; 5] = [
            (2, [5, 7], 4, [3, 3], 20, [1, 1], None),
            (2, [6, 5], 3, [4, 4], 5, [2, 2], None),
            (1, [9, 7], 8, [3, 3], 4, [2, 3], None),
            (3, [2, 3], 4, [2, 3], 20, [1, 1], Some([0, 0])),
            (1, [70, 70], 1, [3, 2], 4, [1, 1], None),
        ];
        for case in cases {
            let s = sizes(case);
            for form in Form::ALL {
                let [na, nb, nc] = s.operands(form);
                let n = s.columns(form);
                let data: Vec<Vec<f32>> = [na, nb, nc, n, nc, nc]
                    .into_iter()
                    .zip(1..)
                    .map(|(n, seed)| numbers(n, seed))
                    .collect();
                let [a, b, c, bias, other, param] = &data[..] else {
                    unreachable!()
                };
                let on_device = [bias, other, param, &vec![lr], &vec![mu]].map(|d| copy(d));
                let [bias_at, other_at, param_at, lr_at, mu_at] =
                    on_device.each_ref().map(Buffer::slice);
                for precision in [Precision::F32, Precision::Tf32] {
                    let run = |epilogue| run(&device, form, &s, [a, b, c], epilogue, precision);
                    let sums = run(Epilogue::Store);
                    let check = |epilogue: Epilogue, expected: &dyn Fn(f32, usize) -> f32| {
                        for ((rung, got), (_, ab)) in run(epilogue).iter().zip(&sums) {
                            let expected: Vec<f32> = (0..nc).map(|i| expected(ab[i], i)).collect();
                            assert_same(
                                &format!("{rung}: {epilogue:?} of {form:?} of {case:?}"),
                                got,
                                &expected,
                            );
                        }
                    };
                    check(Epilogue::Accumulate, &|ab, i| c[i] + ab);
                    let plain = Epilogue::Bias {
                        bias: bias_at,
                        relu: false,
                    };
                    check(plain, &|ab, i| ab + bias[i % n]);
                    let relu = Epilogue::Bias {
                        bias: bias_at,
                        relu: true,
                    };
                    check(relu, &|ab, i| (ab + bias[i % n]).max(0.0));
                    check(Epilogue::Times { by: other_at }, &|ab, i| other[i] * ab);
                    let step = Epilogue::Step {
                        at: other_at,
                        below,
                    };
                    check(step, &|ab, i| if other[i] > 0.0 { ab } else { below * ab });
                    for grad in [None, Some(other_at)] {
                        let momentum = Epilogue::Momentum {
                            param: param_at,
                            lr: lr_at,
                            momentum: mu_at,
                            grad,
                        };
                        let velocity = |ab: f32, i: usize| {
                            let g = if grad.is_some() { other[i] + ab } else { ab };
                            mu * c[i] - lr * g
                        };
                        check(momentum, &velocity);
                        // By every rung, each with its own sums, one after another.
                        let mut expected = param.clone();
                        for (_, ab) in &sums {
                            for (i, p) in expected.iter_mut().enumerate() {
                                *p += velocity(ab[i], i);
                            }
                        }
                        let mut moved = vec![0.0; nc];
                        on_device[2].read(&mut moved).expect("it is there");
                        on_device[2].write(param).expect("there is memory");
                        assert_same(
                            &format!("parameters, {form:?} of {case:?}"),
                            &moved,
                            &expected,
                        );
                    }
                }
            }
        }
    });
}

/// What a rung costs on `case`.
fn cost(form: Form, case: Case, precision: Precision, rung: &str) -> Counts {
    let (device, noted) = current();
    let s = sizes(case);
    let [a, b, c] = s.operands(form).map(|n| numbers(n, 1));
    run(&device, form, &s, [&a, &b, &c], Epilogue::Store, precision);
    let noted = noted.lock().expect("no panic while it was locked");
    let found = noted.iter().find(|(name, _)| name.contains(rung));
    let (_, counts) = found.unwrap_or_else(|| panic!("{rung} did not run"));
    *counts
}

/// Twice as many channels of the source, so that what is left of the difference are steps of the sum.
#[test]
fn where_patches_lie_costs_little_beside_the_multiply_adds() {
    let case = |c_in, c_out| (1, [8, 8], c_in, [3, 3], c_out, [1, 1], None);
    for (form, short, long) in [
        (Form::Y, case(32, 64), case(64, 64)),
        (Form::Dx, case(64, 32), case(64, 64)),
    ] {
        for (rung, most) in [("v3_wide_f32", 1.5), ("v2_block_f32", 2.0)] {
            let cost = |case| cost(form, case, Precision::F32, rung);
            let [short, long] = [cost(short), cost(long)];
            let more = |of: &dyn Fn(&Counts) -> u64| of(&long) - of(&short);
            // 18 steps of 16 terms, in parts: 512 multiply-adds in each of 4 warps.
            let fma = more(&|c| c.class(Class::Fma).warps);
            assert_eq!(fma, 18 * 4 * 512, "{form:?} {rung}");
            let all = more(&|c| c.total().warps) as f64;
            assert!(
                all <= most * fma as f64,
                "{form:?} {rung}: {all} instructions, {fma} multiply-adds"
            );
        }
    }
    for (form, case) in [
        (Form::Y, case(64, 64)),
        (Form::Dx, case(64, 64)),
        (Form::Dw, case(64, 64)),
    ] {
        let wide = cost(form, case, Precision::F32, "v3_wide_f32");
        let words = cost(form, case, Precision::F32, "v2_block_f32");
        let naive = cost(form, case, Precision::F32, "v1_naive_f32");
        for (rung, counts) in [("wide", &wide), ("words", &words)] {
            let conflicts = counts.shared_loads.conflicts() + counts.shared_stores.conflicts();
            assert_eq!(conflicts, 0, "{form:?} {rung}");
        }
        // Every sector that is asked for is used but for the counters of parts. Loads are four times as wide; the other factor is
        // read so either way, but in conv2d_dx, and words that are all outside of the image are not loaded.
        let (requests, sectors) = (wide.global_loads.requests, wide.global_loads.sectors);
        let by_words = words.global_loads.requests;
        let least = if form == Form::Dw { 1 } else { 2 };
        assert!(
            least * requests <= by_words,
            "{form:?}: {requests}, {by_words}"
        );
        assert!(
            32 * sectors <= wide.global_loads.bytes + 1024,
            "{form:?}: {sectors} sectors"
        );
        assert!(
            10 * requests < naive.global_loads.requests,
            "{form:?}: {requests}"
        );
    }
}

#[test]
fn tensor_cores_get_their_tiles_without_conflicts() {
    let case = (1, [8, 8], 64, [3, 3], 64, [1, 1], None);
    for precision in [Precision::Tf32, Precision::Bf16] {
        for form in Form::ALL {
            for rung in ["v2_block", "v3_large"] {
                let counts = cost(form, case, precision, rung);
                let conflicts = [
                    counts.shared_loads.conflicts(),
                    counts.shared_stores.conflicts(),
                ];
                assert_eq!(conflicts, [0; 2], "{form:?} {rung}");
                assert!(counts.class(Class::Matrix).warps > 0, "{form:?} {rung}");
            }
        }
    }
}

/// A stride of 2 leaves each phase a quarter of the taps: no product with the zeros between the pixels of dy.
#[test]
fn phases_multiply_no_inserted_zeros() {
    let case = (2, [16, 16], 64, [4, 4], 64, [2, 2], None);
    let s = sizes(case);
    let counts = cost(Form::Dx, case, Precision::F32, "v3_wide_f32");
    let terms = s.x() * s.terms(Form::Dx);
    assert_eq!(s.terms(Form::Dx), 4 * 64);
    assert_eq!(counts.class(Class::Fma).threads, terms as u64);
}
