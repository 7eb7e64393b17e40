//! Shifted images.

use ganforge_settings::{settings, whole};

use super::Augmentation;
use crate::ImageSize;

settings! {
    /// Zeros are put around each image, and a part of its size is taken from a random place: the image is shifted by up to
    /// `padding` pixels in each direction. The zeros are those of the values that the network sees: black, or with
    /// data.contrast = "signed" grey.
    #[derive(Copy, Eq)]
    pub struct RandomCrop {
        /// Pixels on each side.
        pub padding: usize = 4, whole(1, 1000);
    }
}

impl Augmentation for RandomCrop {
    /// The place from above and from the left.
    fn draws(&self) -> usize {
        2
    }

    fn apply(&self, drawn: &[f32], size: ImageSize, image: &mut [f32], free: &mut [f32]) {
        let (height, width, channels) = (size.height, size.width, size.channels);
        let place = |drawn| super::whole(drawn, 2 * self.padding + 1);
        let (top, left) = (place(drawn[0]), place(drawn[1]));
        free.fill(0.0);
        // Row y of the part is row y + top - padding of the image, and columns likewise.
        let (first_row, first) = (
            self.padding.saturating_sub(top),
            self.padding.saturating_sub(left),
        );
        let rows = height - self.padding.abs_diff(top);
        let n = (width - self.padding.abs_diff(left)) * channels;
        for y in first_row..first_row + rows {
            let source =
                ((y + top - self.padding) * width + first + left - self.padding) * channels;
            let target = (y * width + first) * channels;
            free[target..target + n].copy_from_slice(&image[source..source + n]);
        }
        image.copy_from_slice(free);
    }

    fn fits(&self, size: ImageSize) -> Result<(), (&'static str, String)> {
        let side = size.height.min(size.width);
        match self.padding < side {
            true => Ok(()),
            false => Err((
                "padding",
                format!(
                    "must be below {side}, the shorter side of the images, got {}",
                    self.padding
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_a_shift_with_zeros_where_nothing_was() {
        let crop = RandomCrop { padding: 2 };
        let size = ImageSize {
            height: 3,
            width: 4,
            channels: 2,
        };
        let image: Vec<f32> = (1..=24).map(|i| i as f32).collect();
        for (top, left) in (0..5).flat_map(|top| (0..5).map(move |left| (top, left))) {
            let mut found = image.clone();
            let drawn = [top, left].map(|place| (place as f32 + 0.5) / 5.0);
            crop.apply(&drawn, size, &mut found, &mut [7.0; 24]);
            for y in 0..3 {
                for x in 0..4 {
                    let (from_y, from_x) = (y + top - 2, x + left - 2);
                    for c in 0..2 {
                        let inside = (0..3).contains(&from_y) && (0..4).contains(&from_x);
                        let expected = match inside {
                            true => image[((from_y * 4 + from_x) * 2 + c) as usize],
                            false => 0.0,
                        };
                        let at = ((y * 4 + x) * 2 + c) as usize;
                        assert_eq!(found[at], expected, "{top} {left}: {y} {x} {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_shift_beyond_the_image_is_refused() {
        let size = ImageSize {
            height: 4,
            width: 8,
            channels: 1,
        };
        assert!(RandomCrop { padding: 3 }.fits(size).is_ok());
        let (key, message) = RandomCrop::default().fits(size).expect_err("too far");
        assert_eq!(key, "padding");
        assert!(message.contains("below 4"), "{message}");
    }
}
