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
