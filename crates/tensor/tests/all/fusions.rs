//! Each fusion happens on its pattern, leaves near misses alone, and changes no bit.

use crate::common::{Case, Rng, kernel};
use ganforge_kernels::cuda::Precision;
use ganforge_tensor::ops::Window;
use ganforge_tensor::{Graph, Keep, Shape, Var};

/// A case with the scalars `mu` and `lr` and ways to declare values of any shape.
struct Bench<'g> {
    case: Case<'g>,
    rng: Rng,
}

impl<'g> Bench<'g> {
    fn new(g: &'g Graph) -> Bench<'g> {
        let mut case = Case::new(g, 3);
        case.store.control.set("mu", 0.5);
        case.store.control.set("lr", 0.25);
        case.store.control.set("c1", 2.0);
        case.store.control.set("c2", 8.0);
        let rng = Rng::new(17);
        Bench { case, rng }
    }

    fn input(&mut self, name: &str, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        let data = self.rng.reals(shape.elements());
        self.case.input(name, shape, data)
    }

    fn param(&mut self, name: &str, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        let data = self.rng.reals(shape.elements());
        self.case.param(name, shape, data)
    }

    /// v' = v·mu - g·lr, p' = p + v', as the optimiser records it; returns [v·mu, g·lr, v', p'].
    fn momentum(&mut self, p: Var<'g>, dp: Var<'g>) -> [Var<'g>; 4] {
        let v = self.param(&format!("{}.v", p.label()), p.shape());
        let g = self.case.g;
        let (kept, taken) = (v * g.scalar("mu"), dp * g.scalar("lr"));
        let v1 = kept - taken;
        let p1 = p + v1;
        self.case.updates.extend([(v, v1), (p, p1)]);
        [kept, taken, v1, p1]
    }

    /// Adam as the optimiser records it; the mean square begins positive.
    fn adam(&mut self, p: Var<'g>, dp: Var<'g>) {
        let [m, s] = ["mean", "square"].map(|slot| format!("{}.{slot}", p.label()));
        let m = self.param(&m, p.shape());
        let squares = self.rng.reals(p.shape().elements());
        let squares = squares.iter().map(|x| x * x).collect();
        let s = self.case.param(&s, p.shape(), squares);
        let g = self.case.g;
        let m1 = m * 0.5 + dp * 0.5;
        let s1 = s * 0.75 + dp.square() * 0.25;
        let root = (s1 * g.scalar("c2")).sqrt() + 1e-3;
        let p1 = p - m1 * g.scalar("c1") / root * g.scalar("lr");
        self.case.updates.extend([(m, m1), (s, s1), (p, p1)]);
    }

    /// The kinds of the fused plan's kernels, after both plans were found equal.
    #[track_caller]
    fn kernels(&self) -> Vec<&'static str> {
        self.case.check("pattern", 3);
        self.case.check_devices("pattern", 2, Precision::F32);
        let plan = self.case.plan(Keep::Fetched);
        println!("{}\n{plan}", self.case.g);
        plan.calls.iter().map(kernel).collect()
    }
}

#[test]
fn a_bias_joins_its_product() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w, bias) = (
        b.input("x", [5, 7]),
        b.param("w", [7, 3]),
        b.param("b", [3]),
    );
    b.case.fetches = vec![x.matmul(w) + bias];
    assert_eq!(b.kernels(), ["bias"]);
    b.case.fetches = vec![(x.matmul(w) + bias).leaky_relu(0.2)];
    assert_eq!(b.kernels(), ["bias leaky relu"]);
    // Which is not relu: it makes -0 of numbers below 0.
    b.case.fetches = vec![(x.matmul(w) + bias).leaky_relu(0.0)];
    assert_eq!(b.kernels(), ["bias", "elementwise of one"]);
}

#[test]
fn a_bias_may_be_recorded_after_the_product() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 3]));
    let product = x.matmul(w);
    b.case.fetches = vec![(product + b.param("b", [3]).tanh()).relu()];
    assert_eq!(b.kernels(), ["elementwise of one", "bias relu"]);
}

#[test]
fn a_relu_joins_its_product_and_bias() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w, bias) = (
        b.input("x", [5, 7]),
        b.param("w", [3, 7]),
        b.param("b", [3]),
    );
    b.case.fetches = vec![(bias + x.matmul_with(false, true, w)).relu()];
    assert_eq!(b.kernels(), ["bias relu"]);
}

