//! Images as stored in the data set: bytes are converted to floats on access.

use std::ops::{Deref, Range};
use std::sync::Arc;

use ganforge_kernels::map::Map;

use super::{Contrast, DataError};

/// n images of d values each: pixels in [0, 1], or any numbers where contrast is normalised or the user has them.
///
/// The pixels are shared: a clone costs nothing, and the training and validation parts of one file lie in one buffer.
/// Bytes are kept as bytes (47 MB for the MNIST training file, 188 MB as f32), those of pictures in a mapped file of the cache,
/// and divided by 255 when read.
#[derive(Debug, Clone)]
pub struct Images {
    first: usize,
    n: usize,
    d: usize,
    pixels: Pixels,
    contrast: Contrast,
    /// One for each image.
    labels: Option<Arc<[u8]>>,
}

#[derive(Debug, Clone)]
enum Pixels {
    Bytes(Shared),
    Values(Arc<[f32]>),
}

/// Bytes that are shared: in memory, or some of a mapped file's.
#[derive(Debug, Clone)]
pub(super) enum Shared {
    Memory(Arc<[u8]>),
    Mapped(Arc<Map>, Range<usize>),
}

impl Shared {
    /// The bytes `range` of a file, which has as many.
    pub(super) fn mapped(map: Arc<Map>, range: Range<usize>) -> Shared {
        assert!(range.start <= range.end && range.end <= map.len());
        Shared::Mapped(map, range)
    }
}

impl From<Vec<u8>> for Shared {
    fn from(bytes: Vec<u8>) -> Shared {
        Shared::Memory(bytes.into())
    }
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Shared::Memory(bytes) => bytes,
            Shared::Mapped(map, range) => &map[range.clone()],
        }
    }
}

impl Images {
    /// Images of `d` bytes each; a rest that fills no image is left out.
    pub fn from_bytes(d: usize, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::from_shared(d, Shared::Memory(bytes.into()))
    }

    /// The same of bytes that may lie in a file.
    pub(super) fn from_shared(d: usize, bytes: Shared) -> Self {
        Self {
            first: 0,
            n: bytes.len().checked_div(d).unwrap_or(0),
            d,
            pixels: Pixels::Bytes(bytes),
            contrast: Contrast::AsIs,
            labels: None,
        }
    }

    /// Images of `d` values each; a rest that fills no image is left out.
    pub fn from_values(d: usize, values: impl Into<Arc<[f32]>>) -> Self {
        let values = values.into();
        Self {
            first: 0,
            n: values.len().checked_div(d).unwrap_or(0),
            d,
            pixels: Pixels::Values(values),
            contrast: Contrast::AsIs,
            labels: None,
        }
    }

    /// The same images with a label for each; those that are too many are left out, and where there are too few, all are.
    pub fn with_labels(mut self, labels: impl Into<Arc<[u8]>>) -> Self {
        let labels: Arc<[u8]> = labels.into();
        self.labels = labels.get(..self.n).map(Arc::from);
        self
    }

    /// The label of each image, a number below that of [`Dataset::classes`](super::Dataset::classes); `None` where the
    /// data set has no labels.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// Number of images.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Pixels per image, all channels.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Some of the images, sharing the pixels.
    ///
    /// errors: [`DataError::Rows`] where there are not that many
    pub fn slice(&self, rows: Range<usize>) -> Result<Self, DataError> {
        if rows.start > rows.end || rows.end > self.n {
            return Err(self.no_rows(format!("{rows:?}"), 0));
        }
        Ok(Self {
            first: self.first + rows.start,
            n: rows.len(),
            labels: self.labels.as_ref().map(|labels| labels[rows].into()),
            ..self.clone()
        })
    }

