//! Constraints between the two networks and the data.

use ganforge_settings::Reader;

use super::*;
use crate::data::ImageSize;
use crate::extractors;
use crate::losses::Form;
use crate::metrics::Task;
use crate::nn::MovedBy;

impl Config {
    /// Runs once each key has a good value.
    pub(super) fn check(&mut self, table: &Reader<'_>) {
        if self.init_from.is_some() && self.layers_from_run().next().is_none() {
            table.refuse("init_from", "a layer whose init = { run = .. }");
        }
        self.check_marginals(table);
        if self.classifier.is_some() {
            return self.check_classifier(table);
        }
        if self.encoder.is_some() {
            return self.check_encoder(table);
        }
        if !self.check_restore(table) {
            return;
        }
        if self.train.update == Update::Single && self.has_d() {
            table.fault(
                "train.update",
                "= \"single\" is of a classifier, an encoder or a generator alone, and this run has two networks",
            );
        }
        self.generator.normalise(false);
        self.discriminator.normalise(true);
        self.check_labelled(table);
        self.check_metrics(table);
        let task = Task::new(&self.eval.metrics, &self.data.set, self.eval.samples);
        if task.asks_for_classes() && !self.classifies() {
            let message = format!(
                "has a metric of the classes that D assigns, and with loss.kind = {:?} it assigns none, only with \"cls-gan\" or \"semi-supervised\"",
                self.loss.kind.name()
            );
            table.fault("eval.metrics", &message);
        }
        if self.margin.is_some() && !self.loss.kind.has_margin() {
            let with = "loss.kind = \"ls-gan\", \"gls-gan\" or \"cls-gan\"";
            table.refuse("margin", with);
            self.margin = None;
        }
        let penalties = &self.discriminator.penalties;
        for (i, penalty) in penalties.iter().enumerate() {
            let name = penalty.kind.name();
            if penalties[..i]
                .iter()
                .any(|before| before.kind.name() == name)
            {
                let message = format!("has {name:?} twice: its weight says how much it counts");
                table.fault("discriminator.penalty", &message);
            }
        }
        if let Some(generator) = table.section("generator") {
            generator.refuse("penalty", "the discriminator");
            generator.refuse("clip", "the discriminator");
            generator.refuse("average", "the discriminator");
            generator.refuse("image", "a classifier");
            generator.refuse("of", "an encoder");
            generator.refuse("reconstruction", "an encoder");
        }
        if let Some(discriminator) = table.section("discriminator") {
            discriminator.refuse("image", "a classifier");
            discriminator.refuse("of", "an encoder");
            discriminator.refuse("reconstruction", "an encoder");
        }
        let fault = |network: &str, layer: &Layer, key: &str, message: &str| {
            table.fault(&format!("{network}.layer.{}.{key}", layer.name), message);
        };
        let generator = &self.generator.layers;
        let discriminator = &self.discriminator.layers;
        let (Some(out), Some(logit)) = (generator.last(), discriminator.last()) else {
            return; // the reader has seen to it that there are some
        };
        let form = self.loss.kind.form();
        let what = match form {
            Form::Number => "a logit, the sigmoid is in the loss",
            Form::Classes => "a logit for each class, the softmax is in the loss",
            Form::Example => "a reconstruction",
        };
        match logit.kind.activation() {
            // A reconstruction has whatever range examples have.
            _ if form == Form::Example => {}
            Some(Activation::Linear(_)) => {}
            None if matches!(logit.kind, LayerKind::Own(_)) => {}
            Some(_) => {
                let message =
                    format!("must be \"linear\": the discriminator's last layer outputs {what}");
                fault("discriminator", logit, "activation", &message);
            }
            None => {
                let message =
                    "must be \"linear\": the discriminator's last layer outputs one logit";
                fault("discriminator", logit, "kind", message);
            }
        }
        if let Some(code) = self.loss.kind.code()
            && !discriminator.iter().any(|l| l.name == code)
        {
            let names: Vec<&str> = discriminator.iter().map(|l| l.name.as_str()).collect();
            let message = format!(
                "must be a layer of the discriminator, one of {}, got {code:?}",
                names.join(", ")
            );
            table.fault("loss.code", &message);
        }
        if let (true, Some(message)) =
            (self.loss.kind.compares_samples(), self.train.too_few(false))
        {
            table.fault("loss.kind", message);
        }
        if out.affine().is_some_and(|a| a.units == 0) {
            let message =
                "must be given: the size of an example is not known before the data are read";
            return fault("generator", out, "units", message);
        }
        for (network, layers) in [("generator", generator), ("discriminator", discriminator)] {
            for layer in layers.iter().filter(|l| l.kind.sees_batch()) {
                let key = layer.kind.norm().map_or("kind", |_| "norm");
                let is_sync = layer.kind.running().is_some_and(|r| r.sync);
                if let Some(message) = self.train.too_few(is_sync) {
                    fault(network, layer, key, message);
                }
            }
        }
        self.check_classes(table);
        self.check_weight_norm(table);
        self.check_augment(table);
        self.check_extractors(table);
        self.check_restoration_metrics(table);
        for layer in generator {
            if layer
                .kind
                .running()
                .is_some_and(|r| r.moves == MovedBy::Real)
            {
                let key = layer.kind.norm().map_or("kind", |_| "norm");
                let message = "has moves = \"real\", which is of the discriminator: real examples never pass through the generator";
                fault("generator", layer, key, message);
            }
        }
        let shape = |network: &str, layers, input: &[usize]| match sizes::out_shape(layers, input) {
            Err((layer, key, message)) => {
                fault(network, layer, key, &message);
                None
            }
            Ok(made) => Some(made),
        };
        let Some(made) = shape("generator", generator, &self.input_of_g()) else {
            return;
        };
        let values: usize = made.iter().product();
        let key = out.kind.outputs_key();
        if let Some(image) = self.data.image()
            && let [height, width, channels] = made[..]
        {
            let size = ImageSize {
                height,
                width,
                channels,
            };
            if size != image {
                let set = self.data.set.as_str();
                let message = format!("makes images of {size}, those of {set} are {image}");
                table.fault(&format!("generator.layer.{}", out.name), &message);
            }
        } else if let Some(dim) = self.data.dim()
            && values != dim
        {
            let message =
                format!("must be {dim}, the values of an example of the data set, got {values}");
            fault("generator", out, key, &message);
        }
        let input = self.example_of(&made, values);
        for penalty in &self.discriminator.penalties {
            if let Err((key, message)) = penalty.kind.fits(&input) {
                let key = format!("discriminator.penalty.{}.{key}", penalty.kind.name());
                table.fault(&key, &message);
            }
        }
        self.check_margin(table, &made, values);
        let loss = self.loss.kind.name();
        let key = logit.kind.outputs_key();
        if let Some(outputs) = shape("discriminator", discriminator, &input) {
            let made: usize = outputs.iter().product();
            let expected = match form {
                Form::Number => 1,
                Form::Classes => logit.kind.outputs(),
                Form::Example => values,
            };
            let message = match (form, &outputs[..]) {
                _ if made == expected => None,
                (Form::Number, [h, w, c]) => Some(format!(
                    "must make one logit of an image, and makes {h}x{w} places of {}",
                    ganforge_tensor::words::counted(*c, "channel")
                )),
                (Form::Number, _) => {
                    Some(format!("must be 1, the discriminator's logit, got {made}"))
                }
                (Form::Classes, _) => Some(format!(
                    "must make {expected} of an image, a logit for each class, and makes {made} values"
                )),
                (Form::Example, _) => Some(format!(
                    "must make the {values} values of an example: with loss.kind = {loss:?} the discriminator reconstructs \
                     examples, and this one makes {made}"
                )),
            };
            if let Some(message) = message {
                fault("discriminator", logit, key, &message);
            }
        }
        let everything = f32::NEG_INFINITY..=f32::INFINITY;
        if self.data.contrast == Contrast::Gcn && out.kind.range() != everything {
            let message =
                "must be \"linear\": values of images with data.contrast = \"gcn\" are unbounded";
            fault("generator", out, "activation", message);
        }
        let range = out.kind.range();
        if self.data.contrast == Contrast::Signed
            && !(range.contains(&-1.0) && range.contains(&1.0))
        {
            let message = format!(
                "must be \"tanh\" or another one that reaches -1 to 1, the pixels of images with data.contrast = \"signed\", \
                 and reaches {} to {}",
                range.start(),
                range.end()
            );
            fault("generator", out, "activation", &message);
        }
        if self.noise.classes.is_none() && self.classes().is_some() && !self.is_semi_supervised() {
            // The loss of a classifier compares examples of the same class.
            self.noise.classes = Some(match form {
                Form::Classes => ClassSource::Data,
                _ => ClassSource::Uniform,
            });
        }
        // Joined, real and generated examples would be normalised together, and gradients of one half cost those of both.
        let is_joined_by_default = !table.section("train").is_some_and(|t| t.has("joined"));
        let mut penalties = self.discriminator.penalties.iter();
        let is_apart = discriminator.iter().any(|l| l.kind.sees_batch())
            || penalties.any(|penalty| penalty.kind.uses_loss_pass());
        if is_joined_by_default && is_apart {
            self.train.joined = false;
        }
    }