#[test]
fn a_sum_that_is_fetched_keeps_its_relu_apart() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w, bias) = (
        b.input("x", [5, 7]),
        b.param("w", [7, 3]),
        b.param("b", [3]),
    );
    let sum = x.matmul(w) + bias;
    b.case.fetches = vec![sum, sum.relu()];
    assert_eq!(b.kernels(), ["bias", "elementwise of one"]);
}

#[test]
fn a_product_that_is_itself_broadcast_takes_no_bias() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w, bias) = (
        b.input("x", [1, 7]),
        b.param("w", [7, 3]),
        b.param("b", [3]),
    );
    b.case.fetches = vec![bias.broadcast_to([4, 3]) + x.matmul(w)];
    assert_eq!(b.kernels(), ["op", "elementwise of one"]);
}

#[test]
fn a_second_product_adds_to_the_first() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y, w) = (
        b.input("x", [5, 7]),
        b.input("y", [7, 5]),
        b.param("w", [7, 3]),
    );
    b.case.fetches = vec![y.matmul_with(true, false, w) + x.matmul(w)];
    assert_eq!(b.kernels(), ["op", "accumulate"]);
}

#[test]
fn a_product_that_is_read_elsewhere_is_not_added_to() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y, w) = (
        b.input("x", [5, 7]),
        b.input("y", [5, 7]),
        b.param("w", [7, 3]),
    );
    let first = x.matmul(w);
    b.case.fetches = vec![first + y.matmul(w), first];
    assert_eq!(b.kernels(), ["op", "op", "elementwise of one"]);
}

#[test]
fn two_products_that_become_a_parameter_are_summed_before_it_is_written() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y, w) = (
        b.input("x", [3, 7]),
        b.input("y", [3, 7]),
        b.input("w", [7, 2]),
    );
    let p = b.param("p", [3, 2]);
    b.case.updates = vec![(p, x.matmul(w) + y.matmul(w))];
    assert_eq!(b.kernels(), ["op", "accumulate", "copy"]);
}

#[test]
fn a_gradient_is_masked_on_its_way_out_of_its_product() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, u, w) = (
        b.input("x", [5, 7]),
        b.param("u", [7, 4]),
        b.param("w", [4, 3]),
    );
    let bias = b.param("b", [4]);
    let mask = g.bernoulli("mask", [5, 4], 0.5, 2.0);
    let h = (x.matmul(u) + bias).relu();
    let loss = (h * mask).matmul(w).square().sum();
    b.case.fetches = g.grad(loss, &[u, w]).expect("reached");
    let kernels = b.kernels();
    assert!(kernels.contains(&"times"), "{kernels:?}");
    let loss = h.matmul(w).square().sum();
    b.case.fetches = g.grad(loss, &[u]).expect("reached");
    let kernels = b.kernels();
    assert!(kernels.contains(&"step"), "{kernels:?}");
}

#[test]
fn a_factor_that_only_the_product_needs_is_made_where_it_is_read() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 3]));
    let mask = g.bernoulli("mask", [5, 3], 0.5, 2.0);
    b.case.fetches = vec![x.matmul(w) * mask];
    assert_eq!(b.kernels(), ["op", "elementwise of many"]);
}

#[test]
fn dropout_joins_the_maxout_before_it() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 6]));
    let mask = g.bernoulli("mask", [5, 2], 0.5, 2.0);
    let y = x.matmul(w).maxout(3) * mask;
    b.case.fetches = vec![g.grad(y.square().sum(), &[w]).expect("reached")[0]];
    assert_eq!(b.kernels()[..2], ["op", "maxout dropout"]);
    b.case.fetches = vec![y];
    assert_eq!(b.kernels(), ["op", "maxout dropout"]);
    // Read before the maxima are there.
    b.case.fetches = vec![x.matmul(w).maxout(3) * mask];
    assert_eq!(b.kernels(), ["op", "maxout dropout"]);
}

