//! Mean distance to the nearest training example: whether a generator repeats what it has seen.

use ganforge_data::{DataSet, Images};
use ganforge_settings::settings;
use ganforge_tensor::words::counted;

use crate::Better::Neither;
use crate::nearest::nearest;
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

/// Samples, and test examples, that are looked at.
const MOST: usize = 1000;

settings! {
    /// Mean L2 distance, in the units of the data, of samples to the nearest training example, and to compare with it the
    /// same of test examples: samples that are much nearer than those are copies. Of the first 1,000 samples and test
    /// examples. Any data.
    #[derive(Copy, Eq)]
    pub struct NnDistance {}
}

impl Metric for NnDistance {
    fn fits(&self, _: &DataSet) -> Result<Fit, String> {
        Ok(Fit::Asked)
    }

    fn columns(&self) -> Vec<Column> {
        let distance = |name, label| Column::score(name, label, Neither, [4, 6]);
        vec![
            distance("nn_distance", "distance of samples to training"),
            distance("nn_distance_test", "distance of test to training"),
            Column::about("nn_samples", "samples", 0),
            Column::about("nn_test", "test examples", 0),
        ]
    }

    fn needs(&self, _: &DataSet, samples: usize) -> Needs {
        Needs::samples(samples.min(MOST))
    }

    /// cost: 3·(m + m')·n·d flops for m samples, m' test examples, n training examples of d values
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let (train, test) = (&inputs.data.train, &inputs.data.test);
        let n_test = test.n().min(MOST);
        let n_samples = inputs.samples.len() / train.d();
        Ok(Numbers::of([
            mean_distance(inputs.samples, train)?,
            mean_distance(&test.to_f32(0..n_test)?, train)?,
            n_samples as f64,
            n_test as f64,
        ]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [samples, test, n_samples, n_test] = numbers.array();
        format!(
            "mean distance to the nearest training example {samples:.4} ({}), of test examples {test:.4} ({n_test})",
            counted(n_samples as usize, "sample")
        )
    }
}

/// Mean over points [m, d] of the distance to the nearest image.
fn mean_distance(points: &[f32], images: &Images) -> Result<f64, Error> {
    let found = nearest(points, images)?;
    let distances = found.iter().map(|n| f64::from(n.squared_distance).sqrt());
    let mean = distances.sum::<f64>() / found.len() as f64;
    match mean.is_finite() {
        true => Ok(mean),
        false => Err(Error::Other(
            "nn-distance: a sample is not finite, or there is none".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{Dataset, RING};
    use ganforge_tensor::Device;

    fn score(data: &Dataset, samples: &[f32]) -> Result<Numbers, Error> {
        NnDistance {}.score(&Inputs {
            device: &Device::CPU,
            set: &DataSet::Toy(&RING),
            data,
            samples,
            d: &[],
            classes: &[],
            inverse: None,
            inferred: None,
            compared: None,
        })
    }

    #[test]
    fn distances_are_means_of_samples_and_of_test_examples() {
        let images = |values: &[f32]| Images::from_values(2, values.to_vec());
        let mut data = RING.draw(1);
        data.train = images(&[0.0, 0.0, 10.0, 0.0]);
        data.test = images(&[0.0, 1.0, 10.0, 2.0]);
        let found = score(&data, &[3.0, 4.0, 10.0, 0.0, 13.0, 4.0]).expect("scored");
        assert_eq!(found, Numbers::of([10.0 / 3.0, 1.5, 3.0, 2.0]));
        assert_eq!(
            NnDistance {}.sentence(&found),
            "mean distance to the nearest training example 3.3333 (3 samples), of test examples 1.5000 (2)"
        );
        assert!(score(&data, &[f32::NAN, 0.0]).is_err());
    }

    #[test]
    fn copies_of_the_training_examples_are_nearer_than_test_examples() {
        let data = RING.draw(1);
        let copies = data.train.to_f32(0..100).expect("rows");
        let [copied, test, _, _] = score(&data, &copies).expect("scored").array();
        assert!(copied == 0.0 && (1e-4..0.01).contains(&test), "{test}");
        let others = data.valid.to_f32(0..1000).expect("rows");
        let [fresh, test, _, _] = score(&data, &others).expect("scored").array();
        assert!((fresh / test - 1.0).abs() < 0.2, "{fresh} {test}");
    }
}
