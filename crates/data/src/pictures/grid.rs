//! A grid of small images as one picture, as in the paper's Figure 2.
//!
//! Values are [n, h, w, channels], row-major, in [0, 1].

use std::borrow::Cow;

use super::{MAX_SIDE, Picture, PictureError};
use crate::{Contrast, ImageSize};

/// Grey of the padding and of cells without an image: visible next to black and to white.
const BACKGROUND: u8 = 96;

/// Values of images of this contrast as [`image_grid`] shows them: of signed ones -1 is black, 1 white; where contrast is
/// normalised they are divided by the largest of their absolute values before.
///
/// source: Goodfellow et al. 2014, Figure 2 (released code)
pub fn shown(values: &[f32], contrast: Contrast) -> Cow<'_, [f32]> {
    let largest = match contrast {
        Contrast::AsIs => return Cow::Borrowed(values),
        Contrast::Signed => 1.0,
        Contrast::Gcn => values.iter().fold(0.0_f32, |m, v| m.max(v.abs())),
    };
    let scale = if largest > 0.0 { 0.5 / largest } else { 0.0 };
    Cow::Owned(values.iter().map(|v| 0.5 + v * scale).collect())
}

/// Lays images out in rows, left to right, with `padding` pixels of grey around each.
///
/// Values are clamped to [0, 1] and rounded to 0 ..= 255; cells that are left over stay grey. The picture is grey for
/// 1 channel and RGB for 3.
///
/// # Errors
/// A number of channels other than 1 and 3, values that are no whole images, more images than cells, no pixels or more than
/// 32768 on a side, NaN.
pub fn image_grid(
    values: &[f32],
    size: ImageSize,
    [rows, cols]: [usize; 2],
    padding: usize,
) -> Result<Picture, PictureError> {
    let ImageSize {
        height: h,
        width: w,
        channels,
    } = size;
    if channels != 1 && channels != 3 {
        return Err(PictureError::Channels { channels });
    }
    let too_large = || PictureError::Size {
        rows,
        cols,
        size,
        padding,
    };
    let height = side(rows, h, padding).ok_or_else(too_large)?;
    let width = side(cols, w, padding).ok_or_else(too_large)?;
    let image_len = channels * h * w; // all three below 2^15
    let (n, len) = (values.len() / image_len, values.len());
    if n * image_len != len {
        return Err(PictureError::Length { size, len });
    }
    if n > rows * cols {
        return Err(PictureError::Cells { n, rows, cols });
    }
    let mut bytes = vec![BACKGROUND; height * width * channels];
    for (image, values) in values.chunks_exact(image_len).enumerate() {
        let top = padding + (image / cols) * (h + padding);
        let left = padding + (image % cols) * (w + padding);
        for (index, value) in values.iter().enumerate() {
            if value.is_nan() {
                return Err(PictureError::NotANumber { image, index });
            }
            let (y, along) = (index / (w * channels), index % (w * channels));
            let at = ((top + y) * width + left) * channels + along;
            bytes[at] = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
    let size = ImageSize {
        height,
        width,
        channels,
    };
    Ok(Picture { size, bytes })
}

/// Pixels on a side that holds `count` images of `len` pixels.
fn side(count: usize, len: usize, padding: usize) -> Option<usize> {
    let each = len.checked_add(padding)?;
    let side = each.checked_mul(count)?.checked_add(padding)?;
    (count > 0 && len > 0 && side <= MAX_SIDE).then_some(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<Picture, PictureError>) -> String {
        result.unwrap_err().to_string()
    }

    fn size(height: usize, width: usize, channels: usize) -> ImageSize {
        ImageSize {
            height,
            width,
            channels,
        }
    }

    #[test]
    fn images_stand_in_rows_with_padding_and_clamped_values() {
        // Three images of 1 x 2 in two rows of two, one pixel of padding.
        let pixels = [0.0, 1.0, -3.0, 7.0, 0.5, f32::INFINITY];
        let picture = image_grid(&pixels, size(1, 2, 1), [2, 2], 1).unwrap();
        let g = BACKGROUND;
        #[rustfmt::skip]
        let expected = [
            g, g,   g,   g, g, g,   g,
            g, 0,   255, g, 0, 255, g,
            g, g,   g,   g, g, g,   g,
            g, 128, 255, g, g, g,   g,
            g, g,   g,   g, g, g,   g,
        ];
        assert_eq!((picture.size().width, picture.size().height), (7, 5));
        assert_eq!(picture.bytes(), expected);
    }

    #[test]
    fn normalised_contrast_is_shown_from_minus_the_largest_to_the_largest() {
        let values = [-2.0, 0.0, 1.0, 4.0];
        assert_eq!(*shown(&values, Contrast::Gcn), [0.25, 0.5, 0.625, 1.0]);
        assert_eq!(*shown(&values, Contrast::AsIs), values);
        assert_eq!(*shown(&values, Contrast::Signed), [-0.5, 0.5, 1.0, 2.5]);
        assert_eq!(*shown(&[0.0; 3], Contrast::Gcn), [0.5; 3]);
    }

    #[test]
    fn colour_images_lie_pixel_by_pixel() {
        // Two images of 2 x 1 x 3, one above the other.
        let pixels: Vec<f32> = (0..12_u8).map(|v| f32::from(20 * v) / 255.0).collect();
        let picture = image_grid(&pixels, size(2, 1, 3), [2, 1], 1).unwrap();
        let row = |y: usize| &picture.bytes()[(3 * y + 1) * 3..][..3];
        assert_eq!([row(1), row(2)].concat(), [0, 20, 40, 60, 80, 100]);
        assert_eq!([row(4), row(5)].concat(), [120, 140, 160, 180, 200, 220]);
        assert_eq!(row(3), [BACKGROUND; 3]);
    }

    #[test]
    fn what_makes_no_picture_is_an_error() {
        let zeros = [0.0; 12];
        assert_eq!(
            text(image_grid(&zeros, size(2, 2, 2), [1, 3], 0)),
            "grid: expected 1 or 3 channels, got 2"
        );
        assert_eq!(
            text(image_grid(&zeros, size(2, 4, 1), [2, 2], 0)),
            "grid: 12 values are not a whole number of images of 2x4x1"
        );
        assert_eq!(
            text(image_grid(&zeros, size(2, 2, 1), [1, 2], 0)),
            "grid: 3 images do not fit 1 rows of 2"
        );
        for (h, w, rows, cols, padding) in [
            (0, 2, 1, 3, 0),
            (2, 0, 1, 3, 0),
            (2, 2, 0, 3, 0),
            (2, 2, 1, 0, 0),
            (2, 2, 1, 3, usize::MAX),
            (usize::MAX, 2, 1, 3, 1),
            (2, 1 << 14, 1, 3, 0),
        ] {
            let got = text(image_grid(&zeros, size(h, w, 1), [rows, cols], padding));
            assert!(got.contains("a side must have"), "{got}");
        }
        let mut nan = zeros;
        nan[6] = f32::NAN;
        assert_eq!(
            text(image_grid(&nan, size(2, 2, 1), [1, 3], 0)),
            "grid: image 1: value 2 is NaN"
        );
    }
}
