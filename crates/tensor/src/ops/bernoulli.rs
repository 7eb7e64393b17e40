//! A random mask: `value` with probability `p`, else 0.

use ganforge_kernels::cpu::rng;
use ganforge_kernels::cuda::elementwise::Action;

use crate::graph::{Graph, NameId, Var};
use crate::ops::{Cost, Cx, Env, Kind, OpDef, Sample};
use crate::shape::Shape;
use crate::view::View;

/// A random mask: `value` with probability `p`, else 0.
///
/// ```text
/// y = value · 1[u < p]
/// Element i depends on (run key, stream, step, i) alone, so every executor draws the same bits.
/// vjp:   none, it has no input
/// cost:  1 flop, 4 bytes per element (the generator's integer work is not counted)
/// source: dropout masks: Goodfellow et al. 2014, released configurations (include probability and scale)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bernoulli {
    name: NameId,
    stream: u32,
    shape: Shape,
    p: f64,
    value: f64,
}

impl Graph {
    /// A random mask: `value` with probability `p`, else 0. `stream` names the use: each name draws its own numbers, fresh at every step.
    #[track_caller]
    pub fn bernoulli(&self, stream: &str, shape: impl Into<Shape>, p: f64, value: f64) -> Var<'_> {
        let (name, number) = self.random_stream(stream);
        let op = Bernoulli {
            name,
            stream: number,
            shape: shape.into(),
            p,
            value,
        };
        self.record_leaf(op, name)
    }
}

impl OpDef for Bernoulli {
    const NAME: &'static str = "bernoulli";
    const SAMPLES: &'static [Sample<Bernoulli>] = &[Sample {
        op: Bernoulli {
            name: NameId(0),
            stream: 7,
            shape: Shape::new(&[3, 701]),
            p: 0.8,
            value: 1.25,
        },
        inputs: &[],
    }];

    fn kind(&self) -> Kind {
        Kind::Generator
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
        Ok(self.shape)
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, _: Var<'g>) -> Option<Var<'g>> {
        None
    }

    /// The f32 numbers, widened: a random draw has no more exact value.
    fn reference(&self, _: &[View<f64>], out: &mut [f64], _: Shape, env: Env) {
        let stream = env.stream(self.stream);
        let mut bits = vec![0.0; out.len()];
        rng::bernoulli(stream, 0, self.p as f32, self.value as f32, &mut bits);
        for (y, &x) in out.iter_mut().zip(&bits) {
            *y = f64::from(x);
        }
    }

    fn cpu(&self, _: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let stream = cx.env.stream(self.stream);
        rng::bernoulli(stream, cx.start, self.p as f32, self.value as f32, out);
    }

    fn action(&self) -> Option<Action> {
        Some(Action::bernoulli(self.stream, self.p as f32, self.value as f32))
    }

    fn cost(&self, _: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: out.elements() as u64,
            bytes: 4 * out.elements() as u64,
        }
    }

    fn attributes(&self) -> String {
        format!("p {}, value {}", self.p, self.value)
    }

    fn name_id(&self) -> Option<NameId> {
        Some(self.name)
    }
}
