//! Element-wise functions after a linear map, each with its settings.

use std::ops::RangeInclusive;

use ganforge_settings::{below, closed, list, settings};
use ganforge_tensor::Var;

use super::Build;
use crate::tensors::Initial;

list! {
    /// Element-wise functions.
    pub enum Activation: dyn Activate by "activation" {
        "linear" => Linear(Identity),
        "relu" => Relu(Relu),
        "leaky_relu" => LeakyRelu(LeakyRelu),
        "prelu" => PRelu(PRelu),
        "sigmoid" => Sigmoid(Sigmoid),
        "tanh" => Tanh(Tanh),
        "half_tanh" => HalfTanh(HalfTanh),
        "softplus" => Softplus(Softplus),
    }
}

/// An element-wise function.
pub trait Activate: std::fmt::Debug + Send + Sync {
    /// The function of `x`, element by element. What it learns, it asks `build` for.
    fn of<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g>;

    /// The values that it can come near to.
    fn range(&self) -> RangeInclusive<f32> {
        f32::NEG_INFINITY..=f32::INFINITY
    }
}

settings! {
    /// x
    #[derive(Copy)]
    pub struct Identity {}
}

impl Activate for Identity {
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x
    }
}

settings! {
    /// max(x, 0)
    #[derive(Copy)]
    pub struct Relu {}
}

impl Activate for Relu {
    #[track_caller]
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.relu()
    }

    fn range(&self) -> RangeInclusive<f32> {
        0.0..=f32::INFINITY
    }
}

settings! {
    /// x above 0, slope * x below
    #[derive(Copy)]
    pub struct LeakyRelu {
        /// Slope below 0.
        pub slope: f64 = 0.2, below(0.0, 1.0);
    }
}

impl Activate for LeakyRelu {
    #[track_caller]
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.leaky_relu(self.slope)
    }
}

settings! {
    /// x above 0, slope_c * x below: a learned slope for each channel, of vectors for each value.
    ///
    /// source: He et al. 2015, Delving Deep into Rectifiers, equation 1
    #[derive(Copy)]
    pub struct PRelu {
        /// Slopes at first.
        pub slope: f64 = 0.25, closed(-1.0, 1.0);
    }
}

impl Activate for PRelu {
    #[track_caller]
    fn of<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let c = x.shape().dims().last().copied().unwrap_or(1);
        let slope = build.param("slope", [c], Initial::Constant(self.slope));
        x.relu() + x.clip(f64::NEG_INFINITY, 0.0) * slope
    }
}

settings! {
    /// 1 / (1 + exp(-x))
    #[derive(Copy)]
    pub struct Sigmoid {}
}

impl Activate for Sigmoid {
    #[track_caller]
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.sigmoid()
    }

    fn range(&self) -> RangeInclusive<f32> {
        0.0..=1.0
    }
}

settings! {
    /// tanh(x)
    #[derive(Copy)]
    pub struct Tanh {}
}

impl Activate for Tanh {
    #[track_caller]
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.tanh()
    }

    fn range(&self) -> RangeInclusive<f32> {
        -1.0..=1.0
    }
}

settings! {
    /// (tanh(x) + 1) / 2
    #[derive(Copy)]
    pub struct HalfTanh {}
}

impl Activate for HalfTanh {
    #[track_caller]
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.tanh() * 0.5 + 0.5
    }

    fn range(&self) -> RangeInclusive<f32> {
        0.0..=1.0
    }
}

settings! {
    /// log(1 + exp(x))
    #[derive(Copy)]
    pub struct Softplus {}
}

impl Activate for Softplus {
    #[track_caller]
    fn of<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.softplus()
    }

    fn range(&self) -> RangeInclusive<f32> {
        0.0..=f32::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;
    use ganforge_tensor::gradcheck::{Point, check};

    use crate::config::{Config, LayerKind};

    /// Where an activation of `n` values finds what it learns.
    fn alone(graph: &Graph, n: usize) -> Build<'_> {
        let mut build = Build::new(graph);
        build.at("D", "h0");
        build.set("D.h0.slope", graph.constant(0.25, [n]));
        build
    }

    #[test]
    fn a_learned_slope_is_of_a_channel_and_its_gradients_are_those_of_differences() {
        let value = |shape: &[usize], scale: f64| Point {
            shape: ganforge_tensor::Shape::new(shape),
            data: (0..shape.iter().product())
                .map(|i: usize| scale * ((i * 7 % 12) as f64 - 5.3))
                .collect(),
            varies: true,
        };
        let points = [value(&[2, 2, 2, 3], 0.4), value(&[3], 0.1)];
        for order in [1, 2] {
            let found = check(&points, order, 7, |g, x| {
                let mut build = Build::new(g);
                build.at("D", "h0");
                build.set("D.h0.slope", x[1]);
                PRelu::default().of(&mut build, x[0]).square()
            });
            let found = found.expect("recorded");
            assert!(found.iter().all(|f| f.passes()), "{found:?}");
        }
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("D", "h0");
        build.set("D.h0.slope", graph.input("slope", [2]));
        let y = PRelu::default().of(&mut build, graph.input("x", [2, 2]));
        let large = f64::INFINITY;
        let leaves = [
            ("x", vec![-2.0, -2.0, 3.0, large]),
            ("slope", vec![0.5, -1.0]),
        ];
        let expected = [-1.0, 2.0, 3.0, large];
        assert_eq!(y.evaluate(&leaves).expect("values"), expected);
    }

    /// Every activation with its default settings.
    fn all() -> impl Iterator<Item = (&'static str, Activation)> {
        Activation::NAMES.iter().map(|&name| {
            let option = format!("generator.layer.h0.activation={name}");
            let config = Config::preset("ring").and_then(|c| c.with(&[option]));
            match &config.expect("a name of the list").generator.layers[0].kind {
                LayerKind::Linear(linear) => (name, linear.activation.clone()),
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn the_gradient_of_each_is_that_of_differences() {
        let point = Point {
            shape: [40].into(),
            data: (-20..20).map(|i| 0.2 * f64::from(i) + 0.07).collect(), // away from kinks
            varies: true,
        };
        for ((name, activation), order) in all().flat_map(|a| [(a.clone(), 1), (a, 2)]) {
            let found = check(std::slice::from_ref(&point), order, 7, |g, x| {
                activation.of(&mut alone(g, 40), x[0])
            });
            let found = found.expect("recorded");
            assert!(found.iter().all(|f| f.passes()), "{name}: {found:?}");
        }
    }

    #[test]
    fn each_stays_in_its_range() {
        let graph = Graph::new();
        let x = graph.input("x", [401]);
        let points: Vec<f64> = (-200..=200).map(|i| 0.25 * f64::from(i)).collect();
        for (name, activation) in all() {
            let y = activation
                .of(&mut alone(&graph, 401), x)
                .evaluate(&[("x", points.clone())]);
            for y in y.expect("recorded") {
                let is_inside = activation.range().contains(&(y as f32));
                assert!(is_inside, "{name}: {y} is not in {:?}", activation.range());
            }
        }
    }
}
