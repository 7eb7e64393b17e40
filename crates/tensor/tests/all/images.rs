//! Images under windows and at other sizes: PyTorch's values and gradients, adjoints, and convolutions recorded beside a change
//! of size.

use crate::common::Rng;
use ganforge_tensor::ops::{Divisor, Window};
use ganforge_tensor::{Graph, Shape, Var};

type Formula = for<'g> fn(Var<'g>) -> Var<'g>;

/// What each case of fixtures/images.txt records.
const CASES: [(&str, Formula); 17] = [
    ("mean_2x2", |x| x.mean_pool([2, 2])),
    ("mean_left_over", |x| x.mean_pool([3, 2])),
    ("mean_around", |x| {
        x.pool([3, 3], around(x), Divisor::Kernel)
    }),
    ("mean_inside", |x| {
        x.pool([3, 3], around(x), Divisor::Inside)
    }),
    ("max_2x2", |x| {
        x.max_pool([2, 2], Window::valid(image(x), [2, 2], [2, 2]))
    }),
    ("max_around", |x| x.max_pool([3, 3], around(x))),
    ("max_ties", |x| {
        x.max_pool([3, 3], Window::valid(image(x), [3, 3], [1, 1]))
    }),
    ("nearest_2", |x| x.upsample_nearest(2)),
    ("nearest_3", |x| x.upsample_nearest(3)),
    ("bilinear_11_9", |x| x.resize_bilinear([11, 9])),
    ("bilinear_4_3", |x| x.resize_bilinear([4, 3])),
    ("bilinear_6_2", |x| x.resize_bilinear([6, 2])),
    ("shuffle_2", |x| x.pixel_shuffle(2)),
    ("unshuffle_3", |x| x.pixel_unshuffle(3)),
    ("rsqrt", |x| (x + 3.0).rsqrt()),
    ("flip", |x| x.flip(&[1, 2])),
    ("norms", |x| x.sample_norms(1e-3)),
];

fn image(x: Var<'_>) -> [usize; 2] {
    [x.shape().dims()[1], x.shape().dims()[2]]
}

fn around(x: Var<'_>) -> Window {
    Window::padded(image(x), [3, 3], [2, 2], [1, 1])
}

#[track_caller]
fn assert_near(what: &str, found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= bound * scale, "{what} at {i}: {f} {e}");
    }
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let mut lines = include_str!("../fixtures/images.txt").lines();
    for (name, formula) in CASES {
        let head = lines.next().expect("a case");
        let (found, sizes) = head.split_once(' ').expect("a name and sizes");
        assert_eq!(found, name);
        let sizes = sizes.split(' ').map(|s| s.parse().expect("a size"));
        let sizes: Vec<usize> = sizes.collect();
        let mut numbers = || -> Vec<f64> {
            let line = lines.next().expect("four lines");
            let numbers = line.split(' ').map(|x| x.parse().expect("a number"));
            numbers.collect()
        };
        let [x, dy, y, dx] = [(); 4].map(|()| numbers());
        let g = Graph::new();
        let input = g.input("x", Shape::new(&sizes));
        let output = formula(input);
        let weights = g.input("dy", output.shape());
        let grad = g.grad((output * weights).sum(), &[input]).expect("reached");
        let at = [("x", x), ("dy", dy)];
        let found = output.evaluate(&at[..1]).expect("a value");
        assert_near(name, &found, &y, 1e-14);
        let found = grad[0].evaluate(&at).expect("a value");
        assert_near(name, &found, &dx, 1e-14);
    }
    assert_eq!(lines.next(), None);
}

/// Values for these inputs.
fn drawn<const N: usize>(rng: &mut Rng, inputs: [Var; N]) -> [(String, Vec<f64>); N] {
    inputs.map(|v| {
        let data = rng.reals(v.shape().elements());
        (v.label(), data.into_iter().map(f64::from).collect())
    })
}

fn value(y: Var, at: &[(String, Vec<f64>)]) -> Vec<f64> {
    let at: Vec<(&str, Vec<f64>)> = at.iter().map(|(n, v)| (&n[..], v.clone())).collect();
    y.evaluate(&at).expect("a value")
}

/// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩.
#[test]
fn pools_and_interpolations_have_their_adjoints() {
    let mut rng = Rng::new(3);
    for case in 0..80 {
        let [h, w] = [0; 2].map(|_| 1 + rng.below(9));
        let [n, c] = [0; 2].map(|_| 1 + rng.below(3));
        let kernel = [0; 2].map(|_| 1 + rng.below(5));
        let stride = [0; 2].map(|_| 1 + rng.below(3));
        let window = match case % 2 {
            0 => Window::same([h, w], kernel, stride),
            _ => Window::padded([h, w], kernel, stride, kernel),
        };
        let size = [0; 2].map(|_| 1 + rng.below(12));
        let divisor = [Divisor::One, Divisor::Kernel, Divisor::Inside][case % 3];
        let g = Graph::new();
        let x = g.input("x", [n, h, w, c]);
        let y = g.input("y", [n, window.out[0], window.out[1], c]);
        let z = g.input("z", [n, size[0], size[1], c]);
        let forth = [
            x.pool(kernel, window, divisor) * y,
            x.resize_bilinear(size) * z,
        ];
        let back = [
            x * y.unpool(kernel, window, divisor, [h, w]),
            x * z.resize_bilinear_adjoint([h, w]),
        ];
        let at = drawn(&mut rng, [x, y, z]);
        for (a, b) in forth.into_iter().zip(back) {
            let [a, b] = [a, b].map(|v| value(v, &at).iter().sum::<f64>());
            assert!((a - b).abs() < 1e-12, "case {case}: {a} {b}");
        }
    }
}

