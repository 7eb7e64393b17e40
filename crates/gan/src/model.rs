//! Networks of linear and maxout layers with dropout, recorded from their configuration.

use ganforge_tensor::{Graph, Shape, Var};

use crate::config::{Activation, Layer, LayerKind, Network};

/// A parameter that a network has.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// `G.h0.w`: network, layer, and w for weights [in, out·pieces] or b for biases [out·pieces].
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The layer's place in its network.
    pub layer: usize,
    /// Whether it holds weights (or else biases).
    pub is_weight: bool,
}

/// The parameters of a network in order, each layer's weights before its biases.
pub fn parameters(prefix: &str, network: &Network, inputs: usize) -> Vec<ParamSpec> {
    let mut specs = Vec::new();
    let mut fan_in = inputs;
    for (i, layer) in network.layers.iter().enumerate() {
        let responses = responses(layer);
        for (is_weight, suffix) in [(true, "w"), (false, "b")] {
            let shape = match is_weight {
                true => Shape::from([fan_in, responses]),
                false => Shape::from([responses]),
            };
            specs.push(ParamSpec {
                name: format!("{prefix}.{}.{suffix}", layer.name),
                shape,
                layer: i,
                is_weight,
            });
        }
        fan_in = layer.units;
    }
    specs
}

/// The name of the moving average of a parameter.
pub fn average_name(param: &str) -> String {
    format!("{param}.average")
}

/// The pre-activations of a layer: units, or units times pieces.
fn responses(layer: &Layer) -> usize {
    match layer.kind {
        LayerKind::Linear(_) => layer.units,
        LayerKind::Maxout(maxout) => layer.units * maxout.pieces,
    }
}

/// A parameter's name and its current value in a graph: the stored one, or one updated earlier
/// in the same step.
pub type Named<'g> = (String, Var<'g>);

/// A network in a graph.
pub struct Net<'c, 'g> {
    prefix: &'static str,
    network: &'c Network,
    params: Vec<Named<'g>>,
}

/// One minibatch on its way through a network, with a name for its dropout masks.
#[derive(Clone, Copy)]
pub struct Pass<'p, 'g> {
    /// `real`, `fake`, `fake_d`, `fake_g`: the masks' streams are `mask/<name>/<layer>`.
    pub name: &'p str,
    /// The minibatch, [b, inputs].
    pub x: Var<'g>,
}

/// Masks that a forward pass drew: `<pass>/<layer>` and its node.
pub type Masks<'g> = Vec<(String, Var<'g>)>;

impl<'c, 'g> Net<'c, 'g> {
    /// Declares the parameters of `network`, called `prefix` (`G`, `D`), for inputs of width
    /// `inputs`.
    #[track_caller]
    pub fn declare(
        graph: &'g Graph,
        prefix: &'static str,
        network: &'c Network,
        inputs: usize,
    ) -> Net<'c, 'g> {
        let declare = |spec: ParamSpec| {
            let param = graph.param(&spec.name, spec.shape);
            (spec.name, param)
        };
        let specs = parameters(prefix, network, inputs);
        Net {
            prefix,
            network,
            params: specs.into_iter().map(declare).collect(),
        }
    }

