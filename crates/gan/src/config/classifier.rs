//! Constraints of a configuration with a classifier in the place of the two players.

use ganforge_settings::Reader;

use super::*;
use crate::data::{ImageSize, Mixture};
use crate::error::{Error, Result};

impl Config {
    /// Whether a run has a generator that it trains, of noise alone, whose samples can be drawn and scored.
    pub fn generates(&self) -> bool {
        self.is_gan() && self.restore.is_none()
    }

    /// Refuses the configuration of a classifier or an encoder, or of a generator that is given images, where one of noise is asked
    /// for.
    ///
    /// # Errors
    /// That.
    pub fn check_generates(&self) -> Result<()> {
        let is = match (self.generates(), &self.classifier) {
            (true, _) => return Ok(()),
            _ if self.restore.is_some() => {
                "has [restore]: its generator restores images, which `ganforge inpaint` shows, and makes none of noise alone"
            }
            (false, Some(_)) => "is a classifier, and has no generator and no discriminator",
            (false, None) => "is an encoder, which inverts the generator of another run",
        };
        Err(Error::Mismatch(format!("{}: {is}", self.name)))
    }

    /// Runs once each key has a good value.
    pub(super) fn check_classifier(&mut self, table: &Reader<'_>) {
        // Nothing of them is read, and nothing is recorded of them.
        self.generator = Network::default();
        self.discriminator = Network::default();
        self.train.joined = false;
        // Points are images of one row.
        let points = |mixture: Mixture| ImageSize {
            height: 1,
            width: mixture.d,
            channels: 1,
        };
        let image = self.data.image();
        let image = image.or_else(|| self.data.set.mixture().map(points));
        let set = self.data.set.as_str().to_owned();
        let Some(classifier) = &mut self.classifier else {
            return;
        };
        if classifier.layers.is_empty() {
            let message = "must hold 1 to 64 layers, got 0";
            return table.fault("classifier.layer", message);
        }
        classifier.normalise(false);
        match (classifier.image, image) {
            (None, Some(size)) => {
                classifier.image = Some([size.height, size.width, size.channels]);
            }
            (Some([height, width, channels]), Some(of_data)) => {
                let size = ImageSize {
                    height,
                    width,
                    channels,
                };
                if size != of_data {
                    let message = format!("is {size}, those of {set} are {of_data}");
                    table.fault("classifier.image", &message);
                }
            }
            (None, None) => {
                let message =
                    "must be given: the size of an image is not known before the data are read";
                return table.fault("classifier.image", message);
            }
            (Some(_), None) => {}
        }
        if let Some(section) = table.section("classifier") {
            section.refuse("penalty", "the discriminator");
            section.refuse("clip", "the discriminator");
            section.refuse("average", "the discriminator");
            section.refuse("of", "an encoder");
            section.refuse("reconstruction", "an encoder");
        }
        if self.train.update != Update::Single {
            let name = self.train.update.name();
            let message = format!("must be \"single\" where a classifier is trained, got {name:?}");
            table.fault("train.update", &message);
        }
        self.check_metrics(table);
        for metric in &self.eval.metrics {
            if !metric.needs(&self.data.set, self.eval.samples).classes {
                let name = metric.name();
                let message = format!(
                    "has {name:?}, which scores samples of a generator, and this run trains a classifier"
                );
                table.fault("eval.metrics", &message);
            }
        }
        self.check_augment(table);
        self.check_classes(table);
        self.check_labelled(table);
        self.check_weight_norm(table);
        self.check_stack(table);
    }

    /// Whether the layers of the classifier make one logit for each class of an image.
    fn check_stack(&self, table: &Reader<'_>) {
        let Some(classifier) = &self.classifier else {
            return;
        };
        let fault = |layer: &Layer, key: &str, message: &str| {
            table.fault(&format!("classifier.layer.{}.{key}", layer.name), message);
        };
        for layer in &classifier.layers {
            if layer.kind.classes().is_some() {
                let key = layer.kind.norm().map_or("kind", |_| "norm");
                let message = "asks for the classes of examples, which a classifier is to find";
                fault(layer, key, message);
            }
            if let Some(running) = layer.kind.running()
                && let Some(message) = self.train.too_few(running.sync)
            {
                let key = layer.kind.norm().map_or("kind", |_| "norm");
                fault(layer, key, message);
            }
        }
        let Some(last) = classifier.layers.last() else {
            return;
        };
        match last.kind.activation() {
            Some(Activation::Linear(_)) => {}
            None if matches!(last.kind, LayerKind::Own(_)) => {}
            _ => {
                let key = last.kind.activation().map_or("kind", |_| "activation");
                let message = "must be \"linear\": a classifier's last layer outputs a logit for each class, the softmax is in the loss";
                fault(last, key, message);
            }
        }
        let input = self.example_shape(self.output_dim());
        match sizes::out_shape(&classifier.layers, &input) {
            Err((layer, key, message)) => fault(layer, key, &message),
            Ok(outputs) => {
                let (n, values) = (last.kind.outputs(), outputs.iter().product::<usize>());
                if n < 2 {
                    let message = format!("must be the number of classes, 2 or more, got {n}");
                    fault(last, last.kind.outputs_key(), &message);
                } else if n != values {
                    let message = format!(
                        "must make {n} of an image, a logit for each class, and makes {values} values"
                    );
                    fault(last, last.kind.outputs_key(), &message);
                }
            }
        }
    }
}
