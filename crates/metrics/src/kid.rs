//! The kernel distance of features.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings, whole};

use crate::Better::Lower;
use crate::extractor::{counts, features, named};
use crate::sets::kid::{Draw, Kernel, score_at};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Numbers};

settings! {
    /// Kernel distance (KID) of the features of samples and of test images: the mean, over subsets of both, of the squared maximum
    /// mean discrepancy under the kernel (a·b / d + 1)³ of d features. Without bias, so that it does not depend on how many images
    /// there are; 0 on average where both have one distribution. Images of the size that the network takes.
    pub struct Kid {
        /// What looks at images.
        pub looks: Extraction = Extraction::default(), Flat;
        /// Subsets, drawn as torch-fidelity draws them.
        #[only("kind = \"kid\" and no protocol", |k| k.looks.protocol.is_none())]
        pub subsets: usize = 100, whole(5, 10_000);
        /// Images of each set in a subset, or half of them where there are fewer than twice as many.
        #[only("kind = \"kid\" and no protocol", |k| k.looks.protocol.is_none())]
        pub subset: usize = 1000, whole(2, 1_000_000);
    }
}

impl Kid {
    /// The protocol's subsets or blocks, or else its own, of sets of which the smaller one has n images.
    fn draw(&self, n: usize) -> Draw {
        let of_protocol = self.looks.protocol.and_then(|p| p.rules().kid);
        of_protocol.unwrap_or(Draw::Subsets {
            count: self.subsets,
            size: self.subset.min(n / 2).max(2),
            seed: 2020,
            shrink: true,
        })
    }
}

impl Metric for Kid {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        if let Draw::Subsets {
            size,
            shrink: false,
            ..
        } = self.draw(self.looks.images)
            && size > self.looks.images
        {
            let images = self.looks.images;
            return Err(format!(
                "images = {size} or more for subsets of {size}, and has {images}"
            ));
        }
        self.looks.fits(set, |p| p.rules().kid.is_some())
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("kid", "kernel distance of features", Lower, [4, 8]),
            Column::about(
                "kid_std",
                "its standard deviation over subsets, which overlap",
                8,
            ),
            Column::about("kid_stderr", "its standard error", 8),
            Column::about("kid_samples", "samples", 0),
            Column::about("kid_test", "test images", 0),
        ]
    }

    fn suits(&self, data: &Dataset, _: usize) -> Result<(), String> {
        let needed = match self.draw(self.looks.images) {
            Draw::Subsets { shrink: true, .. } => 2,
            Draw::Subsets { size, .. } => size,
            // Two in each block, of which there are as many as the larger set has.
            Draw::Blocks { size } => 2 * self.looks.images.div_ceil(size),
        };
        self.looks.enough(data, needed, "its subsets or blocks")
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    /// cost: looking at the images; then 4 d · subset² flops for each subset of d features
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [samples, test] = features("kid", inputs)?;
        let draw = self.draw(samples.n().min(test.n()));
        let kid = score_at(inputs.device, test, samples, draw, Kernel::default());
        let kid = kid.map_err(named("kid"))?;
        Ok(Numbers::of([
            kid.mean,
            kid.deviation,
            kid.stderr.unwrap_or(f64::NAN),
            samples.n() as f64,
            test.n() as f64,
        ]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [kid, _, stderr, samples, test] = numbers.array();
        let label = self.looks.words();
        let error = match stderr.is_nan() {
            true => String::new(),
            false => format!(" ± {stderr:.4}"),
        };
        format!("KID-{label} {kid:.4}{error} ({})", counts(samples, test))
    }
}
