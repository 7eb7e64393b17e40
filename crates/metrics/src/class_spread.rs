//! How much samples of one class differ.

use ganforge_data::DataSet;
use ganforge_settings::{settings, whole};
use ganforge_tensor::words::counted;

use crate::Better::Neither;
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// How much the samples of a class of a generator with classes differ, beside test images of the class: the standard deviation
    /// of each pixel over images of the class, averaged over pixels, that of samples by that of as many test images; the mean over
    /// classes and the least. 1: as much as the data; a generator that makes one image of each class has 0. Of data with classes.
    #[derive(Copy, Eq)]
    pub struct ClassSpread {
        /// Samples of each class, and as many test images of it or all where there are fewer.
        pub of_class: usize = 100, whole(2, 1_000_000);
    }
}

impl ClassSpread {
    /// Of each class the spread of samples by that of test images, and how many of each were compared.
    fn ratios(&self, inputs: &Inputs<'_>) -> Result<Vec<(f64, usize)>, String> {
        let (test, d) = (&inputs.data.test, inputs.data.test.d());
        let classes = inputs.data.classes.len();
        let labels = test.labels().filter(|_| classes > 0);
        let labels = labels.ok_or("needs data with classes")?;
        (0..classes)
            .map(|class| {
                let rows = labels.iter().enumerate();
                let rows = rows.filter(|(_, label)| usize::from(**label) == class);
                let rows: Vec<usize> = rows.map(|(row, _)| row).take(self.of_class).collect();
                if rows.len() < 2 {
                    let n = counted(rows.len(), "test image");
                    return Err(format!(
                        "needs two test images or more of class {class}, and there are {n}"
                    ));
                }
                let mut images = vec![0.0; rows.len() * d];
                let read = test.rows_f32_into(&rows, &mut images);
                read.map_err(|e| e.to_string())?;
                let own = inputs.samples.chunks_exact(d).skip(class).step_by(classes);
                let own: Vec<&[f32]> = own.take(rows.len()).collect();
                let of_test = spread(&images.chunks_exact(d).collect::<Vec<_>>());
                match of_test > 0.0 {
                    true => Ok((spread(&own) / of_test, rows.len())),
                    false => Err(format!("the test images of class {class} are all the same")),
                }
            })
            .collect()
    }
}

/// The standard deviation of each pixel over images, averaged over pixels.
fn spread(images: &[&[f32]]) -> f64 {
    let (n, d) = (images.len() as f64, images.first().map_or(1, |x| x.len()));
    let sd = |pixel: usize| {
        let values = images.iter().map(|x| f64::from(x[pixel]));
        let mean = values.clone().sum::<f64>() / n;
        (values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    };
    (0..d).map(sd).sum::<f64>() / d as f64
}

impl Metric for ClassSpread {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set {
            // Of a file it is known once it is read.
            DataSet::File(_) => Ok(Fit::Asked),
            _ if set.classes().is_empty() => Err("data with classes".into()),
            _ => Ok(Fit::Asked),
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score(
                "class_spread",
                "spread within a class by that of test images",
                Neither,
                [3, 6],
            ),
            Column::score(
                "class_spread_least",
                "the same of the class of which it is least",
                Neither,
                [3, 6],
            ),
            Column::about("class_spread_least_class", "which class that is", 0),
            Column::about(
                "class_spread_images",
                "images of the class with the fewest",
                0,
            ),
        ]
    }

    fn needs(&self, set: &DataSet, samples: usize) -> Needs {
        // The classes of a file are not known here: of so many samples each has enough, or is found to have too few.
        let samples = match set.classes().len() {
            0 => samples,
            classes => classes.saturating_mul(self.of_class),
        };
        Needs {
            of_classes: true,
            ..Needs::samples(samples)
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let refuse = |reason: String| Error::Other(format!("class-spread: {reason}"));
        let d = inputs.data.test.d().max(1);
        let of_each = inputs.samples.len() / d / inputs.data.classes.len().max(1);
        if of_each < self.of_class {
            let (needed, got) = (self.of_class, counted(of_each, "sample"));
            return Err(refuse(format!(
                "needs {needed} samples of each class, and there are {got}: eval.samples sets how many are drawn"
            )));
        }
        let ratios = self.ratios(inputs).map_err(refuse)?;
        let mean = ratios.iter().map(|r| r.0).sum::<f64>() / ratios.len() as f64;
        let least = ratios.iter().map(|r| r.0).enumerate();
        let least = least.min_by(|a, b| a.1.total_cmp(&b.1));
        let (class, least) = least.unwrap_or((0, f64::NAN));
        let n = ratios.iter().map(|r| r.1).min().unwrap_or(0);
        Ok(Numbers::of([mean, least, class as f64, n as f64]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [mean, least, class, n] = numbers.array();
        format!(
            "samples of a class differ {:.1} % as much as test images do, those of class {class} {:.1} % ({} or more of each)",
            100.0 * mean,
            100.0 * least,
            counted(n as usize, "image")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{Images, RING};
    use ganforge_tensor::Device;

    fn score(samples: &[f32], labels: Vec<u8>) -> Result<Numbers, Error> {
        let mut data = RING.draw(1);
        data.classes = vec!["a".into(), "b".into()];
        // Pixels of a: 0 and 2, 1 and 1; of b: 0 and 4, 0 and 2.
        let test = vec![0.0, 1.0, 2.0, 1.0, 0.0, 0.0, 4.0, 2.0];
        data.test = Images::from_values(2, test).with_labels(labels);
        ClassSpread { of_class: 2 }.score(&Inputs {
            device: &Device::CPU,
            set: &DataSet::File("a.npz".into()),
            data: &data,
            samples,
            d: &[],
            classes: &[],
            inverse: None,
            compared: None,
            inferred: None,
        })
    }

    #[test]
    fn spread_is_that_of_samples_by_that_of_test_images_of_the_class() {
        // Samples of the classes a, b, a, b: of a as far apart as the data, of b the same twice.
        let samples = [0.0, 5.0, 3.0, 3.0, 1.0, 6.0, 3.0, 3.0];
        let found = score(&samples, vec![0, 0, 1, 1]).expect("scored");
        assert_eq!(found, Numbers::of([0.5, 0.0, 1.0, 2.0]));
        let sentence = ClassSpread::default().sentence(&found);
        let expected = "samples of a class differ 50.0 % as much as test images do, those of class 1 0.0 % (2 images or more of each)";
        assert_eq!(sentence, expected);
    }

    #[test]
    fn too_few_images_of_a_class_are_refused() {
        let refused = |samples: &[f32], labels| {
            let error = score(samples, labels).expect_err("too few");
            error.to_string()
        };
        let message = refused(&[0.0; 8], vec![0, 0, 0, 1]);
        let expected =
            "class-spread: needs two test images or more of class 1, and there are 1 test image";
        assert_eq!(message, expected);
        let message = refused(&[0.0; 4], vec![0, 0, 1, 1]);
        assert!(
            message.starts_with("class-spread: needs 2 samples of each class"),
            "{message}"
        );
    }
}
