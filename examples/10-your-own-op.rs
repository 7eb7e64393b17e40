//! 10. Your own op: swish, with its derivative as a second op. ganforge itself knows neither.
//!
//! ```sh
//! cargo run --release --example 10-your-own-op
//! ```

use ganforge::kernels::cpu::elementwise::sigmoid_f32;
use ganforge::tensor::gradcheck::{self, Finding};
use ganforge::tensor::ops::{Elementwise, Op, Range, Sample, input, sample};
use ganforge::tensor::{Cpu, Executor, Feed, Graph, Plan, Result, Store, Var, View};

/// Swish, element-wise (Ramachandran, Zoph and Le 2017): y = x · s, s = sigmoid(beta · x).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Swish {
    /// The scale of the sigmoid's argument.
    pub beta: f64,
}

/// Its derivative times v: y = v · (s + beta · x · s · (1 - s)).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SwishMul {
    /// As of [`Swish`].
    pub beta: f64,
}

const R: Range = Range::Real(-3.0, 3.0);

impl Elementwise for Swish {
    const NAME: &'static str = "swish";
    const ARITY: usize = 1;
    const DOC: &'static str = "A smooth relu: x times the sigmoid of beta · x";
    const SAMPLES: &'static [Sample<Swish>] =
        &[sample(Swish { beta: 1.5 }, &[input(&[3, 683], R)])];

    /// dx, as recorded nodes.
    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let op = Op::own(SwishMul { beta: self.beta });
        Some(dy.graph().record(op, &[x[0], dy]))
    }

    /// One element, for the checks.
    fn f64(&self, x: &[f64]) -> f64 {
        x[0] / (1.0 + (-self.beta * x[0]).exp())
    }

    /// Many elements, for training.
    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        for (x, y) in x[0].data.iter().zip(y) {
            *y = x * sigmoid_f32(self.beta as f32 * x);
        }
    }

    fn attributes(&self) -> String {
        format!("beta {}", self.beta)
    }
}

impl Elementwise for SwishMul {
    const NAME: &'static str = "swish_mul";
    const ARITY: usize = 2;
    const DOC: &'static str = "The derivative of swish at x, times v";
    const SAMPLES: &'static [Sample<SwishMul>] = &[sample(
        SwishMul { beta: 1.5 },
        &[input(&[3, 683], R), input(&[3, 683], R)],
    )];

    /// dv is linear in dy; dx = dy · v · swish''(x), in existing ops.
    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        if wrt == 1 {
            return Some(dy.graph().record(Op::own(*self), &[x[0], dy]));
        }
        let z = x[0] * self.beta;
        let s = z.sigmoid();
        let curvature = (s - s.square()) * (z * (1.0 - s * 2.0) + 2.0) * self.beta;
        Some(dy * x[1] * curvature)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        let s = 1.0 / (1.0 + (-self.beta * x[0]).exp());
        x[1] * (s + self.beta * x[0] * s * (1.0 - s))
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        for ((x, v), y) in x[0].data.iter().zip(x[1].data).zip(y) {
            let z = self.beta as f32 * x;
            let s = sigmoid_f32(z);
            *y = v * (s + z * s * (1.0 - s));
        }
    }

    fn attributes(&self) -> String {
        format!("beta {}", self.beta)
    }
}

/// The method used in formulas: `x.swish(1.0)`.
pub trait SwishExt<'g> {
    /// y = x · sigmoid(beta · x).
    #[track_caller]
    fn swish(self, beta: f64) -> Var<'g>;
}

impl<'g> SwishExt<'g> for Var<'g> {
    #[track_caller]
    fn swish(self, beta: f64) -> Var<'g> {
        self.graph().record(Op::own(Swish { beta }), &[self])
    }
}

fn main() -> Result<()> {
    run(2000).map(|_| ())
}

/// Checks both ops, then fits y = |x| by a network of 16 swish units in `steps` steps. Returns the checks, the first and the
/// last loss.
pub fn run(steps: u32) -> Result<(Vec<Finding>, [f32; 2])> {
    let mut checks = Vec::new();
    for order in [1, 2] {
        checks.extend(gradcheck::check_op::<Swish>(order, 11)?);
        checks.extend(gradcheck::check_op::<SwishMul>(order, 11)?);
    }
    let worst = checks.iter().map(|f| f.error).fold(0.0, f64::max);
    println!("gradients against finite differences, both orders: {worst:.0e}");

    let g = Graph::new();
    let x = g.input("x", [9, 1]);
    let parameters =
        [("w", [1, 16]), ("b", [1, 16]), ("u", [16, 1])].map(|(name, s)| g.param(name, s));
    let [w, b, u] = parameters;
    let y = (x.matmul(w) + b).swish(1.0).matmul(u);
    let loss = (y - x.abs()).square().mean();
    let mut plan = Plan::of(&g).fetch("loss", loss);
    for (p, dp) in parameters.iter().zip(g.grad(loss, &parameters)?) {
        plan = plan.update(*p, *p - dp * 0.1);
    }
    let plan = plan.compile()?;
    print!("{plan}");

    let (mut store, mut cpu) = (Store::new(1), Cpu::new(&plan));
    for (i, p) in parameters.iter().enumerate() {
        let draw = input(p.shape().dims(), Range::Real(-1.0, 1.0));
        store.insert(&p.label(), p.shape(), gradcheck::draw(&draw, i as u64))?;
    }
    let points: Vec<f32> = (0..9).map(|i| i as f32 / 4.0 - 1.0).collect();
    let mut losses = [f32::NAN; 2];
    for step in 0..steps {
        cpu.run(&plan, &mut store, &[Feed::new("x", [9, 1], &points)])?;
        let loss = cpu.fetch(&plan, &store, "loss").map_or(f32::NAN, |l| l[0]);
        losses = if step == 0 {
            [loss; 2]
        } else {
            [losses[0], loss]
        };
    }
    println!("loss {} -> {}", losses[0], losses[1]);
    Ok((checks, losses))
}
