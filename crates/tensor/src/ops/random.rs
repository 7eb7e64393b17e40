//! Random numbers. Element i depends only on (run key, stream, step, i), so every executor generates the same bits.

use ganforge_kernels::cpu::rng;
use ganforge_kernels::cuda::elementwise::Instruction;

use crate::graph::{Graph, NameId, Var};
use crate::ops::{Cx, Env, Kind, OpDef, Sample, sample};
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
    /// The place of its first element in the whole draw.
    first: usize,
    shape: Shape,
    lo: f64,
    hi: f64,
}

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
    /// The place of its first element in the whole draw.
    first: usize,
    shape: Shape,
    mean: f64,
    sd: f64,
}

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
    /// The place of its first element in the whole draw.
    first: usize,
    shape: Shape,
    p: f64,
    value: f64,
}

impl Graph {
    /// Uniform random numbers. `stream` names the use: each name draws its own numbers, fresh at every step.
    #[track_caller]
    pub fn uniform(&self, stream: &str, shape: impl Into<Shape>, lo: f64, hi: f64) -> Var<'_> {
        let ((name, stream), shape) = (self.random_stream(stream), shape.into());
        self.record_leaf(
            Uniform {
                name,
                stream,
                first: 0,
                shape,
                lo,
                hi,
            },
            name,
        )
    }

    /// Normal random numbers, by Box and Muller's transform; `stream` as in [`Graph::uniform`].
    #[track_caller]
    pub fn normal(&self, stream: &str, shape: impl Into<Shape>, mean: f64, sd: f64) -> Var<'_> {
        let ((name, stream), shape) = (self.random_stream(stream), shape.into());
        self.record_leaf(
            Normal {
                name,
                stream,
                first: 0,
                shape,
                mean,
                sd,
            },
            name,
        )
    }

    /// A random mask: `value` with probability `p`, else 0; `stream` as in [`Graph::uniform`].
    #[track_caller]
    pub fn bernoulli(&self, stream: &str, shape: impl Into<Shape>, p: f64, value: f64) -> Var<'_> {
        let ((name, stream), shape) = (self.random_stream(stream), shape.into());
        self.record_leaf(
            Bernoulli {
                name,
                stream,
                first: 0,
                shape,
                p,
                value,
            },
            name,
        )
    }
}

/// A distribution with two parameters: what draws from it here is what a device's instruction draws.
macro_rules! draw {
    ($op:ident, $name:literal, $a:ident = $a_sample:literal, $b:ident = $b_sample:literal, $draw:ident) => {
        impl $op {
            /// The same draw of the elements that shard `shard` has, where each has as many.
            pub(super) fn of_shard(self, shard: usize) -> $op {
                let first = shard * self.shape.elements();
                $op { first, ..self }
            }
        }

        impl OpDef for $op {
            const NAME: &'static str = $name;
            const ULPS: f64 = 0.0;
            const SAMPLES: &'static [Sample<$op>] = &[sample(
                $op {
                    name: NameId(0),
                    stream: 7,
                    first: 0,
                    shape: Shape::new(&[3, 701]),
                    $a: $a_sample,
                    $b: $b_sample,
                },
                &[],
            )];

            fn kind(&self) -> Kind {
                Kind::Generator
            }

            fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
                Ok(self.shape)
            }

            /// The f32 numbers, widened: a random draw has no more exact value.
            fn reference(&self, _: &[View<f64>], out: &mut [f64], _: Shape, env: Env) {
                let mut bits = vec![0.0; out.len()];
                rng::$draw(
                    env.stream(self.stream),
                    self.first,
                    self.$a as f32,
                    self.$b as f32,
                    &mut bits,
                );
                for (y, &x) in out.iter_mut().zip(&bits) {
                    *y = f64::from(x);
                }
            }

            fn cpu(&self, _: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
                let stream = cx.env.stream(self.stream);
                let first = self.first + cx.start;
                rng::$draw(stream, first, self.$a as f32, self.$b as f32, out);
            }

            /// A device's draws begin with the first element.
            fn instruction(&self) -> Option<Instruction> {
                (self.first == 0)
                    .then(|| Instruction::$draw(self.stream, self.$a as f32, self.$b as f32))
            }

            fn flops(&self, _: &[Shape], out: Shape) -> u64 {
                out.elements() as u64
            }

            fn attributes(&self) -> String {
                let from = match self.first {
                    0 => String::new(),
                    first => format!(", from element {first}"),
                };
                format!(
                    concat!(stringify!($a), " {}, ", stringify!($b), " {}{}"),
                    self.$a, self.$b, from
                )
            }

            fn name_id(&self) -> Option<NameId> {
                Some(self.name)
            }
        }
    };
}

draw!(Uniform, "uniform", lo = -1.5, hi = 2.0, uniform);
draw!(Normal, "normal", mean = 0.5, sd = 2.0, normal);
draw!(Bernoulli, "bernoulli", p = 0.8, value = 1.25, bernoulli);
