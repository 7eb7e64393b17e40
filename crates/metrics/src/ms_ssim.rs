//! How alike samples are.

use ganforge_data::{Contrast, DataSet};
use ganforge_settings::{Maybe, settings, whole};
use ganforge_tensor::words::counted;

use crate::Better::Neither;
use crate::extractor::named;
use crate::sets::Features;
use crate::sets::ms_ssim::{Diversity, whole_scales};
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// Mean similarity of pairs of samples at several scales (MS-SSIM), low where they are diverse, and to compare with it that of
    /// test images. It says something where the data are all of one kind, as faces are. Of images.
    #[derive(Copy, Eq)]
    pub struct MsSsim {
        /// Batches of samples, of each of which all pairs are compared.
        pub batches: usize = 5, whole(1, 10_000);
        /// Samples in a batch.
        pub size: usize = 64, whole(2, 1000);
        /// Scales, each of half the size of the one before.
        #[shown("as many as there is room for a window of 11 pixels in, five at the most")]
        pub scales: Option<usize> = None, Maybe(whole(1, 5));
    }
}

impl Metric for MsSsim {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set {
            DataSet::Toy(_) => Err("images".into()),
            _ => Ok(Fit::Asked),
        }
    }

    fn columns(&self) -> Vec<Column> {
        let similarity = |name, label| Column::score(name, label, Neither, [4, 6]);
        vec![
            similarity("ms_ssim", "similarity of pairs of samples"),
            similarity("ms_ssim_of_reference", "similarity of pairs of test images"),
            Column::about("ms_ssim_scales", "scales", 0),
            Column::about("ms_ssim_samples", "samples", 0),
            Column::about("ms_ssim_test", "test images", 0),
        ]
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs::samples(self.batches * self.size)
    }

    /// cost: batches · size² / 2 similarities
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let (data, d) = (inputs.data, inputs.data.test.d());
        if data.test.contrast() != Contrast::AsIs {
            let reason = "needs pixels from 0 to 1, not images of normalised contrast";
            return Err(Error::Other(format!("ms-ssim: {reason}")));
        }
        let size = data.image();
        let shape = [size.height, size.width, size.channels];
        let scales = self
            .scales
            .unwrap_or_else(|| whole_scales(size.height, size.width));
        let of = |name, pixels: &[f32], batches| {
            let values: Vec<f32> = pixels.iter().map(|x| x * 255.0).collect();
            let images = Features::new(name, &values, d).map_err(named("ms-ssim"))?;
            let diversity = Diversity {
                batches,
                size: self.size,
                scales,
                ..Diversity::default()
            };
            diversity.score(images, shape).map_err(named("ms-ssim"))
        };
        let asked = self.batches * self.size;
        let n = data.test.n().min(asked) / self.size * self.size;
        let rows: Vec<usize> = (0..n).map(|i| i * data.test.n() / n).collect();
        let mut test = vec![0.0; n * d];
        data.test.rows_f32_into(&rows, &mut test)?;
        let samples = of("samples", &inputs.samples[..asked * d], self.batches)?;
        let of_test = match n {
            0 => f64::NAN,
            _ => of("test images", &test, n / self.size)?,
        };
        let counts = [scales, asked, n].map(|n| n as f64);
        Ok(Numbers::of([&[samples, of_test][..], &counts].concat()))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [samples, of_test, scales, n, n_test] = numbers.array();
        let of_test = match of_test.is_nan() {
            true => String::new(),
            false => format!(", of test images {of_test:.4}"),
        };
        format!(
            "MS-SSIM {samples:.4}{of_test} at {} ({}, {})",
            counted(scales as usize, "scale"),
            counted(n as usize, "sample"),
            counted(n_test as usize, "test image")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::{MetricKind, Task};
    use ganforge_data::{Dataset, Images, RING};
    use ganforge_tensor::Device;

    fn scored(kind: MsSsim, samples: &[f32], test: &[f32]) -> Result<Numbers, Error> {
        let images = |values: &[f32]| Images::from_values(2, values.to_vec());
        let data = Dataset {
            train: images(test),
            test: images(test),
            ..RING.draw(1)
        };
        let (set, kinds) = (DataSet::File("a.npz".into()), [MetricKind::MsSsim(kind)]);
        let task = Task::new(&kinds, &set, 1);
        assert_eq!(task.samples(), 6);
        let scores = task.score(&Device::CPU, &data, samples, &[], &[])?;
        Ok(scores.0[0].numbers.clone())
    }

    #[test]
    fn the_same_image_everywhere_is_of_no_variety() {
        let kind = MsSsim {
            batches: 2,
            size: 3,
            scales: None,
        };
        let same = [0.25, 0.75].repeat(6);
        let other: Vec<f32> = (0..14).map(|i| (i * i % 11) as f32 / 11.0).collect();
        let found = scored(kind, &same, &other).expect("scored");
        let [samples, test, scales, n, n_test] = found.array();
        assert!((samples - 1.0).abs() < 1e-12 && test < 0.9, "{found:?}");
        assert_eq!([scales, n, n_test], [1.0, 6.0, 6.0]);
        let few = scored(kind, &same, &other[..4]).expect("scored");
        assert!(few.values[1].is_nan() && few.values[4] == 0.0, "{few:?}");
        assert!(!kind.sentence(&few).contains("NaN"));
        let all = MsSsim {
            scales: Some(5),
            ..kind
        };
        let five = scored(all, &same, &other).expect("the window shrinks with the image");
        assert_eq!(five.values[2], 5.0);
    }
}
