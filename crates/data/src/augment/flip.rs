//! Mirror images.

use ganforge_settings::settings;

use super::Augmentation;
use crate::ImageSize;

settings! {
    /// Each image is mirrored with probability 1/2: left becomes right.
    #[derive(Copy, Eq)]
    pub struct RandomFlip {}
}

impl Augmentation for RandomFlip {
    fn draws(&self) -> usize {
        1
    }

    fn apply(&self, drawn: &[f32], size: ImageSize, image: &mut [f32], _: &mut [f32]) {
        if drawn[0] < 0.5 {
            return;
        }
        let (width, channels) = (size.width, size.channels);
        for row in image.chunks_exact_mut(width * channels) {
            for left in 0..width / 2 {
                for c in 0..channels {
                    row.swap(left * channels + c, (width - 1 - left) * channels + c);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirrored_image_is_the_same_from_right_to_left() {
        for (width, channels) in [(3, 1), (4, 2), (1, 3)] {
            let size = ImageSize {
                height: 2,
                width,
                channels,
            };
            let image: Vec<f32> = (0..2 * width * channels).map(|i| i as f32).collect();
            let mut found = image.clone();
            RandomFlip {}.apply(&[0.49], size, &mut found, &mut []);
            assert_eq!(found, image);
            RandomFlip {}.apply(&[0.5], size, &mut found, &mut []);
            for (i, value) in found.iter().enumerate() {
                let (row, x, c) = (i / channels / width, i / channels % width, i % channels);
                let from = (row * width + width - 1 - x) * channels + c;
                assert_eq!(*value, image[from], "{i}");
            }
        }
    }
}