#[test]
fn sums_are_taken_where_their_terms_are_made() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let x = b.input("x", [700, 9]);
    let y = x.softplus();
    for shape in [&[][..], &[9], &[1, 9], &[700, 1]] {
        b.case.fetches = vec![y.sum_to(shape)];
        assert_eq!(b.kernels(), ["sum of a program"], "{shape:?}");
    }
    // Another result of the program is written; what is summed twice, or over the middle, is written first.
    b.case.fetches = vec![(y * 2.0).sum(), y];
    assert_eq!(b.kernels(), ["sum of a program"]);
    b.case.fetches = vec![y.sum(), y.sum_to([9])];
    assert_eq!(b.kernels(), ["elementwise of one", "op", "op"]);
    b.case.fetches = vec![y.reshape([70, 10, 9]).sum_to([70, 1, 9])];
    assert_eq!(b.kernels(), ["elementwise of one", "op"]);
}

#[test]
fn the_gradient_of_a_maxout_bias_is_summed_without_its_zeros() {
    for batch in [1, 5, 40] {
        let g = Graph::new();
        let mut b = Bench::new(&g);
        let (x, bias) = (b.input("x", [batch, 6]), b.param("b", [6]));
        let loss = (x + bias).maxout(3).square().sum();
        b.case.fetches = g.grad(loss, &[bias]).expect("reached");
        assert_eq!(b.kernels().last(), Some(&"sum of put"));
    }
}

#[test]
fn maxout_is_one_kernel_that_keeps_its_indices() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 6]));
    let y = x.matmul(w).maxout(3);
    b.case.fetches = vec![g.grad(y.square().sum(), &[w]).expect("reached")[0]];
    let kernels = b.kernels();
    assert_eq!(kernels.iter().filter(|k| **k == "maxout").count(), 1);
    let rest = ["elementwise of many", "maxout weight gradient"];
    assert_eq!(kernels[..2], ["op", "maxout"]);
    assert_eq!(kernels[3..], rest);
}

#[test]
fn gradients_of_a_maxout_layer_are_taken_without_their_zeros() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w0) = (b.input("x", [5, 4]), b.param("w0", [4, 7]));
    let (w, bias) = (b.param("w", [7, 6]), b.param("bias", [6]));
    let y = (x.matmul(w0).tanh().matmul(w) + bias).maxout(3).square();
    let grads = g.grad(y.sum(), &[w0, w, bias]).expect("reached");
    b.momentum(w, grads[1]);
    b.case.fetches = vec![grads[0], grads[2]];
    let kernels = b.kernels();
    assert!(kernels.contains(&"maxout input gradient"), "{kernels:?}");
    assert!(kernels.contains(&"maxout momentum"), "{kernels:?}");
}

#[test]
fn gradients_of_two_passes_through_a_maxout_layer_meet_in_its_update() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y, w) = (
        b.input("x", [5, 7]),
        b.input("y", [4, 7]),
        b.param("w", [7, 6]),
    );
    let loss = x.matmul(w).maxout(2).square().sum() + y.matmul(w).maxout(2).square().sum();
    let dw = g.grad(loss, &[w]).expect("reached")[0];
    b.momentum(w, dw);
    let kernels = b.kernels();
    assert!(kernels.contains(&"maxout momentum of two"), "{kernels:?}");
}

#[test]
fn a_maxout_gradient_that_is_fetched_is_written_as_well() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 6]));
    let responses = x.matmul(w);
    let loss = responses.maxout(2).square().sum();
    b.case.fetches = g.grad(loss, &[responses, w]).expect("reached");
    let kernels = b.kernels();
    assert_eq!(
        kernels
            .iter()
            .filter(|k| **k == "maxout weight gradient")
            .count(),
        1
    );
}

#[test]
fn momentum_is_the_end_of_the_gradients_product() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 3]));
    let dw = g.grad(x.matmul(w).square().sum(), &[w]).expect("reached")[0];
    b.momentum(w, dw);
    assert_eq!(b.kernels()[2..], ["elementwise of many", "momentum"]);
}

#[test]
fn momentum_takes_the_gradient_of_two_products() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y, w) = (
        b.input("x", [5, 7]),
        b.input("y", [4, 7]),
        b.param("w", [7, 3]),
    );
    let loss = x.matmul(w).square().sum() - y.matmul(w).square().sum();
    let dw = g.grad(loss, &[w]).expect("reached")[0];
    b.momentum(w, dw);
    assert_eq!(b.kernels().last(), Some(&"momentum of two"));
}