    /// Whether biases that are the pixels' marginals are those of a generator's pixels.
    fn check_marginals(&self, table: &Reader<'_>) {
        let nets = [
            ("classifier", self.classifier.as_ref()),
            ("encoder", self.encoder.as_ref()),
            ("generator", Some(&self.generator)),
            ("discriminator", Some(&self.discriminator)),
        ];
        for (net, network) in nets {
            let layers = network.map_or(&[][..], |n| &n.layers);
            for (i, layer) in layers.iter().enumerate() {
                if layer.weights().is_none_or(|w| w.bias != Bias::Marginals) {
                    continue;
                }
                let makes_pixels = matches!(&layer.kind, LayerKind::Linear(l)
                    if matches!(l.activation, Activation::Sigmoid(_)) && l.norm.is_none());
                let message = match (net, i + 1 < layers.len() || !makes_pixels) {
                    ("generator", false) => continue,
                    ("generator", true) => {
                        "= \"marginals\" needs the generator's last layer, linear with activation = \"sigmoid\""
                    }
                    _ => {
                        "must be a number: only a generator's last layer has the pixels' marginals"
                    }
                };
                table.fault(&format!("{net}.layer.{}.bias", layer.name), message);
            }
        }
    }

    /// Whether each metric fits the data set.
    pub(super) fn check_metrics(&self, table: &Reader<'_>) {
        for metric in &self.eval.metrics {
            if let Err(needs) = metric.fits(&self.data.set) {
                let (name, set) = (metric.name(), self.data.set.as_str());
                let message = format!("has {name:?}, which needs {needs}, and data.set is {set:?}");
                table.fault("eval.metrics", &message);
            }
        }
    }

