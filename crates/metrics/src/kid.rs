//! The kernel distance of features.

use ganforge_data::DataSet;
use ganforge_settings::{settings, text, whole};

use crate::Better::Lower;
use crate::fid::{counts, features, named, of_images};
use crate::sets::kid::{Draw, Kernel, score};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Kernel distance (KID) of the features of samples and of test images: the mean, over subsets of both, of the squared maximum
    /// mean discrepancy under the kernel (a·b / d + 1)³ of d features. Without bias, so that it does not depend on how many images
    /// there are; 0 on average where both have one distribution. Images of the size that the network takes.
    pub struct Kid {
        /// The network whose features are compared: as that of fid.
        pub extractor: String = "mnistnet".to_owned(), text("a network's name, or the path of a run or a file", |t| !t.is_empty());
        /// So many samples, and as many test images, evenly spaced over all of them, or all where there are fewer.
        pub images: usize = 2000, whole(2, 1_000_000);
        /// Subsets, drawn as torch-fidelity draws them.
        pub subsets: usize = 100, whole(5, 10_000);
        /// Images of each set in a subset, or all where there are fewer.
        pub subset: usize = 1000, whole(2, 1_000_000);
    }
}

impl Kid {
    fn extraction(&self) -> Extraction {
        Extraction {
            extractor: self.extractor.clone(),
            images: self.images,
        }
    }
}

impl Metric for Kid {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        of_images(set)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("kid", "kernel distance of features", Lower, [4, 8]),
            Column::about(
                "kid_std",
                "its standard deviation over subsets, which overlap",
                8,
            ),
            Column::about("kid_samples", "samples", 0),
            Column::about("kid_test", "test images", 0),
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

    /// cost: looking at the images; then 4 d · subset² flops for each subset of d features
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = features("kid", inputs)?;
        let draw = Draw::Subsets {
            count: self.subsets,
            size: self.subset,
            seed: 2020,
            shrink: true,
        };
        let kid = score(test, samples, draw, Kernel::default()).map_err(named("kid"))?;
        Ok(Numbers::of([
            kid.mean,
            kid.deviation,
            samples.n() as f64,
            test.n() as f64,
        ]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [kid, std, samples, test] = numbers.array();
        let label = self.extraction().label();
        format!(
            "KID-{label} {kid:.4} ({}; standard deviation of the subsets {std:.4})",
            counts(samples, test)
        )
    }
}
