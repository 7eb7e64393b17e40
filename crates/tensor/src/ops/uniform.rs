//! Uniform random numbers.

use ganforge_kernels::cpu::rng;
use ganforge_kernels::cuda::elementwise::Action;

use crate::graph::{Graph, NameId, Var};
use crate::ops::{Cost, Cx, Env, Kind, OpDef, Sample};
use crate::shape::Shape;
use crate::view::View;

/// Uniform random numbers.
///
/// ```text
/// y = lo + (hi - lo) · u, u in [0, 1) with 24 bits
/// Element i depends on (run key, stream, step, i) alone, so every executor draws the same bits.
/// vjp:   none, it has no input
/// cost:  1 flop, 4 bytes per element (the generator's integer work is not counted)
/// source: Philox 4x32-10: Salmon et al. 2011; the noise of Goodfellow et al. 2014 is uniform (released code)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Uniform {
    name: NameId,
    stream: u32,
    shape: Shape,
    lo: f64,
    hi: f64,
}

impl Graph {
    /// Uniform random numbers. `stream` names the use: each name draws its own numbers, fresh at every step.
    #[track_caller]
    pub fn uniform(&self, stream: &str, shape: impl Into<Shape>, lo: f64, hi: f64) -> Var<'_> {
        let (name, number) = self.random_stream(stream);
        let op = Uniform {
            name,
            stream: number,
            shape: shape.into(),
            lo,
            hi,
        };
        self.record_leaf(op, name)
    }
}

impl OpDef for Uniform {
    const NAME: &'static str = "uniform";
    const SAMPLES: &'static [Sample<Uniform>] = &[Sample {
        op: Uniform {
            name: NameId(0),
            stream: 7,
            shape: Shape::new(&[3, 701]),
            lo: -1.5,
            hi: 2.0,
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
        rng::uniform(stream, 0, self.lo as f32, self.hi as f32, &mut bits);
        for (y, &x) in out.iter_mut().zip(&bits) {
            *y = f64::from(x);
        }
    }

    fn cpu(&self, _: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let stream = cx.env.stream(self.stream);
        rng::uniform(stream, cx.start, self.lo as f32, self.hi as f32, out);
    }

    fn action(&self) -> Option<Action> {
        Some(Action::uniform(self.stream, self.lo as f32, self.hi as f32))
    }

    fn cost(&self, _: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: out.elements() as u64,
            bytes: 4 * out.elements() as u64,
        }
    }

    fn attributes(&self) -> String {
        format!("lo {}, hi {}", self.lo, self.hi)
    }

    fn name_id(&self) -> Option<NameId> {
        Some(self.name)
    }
}