    /// Whether the networks that metrics ask for are there and take images of the data's size.
    pub(super) fn check_extractors(&self, table: &Reader<'_>) {
        let task = Task::new(&self.eval.metrics, &self.data.set, self.eval.samples);
        if let Some(kind) = task.asks_for_samples_of_classes()
            && !self.has_classes_of_samples()
        {
            let message = format!(
                "has {:?}, which scores samples of a class, and no layer of the generator asks for it, as append_class does",
                kind.name()
            );
            table.fault("eval.metrics", &message);
        }
        let unfit = self.unfit_pixels();
        for (kind, extraction) in task.extractions() {
            if let Some(unfit) = &unfit {
                let message = format!(
                    "has {:?}, which needs pixels from 0 to 1, and {unfit}",
                    kind.name()
                );
                table.fault("eval.metrics", &message);
            }
            if let Err(reason) = extractors::check(extraction, self.image()) {
                let message = format!("has {:?}, which {reason}", kind.name());
                table.fault("eval.metrics", &message);
            }
        }
    }

    /// Why a network that looks at images would be shown values that are no pixels, as far as the configuration tells: not where a
    /// program's own layer or activation, or a layer without an activation, ends the generator.
    fn unfit_pixels(&self) -> Option<String> {
        let pixels = match self.data.contrast {
            Contrast::Gcn => {
                return Some("values of images with data.contrast = \"gcn\" are unbounded".into());
            }
            Contrast::Signed => -1.0..=1.0,
            Contrast::AsIs => 0.0..=1.0,
        };
        let out = self.generator.layers.last()?;
        let activation = out.kind.activation()?;
        if matches!(out.kind, LayerKind::Own(_)) || matches!(activation, Activation::Own(_)) {
            return None;
        }
        let range = out.kind.range();
        let is_within = pixels.contains(range.start()) && pixels.contains(range.end());
        (!is_within).then(|| {
            format!(
                "the generator's last layer, {}, reaches {} to {}, not {} to {}",
                out.name,
                range.start(),
                range.end(),
                pixels.start(),
                pixels.end()
            )
        })
    }

    /// Whether the size of images is known, where they are changed at random.
    pub(super) fn check_augment(&self, table: &Reader<'_>) {
        if self.data.augment.is_empty() {
            return;
        }
        let Some(size) = self.image() else {
            let message = "needs images of a size that is known before the data are read";
            return table.fault("data.augment", message);
        };
        for augment in self.data.augment.iter().map(|term| &term.kind) {
            if let Err((key, message)) = augment.fits(size) {
                table.fault(&format!("data.augment.{}.{key}", augment.name()), &message);
            }
        }
    }
}
