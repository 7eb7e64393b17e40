//! Constraints between the two networks and the data.

use ganforge_settings::Reader;

use super::*;

impl Config {
    /// Runs once each key has a good value.
    pub(super) fn check(&mut self, table: &Reader<'_>) {
        for metric in &self.eval.metrics {
            if let Err(needs) = metric.fits(&self.data.set) {
                let (name, set) = (metric.name(), self.data.set.as_str());
                let message = format!("has {name:?}, which needs {needs}, and data.set is {set:?}");
                table.fault("eval.metrics", &message);
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
        let is_marginals = |l: &Layer| l.affine().is_some_and(|a| a.bias == Bias::Marginals);
        for layer in discriminator.iter().filter(|l| is_marginals(l)) {
            let message =
                "must be a number: only a generator's last layer has the pixels' marginals";
            fault("discriminator", layer, "bias", message);
        }
        let activation = |layer: &Layer| match &layer.kind {
            LayerKind::Linear(linear) => Some(linear.activation.clone()),
            _ => None,
        };
        for (i, layer) in generator
            .iter()
            .enumerate()
            .filter(|(_, l)| is_marginals(l))
        {
            let is_sigmoid = matches!(activation(layer), Some(Activation::Sigmoid(_)));
            if i + 1 < generator.len() || !is_sigmoid {
                let message = "= \"marginals\" needs the generator's last layer, linear with activation = \"sigmoid\"";
                fault("generator", layer, "bias", message);
            }
        }
        let (Some(out), Some(logit)) = (generator.last(), discriminator.last()) else {
            return; // the reader has seen to it that there are some
        };
        match activation(logit) {
            Some(Activation::Linear(_)) => {}
            None if matches!(logit.kind, LayerKind::Own(_)) => {}
            Some(_) => {
                let message = "must be \"linear\": the discriminator's last layer outputs a logit, the sigmoid is in the loss";
                fault("discriminator", logit, "activation", message);
            }
            None => {
                let message =
                    "must be \"linear\": the discriminator's last layer outputs one logit";
                fault("discriminator", logit, "kind", message);
            }
        }
        if out.affine().is_some_and(|a| a.units == 0) {
            let message =
                "must be given: the size of an example is not known before the data are read";
            return fault("generator", out, "units", message);
        }
        let width = |network: &str, layers, inputs| match sizes::fault(layers, inputs) {
            Some((layer, key, message)) => {
                fault(network, layer, key, &message);
                None
            }
            None => Some(sizes::count(layers, inputs).1),
        };
        let Some(made) = width("generator", generator, self.noise.dim) else {
            return;
        };
        if let Some(dim) = self.data.set.dim()
            && made != dim
        {
            let message =
                format!("must be {dim}, the values of an example of the data set, got {made}");
            fault("generator", out, "units", &message);
        }
        if let Some(logits) = width("discriminator", discriminator, made)
            && logits != 1
        {
            let message = format!("must be 1, the discriminator's logit, got {logits}");
            fault("discriminator", logit, "units", &message);
        }
        let everything = f32::NEG_INFINITY..=f32::INFINITY;
        if self.data.contrast == Contrast::Gcn && out.kind.range() != everything {
            let message =
                "must be \"linear\": values of images with data.contrast = \"gcn\" are unbounded";
            fault("generator", out, "activation", message);
        }
    }
}
