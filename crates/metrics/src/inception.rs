//! The inception score, of any classifier.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings, whole};

use crate::Better::Higher;
use crate::extractor::{counts, logits, named, of_classes};
use crate::sets::{Features, inception_score};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Numbers};

settings! {
    /// Inception score of a classifier's classes: exp of the mean divergence of the probabilities of each sample's classes from
    /// those of all samples, in splits. 1 at the least, and at the most as many as there are classes. It sees neither whether
    /// samples look like the data nor whether those of a class differ; that of the test images stands beside it. Images of the
    /// size that the network takes.
    pub struct Inception {
        /// What looks at images.
        pub looks: Extraction = Extraction::default(), Flat;
        /// Splits of the samples, of which the mean is taken.
        #[only("kind = \"is\" and no protocol", |i| i.looks.protocol.is_none())]
        pub splits: usize = 10, whole(1, 1000);
    }
}

impl Inception {
    /// Splits, and the seed of a shuffle: as torch-fidelity's, since test images may be in the order of classes.
    fn rules(&self) -> (usize, Option<u32>) {
        let rules = self.looks.protocol.and_then(|p| p.rules().inception);
        rules.unwrap_or((self.splits, Some(2020)))
    }
}

impl Metric for Inception {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        if self.looks.protocol.is_none() && self.splits > self.looks.images {
            let (splits, images) = (self.splits, self.looks.images);
            return Err(format!(
                "images = {splits} or more for splits = {splits}, and has {images}"
            ));
        }
        self.looks.fits(set, |p| p.rules().inception.is_some())
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("is", "inception score", Higher, [3, 6]),
            Column::about("is_std", "its standard deviation over splits", 6),
            Column::about("is_of_test", "inception score of the test images", 6),
            Column::about("is_samples", "samples", 0),
            Column::about("is_test", "test images", 0),
        ]
    }

    fn suits(&self, data: &Dataset, classes: usize) -> Result<(), String> {
        of_classes(classes)?;
        self.looks.enough(data, self.rules().0, "its splits")
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = logits("is", inputs)?;
        let (splits, seed) = self.rules();
        let of = |logits: Features<'_>| {
            inception_score::score(logits, splits, seed).map_err(named("is"))
        };
        let (found, of_test) = (of(samples)?, of(test)?);
        let counts = [samples.n() as f64, test.n() as f64];
        Ok(Numbers::of(
            [&[found.mean, found.deviation, of_test.mean][..], &counts].concat(),
        ))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [score, deviation, of_test, samples, test] = numbers.array();
        let label = self.looks.words();
        format!(
            "IS-{label} {score:.3} ± {deviation:.3}, of test images {of_test:.3} ({})",
            counts(samples, test)
        )
    }
}
