//! Normal random numbers, by Box and Muller's transform.

use ganforge_kernels::cpu::rng;
use ganforge_kernels::cuda::elementwise::Action;

use crate::graph::{Graph, NameId, Var};
use crate::ops::{Cost, Cx, Env, Kind, OpDef, Sample};
use crate::shape::Shape;
use crate::view::View;

/// Normal random numbers, by Box and Muller's transform.
///
/// ```text
/// y = mean + sd · n, n ~ N(0, 1)
/// Element i depends on (run key, stream, step, i) alone, so every executor draws the same bits.
/// vjp:   none, it has no input
/// cost:  1 flop, 4 bytes per element (the generator's integer work is not counted)
/// source: Box and Muller 1958 on Philox 4x32-10
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Normal {
    name: NameId,
    stream: u32,
    shape: Shape,
    mean: f64,
    sd: f64,
}

impl Graph {
    /// Normal random numbers, by Box and Muller's transform. `stream` names the use: each name draws its own numbers, fresh at every step.
    #[track_caller]
    pub fn normal(&self, stream: &str, shape: impl Into<Shape>, mean: f64, sd: f64) -> Var<'_> {
        let (name, number) = self.random_stream(stream);
        let op = Normal {
            name,
            stream: number,
            shape: shape.into(),
            mean,
            sd,
        };
        self.record_leaf(op, name)
    }
}

impl OpDef for Normal {
    const NAME: &'static str = "normal";
    const SAMPLES: &'static [Sample<Normal>] = &[Sample {
        op: Normal {
            name: NameId(0),
            stream: 7,
            shape: Shape::new(&[3, 701]),
            mean: 0.5,
            sd: 2.0,
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
        rng::normal(stream, 0, self.mean as f32, self.sd as f32, &mut bits);
        for (y, &x) in out.iter_mut().zip(&bits) {
            *y = f64::from(x);
        }
    }

    fn cpu(&self, _: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let stream = cx.env.stream(self.stream);
        rng::normal(stream, cx.start, self.mean as f32, self.sd as f32, out);
    }

    fn action(&self) -> Option<Action> {
        Some(Action::normal(self.stream, self.mean as f32, self.sd as f32))
    }

    fn cost(&self, _: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: out.elements() as u64,
            bytes: 4 * out.elements() as u64,
        }
    }

    fn attributes(&self) -> String {
        format!("mean {}, sd {}", self.mean, self.sd)
    }

    fn name_id(&self) -> Option<NameId> {
        Some(self.name)
    }
}
