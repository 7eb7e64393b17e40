//! Leaky rectified linear unit, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Leaky rectified linear unit, element by element.
///
/// ```text
/// y = x where x > 0, else slope · x                x: [..] f32, y: same shape
/// vjp:   dx = dy where x > 0, else slope · dy
/// order 2: d(dx)/d(dy) = 1 or slope; zero in x almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: Maas et al. 2013; DCGAN: Radford et al. 2015
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeakyRelu {
    /// The slope below 0.
    pub slope: f64,
}

impl Elementwise for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const ARITY: usize = 1;
    const CODE: Code = Code::LeakyRelu;

    const SAMPLES: &'static [Sample<LeakyRelu>] = &[
        Sample { op: LeakyRelu { slope: 0.2 }, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[0.0]))] },
        Sample { op: LeakyRelu { slope: 0.2 }, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[0.0]))] },
    ];

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(x[0].step_mul(self.slope, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if x[0] > 0.0 { x[0] } else { self.slope * x[0] }
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::leaky_relu(self.slope as f32, x[0].data, y);
    }

    fn constants(&self) -> [f32; 2] {
        [self.slope as f32, 0.0]
    }

    fn attributes(&self) -> String {
        self.slope.to_string()
    }
}

impl<'g> Var<'g> {
    /// y = x where x > 0, else slope · x.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Var<'g> {
        self.apply(LeakyRelu { slope })
    }
}

