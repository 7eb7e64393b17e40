//! Sets of images of any origin, and what a network sees in them.

use std::path::Path;

use super::{Extractor, Pixels};
use crate::data::image_files::{self, ImageFiles, ImageOptions};
use crate::data::{Dataset, ImageSize, Images};
use crate::error::{Error, Result, room_for};
use crate::metrics::sets::files::{Made, Source};
use crate::metrics::sets::{Moments, SetError};
use crate::metrics::{self, Extraction};

/// Values of images that are looked at at once, about.
const AT_ONCE: usize = 1 << 21;

/// A set of images: files of any program, or a part of a data set. What is in memory of files is a batch.
pub struct ImageSet {
    name: String,
    sha256: String,
    held: Held,
}

enum Held {
    Files(Box<ImageFiles>),
    Part(Images, ImageSize),
}

/// What is done to some images of one size: the numbers of their rows, their size, their pixels.
pub type Run<'a> = dyn FnMut(&[usize], ImageSize, Pixels<'_>) -> Result<()> + 'a;

impl ImageSet {
    /// Opens a folder, an archive or an array of images.
    ///
    /// # Errors
    /// As [`ImageFiles::open`].
    pub fn open(path: &Path, options: &ImageOptions) -> Result<ImageSet> {
        let files = ImageFiles::open(path, options)?;
        Ok(ImageSet {
            name: files.place().to_owned(),
            sha256: files.sha256().to_owned(),
            held: Held::Files(Box::new(files)),
        })
    }

    /// The part of this name, "train", "valid" or "test", of a data set.
    ///
    /// # Errors
    /// No such part; points, or no images in it.
    pub fn of_part(data: &Dataset, part: &str) -> Result<ImageSet> {
        let name = format!("{}:{part}", data.name);
        let refuse = |reason: &str| Error::Mismatch(format!("{name}: {reason}"));
        let mut parts = data.parts();
        let found = parts.find(|(name, _)| *name == part);
        let (_, images) = found.ok_or_else(|| refuse("expected train, valid or test"))?;
        let size = data.image();
        if size.values() != Some(images.d()) || images.n() == 0 {
            return Err(refuse("has no images"));
        }
        Ok(ImageSet {
            sha256: data.sha256.clone(),
            held: Held::Part(images.clone(), size),
            name,
        })
    }

    /// What it is called: the path as it was given, or "mnist:test".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of files as [`ImageFiles::sha256`] has it; of a part that of its data set.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How many images there are.
    pub fn n(&self) -> usize {
        match &self.held {
            Held::Files(files) => files.n(),
            Held::Part(images, _) => images.n(),
        }
    }

    /// The size of all images; none where there are several.
    pub fn size(&self) -> Option<ImageSize> {
        match &self.held {
            Held::Files(files) => files.size(),
            Held::Part(_, size) => Some(*size),
        }
    }

    /// As [`ImageFiles::has_range`]; a part of a data set has none.
    pub fn has_range(&self) -> bool {
        match &self.held {
            Held::Files(files) => files.has_range(),
            Held::Part(..) => false,
        }
    }

    /// What must be known of what was read, line by line.
    pub fn notices(&self) -> Vec<String> {
        match &self.held {
            Held::Files(files) => files.notices(),
            Held::Part(..) => Vec::new(),
        }
    }

    /// So many images, evenly spaced; all where there are fewer, or no number is given.
    pub fn rows(&self, count: Option<usize>) -> Vec<usize> {
        let images = count.unwrap_or(self.n());
        let spaced = Extraction {
            images,
            ..Extraction::default()
        };
        spaced.rows(self.n())
    }

