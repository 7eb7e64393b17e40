//! Cropping and resizing.

use std::f32::consts::PI;

use super::Picture;
use crate::ImageSize;

/// Half the width of the filter, in pixels of the smaller of both pictures.
const LOBES: f32 = 3.0;

ganforge_settings::list! {
    /// From which pixels a resized picture is made.
    pub enum Filter {
        /// All of them: Lanczos of three lobes, widened where the picture gets smaller (antialiased).
        "lanczos" => Lanczos,
        /// The four about row y · from / to and column x · from / to, linearly: the bilinear resize of TensorFlow 1, with
        /// which Kurach et al. 2019 make 64x64 of CelebA. Where the picture gets smaller than half, pixels are left out.
        "bilinear" => Bilinear,
    }
}

impl Picture {
    /// The largest part about the centre that has the shape asked for, resized, in f32, and rounded.
    ///
    /// Lanczos of 3 lobes: rows first, then columns, widened where the picture gets smaller, so that no pixel is left out.
    ///
    /// Bilinear: out[y, x] = in at row y · h / height and column x · w / width, between rows and columns linearly, and with the
    /// last row and column beyond them; source: `tf.image.resize_images` of TensorFlow 1.13, `align_corners` false
    ///
    /// # Panics
    /// A side of zero pixels, of this picture or asked for.
    pub fn cropped_and_resized(&self, height: usize, width: usize, filter: Filter) -> Picture {
        let (h, w) = (self.size.height as u64, self.size.width as u64);
        let (to_h, to_w) = (height as u64, width as u64);
        // As wide as it is and so high that the sides are as height to width, or else as high as it is.
        let (ch, cw) = match h * to_w > w * to_h {
            true => ((w * to_h / to_w).max(1), w),
            false => (h, (h * to_w / to_h).max(1)),
        };
        let [top, left] = [(h - ch) / 2, (w - cw) / 2].map(|side| side as usize);
        let part = self.rearranged(ch as usize, cw as usize, |x, y| (left + x, top + y));
        match filter {
            Filter::Lanczos => part.lanczos(height, width),
            Filter::Bilinear => part.bilinear(height, width),
        }
    }

    fn bilinear(self, height: usize, width: usize) -> Picture {
        let ImageSize {
            height: h,
            width: w,
            channels,
        } = self.size;
        let columns: Vec<_> = between(w, width).collect();
        let mut bytes = Vec::with_capacity(height * width * channels);
        for (top, bottom, down) in between(h, height) {
            for &(left, right, along) in &columns {
                for channel in 0..channels {
                    let at = |y, x| f32::from(self.pixel(x, y)[channel]);
                    let row = |y| at(y, left) + (at(y, right) - at(y, left)) * along;
                    let value = row(top) + (row(bottom) - row(top)) * down;
                    bytes.push(value.round() as u8);
                }
            }
        }
        let size = ImageSize {
            height,
            width,
            channels,
        };
        Picture { size, bytes }
    }

    fn lanczos(self, height: usize, width: usize) -> Picture {
        let ImageSize {
            height: h,
            width: w,
            channels,
        } = self.size;
        if (h, w) == (height, width) {
            return self;
        }
        let row = w * channels;
        let mut tall = vec![0.0; height * row];
        for (out, taps) in tall.chunks_exact_mut(row).zip(filter(h, height)) {
            for (from, weight) in taps {
                let bytes = &self.bytes[from * row..][..row];
                let terms = out.iter_mut().zip(bytes);
                terms.for_each(|(sum, &byte)| *sum += f32::from(byte) * weight);
            }
        }
        let filter: Vec<_> = filter(w, width).collect();
        let mut bytes = Vec::with_capacity(height * width * channels);
        for row in tall.chunks_exact(row) {
            for taps in &filter {
                for channel in 0..channels {
                    let terms = taps.iter();
                    let terms = terms.map(|(from, weight)| row[from * channels + channel] * weight);
                    let sum = terms.fold(0.0, |sum, term| sum + term);
                    bytes.push(sum.clamp(0.0, 255.0).round() as u8);
                }
            }
        }
        let size = ImageSize {
            height,
            width,
            channels,
        };
        Picture { size, bytes }
    }
}

