//! Many small images as one picture, as in the paper's Figure 2.
//!
//! Sizes: n images of h x w pixels and 1 or 3 channels, NCHW and row-major, values in [0, 1].

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, GrayImage, RgbImage, imageops};

use crate::data::Contrast;
pub use crate::data::ImageSize;
use crate::files::{FileError, write_atomic};

/// Grey of the padding and of cells without an image: visible next to black and to white.
const BACKGROUND: u8 = 96;

/// Most pixels on a side of a picture.
const MAX_SIDE: usize = 1 << 15;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// Neither grey nor RGB.
    #[error("grid: expected 1 or 3 channels, got {channels}")]
    Channels {
        /// The number of channels.
        channels: usize,
    },
    /// The values are not n images.
    #[error("grid: {n} images of {channels}x{h}x{w} do not make {len} values")]
    Length {
        /// Number of images.
        n: usize,
        /// Channels of each.
        channels: usize,
        /// Height of each.
        h: usize,
        /// Width of each.
        w: usize,
        /// Number of values.
        len: usize,
    },
    /// More images than cells.
    #[error("grid: {n} images do not fit {rows} rows of {cols}")]
    Cells {
        /// Number of images.
        n: usize,
        /// Rows of the grid.
        rows: usize,
        /// Columns of the grid.
        cols: usize,
    },
    /// A picture without pixels or with too many.
    #[error(
        "grid: {rows} rows of {cols} images of {h}x{w} with padding {padding}: a side must have 1 to 32768 pixels"
    )]
    Size {
        /// Rows of the grid.
        rows: usize,
        /// Columns of the grid.
        cols: usize,
        /// Height of an image.
        h: usize,
        /// Width of an image.
        w: usize,
        /// Pixels around each image.
        padding: usize,
    },
    /// An enlarged picture without pixels or with too many.
    #[error(
        "a picture of {width}x{height} pixels, {scale} times as large: a side must have 1 to 32768 pixels"
    )]
    Scale {
        /// Width before.
        width: u32,
        /// Height before.
        height: u32,
        /// Pixels on a side for each of them.
        scale: u32,
    },
    /// A value that is no colour.
    #[error("grid: image {image} holds NaN at value {index}")]
    NotANumber {
        /// Number of the image, from 0.
        image: usize,
        /// Number of the value in it, from 0.
        index: usize,
    },
    /// A name that says no format of pictures.
    #[error("{}: expected a name that ends in .{}", path.display(), ENDINGS.join(", ."))]
    Ending {
        /// The file.
        path: PathBuf,
    },
    /// The picture cannot be encoded.
    #[error("{}: cannot be encoded: {source}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        source: image::ImageError,
    },
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Values of images of this contrast as [`image_grid`] shows them: where it is normalised they are divided by the largest
/// of their absolute values, and -1 is black, 1 white.
///
/// source: Goodfellow et al. 2014, Figure 2 (released code)
pub fn shown(values: &[f32], contrast: Contrast) -> Cow<'_, [f32]> {
    if contrast == Contrast::AsIs {
        return Cow::Borrowed(values);
    }
    let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let scale = if largest > 0.0 { 0.5 / largest } else { 0.0 };
    Cow::Owned(values.iter().map(|v| 0.5 + v * scale).collect())
}

