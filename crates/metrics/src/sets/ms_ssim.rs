//! Multi-scale structural similarity of images, and how diverse samples are by it.
//!
//! Sizes: images [h, w, c], row-major, of values from 0 to 255; each channel is taken by itself.

use rayon::prelude::*;

use super::random_state::RandomState;
use super::{Component, Features, SetError};

/// The exponents of the scales, the finest first.
pub const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Cells of the window where the image has as many.
const WINDOW: usize = 11;

/// Standard deviation of the window, in pixels.
const SIGMA: f64 = 1.5;

/// What keeps quotients of small numbers steady: (0.01 · 255)² and (0.03 · 255)².
const C: [f64; 2] = [6.5025, 58.5225];

/// Similarity of two images: 1 for equal ones.
///
/// Π_s max(0, mean cs_s)^w_s with l · cs in place of cs at the coarsest scale, and the mean over channels of that, where
/// l = (2 μ_x μ_y + C₁) / (μ_x² + μ_y² + C₁), cs = (2 σ_xy + C₂) / (σ_x² + σ_y² + C₂), moments under a Gaussian window that lies
/// whole in the image. Between scales means of 2 x 2 pixels, the last row or column of an odd number counted twice. The window
/// is as small as the image where that is smaller. Of fewer than five scales the first weights, divided by their sum.
///
/// source: Wang et al. 2003; 5 scales with these weights as in the code of Kurach et al. 2019
/// errors: images that are not [h, w, c]; no scales, or more than five
pub fn similarity<T: Component>(
    a: &[T],
    b: &[T],
    shape: [usize; 3],
    scales: usize,
) -> Result<f64, SetError> {
    let d = shape.iter().product();
    for image in [a, b] {
        let image = Features::new("MS-SSIM", image, d)?;
        if image.n() != 1 {
            return Err(SetError::Setting(format!(
                "MS-SSIM: {} images of {shape:?}, expected one",
                image.n()
            )));
        }
    }
    let weights = weights(scales)?;
    let [a, b] = [a, b].map(|image| Pyramid::of(image, shape, scales));
    Ok(a.similarity(&b, &weights))
}

/// The mean similarity of pairs of generated images, low where they are diverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diversity {
    /// Batches of images, in each of which all pairs are compared.
    pub batches: usize,
    /// Images in one.
    pub size: usize,
    /// Scales: five, or fewer on small images.
    pub scales: usize,
    /// Seed of the [`RandomState`] that orders the images; none: as they come.
    pub seed: Option<u32>,
}

impl Default for Diversity {
    /// 5 batches of 64, as in Kurach et al. 2019.
    fn default() -> Self {
        Diversity {
            batches: 5,
            size: 64,
            scales: 5,
            seed: Some(2020),
        }
    }
}

impl Diversity {
    /// The mean over batches of the mean over pairs. It says something where the data have one mode, such as faces.
    ///
    /// memory: some 50 numbers for each pixel of a batch
    /// errors: rows that are not [h, w, c]; fewer images than the batches take; batches of a single image; what
    /// [`similarity`] refuses
    pub fn score<T: Component>(
        &self,
        images: Features<'_, T>,
        shape: [usize; 3],
    ) -> Result<f64, SetError> {
        let (n, needed) = (images.n(), self.batches.saturating_mul(self.size));
        if images.d() != shape.iter().product::<usize>() {
            return Err(SetError::Setting(format!(
                "{}: rows of {} values, expected images {shape:?}",
                images.name(),
                images.d()
            )));
        }
        if self.batches == 0 || self.size < 2 {
            return Err(SetError::Setting(format!(
                "MS-SSIM: {} batches of {}: expected pairs",
                self.batches, self.size
            )));
        }
        if n < needed {
            return Err(SetError::few(
                images.name(),
                n,
                needed,
                "the batches of MS-SSIM",
            ));
        }
        let weights = weights(self.scales)?;
        let order = match self.seed {
            Some(seed) => RandomState::new(seed).permutation(n),
            None => (0..n).collect(),
        };
        let batches = order.chunks_exact(self.size).take(self.batches);
        let scores = batches.map(|batch| {
            let images: Vec<Pyramid> = batch
                .par_iter()
                .map(|&row| {
                    let image = &images.values()[row * images.d()..(row + 1) * images.d()];
                    Pyramid::of(image, shape, self.scales)
                })
                .collect();
            // The similarity is symmetric: half of the pairs say all.
            let rows: Vec<f64> = (1..images.len())
                .into_par_iter()
                .map(|i| {
                    let pairs = images[..i].iter();
                    pairs
                        .map(|other| images[i].similarity(other, &weights))
                        .sum()
                })
                .collect();
            let pairs = images.len() * (images.len() - 1) / 2;
            rows.iter().sum::<f64>() / pairs as f64
        });
        Ok(scores.sum::<f64>() / self.batches as f64)
    }
}

