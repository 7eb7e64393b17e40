//! Minimum reconstruction error: how near samples come to examples that G has not been trained on.

use ganforge_data::{DataSet, Images};
use ganforge_settings::{above, settings, whole};

use crate::Better::{Lower, Neither};
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers, Search};

settings! {
    /// Minimum reconstruction error: mean over test examples x of the smallest ‖x - G(z)‖₁ that a search over z finds, and to
    /// compare with it the same of training examples: a generator that has memorised those has much less error there. Any
    /// data.
    ///
    /// The search is Adam's (0.9, 0.999) on z, each start drawn like the noise of samples; where noise is bounded, z is
    /// brought back to its bounds after each step.
    /// source: Qi 2017, Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities, section 8; steps, starts and
    /// rate are ours
    #[derive(Copy)]
    pub struct Mre {
        /// The first so many test examples, and as many training examples.
        pub images: usize = 100, whole(1, 1_000_000);
        /// Steps of the search from each start.
        pub steps: usize = 500, whole(1, 1_000_000);
        /// Starts of the search, of which the best counts.
        pub starts: usize = 3, whole(1, 1000);
        /// The learning rate of the search.
        pub lr: f64 = 0.05, above(0.0, 1000.0);
    }
}

impl Metric for Mre {
    fn fits(&self, _: &DataSet) -> Result<Fit, String> {
        Ok(Fit::Asked)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score(
                "mre",
                "reconstruction error of test examples",
                Lower,
                [2, 4],
            ),
            Column::score("mre_train", "of training examples", Neither, [2, 4]),
            Column::about("mre_images", "test examples", 0),
        ]
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs::samples(0)
    }

    /// cost: 2 · images · starts · steps forward and backward passes of G
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let none = || Error::Other("mre: asks for a generator that can be searched".into());
        let inverse = inputs.inverse.ok_or_else(none)?;
        let search = Search {
            steps: self.steps,
            starts: self.starts,
            lr: self.lr,
        };
        let mean = |images: &Images| -> Result<f64, Error> {
            let n = images.n().min(self.images);
            let errors = inverse.errors(&images.to_f32(0..n)?, &search)?;
            let mean = errors.iter().sum::<f64>() / n as f64;
            match mean.is_finite() {
                true => Ok(mean),
                false => Err(Error::Other(
                    "mre: a sample is not finite, or there is no example".into(),
                )),
            }
        };
        let n = inputs.data.test.n().min(self.images);
        Ok(Numbers::of([
            mean(&inputs.data.test)?,
            mean(&inputs.data.train)?,
            n as f64,
        ]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [test, train, n] = numbers.array();
        format!(
            "mean reconstruction error of {n} test examples {test:.2}, of training examples {train:.2}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inverse;
    use ganforge_data::RING;
    use ganforge_tensor::Device;

    /// Finds the first coordinate of each point.
    struct Line;

    impl Inverse for Line {
        fn errors(&self, examples: &[f32], search: &Search) -> Result<Vec<f64>, Error> {
            assert_eq!((search.steps, search.starts, search.lr), (500, 3, 0.05));
            Ok(examples.chunks(2).map(|x| f64::from(x[1].abs())).collect())
        }
    }

    #[test]
    fn errors_are_means_over_test_and_over_training_examples() {
        let images = |values: &[f32]| Images::from_values(2, values.to_vec());
        let mut data = RING.draw(1);
        data.train = images(&[0.0, 1.0, 0.0, -2.0, 0.0, 100.0]);
        data.test = images(&[5.0, 3.0, 1.0, 6.0]);
        let score = |inverse: Option<&dyn Inverse>, images| {
            let mre = Mre {
                images,
                ..Mre::default()
            };
            mre.score(&Inputs {
                device: &Device::CPU,
                set: &DataSet::Toy(&RING),
                data: &data,
                samples: &[],
                d: &[],
                inverse,
                inferred: None,
                compared: None,
                classes: &[],
            })
        };
        let found = score(Some(&Line), 2).expect("scored");
        assert_eq!(found, Numbers::of([4.5, 1.5, 2.0]));
        assert_eq!(
            Mre::default().sentence(&found),
            "mean reconstruction error of 2 test examples 4.50, of training examples 1.50"
        );
        assert_eq!(
            score(Some(&Line), 1).expect("scored"),
            Numbers::of([3.0, 1.0, 1.0])
        );
        let error = score(None, 2).expect_err("nothing to search").to_string();
        assert!(error.contains("can be searched"), "{error}");
    }
}
