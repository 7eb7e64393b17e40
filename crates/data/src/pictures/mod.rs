//! Pictures of 8 bits per channel: read from PNG and JPEG files, cropped, resized, laid out in a grid, and written.

mod crop;
mod grid;
mod read;
mod resize;

use std::path::{Path, PathBuf};

use crate::ImageSize;
use crate::files::{FileError, write_atomic};

pub use crop::{Channels, Crop, Crops};
pub use grid::{image_grid, shown};
pub use read::Read;
pub use resize::Filter;

/// Most pixels on a side of a picture that is made here.
const MAX_SIDE: usize = 1 << 15;

/// A picture, grey or RGB: bytes [height, width, channels].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    size: ImageSize,
    bytes: Vec<u8>,
}

impl Picture {
    /// A picture of these bytes [height, width, channels]; none where there are fewer or more of them, or neither 1
    /// channel nor 3.
    pub fn new(size: ImageSize, bytes: Vec<u8>) -> Option<Picture> {
        let is_one = matches!(size.channels, 1 | 3) && size.values() == Some(bytes.len());
        is_one.then_some(Picture { size, bytes })
    }

    /// Its size.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// Its bytes [height, width, channels].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The channels of the pixel in column `x` from the left and row `y` from the top.
    ///
    /// # Panics
    /// There is no such pixel.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        let ImageSize {
            width, channels, ..
        } = self.size;
        assert!(x < width, "column {x} of {width}");
        &self.bytes[(y * width + x) * channels..][..channels]
    }

    /// Another picture of as many channels, whose pixel (x, y) is the pixel `of(x, y)` of this one.
    fn rearranged(
        &self,
        height: usize,
        width: usize,
        of: impl Fn(usize, usize) -> (usize, usize),
    ) -> Picture {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = places.flat_map(|(x, y)| {
            let (x, y) = of(x, y);
            self.pixel(x, y)
        });
        Picture {
            bytes: pixels.copied().collect(),
            size: ImageSize {
                height,
                width,
                ..self.size
            },
        }
    }

    /// Each pixel as a square of `scale` pixels.
    ///
    /// # Errors
    /// No pixels or more than 32768 on a side.
    pub fn enlarged(&self, scale: usize) -> Result<Picture, PictureError> {
        let ImageSize { height, width, .. } = self.size;
        let sides = [height, width].map(|side| side.saturating_mul(scale));
        if !sides.iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            return Err(PictureError::Scale {
                width,
                height,
                scale,
            });
        }
        Ok(self.rearranged(sides[0], sides[1], |x, y| (x / scale, y / scale)))
    }

    /// This picture and `right`, as high and of as many channels, with `gap` columns of white between them.
    ///
    /// # Errors
    /// More than 32768 pixels from left to right.
    ///
    /// # Panics
    /// The pictures differ in height or channels.
    pub fn beside(&self, right: &Picture, gap: usize) -> Result<Picture, PictureError> {
        let ImageSize {
            height, channels, ..
        } = self.size;
        let like = |of: &Picture| (of.size.height, of.size.channels);
        assert_eq!(like(self), like(right), "height and channels");
        let width = self.size.width + gap + right.size.width;
        if width > MAX_SIDE {
            let scale = 1;
            return Err(PictureError::Scale {
                width,
                height,
                scale,
            });
        }
        let row = |of: &Picture, y: usize| {
            let len = of.size.width * channels;
            of.bytes[y * len..(y + 1) * len].to_vec()
        };
        let white = vec![255; gap * channels];
        let rows = (0..height).map(|y| [row(self, y), white.clone(), row(right, y)].concat());
        let size = ImageSize { width, ..self.size };
        let bytes = rows.collect::<Vec<_>>().concat();
        Ok(Picture { size, bytes })
    }

    /// Writes it in the format of the file's name: whole, under a temporary name in the same folder, then renamed.
    ///
    /// # Errors
    /// A name that ends in none of [`ENDINGS`]; a picture that the format cannot hold; the folder is missing or cannot be
    /// written. A file of that name stays as it was.
    pub fn save(&self, path: &Path) -> Result<(), PictureError> {
        let ending = path.extension().and_then(|e| e.to_str());
        let encoded = match ending.map(str::to_lowercase).as_deref() {
            Some("png") => self.png().map_err(|e| e.to_string()),
            Some("jpg" | "jpeg") => self.jpeg(),
            _ => return Err(PictureError::Ending { path: path.into() }),
        };
        let bytes = encoded.map_err(|reason| PictureError::Encode {
            path: path.to_owned(),
            reason,
        })?;
        Ok(write_atomic(path, |file| file.write_all(&bytes))?)
    }

    fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let [width, height] = [self.size.width, self.size.height].map(|side| side as u32);
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(match self.size.channels {
            1 => png::ColorType::Grayscale,
            _ => png::ColorType::Rgb,
        });
        encoder.set_compression(png::Compression::Balanced);
        encoder.set_filter(png::Filter::Adaptive);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.bytes)?;
        writer.finish()?;
        Ok(bytes)
    }

    fn jpeg(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let side =
            |side: usize| u16::try_from(side).map_err(|_| "more than 65535 pixels on a side");
        let (width, height) = (side(self.size.width)?, side(self.size.height)?);
        let colour = match self.size.channels {
            1 => jpeg_encoder::ColorType::Luma,
            _ => jpeg_encoder::ColorType::Rgb,
        };
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
        let encoded = encoder.encode(&self.bytes, width, height, colour);
        encoded.map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

/// What names of pictures may end in: their format.
pub const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Why there is no picture.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Neither grey nor RGB.
    #[error("grid: expected 1 or 3 channels, got {channels}")]
    Channels {
        /// The number of channels.
        channels: usize,
    },
    /// The values are no images.
    #[error("grid: {len} values are not a whole number of images of {size}")]
    Length {
        /// Size of an image.
        size: ImageSize,
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
        "grid: {rows} rows of {cols} images of {size} with padding {padding}: a side must have 1 to 32768 pixels"
    )]
    Size {
        /// Rows of the grid.
        rows: usize,
        /// Columns of the grid.
        cols: usize,
        /// Size of an image.
        size: ImageSize,
        /// Pixels around each image.
        padding: usize,
    },
    /// An enlarged picture without pixels or with too many.
    #[error(
        "a picture of {width}x{height} pixels, {scale} times as large: a side must have 1 to 32768 pixels"
    )]
    Scale {
        /// Width before.
        width: usize,
        /// Height before.
        height: usize,
        /// Pixels on a side for each of them.
        scale: usize,
    },
    /// A value that is no colour.
    #[error("grid: image {image}: value {index} is NaN")]
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
    #[error("{}: cannot be encoded: {reason}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