/// Lays n images out in rows, left to right, with `padding` pixels of grey around each.
///
/// Values are clamped to [0, 1] and rounded to 0 ..= 255; cells beyond the n-th stay grey. The picture is grey for
/// 1 channel and RGB for 3.
///
/// errors: a number of channels other than 1 and 3, a length that is not n images, more images than cells, no pixels
/// or more than 32768 on a side, NaN
#[expect(
    clippy::too_many_arguments,
    reason = "the sizes of an array and of its layout"
)]
pub fn image_grid(
    pixels: &[f32],
    n: usize,
    h: usize,
    w: usize,
    channels: usize,
    rows: usize,
    cols: usize,
    padding: usize,
) -> Result<DynamicImage, GridError> {
    if channels != 1 && channels != 3 {
        return Err(GridError::Channels { channels });
    }
    let size = || GridError::Size {
        rows,
        cols,
        h,
        w,
        padding,
    };
    let height = side(rows, h, padding).ok_or_else(size)?;
    let width = side(cols, w, padding).ok_or_else(size)?;
    if n > rows * cols {
        return Err(GridError::Cells { n, rows, cols });
    }
    let image_len = channels * h * w; // all three below 2^15
    if n * image_len != pixels.len() {
        let len = pixels.len();
        return Err(GridError::Length {
            n,
            channels,
            h,
            w,
            len,
        });
    }
    let mut bytes = vec![BACKGROUND; height * width * channels];
    for (image, values) in pixels.chunks_exact(image_len).enumerate() {
        let top = padding + (image / cols) * (h + padding);
        let left = padding + (image % cols) * (w + padding);
        for (index, value) in values.iter().enumerate() {
            if value.is_nan() {
                return Err(GridError::NotANumber { image, index });
            }
            let (channel, y, x) = (index / (h * w), index / w % h, index % w);
            let at = ((top + y) * width + left + x) * channels + channel;
            bytes[at] = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
    let (width, height) = (width as u32, height as u32);
    let picture = if channels == 1 {
        GrayImage::from_raw(width, height, bytes).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, bytes).map(DynamicImage::from)
    };
    picture.ok_or_else(size)
}

/// Pixels on a side that holds `count` images of `len` pixels.
fn side(count: usize, len: usize, padding: usize) -> Option<usize> {
    let each = len.checked_add(padding)?;
    let side = each.checked_mul(count)?.checked_add(padding)?;
    (count > 0 && len > 0 && side <= MAX_SIDE).then_some(side)
}

/// Each pixel as a square of `scale` pixels.
///
/// errors: no pixels or more than 32768 on a side
pub fn enlarged(picture: &DynamicImage, scale: u32) -> Result<DynamicImage, GridError> {
    let sides = [picture.width(), picture.height()];
    let [width, height] = sides.map(|side| side.saturating_mul(scale));
    if ![width, height]
        .iter()
        .all(|side| (1..=MAX_SIDE as u32).contains(side))
    {
        let [width, height] = sides;
        return Err(GridError::Scale {
            width,
            height,
            scale,
        });
    }
    Ok(picture.resize_exact(width, height, imageops::FilterType::Nearest))
}

/// What names of pictures may end in: their format.
pub const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Writes a picture in the format of its name: whole, under a temporary name in the same folder, then renamed.
///
/// errors: a name that ends in none of [`ENDINGS`]; the folder is missing or cannot be written; a file of that name stays
/// as it was
pub fn save(picture: &DynamicImage, path: &Path) -> Result<(), GridError> {
    let mut bytes = Vec::new();
    let encoded = match ending(path).as_deref() {
        Some("png") => picture.write_with_encoder(PngEncoder::new_with_quality(
            &mut bytes,
            CompressionType::Default, // half the bytes of the encoder's own default
            FilterType::Adaptive,
        )),
        Some("jpg" | "jpeg") => {
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95))
        }
        _ => return Err(GridError::Ending { path: path.into() }),
    };
    encoded.map_err(|source| GridError::Encode {
        path: path.to_owned(),
        source,
    })?;
    Ok(write_atomic(path, |file| file.write_all(&bytes))?)
}