#[test]
fn momentum_hands_out_the_new_values() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 3]));
    let dw = g.grad(x.matmul(w).square().sum(), &[w]).expect("reached")[0];
    let [_, _, v1, p1] = b.momentum(w, dw);
    b.case.fetches = vec![v1, p1, x.matmul(p1)];
    assert_eq!(b.kernels()[2..], ["elementwise of many", "momentum", "op"]);
}

#[test]
fn what_momentum_would_not_write_keeps_it_apart() {
    for which in 0..3 {
        let g = Graph::new();
        let mut b = Bench::new(&g);
        let (x, w) = (b.input("x", [5, 7]), b.param("w", [7, 3]));
        let dw = g.grad(x.matmul(w).square().sum(), &[w]).expect("reached")[0];
        let [kept, taken, ..] = b.momentum(w, dw);
        b.case.fetches = vec![[kept, taken, dw][which]];
        assert!(!b.kernels().contains(&"momentum"), "fetched part {which}");
    }
}

#[test]
fn a_gradient_that_reads_a_parameter_is_not_moved_to_its_update() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (u, w) = (b.param("u", [5, 7]), b.param("w", [7, 3]));
    let loss = u.matmul(w).square().sum();
    let grads = g.grad(loss, &[u, w]).expect("reached");
    b.momentum(u, grads[0]);
    b.momentum(w, grads[1]);
    assert!(!b.kernels().contains(&"momentum"));
}

#[test]
fn adam_is_the_end_of_the_gradients_product() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let [x, y] = [("x", 5), ("y", 4)].map(|(name, n)| b.input(name, [n, 7]));
    let [w, v] = [("w", 3), ("v", 2)].map(|(name, n)| b.param(name, [7, n]));
    fn of<'g>(x: Var<'g>, w: Var<'g>) -> Var<'g> {
        x.matmul(w).square().sum()
    }
    let dw = g.grad(of(x, w), &[w]).expect("reached")[0];
    let dv = g.grad(of(x, v) - of(y, v), &[v]).expect("reached")[0];
    b.adam(w, dw);
    b.adam(v, dv);
    let kernels = b.kernels();
    for fused in ["adam", "adam of two"] {
        assert!(kernels.contains(&fused), "{fused}: {kernels:?}");
    }
    b.case.fetches = vec![dw, dv];
    let kernels = b.kernels();
    assert!(!kernels.iter().any(|k| k.contains("adam")), "{kernels:?}");
}

/// Where the old filters are read behind their gradient, that waits for it, and the images for nothing else.
#[test]
fn adam_is_the_end_of_a_filter_gradient() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y) = (b.input("x", [2, 6, 5, 3]), b.input("y", [1, 6, 5, 3]));
    let [w, v] = ["w", "v"].map(|name| b.param(name, [4, 4, 3, 2]));
    fn of<'g>(x: Var<'g>, w: Var<'g>) -> Var<'g> {
        let window = Window::same([6, 5], [4, 4], [2, 2]);
        x.conv2d(w, window).square().sum()
    }
    let grads = g.grad(of(x * x, w), &[w, x]).expect("reached");
    let dv = g.grad(of(x, v) - of(y, v), &[v]).expect("reached")[0];
    b.adam(w, grads[0]);
    b.adam(v, dv);
    b.case.fetches = vec![grads[1]];
    let kernels = b.kernels();
    for fused in ["conv2d_dw adam", "conv2d_dw adam of two"] {
        assert!(kernels.contains(&fused), "{fused}: {kernels:?}");
    }
}

#[test]
fn element_wise_ops_run_as_one_program() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, row, column) = (
        b.input("x", [5, 7]),
        b.param("r", [7]),
        b.param("c", [5, 1]),
    );
    let mask = g.bernoulli("mask", [5, 7], 0.5, 2.0);
    let y = ((x * row).tanh() + column) * mask - g.scalar("lr");
    b.case.fetches = vec![y.softplus()];
    assert_eq!(b.kernels(), ["elementwise of many"]);
}

