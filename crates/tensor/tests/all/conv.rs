//! Convolutions: PyTorch's conventions, the identity of adjoints, and what is wrong when shapes do not fit.

use crate::common::Rng;
use ganforge_kernels::cpu::conv::{self, Algorithm, Form, Sizes};
use ganforge_kernels::cpu::gemm::Epilogue;
use ganforge_kernels::cpu::{Isa, Workspace, isa};
use ganforge_tensor::ops::Window;
use ganforge_tensor::{
    Cpu, Device, Error, Executor, Feed, Graph, Plan, Reference, Shape, Store, Var,
};

/// `fetches` in f32 on the CPU, and in f64.
fn run(fetches: &[Var], feeds: &[Feed]) -> Vec<(Vec<f32>, Vec<f64>)> {
    let names: Vec<String> = (0..fetches.len()).map(|i| i.to_string()).collect();
    let mut plan = Plan::of(fetches[0].graph());
    for (name, value) in names.iter().zip(fetches) {
        plan = plan.fetch(name, *value);
    }
    let plan = plan.compile().expect("no fault");
    let (mut cpu, mut reference, mut store) = (Cpu::new(&plan), Reference::new(), Store::new(0));
    cpu.run(&plan, &mut store, feeds)
        .expect("everything is fed");
    reference
        .run(&plan, &mut store, feeds)
        .expect("everything is fed");
    let both = |name: &String| {
        let in_f32 = cpu.fetch(&plan, &store, name).expect("fetched").to_vec();
        (
            in_f32,
            reference.fetch(&plan, name).expect("fetched").to_vec(),
        )
    };
    names.iter().map(both).collect()
}

/// All numbers are few binary digits, so that sums are exact in any order and in both precisions.
#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let mut lines = include_str!("../fixtures/conv.txt").lines();
    let mut cases = 0;
    while let Some(head) = lines.next() {
        let (name, sizes) = head.split_once(' ').expect("a name and sizes");
        let sizes: Vec<usize> = sizes
            .split(' ')
            .map(|s| s.parse().expect("a size"))
            .collect();
        let &[n, h, w, c_in, kh, kw, c_out, s0, s1, p0, p1, oh, ow] = &sizes[..] else {
            panic!("{head}")
        };
        let mut numbers = || -> Vec<f64> {
            let line = lines.next().expect("six lines");
            line.split(' ')
                .map(|x| x.parse().expect("a number"))
                .collect()
        };
        let arrays: [Vec<f64>; 6] = std::array::from_fn(|_| numbers());
        let fed = [0, 1, 2].map(|i| arrays[i].iter().map(|&x| x as f32).collect::<Vec<f32>>());
        let shapes: [Shape; 3] = [
            [n, h, w, c_in].into(),
            [kh, kw, c_in, c_out].into(),
            [n, oh, ow, c_out].into(),
        ];
        let g = Graph::new();
        let names = ["x", "w", "dy"];
        let [x, filters, dy] = [0, 1, 2].map(|i| g.input(names[i], shapes[i]));
        let window = Window {
            stride: [s0, s1],
            pad: [p0, p1],
            out: [oh, ow],
        };
        let y = x.conv2d(filters, window);
        let grads = g.grad((y * dy).sum(), &[x, filters]).expect("reached");
        let feeds = [0, 1, 2].map(|i| Feed::new(names[i], shapes[i], &fed[i]));
        let values = run(&[y, grads[0], grads[1]], &feeds);
        for (i, what) in ["y", "dx", "dw"].into_iter().enumerate() {
            let (in_f32, in_f64) = &values[i];
            assert_eq!(*in_f64, arrays[3 + i], "{name}: {what}");
            let widened: Vec<f64> = in_f32.iter().map(|&x| x.into()).collect();
            assert_eq!(widened, arrays[3 + i], "{name}: {what} in f32");
        }
        cases += 1;
    }
    assert_eq!(cases, 8);
}

