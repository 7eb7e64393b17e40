//! What layers store: parameters, weights, buffers, and their values as a step goes on.

use ganforge_tensor::{Shape, Var};

use super::{Build, Mode, Named};
use crate::tensors::{Initial, Role, TensorSpec};

impl<'g> Build<'g> {
    /// A parameter of the layer that is recorded, such as `b`: biases, gains, whatever has no fans.
    #[track_caller]
    pub fn param(&mut self, part: &str, shape: impl Into<Shape>, init: Initial) -> Var<'g> {
        let spec = self.spec(part, shape.into(), Role::Param, init);
        self.declare(spec)
    }

    /// Weights of the layer that is recorded. `fans` are the inputs of an output and the outputs of an input; after each
    /// update the weights of every output, which lie along the last axis, are scaled back to an L2 norm of at most
    /// `max_col_norm`.
    #[track_caller]
    pub fn weights(
        &mut self,
        part: &str,
        shape: impl Into<Shape>,
        fans: [usize; 2],
        init: Initial,
        max_col_norm: Option<f64>,
    ) -> Var<'g> {
        let shape = shape.into();
        let outputs = shape.rank().saturating_sub(1);
        self.weights_along(part, shape, fans, outputs, init, max_col_norm)
    }

    /// The same with the outputs along another axis than the last one.
    #[track_caller]
    pub(crate) fn weights_along(
        &mut self,
        part: &str,
        shape: Shape,
        fans: [usize; 2],
        outputs: usize,
        init: Initial,
        max_col_norm: Option<f64>,
    ) -> Var<'g> {
        let mut spec = self.spec(part, shape, Role::Param, init);
        (spec.fans, spec.max_col_norm) = (Some(fans), max_col_norm);
        spec.outputs = outputs;
        self.declare(spec)
    }

    /// The pre-activations x · w + b [b, outputs] of a linear map with weights `<part>.w`, Glorot's at first, and biases
    /// `<part>.b`, 0 at first: for layers that are made of several.
    #[track_caller]
    pub fn linear(&mut self, part: &str, x: Var<'g>, outputs: usize) -> Var<'g> {
        let inputs = x.shape().dims().last().copied().unwrap_or(1);
        let fans = [inputs, outputs];
        let w = self.weights(&format!("{part}.w"), fans, fans, Initial::Glorot, None);
        let zero = Initial::Constant(0.0);
        x.matmul(w) + self.param(&format!("{part}.b"), [outputs], zero)
    }

    /// A tensor that the layer keeps from step to step without learning it; [`Build::update`] gives it a new value.
    #[track_caller]
    pub fn buffer(&mut self, part: &str, shape: impl Into<Shape>, init: Initial) -> Var<'g> {
        let spec = self.spec(part, shape.into(), Role::Buffer, init);
        self.declare(spec)
    }

    /// The value of a buffer of this layer after this forward pass, of training only.
    pub fn update(&mut self, part: &str, value: Var<'g>) {
        if self.is_training() {
            let name = self.name(part);
            self.now.insert(name, value);
        }
    }

    /// What the buffer `part` of this layer, which is `now`, was when the step began: before it was first asked so.
    pub(crate) fn at_start(&mut self, part: &str, now: Var<'g>) -> Var<'g> {
        *self.at_start.entry(self.name(part)).or_insert(now)
    }

    pub(super) fn name(&self, part: &str) -> String {
        format!("{}.{}.{}{part}", self.net, self.layer, self.prefix)
    }

    fn spec(&self, part: &str, shape: Shape, role: Role, init: Initial) -> TensorSpec {
        TensorSpec {
            name: self.name(part),
            shape,
            net: self.net.clone(),
            layer: self.layer.clone(),
            role,
            init,
            fans: None,
            outputs: 0,
            max_col_norm: None,
        }
    }

    /// What an optimiser remembers of `param`, 0 at first.
    #[track_caller]
    pub(crate) fn slot(&mut self, param: &TensorSpec, slot: &str) -> Var<'g> {
        self.declare(TensorSpec {
            name: format!("{}.{slot}", param.name),
            role: Role::Slot,
            init: Initial::Constant(0.0),
            ..plain(param)
        })
    }

    /// The moving average of `param`.
    #[track_caller]
    pub(crate) fn average(&mut self, param: &TensorSpec) -> Var<'g> {
        self.declare(TensorSpec {
            name: format!("{}.average", param.name),
            role: Role::Average,
            init: Initial::CopyOf(param.name.clone()),
            ..plain(param)
        })
    }

    /// The value of a tensor now, which is noted if it is new.
    #[track_caller]
    fn declare(&mut self, spec: TensorSpec) -> Var<'g> {
        let value = match (&self.mode, spec.role) {
            (Mode::Averaged, Role::Param) => self.average(&spec),
            _ => self.value(&spec),
        };
        self.tensors.declare(spec);
        value
    }

    /// The value of a tensor now: the stored one, or that which an update of this step has given it.
    #[track_caller]
    pub fn value(&self, spec: &TensorSpec) -> Var<'g> {
        match self.now.get(&spec.name) {
            Some(value) if self.learner.is_none_or(|net| net == spec.net) => *value,
            Some(value) => value.detach(),
            None => self.graph.param(&spec.name, spec.shape),
        }
    }

    /// From here on a tensor has this value.
    pub fn set(&mut self, name: &str, value: Var<'g>) {
        self.now.insert(name.to_string(), value);
    }

    /// What the tensors that `is_meant` become: their nodes, names and new values.
    pub fn updates(&self, is_meant: impl Fn(&TensorSpec) -> bool) -> Vec<(Var<'g>, Named<'g>)> {
        let specs = self.tensors.iter().filter(|s| is_meant(s));
        let update = |spec: &TensorSpec| {
            let new = *self.now.get(&spec.name)?;
            let old = self.graph.param(&spec.name, spec.shape);
            Some((old, (spec.name.clone(), new)))
        };
        specs.filter_map(update).collect()
    }
}

fn plain(param: &TensorSpec) -> TensorSpec {
    TensorSpec {
        fans: None,
        max_col_norm: None,
        ..param.clone()
    }
}