#[test]
fn a_broadcast_is_read_as_its_direct_input_is_shaped() {
    for (stored, side) in [
        (vec![6], [6, 1]),
        (vec![6, 1], [1, 6]),
        (vec![1, 6], [6, 1]),
    ] {
        let g = Graph::new();
        let mut b = Bench::new(&g);
        let (x, p) = (b.input("x", [6, 6]), b.param("p", stored.as_slice()));
        b.case.fetches = vec![x * p.reshape(side) + x];
        assert_eq!(
            b.kernels(),
            ["elementwise of many"],
            "{stored:?} as {side:?}"
        );
    }
}

#[test]
fn one_number_read_in_two_ways_may_be_written_over() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let x = b.input("x", [4]).sum();
    b.case.fetches = vec![x.reshape([1, 1]) * x.broadcast_to([1, 1])];
    assert_eq!(b.kernels(), ["op", "elementwise of one"]);
}

#[test]
fn a_long_chain_is_cut_where_a_program_is_full() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let mut y = b.input("x", [5, 5]);
    // The same tensor as a row and as a column: two inputs of a program each time.
    for i in 0..9 {
        let p = b.param(&format!("p{i}"), [5]);
        y = y * p + p.reshape([5, 1]);
    }
    b.case.fetches = vec![y];
    assert!(b.kernels().iter().all(|k| *k == "elementwise of many"));
}

#[test]
fn leaves_are_handed_out_as_they_were_before_the_updates() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, p, q) = (
        b.input("x", [2, 3]),
        b.param("p", [2, 3]),
        b.param("q", [3, 2]),
    );
    b.case.fetches = vec![x, x.reshape([6]), p, q, g.scalar("lr")];
    b.case.updates = vec![(p, p + x)];
    b.kernels();
}

#[test]
fn parameters_change_places() {
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (p, q, r) = (b.param("p", [3]), b.param("q", [3]), b.param("r", [3]));
    b.case.updates = vec![(p, q), (q, r), (r, p)];
    assert_eq!(b.kernels(), ["copy"; 6]);
    b.case.updates = vec![(p, q), (r, q), (q, q + p)];
    b.kernels();
}

#[test]
fn what_follows_a_convolution_joins_it() {
    let window = Window::same([5, 6], [3, 3], [1, 1]);
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w, bias) = (
        b.input("x", [2, 5, 6, 3]),
        b.param("w", [3, 3, 3, 4]),
        b.param("b", [4]),
    );
    let half = Window::same([10, 12], [4, 4], [2, 2]);
    let up = b.param("up", [4, 4, 2, 4]);
    let more = b.param("more", [2]);
    let y = (x.conv2d(w, window) + bias).relu();
    b.case.fetches = vec![y, (y.conv2d_dx(up, half, [10, 12]) + more).relu()];
    assert_eq!(b.kernels(), ["conv2d bias relu", "conv2d_dx bias relu"]);
    b.case.fetches = vec![(x.conv2d(w, window) + bias).leaky_relu(0.2)];
    assert_eq!(b.kernels(), ["conv2d bias leaky relu"]);
}

#[test]
fn gradients_of_convolutions_are_gated_added_and_applied_as_they_are_made() {
    let window = Window::same([6, 5], [4, 4], [2, 2]);
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w0, w) = (
        b.input("x", [2, 6, 5, 3]),
        b.param("w0", [1, 1, 3, 4]),
        b.param("w", [4, 4, 4, 2]),
    );
    let small = Window::valid([6, 5], [1, 1], [1, 1]);
    let hidden = x.conv2d(w0, small).relu();
    let dw = g
        .grad(hidden.conv2d(w, window).square().sum(), &[w0, w])
        .expect("reached");
    b.momentum(w, dw[1]);
    b.case.fetches = vec![dw[0]];
    let kernels = b.kernels();
    for fused in ["conv2d_dx step", "conv2d_dw momentum", "conv2d_dw"] {
        assert!(kernels.contains(&fused), "{fused}: {kernels:?}");
    }
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, y, w) = (
        b.input("x", [2, 6, 5, 3]),
        b.input("y", [1, 6, 5, 3]),
        b.param("w", [4, 4, 3, 2]),
    );
    let loss = x.conv2d(w, window).square().sum() - y.conv2d(w, window).square().sum();
    let dw = g.grad(loss, &[w]).expect("reached")[0];
    b.momentum(w, dw);
    assert_eq!(b.kernels().last(), Some(&"conv2d_dw momentum of two"));
    let g = Graph::new();
    let mut b = Bench::new(&g);
    let (x, w) = (b.input("x", [2, 6, 5, 3]), b.param("w", [4, 4, 3, 2]));
    let noise = b.input("mask", [2, 6, 5, 3]);
    let masked = x * noise;
    let dx = g
        .grad(masked.conv2d(w, window).square().sum(), &[x])
        .expect("reached")[0];
    b.case.fetches = vec![dx];
    assert_eq!(b.kernels().last(), Some(&"conv2d_dx times"));
}