/// The most scales at which the whole window fits into an image of this size; at least one.
pub fn whole_scales(h: usize, w: usize) -> usize {
    let fits = |scale: &usize| h.min(w).div_ceil(1 << scale) >= WINDOW;
    (0..WEIGHTS.len()).take_while(fits).count().max(1)
}

fn weights(scales: usize) -> Result<Vec<f64>, SetError> {
    match WEIGHTS.get(..scales) {
        Some(weights) if scales == WEIGHTS.len() => Ok(weights.to_vec()),
        Some(weights) if scales > 0 => {
            let sum: f64 = weights.iter().sum();
            Ok(weights.iter().map(|w| w / sum).collect())
        }
        _ => Err(SetError::Setting(format!(
            "MS-SSIM: {scales} scales, expected 1 to {}",
            WEIGHTS.len()
        ))),
    }
}

/// An image at all scales, channel by channel, with what a pair needs of each.
struct Pyramid {
    channels: Vec<Vec<Level>>,
}

struct Level {
    plane: Plane,
    /// Means under the window, and means of squares.
    means: Plane,
    squares: Plane,
}

/// One channel, row-major.
struct Plane {
    values: Vec<f64>,
    w: usize,
}

impl Pyramid {
    fn of<T: Component>(image: &[T], [_, w, c]: [usize; 3], scales: usize) -> Pyramid {
        let channel = |channel: usize| {
            let values = image.iter().skip(channel).step_by(c);
            let mut plane = Plane {
                values: values.map(|&x| x.into()).collect(),
                w,
            };
            let mut levels = Vec::with_capacity(scales);
            for scale in 0..scales {
                let next = (scale + 1 < scales).then(|| plane.halved());
                let squares = plane.with(&plane, |x, _| x * x);
                levels.push(Level {
                    means: plane.blurred(),
                    squares: squares.blurred(),
                    plane,
                });
                match next {
                    Some(next) => plane = next,
                    None => break,
                }
            }
            levels
        };
        Pyramid {
            channels: (0..c).map(channel).collect(),
        }
    }

    fn similarity(&self, other: &Pyramid, weights: &[f64]) -> f64 {
        let channels = self.channels.iter().zip(&other.channels);
        let channels = channels.map(|(a, b)| {
            let levels = a.iter().zip(b).zip(weights).enumerate();
            let factors = levels.map(|(scale, ((a, b), weight))| {
                let last = scale + 1 == weights.len();
                a.similarity(b, last).max(0.0).powf(*weight)
            });
            factors.product::<f64>()
        });
        channels.sum::<f64>() / self.channels.len() as f64
    }
}

impl Level {
    /// The mean of cs, or of l · cs.
    fn similarity(&self, other: &Level, with_means: bool) -> f64 {
        let products = self.plane.with(&other.plane, |x, y| x * y).blurred();
        let n = products.values.len();
        let mut sum = 0.0;
        for (i, product) in products.values.iter().enumerate() {
            let (x, y) = (self.means.values[i], other.means.values[i]);
            let squares = self.squares.values[i] + other.squares.values[i];
            let (cross, both) = (2.0 * x * y, x * x + y * y);
            let cs = (2.0 * product - cross + C[1]) / (squares - both + C[1]);
            sum += match with_means {
                true => cs * (cross + C[0]) / (both + C[0]),
                false => cs,
            };
        }
        sum / n as f64
    }
}