/// For each of `to` pixels on a line of `from`: the two that it lies between, and how far it is from the first of them.
fn between(from: usize, to: usize) -> impl Iterator<Item = (usize, usize, f32)> {
    let ratio = from as f32 / to as f32;
    (0..to).map(move |out| {
        let at = out as f32 * ratio;
        let first = (at as usize).min(from - 1);
        (first, (first + 1).min(from - 1), at - first as f32)
    })
}

/// For each of `to` pixels on a line of `from`: which of them it is made of, each with its weight. The weights of a pixel
/// sum to one.
fn filter(from: usize, to: usize) -> impl Iterator<Item = Vec<(usize, f32)>> {
    let ratio = from as f32 / to as f32;
    let stretch = ratio.max(1.0);
    (0..to).map(move |out| {
        let centre = (out as f32 + 0.5) * ratio;
        let reach = LOBES * stretch;
        let left = ((centre - reach).floor() as i64).clamp(0, from as i64 - 1);
        let right = ((centre + reach).ceil() as i64).clamp(left + 1, from as i64);
        let weight = |i: i64| lanczos((i as f32 - (centre - 0.5)) / stretch);
        let taps = (left..right).map(|i| (i as usize, weight(i)));
        let mut taps: Vec<_> = taps.collect();
        let sum = taps.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        taps
    })
}

/// sinc(x) · sinc(x / 3) for |x| < 3, else 0.
fn lanczos(x: f32) -> f32 {
    let sinc = |t: f32| {
        if t == 0.0 {
            1.0
        } else {
            (t * PI).sin() / (t * PI)
        }
    };
    match x.abs() < LOBES {
        true => sinc(x) * sinc(x / LOBES),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::hash;

    /// Runs on folders of pictures name what they have learnt from by its hash: it must not change.
    #[test]
    fn resized_pixels_are_those_of_the_image_crate() {
        let size = ImageSize {
            height: 37,
            width: 53,
            channels: 3,
        };
        let bytes = (0..37 * 53 * 3_u32).map(|i| (i * i % 251) as u8);
        let picture = Picture::new(size, bytes.collect()).unwrap();
        // By `crop_imm` and `resize_exact` with `Lanczos3` of image 0.25.10.
        let expected = [
            "8de1ab1d770ad3e0c1e94714c37993311e298a01c45adc94390f4609e1c0e8e5",
            "b42f7001848f959f3b95205369912276bbe6e55276d2dbb06170898bd2e43fc5",
        ];
        for ([height, width], expected) in [[16, 16], [64, 40]].into_iter().zip(expected) {
            let resized = picture.cropped_and_resized(height, width, Filter::Lanczos);
            let sum = hash::hex(Sha256::new_with_prefix(resized.bytes()));
            assert_eq!(sum, expected, "{height}x{width}");
        }
    }

    #[test]
    fn bilinear_pixels_lie_where_tensorflow_1_puts_them() {
        let grey = |height, width, bytes: Vec<u8>| {
            let size = ImageSize {
                height,
                width,
                channels: 1,
            };
            Picture::new(size, bytes).unwrap()
        };
        // Rows and columns 0 and 2.5 of 5: 0, between 2 and 3, between 20 and 30, between both.
        let places = (0..5).flat_map(|y| (0..5).map(move |x| 10 * y + x));
        let smaller = grey(5, 5, places.collect()).cropped_and_resized(2, 2, Filter::Bilinear);
        assert_eq!(smaller.bytes(), [0, 3, 25, 28]);
        // Columns 0, 0.5, 1 and 1.5 of 2, the last one beyond the picture's.
        let larger = grey(1, 2, vec![10, 20]);
        let larger = larger.rearranged(2, 2, |x, _| (x, 0));
        let larger = larger.cropped_and_resized(4, 4, Filter::Bilinear);
        assert_eq!(larger.bytes(), [10, 15, 20, 20].repeat(4));
    }
}
