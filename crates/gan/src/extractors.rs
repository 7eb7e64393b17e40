//! Classifiers by name, whose features metrics compare.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use ganforge_tensor::Device;

use crate::classifier::Classifier;
use crate::config::{Contrast, DataSet, nearest};
use crate::data::pictures::shown;
use crate::data::{Dataset, ImageSize};
use crate::error::{Error, Result};
use crate::metrics::{self, MetricKind, Scores, Seen, Task};

/// A classifier that comes with the program.
pub struct Bundled {
    /// Its name.
    pub name: &'static str,
    /// The size of the images that it takes.
    pub image: ImageSize,
    /// Its file.
    bytes: &'static [u8],
}

/// All of them.
pub const BUNDLED: &[Bundled] = &[
    Bundled {
        name: "mnistnet",
        image: ImageSize {
            height: 28,
            width: 28,
            channels: 1,
        },
        bytes: include_bytes!("../assets/mnistnet.npz"),
    },
    Bundled {
        name: "cifarnet",
        image: ImageSize {
            height: 32,
            width: 32,
            channels: 3,
        },
        bytes: include_bytes!("../assets/cifarnet.npz"),
    },
];

/// Why there is no network of this name or path for images of this size, as far as that is known without a file being read.
///
/// # Errors
/// That, to be read after a metric's name.
pub(crate) fn check(extractor: &str, image: Option<ImageSize>) -> Result<(), String> {
    let Some(bundled) = BUNDLED.iter().find(|b| b.name == extractor) else {
        if extractor.contains(['/', '\\', '.']) {
            return Ok(()); // a path
        }
        let names: Vec<&str> = BUNDLED.iter().map(|b| b.name).collect();
        let hint = match nearest(extractor, &names) {
            Some(near) => format!("did you mean {near}?"),
            None => format!(
                "there are {}, or the path of a run or a file",
                names.join(", ")
            ),
        };
        return Err(format!("asks for the network {extractor:?}, {hint}"));
    };
    match image {
        Some(image) if image != bundled.image => Err(format!(
            "asks for {extractor}, which takes images of {}, and those of the data are {image}",
            bundled.image
        )),
        _ => Ok(()),
    }
}

impl Classifier {
    /// A classifier that comes with the program, by its name; else that of the run in a folder, or in a file.
    ///
    /// # Errors
    /// An unknown name; no run or no file of that path; as [`Classifier::read`].
    pub fn find(name_or_path: &str) -> Result<Classifier> {
        if let Some(bundled) = BUNDLED.iter().find(|b| b.name == name_or_path) {
            return Classifier::from_bytes(bundled.bytes, bundled.name);
        }
        check(name_or_path, None).map_err(Error::Mismatch)?;
        let path = Path::new(name_or_path);
        match path.is_file() {
            true => Classifier::read(path),
            false => Classifier::of_folder(path),
        }
    }
}

/// Classifiers that are loaded once they are asked for.
pub struct Loaded {
    device: Device,
    classifiers: RefCell<HashMap<String, Classifier>>,
}

impl Loaded {
    /// None yet; they will compute on `device`.
    pub fn at(device: &Device) -> Loaded {
        Loaded {
            device: device.clone(),
            classifiers: RefCell::default(),
        }
    }

    /// Loads what `task` asks for.
    ///
    /// # Errors
    /// As [`Classifier::find`]; images of another size than a network takes.
    pub fn prepare(&self, task: &Task<'_>, size: ImageSize) -> Result<()> {
        for (kind, extraction) in task.extractions() {
            self.with(&extraction.extractor, size, |_| Ok(()))
                .map_err(|e| Error::Mismatch(format!("eval.metrics: {}: {e}", kind.name())))?;
        }
        Ok(())
    }

    /// Hands out a classifier for images of this size.
    fn with<T>(
        &self,
        extractor: &str,
        size: ImageSize,
        run: impl FnOnce(&mut Classifier) -> Result<T>,
    ) -> Result<T> {
        let mut all = self.classifiers.borrow_mut();
        if !all.contains_key(extractor) {
            let mut classifier = Classifier::find(extractor)?;
            classifier.move_to(&self.device)?;
            all.insert(extractor.to_string(), classifier);
        }
        let Some(classifier) = all.get_mut(extractor) else {
            unreachable!("it was just put there");
        };
        if classifier.image() != size {
            let message = format!(
                "{extractor} takes images of {}, and these are {size}",
                classifier.image()
            );
            return Err(Error::Mismatch(message));
        }
        run(classifier)
    }
}

impl metrics::Extractors for Loaded {
    fn look(
        &self,
        extractor: &str,
        size: ImageSize,
        images: &[f32],
    ) -> Result<Seen, metrics::Error> {
        let seen = self.with(extractor, size, |classifier| {
            let [logits, features] = classifier.look(images)?;
            Ok(Seen {
                features,
                d: classifier.n_features(),
                logits,
                classes: classifier.n_classes(),
            })
        });
        seen.map_err(|e| metrics::Error::Other(e.to_string()))
    }
}

/// Scores samples [n, d] of any origin against the test images of `data`. `contrast` says what the pixels of the samples are:
/// from 0 to 1, or from -1 to 1.
///
/// ```
/// use ganforge_gan::config::Contrast;
/// use ganforge_gan::extractors::score_samples;
/// use ganforge_gan::metrics::{MetricKind, fid::Fid};
/// let digits = ganforge_gan::data::bundled_sample()?;
/// let samples = digits.valid.to_f32(0..200)?; // of a perfect generator
/// let fid = MetricKind::Fid(Fid { images: 200, ..Fid::default() });
/// let scores = score_samples(&[fid], &samples, Contrast::AsIs, &digits)?;
/// assert_eq!(scores.values()[0].name, "fid_mnistnet");
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
///
/// # Errors
/// Fewer samples than a metric asks for, sample i of class i mod the number of classes where it asks for classes; a metric that asks for more than samples and features; what a metric refuses.
pub fn score_samples(
    metrics: &[MetricKind],
    samples: &[f32],
    contrast: Contrast,
    data: &Dataset,
) -> Result<Scores> {
    let device = Device::CPU;
    let set = DataSet::File(data.name.clone());
    let n = samples.len().checked_div(data.test.d()).unwrap_or(0);
    let task = Task::new(metrics, &set, n);
    if !task.points().is_empty() || task.asks_for_classes() {
        let message = "samples alone are scored without the discriminator, which a metric asks for";
        return Err(Error::Mismatch(message.to_string()));
    }
    let loaded = Loaded::at(&device);
    loaded.prepare(&task, data.image())?;
    let samples = shown(samples, contrast);
    let data = data.clone().with_contrast(Contrast::AsIs);
    let task = task.with_extractors(&loaded);
    Ok(task.score(&device, &data, &samples, &[], &[])?)
}
