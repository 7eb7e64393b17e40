//! Global contrast normalisation.

ganforge_settings::list! {
    /// What is done to each image before anything sees it.
    pub enum Contrast {
        /// None.
        "none" => AsIs,
        /// The mean over all pixels and channels is subtracted, then the image is scaled to an L2 norm of 55.
        "gcn" => Gcn,
        /// 2 x - 1: pixels from -1, black, to 1, white, as tanh gives them. Scores are of pixels from 0 to 1 still.
        "signed" => Signed,
    }
}

/// The L2 norm of a normalised image.
const NORM: f64 = 55.0;
/// A smaller divisor leaves an image as it is: one without any contrast.
const LEAST_DIVISOR: f64 = 1e-8;

impl Contrast {
    /// (scale, shift) where it is x <- x · scale + shift, the same for all images.
    pub(super) fn scale(self) -> Option<(f32, f32)> {
        match self {
            Contrast::AsIs => Some((1.0, 0.0)),
            Contrast::Signed => Some((2.0, -1.0)),
            Contrast::Gcn => None,
        }
    }

    /// Applies it to one image, all channels.
    ///
    /// signed: x <- 2 x - 1
    /// gcn: x <- x - mean(x);  x <- x / (‖x‖ / 55), where a divisor below 1e-8 is replaced by 1
    /// source: released CIFAR-10 configurations of Goodfellow et al. 2014 (Pylearn2's `gcn: 55.`)
    pub fn apply(self, image: &mut [f32]) {
        match self.scale() {
            Some((1.0, 0.0)) => return,
            Some((scale, shift)) => return image.iter_mut().for_each(|x| *x = *x * scale + shift),
            None => {}
        }
        let mean = image.iter().map(|&x| f64::from(x)).sum::<f64>() / image.len().max(1) as f64;
        let centred = image.iter().map(|&x| f64::from(x) - mean);
        let norm = centred.map(|x| x * x).sum::<f64>().sqrt();
        let divisor = match norm / NORM {
            small if small < LEAST_DIVISOR => 1.0,
            divisor => divisor,
        };
        for x in image {
            *x = ((f64::from(*x) - mean) / divisor) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalised_image_has_mean_0_and_norm_55() {
        let mut image: Vec<f32> = (0..3072).map(|i| (i * i % 255) as f32 / 255.0).collect();
        let raw = image.clone();
        Contrast::AsIs.apply(&mut image);
        assert_eq!(image, raw);
        Contrast::Gcn.apply(&mut image);
        let sum = |f: fn(f64) -> f64| image.iter().map(|&x| f(f64::from(x))).sum::<f64>();
        assert!(sum(|x| x).abs() / 3072.0 < 1e-7);
        assert!((sum(|x| x * x).sqrt() - 55.0).abs() < 1e-4);
        // Every pixel by the formula, from the sums of the squares of the raw ones.
        let mean = raw.iter().map(|&x| f64::from(x)).sum::<f64>() / 3072.0;
        let squares = raw.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let norm = (squares - 3072.0 * mean * mean).sqrt();
        for (x, raw) in image.iter().zip(&raw) {
            let expected = 55.0 * (f64::from(*raw) - mean) / norm;
            assert!((f64::from(*x) - expected).abs() < 1e-6, "{x} {expected}");
        }
        // Normalised already, it stays, up to rounding; so does an image that is scaled or shifted first.
        let mut again: Vec<f32> = image.iter().map(|x| 3.0 * x + 7.0).collect();
        Contrast::Gcn.apply(&mut again);
        assert!(image.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn signed_pixels_go_from_minus_1_to_1() {
        let mut image = [0.0, 0.25, 0.5, 1.0];
        Contrast::Signed.apply(&mut image);
        assert_eq!(image, [-1.0, -0.5, 0.0, 1.0]);
    }

    #[test]
    fn an_image_without_contrast_becomes_zero() {
        for value in [0.0, 1.0, 128.0 / 255.0] {
            let mut image = [value; 3072];
            Contrast::Gcn.apply(&mut image);
            assert_eq!(image, [0.0; 3072]);
        }
        Contrast::Gcn.apply(&mut []);
    }
}