impl Plane {
    fn h(&self) -> usize {
        self.values.len() / self.w
    }

    fn with(&self, other: &Plane, f: impl Fn(f64, f64) -> f64) -> Plane {
        let pairs = self.values.iter().zip(&other.values);
        Plane {
            values: pairs.map(|(&x, &y)| f(x, y)).collect(),
            w: self.w,
        }
    }

    /// Means of 2 x 2 pixels.
    fn halved(&self) -> Plane {
        let (h, w) = (self.h(), self.w.div_ceil(2));
        let at = |y: usize, x: usize| self.values[y.min(h - 1) * self.w + x.min(self.w - 1)];
        let mut values = Vec::with_capacity(h.div_ceil(2) * w);
        for y in (0..h).step_by(2) {
            for x in (0..self.w).step_by(2) {
                let sum = at(y, x) + at(y + 1, x) + at(y, x + 1) + at(y + 1, x + 1);
                values.push(sum / 4.0);
            }
        }
        Plane { values, w }
    }

    /// Means under the window where it lies whole in the image.
    fn blurred(&self) -> Plane {
        let (h, w) = (self.h(), self.w);
        let window = window(WINDOW.min(h).min(w));
        let n = window.len();
        let mut columns = vec![0.0; (h + 1 - n) * w];
        for (y, row) in columns.chunks_exact_mut(w).enumerate() {
            for (i, weight) in window.iter().enumerate() {
                let from = &self.values[(y + i) * w..(y + i + 1) * w];
                row.iter_mut().zip(from).for_each(|(r, x)| *r += weight * x);
            }
        }
        let out = w + 1 - n;
        let mut values = vec![0.0; (h + 1 - n) * out];
        for (row, from) in values.chunks_exact_mut(out).zip(columns.chunks_exact(w)) {
            for (i, weight) in window.iter().enumerate() {
                let from = &from[i..i + out];
                row.iter_mut().zip(from).for_each(|(r, x)| *r += weight * x);
            }
        }
        Plane { values, w: out }
    }
}

