//! Classes of examples, where a layer asks for them.

use ganforge_settings::Reader;

use super::{ClassSource, Config, DataSet, Layer};
use crate::data::Images;
use crate::error::{Error, Result};
use crate::losses::Form;
use crate::metrics::Task;

/// A layer of a configuration that asks for classes.
struct Asking<'c> {
    /// `generator`, `discriminator` or `classifier`.
    network: &'static str,
    layer: &'c Layer,
    classes: usize,
    /// Whether it is the loss that asks for its outputs to be classes.
    is_of_loss: bool,
}

impl Asking<'_> {
    /// `generator.layer.h0.norm`
    fn key(&self) -> String {
        let key = match self.is_of_loss {
            true => self.layer.kind.outputs_key(),
            false => self.layer.kind.norm().map_or("kind", |_| "norm"),
        };
        format!("{}.layer.{}.{key}", self.network, self.layer.name)
    }
}

impl Config {
    /// How many classes of examples the networks tell apart, where a layer asks for them.
    pub fn classes(&self) -> Option<usize> {
        self.asking().next().map(|a| a.classes)
    }

    /// Whether a training step asks for the labels of its data.
    pub fn asks_for_labels(&self) -> bool {
        let of_data = self.noise.classes == Some(ClassSource::Data);
        self.asking().any(|a| of_data || a.network != "generator")
    }

    /// Whether samples of G are of a class.
    pub fn has_classes_of_samples(&self) -> bool {
        self.asking().any(|a| a.network == "generator")
    }

    /// Refuses a discriminator that asks for the classes of what it judges, where that has none.
    ///
    /// # Errors
    /// That.
    pub(crate) fn check_judges_points(&self) -> Result<()> {
        let mut layers = self.discriminator.layers.iter();
        match layers.find(|l| l.kind.classes().is_some()) {
            None => Ok(()),
            Some(layer) => {
                let name = &layer.name;
                let message = format!("points have no classes, which D's layer {name} asks for");
                Err(Error::Mismatch(message))
            }
        }
    }

    fn asking(&self) -> impl Iterator<Item = Asking<'_>> {
        let networks = [
            ("generator", Some(&self.generator)),
            ("discriminator", Some(&self.discriminator)),
            ("classifier", self.classifier.as_ref()),
        ];
        let layers = networks
            .into_iter()
            .filter_map(|(name, network)| Some((name, network?)))
            .flat_map(|(network, n)| n.layers.iter().map(move |layer| (network, layer)));
        let asking = layers.filter_map(|(network, layer)| {
            let classes = layer.kind.classes()?;
            Some(Asking {
                network,
                layer,
                classes,
                is_of_loss: false,
            })
        });
        asking.chain(self.classifying())
    }

    /// Whether a network of the run tells the classes of examples: a classifier, or D where the loss has it do so.
    pub fn classifies(&self) -> bool {
        self.classifier.is_some() || self.loss.kind.form() == Form::Classes
    }

    /// The last layer of the network that classifies, where there is one: it gives a number for each class.
    fn classifying(&self) -> Option<Asking<'_>> {
        let (network, layers) = match &self.classifier {
            Some(classifier) => ("classifier", &classifier.layers),
            None => ("discriminator", &self.discriminator.layers),
        };
        let layer = layers.last()?;
        self.classifies().then(|| Asking {
            network,
            layer,
            classes: layer.kind.outputs(),
            is_of_loss: true,
        })
    }

    /// Whether D is told the classes of what it judges.
    pub(crate) fn tells_d_classes(&self) -> bool {
        self.asking()
            .any(|a| a.network == "discriminator" && !a.is_of_loss)
    }

    /// Whether classes agree with each other and with the data.
    pub(super) fn check_classes(&self, table: &Reader<'_>) {
        if self.loss.mismatched.is_some() {
            let loss = table.section("loss");
            match (self.tells_d_classes(), self.classes()) {
                (false, _) => {
                    let with = "a discriminator of which a layer asks for the classes of examples";
                    loss.iter().for_each(|loss| loss.refuse("mismatched", with));
                }
                (true, Some(..=1)) => {
                    let message = "needs a second class, and there is one";
                    table.fault("loss.mismatched", message);
                }
                _ => {}
            }
        }
        let Some(first) = self.asking().next() else {
            if let Some(noise) = table.section("noise") {
                noise.refuse("classes", "a layer that asks for the classes of examples");
            }
            return;
        };
        for other in self.asking().filter(|a| a.classes != first.classes) {
            let message = format!(
                "has {} classes, and {} has {}",
                other.classes,
                first.key(),
                first.classes
            );
            table.fault(&other.key(), &message);
        }
        let is_semi_supervised = self.is_semi_supervised();
        for layer in self
            .asking()
            .filter(|a| is_semi_supervised && !a.is_of_loss)
        {
            let message = "asks for the classes of examples, and with loss.kind = \"semi-supervised\" D is to find them";
            table.fault(&layer.key(), message);
        }
        if is_semi_supervised && let Some(noise) = table.section("noise") {
            noise.refuse("classes", "samples that are of a class");
        }
        let classifies = self.loss.kind.form() == Form::Classes && !is_semi_supervised;
        if classifies && !self.has_classes_of_samples() {
            let message = format!(
                "is {:?}, whose samples are of a class, and no layer of the generator asks for it, as append_class does",
                self.loss.kind.name()
            );
            table.fault("loss.kind", &message);
        }
        let task = Task::new(&self.eval.metrics, &self.data.set, self.eval.samples);
        let points = task.points();
        if let Some(of_d) = self.asking().find(|a| a.network == "discriminator")
            && !points.is_empty()
        {
            let message = "asks for classes, and eval.metrics asks D at points that have none";
            table.fault(&of_d.key(), message);
        }
        let (set, known) = (self.data.set.as_str(), self.data.set.classes().len());
        if matches!(self.data.set, DataSet::File(_)) || known == first.classes {
            return; // of a file it is known once it is read
        }
        let message = match known {
            0 if !self.asks_for_labels() => return,
            0 => format!("needs the classes of the examples, and those of {set} have none"),
            _ => format!(
                "has {} classes, and the data set {set} has {known}",
                first.classes
            ),
        };
        table.fault(&first.key(), &message);
    }

    /// Refuses data without the labels that training steps ask for.
    ///
    /// # Errors
    /// Data without labels, or with a label beyond the classes of the configuration.
    pub(crate) fn check_labels(&self, images: &Images) -> Result<(), String> {
        let Some(asking) = self.asking().next().filter(|_| self.asks_for_labels()) else {
            return Ok(());
        };
        let (key, classes) = (asking.key(), asking.classes);
        let Some(labels) = images.labels() else {
            return Err(format!(
                "{key} needs the classes of the examples, and the data have none: pictures have them where each class is a folder"
            ));
        };
        match labels.iter().max() {
            Some(&most) if usize::from(most) >= classes => Err(format!(
                "{key} has {classes} classes, and the data have {} or more",
                usize::from(most) + 1
            )),
            _ => Ok(()),
        }
    }
}
