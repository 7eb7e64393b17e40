//! Precision, recall, density and coverage of features.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings, whole};

use crate::Better::Higher;
use crate::extractor::{counts, features, named};
use crate::sets::prdc::{Ball, scores_at};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Numbers};

settings! {
    /// Precision, the share of samples whose features lie in a ball around those of a test image that reaches to its k-th
    /// neighbour; recall, the share of test images in such a ball of a sample; density, how many balls of test images a sample lies
    /// in, over k; coverage, the share of test images with a sample in their ball. Images of the size that the network takes.
    pub struct Precision {
        /// What looks at images.
        pub looks: Extraction = Extraction::default(), Flat;
        /// The neighbour to which balls reach for precision and recall.
        #[only("kind = \"precision\" and no protocol", |p| p.looks.protocol.is_none())]
        pub k: usize = 3, whole(1, 1000);
        /// The neighbour to which balls reach for density and coverage.
        #[only("kind = \"precision\" and no protocol", |p| p.looks.protocol.is_none())]
        pub k_density: usize = 5, whole(1, 1000);
    }
}

impl Precision {
    /// Neighbours and balls of precision and recall, and of density and coverage.
    fn balls(&self) -> [(usize, Ball); 2] {
        let rules = self.looks.protocol.map(|p| p.rules());
        let near = rules.and_then(|r| r.precision);
        let far = rules.and_then(|r| r.density);
        [
            near.unwrap_or((self.k, Ball::Closed)),
            far.unwrap_or((self.k_density, Ball::Open)),
        ]
    }
}

impl Metric for Precision {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        let [(k, _), (k_density, _)] = self.balls();
        let (key, k) = match k >= k_density {
            true => ("k", k),
            false => ("k_density", k_density),
        };
        if k >= self.looks.images {
            let (needed, images) = (k + 1, self.looks.images);
            return Err(format!(
                "images = {needed} or more for {key} = {k}, and has {images}"
            ));
        }
        self.looks.fits(set, |p| {
            let rules = p.rules();
            rules.precision.is_some() && rules.density.is_some()
        })
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

    fn suits(&self, data: &Dataset, _: usize) -> Result<(), String> {
        let [(k, _), (k_density, _)] = self.balls();
        self.looks
            .enough(data, k.max(k_density) + 1, "its neighbours")
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    /// cost: looking at the images; then 2 d (n² + m² + n m) flops for n and m images of d features
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = features("precision", inputs)?;
        let found =
            scores_at(inputs.device, test, samples, &self.balls()).map_err(named("precision"))?;
        let (near, far) = (found[0], found[1]);
        let counts = [samples.n() as f64, test.n() as f64];
        let shares = [near.precision, near.recall, far.density, far.coverage];
        Ok(Numbers::of([&shares[..], &counts].concat()))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [precision, recall, density, coverage, samples, test] = numbers.array();
        let label = self.looks.words();
        format!(
            "by {label} precision {precision:.3}, recall {recall:.3}, density {density:.3}, coverage {coverage:.3} ({})",
            counts(samples, test)
        )
    }
}