ganforge_kernels::debug_as_display!(PictureError);

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, channels: usize) -> Picture {
        let size = ImageSize {
            height,
            width,
            channels,
        };
        let bytes = (0..height * width * channels).map(|i| (i * 37 % 256) as u8);
        Picture::new(size, bytes.collect()).expect("as many bytes")
    }

    #[test]
    fn bytes_that_are_no_picture_make_none() {
        let size = |channels| ImageSize {
            height: 2,
            width: 3,
            channels,
        };
        assert!(Picture::new(size(1), vec![0; 6]).is_some());
        assert!(Picture::new(size(1), vec![0; 7]).is_none());
        assert!(Picture::new(size(2), vec![0; 12]).is_none());
    }

    #[test]
    fn enlarging_repeats_pixels() {
        for channels in [1, 3] {
            let small = picture(4, 10, channels);
            let large = small.enlarged(3).unwrap();
            assert_eq!((large.size().height, large.size().width), (12, 30));
            for (x, y) in (0..30).flat_map(|x| (0..12).map(move |y| (x, y))) {
                assert_eq!(large.pixel(x, y), small.pixel(x / 3, y / 3));
            }
        }
        for scale in [0, 3277, usize::MAX] {
            let error = picture(4, 10, 1).enlarged(scale).unwrap_err().to_string();
            let expected = format!("a picture of 10x4 pixels, {scale} times as large: a side");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn pictures_stand_beside_each_other() {
        let pair = picture(2, 1, 1).beside(&picture(2, 2, 1), 1).unwrap();
        assert_eq!(pair.bytes(), [0, 255, 0, 37, 37, 255, 74, 111]);
        let wide = picture(1, MAX_SIDE, 1);
        assert!(wide.beside(&wide, 0).is_err());
    }

    #[test]
    fn a_saved_picture_reads_back_and_a_failed_save_leaves_nothing() {
        let picture = picture(4, 6, 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.png");
        picture.save(&path).unwrap();
        picture.save(&path).unwrap(); // replaces
        let read = Picture::decode(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.picture, picture);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("no/samples.png");
        let error = picture.save(&missing).unwrap_err().to_string();
        assert!(error.contains("samples.png: cannot write: "), "{error}");
        std::fs::create_dir(folder.path().join("folder.png")).unwrap();
        assert!(picture.save(&folder.path().join("folder.png")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_picture_has_the_format_of_its_name_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (png, jpeg) = (b"\x89PNG", b"\xff\xd8\xff\xe0");
        for (name, start) in [
            ("a.png", png),
            ("A.PNG", png),
            ("a.jpg", jpeg),
            ("a.jpeg", jpeg),
        ] {
            for picture in [picture(3, 5, 1), picture(3, 5, 3)] {
                let path = folder.path().join(name);
                picture.save(&path).unwrap();
                let file = std::fs::read(&path).unwrap();
                assert_eq!(file[..4], start[..], "{name}");
                let read = Picture::decode(&file).unwrap();
                assert_eq!(read.picture.size(), picture.size());
            }
        }
        for name in ["a.txt", "a.gif", "a", ".png"] {
            let error = picture(1, 1, 1).save(Path::new(name)).unwrap_err();
            let expected = "expected a name that ends in .png, .jpg, .jpeg";
            assert_eq!(error.to_string(), format!("{name}: {expected}"));
        }
    }
}
