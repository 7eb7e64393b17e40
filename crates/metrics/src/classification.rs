//! The error of a discriminator that classifies.

use ganforge_data::DataSet;
use ganforge_settings::settings;
use ganforge_tensor::words::counted;

use crate::Better::Lower;
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Share of the test examples that D assigns to another class than their own. With loss.kind = "cls-gan" or
    /// "semi-supervised", whose D classifies; of data with classes.
    #[derive(Copy, Eq)]
    pub struct Classification {}
}

impl Metric for Classification {
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
            Column::score("test_error", "error of D's classes", Lower, [4, 6]),
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
        Ok(Numbers::of(share_of_other_classes(
            "classification",
            inputs,
        )?))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [error, n] = numbers.array();
        format!(
            "D classifies {:.2} % of {} wrongly",
            100.0 * error,
            counted(n as usize, "test example")
        )
    }
}

/// The share of the test examples that are assigned to another class than their own, and how many test examples there are.
pub(crate) fn share_of_other_classes(metric: &str, inputs: &Inputs<'_>) -> Result<[f64; 2], Error> {
    let labels = inputs.data.test.labels().unwrap_or(&[]);
    if labels.is_empty() || labels.len() != inputs.classes.len() {
        let message = format!(
            "{metric}: {} test examples with a class, and assigned classes of {}",
            labels.len(),
            inputs.classes.len()
        );
        return Err(Error::Other(message));
    }
    let pairs = labels.iter().zip(inputs.classes);
    let wrong = pairs
        .filter(|(label, class)| usize::from(**label) != **class)
        .count();
    let n = labels.len() as f64;
    Ok([wrong as f64 / n, n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{Dataset, Images, RING};
    use ganforge_tensor::Device;

    fn score(data: &Dataset, classes: &[usize]) -> Result<Numbers, Error> {
        Classification {}.score(&Inputs {
            device: &Device::CPU,
            set: &DataSet::File("a.npz".into()),
            data,
            samples: &[],
            d: &[],
            classes,
            inverse: None,
            inferred: None,
            compared: None,
        })
    }

    #[test]
    fn the_error_is_the_share_of_other_classes() {
        let mut data = RING.draw(1);
        let images = Images::from_values(1, vec![0.0; 4]);
        data.test = images.clone().with_labels(vec![3, 0, 1, 1]);
        for (classes, error) in [
            ([3, 0, 1, 1], 0.0),
            ([3, 1, 1, 0], 0.5),
            ([0, 3, 0, 0], 1.0),
        ] {
            let found = score(&data, &classes).expect("scored");
            assert_eq!(found, Numbers::of([error, 4.0]));
        }
        let sentence = Classification {}.sentence(&Numbers::of([0.25, 4.0]));
        assert_eq!(sentence, "D classifies 25.00 % of 4 test examples wrongly");
        assert!(score(&data, &[3]).is_err());
        data.test = images;
        assert!(score(&data, &[3, 0, 1, 1]).is_err());
    }
}
