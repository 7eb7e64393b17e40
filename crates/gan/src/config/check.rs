//! What the two networks must be together and to the data.

use ganforge_settings::Reader;

use super::*;
use crate::metrics::Measure;

impl Config {
    /// Runs once each key has a good value.
    pub(super) fn check(&mut self, table: &Reader<'_>) {
        if Measure::of(&self.data.set) != Measure::Parzen {
            self.eval.valid = 0;
            if let Some(eval) = table.section("eval") {
                eval.refuse("valid", "a data set of images");
            }
        }
        if self.init_from.is_some() && self.layers_from_run().next().is_none() {
            table.refuse("init_from", "a layer whose init = { run = .. }");
        }
        if let Some(generator) = table.section("generator") {
            generator.refuse("penalty", "the discriminator");
        }
        let fault = |network: &str, layer: &Layer, key: &str, message: &str| {
            table.fault(&format!("{network}.layer.{}.{key}", layer.name), message);
        };
        let generator = &self.generator.layers;
        let discriminator = &self.discriminator.layers;
        for layer in discriminator {
            if layer.bias == Bias::Marginals {
                let message =
                    "must be a number: only a generator's last layer has the pixels' marginals";
                fault("discriminator", layer, "bias", message);
            }
        }
        for (i, layer) in generator.iter().enumerate() {
            let is_sigmoid = matches!(
                layer.kind,
                LayerKind::Linear(Linear {
                    activation: Activation::Sigmoid(_)
                })
            );
            if layer.bias == Bias::Marginals && (i + 1 < generator.len() || !is_sigmoid) {
                let message = "= \"marginals\" needs the generator's last layer, linear with activation = \"sigmoid\"";
                fault("generator", layer, "bias", message);
            }
        }
        if let Some(logit) = discriminator.last() {
            match logit.kind {
                LayerKind::Linear(Linear {
                    activation: Activation::Linear(_),
                }) => {}
                LayerKind::Linear(_) => {
                    let message = "must be \"linear\": the discriminator's last layer gives a logit, the loss holds the sigmoid";
                    fault("discriminator", logit, "activation", message);
                }
                _ => {
                    let message =
                        "must be \"linear\": the discriminator's last layer gives one logit";
                    fault("discriminator", logit, "kind", message);
                }
            }
            if logit.units != 1 {
                let message = format!("must be 1, the discriminator's logit, got {}", logit.units);
                fault("discriminator", logit, "units", &message);
            }
        }
        let Some(out) = generator.last() else {
            return; // the reader has seen to it that there is one
        };
        match (self.data.set.dim(), out.units) {
            (None, 0) => {
                let message =
                    "must be written: nobody knows the size of an example before the data are read";
                fault("generator", out, "units", message);
            }
            (Some(dim), units) if units != dim => {
                let message =
                    format!("must be {dim}, the values of an example of the data set, got {units}");
                fault("generator", out, "units", &message);
            }
            _ => {}
        }
        let everything = f32::NEG_INFINITY..=f32::INFINITY;
        if self.data.contrast == Contrast::Gcn && out.kind.range() != everything {
            let message = "must be \"linear\": images with data.contrast = \"gcn\" have values of any sign and size";
            fault("generator", out, "activation", message);
        }
        for (network, layers, inputs) in [
            ("generator", generator, self.noise.dim),
            ("discriminator", discriminator, out.units),
        ] {
            if let Some((layer, key, message)) = sizes::fault(layers, inputs) {
                fault(network, layer, key, &message);
            }
        }
    }
}
