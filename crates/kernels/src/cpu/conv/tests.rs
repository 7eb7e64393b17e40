//! The three forms against sums in f64 over all windows, between fences, at awkward sizes.

use super::*;

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

/// Sizes with [n, h, w], c_in, kernel, c_out, stride, window.
fn sizes() -> Vec<Sizes> {
    let mut all = Vec::new();
    let mut add = |[n, h, w]: [usize; 3], c_in, kernel, c_out, window| {
        let image = [h, w];
        all.push(Sizes {
            n,
            image,
            c_in,
            kernel,
            c_out,
            window,
        });
    };
    let same = Window::same;
    add([1, 1, 1], 1, [1, 1], 1, same([1, 1], [1, 1], [1, 1]));
    add([2, 9, 7], 3, [3, 3], 5, same([9, 7], [3, 3], [1, 1]));
    add([3, 8, 10], 2, [4, 4], 33, same([8, 10], [4, 4], [2, 2]));
    add([1, 7, 9], 17, [5, 5], 16, same([7, 9], [5, 5], [2, 2]));
    add([2, 7, 7], 1, [7, 7], 4, same([7, 7], [7, 7], [3, 3]));
    add([2, 8, 5], 4, [1, 7], 6, same([8, 5], [1, 7], [1, 3]));
    add([2, 5, 8], 4, [3, 1], 6, same([5, 8], [3, 1], [3, 1]));
    add(
        [3, 4, 4],
        40,
        [4, 4],
        1,
        Window::valid([4, 4], [4, 4], [1, 1]),
    );
    add([2, 6, 6], 19, [1, 1], 35, same([6, 6], [1, 1], [1, 1]));
    add([2, 7, 6], 19, [1, 1], 8, same([7, 6], [1, 1], [2, 3]));
    add(
        [1, 3, 2],
        2,
        [2, 3],
        3,
        Window::padded([3, 2], [2, 3], [1, 2], [9, 11]),
    );
    let behind = |stride, pad, out| Window { stride, pad, out };
    add([2, 6, 6], 3, [3, 5], 7, behind([1, 1], [2, 0], [6, 6]));
    add([2, 6, 7], 3, [3, 5], 7, behind([2, 1], [0, 4], [3, 7]));
    // Several blocks of the sum, of rows and of strips, sums that are cut, and few columns.
    add([2, 12, 12], 40, [3, 3], 70, same([12, 12], [3, 3], [1, 1]));
    add([1, 5, 4], 8, [3, 3], 300, same([5, 4], [3, 3], [1, 1]));
    add([1, 5, 4], 270, [2, 2], 8, same([5, 4], [2, 2], [2, 2]));
    add([4, 16, 16], 2, [3, 3], 9, same([16, 16], [3, 3], [1, 1]));
    add([5, 20, 22], 3, [5, 5], 24, same([20, 22], [5, 5], [2, 2]));
    for c_in in 1..=4 {
        add([2, 9, 8], c_in, [5, 4], 37, same([9, 8], [5, 4], [2, 2]));
        add([2, 9, 8], 40, [3, 3], c_in, same([9, 8], [3, 3], [1, 1]));
    }
    // Few taps of many channels, of sizes that are no multiple of a tile.
    add([1, 7, 9], 48, [3, 3], 40, same([7, 9], [3, 3], [1, 1]));
    add(
        [2, 7, 5],
        32,
        [3, 3],
        144,
        Window::padded([7, 5], [3, 3], [1, 1], [0, 2]),
    );
    add([2, 9, 6], 32, [4, 4], 48, same([9, 6], [4, 4], [2, 2]));
    add([1, 8, 8], 144, [3, 3], 272, same([8, 8], [3, 3], [1, 1]));
    add([1, 16, 16], 32, [4, 4], 48, same([16, 16], [4, 4], [2, 2]));
    add([8, 16, 16], 32, [3, 3], 32, same([16, 16], [3, 3], [1, 1]));
    add([1, 8, 11], 64, [5, 5], 32, same([8, 11], [5, 5], [2, 2]));
    add([3, 6, 6], 80, [2, 2], 33, same([6, 6], [2, 2], [1, 1]));
    add([1, 13, 12], 32, [6, 4], 32, same([13, 12], [6, 4], [3, 2]));
    add([1, 12, 12], 32, [3, 2], 32, same([12, 12], [3, 2], [2, 1]));
    // More tiles than one task takes.
    add([5, 16, 16], 32, [2, 2], 32, same([16, 16], [2, 2], [1, 1]));
    add([73, 6, 4], 32, [5, 5], 32, same([6, 4], [5, 5], [2, 2]));
    add([65, 6, 8], 32, [4, 4], 32, same([6, 8], [4, 4], [2, 2]));
    all
}

