//! How often a judge finds samples to be of the class that they were made as.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings};

use crate::Better::Higher;
use crate::extractor::{counts, of_classes};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers, Seen};

settings! {
    /// Share of the samples of a generator with classes that a classifier, the judge, assigns to the class that they were made as,
    /// that of the class of which it is least, and to compare with it the same of test images. Of data with classes, of the size
    /// that the network takes.
    pub struct Accuracy {
        /// The judge.
        pub looks: Extraction = Extraction::default(), Flat;
    }
}

impl Accuracy {
    /// The classes of the test images, for a judge that tells so many apart.
    ///
    /// errors: what it needs of them and of the judge
    fn labels<'a>(&self, data: &'a Dataset, classes: usize) -> Result<&'a [u8], String> {
        of_classes(classes)?;
        let of_data = data.classes.len();
        let labels = data.test.labels().filter(|_| of_data == classes);
        let labels = labels.ok_or_else(|| {
            format!(
                "data of the {classes} classes that its judge tells apart, and these have {of_data}"
            )
        })?;
        self.looks.enough(data, 1, "a share")?;
        Ok(labels)
    }
}

impl Metric for Accuracy {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set {
            DataSet::Published(_) if set.classes().is_empty() => Err("data with classes".into()),
            _ => self.looks.fits(set, |_| true),
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score(
                "accuracy",
                "share of samples of their own class",
                Higher,
                [4, 6],
            ),
            Column::score(
                "accuracy_least",
                "the same of the class of which it is least",
                Higher,
                [4, 6],
            ),
            Column::about("accuracy_least_class", "which class that is", 0),
            Column::about("accuracy_of_test", "of test images", 6),
            Column::about("accuracy_samples", "samples", 0),
            Column::about("accuracy_test", "test images", 0),
        ]
    }

    fn suits(&self, data: &Dataset, classes: usize) -> Result<(), String> {
        self.labels(data, classes).map(drop)
    }

    fn extraction(&self) -> Option<&Extraction> {
        Some(&self.looks)
    }

    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        Some(&mut self.looks)
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            of_classes: true,
            ..Needs::samples(self.looks.images)
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let refuse = |reason: &str| Error::Other(format!("accuracy: {reason}"));
        let compared = inputs
            .compared
            .ok_or_else(|| refuse("asks for the classes of images"))?;
        let n = compared.test.classes;
        let labels = self.labels(inputs.data, n);
        let labels = labels.map_err(|needs| refuse(&format!("needs {needs}")))?;
        let samples = shares(&compared.samples, |i| i % n);
        let test = shares(&compared.test, |i| labels[compared.rows[i]].into());
        let counts = [compared.samples.n() as f64, compared.test.n() as f64];
        let of_samples = [samples.all, samples.least, samples.least_class as f64];
        Ok(Numbers::of(
            [&of_samples[..], &[test.all], &counts].concat(),
        ))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [accuracy, least, class, of_test, samples, test] = numbers.array();
        let label = self.looks.words();
        format!(
            "{label} finds {:.2} % of samples, of class {class} {:.2} %, and {:.2} % of test images to be of their class ({})",
            100.0 * accuracy,
            100.0 * least,
            100.0 * of_test,
            counts(samples, test)
        )
    }
}

/// Shares of images that are found to be of their class.
struct Shares {
    /// Of all images.
    all: f64,
    /// Of those of the class of which it is least; of several that of the lowest number.
    least: f64,
    least_class: usize,
}

/// The shares of images whose largest logit is that of their class, and no other one's.
fn shares(seen: &Seen, class: impl Fn(usize) -> usize) -> Shares {
    let classes = seen.classes.max(1);
    let mut counts = vec![[0_usize; 2]; classes];
    for (i, row) in seen.logits.chunks_exact(classes).enumerate() {
        let own = class(i);
        let is_right = |(c, x): (usize, &f32)| c == own || *x < row[own];
        let [right, all] = &mut counts[own];
        *right += usize::from(row.iter().enumerate().all(is_right));
        *all += 1;
    }
    let share = |[right, all]: [usize; 2]| right as f64 / all as f64;
    let right = counts.iter().map(|[right, _]| right).sum();
    let of_class = counts.iter().map(|&count| share(count)).enumerate();
    let of_class = of_class.filter(|(_, share)| !share.is_nan()); // of a class without images
    let least = of_class.min_by(|a, b| a.1.total_cmp(&b.1));
    let (least_class, least) = least.unwrap_or((0, f64::NAN));
    Shares {
        all: share([right, seen.n()]),
        least,
        least_class,
    }
}
