//! Precision, recall, density and coverage of features.

use ganforge_data::DataSet;
use ganforge_settings::{settings, text, whole};

use crate::Better::Higher;
use crate::fid::{counts, features, named, of_images};
use crate::sets::prdc::{Ball, scores};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Precision, the share of samples whose features lie in a ball around those of a test image that reaches to its k-th
    /// neighbour; recall, the share of test images in such a ball of a sample; density, how many balls of test images a sample lies
    /// in, over k; coverage, the share of test images with a sample in their ball. Images of the size that the network takes.
    pub struct Precision {
        /// The network whose features are compared: as that of fid.
        pub extractor: String = "mnistnet".to_owned(), text("a network's name, or the path of a run or a file", |t| !t.is_empty());
        /// So many samples, and as many test images, evenly spaced over all of them, or all where there are fewer.
        pub images: usize = 2000, whole(2, 1_000_000);
        /// The neighbour to which balls reach for precision and recall.
        pub k: usize = 3, whole(1, 1000);
        /// The neighbour to which balls reach for density and coverage.
        pub k_density: usize = 5, whole(1, 1000);
    }
}

impl Precision {
    fn extraction(&self) -> Extraction {
        Extraction {
            extractor: self.extractor.clone(),
            images: self.images,
        }
    }
}

impl Metric for Precision {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        let (key, k) = match self.k >= self.k_density {
            true => ("k", self.k),
            false => ("k_density", self.k_density),
        };
        if k >= self.images {
            let (needed, images) = (k + 1, self.images);
            return Err(format!(
                "images = {needed} or more for {key} = {k}, and has {images}"
            ));
        }
        of_images(set)
    }

    fn columns(&self) -> Vec<Column> {
        let share = |name, label| Column::score(name, label, Higher, [3, 6]);
        vec![
            share("precision", "precision of features"),
            share("recall", "recall of features"),
            share("density", "density of features"),
            share("coverage", "coverage of features"),
            Column::about("precision_samples", "samples", 0),
            Column::about("precision_test", "test images", 0),
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

    /// cost: looking at the images; then 2 d (n² + m² + n m) flops for n and m images of d features
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = features("precision", inputs)?;
        let balls = [(self.k, Ball::Closed), (self.k_density, Ball::Open)];
        let found = scores(test, samples, &balls).map_err(named("precision"))?;
        let (near, far) = (found[0], found[1]);
        let counts = [samples.n() as f64, test.n() as f64];
        let shares = [near.precision, near.recall, far.density, far.coverage];
        Ok(Numbers::of([&shares[..], &counts].concat()))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [precision, recall, density, coverage, samples, test] = numbers.array();
        let label = self.extraction().label();
        format!(
            "by {label} precision {precision:.3}, recall {recall:.3}, density {density:.3}, coverage {coverage:.3} ({})",
            counts(samples, test)
        )
    }
}
