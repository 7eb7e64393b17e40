//! Counting parameters.

use ganforge_tensor::{Error, Graph};

use super::{Bias, Config, ConfigError, Fault, Init, Layer, Network};
use crate::nn::Build;

/// Most parameters of one network: 2^33, 32 GiB in f32.
const MAX_PARAMETERS: u64 = 1 << 33;

/// The parameters of a layer and the values of its output, for `inputs` values, recorded by itself; why that fails.
fn layer_count(layer: &Layer, inputs: usize) -> (u64, usize, Option<Error>) {
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    let x = graph.input("x", [1, inputs]);
    let network = Network {
        layers: vec![layer.clone()],
        ..Network::default()
    };
    let y = build.eval("", &network, x);
    (
        build.tensors().elements(),
        y.shape().elements(),
        graph.fault(),
    )
}

/// The parameters of a network and the values of its output.
pub(super) fn count(layers: &[Layer], mut inputs: usize) -> (u64, usize) {
    let mut sum = 0_u64;
    for layer in layers {
        let (parameters, outputs, _) = layer_count(layer, inputs);
        sum = sum.saturating_add(parameters);
        inputs = outputs;
    }
    (sum, inputs)
}

/// The first layer that cannot be built on its inputs: the layer, the key and what is wrong.
pub(super) fn fault(layers: &[Layer], mut inputs: usize) -> Option<(&Layer, &'static str, String)> {
    let mut sum = 0_u64;
    for layer in layers {
        if let Some(&Init::Sparse(n)) = layer.affine().map(|a| &a.init)
            && n > inputs
        {
            let message =
                format!("= {{ sparse = {n} }} must be at most {inputs}, the layer's inputs");
            return Some((layer, "init", message));
        }
        let (parameters, outputs, error) = layer_count(layer, inputs);
        if let Some(error) = error {
            return Some((layer, "kind", format!("cannot be built: {error}")));
        }
        sum = sum.saturating_add(parameters);
        if sum > MAX_PARAMETERS {
            let message = format!(
                "brings the network to {sum} parameters, more than the {MAX_PARAMETERS} allowed"
            );
            return Some((layer, "units", message));
        }
        inputs = outputs;
    }
    None
}

impl Config {
    /// Number of parameters of G and of D, where D reads data of `data_dim` components.
    ///
    /// A linear layer from m to n has (m + 1) n, a maxout layer of p pieces (m + 1) n p. Saturates at `u64::MAX`.
    pub fn parameter_counts(&self, data_dim: usize) -> (u64, u64) {
        let (generator, _) = count(&self.generator.layers, self.noise.dim);
        (generator, count(&self.discriminator.layers, data_dim).0)
    }

    /// The layers that begin with the parameters of another run: network ("G", "D"), layer, and that run's layer.
    pub fn layers_from_run(&self) -> impl Iterator<Item = (&'static str, &Layer, &str)> {
        let networks = [("G", &self.generator), ("D", &self.discriminator)];
        networks.into_iter().flat_map(|(prefix, network)| {
            network
                .layers
                .iter()
                .filter_map(move |l| match &l.affine()?.init {
                    Init::Run(name) => Some((prefix, l, name.as_str())),
                    _ => None,
                })
        })
    }

    /// The same nets with random parameters in place of another run's: for whoever wants their sizes, not their values.
    pub fn without_other_run(&self) -> Config {
        let mut config = self.clone();
        config.init_from = None;
        for affine in config.layers_mut().filter_map(Layer::affine_mut) {
            if matches!(affine.init, Init::Run(_)) {
                (affine.init, affine.bias) = (Init::Uniform(0.05), Bias::Constant(0.0));
            }
        }
        config
    }

    /// Width of the generator's output.
    pub fn output_dim(&self) -> usize {
        count(&self.generator.layers, self.noise.dim).1
    }

    /// Fails unless the generator makes vectors of `data_dim` components, which is known once the data are loaded.
    pub fn check_data_dim(&self, data_dim: usize) -> Result<(), ConfigError> {
        let width = self.output_dim();
        if width == data_dim {
            return Ok(());
        }
        let name = self.generator.layers.last().map_or("", |l| &l.name);
        let key = format!("generator.layer.{name}.units");
        let message =
            format!("{key} must be {data_dim}, the size of one example of the data, got {width}");
        Err(ConfigError::from(Fault {
            key: Some(key),
            ..Fault::whole(&*self.name, message)
        }))
    }
}
