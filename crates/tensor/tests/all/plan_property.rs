//! Random graphs: what a plan computes, kept or fused, is what its nodes say, bit for bit.

use std::collections::HashMap;

use crate::common::{Case, Rng, kernel};
use ganforge_kernels::cuda::Precision;
use ganforge_tensor::{Graph, Keep, Shape, Var};

const GRAPHS: u64 = 2200;
const REPLAYS: u64 = 3;

/// A random graph in the making, and what it is to be run with.
struct Recipe<'g> {
    g: &'g Graph,
    rng: Rng,
    values: Vec<Var<'g>>,
    params: Vec<Var<'g>>,
    case: Case<'g>,
    /// Sizes that occur: small ones, and in some graphs one that fills several chunks.
    sizes: Vec<usize>,
}

impl<'g> Recipe<'g> {
    fn new(g: &'g Graph, seed: u64) -> Recipe<'g> {
        let mut rng = Rng::new(seed);
        let mut sizes = vec![1, 2, 3, 4, 6];
        if rng.one_in(8) {
            sizes.push(521);
        }
        // More than a tile of a product on a device.
        if rng.one_in(8) {
            sizes.push(70);
        }
        let mut case = Case::new(g, seed);
        for (name, value) in [("mu", 0.5), ("lr", 0.25)] {
            case.store.control.set(name, value);
        }
        let mut recipe = Recipe {
            g,
            rng,
            values: Vec::new(),
            params: Vec::new(),
            case,
            sizes,
        };
        recipe.values = vec![g.scalar("mu"), g.scalar("lr")];
        for _ in 0..2 {
            let dims = [recipe.size(), recipe.size()];
            let x = recipe.input(dims);
            recipe.values.push(x);
        }
        for _ in 0..3 {
            let p = recipe.some_param();
            recipe.values.push(p);
        }
        recipe
    }

    fn size(&mut self) -> usize {
        self.rng.pick(&self.sizes)
    }

    fn input(&mut self, shape: impl Into<Shape>) -> Var<'g> {
        let (name, shape) = (format!("x{}", self.case.feeds.len()), shape.into());
        let data = self.rng.reals(shape.elements());
        self.case.input(&name, shape, data)
    }

