//! Element-wise functions after a linear map, each with its settings.

use std::ops::RangeInclusive;

use ganforge_settings::{below, list, settings};
use ganforge_tensor::Var;

list! {
    /// Element-wise functions.
    pub enum Activation: dyn Activate by "activation" {
        "linear" => Linear(Identity),
        "relu" => Relu(Relu),
        "leaky_relu" => LeakyRelu(LeakyRelu),
        "sigmoid" => Sigmoid(Sigmoid),
        "tanh" => Tanh(Tanh),
        "half_tanh" => HalfTanh(HalfTanh),
        "softplus" => Softplus(Softplus),
    }
}

/// An element-wise function.
pub trait Activate: std::fmt::Debug + Send + Sync {
    /// The function of `x`, element by element.
    fn of<'g>(&self, x: Var<'g>) -> Var<'g>;

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
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
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
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
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
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.leaky_relu(self.slope)
    }
}

settings! {
    /// 1 / (1 + exp(-x))
    #[derive(Copy)]
    pub struct Sigmoid {}
}

impl Activate for Sigmoid {
    #[track_caller]
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
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
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
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
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
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
    fn of<'g>(&self, x: Var<'g>) -> Var<'g> {
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
            let found = check(std::slice::from_ref(&point), order, 7, |_, x| {
                activation.of(x[0])
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
            let y = activation.of(x).evaluate(&[("x", points.clone())]);
            for y in y.expect("recorded") {
                let is_inside = activation.range().contains(&(y as f32));
                assert!(is_inside, "{name}: {y} is not in {:?}", activation.range());
            }
        }
    }
}
