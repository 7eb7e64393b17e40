//! The inception score, of any classifier.

use ganforge_data::DataSet;
use ganforge_settings::{settings, text, whole};

use crate::Better::Higher;
use crate::fid::{counts, named, of_images};
use crate::sets::{Features, inception_score};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers, Seen};

settings! {
    /// Inception score of a classifier's classes: exp of the mean divergence of the probabilities of each sample's classes from
    /// those of all samples, in splits. 1 at the least, and at the most as many as there are classes. It sees neither whether
    /// samples look like the data nor whether those of a class differ; that of the test images stands beside it. Images of the
    /// size that the network takes.
    pub struct Inception {
        /// The network whose classes count: as that of fid.
        pub extractor: String = "mnistnet".to_owned(), text("a network's name, or the path of a run or a file", |t| !t.is_empty());
        /// So many samples, and as many test images, evenly spaced over all of them, or all where there are fewer.
        pub images: usize = 2000, whole(2, 1_000_000);
        /// Splits of the samples, of which the mean is taken.
        pub splits: usize = 10, whole(1, 1000);
    }
}

impl Inception {
    fn extraction(&self) -> Extraction {
        Extraction {
            extractor: self.extractor.clone(),
            images: self.images,
        }
    }
}

impl Metric for Inception {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        if self.splits > self.images {
            let (splits, images) = (self.splits, self.images);
            return Err(format!(
                "images = {splits} or more for splits = {splits}, and has {images}"
            ));
        }
        of_images(set)
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

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let none = || Error::Other("is: asks for the classes of images".into());
        let compared = inputs.compared.ok_or_else(none)?;
        let of = |name, seen: &Seen| {
            let logits = Features::new(name, &seen.logits, seen.classes).map_err(named("is"))?;
            // Shuffled as torch-fidelity does: test images may be in the order of classes.
            inception_score::score(logits, self.splits, Some(2020)).map_err(named("is"))
        };
        let (found, test) = (
            of("samples", &compared.samples)?,
            of("test images", &compared.test)?,
        );
        let counts = [compared.samples.n() as f64, compared.test.n() as f64];
        Ok(Numbers::of(
            [&[found.mean, found.deviation, test.mean][..], &counts].concat(),
        ))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [score, deviation, of_test, samples, test] = numbers.array();
        let label = self.extraction().label();
        format!(
            "IS-{label} {score:.3} ± {deviation:.3}, of test images {of_test:.3} ({})",
            counts(samples, test)
        )
    }
}