/// ⟨conv(x, w), y⟩ = ⟨x, dx(y, w)⟩ = ⟨w, dw(x, y)⟩.
#[test]
fn the_three_are_adjoint_to_each_other() {
    let mut rng = Rng::new(12);
    let mut multiplied = 0;
    for case in 0..60 {
        let [h, w] = [0; 2].map(|_| 1 + rng.below(9));
        let [kh, kw] = [0; 2].map(|_| 1 + rng.below(7));
        let stride = [0; 2].map(|_| 1 + rng.below(3));
        let window = match case % 3 {
            0 => Window::same([h, w], [kh, kw], stride),
            1 => Window::padded([h, w], [kh, kw], stride, [kh / 2 + rng.below(9), kw / 2]),
            _ => Window::padded([h, w], [kh, kw], stride, [kh / 2, kw + rng.below(7)]),
        };
        let [n, c_in, c_out] = [0; 3].map(|_| 1 + rng.below(4));
        let g = Graph::new();
        let shapes: [Shape; 3] = [
            [n, h, w, c_in].into(),
            [kh, kw, c_in, c_out].into(),
            [n, window.out[0], window.out[1], c_out].into(),
        ];
        let data = shapes.map(|s| rng.reals(s.elements()));
        let names = ["x", "w", "y"];
        let [x, filters, y] = [0, 1, 2].map(|i| g.input(names[i], shapes[i]));
        let products = [
            x.conv2d(filters, window) * y,
            x * y.conv2d_dx(filters, window, [h, w]),
            filters * x.conv2d_dw(y, window, [kh, kw]),
        ];
        let magnitude = x.abs().conv2d(filters.abs(), window) * y.abs();
        let sums = [products[0], products[1], products[2], magnitude].map(|p| p.sum());
        let feeds = [0, 1, 2].map(|i| Feed::new(names[i], shapes[i], &data[i]));
        let values = run(&sums, &feeds);
        let bound = 1e-14 * values[3].1[0];
        let what = format!("{window:?} of {kh} x {kw} on {h} x {w}");
        // A window may lie on zeros alone.
        multiplied += usize::from(bound > 0.0);
        for i in 1..3 {
            let [a, b] = [values[0].1[0], values[i].1[0]];
            assert!((a - b).abs() <= bound, "{what}: {a} and {b}");
        }
    }
    assert!(multiplied > 50, "{multiplied}");
}

/// The adjoint of a convolution with stride 2 puts each number's filter two cells from its neighbour's.
#[test]
fn a_transposed_convolution_doubles_images() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [1, 1, 2, 1]), g.input("w", [2, 2, 1, 1]));
    let window = Window::same([2, 4], [2, 2], [2, 2]);
    let y = x.conv2d_dx(w, window, [2, 4]);
    let at = [("x", vec![1.0, 10.0]), ("w", vec![1.0, 2.0, 3.0, 4.0])];
    let expected = [1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0];
    assert_eq!(y.evaluate(&at).expect("no fault"), expected);
}

#[test]
fn shapes_that_do_not_fit_are_told_with_their_sizes() {
    let refused = |record: &dyn for<'g> Fn(&'g Graph) -> Var<'g>| {
        let g = Graph::new();
        let y = record(&g);
        let error = y.evaluate(&[]).expect_err("a shape does not fit");
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        error.to_string()
    };
    let window = Window::same([28, 28], [4, 4], [2, 2]);
    let conv = |x: [usize; 4], w: [usize; 4]| {
        refused(&move |g| g.input("x", x).conv2d(g.param("w", w), window))
    };
    let says = |message: String, part: &str| assert!(message.contains(part), "{message}");
    says(
        conv([8, 28, 28, 3], [4, 4, 1, 64]),
        "conv2d: channels of images and filters differ, 3 and 1: [8, 28, 28, 3] · [4, 4, 1, 64]",
    );
    says(
        conv([8, 32, 32, 1], [4, 4, 1, 64]),
        "14 windows of 4 rows, 2 apart from 1 before the image on, leave room for another in an image of 32",
    );
    says(
        refused(&|g| {
            g.input("x", [8, 784])
                .conv2d(g.param("w", [4, 4, 1, 64]), window)
        }),
        "expected images [n, h, w, c_in], got [8, 784]",
    );
    says(
        refused(&|g| {
            let (dy, w) = (g.input("dy", [8, 7, 7, 64]), g.param("w", [4, 4, 1, 64]));
            dy.conv2d_dx(w, window, [28, 28])
        }),
        "conv2d_dx: expected a dy of 14 x 14, one for each window, got 7 x 7",
    );
    says(
        refused(&|g| {
            let (dy, w) = (g.input("dy", [8, 14, 14, 64]), g.param("w", [4, 4, 64, 1]));
            dy.conv2d_dx(w, window, [28, 28])
        }),
        "channels of dy and filters differ, 64 and 1",
    );
    says(
        refused(&|g| {
            let (x, dy) = (g.input("x", [8, 28, 28, 1]), g.input("dy", [4, 14, 14, 64]));
            x.conv2d_dw(dy, window, [4, 4])
        }),
        "conv2d_dw: numbers of images differ, 8 and 4",
    );
}

