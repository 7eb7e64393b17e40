//! How often a judge finds samples to be of the class that they were made as.

use ganforge_data::{DataSet, Dataset};
use ganforge_settings::{Flat, settings};

use crate::Better::Higher;
use crate::extractor::{counts, of_classes};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers, Seen};

settings! {
    /// Share of the samples of a generator with classes that a classifier, the judge, assigns to the class that they were made as,
    /// and to compare with it the same of test images. Of data with classes, of the size that the network takes.
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
        let samples = share(&compared.samples, |i| i % n);
        let test = share(&compared.test, |i| labels[compared.rows[i]].into());
        let counts = [compared.samples.n() as f64, compared.test.n() as f64];
        Ok(Numbers::of([&[samples, test][..], &counts].concat()))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [accuracy, of_test, samples, test] = numbers.array();
        let label = self.looks.words();
        format!(
            "{label} finds {:.2} % of samples and {:.2} % of test images to be of their class ({})",
            100.0 * accuracy,
            100.0 * of_test,
            counts(samples, test)
        )
    }
}

/// The share of images whose largest logit is that of their class.
fn share(seen: &Seen, class: impl Fn(usize) -> usize) -> f64 {
    let rows = seen.logits.chunks_exact(seen.classes.max(1)).enumerate();
    let right = rows.filter(|(i, row)| {
        let own = class(*i);
        row.iter()
            .enumerate()
            .all(|(c, x)| c == own || *x < row[own])
    });
    right.count() as f64 / seen.n() as f64
}