#[test]
fn zeros_between_pixels_and_their_gradient_are_at_multiples_of_the_stride() {
    let g = Graph::new();
    let x = g.input("x", [1, 2, 2, 1]);
    let y = x.unpool_zeros(2);
    let v = g.input("v", [1, 4, 4, 1]);
    let dx = g.grad((y * v).sum(), &[x]).expect("reached")[0];
    let v = (0..16).map(f64::from).collect();
    let at = [("x", vec![1.0, 2.0, 3.0, 4.0]), ("v", v)];
    let expected = [
        [1.0, 0.0, 2.0, 0.0],
        [0.0; 4],
        [3.0, 0.0, 4.0, 0.0],
        [0.0; 4],
    ];
    assert_eq!(y.evaluate(&at[..1]).expect("a value"), expected.concat());
    assert_eq!(dx.evaluate(&at).expect("a value"), [0.0, 2.0, 8.0, 10.0]);
}

#[test]
fn unshuffled_pixels_are_shuffled_back() {
    let g = Graph::new();
    let x = g.input("x", [2, 6, 9, 2]);
    let y = x.pixel_unshuffle(3);
    assert_eq!(y.shape(), Shape::new(&[2, 2, 3, 18]));
    let data: Vec<f64> = (0..216).map(f64::from).collect();
    let back = y.pixel_shuffle(3).evaluate(&[("x", data.clone())]);
    assert_eq!(back.expect("a value"), data);
}

/// A convolution beside a change of size: as it is written, and as it is recorded.
type Pair = for<'g> fn(Var<'g>, Var<'g>, usize) -> [Var<'g>; 2];

const PAIRS: [(&str, Pair); 3] = [
    ("unpool_conv", |x, w, f| {
        [same(x.unpool_zeros(f), w), x.unpool_conv(w, f)]
    }),
    ("upsample_conv", |x, w, f| {
        [same(x.upsample_nearest(f), w), x.upsample_conv(w, f)]
    }),
    ("conv_mean_pool", |x, w, f| {
        [same(x, w).mean_pool([f, f]), x.conv_mean_pool(w, f)]
    }),
];

const KERNELS: [[usize; 2]; 8] = [
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [5, 5],
    [1, 3],
    [4, 3],
    [7, 2],
];

/// Factors and images.
const SIZES: [(usize, [usize; 2]); 5] = [
    (1, [3, 2]),
    (2, [4, 6]),
    (2, [5, 3]),
    (3, [3, 7]),
    (2, [2, 2]),
];

fn same<'g>(x: Var<'g>, w: Var<'g>) -> Var<'g> {
    let kernel = [w.shape().dims()[0], w.shape().dims()[1]];
    x.conv2d(w, Window::same(image(x), kernel, [1, 1]))
}

/// Borders, both gradients, and gradients of gradients.
#[test]
fn a_convolution_beside_a_change_of_size_is_the_one_recorded_for_it() {
    let mut rng = Rng::new(5);
    for (name, pair) in PAIRS {
        for (kernel, (f, [h, w])) in KERNELS
            .into_iter()
            .flat_map(|k| SIZES.map(|size| (k, size)))
        {
            let g = Graph::new();
            let x = g.input("x", [2, h, w, 3]);
            let filters = g.input("w", [kernel[0], kernel[1], 3, 2]);
            let both = pair(x, filters, f);
            assert_eq!(both[0].shape(), both[1].shape(), "{name} {kernel:?} {f}");
            let v = g.input("v", both[0].shape());
            let at = drawn(&mut rng, [x, filters, v]);
            let values = both.map(|y| {
                // Squared, so that the gradient in x depends on x.
                let first = g.grad((y.square() * v).sum(), &[x, filters]);
                let first = first.expect("reached");
                let size = first[0].square().sum() + first[1].square().sum();
                let second = g.grad(size, &[x, filters]).expect("reached");
                let y = value(y, &at[..2]);
                let all = [first, second].concat();
                let gradients = all.into_iter().map(|v| value(v, &at));
                [y].into_iter().chain(gradients).collect::<Vec<_>>()
            });
            for (i, (written, recorded)) in values[0].iter().zip(&values[1]).enumerate() {
                let what = format!("{name} {kernel:?} by {f} of {h} x {w}, value {i}");
                assert_near(&what, recorded, written, 1e-12);
            }
        }
    }
}

#[test]
fn what_is_no_image_is_refused_with_its_shape() {
    let says = |record: Formula, part: &str| {
        let g = Graph::new();
        let y = record(g.input("x", [8, 784]));
        let error = y.evaluate(&[]).expect_err("not an image").to_string();
        let is_told = error.contains(part) && error.contains("[8, 784]");
        assert!(is_told, "{error}");
    };
    let images = "expected images [n, h, w, c]";
    says(|x| x.mean_pool([2, 2]), images);
    says(
        |x| x.max_pool([2, 2], Window::valid([4, 4], [2, 2], [2, 2])),
        images,
    );
    says(|x| x.upsample_nearest(2), images);
    says(|x| x.unpool_zeros(2), images);
    says(|x| x.pixel_shuffle(2), images);
    says(|x| x.resize_bilinear([2, 2]), images);
    says(|x| x.flip(&[2]), "[2] are not dimensions of the input");
    let g = Graph::new();
    let x = g.input("x", [1, 4, 4, 1]);
    let window = Window::padded([4, 4], [2, 2], [2, 2], [2, 2]);
    let error = x.max_pool([2, 2], window).evaluate(&[]);
    let error = error.expect_err("a window outside").to_string();
    assert!(error.contains("has no maximum"), "{error}");
}