    /// Those images, in this order, in memory of their own.
    ///
    /// errors: [`DataError::Rows`] for a row that is not there
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self, DataError> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.n) {
            return Err(self.no_rows(row.to_string(), 0));
        }
        let place = |row: usize| (self.first + row) * self.d..(self.first + row + 1) * self.d;
        fn gather<T: Copy>(all: &[T], places: impl Iterator<Item = Range<usize>>) -> Vec<T> {
            places.flat_map(|p| all[p].iter().copied()).collect()
        }
        let places = rows.iter().map(|&row| place(row));
        let pixels = match &self.pixels {
            Pixels::Bytes(bytes) => Pixels::Bytes(gather(bytes, places).into()),
            Pixels::Values(values) => Pixels::Values(gather(values, places).into()),
        };
        let labels = self.labels.as_ref();
        Ok(Self {
            first: 0,
            n: rows.len(),
            pixels,
            labels: labels.map(|labels| rows.iter().map(|&row| labels[row]).collect()),
            ..self.clone()
        })
    }

    /// Whether the other images are these: the same pixels of the same place in memory, read in the same way. They may have other
    /// labels.
    pub fn is_same(&self, other: &Images) -> bool {
        let is_one_place = match (&self.pixels, &other.pixels) {
            (Pixels::Bytes(a), Pixels::Bytes(b)) => std::ptr::eq::<[u8]>(&**a, &**b),
            (Pixels::Values(a), Pixels::Values(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        let shape = |images: &Images| (images.first, images.n, images.d, images.contrast);
        is_one_place && shape(self) == shape(other)
    }

    /// What is done to the contrast of each image whenever it is read.
    pub fn contrast(&self) -> Contrast {
        self.contrast
    }

    /// The same, from here on.
    pub(super) fn set_contrast(&mut self, contrast: Contrast) {
        self.contrast = contrast;
    }

    /// The images `rows` as [rows, d] values.
    ///
    /// errors: [`DataError::Rows`] where there are not that many
    pub fn to_f32(&self, rows: Range<usize>) -> Result<Vec<f32>, DataError> {
        let part = self.slice(rows)?;
        let mut values = match &part.pixels {
            Pixels::Bytes(bytes) => bytes[part.span()].iter().map(|&byte| unit(byte)).collect(),
            Pixels::Values(values) => values[part.span()].to_vec(),
        };
        for image in values.chunks_exact_mut(self.d.max(1)) {
            self.contrast.apply(image);
        }
        Ok(values)
    }

    /// Gathers the images `rows`, in that order, into `out` of [rows, d] values; allocates nothing.
    ///
    /// errors: [`DataError::Rows`] for a row that is not there, or an `out` of another length
    pub fn rows_f32_into(&self, rows: &[usize], out: &mut [f32]) -> Result<(), DataError> {
        if rows.len().checked_mul(self.d) != Some(out.len())
            || rows.iter().any(|&row| row >= self.n)
        {
            let highest = rows.iter().max().copied().unwrap_or(0);
            return Err(self.no_rows(
                format!("({} of them, up to {highest})", rows.len()),
                out.len(),
            ));
        }
        if self.d == 0 {
            return Ok(());
        }
        for (&row, image) in rows.iter().zip(out.chunks_exact_mut(self.d)) {
            let start = (self.first + row) * self.d;
            match &self.pixels {
                Pixels::Bytes(bytes) => {
                    let bytes = &bytes[start..start + self.d];
                    image
                        .iter_mut()
                        .zip(bytes)
                        .for_each(|(pixel, &byte)| *pixel = unit(byte));
                }
                Pixels::Values(values) => image.copy_from_slice(&values[start..start + self.d]),
            }
            self.contrast.apply(image);
        }
        Ok(())
    }

    /// All pixels as the bytes that they are, [n, d]; `None` where they are no bytes, or contrast is normalised.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.pixels {
            Pixels::Bytes(bytes) if self.contrast == Contrast::AsIs => Some(&bytes[self.span()]),
            _ => None,
        }
    }

    /// All pixels as bytes [n, d], with (scale, shift): a byte b is read as b / 255 · scale + shift, each operation rounded.
    /// `None` where they are no bytes, or each image's contrast is normalised by itself.
    pub fn scaled_bytes(&self) -> Option<(&[u8], (f32, f32))> {
        match &self.pixels {
            Pixels::Bytes(bytes) => Some((&bytes[self.span()], self.contrast.scale()?)),
            Pixels::Values(_) => None,
        }
    }

    /// Mean of each pixel over all images, in f64, contrast as it is: what an output bias is set from. Zeros where
    /// there are no images.
    pub fn pixel_means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.d];
        let scale = match &self.pixels {
            Pixels::Bytes(bytes) => {
                add_rows(&bytes[self.span()], &mut sums);
                255.0
            }
            Pixels::Values(values) => {
                add_rows(&values[self.span()], &mut sums);
                1.0
            }
        };
        let count = self.n.max(1) as f64 * scale;
        sums.iter().map(|sum| sum / count).collect()
    }

    /// The first value outside of `range`, contrast as it is, with its image and its place in it. Bytes are in [0, 1].
    pub fn outside(&self, range: std::ops::RangeInclusive<f32>) -> Option<(usize, usize, f32)> {
        let values = match &self.pixels {
            Pixels::Values(values) => &values[self.span()],
            Pixels::Bytes(_) => return None,
        };
        let at = values.iter().position(|value| !range.contains(value))?;
        Some((at / self.d, at % self.d, values[at]))
    }

    fn span(&self) -> Range<usize> {
        self.first * self.d..(self.first + self.n) * self.d
    }

    fn no_rows(&self, rows: String, room: usize) -> DataError {
        DataError::Rows {
            rows,
            room,
            n: self.n,
            d: self.d,
        }
    }
}

