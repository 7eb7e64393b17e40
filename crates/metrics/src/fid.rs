//! The Fréchet distance of features.

use ganforge_data::DataSet;
use ganforge_settings::{settings, text, whole};
use ganforge_tensor::words::counted;

use crate::Better::Lower;
use crate::sets::{Features, SetError, frechet};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Fréchet distance (FID) of the features of samples and of test images, both as Gaussians. It depends on the network and on
    /// how many images there are, which its name and its sentence say: numbers of other networks or counts are not to be compared
    /// with it. Images of the size that the network takes.
    pub struct Fid {
        /// The network whose features are compared: "mnistnet" (28x28, grey), "cifarnet" (32x32, colour), a run's folder or a
        /// file of a classifier.
        pub extractor: String = "mnistnet".to_owned(), text("a network's name, or the path of a run or a file", |t| !t.is_empty());
        /// So many samples, and as many test images, evenly spaced over all of them, or all where there are fewer.
        pub images: usize = 2000, whole(2, 1_000_000);
    }
}

impl Fid {
    fn extraction(&self) -> Extraction {
        Extraction {
            extractor: self.extractor.clone(),
            images: self.images,
        }
    }
}

impl Metric for Fid {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        of_images(set)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("fid", "Fréchet distance of features", Lower, [2, 6]),
            Column::about("fid_samples", "samples", 0),
            Column::about("fid_test", "test images", 0),
        ]
    }

    fn rests_on(&self) -> Option<String> {
        Some(self.extraction().label())
    }

    fn extractor_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.extractor)
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            features: Some(self.extraction()),
            ..Needs::samples(self.images)
        }
    }

    /// cost: looking at the images; then about 9 d³ flops for d features
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = features("fid", inputs)?;
        let distance = frechet::score(samples, test).map_err(named("fid"))?;
        Ok(Numbers::of([distance, samples.n() as f64, test.n() as f64]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [distance, samples, test] = numbers.array();
        let label = self.extraction().label();
        format!("FID-{label} {distance:.2} ({})", counts(samples, test))
    }
}

/// Whether a data set has images.
pub(crate) fn of_images(set: &DataSet) -> Result<Fit, String> {
    match set {
        DataSet::Toy(_) => Err("images".into()),
        _ => Ok(Fit::Asked),
    }
}

/// The features of samples and of test images.
pub(crate) fn features<'a>(metric: &str, inputs: &Inputs<'a>) -> Result<[Features<'a>; 2], Error> {
    let none = || Error::Other(format!("{metric}: asks for the features of images"));
    let found = inputs.compared.ok_or_else(none)?;
    let of = |name, seen: &'a crate::Seen| Features::new(name, &seen.features, seen.d);
    Ok([
        of("samples", &found.samples).map_err(named(metric))?,
        of("test images", &found.test).map_err(named(metric))?,
    ])
}

/// An error of a set of features as one of a metric.
pub(crate) fn named(metric: &str) -> impl Fn(SetError) -> Error + '_ {
    move |error| Error::Other(format!("{metric}: {error}"))
}

/// "2,000 samples, 2,000 test images"
pub(crate) fn counts(samples: f64, test: f64) -> String {
    let [samples, test] = [samples, test].map(|n| n as usize);
    format!(
        "{}, {}",
        counted(samples, "sample"),
        counted(test, "test image")
    )
}
