//! The Fréchet distance of features.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings};

use crate::Better::Lower;
use crate::extractor::{counts, features, named};
use crate::sets::frechet;
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Numbers};

settings! {
    /// Fréchet distance (FID) of the features of samples and of test images, both as Gaussians. It depends on the network and on
    /// how many images there are, which its name and its sentence say: numbers of other networks or counts are not to be compared
    /// with it. Images of the size that the network takes.
    pub struct Fid {
        /// What looks at images.
        pub looks: Extraction = Extraction::default(), Flat;
    }
}

impl Metric for Fid {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        self.looks.fits(set, |_| true)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("fid", "Fréchet distance of features", Lower, [2, 6]),
            Column::about("fid_samples", "samples", 0),
            Column::about("fid_test", "test images", 0),
        ]
    }

    fn suits(&self, data: &Dataset, _: usize) -> Result<(), String> {
        self.looks.enough(data, 2, "a covariance")
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    /// cost: looking at the images; then about 9 d³ flops for d features
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = features("fid", inputs)?;
        let distance = frechet::score(samples, test).map_err(named("fid"))?;
        Ok(Numbers::of([distance, samples.n() as f64, test.n() as f64]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [distance, samples, test] = numbers.array();
        let label = self.looks.words();
        format!("FID-{label} {distance:.2} ({})", counts(samples, test))
    }
}