    /// Hands out the images `rows`, which ascend, some at a time: those of one batch are of one size.
    ///
    /// # Errors
    /// Images that cannot be read; what `run` refuses.
    pub fn each(&mut self, rows: &[usize], run: &mut Run<'_>) -> Result<()> {
        let at_once = |size: Option<ImageSize>| {
            let values = size.and_then(|size| size.values()).unwrap_or(AT_ONCE);
            (AT_ONCE / values.max(1)).clamp(1, 512)
        };
        let at_once = at_once(self.size());
        match &mut self.held {
            Held::Part(images, size) => {
                let d = images.d();
                for rows in rows.chunks(at_once) {
                    match images.bytes() {
                        Some(bytes) => {
                            let image = |&row: &usize| &bytes[row * d..(row + 1) * d];
                            let bytes: Vec<u8> = rows.iter().flat_map(image).copied().collect();
                            run(rows, *size, Pixels::Bytes(&bytes))?;
                        }
                        None => {
                            let mut units = vec![0.0; rows.len() * d];
                            images.rows_f32_into(rows, &mut units)?;
                            run(rows, *size, Pixels::Units(&units))?;
                        }
                    }
                }
            }
            Held::Files(files) => {
                files.restart()?;
                let mut left = rows;
                while !left.is_empty()
                    && let Some(batch) = files.next(at_once)?
                {
                    let end = batch.first + batch.n();
                    let (now, later) = left.split_at(left.partition_point(|row| *row < end));
                    left = later;
                    let d = batch.size.values().unwrap_or(0);
                    match &batch.pixels {
                        _ if now.is_empty() => {}
                        image_files::Pixels::Bytes(bytes) => {
                            let bytes = chosen(bytes, d, batch.first, now);
                            run(now, batch.size, Pixels::Bytes(&bytes))?;
                        }
                        image_files::Pixels::Units(units) => {
                            let units = chosen(units, d, batch.first, now);
                            run(now, batch.size, Pixels::Units(&units))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The pixels of images of one size, [rows, d], from 0 to 1.
    ///
    /// # Errors
    /// As [`ImageSet::each`]; images of several sizes; no memory for them.
    pub fn units(&mut self, rows: &[usize]) -> Result<Vec<f32>> {
        let values = self
            .one_size()?
            .values()
            .unwrap_or(usize::MAX)
            .saturating_mul(rows.len());
        room_for("the pixels of these images", values as u64)?;
        let mut all = Vec::with_capacity(values);
        self.each(rows, &mut |_, _, pixels| {
            all.extend_from_slice(&pixels.units());
            Ok(())
        })?;
        Ok(all)
    }
}

/// The images `rows` of a batch whose first one has the number `first`.
fn chosen<T: Copy>(pixels: &[T], d: usize, first: usize, rows: &[usize]) -> Vec<T> {
    let image = |row: &usize| &pixels[(row - first) * d..(row - first + 1) * d];
    rows.iter().flat_map(image).copied().collect()
}

/// What is kept of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them, and logits.
    Rows,
    /// Mean and covariance alone, whose memory does not grow with the number of images.
    Statistics,
}

impl Extractor {
    /// What its features of a set rest on.
    ///
    /// # Errors
    /// A network without a protocol.
    pub fn made(&self, images: &ImageSet) -> Result<Made> {
        let none = || Error::Mismatch("features that are kept need a protocol".to_owned());
        Ok(Made {
            extractor: self.name().to_owned(),
            extractor_sha256: self.sha256().to_owned(),
            protocol: self.protocol().ok_or_else(none)?,
            data: images.name().to_owned(),
            data_sha256: images.sha256().to_owned(),
        })
    }

    /// What it sees in the images `rows` of a set, which ascend; `progress` is told how many it has seen.
    ///
    /// # Errors
    /// A network without a protocol; as [`ImageSet::each`] and [`Extractor::look`]; a feature that is not finite, with its image;
    /// for statistics fewer than two images.
    pub fn features_of(
        &mut self,
        images: &mut ImageSet,
        rows: &[usize],
        keep: Keep,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Source> {
        let made = self.made(images)?;
        let (d, classes) = (self.n_features(), self.n_classes());
        let name = images.name().to_owned();
        let mut moments = (keep == Keep::Statistics).then(|| Moments::new(&name, d));
        let (mut features, mut logits): (Vec<f64>, Vec<f64>) = Default::default();
        if keep == Keep::Rows {
            // f64: twice the memory of f32.
            let floats = rows.len().saturating_mul(2 * (d + classes));
            room_for("the features of these images", floats as u64)?;
        }
        let mut done = 0;
        images.each(rows, &mut |rows, size, pixels| {
            let seen = self.look(size, pixels)?;
            if let Some(at) = seen.features.iter().position(|x| !x.is_finite()) {
                return Err(refused(SetError::NotFinite {
                    name: format!("{name}: features of {}", made.extractor),
                    row: rows[at / d],
                    column: at % d,
                    value: seen.features[at].into(),
                }));
            }
            match &mut moments {
                Some(moments) => moments.push(&seen.features).map_err(refused)?,
                None => {
                    features.extend(seen.features.into_iter().map(f64::from));
                    logits.extend(seen.logits.into_iter().map(f64::from));
                }
            }
            done += rows.len();
            progress(done);
            Ok(())
        })?;
        let source = match moments {
            Some(moments) => Source::of_statistics(moments.finish().map_err(refused)?),
            None => {
                let logits = (classes > 0).then_some((logits, classes));
                Source::of_rows(&name, (features, d), logits).map_err(refused)?
            }
        };
        Ok(source.with_made(made))
    }
}

fn refused(error: SetError) -> Error {
    metrics::Error::from(error).into()
}
