//! Inference: how well an encoder finds the noise that samples were made of, and how near G comes to images through it.

use ganforge_data::{DataSet, Images};
use ganforge_settings::{settings, whole};
use ganforge_tensor::words::counted;

use crate::Better::{Higher, Lower, Neither};
use crate::{Column, Error, Fit, Inferred, Inputs, Metric, Needs, Numbers};

settings! {
    /// Inference of an encoder E: mean (z - E(G(z)))², and to compare with it that of z = 0; the share of each component's variance
    /// that E explains, R², the least and the median over components; mean (G(E(x)) - x)² of samples x = G(z) and of all test
    /// examples, and to compare with it that of the mean training example. Of a run that trains an encoder, any data.
    ///
    /// source: the inference network of Goodfellow et al. 2014, section 7, point 2; the numbers are ours
    #[derive(Copy, Eq)]
    pub struct Inference {
        /// So many samples.
        pub samples: usize = 10_000, whole(2, 1_000_000);
    }
}

impl Metric for Inference {
    fn fits(&self, _: &DataSet) -> Result<Fit, String> {
        Ok(Fit::Asked)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("z_mse", "mean (z - E(G(z)))²", Lower, [4, 6]),
            Column::score("z_mse_of_zero", "of z = 0", Neither, [4, 6]),
            Column::score("z_r2_least", "least R² of a component", Higher, [4, 6]),
            Column::score("z_r2_median", "median R² of the components", Higher, [4, 6]),
            Column::score(
                "mse_samples",
                "mean (G(E(x)) - x)² of samples",
                Lower,
                [4, 6],
            ),
            Column::score("mse_test", "of test examples", Lower, [4, 6]),
            Column::score("mse_mean", "of the mean example", Neither, [4, 6]),
            Column::about("inference_samples", "samples", 0),
            Column::about("inference_test", "test examples", 0),
        ]
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            inferred: true,
            ..Needs::samples(self.samples)
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let none = || Error::Other("inference: asks for an encoder".into());
        let found = inputs.inferred.ok_or_else(none)?;
        let mut r2 = coordinates(found);
        r2.sort_by(f64::total_cmp);
        let n = inputs.data.test.n();
        let test = inputs.data.test.to_f32(0..n)?;
        let mean = mean_of(&inputs.data.train)?;
        let zeros = vec![0.0; found.z.len()];
        Ok(Numbers::of([
            mse(&found.z, &found.z_found),
            mse(&found.z, &zeros),
            r2.first().copied().unwrap_or(f64::NAN),
            median(&r2),
            mse(&found.samples, &found.samples_again),
            mse(&test, &found.test_again),
            mse(&test, &mean.repeat(n)),
            (found.z.len() / found.dim.max(1)) as f64,
            n as f64,
        ]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [z, zero, least, median, samples, test, mean, n, n_test] = numbers.array();
        format!(
            "mean (z - E(G(z)))² {z:.4} (of z = 0 {zero:.4}), R² of a component at least {least:.4}, median {median:.4}, \
             mean (G(E(x)) - x)² of samples {samples:.4}, of test examples {test:.4}, of their mean {mean:.4} ({}, {})",
            counted(n as usize, "sample"),
            counted(n_test as usize, "test example")
        )
    }
}

/// R² of each component of z: 1 - Σ (z - E(G(z)))² / Σ (z - mean z)², sums over samples. 1 where E is right, 0 or less where a
/// constant is as good.
pub fn coordinates(found: &Inferred) -> Vec<f64> {
    let dim = found.dim.max(1);
    let n = (found.z.len() / dim) as f64;
    let of = |j: usize| {
        let z = || found.z.iter().skip(j).step_by(dim).map(|&z| f64::from(z));
        let again = found.z_found.iter().skip(j).step_by(dim);
        let mean = z().sum::<f64>() / n;
        let error: f64 = z()
            .zip(again)
            .map(|(z, e)| (z - f64::from(*e)).powi(2))
            .sum();
        1.0 - error / z().map(|z| (z - mean).powi(2)).sum::<f64>()
    };
    (0..found.dim).map(of).collect()
}

fn mse(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() / a.len() as f64
}

/// The middle of sorted numbers, or the mean of the middle two.
fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        _ => (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
    }
}

/// The mean example, read in blocks: the training part of a folder of pictures may be larger than memory.
fn mean_of(examples: &Images) -> Result<Vec<f32>, Error> {
    const ROWS: usize = 1000;
    let (n, d) = (examples.n(), examples.d());
    let mut sums = vec![0.0_f64; d];
    for first in (0..n).step_by(ROWS) {
        let block = examples.to_f32(first..(first + ROWS).min(n))?;
        for example in block.chunks_exact(d.max(1)) {
            let values = example.iter().map(|&x| f64::from(x));
            sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
        }
    }
    let mean = sums.into_iter().map(|sum| (sum / n as f64) as f32);
    Ok(mean.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{Images, RING};
    use ganforge_tensor::Device;

    #[test]
    fn errors_are_means_and_r2_is_of_each_component() {
        let mut data = RING.draw(1);
        data.train = Images::from_values(2, vec![0.0, 0.0, 1.0, 3.0]);
        data.test = Images::from_values(2, vec![0.5, 1.5, 0.5, 0.5]);
        // The second component is missed altogether: its mean would do as well.
        let found = Inferred {
            dim: 2,
            z: vec![1.0, 2.0, -1.0, 0.0],
            z_found: vec![1.0, 1.0, -0.5, 1.0],
            samples: vec![0.0, 1.0, 1.0, 0.0],
            samples_again: vec![0.0, 0.0, 1.0, 0.0],
            test_again: vec![0.5, 0.5, 0.5, 0.5],
            missing: 1.0,
        };
        assert_eq!(coordinates(&found), [1.0 - 0.25 / 2.0, 0.0]);
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
        let numbers = Inference::default()
            .score(&inputs(Some(&found)))
            .expect("scored");
        let expected = [
            2.25 / 4.0,
            6.0 / 4.0,
            0.0,
            0.4375,
            0.25,
            0.25,
            0.25,
            2.0,
            2.0,
        ];
        assert_eq!(numbers, Numbers::of(expected));
        let error = Inference::default().score(&inputs(None)).expect_err("none");
        assert!(error.to_string().contains("asks for an encoder"), "{error}");
    }
}