/// A Gaussian around the middle of n cells, of sum 1.
fn window(n: usize) -> Vec<f64> {
    let middle = (n as f64 - 1.0) / 2.0;
    let bell = |i: usize| (-(i as f64 - middle).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    let sum: f64 = (0..n).map(bell).sum();
    (0..n).map(|i| bell(i) / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{features, golden_at, image};
    use super::*;

    /// The first channels of an image in f64.
    fn pixels(name: &str, [h, w, c]: [usize; 3]) -> Vec<f64> {
        let image = image(name, h, w);
        let pixels = image.chunks_exact(3).flat_map(|p| &p[..c]);
        pixels.map(|&x| f64::from(x)).collect()
    }

    fn of(a: &str, b: &str, shape: [usize; 3], scales: usize) -> f64 {
        similarity(&pixels(a, shape), &pixels(b, shape), shape, scales).expect("scored")
    }

    #[test]
    fn similarities_are_those_of_other_programs() {
        // compare_gan's, in f64.
        for (shape, expected) in [
            ([256, 256, 3], 0.562_259_455_194_423),
            ([178, 218, 3], 0.592_838_301_650_545),
            ([128, 128, 3], 0.645_179_069_735_248),
            ([64, 64, 3], 0.773_817_480_616_751),
            ([32, 32, 3], 0.887_302_507_208_792),
            ([28, 28, 1], 0.913_305_977_872_322),
        ] {
            let got = of("ms.a", "ms.b", shape, 5);
            assert!((got - expected).abs() < 1e-9, "{shape:?}: {got}");
        }
        for side in [256, 192] {
            let expected = golden_at(&["ms_ssim", &format!("{side}x{side}x3")]);
            let got = of("ms.a", "ms.b", [side, side, 3], 5);
            assert!((got - expected).abs() < 1e-12, "{side}: {got} {expected}");
        }
    }

    #[test]
    fn fewer_scales_have_the_first_weights() {
        for (scales, expected) in [(1, 0.343_491_745), (2, 0.770_119_169), (3, 0.867_728_224)] {
            let got = of("ms.a", "ms.b", [28, 28, 1], scales);
            assert!((got - expected).abs() < 1e-9, "{scales}: {got}");
        }
        let image = vec![1.0; 12];
        for scales in [0, 6] {
            similarity(&image, &image, [2, 2, 3], scales).expect_err("refused");
        }
        let sides = [10, 11, 21, 28, 43, 44, 160, 256, 4096];
        assert_eq!(
            sides.map(|s| whole_scales(s, s + 3)),
            [1, 1, 2, 2, 3, 3, 4, 5, 5]
        );
    }

    #[test]
    fn known_similarities() {
        let shape = [64, 64, 3];
        let a = pixels("ms.a", shape);
        let noise = pixels("ms.c", shape);
        let noisy = a.iter().zip(&noise);
        let noisy: Vec<f64> = noisy
            .map(|(a, c)| (a + (c - 128.0) / 8.0).clamp(0.0, 255.0))
            .collect();
        let negative: Vec<f64> = a.iter().map(|a| 255.0 - a).collect();
        let with = |b: &[f64]| similarity(&a, b, shape, 5).expect("scored");
        assert!((with(&a) - 1.0).abs() < 1e-12);
        assert!((with(&noisy) - 0.993_434_817).abs() < 1e-9);
        assert_eq!(with(&negative), 0.0);
        // A window's middle, the middle of an edge, and a corner.
        let w = window(11);
        for (got, expected) in [
            (w[5] * w[5], 0.070_762_2),
            (w[0] * w[5], 2.735_6e-4),
            (w[0] * w[0], 1.057_6e-6),
        ] {
            assert!((got / expected - 1.0).abs() < 1e-4, "{got} {expected}");
        }
    }

    #[test]
    fn diversity_is_the_mean_over_pairs() {
        let shape = [64, 64, 3];
        let four: Vec<f64> = (0..4)
            .flat_map(|i| pixels(&format!("ms.{i}"), shape))
            .collect();
        let diversity = Diversity {
            batches: 1,
            size: 4,
            ..Diversity::default()
        };
        let d = 64 * 64 * 3;
        let got = diversity.score(features(&four, d), shape).expect("scored");
        assert!((got - 0.769_460_006_382_813).abs() < 1e-9, "{got}");
        // Three constant images.
        let flat: Vec<f64> = [1.0, 0.7, 0.0].iter().flat_map(|x| vec![*x; d]).collect();
        let diversity = Diversity {
            size: 3,
            seed: None,
            ..diversity
        };
        let got = diversity.score(features(&flat, d), shape).expect("scored");
        assert!((got - 0.989_988_68).abs() < 1e-8, "{got}");
        // Batches of two, one after the other.
        let pairs = Diversity {
            batches: 2,
            size: 2,
            ..diversity
        };
        let got = pairs.score(features(&four, d), shape).expect("scored");
        let expected = [("ms.0", "ms.1"), ("ms.2", "ms.3")].map(|(a, b)| of(a, b, shape, 5));
        assert!((got - (expected[0] + expected[1]) / 2.0).abs() < 1e-14);
    }

    #[test]
    fn what_has_no_pairs_is_refused() {
        let images = [0.0; 24];
        let images = features(&images, 12);
        let message = |diversity: Diversity, shape| {
            diversity
                .score(images, shape)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            message(Diversity::default(), [2, 2, 3]),
            "test: 2 rows, expected at least 320 for the batches of MS-SSIM"
        );
        assert_eq!(
            message(Diversity::default(), [2, 2, 1]),
            "test: rows of 12 values, expected images [2, 2, 1]"
        );
        let single = Diversity {
            size: 1,
            ..Diversity::default()
        };
        assert!(message(single, [2, 2, 3]).contains("expected pairs"));
        similarity(&[0.0; 24], &[0.0; 12], [2, 2, 3], 1).expect_err("two images");
    }
}
