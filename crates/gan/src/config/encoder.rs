//! Constraints of a configuration with an encoder in the place of the two players.

use ganforge_settings::Reader;

use super::*;
use crate::error::{Error, Result};
use crate::metrics::{inference::Inference, restoration::Restoration, test_accuracy::TestAccuracy};
use crate::nn::MovedBy;

impl Eval {
    /// How a run is scored that does not say it.
    pub(super) fn of(
        data: &Data,
        classifier: &Option<Network>,
        is_of_encoder: bool,
        restores: bool,
    ) -> Eval {
        Eval {
            metrics: match classifier {
                None if is_of_encoder => vec![MetricKind::Inference(Inference::default())],
                None if restores => vec![MetricKind::Restoration(Restoration::default())],
                None => unasked(&data.set),
                Some(_) => vec![MetricKind::TestAccuracy(TestAccuracy::default())],
            },
            ..Eval::default()
        }
    }
}

impl Config {
    /// Whether a run trains a generator.
    pub(crate) fn is_gan(&self) -> bool {
        self.classifier.is_none() && self.encoder.is_none()
    }

    /// Whether training steps read examples of the data.
    pub(crate) fn reads_examples(&self) -> bool {
        let encoder = self.encoder.as_ref();
        encoder.is_none_or(|e| e.reconstruction.is_some())
    }

    /// Whether it names a generator that was not read yet.
    pub(crate) fn lacks_generator(&self) -> bool {
        self.encoder.is_some() && self.generator.layers.is_empty()
    }

    /// Refuses an encoder whose generator is named and was not read.
    pub(crate) fn check_encoder_is_read(&self) -> Result<()> {
        let encoder = self.encoder.as_ref().filter(|_| self.lacks_generator());
        let Some(encoder) = encoder else {
            return Ok(());
        };
        let place = encoder.of.as_deref().unwrap_or("");
        Err(Error::Mismatch(format!(
            "encoder.of = {place:?} has not been read (pretrained::read_encoder)"
        )))
    }

    /// Runs once each key has a good value.
    pub(super) fn check_encoder(&mut self, table: &Reader<'_>) {
        // Nothing of it is read, and nothing is recorded of it.
        self.discriminator = Network::default();
        self.train.joined = false;
        let Some(encoder) = &mut self.encoder else {
            return;
        };
        if encoder.layers.is_empty() {
            let message = "must hold 1 to 64 layers, got 0";
            return table.fault("encoder.layer", message);
        }
        encoder.normalise(false);
        self.generator.normalise(false);
        for (name, section) in ["encoder", "generator"].map(|name| (name, table.section(name))) {
            let Some(section) = section else { continue };
            section.refuse("penalty", "the discriminator");
            section.refuse("clip", "the discriminator");
            section.refuse("average", "the discriminator");
            section.refuse("image", "a classifier");
            if name == "generator" {
                section.refuse("of", "an encoder");
                section.refuse("reconstruction", "an encoder");
                section.refuse("optimizer", "a network that is trained");
            }
        }
        if self.train.update != Update::Single {
            let name = self.train.update.name();
            let message = format!("must be \"single\" where an encoder is trained, got {name:?}");
            table.fault("train.update", &message);
        }
        self.check_labelled(table);
        self.check_metrics(table);
        for metric in &self.eval.metrics {
            let needs = metric.needs(&self.data.set, self.eval.samples);
            let is_of_images = metric.extraction().is_some() && !needs.of_classes;
            if !needs.inferred && !is_of_images {
                let name = metric.name();
                let message = format!(
                    "has {name:?}, and an encoder is scored by \"inference\" and by what compares images through a network"
                );
                table.fault("eval.metrics", &message);
            }
        }
        if self.noise.truncate.is_some() {
            let message = "is of samples of noise alone, and here there are none";
            table.fault("noise.truncate", message);
        }
        self.check_encoder_layers(table);
        self.check_weight_norm(table);
        for layer in &self.generator.layers {
            if layer
                .weights()
                .is_some_and(|w| matches!(w.init, Init::Run(_)))
            {
                let message = "names a layer of another run, and a generator that stands still has the values of its run by encoder.of";
                table.fault(&format!("generator.layer.{}.init", layer.name), message);
            }
        }
        match self.lacks_generator() {
            true if self.encoder.as_ref().is_some_and(|e| e.of.is_none()) => {
                let message = "must name the run whose generator is inverted";
                table.fault("encoder.of", message);
            }
            true => {}
            false => self.check_inverted(table),
        }
    }

    /// Whether the layers of the encoder are such as it can have, whatever the generator is.
    fn check_encoder_layers(&self, table: &Reader<'_>) {
        let Some(encoder) = &self.encoder else { return };
        let fault = |layer: &Layer, key: &str, message: &str| {
            table.fault(&format!("encoder.layer.{}.{key}", layer.name), message);
        };
        for layer in &encoder.layers {
            let key = layer.kind.norm().map_or("kind", |_| "norm");
            if layer.kind.classes().is_some() {
                fault(layer, key, "asks for classes, which an encoder is not told");
            }
            if let Some(running) = layer.kind.running() {
                if let Some(message) = self.train.too_few(running.sync) {
                    fault(layer, key, message);
                }
                if running.moves == MovedBy::Real && !self.reads_examples() {
                    let message = "has moves = \"real\", and an encoder sees real examples with encoder.reconstruction alone";
                    fault(layer, key, message);
                }
            }
        }
    }

    /// Whether the encoder takes what the generator makes, and makes what that takes.
    fn check_inverted(&self, table: &Reader<'_>) {
        let Some(encoder) = &self.encoder else { return };
        if let Some(layer) = self
            .generator
            .layers
            .iter()
            .find(|l| l.kind.classes().is_some())
        {
            let message = "asks for classes: a generator that is told them is not inverted";
            return table.fault(&format!("generator.layer.{}.kind", layer.name), message);
        }
        let shape = |net: &str, layers: &[Layer], input: &[usize]| {
            sizes::out_shape(layers, input)
                .map_err(|(layer, key, message)| {
                    table.fault(&format!("{net}.layer.{}.{key}", layer.name), &message);
                })
                .ok()
        };
        let Some(made) = shape("generator", &self.generator.layers, &[self.noise.dim]) else {
            return;
        };
        let values: usize = made.iter().product();
        let images = [self.made_image(), self.data.image()];
        if let [Some(made), Some(data)] = images
            && made != data
        {
            let set = self.data.set.as_str();
            let message = format!("makes images of {made}, those of {set} are {data}");
            return table.fault("generator.layer", &message);
        }
        if let Some(dim) = self.data.dim().filter(|dim| *dim != values) {
            let message = format!("makes {values} values, an example of the data set has {dim}");
            return table.fault("generator.layer", &message);
        }
        let input = self.example_of(&made, values);
        let Some(outputs) = shape("encoder", &encoder.layers, &input) else {
            return;
        };
        let (found, dim) = (outputs.iter().product::<usize>(), self.noise.dim);
        if let Some(last) = encoder.layers.last().filter(|_| found != dim) {
            let message = format!(
                "must make the {dim} components of the noise that the generator takes (noise.dim), and makes {found}"
            );
            let key = last.kind.outputs_key();
            table.fault(&format!("encoder.layer.{}.{key}", last.name), &message);
        }
        self.check_augment(table);
        self.check_extractors(table);
    }
}
