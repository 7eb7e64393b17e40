//! An activation alone.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Activation, Build, LayerRule, Parts, Relu, activated};

settings! {
    /// An element-wise function alone.
    pub struct Activated {
        /// The function.
        pub activation: Activation = Activation::Relu(Relu {});
    }
}

impl LayerRule for Activated {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        activated(build, x, None, &self.activation)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            activation: Some(&self.activation),
            ..Parts::default()
        }
    }
}