#[test]
fn some_of_these_are_for_each_kind_of_kernel() {
    let counted = |form| {
        let tiles = Tiles::of(Isa::Avx2);
        let cuts = sizes()
            .into_iter()
            .map(move |s| winograd::Cut::new(tiles, form, s));
        let kinds = cuts.flatten().map(|cut| (cut.taps(), cut.packs_own()));
        kinds.collect::<Vec<_>>()
    };
    if Isa::Avx2.is_available() {
        for form in [Form::Y, Form::Dx] {
            let found = counted(form);
            for kind in [(2, false), (2, true), (3, false), (3, true)] {
                assert!(found.contains(&kind), "{form:?}: {found:?}");
            }
            assert!(found.len() < sizes().len() / 2);
        }
        let tiles = Tiles::of(Isa::Avx2);
        let cuts = sizes()
            .into_iter()
            .filter_map(|s| winograd_dw::Cut::new(tiles, s));
        let cuts: Vec<_> = cuts
            .map(|cut| (cut.taps(), cut.is_whole(), cut.parts() > 1))
            .collect();
        let whole = [(2, true, false), (3, true, false)];
        let kinds = [(2, false, false), (3, false, true)];
        for kind in whole.into_iter().chain(kinds) {
            assert!(cuts.contains(&kind), "dw: {cuts:?}");
        }
    }
}

/// The bound of `winograd`, with cells of sizes from 1e-3 to 1e3 beside each other.
#[test]
fn errors_after_winograd_are_within_their_bound() {
    let mut checked = 0;
    for mut case in Case::all() {
        let (form, s) = (case.form, case.sizes);
        if !case.is_after_winograd() {
            continue;
        }
        case.spread();
        let largest = case.a.iter().fold(0.0, |m: f32, a| m.max(a.abs()));
        let products = match form {
            Form::Y => s.window.stride[0] * s.window.stride[1] * s.c_in,
            Form::Dx => s.c_out,
            Form::Dw => s.terms(form),
        };
        let columns = s.columns(form);
        let mut sums = vec![0.0; columns];
        for (i, b) in case.b.iter().enumerate() {
            let column = match form {
                Form::Dx => i / s.c_out % s.c_in,
                Form::Y | Form::Dw => i % columns,
            };
            sums[column] += f64::from(b.abs());
        }
        let unit = (products + 32) as f64 * f64::from(f32::EPSILON) / 2.0 * f64::from(largest);
        let mut c = vec![f32::NAN; case.len];
        case.run(isa(), &mut c, Epilogue::Store, &mut Workspace::default());
        for (i, (sum, _)) in exact(form, s, &case.a, &case.b).into_iter().enumerate() {
            let (error, bound) = (
                (f64::from(c[i]) - sum).abs(),
                240.0 * unit * sums[i % columns],
            );
            assert!(
                error <= bound,
                "{form:?} {s:?} [{i}]: {error:e} of {bound:e}"
            );
        }
        checked += 1;
    }
    assert!(checked >= 15 || isa() == Isa::Portable, "{checked}");
}

/// The bound of a sum as it is written, with few large pixels: Winograd's sums beside them break it.
#[test]
fn direct_sums_have_no_error_of_winograd() {
    let mut broken = 0;
    for mut case in Case::all() {
        if !case.is_after_winograd() {
            continue;
        }
        let channels = case.sizes.gathered_channels(case.form);
        for pixel in case.a.chunks_exact_mut(channels).step_by(37) {
            pixel.iter_mut().for_each(|a| *a *= 1e6);
        }
        let exact = exact(case.form, case.sizes, &case.a, &case.b);
        let unit = (case.sizes.terms(case.form) + 1) as f64 * f64::from(f32::EPSILON) / 2.0;
        let beyond = |case: &Case| {
            let c = case.store(isa()).into_iter().map(f32::from_bits);
            let errors = c
                .zip(&exact)
                .map(|(c, (sum, _))| (f64::from(c) - sum).abs());
            let bounds = exact.iter().map(|(_, magnitude)| unit * magnitude);
            errors
                .zip(bounds)
                .filter(|(error, bound)| error > bound)
                .count()
        };
        broken += usize::from(beyond(&case) > 0);
        case.algorithm = Algorithm::Direct;
        assert_eq!(beyond(&case), 0, "{:?} {:?}", case.form, case.sizes);
    }
    assert!(broken >= 5 || isa() == Isa::Portable, "{broken}");
}

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads")
}

