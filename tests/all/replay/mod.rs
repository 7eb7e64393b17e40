//! Preset tiny's training step by plain loops in f64, compared with a trace as it goes.
//!
//! Sizes: b examples; z [b, 10]; G: 10 -> relu 32 -> sigmoid 784; D: 784 -> maxout 32 of 2 -> 1.

use std::collections::HashMap;

use ganforge::gan::files::NpzReader;

use crate::common::array;

/// Factors on what dropout keeps: D.h0's and D.out's.
const SCALES: [f64; 2] = [1.25, 2.0];

/// A matrix, row-major.
#[derive(Clone)]
struct Matrix {
    rows: usize,
    cols: usize,
    at: Vec<f64>,
}

impl Matrix {
    fn new(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Matrix {
        let at = (0..rows * cols).map(|i| f(i / cols, i % cols)).collect();
        Matrix { rows, cols, at }
    }

    fn get(&self, i: usize, j: usize) -> f64 {
        self.at[i * self.cols + j]
    }

    fn transposed(&self) -> Matrix {
        Matrix::new(self.cols, self.rows, |i, j| self.get(j, i))
    }

    fn times(&self, other: &Matrix) -> Matrix {
        assert_eq!(self.cols, other.rows);
        Matrix::new(self.rows, other.cols, |i, j| {
            (0..self.cols)
                .map(|k| self.get(i, k) * other.get(k, j))
                .sum()
        })
    }

    /// Each element with its equal in `other`.
    fn with(&self, other: &Matrix, f: impl Fn(f64, f64) -> f64) -> Matrix {
        assert_eq!((self.rows, self.cols), (other.rows, other.cols));
        Matrix::new(self.rows, self.cols, |i, j| {
            f(self.get(i, j), other.get(i, j))
        })
    }

    fn plus_row(&self, b: &Matrix) -> Matrix {
        Matrix::new(self.rows, self.cols, |i, j| self.get(i, j) + b.at[j])
    }

    fn abs(&self) -> Matrix {
        Matrix::new(self.rows, self.cols, |i, j| self.get(i, j).abs())
    }

    fn largest(&self) -> f64 {
        self.at.iter().fold(0.0, |a, b| a.max(b.abs()))
    }

    fn column_sums(&self) -> Matrix {
        Matrix::new(1, self.cols, |_, j| {
            (0..self.rows).map(|i| self.get(i, j)).sum()
        })
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// log(1 + e^x)
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// D's way from an image to a logit, with all that the way back needs.
struct Judged {
    masks: [Matrix; 2],
    input: Matrix,
    winners: Vec<usize>,
    hidden: Matrix,
    logit: Matrix,
}

/// G's way from noise to an image.
struct Drawn {
    z: Matrix,
    hidden: Matrix,
    image: Matrix,
}

/// The state of a training that follows a trace.
pub struct Replay {
    trace: NpzReader,
    b: usize,
    rule: Rule,
    params: HashMap<String, Matrix>,
    /// The velocity of SGD in the first; mean and square of Adam.
    slots: HashMap<String, [Matrix; 2]>,
}

/// What makes a step of a gradient.
#[derive(Clone, Copy)]
pub enum Rule {
    Momentum,
    Adam { beta1: f64, beta2: f64, eps: f64 },
}

/// A gradient with the size of the summands it is made of: where they cancel, it is f32's measure.
struct Grad {
    name: &'static str,
    value: Matrix,
    size: f64,
}

impl Grad {
    /// dw = xᵀ dy
    fn of_weights(name: &'static str, x: &Matrix, dy: &Matrix) -> Grad {
        let value = x.transposed().times(dy);
        let size = x.abs().transposed().times(&dy.abs()).largest();
        Grad { name, value, size }
    }

    /// db = column sums of dy
    fn of_biases(name: &'static str, dy: &Matrix) -> Grad {
        let (value, size) = (dy.column_sums(), dy.abs().column_sums().largest());
        Grad { name, value, size }
    }

    fn plus(self, other: Grad) -> Grad {
        let value = self.value.with(&other.value, |a, b| a + b);
        let size = self.size + other.size;
        Grad {
            name: self.name,
            value,
            size,
        }
    }
}

type Grads = Vec<Grad>;

impl Replay {
    /// At the parameters that the trace begins with.
    pub fn new(trace: NpzReader, b: usize, rule: Rule) -> Replay {
        let (params, slots) = (HashMap::new(), HashMap::new());
        let mut replay = Replay {
            trace,
            b,
            rule,
            params,
            slots,
        };
        for name in crate::trace::PARAMS {
            let value = replay.read(&format!("init/{name}"));
            let zero = Matrix::new(value.rows, value.cols, |_, _| 0.0);
            replay.slots.insert(name.to_string(), [zero.clone(), zero]);
            replay.params.insert(name.to_string(), value);
        }
        replay
    }

    /// Step i of the released code: both gradients at the old parameters.
    pub fn simultaneous(&mut self, i: usize) {
        let x = self.read(&format!("{i}/x"));
        let drawn = self.draw(&format!("{i}/z"));
        let real = self.judge(i, "real", &x);
        let fake = self.judge(i, "fake", &drawn.image);
        let d_grads = self.discriminator_step(i, &real, &fake);
        let g_grads = self.generator_step(i, &drawn, &fake);
        self.descend(i, d_grads);
        self.descend(i, g_grads);
        self.adopt(i);
    }

    /// Step i of Algorithm 1: D, then G against the new D on fresh noise and masks.
    pub fn alternating(&mut self, i: usize) {
        let x = self.read(&format!("{i}/x"));
        let drawn = self.draw(&format!("{i}/z_d"));
        let real = self.judge(i, "real", &x);
        let fake = self.judge(i, "fake_d", &drawn.image);
        let d_grads = self.discriminator_step(i, &real, &fake);
        self.descend(i, d_grads);
        let drawn = self.draw(&format!("{i}/z_g"));
        let fake = self.judge(i, "fake_g", &drawn.image);
        let g_grads = self.generator_step(i, &drawn, &fake);
        self.descend(i, g_grads);
        self.adopt(i);
    }

    fn param(&self, name: &str) -> &Matrix {
        &self.params[name]
    }

    fn read(&mut self, name: &str) -> Matrix {
        let (shape, values) = array(&mut self.trace, name);
        let cols = shape.last().copied().unwrap_or(1);
        Matrix::new(values.len() / cols, cols, |i, j| {
            f64::from(values[i * cols + j])
        })
    }

    fn draw(&mut self, noise: &str) -> Drawn {
        let z = self.read(noise);
        let hidden = z.times(self.param("G.h0.w")).plus_row(self.param("G.h0.b"));
        let hidden = Matrix::new(hidden.rows, hidden.cols, |i, j| hidden.get(i, j).max(0.0));
        let out = hidden
            .times(self.param("G.out.w"))
            .plus_row(self.param("G.out.b"));
        let image = Matrix::new(out.rows, out.cols, |i, j| sigmoid(out.get(i, j)));
        Drawn { z, hidden, image }
    }

    fn judge(&mut self, i: usize, pass: &str, x: &Matrix) -> Judged {
        let masks = ["D.h0", "D.out"].map(|layer| self.read(&format!("{i}/mask/{pass}/{layer}")));
        let input = x.with(&masks[0], |x, m| x * m * SCALES[0]);
        let all = input
            .times(self.param("D.h0.w"))
            .plus_row(self.param("D.h0.b"));
        let mut winners = Vec::new();
        for i in 0..self.b {
            for unit in 0..32 {
                let first_wins = all.get(i, 2 * unit) >= all.get(i, 2 * unit + 1);
                winners.push(2 * unit + usize::from(!first_wins));
            }
        }
        let hidden = Matrix::new(self.b, 32, |i, j| all.get(i, winners[i * 32 + j]));
        let hidden = hidden.with(&masks[1], |h, m| h * m * SCALES[1]);
        let logit = hidden
            .times(self.param("D.out.w"))
            .plus_row(self.param("D.out.b"));
        Judged {
            masks,
            input,
            winners,
            hidden,
            logit,
        }
    }

    /// From the gradient of the logits: D's gradients and that of the image.
    fn back(&self, way: &Judged, dlogit: &Matrix) -> (Grads, Matrix) {
        let dhidden = dlogit.times(&self.param("D.out.w").transposed());
        let dhidden = dhidden.with(&way.masks[1], |d, m| d * m * SCALES[1]);
        let mut dall = Matrix::new(self.b, 64, |_, _| 0.0);
        for (at, &winner) in way.winners.iter().enumerate() {
            dall.at[at / 32 * 64 + winner] = dhidden.at[at];
        }
        let dinput = dall.times(&self.param("D.h0.w").transposed());
        let dx = dinput.with(&way.masks[0], |d, m| d * m * SCALES[0]);
        let grads = vec![
            Grad::of_weights("D.h0.w", &way.input, &dall),
            Grad::of_biases("D.h0.b", &dall),
            Grad::of_weights("D.out.w", &way.hidden, dlogit),
            Grad::of_biases("D.out.b", dlogit),
        ];
        (grads, dx)
    }

    /// L = 1/2 mean softplus(-real) + 1/2 mean softplus(fake)
    fn discriminator_step(&mut self, i: usize, real: &Judged, fake: &Judged) -> Grads {
        let b = self.b as f64;
        let sum = |way: &Judged, sign: f64| -> f64 {
            way.logit.at.iter().map(|a| softplus(sign * a)).sum()
        };
        let loss = 0.5 * (sum(real, -1.0) + sum(fake, 1.0)) / b;
        self.compare(
            &format!("{i}/loss_d"),
            &Matrix::new(1, 1, |_, _| loss),
            loss,
        );
        let slope = |way: &Judged, target: f64| {
            Matrix::new(self.b, 1, |i, _| {
                0.5 * (sigmoid(way.logit.at[i]) - target) / b
            })
        };
        let (of_real, _) = self.back(real, &slope(real, 1.0));
        let (of_fake, _) = self.back(fake, &slope(fake, 0.0));
        let grads = of_real.into_iter().zip(of_fake).map(|(r, f)| r.plus(f));
        self.checked(i, grads.collect())
    }

    /// L = mean softplus(-fake)
    fn generator_step(&mut self, i: usize, drawn: &Drawn, fake: &Judged) -> Grads {
        let b = self.b as f64;
        let loss = fake.logit.at.iter().map(|a| softplus(-a)).sum::<f64>() / b;
        self.compare(
            &format!("{i}/loss_g"),
            &Matrix::new(1, 1, |_, _| loss),
            loss,
        );
        let slope = Matrix::new(self.b, 1, |i, _| (sigmoid(fake.logit.at[i]) - 1.0) / b);
        let (_, dimage) = self.back(fake, &slope);
        let dout = dimage.with(&drawn.image, |d, y| d * y * (1.0 - y));
        let dhidden = dout.times(&self.param("G.out.w").transposed());
        let dhidden = dhidden.with(&drawn.hidden, |d, h| if h > 0.0 { d } else { 0.0 });
        let grads = vec![
            Grad::of_weights("G.h0.w", &drawn.z, &dhidden),
            Grad::of_biases("G.h0.b", &dhidden),
            Grad::of_weights("G.out.w", &drawn.hidden, &dout),
            Grad::of_biases("G.out.b", &dout),
        ];
        self.checked(i, grads)
    }

    fn checked(&mut self, i: usize, grads: Grads) -> Grads {
        for Grad { name, value, size } in &grads {
            self.compare(&format!("{i}/grad/{name}"), value, *size);
        }
        grads
    }

    /// momentum: v <- momentum v - lr g; p <- p + v
    /// adam, at its t-th step: m <- β1 m + (1 - β1) g; s <- β2 s + (1 - β2) g²;
    /// p <- p - lr m / (1 - β1^t) / (√(s / (1 - β2^t)) + eps)
    fn descend(&mut self, i: usize, grads: Grads) {
        let lr = self.read(&format!("{i}/lr")).at[0];
        for Grad { name, value, size } in grads {
            let [first, second] = self.slots[name].clone();
            let (p, slots, slope) = match self.rule {
                Rule::Momentum => {
                    let momentum = self.read(&format!("{i}/momentum")).at[0];
                    let v = first.with(&value, |v, g| momentum * v - lr * g);
                    (self.param(name).with(&v, |p, v| p + v), [v, second], lr)
                }
                Rule::Adam { beta1, beta2, eps } => {
                    let m = first.with(&value, |m, g| beta1 * m + (1.0 - beta1) * g);
                    let s = second.with(&value, |s, g| beta2 * s + (1.0 - beta2) * g * g);
                    let t = i as i32 + 1;
                    let [c1, c2] = [beta1, beta2].map(|beta| 1.0 - beta.powi(t));
                    let step = m.with(&s, |m, s| -lr * (m / c1) / ((s / c2).sqrt() + eps));
                    // Where a gradient is all rounding, its error is divided by no more than eps.
                    let p = self.param(name).with(&step, |p, step| p + step);
                    (p, [m, s], lr / eps)
                }
            };
            let size = p.largest().max(slope * size);
            self.compare(&format!("{i}/after/{name}"), &p, size);
            self.params.insert(name.to_string(), p);
            self.slots.insert(name.to_string(), slots);
        }
    }

    /// Goes on from the traced parameters, so that each step is checked on its own.
    fn adopt(&mut self, i: usize) {
        for name in crate::trace::PARAMS {
            let value = self.read(&format!("{i}/after/{name}"));
            self.params.insert(name.to_string(), value);
        }
    }

    /// The traced array must be `expected` to 1e-5 of `size`: f32 rounds each of the up to 784
    /// summands of an element to 6e-8 of it.
    fn compare(&mut self, name: &str, expected: &Matrix, size: f64) {
        let traced = self.read(name);
        assert!(size > 0.0, "{name} is all zeros");
        assert_eq!(traced.at.len(), expected.at.len(), "{name}");
        for (at, (t, e)) in traced.at.iter().zip(&expected.at).enumerate() {
            assert!(
                (t - e).abs() <= 1e-5 * size,
                "{name}[{at}] is {t}, by hand {e}"
            );
        }
    }
}
