//! Restoration: how near a generator that is given incomplete images comes to the whole ones.

use ganforge_data::DataSet;
use ganforge_settings::settings;
use ganforge_tensor::words::counted;

use crate::Better::Lower;
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Restoration of all test images: mean (y - x)² over the values of an image x that are missing where G is given it, pixels from 0
    /// to 1; y is what G makes of it. Of a run with `[restore]`.
    ///
    /// source: ours
    #[derive(Copy, Eq)]
    pub struct Restoration {}
}

impl Metric for Restoration {
    fn fits(&self, _: &DataSet) -> Result<Fit, String> {
        Ok(Fit::Asked)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score(
                "mse_missing",
                "mean (y - x)² of missing values",
                Lower,
                [4, 6],
            ),
            Column::about("restoration_test", "test images", 0),
        ]
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            restored: true,
            ..Needs::default()
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let none = || Error::Other("restoration: asks for a run with [restore]".into());
        let found = inputs.inferred.ok_or_else(none)?;
        let n = inputs.data.test.n();
        let test = inputs.data.test.to_f32(0..n)?;
        // What is known is there bit for bit, and adds nothing.
        let squares = test.iter().zip(&found.test_again);
        let sum: f64 = squares.map(|(x, y)| f64::from(x - y).powi(2)).sum();
        let missing = found.missing * test.len() as f64;
        Ok(Numbers::of([sum / missing, n as f64]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [mse, n] = numbers.array();
        format!(
            "mean (y - x)² of missing values {mse:.4} ({})",
            counted(n as usize, "test image")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inferred;
    use ganforge_data::{Images, RING};
    use ganforge_tensor::Device;

    #[test]
    fn the_error_is_a_mean_over_what_is_missing() {
        let mut data = RING.draw(1);
        data.test = Images::from_values(2, vec![0.5, 1.0, 0.0, 0.5]);
        let found = Inferred {
            test_again: vec![0.5, 0.5, 0.0, 1.0],
            missing: 0.5,
            ..Inferred::default()
        };
        let set = DataSet::Toy(&RING);
        let inputs = |inferred| Inputs {
            device: &Device::CPU,
            set: &set,
            data: &data,
            samples: &[],
            d: &[],
            inverse: None,
            inferred,
            compared: None,
            classes: &[],
        };
        let numbers = Restoration {}.score(&inputs(Some(&found)));
        assert_eq!(numbers.expect("scored"), Numbers::of([0.25, 2.0]));
        let error = Restoration {}.score(&inputs(None)).expect_err("none");
        assert!(error.to_string().contains("[restore]"), "{error}");
    }
}