fn unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

fn add_rows<T: Copy + Into<f64>>(pixels: &[T], sums: &mut [f64]) {
    if sums.is_empty() {
        return;
    }
    for image in pixels.chunks_exact(sums.len()) {
        sums.iter_mut()
            .zip(image)
            .for_each(|(sum, &pixel)| *sum += pixel.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_pixels_and_gather_from_their_own_start() {
        let images = Images::from_bytes(2, vec![0, 51, 102, 153, 204, 255]);
        let tail = images.slice(1..3).unwrap();
        assert_eq!((tail.n(), tail.d()), (2, 2));
        assert_eq!(tail.to_f32(0..2).unwrap(), [0.4, 0.6, 0.8, 1.0]);
        let mut out = [f32::NAN; 4];
        tail.rows_f32_into(&[1, 0], &mut out).unwrap();
        assert_eq!(out, [0.8, 1.0, 0.4, 0.6]);
        assert_eq!(images.pixel_means(), [0.4, 0.6]);
    }

    #[test]
    fn a_clone_is_the_same_images_and_equal_pixels_elsewhere_are_not() {
        let images = Images::from_bytes(2, vec![0, 51, 102, 153]);
        assert!(images.is_same(&images.clone().with_labels([1, 2])));
        let half = images.slice(0..1).unwrap();
        assert!(half.is_same(&images.slice(0..1).unwrap()) && !half.is_same(&images));
        assert!(!half.is_same(&images.slice(1..2).unwrap()));
        assert!(!images.is_same(&Images::from_bytes(2, vec![0, 51, 102, 153])));
        let mut signed = images.clone();
        signed.set_contrast(Contrast::Signed);
        assert!(!images.is_same(&signed));
        let values = Images::from_values(2, vec![0.0, 0.2]);
        assert!(values.is_same(&values.clone()) && !values.is_same(&half));
    }

    #[test]
    fn labels_go_with_their_images() {
        let images = Images::from_bytes(2, vec![0; 6]);
        assert_eq!(images.labels(), None);
        let labelled = images.clone().with_labels([7, 8, 9, 10]);
        assert_eq!(labelled.labels(), Some(&[7, 8, 9][..]));
        let tail = labelled.slice(1..3).unwrap().slice(1..2).unwrap();
        assert_eq!(tail.labels(), Some(&[9][..]));
        assert_eq!(images.with_labels([7, 8]).labels(), None);
    }

    #[test]
    fn selected_images_have_their_pixels_and_labels() {
        let images = Images::from_bytes(2, vec![0, 51, 102, 153, 204, 255]).with_labels([7, 8, 9]);
        let tail = images.slice(1..3).unwrap();
        let chosen = tail.select(&[1, 0, 1]).unwrap();
        assert_eq!(chosen.bytes(), Some(&[204, 255, 102, 153, 204, 255][..]));
        assert_eq!(chosen.labels(), Some(&[9, 8, 9][..]));
        assert!(tail.select(&[2]).is_err());
        let values = Images::from_values(1, vec![0.5, 1.5]).select(&[1]).unwrap();
        assert_eq!(values.to_f32(0..1).unwrap(), [1.5]);
    }

    #[test]
    fn rows_that_are_not_there_are_errors() {
        let images = Images::from_values(2, vec![0.0, 0.25, 0.5, 1.0]);
        assert!(images.slice(1..3).is_err());
        let mut out = [0.0; 2];
        let message = images
            .rows_f32_into(&[2], &mut out)
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "images: rows (1 of them, up to 2) with room for 2 values: there are 2 rows of 2"
        );
        assert!(images.rows_f32_into(&[0, 1], &mut out).is_err());
        assert!(images.to_f32(0..0).unwrap().is_empty());
    }
}
