//! The accuracy of a classifier.

use ganforge_data::DataSet;
use ganforge_settings::settings;
use ganforge_tensor::words::counted;

use crate::Better::Higher;
use crate::classification::share_of_other_classes;
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Share of the test examples to which the network that classifies assigns their own class: a classifier, or D with
    /// loss.kind = "cls-gan" or "semi-supervised". Of data with classes.
    #[derive(Copy, Eq)]
    pub struct TestAccuracy {}
}

impl Metric for TestAccuracy {
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
                "test_accuracy",
                "accuracy of the classifier",
                Higher,
                [4, 6],
            ),
            Column::about("n_test", "test examples", 0),
        ]
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            classes: true,
            ..Needs::default()
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let [error, n] = share_of_other_classes("test-accuracy", inputs)?;
        Ok(Numbers::of([1.0 - error, n]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [accuracy, n] = numbers.array();
        format!(
            "test accuracy {:.2} % ({})",
            100.0 * accuracy,
            counted(n as usize, "test example")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{Images, RING};
    use ganforge_tensor::Device;

    #[test]
    fn the_accuracy_is_the_share_of_their_own_classes() {
        let mut data = RING.draw(1);
        data.test = Images::from_values(1, vec![0.0; 4]).with_labels(vec![3, 0, 1, 1]);
        let score = |classes: &[usize]| {
            TestAccuracy {}.score(&Inputs {
                device: &Device::CPU,
                set: &DataSet::File("a.npz".into()),
                data: &data,
                samples: &[],
                d: &[],
                classes,
                inverse: None,
                inferred: None,
                compared: None,
            })
        };
        for (classes, accuracy) in [
            ([3, 0, 1, 1], 1.0),
            ([3, 0, 1, 0], 0.75),
            ([0, 3, 0, 0], 0.0),
        ] {
            let found = score(&classes).expect("scored");
            assert_eq!(found, Numbers::of([accuracy, 4.0]));
        }
        let sentence = TestAccuracy {}.sentence(&Numbers::of([0.75, 4.0]));
        assert_eq!(sentence, "test accuracy 75.00 % (4 test examples)");
        let error = score(&[3]).expect_err("too few").to_string();
        assert!(error.starts_with("test-accuracy: "), "{error}");
    }
}
