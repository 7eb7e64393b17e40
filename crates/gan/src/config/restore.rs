//! Constraints of a configuration whose generator is given images.

use ganforge_settings::Reader;

use super::*;

impl Config {
    /// Whether a run trains a discriminator.
    pub(crate) fn has_d(&self) -> bool {
        self.is_gan() && !self.restore.as_ref().is_some_and(Restore::is_alone)
    }

    /// Height, width and channels of the images that G restores, where it does.
    pub fn restored_image(&self) -> Option<[usize; 3]> {
        let size = self.restore.as_ref().and_then(|_| self.data.image())?;
        Some([size.height, size.width, size.channels])
    }

    /// The shape of what G is given of an example: the noise, or an image that is incomplete.
    pub fn input_of_g(&self) -> Vec<usize> {
        match (&self.restore, self.restored_image()) {
            (Some(restore), Some(image)) => restore.kind.input(image).to_vec(),
            _ => vec![self.noise.dim],
        }
    }

    /// What an epoch, counted from 1, is trained with: without the dropout that has ended before it, with its weight of
    /// [`Restore::content`].
    pub fn at_epoch(&self, epoch: usize) -> Config {
        let mut config = self.clone();
        for layer in config.layers_mut().filter(|l| !l.has_dropout(epoch)) {
            (layer.keep_prob, layer.scale, layer.dropout_epochs) = (1.0, 1.0, None);
        }
        if let Some(restore) = &mut config.restore {
            restore.weight = restore.weight_at(epoch);
            restore.first_weight = restore.weight;
        }
        config
    }

    /// Whether two epochs are trained with the same dropout and the same weights of losses.
    pub(crate) fn has_same_plans(&self, a: usize, b: usize) -> bool {
        self.layers().all(|l| l.has_dropout(a) == l.has_dropout(b))
            && self
                .restore
                .iter()
                .all(|r| r.weight_at(a) == r.weight_at(b))
    }

    /// What D sees of an image that was restored: its height, width and channels.
    pub(super) fn judged_image(&self) -> Option<[usize; 3]> {
        let [h, w, c] = self.restored_image()?;
        let restore = self.restore.as_ref()?;
        let marks = usize::from(restore.kind.shown([h, w], 0).is_some());
        Some([h, w, c + marks])
    }

    /// Runs once each key has a good value; says whether the networks can be checked.
    pub(super) fn check_restore(&mut self, table: &Reader<'_>) -> bool {
        let Some(restore) = self.restore.clone() else {
            return true;
        };
        let Some(image) = self.restored_image() else {
            let message = "needs images of a size that is known before the data are read";
            table.fault("restore", message);
            return false;
        };
        if let Err(takes) = restore.kind.fits(image) {
            let [h, w, c] = image;
            let message = format!("takes {takes}, and those of the data set are {h}x{w}x{c}");
            table.fault("restore.kind", &message);
            return false;
        }
        let values: usize = image.iter().product();
        match table.section("noise").is_some_and(|noise| noise.has("dim")) {
            false => self.noise.dim = values,
            true if self.noise.dim == values => {}
            true => {
                let message = format!(
                    "must be {values}, one for each value of an image, with [restore], got {}",
                    self.noise.dim
                );
                table.fault("noise.dim", &message);
                return false;
            }
        }
        match (restore.is_alone(), self.train.update) {
            (true, Update::Single) | (false, _) => {}
            (true, update) => {
                let message = format!(
                    "must be \"single\" with restore.adversarial = 0, got {:?}",
                    update.name()
                );
                table.fault("train.update", &message);
            }
        }
        if self.loss.kind.form() != Form::Number {
            let message = format!(
                "is {:?}, and a discriminator of restored images says one number of each",
                self.loss.kind.name()
            );
            table.fault("loss.kind", &message);
        }
        if self.margin.is_some() {
            table.refuse("margin", "a run without [restore]");
        }
        if self.data.contrast == Contrast::Gcn {
            let message =
                "= \"gcn\" makes values that are no pixels, which a run with [restore] compares";
            table.fault("data.contrast", message);
        }
        if self.noise.truncate.is_some() {
            let message = "is of samples of noise alone, and here there are none";
            table.fault("noise.truncate", message);
        }
        for (net, network) in self.nets() {
            let asks = network.layers.iter().find(|l| l.kind.classes().is_some());
            if let Some(layer) = asks {
                let key = layer.kind.norm().map_or("kind", |_| "norm");
                let net = match net {
                    "G" => "generator",
                    _ => "discriminator",
                };
                let message = "asks for classes, which a run with [restore] does not tell";
                table.fault(&format!("{net}.layer.{}.{key}", layer.name), message);
            }
        }
        if self.output.grid[1] < 3 {
            let got = self.output.grid[1];
            let message = format!(
                "must have 3 columns or more, for what G is given, what it makes and the image, got {got}"
            );
            table.fault("output.grid", &message);
        }
        true
    }

    /// Whether metrics are such as a run has whose G is given images, or as another GAN has.
    pub(super) fn check_restoration_metrics(&self, table: &Reader<'_>) {
        for metric in &self.eval.metrics {
            let needs = metric.needs(&self.data.set, self.eval.samples);
            let is_of_images = metric.extraction().is_some() && !needs.of_classes;
            let name = metric.name();
            let message = match &self.restore {
                None if needs.inferred => format!("has {name:?}, which scores an encoder"),
                None if needs.restored => {
                    format!("has {name:?}, which scores a run with [restore]")
                }
                Some(_) if !needs.restored && (needs.inferred || !is_of_images) => format!(
                    "has {name:?}, and a run with [restore] is scored by \"restoration\" and by what compares images through a network"
                ),
                _ => continue,
            };
            table.fault("eval.metrics", &message);
        }
    }
}