/// What a file's name ends in, in small letters, without the dot.
fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<DynamicImage, GridError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn images_stand_in_rows_with_padding_and_clamped_values() {
        // Three images of 1 x 2 in two rows of two, one pixel of padding.
        let pixels = [0.0, 1.0, -3.0, 7.0, 0.5, f32::INFINITY];
        let picture = image_grid(&pixels, 3, 1, 2, 1, 2, 2, 1).unwrap();
        let g = BACKGROUND;
        #[rustfmt::skip]
        let expected = [
            g, g,   g,   g, g, g,   g,
            g, 0,   255, g, 0, 255, g,
            g, g,   g,   g, g, g,   g,
            g, 128, 255, g, g, g,   g,
            g, g,   g,   g, g, g,   g,
        ];
        assert_eq!((picture.width(), picture.height()), (7, 5));
        assert_eq!(picture.as_bytes(), expected);
    }

    #[test]
    fn normalised_contrast_is_shown_from_minus_the_largest_to_the_largest() {
        let values = [-2.0, 0.0, 1.0, 4.0];
        assert_eq!(*shown(&values, Contrast::Gcn), [0.25, 0.5, 0.625, 1.0]);
        assert_eq!(*shown(&values, Contrast::AsIs), values);
        assert_eq!(*shown(&[0.0; 3], Contrast::Gcn), [0.5; 3]);
    }

    #[test]
    fn colour_planes_become_rgb_pixels() {
        // One image of 3 x 1 x 2: red plane, green plane, blue plane.
        let pixels = [1.0, 0.0, 0.0, 1.0, 0.2, 0.4];
        let picture = image_grid(&pixels, 1, 1, 2, 3, 1, 1, 0).unwrap();
        assert_eq!(picture.as_bytes(), [255, 0, 51, 0, 255, 102]);
    }

    #[test]
    fn enlarging_repeats_pixels() {
        let values: Vec<f32> = (0..12).map(|i| i as f32 / 11.0).collect();
        for channels in [1, 3] {
            let small = image_grid(&values, 12 / (4 * channels), 2, 2, channels, 1, 3, 1).unwrap();
            let large = enlarged(&small, 3).unwrap().to_rgb8();
            assert_eq!(large.dimensions(), (3 * small.width(), 3 * small.height()));
            let small = small.to_rgb8();
            let mut pixels = large.enumerate_pixels();
            assert!(pixels.all(|(x, y, p)| p == small.get_pixel(x / 3, y / 3)));
        }
        let small = image_grid(&values, 3, 2, 2, 1, 1, 3, 1).unwrap();
        for scale in [0, 3277, u32::MAX] {
            let error = enlarged(&small, scale).unwrap_err().to_string();
            let expected = format!("a picture of 10x4 pixels, {scale} times as large: a side");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn what_makes_no_picture_is_an_error() {
        let zeros = [0.0; 12];
        assert_eq!(
            text(image_grid(&zeros, 3, 2, 2, 2, 1, 3, 0)),
            "grid: expected 1 or 3 channels, got 2"
        );
        assert_eq!(
            text(image_grid(&zeros, 4, 2, 2, 1, 2, 2, 0)),
            "grid: 4 images of 1x2x2 do not make 12 values"
        );
        assert_eq!(
            text(image_grid(&zeros, 3, 2, 2, 1, 1, 2, 0)),
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
            let got = text(image_grid(&zeros, 3, h, w, 1, rows, cols, padding));
            assert!(got.contains("a side must have"), "{got}");
        }
        let mut nan = zeros;
        nan[6] = f32::NAN;
        assert_eq!(
            text(image_grid(&nan, 3, 2, 2, 1, 1, 3, 0)),
            "grid: image 1 holds NaN at value 2"
        );
    }

    #[test]
    fn a_saved_picture_reads_back_and_a_failed_save_leaves_nothing() {
        let picture = image_grid(&[0.25; 8], 2, 2, 2, 1, 1, 2, 2).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.png");
        save(&picture, &path).unwrap();
        save(&picture, &path).unwrap(); // replaces
        let read = image::open(&path).unwrap();
        assert_eq!(read.as_bytes(), picture.as_bytes());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("no/samples.png");
        let error = save(&picture, &missing).unwrap_err().to_string();
        assert!(error.contains("samples.png: cannot write: "), "{error}");
        std::fs::create_dir(folder.path().join("folder.png")).unwrap();
        assert!(save(&picture, &folder.path().join("folder.png")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_picture_has_the_format_of_its_name_or_is_refused() {
        let grey = image_grid(&[0.25; 8], 2, 2, 2, 1, 1, 2, 2).unwrap();
        let colour = image_grid(&[0.5; 12], 1, 2, 2, 3, 1, 1, 2).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (png, jpeg) = (b"\x89PNG", b"\xff\xd8\xff\xe0");
        for (name, start) in [
            ("a.png", png),
            ("A.PNG", png),
            ("a.jpg", jpeg),
            ("a.jpeg", jpeg),
        ] {
            for picture in [&grey, &colour] {
                let path = folder.path().join(name);
                save(picture, &path).unwrap();
                assert_eq!(std::fs::read(&path).unwrap()[..4], start[..], "{name}");
                assert_eq!(image::open(&path).unwrap().color(), picture.color());
            }
        }
        for name in ["a.txt", "a.gif", "a", ".png"] {
            let error = save(&grey, Path::new(name)).unwrap_err().to_string();
            let expected = "expected a name that ends in .png, .jpg, .jpeg";
            assert_eq!(error, format!("{name}: {expected}"));
        }
    }
}
