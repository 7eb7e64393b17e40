//! Mean and variance.

use ganforge_kernels::cpu::moments;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::broadcast::sources;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// Means over every dimension along which `shape` would be broadcast to x, and the means of the squared deviations from
/// them: what normalisers subtract and divide by, in one pass.
///
/// ```text
/// y[0, j] = Σ x[i] / n,  y[1, j] = Σ (x[i] - y[0, j])² / n  over the n i that broadcasting maps to j
/// x: [..], y: [2, k], k the elements of shape; the dimensions that are summed over are neighbours
/// vjp:   dx[i] = dy[0, j] / n + 2 dy[1, j] / n · (x[i] - y[0, j]):  a mean does not move its own variance
/// order 2: by the rules of the ops in which dx is recorded
/// cost:  4 flop per element of x
/// source: Chan, Golub and LeVeque 1979, Updating Formulae and a Pairwise Algorithm; docs/book/src/ops/moments.md
/// errors: `shape` does not broadcast to that of x, or over dimensions that are no neighbours; no numbers
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moments {
    /// The shape of the means, and of the variances.
    pub shape: Shape,
}

impl<'g> Var<'g> {
    /// The mean over the listed axes, and the variance: the mean of the squared deviations from it. The axes stay with size 1.
    #[track_caller]
    pub fn moments(self, axes: &[usize]) -> [Var<'g>; 2] {
        let mut dims = self.shape().dims().to_vec();
        for &axis in axes {
            // An axis out of range is left to the shape rule, which refuses the longer shape.
            match dims.get_mut(axis) {
                Some(d) => *d = 1,
                None => dims.insert(0, 1),
            }
        }
        let shape = Shape::new(&dims);
        rows(self.apply(Moments { shape }), shape)
    }
}

/// The two rows of a pair, in the shape that each of them has.
#[track_caller]
fn rows(pair: Var<'_>, shape: Shape) -> [Var<'_>; 2] {
    let k = shape.elements();
    [0, 1].map(|i| pair.slice([i, 0], [1, k]).reshape(shape))
}

impl Moments {
    const fn to(shape: &[usize]) -> Moments {
        Moments {
            shape: Shape::new(shape),
        }
    }

    /// [groups, terms, width] of x, summed over the terms.
    fn sizes(&self, x: Shape) -> Option<[usize; 3]> {
        match cuda::reduce::normal_form(x.dims(), self.shape.dims()) {
            [1, 1, groups, terms, width] => Some([groups, terms, width]),
            _ => None,
        }
    }

    fn known(&self, x: Shape) -> [usize; 3] {
        self.sizes(x).expect("checked when recorded")
    }
}

impl OpDef for Moments {
    const NAME: &'static str = "moments";
    // Of a variance: the roundings of a deviation and its square, and the sums and merges behind it.
    const ULPS: f64 = 16.0;
    const SAMPLES: &'static [Sample<Moments>] = &[
        sample(Moments::to(&[1, 1, 1, 3]), &[input(&[2, 3, 2, 3], R)]),
        sample(Moments::to(&[4, 1]), &[input(&[4, 5], R)]),
        sample(Moments::to(&[2, 1, 1, 3]), &[input(&[2, 2, 3, 3], R)]),
        sample(Moments::to(&[]), &[input(&[7], R)]),
        sample(Moments::to(&[67]), &[input(&[2311, 67], R)]),
        sample(Moments::to(&[5, 1]), &[input(&[5, 4099], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if !self.shape.broadcasts_to(ins[0]) {
            return Err(format!("{} does not broadcast to the input", self.shape));
        }
        match self.sizes(ins[0]) {
            Some([_, 0, _]) => Err("no numbers have no mean".into()),
            Some(_) => Ok(Shape::new(&[2, self.shape.elements()])),
            None => Err(format!(
                "the dimensions between {} and the input are no neighbours",
                self.shape
            )),
        }
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let [_, n, _] = self.known(x[0].shape());
        let [mean, _] = rows(y, self.shape);
        let [in_mean, in_variance] = rows(dy, self.shape);
        let slope = in_variance.mul_scalar(2.0 / n as f64);
        Some((x[0] - mean) * slope + in_mean.mul_scalar(1.0 / n as f64))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        let x = ins[0];
        let n = self.known(x.shape)[1] as f64;
        let (means, variances) = out.split_at_mut(self.shape.elements());
        means.fill(0.0);
        variances.fill(0.0);
        let sources = || sources(x.shape, self.shape);
        for (v, j) in x.data.iter().zip(sources()) {
            means[j] += v / n;
        }
        for (v, j) in x.data.iter().zip(sources()) {
            variances[j] += (v - means[j]).powi(2) / n;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        moments::moments(ins[0].data, self.known(ins[0].shape), out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let sizes = self.known(ins[0].shape);
        let launches = cuda::moments::moments(ins[0].data, out.data, sizes, &mut cx.scratch);
        launches.into_iter().for_each(|l| cx.launch(l));
        Ok(())
    }

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        4 * ins[0].elements() as u64
    }

    fn terms(&self, ins: &[Shape]) -> usize {
        self.sizes(ins[0]).map_or(1, |sizes| sizes[1])
    }

    fn attributes(&self) -> String {
        format!("of {}", self.shape)
    }
}