/// Products that Winograd takes: `strict` has the bits of the direct kernels, the default is within Winograd's bound.
#[test]
fn a_strict_device_convolves_directly_and_another_within_the_stated_bound() {
    let (n, side, c) = (2, 8, 32);
    let window = Window::same([side; 2], [3, 3], [1, 1]);
    let g = Graph::new();
    let shapes = [Shape::new(&[n, side, side, c]), Shape::new(&[3, 3, c, c])];
    let [x, w] = [g.input("x", shapes[0]), g.input("w", shapes[1])];
    let results = [
        (Form::Y, x.conv2d(w, window)),
        (Form::Dx, x.conv2d_dx(w, window, [side; 2])),
        (Form::Dw, x.conv2d_dw(x, window, [3, 3])),
    ];
    let mut rng = Rng::new(7);
    let [a, b] = shapes.map(|s| rng.reals(s.elements()));
    let sizes = Sizes {
        n,
        image: [side; 2],
        c_in: c,
        kernel: [3, 3],
        c_out: c,
        window,
    };
    for (form, y) in results {
        let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
        let all = [Feed::new("x", shapes[0], &a), Feed::new("w", shapes[1], &b)];
        let feeds: Vec<Feed> = all
            .into_iter()
            .filter(|f| plan.inputs.iter().any(|i| i.name == f.name))
            .collect();
        let run = |device: Device| {
            let (mut executor, mut store) = (device.executor().expect("the CPU"), Store::new(0));
            executor
                .run(&plan, &mut store, &feeds)
                .expect("everything is fed");
            executor
                .fetch(&plan, &store, "y")
                .expect("fetched")
                .to_vec()
        };
        let [strict, fast] = [Device::Cpu(Algorithm::Direct), Device::CPU].map(run);
        let second = if form == Form::Dw { &a } else { &b };
        let mut direct = vec![f32::NAN; strict.len()];
        let (store, memory) = (Epilogue::Store, &mut Workspace::default());
        conv::conv(
            form,
            sizes,
            Algorithm::Direct,
            &a,
            second,
            &mut direct,
            store,
            memory,
        );
        assert!(strict == direct, "{form:?}");

        let mut reference = Reference::new();
        reference
            .run(&plan, &mut Store::new(0), &feeds)
            .expect("everything is fed");
        let exact = reference.fetch(&plan, "y").expect("fetched");
        let largest = a.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let terms = if form == Form::Dw { n * side * side } else { c };
        let mut sums = vec![0.0f64; c];
        for (i, v) in second.iter().enumerate() {
            let column = if form == Form::Dx { i / c % c } else { i % c };
            sums[column] += f64::from(v.abs());
        }
        let unit = 240.0 * (terms + 32) as f64 * f64::from(largest) / 16_777_216.0;
        for (i, (fast, exact)) in fast.iter().zip(exact).enumerate() {
            let error = (f64::from(*fast) - exact).abs();
            assert!(error <= unit * sums[i % c], "{form:?} [{i}]: {error:e}");
        }
        assert_eq!(fast != direct, isa() != Isa::Portable, "{form:?}");
    }
}
