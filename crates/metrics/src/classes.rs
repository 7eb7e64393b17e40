//! How many classes samples have, as a judge sees them.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, above, settings};
use ganforge_tensor::words::counted;

use crate::Better::Higher;
use crate::extractor::of_classes;
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers, Seen};

settings! {
    /// Classes that samples cover: those to which a classifier, the judge, assigns at least a share of them; and the share of the
    /// class that has the fewest. A generator that has lost modes covers fewer than there are. Images of the size that the network
    /// takes.
    pub struct Classes {
        /// The judge.
        pub looks: Extraction = Extraction::default(), Flat;
        /// The share of the samples from which on a class is covered.
        pub share: f64 = 0.02, above(0.0, 1.0);
    }
}

impl Metric for Classes {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        self.looks.fits(set, |_| true)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("classes", "classes that samples cover", Higher, [0, 0]),
            Column::score(
                "classes_least",
                "share of samples of the class that has the fewest",
                Higher,
                [4, 6],
            ),
            Column::about("classes_least_class", "which class that is", 0),
            Column::about("classes_in_all", "classes that the judge tells apart", 0),
            Column::about("classes_samples", "samples", 0),
        ]
    }

    fn suits(&self, data: &Dataset, classes: usize) -> Result<(), String> {
        of_classes(classes)?;
        self.looks.enough(data, 1, "a share")
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs::samples(self.looks.images)
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let refuse = |reason: &str| Error::Other(format!("classes: {reason}"));
        let compared = inputs
            .compared
            .ok_or_else(|| refuse("asks for the classes of images"))?;
        self.suits(inputs.data, compared.samples.classes)
            .map_err(|needs| refuse(&format!("needs {needs}")))?;
        let shares = shares(&compared.samples);
        let covered = shares.iter().filter(|share| **share >= self.share).count();
        let least = shares.iter().copied().enumerate();
        let least = least.min_by(|a, b| a.1.total_cmp(&b.1));
        let (class, least) = least.unwrap_or((0, f64::NAN));
        let n = compared.samples.n() as f64;
        Ok(Numbers::of([
            covered as f64,
            least,
            class as f64,
            shares.len() as f64,
            n,
        ]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [covered, least, class, all, samples] = numbers.array();
        format!(
            "{} finds {covered} of {all} classes in at least {} % of samples each, class {class} in {:.2} % ({})",
            self.looks.words(),
            100.0 * self.share,
            100.0 * least,
            counted(samples as usize, "sample")
        )
    }
}

/// The share of images whose largest logit is that of each class; of several largest ones the first.
fn shares(seen: &Seen) -> Vec<f64> {
    let classes = seen.classes.max(1);
    let mut counts = vec![0_usize; classes];
    for row in seen.logits.chunks_exact(classes) {
        let first = |best: usize, c: usize| if row[c] > row[best] { c } else { best };
        counts[(1..classes).fold(0, first)] += 1;
    }
    let n = seen.n() as f64;
    counts.into_iter().map(|count| count as f64 / n).collect()
}
