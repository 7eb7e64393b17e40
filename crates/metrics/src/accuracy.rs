//! How often a judge finds samples to be of the class that they were made as.

use ganforge_data::DataSet;
use ganforge_settings::{settings, text, whole};

use crate::Better::Higher;
use crate::fid::{counts, of_images};
use crate::{Column, Error, Extraction, Fit, Inputs, Metric, Needs, Numbers, Seen};

settings! {
    /// Share of the samples of a generator with classes that a classifier, the judge, assigns to the class that they were made as,
    /// and to compare with it the same of test images. Of data with classes, of the size that the network takes.
    pub struct Accuracy {
        /// The judge: as the network of fid.
        pub extractor: String = "mnistnet".to_owned(), text("a network's name, or the path of a run or a file", |t| !t.is_empty());
        /// So many samples, and as many test images, evenly spaced over all of them, or all where there are fewer.
        pub images: usize = 2000, whole(2, 1_000_000);
    }
}

impl Accuracy {
    fn extraction(&self) -> Extraction {
        Extraction {
            extractor: self.extractor.clone(),
            images: self.images,
        }
    }
}

impl Metric for Accuracy {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set {
            DataSet::Published(_) if set.classes().is_empty() => Err("data with classes".into()),
            _ => of_images(set),
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

    fn rests_on(&self) -> Option<String> {
        Some(self.extraction().label())
    }

    fn extractor_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.extractor)
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            features: Some(self.extraction()),
            of_classes: true,
            ..Needs::samples(self.images)
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let refuse = |reason: &str| Error::Other(format!("accuracy: {reason}"));
        let compared = inputs
            .compared
            .ok_or_else(|| refuse("asks for the classes of images"))?;
        let labels = inputs.data.test.labels();
        let labels = labels.ok_or_else(|| refuse("the test images have no classes"))?;
        let n = inputs.data.classes.len();
        if n != compared.test.classes {
            let judge = compared.test.classes;
            return Err(refuse(&format!(
                "the judge tells {judge} classes apart, and the data have {n}"
            )));
        }
        let samples = share(&compared.samples, |i| i % n);
        let test = share(&compared.test, |i| labels[compared.rows[i]].into());
        let counts = [compared.samples.n() as f64, compared.test.n() as f64];
        Ok(Numbers::of([&[samples, test][..], &counts].concat()))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [accuracy, of_test, samples, test] = numbers.array();
        let label = self.extraction().label();
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
