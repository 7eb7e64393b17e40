//! The resizes that programs put before an Inception network, which do not agree.
//!
//! Sizes: images [h, w, c], row-major, in f32.

/// A way to resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// TensorFlow's of 2015: bilinear, with pixel i of the result at i · in / out. Neither symmetric nor antialiased.
    Tf1,
    /// Bilinear, with the centres of the pixels of both images spread over the same length. Not antialiased.
    HalfPixel,
    /// Pillow's bicubic (a = -0.5) of floats, widened where an image shrinks, clipped to 0 .. 255; along the width first. Pillow 13
    /// begins with the height of some images, which rounds otherwise: by one unit in the last place of f32.
    Bicubic,
}

impl Resize {
    /// The image at another size; unchanged where it has that size.
    ///
    /// # Panics
    /// An image that is not [h, w, c], or a size without pixels.
    pub fn apply(self, image: &[f32], shape: [usize; 3], [h, w]: [usize; 2]) -> Vec<f32> {
        let [from_h, from_w, c] = shape;
        assert_eq!(image.len(), from_h * from_w * c, "an image {shape:?}");
        assert!(!image.is_empty() && h * w > 0, "pixels");
        if [from_h, from_w] == [h, w] {
            return image.to_vec();
        }
        match self {
            Resize::Tf1 => bilinear(image, shape, tf1(from_h, h), tf1(from_w, w)),
            Resize::HalfPixel => {
                bilinear(image, shape, half_pixel(from_h, h), half_pixel(from_w, w))
            }
            Resize::Bicubic => bicubic(image, shape, [h, w]),
        }
    }
}

/// Between which two pixels one of the result lies, and how far it is from the first.
type Between = (usize, usize, f32);

fn tf1(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    between(from, to, |i| i as f32 * scale)
}

fn half_pixel(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    between(from, to, |i| (scale * (i as f32 + 0.5) - 0.5).max(0.0))
}

fn between(from: usize, to: usize, at: impl Fn(usize) -> f32) -> Vec<Between> {
    let pixel = |i| {
        let position: f32 = at(i);
        let low = (position.floor() as usize).min(from - 1);
        (low, (low + 1).min(from - 1), position - low as f32)
    };
    (0..to).map(pixel).collect()
}

/// Along x, then along y: t + (t' - t) · d, each operation rounded.
fn bilinear(image: &[f32], [_, w, c]: [usize; 3], ys: Vec<Between>, xs: Vec<Between>) -> Vec<f32> {
    let mut out = Vec::with_capacity(ys.len() * xs.len() * c);
    for &(top, bottom, dy) in &ys {
        for &(left, right, dx) in &xs {
            for channel in 0..c {
                let row = |y: usize| {
                    let at = |x: usize| image[(y * w + x) * c + channel];
                    at(left) + (at(right) - at(left)) * dx
                };
                let (top, bottom) = (row(top), row(bottom));
                out.push(top + (bottom - top) * dy);
            }
        }
    }
    out
}

/// The cubic kernel of a = -0.5.
fn cubic(x: f64) -> f64 {
    let (a, x) = (-0.5, x.abs());
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

/// The first pixel under the kernel of each pixel of the result, and the weights from there on.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let pixel = |i| {
        let centre = (i as f64 + 0.5) * scale;
        let first = (centre - 2.0 * widened + 0.5).max(0.0) as usize;
        let end = ((centre + 2.0 * widened + 0.5) as usize).min(from);
        let weight = |x: usize| cubic((x as f64 - centre + 0.5) * (1.0 / widened));
        let mut weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        (first, weights)
    };
    (0..to).map(pixel).collect()
}

fn bicubic(image: &[f32], [from_h, from_w, c]: [usize; 3], [h, w]: [usize; 2]) -> Vec<f32> {
    let mut rows = image.to_vec();
    if from_w != w {
        rows.clear();
        let taps = taps(from_w, w);
        for row in image.chunks_exact(from_w * c) {
            for (first, weights) in &taps {
                rows.extend((0..c).map(|channel| {
                    let pixels = row[first * c + channel..].iter().step_by(c);
                    let terms = pixels.zip(weights).map(|(x, w)| f64::from(*x) * w);
                    terms.fold(0.0, |sum, term| sum + term) as f32
                }));
            }
        }
    }
    let clipped = |x: f32| x.clamp(0.0, 255.0);
    if from_h == h {
        return rows.into_iter().map(clipped).collect();
    }
    let mut out = Vec::with_capacity(h * w * c);
    for (first, weights) in taps(from_h, h) {
        for at in 0..w * c {
            let pixels = rows[first * w * c + at..].iter().step_by(w * c);
            let terms = pixels.zip(&weights).map(|(x, w)| f64::from(*x) * w);
            out.push(clipped(terms.fold(0.0, |sum, term| sum + term) as f32));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{golden, image};
    use super::*;

    const SIDE: usize = 299;

    /// Channel by channel, as the script has images.
    fn resized(resize: Resize, h: usize, w: usize) -> Vec<f32> {
        let image = image(&format!("image.{h}x{w}"), h, w);
        let image: Vec<f32> = image.iter().map(|&x| f32::from(x)).collect();
        let out = resize.apply(&image, [h, w, 3], [SIDE, SIDE]);
        let channel = |c: usize| out.iter().skip(c).step_by(3).copied();
        (0..3).flat_map(channel).collect()
    }

    #[test]
    fn resizes_are_those_of_the_programs() {
        for (h, w) in [(32, 32), (350, 317), (299, 299), (64, 400)] {
            for (name, resize, exact) in [
                ("tf1", Resize::Tf1, true),
                ("half-pixel", Resize::HalfPixel, false),
                ("bicubic", Resize::Bicubic, false),
            ] {
                let golden = &golden()["resized"][&format!("{h}x{w}")][name];
                let out = resized(resize, h, w);
                let some = golden["some"].as_array().expect("numbers");
                let got = out.iter().step_by(SIDE * SIDE / 4);
                assert_eq!(some.len(), got.len());
                for (got, expected) in got.zip(some) {
                    let expected = expected.as_f64().expect("a number");
                    let error = (f64::from(*got) - expected).abs();
                    assert!(
                        error <= if exact { 0.0 } else { 4e-5 },
                        "{h} {w} {name}: {got} {expected}"
                    );
                }
                let mean = out.iter().map(|&x| f64::from(x)).sum::<f64>() / out.len() as f64;
                let expected = golden["mean"].as_f64().expect("a number");
                assert!(
                    (mean - expected).abs() < 1e-6,
                    "{h} {w} {name}: {mean} {expected}"
                );
                let bits = out.iter().flat_map(|x| x.to_le_bytes());
                let hash = bits.fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
                });
                assert!(
                    !exact || format!("{hash:016x}") == golden["fnv"],
                    "{h} {w} {name}"
                );
            }
        }
    }
}