/// C in f64, and the sums of the magnitudes of its terms.
fn exact(form: Form, s: Sizes, a: &[f32], b: &[f32]) -> Vec<(f64, f64)> {
    let ([h, w], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    let mut c = vec![(0.0, 0.0); s.operands(form)[2]];
    let mut term = |x: usize, w: usize, y: usize| {
        let (a, b, c) = match form {
            Form::Y => (a[x], b[w], &mut c[y]),
            Form::Dx => (a[y], b[w], &mut c[x]),
            Form::Dw => (a[x], b[y], &mut c[w]),
        };
        let product = f64::from(a) * f64::from(b);
        *c = (c.0 + product, c.1 + product.abs());
    };
    let (windows, taps) = (s.n * oh * ow, kh * kw);
    for (window, tap) in (0..windows).flat_map(|i| (0..taps).map(move |t| (i, t))) {
        let (image, i, j) = (window / (oh * ow), window / ow % oh, window % ow);
        let (r, q) = (i * sh + tap / kw, j * sw + tap % kw);
        if (ph..ph + h).contains(&r) && (pw..pw + w).contains(&q) {
            let pixel = (image * h + r - ph) * w + q - pw;
            for ci in 0..s.c_in {
                for co in 0..s.c_out {
                    term(
                        pixel * s.c_in + ci,
                        (tap * s.c_in + ci) * s.c_out + co,
                        window * s.c_out + co,
                    );
                }
            }
        }
    }
    c
}

struct Case {
    form: Form,
    sizes: Sizes,
    algorithm: Algorithm,
    a: Vec<f32>,
    b: Vec<f32>,
    len: usize,
}

impl Case {
    /// All sizes and forms, and both algorithms where they differ.
    fn all() -> impl Iterator<Item = Case> {
        let pairs = sizes()
            .into_iter()
            .flat_map(|s| Form::ALL.map(|form| (form, s)));
        pairs.flat_map(|(form, sizes)| {
            let [a, b, len] = sizes.operands(form);
            let (a, b) = (numbers(a, 1), numbers(b, 2));
            let algorithm = Algorithm::Fastest;
            let fastest = Case {
                form,
                sizes,
                algorithm,
                a,
                b,
                len,
            };
            let direct = fastest.is_after_winograd().then(|| Case {
                algorithm: Algorithm::Direct,
                a: fastest.a.clone(),
                b: fastest.b.clone(),
                ..fastest
            });
            [Some(fastest), direct].into_iter().flatten()
        })
    }

    fn is_after_winograd(&self) -> bool {
        let cut = Cut::new(Tiles::of(isa()), self.form, self.sizes, self.algorithm);
        let is_product = self.sizes.product(self.form).is_some();
        !is_product && matches!(cut, Cut::Winograd(_) | Cut::WinogradDw(_))
    }

    /// Cells of sizes from 1e-3 to 1e3 beside each other.
    fn spread(&mut self) {
        for (i, a) in self.a.iter_mut().enumerate() {
            *a *= [1.0, 1e3, 1e-3, 3.0, 1e3][(i / 16) % 5];
        }
    }

    fn run(&self, isa: Isa, c: &mut [f32], epilogue: Epilogue, workspace: &mut Workspace) {
        let (a, b) = (&self.a, &self.b);
        let (form, sizes, algorithm) = (self.form, self.sizes, self.algorithm);
        conv_with(isa, form, sizes, algorithm, a, b, c, epilogue, workspace);
    }

    fn store(&self, isa: Isa) -> Vec<u32> {
        let mut c = vec![f32::NAN; self.len];
        self.run(isa, &mut c, Epilogue::Store, &mut Workspace::default());
        c.iter().map(|x| x.to_bits()).collect()
    }
}

/// Whether the case's C is what it must be, between fences; what the workspace held before is no number.
fn check(case: &Case, isa: Isa, exact: &[(f64, f64)], workspace: &mut Workspace) {
    let mut c = vec![f32::NAN; case.len + 2 * FENCE];
    let inside = FENCE..FENCE + case.len;
    workspace.take(1 << 16).fill(f32::NAN);
    case.run(isa, &mut c[inside.clone()], Epilogue::Store, workspace);
    let terms = case.sizes.terms(case.form) as f64;
    for (i, (c, (sum, magnitude))) in c[inside.clone()].iter().zip(exact).enumerate() {
        let bound = (terms + 1.0) * f64::from(f32::EPSILON) * magnitude;
        let (form, sizes) = (case.form, case.sizes);
        assert!(
            (f64::from(*c) - sum).abs() <= bound,
            "{isa:?} {form:?} {sizes:?} [{i}]: {c}, expected {sum} ± {bound:e}"
        );
    }
    let mut fences = c[..FENCE].iter().chain(&c[inside.end..]);
    assert!(fences.all(|x| x.is_nan()), "{isa:?} {:?}", case.sizes);
}

#[test]
fn each_form_is_its_sum_and_nothing_else_is_written() {
    let mut workspace = Workspace::default();
    for case in Case::all() {
        let exact = exact(case.form, case.sizes, &case.a, &case.b);
        for isa in available() {
            check(&case, isa, &exact, &mut workspace);
        }
    }
}

/// Sums of nothing are zeros, whatever the workspace held.
#[test]
fn an_empty_batch_is_no_fault() {
    let mut workspace = Workspace::default();
    for (sizes, form) in sizes().into_iter().flat_map(|s| Form::ALL.map(|f| (s, f))) {
        let sizes = Sizes { n: 0, ..sizes };
        let ([a, b, len], algorithm) = (sizes.operands(form), Algorithm::Fastest);
        let (a, b) = (numbers(a, 1), numbers(b, 2));
        let case = Case {
            form,
            sizes,
            algorithm,
            a,
            b,
            len,
        };
        for isa in available() {
            check(&case, isa, &vec![(0.0, 0.0); len], &mut workspace);
        }
    }
}

#[test]
fn loops_as_they_are_written_are_the_sums_too() {
    for case in Case::all() {
        let exact = exact(case.form, case.sizes, &case.a, &case.b);
        let mut c = vec![f32::NAN; case.len];
        direct::run(case.form, &case.sizes, &case.a, &case.b, &mut c);
        let terms = case.sizes.terms(case.form) as f64;
        for (c, (sum, magnitude)) in c.iter().zip(exact) {
            let bound = (terms + 1.0) * f64::from(f32::EPSILON) * magnitude;
            assert!((f64::from(*c) - sum).abs() <= bound, "{:?}", case.sizes);
        }
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_width_of_vectors() {
    let pools = [1, 2, 3].map(pool);
    for case in Case::all() {
        for isa in available() {
            let [one, two, three] = pools.each_ref().map(|p| p.install(|| case.store(isa)));
            let what = (case.form, case.sizes);
            assert!(one == two && two == three, "{isa:?} {what:?}");
        }
        if Isa::Avx512.is_available() {
            let what = (case.form, case.sizes);
            assert_eq!(case.store(Isa::Avx2), case.store(Isa::Avx512), "{what:?}");
        }
    }
}

#[test]
fn what_is_asked_for_is_enough_of_a_workspace() {
    for case in Case::all() {
        let mut workspace = Workspace::default();
        pool(3).install(|| {
            let asked = super::workspace(case.form, case.sizes);
            let full = workspace.take(asked).as_ptr();
            let mut c = vec![0.0; case.len];
            case.run(isa(), &mut c, Epilogue::Store, &mut workspace);
            let again = workspace.take(asked).as_ptr();
            assert_eq!(full, again, "{:?} {:?}", case.form, case.sizes);
        });
    }
}

#[test]
fn an_epilogue_does_what_the_separate_step_does() {
    let mut workspace = Workspace::default();
    for (case, isa) in Case::all().flat_map(|case| {
        let case = std::rc::Rc::new(case);
        available().map(move |isa| (case.clone(), isa))
    }) {
        let columns = case.sizes.columns(case.form);
        let (old, other, bias) = (
            numbers(case.len, 3),
            numbers(case.len, 4),
            numbers(columns, 5),
        );
        let mut ab = vec![f32::NAN; case.len];
        case.run(isa, &mut ab, Epilogue::Store, &mut workspace);
        let mut check = |what: &str, epilogue: Epilogue, wanted: &dyn Fn(usize) -> f32| {
            let mut c = old.clone();
            case.run(isa, &mut c, epilogue, &mut workspace);
            for (i, c) in c.iter().enumerate() {
                let (form, sizes, wanted) = (case.form, case.sizes, wanted(i));
                let same = c.to_bits() == wanted.to_bits();
                assert!(
                    same,
                    "{what} {isa:?} {form:?} {sizes:?} [{i}]: {c}, {wanted}"
                );
            }
        };
        check("accumulate", Epilogue::Accumulate, &|i| old[i] + ab[i]);
        check("times", Epilogue::Times { by: &other }, &|i| {
            other[i] * ab[i]
        });
        let step = |below| Epilogue::Step { at: &other, below };
        check("step", step(0.0), &|i| {
            if other[i] > 0.0 { ab[i] } else { 0.0 }
        });
        check("leaky step", step(0.2), &|i| {
            if other[i] > 0.0 { ab[i] } else { 0.2 * ab[i] }
        });
        for grad in [None, Some(&other[..])] {
            let mut param = other.clone();
            let update = Epilogue::Momentum {
                grad,
                param: &mut param,
                lr: 0.25,
                momentum: 0.5,
            };
            let v = |i: usize| 0.5 * old[i] - 0.25 * grad.map_or(ab[i], |g| g[i] + ab[i]);
            check("momentum", update, &v);
            for (i, p) in param.iter().enumerate() {
                assert_eq!(p.to_bits(), (other[i] + v(i)).to_bits());
            }
        }
        // Of dx of whole images the plain product has columns that are no channels, and perhaps other bits.
        if case.sizes.product(case.form).is_none() {
            let plus = |i: usize| ab[i] + bias[i % columns];
            let to = |below| Epilogue::Bias { bias: &bias, below };
            check("bias", to(None), &plus);
            let relu = |x: f32| if x <= 0.0 { 0.0 } else { x };
            check("relu", to(Some(0.0)), &|i| relu(plus(i)));
            let leaky = |x: f32| if x <= 0.0 { 0.2 * x } else { x };
            check("leaky relu", to(Some(0.2)), &|i| leaky(plus(i)));
        }
    }
}

/// Each channel's bias, where dx is a plain product with other columns than channels.
#[test]
fn a_bias_of_whole_images_belongs_to_channels() {
    let sizes = Sizes {
        n: 3,
        image: [2, 3],
        c_in: 5,
        kernel: [2, 3],
        c_out: 4,
        window: Window::valid([2, 3], [2, 3], [1, 1]),
    };
    let [dy, w, len] = sizes.operands(Form::Dx);
    let (dy, w, bias) = (numbers(dy, 1), numbers(w, 2), numbers(5, 3));
    let exact = exact(Form::Dx, sizes, &dy, &w);
    for isa in available() {
        let mut c = vec![f32::NAN; len];
        let (workspace, below) = (&mut Workspace::default(), None);
        let epilogue = Epilogue::Bias { bias: &bias, below };
        let (form, algorithm) = (Form::Dx, Algorithm::Direct);
        conv_with(
            isa, form, sizes, algorithm, &dy, &w, &mut c, epilogue, workspace,
        );
        for (i, c) in c.iter().enumerate() {
            let wanted = exact[i].0 + f64::from(bias[i % 5]);
            assert!((f64::from(*c) - wanted).abs() < 1e-6, "{isa:?}");
        }
    }
}

#[test]
#[should_panic(expected = "conv: operands of lengths")]
fn lengths_that_do_not_fit_are_refused() {
    let sizes = sizes()[1];
    let [a, b, c] = sizes.operands(Form::Y).map(|len| vec![0.0; len]);
    let mut c = c[1..].to_vec();
    let workspace = &mut Workspace::default();
    let (form, algorithm) = (Form::Y, Algorithm::Fastest);
    conv(
        form,
        sizes,
        algorithm,
        &a,
        &b,
        &mut c,
        Epilogue::Store,
        workspace,
    );
}

/// Of more columns than a group has, over more tiles than are gathered at once, whose points of dy are computed beforehand.
#[test]
fn columns_of_dw_do_not_depend_on_their_neighbours() {
    let of = |c_out| Sizes {
        n: 65,
        image: [6, 8],
        c_in: 32,
        kernel: [4, 4],
        c_out,
        window: Window::same([6, 8], [4, 4], [2, 2]),
    };
    let (all, some) = (of(272), of(32));
    let x = numbers(all.x(), 1);
    let dy = numbers(all.y(), 2);
    let last = |rows: &[f32]| -> Vec<f32> {
        let last_of = |row: &[f32]| row[240..].to_vec();
        rows.chunks_exact(272).flat_map(last_of).collect()
    };
    for isa in available().filter(|isa| *isa != Isa::Portable) {
        let dw = |sizes: Sizes, dy: &[f32]| {
            let mut dw = vec![f32::NAN; sizes.w()];
            let (form, algorithm) = (Form::Dw, Algorithm::Fastest);
            let workspace = &mut Workspace::default();
            let store = Epilogue::Store;
            conv_with(
                isa, form, sizes, algorithm, &x, dy, &mut dw, store, workspace,
            );
            dw
        };
        assert_eq!(kernels(Form::Dw, all, Algorithm::Fastest), "winograd");
        assert!(last(&dw(all, &dy)) == dw(some, &last(&dy)), "{isa:?}");
    }
}