    fn indices(&mut self, count: usize, rows: usize) -> Var<'g> {
        let index = self.input([count]);
        let data = &mut self.case.feeds.last_mut().expect("just pushed").2;
        data.iter_mut()
            .for_each(|v| *v = ((*v + 1.0) * 0.5 * rows as f32).floor());
        index
    }

    fn param(&mut self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        let same: Vec<Var> = self
            .params
            .iter()
            .copied()
            .filter(|p| p.shape() == shape)
            .collect();
        if !same.is_empty() && self.rng.one_in(2) {
            return self.rng.pick(&same);
        }
        let name = format!("p{}", self.params.len());
        let data = self.rng.reals(shape.elements());
        self.params.push(self.case.param(&name, shape, data));
        self.params[self.params.len() - 1]
    }

    fn some_param(&mut self) -> Var<'g> {
        let dims = [self.size(), self.size()];
        match self.rng.below(4) {
            0 => self.param([dims[0]]),
            _ => self.param(dims),
        }
    }

    fn value(&mut self) -> Var<'g> {
        // Rather a late one, so that graphs grow deep.
        let n = self.values.len();
        let from = if self.rng.one_in(3) {
            0
        } else {
            n.saturating_sub(6)
        };
        self.values[from + self.rng.below(n - from)]
    }

    fn matrix(&mut self) -> Var<'g> {
        let value = self.value();
        match *value.shape().dims() {
            [_, _] => value,
            _ if self.rng.one_in(2) => {
                let rows = (1..=4)
                    .rev()
                    .find(|r| value.shape().elements().is_multiple_of(*r));
                let rows = rows.expect("1 divides everything");
                value.reshape([rows, value.shape().elements() / rows])
            }
            _ => {
                let dims = [self.size(), self.size()];
                self.input(dims)
            }
        }
    }

    /// A value that broadcasts to `shape`, in one of many ways.
    fn partner(&mut self, shape: Shape) -> Var<'g> {
        let fits: Vec<Var> = self
            .values
            .iter()
            .copied()
            .filter(|v| v.shape().broadcasts_to(shape))
            .collect();
        let (dims, mut small) = (shape.dims(), shape.dims().to_vec());
        match self.rng.below(8) {
            0 => self.g.scalar("mu"),
            1 => self.g.constant(0.5, []),
            2 | 3 if !fits.is_empty() => self.rng.pick(&fits),
            // A row or a column that was stored under another shape.
            4 if dims.len() == 2 => {
                let side = self.rng.below(2);
                small[1 - side] = 1;
                let stored = match self.rng.below(3) {
                    0 => self.param([dims[side]]),
                    1 => self.param([dims[side], 1]),
                    _ => self.param([1, dims[side]]),
                };
                stored.reshape(small.as_slice())
            }
            5 => self.param(shape),
            6 => self.random(shape),
            _ => {
                for d in &mut small {
                    if self.rng.one_in(2) {
                        *d = 1;
                    }
                }
                let skip = small.iter().take_while(|d| **d == 1).count();
                let skip = self.rng.below(skip + 1);
                self.param(&small[skip..])
            }
        }
    }

    fn random(&mut self, shape: Shape) -> Var<'g> {
        let stream = format!("s{}", self.g.len());
        match self.rng.below(3) {
            0 => self.g.uniform(&stream, shape, -1.0, 1.0),
            1 => self.g.normal(&stream, shape, 0.0, 0.5),
            _ => self.g.bernoulli(&stream, shape, 0.5, 2.0),
        }
    }

    fn product(&mut self, a: Var<'g>, columns: Option<usize>) -> Var<'g> {
        let (ta, tb) = (self.rng.one_in(3), self.rng.one_in(3));
        let k = a.shape().dims()[usize::from(!ta)];
        let n = columns.unwrap_or_else(|| self.size());
        let b_shape = Shape::from(if tb { [n, k] } else { [k, n] });
        let same: Vec<Var> = self
            .values
            .iter()
            .copied()
            .filter(|v| v.shape() == b_shape)
            .collect();
        let b = match same.is_empty() || self.rng.one_in(2) {
            true => self.param(b_shape),
            false => self.rng.pick(&same),
        };
        a.matmul_with(ta, tb, b)
    }

    fn unary(&mut self, x: Var<'g>) -> Var<'g> {
        match self.rng.below(16) {
            0 => x.relu(),
            1 => x.leaky_relu(0.25),
            2 => x.tanh(),
            3 => x.sigmoid(),
            4 => x.softplus(),
            5 => x.tanh().square(),
            6 => -x,
            7 => x.mul_scalar(0.75),
            8 => x + 0.5,
            9 => x.abs(),
            10 => x.clip(-0.5, 0.5),
            11 => x.tanh().exp(),
            12 => (x.square() + 0.1).sqrt(),
            13 => (x.abs() + 0.1).log(),
            14 => x.detach(),
            _ => x.sign(),
        }
    }

    fn binary(&mut self, x: Var<'g>) -> Var<'g> {
        let y = self.partner(x.shape());
        let (a, b) = if self.rng.one_in(2) { (x, y) } else { (y, x) };
        match self.rng.below(4) {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            _ => a / (b.square() + 0.5),
        }
    }

    fn layout(&mut self, x: Var<'g>) -> Var<'g> {
        let dims = x.shape().dims().to_vec();
        match self.rng.below(6) {
            0 => x.reshape([x.shape().elements()]),
            1 if dims.len() == 2 => x.reshape([dims[1], dims[0]]),
            2 => x.transpose(&[]),
            3 => {
                let start: Vec<usize> = dims.iter().map(|&d| self.rng.below(d)).collect();
                let size: Vec<usize> = dims
                    .iter()
                    .zip(&start)
                    .map(|(d, s)| 1 + self.rng.below(d - s))
                    .collect();
                x.slice(start.as_slice(), size.as_slice())
            }
            4 => {
                let before: Vec<usize> = dims.iter().map(|_| self.rng.below(2)).collect();
                let size: Vec<usize> = dims
                    .iter()
                    .zip(&before)
                    .map(|(d, b)| d + b + self.rng.below(2))
                    .collect();
                x.pad(before.as_slice(), size.as_slice())
            }
            _ if !dims.is_empty() => {
                let other = self.param(dims.as_slice());
                x.concat(other, self.rng.below(dims.len()))
            }
            _ => x.reshape([1, 1]),
        }
    }

    fn sum(&mut self, x: Var<'g>) -> Var<'g> {
        let mut dims = x.shape().dims().to_vec();
        for d in &mut dims {
            if self.rng.one_in(2) {
                *d = 1;
            }
        }
        let skip = dims.iter().take_while(|d| **d == 1).count();
        x.sum_to(&dims[self.rng.below(skip + 1)..])
    }

    fn grow(&mut self) {
        let x = self.value();
        let new = match self.rng.below(14) {
            0..=2 => self.unary(x),
            3..=5 => self.binary(x),
            6 => {
                let a = self.matrix();
                self.product(a, None)
            }
            7 => {
                let a = self.matrix();
                let y = self.product(a, None);
                let n = y.shape().dims()[1];
                let y = y + self.param([n]);
                if self.rng.one_in(2) { y.relu() } else { y }
            }
            8 => {
                let pieces = 1 + self.rng.below(3);
                let mut a = self.matrix();
                match self.rng.below(4) {
                    0 => a = a.relu(),
                    1 => a = a * self.random(a.shape()),
                    _ => {}
                }
                let units = self.size().min(6);
                let mut y = self.product(a, Some(pieces * units));
                if self.rng.one_in(2) {
                    y = y + self.param([pieces * units]);
                }
                y = y.maxout(pieces);
                if self.rng.one_in(2) {
                    let stream = format!("m{}", self.g.len());
                    y = y * self.g.bernoulli(&stream, y.shape(), 0.8, 1.25);
                }
                y
            }
            9 => self.layout(x),
            10 => self.sum(x),
            11 => x * self.random(x.shape()),
            12 => {
                let table = self.matrix();
                let (count, rows) = (self.size(), table.shape().dims()[0]);
                let rows_of = self.indices(count, rows);
                let y = table.gather_rows(rows_of);
                match self.rng.one_in(2) {
                    true => y,
                    false => y.scatter_rows(rows_of, rows),
                }
            }
            _ => {
                // Two products of one shape, added: the second may add to the first.
                let a = self.matrix();
                let (m, n) = (a.shape().dims()[0], self.size());
                let first = a.matmul(self.param([a.shape().dims()[1], n]));
                let k = self.size();
                let c = self.input([m, k]);
                let second = c.matmul(self.param([k, n]));
                if self.rng.one_in(2) {
                    first + second
                } else {
                    second + first
                }
            }
        };
        // Bounded, so that no graph runs into infinities.
        let new = if self.rng.one_in(4) { new.tanh() } else { new };
        if new.shape().elements() <= 20_000 {
            self.values.push(new);
        }
    }

    fn loss(&mut self) -> Var<'g> {
        let mut loss = self.g.constant(0.0, []);
        for _ in 0..2 {
            loss = loss + self.value().tanh().square().mean();
        }
        loss
    }

    fn gradients(&mut self, loss: Var<'g>) -> Vec<(Var<'g>, Var<'g>)> {
        let mut reached = self.params.clone();
        reached.retain(|p| !self.rng.one_in(4) && self.g.grad(loss, &[*p]).is_ok());
        let found = self.g.grad(loss, &reached).expect("each is reached");
        reached.into_iter().zip(found).collect()
    }

    /// An update of p by its gradient; returns the new value.
    fn step(&mut self, p: Var<'g>, dp: Var<'g>) -> Var<'g> {
        let name = format!("{}/{}", p.label(), self.case.store.len());
        let form = self.rng.below(6);
        let mut slot = |kind: &str| {
            let name = format!("{name}.{kind}");
            let data = self.rng.reals(p.shape().elements());
            let data: Vec<f32> = data.iter().map(|x| x.abs()).collect();
            self.case.param(&name, p.shape(), data)
        };
        let (mu, lr) = (self.g.scalar("mu"), self.g.scalar("lr"));
        match form {
            0 => p - dp * lr,
            1 => {
                let (m, v) = (slot("m"), slot("v"));
                let m1 = m * mu + dp * 0.5;
                let v1 = v * mu + dp.square() * 0.5;
                self.case.updates.extend([(m, m1), (v, v1)]);
                p - m1 * lr / (v1.sqrt() + 1e-3)
            }
            _ => {
                let v = slot("v");
                let decayed = v * mu;
                let taken = dp * lr;
                let v1 = decayed - taken;
                self.case.updates.push((v, v1));
                let p1 = p + v1;
                if form == 2 {
                    self.case
                        .fetches
                        .push([decayed, taken, v1, p1, v, dp][self.rng.below(6)]);
                }
                p1
            }
        }
    }

    fn update(&mut self, p: Var<'g>, value: Var<'g>) {
        if !self.case.updates.iter().any(|(q, _)| q.id() == p.id()) {
            self.case.updates.push((p, value));
        }
    }

    /// Updates that are no gradient steps: exchanges, values of the graph, products.
    fn odd_updates(&mut self) {
        for _ in 0..3 {
            let p = self.rng.pick(&self.params);
            let twins: Vec<Var> = self
                .params
                .iter()
                .copied()
                .filter(|q| q.shape() == p.shape())
                .collect();
            let q = self.rng.pick(&twins);
            let same: Vec<Var> = self
                .values
                .iter()
                .copied()
                .filter(|v| v.shape() == p.shape())
                .collect();
            match self.rng.below(5) {
                0 => {
                    self.update(p, q);
                    self.update(q, p);
                }
                1 => self.update(p, q),
                2 if !same.is_empty() => {
                    let value = self.rng.pick(&same);
                    self.update(p, value);
                }
                3 => {
                    let flat = q.reshape([q.shape().elements()]).tanh();
                    self.update(p, flat.reshape(p.shape()));
                }
                _ if p.shape().rank() == 2 => {
                    let &[m, n] = p.shape().dims() else { return };
                    let k = self.size();
                    let (a, b) = (self.input([m, k]), self.input([k, n]));
                    let value = match self.rng.below(3) {
                        0 => a.matmul(b),
                        1 => a.matmul(b) + a.matmul(b.tanh()),
                        _ => a.matmul(b) + self.param([n]),
                    };
                    self.update(p, value);
                }
                _ => {}
            }
        }
    }

    fn finish(&mut self) {
        for _ in 0..4 + self.rng.below(16) {
            self.grow();
        }
        if self.rng.one_in(3) {
            self.odd_updates();
        }
        let loss = self.loss();
        let mut interesting = vec![loss];
        for (p, dp) in self.gradients(loss) {
            interesting.push(dp);
            if !self.rng.one_in(4) {
                let p1 = self.step(p, dp);
                self.update(p, p1);
                // As in the alternating algorithm: what follows reads the updated value.
                self.values.push(p1);
            }
        }
        if self.rng.one_in(2) {
            for _ in 0..self.rng.below(8) {
                self.grow();
            }
            let loss = self.loss();
            interesting.push(loss);
            for (p, dp) in self.gradients(loss) {
                interesting.push(dp);
                let p1 = self.step(p, dp);
                self.update(p, p1);
            }
        }
        interesting.extend(&self.values);
        interesting.extend(&self.params);
        interesting.extend([self.g.scalar("mu")]);
        self.case.fetches.push(loss);
        for _ in 0..self.rng.below(5) {
            let value = self.rng.pick(&interesting);
            let value = match self.rng.below(4) {
                0 => value.reshape([value.shape().elements(), 1]),
                _ => value,
            };
            self.case.fetches.push(value);
        }
    }
}

#[test]
fn random_graphs_run_the_same_with_every_value_kept_and_with_buffers_reused() {
    let (mut calls, mut kernels) = ([0, 0], HashMap::new());
    for seed in 0..GRAPHS {
        let graph = Graph::new();
        let mut recipe = Recipe::new(&graph, seed);
        recipe.finish();
        recipe.case.check(&format!("seed {seed}"), REPLAYS);
        if seed % 20 == 0 {
            recipe
                .case
                .check_devices(&format!("seed {seed}"), 2, Precision::F32);
        }
        calls[0] += recipe.case.plan(Keep::All).calls.len();
        let fused = recipe.case.plan(Keep::Fetched);
        calls[1] += fused.calls.len();
        for call in &fused.calls {
            *kernels.entry(kernel(call)).or_insert(0) += 1;
        }
    }
    println!(
        "{} calls unfused, {} fused: {kernels:?}",
        calls[0], calls[1]
    );
    // The graphs are worth something only if every fusion occurs in them.
    for kind in FUSED {
        assert!(
            kernels.get(kind).is_some_and(|n| *n >= 10),
            "{kind}: {kernels:?}"
        );
    }
}

const FUSED: [&str; 19] = [
    "accumulate",
    "bias",
    "bias relu",
    "momentum",
    "momentum of two",
    "maxout",
    "maxout input gradient",
    "maxout weight gradient",
    "maxout accumulate",
    "maxout momentum",
    "maxout dropout",
    "sum of put",
    "sum of a program",
    "sums of a program",
    "times",
    "step",
    "maxout input gradient step",
    "elementwise of many",
    "copy",
];