/// As networks record it.
fn batch_norm<'g>(x: Var<'g>, gamma: Var<'g>, beta: Var<'g>) -> Var<'g> {
    let axes: Vec<usize> = (0..x.shape().rank() - 1).collect();
    let [mean, var] = x.moments(&axes);
    (x - mean) * (gamma * (var + 1e-5).rsqrt()) + beta
}

/// Forwards x is read twice and y written; backwards x and dy are read twice and dx written; nothing else is as large.
#[test]
fn batch_norm_is_two_passes_in_each_direction() {
    for slope in [0.0, 0.2] {
        let g = Graph::new();
        let mut b = Bench::new(&g);
        let (c, d) = (6, 5);
        let images = b.input("x", [3, 7, 5, 2]);
        let [w, v] = [b.param("w", [3, 3, 2, c]), b.param("v", [3, 3, c, d])];
        let [gamma, beta] = ["gamma", "beta"].map(|name| b.param(name, [c]));
        let window = Window::same([7, 5], [3, 3], [1, 1]);
        let x = images.conv2d(w, window);
        let y = batch_norm(x, gamma, beta);
        let y = if slope == 0.0 {
            y.relu()
        } else {
            y.leaky_relu(slope)
        };
        let loss = y.conv2d(v, window).square().sum();
        b.case.fetches = g.grad(loss, &[w, v, gamma, beta]).expect("reached");
        b.kernels();
        let plan = b.case.plan(Keep::Fetched);
        let large = 3 * 7 * 5 * c;
        let passes = plan.calls.iter().map(|call| {
            let count = |all: &[ganforge_tensor::plan::Operand]| {
                all.iter().filter(|o| o.shape.elements() == large).count()
            };
            (kernel(call), count(&call.ins), count(&call.outs))
        });
        let passes: Vec<_> = passes.filter(|p| p.1 + p.2 > 0).collect();
        assert_eq!(
            passes,
            [
                ("conv2d", 0, 1),
                ("op", 1, 0),                  // moments
                ("elementwise of many", 1, 1), // y from x
                ("conv2d", 1, 0),
                ("conv2d_dw", 1, 0),
                ("conv2d_dx step", 1, 1),      // through the relu
                ("sums of a program", 2, 0),   // of x and dy
                ("elementwise of many", 2, 1), // dx
                ("conv2d_dw", 1, 0),
            ],
            "{plan}"
        );
    }
}

#[test]
fn what_a_repeated_value_reads_through_a_broadcast_is_written() {
    let g = Graph::new();
    let (x, dy) = (g.input("x", [4, 1]), g.input("dy", [4, 1]));
    let deviation = x - x.mean_axes(&[0]);
    let y = deviation * (deviation.square().mean_axes(&[0]) + 1e-5).rsqrt();
    let dx = g.grad((y * dy).sum(), &[x]).expect("reached")[0];
    let (xs, gs) = ([1.0, 2.0, 4.0, 9.0], [0.5, -1.0, 2.0, 1.0]);
    let found = dx.evaluate(&[("x", xs.to_vec()), ("dy", gs.to_vec())]);
    let found = found.expect("values");
    // The gradient of batch norm by hand.
    let mean = |v: [f64; 4]| v.iter().sum::<f64>() / 4.0;
    let d = xs.map(|x| x - mean(xs));
    let sigma = (mean(d.map(|d| d * d)) + 1e-5).sqrt();
    let along = (0..4).map(|i| d[i] / sigma * gs[i]).sum::<f64>() / 4.0;
    for i in 0..4 {
        let expected = (gs[i] - mean(gs) - d[i] / sigma * along) / sigma;
        assert!((found[i] - expected).abs() < 1e-12, "{found:?}");
    }
}