    /// The same network with the moving averages of its parameters in their place.
    #[track_caller]
    pub fn averaged(&self, graph: &'g Graph) -> Net<'c, 'g> {
        let average = |(name, p): &Named<'g>| {
            let name = average_name(name);
            let var = graph.param(&name, p.shape());
            (name, var)
        };
        self.with_params(self.params.iter().map(average).collect())
    }

    /// The parameters' names and values.
    pub fn params(&self) -> &[Named<'g>] {
        &self.params
    }

    /// The same network with other values of its parameters, in the same order.
    pub fn with_params(&self, params: Vec<Named<'g>>) -> Net<'c, 'g> {
        Net {
            prefix: self.prefix,
            network: self.network,
            params,
        }
    }

    /// The output for x [b, inputs] without dropout: [b, units of the last layer].
    #[track_caller]
    pub fn forward(&self, x: Var<'g>) -> Var<'g> {
        let mut h = x;
        for (i, layer) in self.network.layers.iter().enumerate() {
            let _scope = self.scope(x.graph(), layer);
            h = self.layer(i, h);
        }
        h
    }

    /// The output for one or two minibatches with dropout, joined to one [b, inputs] each after
    /// the first layer's masks, so that every product runs once for both.
    ///
    /// h <- h · Bernoulli(keep_prob) · scale on the input of each layer, one mask per example,
    /// unit and pass (paper: dropout in D; values: released configurations).
    #[track_caller]
    pub fn forward_with_dropout(&self, passes: &[Pass<'_, 'g>]) -> (Var<'g>, Masks<'g>) {
        let mut masks = Masks::new();
        let mut h: Option<Var> = None;
        for (i, layer) in self.network.layers.iter().enumerate() {
            let _scope = self.scope(passes[0].x.graph(), layer);
            let name = format!("{}.{}", self.prefix, layer.name);
            let mut drawn = Vec::new();
            if let Some(dropout) = layer.dropout() {
                for pass in passes {
                    let width = match h {
                        Some(h) => h.shape().dims()[1],
                        None => pass.x.shape().dims()[1],
                    };
                    let stream = format!("mask/{}/{name}", pass.name);
                    let shape = [pass.x.shape().dims()[0], width];
                    let graph = pass.x.graph();
                    let mask = graph.bernoulli(&stream, shape, dropout.keep_prob, dropout.scale);
                    masks.push((format!("{}/{name}", pass.name), mask));
                    drawn.push(mask);
                }
            }
            let dropped = match (h, drawn.is_empty()) {
                (Some(h), true) => h,
                (Some(h), false) => h * join(drawn),
                (None, true) => join(passes.iter().map(|p| p.x)),
                (None, false) => join(passes.iter().zip(drawn).map(|(p, mask)| p.x * mask)),
            };
            h = Some(self.layer(i, dropped));
        }
        (h.unwrap_or(passes[0].x), masks)
    }

    /// Layer `i` without its dropout, recorded in the current scope.
    #[track_caller]
    fn layer(&self, i: usize, x: Var<'g>) -> Var<'g> {
        let layer = &self.network.layers[i];
        let (w, b) = (self.params[2 * i].1, self.params[2 * i + 1].1);
        let a = x.matmul(w) + b;
        match layer.kind {
            LayerKind::Maxout(maxout) => a.maxout(maxout.pieces),
            LayerKind::Linear(linear) => match linear.activation {
                Activation::Linear(_) => a,
                Activation::Relu(_) => a.relu(),
                Activation::LeakyRelu(leaky) => a.leaky_relu(leaky.slope),
                Activation::Sigmoid(_) => a.sigmoid(),
                Activation::Tanh(_) => a.tanh(),
                Activation::Softplus(_) => a.softplus(),
            },
        }
    }

    fn scope(&self, graph: &'g Graph, layer: &Layer) -> ganforge_tensor::ScopeGuard<'g> {
        graph.scope(&format!("{}/{}", self.prefix, layer.name))
    }
}

/// All of them, one below the other.
#[track_caller]
fn join<'g>(parts: impl IntoIterator<Item = Var<'g>>) -> Var<'g> {
    let joined = parts.into_iter().reduce(|a, b| a.concat(b, 0));
    joined.expect("a forward pass has at least one minibatch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn mnist_has_the_papers_parameter_counts() {
        let config = Config::preset("mnist").expect("a preset");
        let count = |prefix, network, inputs| -> usize {
            let specs = parameters(prefix, network, inputs);
            specs.iter().map(|s| s.shape.elements()).sum()
        };
        assert_eq!(count("G", &config.generator, 100), 2_503_984);
        assert_eq!(count("D", &config.discriminator, 784), 1_231_441);
    }

    #[test]
    fn averages_have_names_of_their_own() {
        let config = Config::preset("tiny").expect("a preset");
        let g = Graph::new();
        let net = Net::declare(&g, "G", &config.generator, config.noise.dim);
        let names = |net: &Net| net.params().iter().map(|p| p.0.clone()).collect::<Vec<_>>();
        let expected: Vec<String> = names(&net).iter().map(|n| format!("{n}.average")).collect();
        assert_eq!(names(&net.averaged(&g)), expected);
    }

    #[test]
    fn every_op_of_a_layer_is_in_its_scope() {
        let config = Config::preset("mnist").expect("a preset");
        let g = Graph::new();
        let net = Net::declare(&g, "D", &config.discriminator, 784);
        let x = g.input("x", [3, 784]);
        let first = g.len();
        net.forward_with_dropout(&[Pass { name: "real", x }]);
        net.forward(x);
        for var in g.vars().skip(first) {
            assert!(var.scope().starts_with("D/"), "{}", g.line(var.id()));
        }
    }

    #[test]
    fn a_mask_is_the_scale_where_it_keeps_and_each_pass_has_its_own() {
        let options = [
            "discriminator.layer.h0.keep_prob=0.7",
            "discriminator.layer.h0.scale=1.5",
        ];
        let config = Config::preset("tiny").and_then(|c| c.with(&options));
        let config = config.expect("valid");
        let g = Graph::new();
        let d = Net::declare(&g, "D", &config.discriminator, 784);
        let pass = |name| Pass {
            name,
            x: g.input(name, [10, 784]),
        };
        let (_, masks) = d.forward_with_dropout(&[pass("real"), pass("fake")]);
        let values: Vec<Vec<f64>> = masks
            .iter()
            .map(|m| m.1.evaluate(&[]).expect("drawn"))
            .collect();
        let [real, fake] = [&values[0], &values[1]];
        for mask in [real, fake] {
            assert!(mask.iter().all(|&m| m == 0.0 || m == 1.5));
            let kept = mask.iter().filter(|m| **m > 0.0).count() as f64 / 7840.0;
            assert!(
                (kept - 0.7).abs() < 4.0 * (0.21f64 / 7840.0).sqrt(),
                "{kept}"
            );
        }
        // Two independent masks agree where both keep or both drop: 0.7² + 0.3².
        let agree = real.iter().zip(fake).filter(|(a, b)| a == b).count() as f64 / 7840.0;
        assert!(
            (agree - 0.58).abs() < 4.0 * (0.2436f64 / 7840.0).sqrt(),
            "{agree}"
        );
    }

    #[test]
    fn masks_of_two_passes_differ_and_have_the_layers_names() {
        let config = Config::preset("mnist").expect("a preset");
        let g = Graph::new();
        let d = Net::declare(&g, "D", &config.discriminator, 784);
        let pass = |name| Pass {
            name,
            x: g.input(name, [3, 784]),
        };
        let (logit, masks) = d.forward_with_dropout(&[pass("real"), pass("fake")]);
        assert_eq!(logit.shape().dims(), [6, 1]);
        let names: Vec<&str> = masks.iter().map(|m| m.0.as_str()).collect();
        let expected = [
            "real/D.h0",
            "fake/D.h0",
            "real/D.h1",
            "fake/D.h1",
            "real/D.out",
            "fake/D.out",
        ];
        assert_eq!(names, expected);
        assert!(g.fault().is_none());
    }
}
