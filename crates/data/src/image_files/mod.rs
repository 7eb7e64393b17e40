//! Images that any program made, read batch by batch: pictures in a folder or an archive, or arrays.
//!
//! | path | |
//! |---|---|
//! | `folder/`, `file.tar`, `file.zip`, `data.mdb` | PNG and JPEG pictures, in folders as deep as they lie unless [`ImageOptions::deep`] is not set, sorted by their whole names, byte by byte; with [`ImageOptions::arrays`] .npy files among them |
//! | `file.npy`, `file.npz`, `file.npz:name` | one array: [n, height, width, channels], [n, height, width], or [n, d] |
//!
//! What is in memory is a batch, however many images there are; of pictures also their names, and of an array in Fortran order all
//! of it. [`ImageFiles::open`] reads everything once, for the sum, the sizes and the range of the values, so that nothing is
//! computed from what is unfit.
//!
//! Pixels of pictures are those of `convert("RGB")` of Python's Pillow, as programs that score images have them: transparency
//! is left out, EXIF orientations are not applied. Where some pictures are in colour, grey ones are repeated in three channels.
//! Pictures that are learnt from ([`crate::load`]) are turned and laid over black instead.
//!
//! ```
//! use ganforge_data::files::{ArrayRef, write_npy};
//! use ganforge_data::image_files::{ImageFiles, ImageOptions, Pixels};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("x.npy");
//! write_npy(&path, ArrayRef::f32(&[3, 2, 2], &[0.25; 12]))?; // or a folder of pictures
//! let mut images = ImageFiles::open(&path, &ImageOptions::default())?;
//! assert_eq!((images.n(), images.channels()), (3, 1));
//! while let Some(batch) = images.next(2)? {
//!     match &batch.pixels {
//!         Pixels::Bytes(bytes) => println!("{} of {}: {bytes:?}", batch.n(), batch.size),
//!         Pixels::Units(values) => assert!(values.iter().all(|v| *v == 0.25)),
//!     }
//! }
//! for line in images.notices() {
//!     eprintln!("{line}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod pictures;

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::ImageSize;
use crate::album::COMPRESSED;
use crate::files::matrix::{Container, split_name};
use crate::files::{FileError, Input};
use crate::hash;
use array::ArrayImages;
use pictures::PictureImages;

/// Values of a batch of the first reading, about.
const AT_ONCE: usize = 1 << 22;

/// How images are to be read.
#[derive(Clone, Copy, Debug)]
pub struct ImageOptions {
    /// The size of images in an array [n, d]; else a square of grey or RGB pixels.
    pub size: Option<ImageSize>,
    /// Where the values of float arrays lie. Bytes and pictures say it themselves.
    ///
    /// Values that show that another range is meant are an error: one outside of it; of [`ValueRange::Signed`] none below 0, as
    /// if no pixel of any image were darker than grey; of [`ValueRange::Bytes`] none above 1, as if no pixel had more than
    /// 1/255 of white. Where all values are the same number, as from a generator that died, they may be meant: that is a notice.
    pub range: ValueRange,
    /// Whether pictures may have different sizes; each batch is then of one size.
    pub mixed: bool,
    /// Whether pictures in folders within the folder or the archive are read, too, which they are by default. How many were
    /// left out is a notice.
    pub deep: bool,
    /// Whether .npy files among the pictures are read, too: each an RGB image, uint8 [height, width, 3].
    pub arrays: bool,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            size: None,
            range: ValueRange::default(),
            mixed: false,
            deep: true,
            arrays: false,
        }
    }
}

/// Where values lie: from black to white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueRange {
    /// 0 to 1.
    #[default]
    Unit,
    /// −1 to 1, as a tanh makes them.
    Signed,
    /// 0 to 255, whole or not.
    Bytes,
}

/// Pixels [n, height, width, channels], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// 0 to 255: of pictures, and of arrays of uint8.
    Bytes(Vec<u8>),
    /// 0 to 1: of arrays of floats.
    Units(Vec<f32>),
}

impl Pixels {
    fn len(&self) -> usize {
        match self {
            Pixels::Bytes(bytes) => bytes.len(),
            Pixels::Units(values) => values.len(),
        }
    }
}

/// Some images, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The number of the first one, from 0.
    pub first: usize,
    /// The size of each.
    pub size: ImageSize,
    /// Their pixels.
    pub pixels: Pixels,
}

impl Batch {
    /// How many there are, at least one.
    pub fn n(&self) -> usize {
        self.pixels.len() / self.size.values().unwrap_or(1).max(1)
    }
}

/// Images to be read batch by batch, opened.
pub struct ImageFiles {
    place: String,
    source: Source,
    sha256: String,
}

enum Source {
    Array(ArrayImages),
    Pictures(PictureImages),
}

impl ImageFiles {
    /// Opens images and reads them once.
    ///
    /// # Errors
    /// No such file or folder, or nothing that is read here; no images in it; of pictures what is damaged, and two of different
    /// sizes unless these are allowed; of arrays another type or shape, a NaN or a value out of range, with its image and place, and values that
    /// show that another range is meant
    pub fn open(path: &Path, options: &ImageOptions) -> Result<Self, FileError> {
        let place = path.display().to_string();
        let ends_with = |ending: &str| place.to_lowercase().ends_with(ending);
        let named = split_name(path);
        let is_array = named.is_some() || ends_with(".npy") || ends_with(".npz");
        let is_pictures = path.is_dir() || [".tar", ".zip", ".mdb"].into_iter().any(ends_with);
        let is_packed = [".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"];
        if is_packed.into_iter().any(ends_with) {
            return Err(FileError::malformed(&place, COMPRESSED));
        }
        let (source, sha256) = if is_pictures && named.is_none() {
            let (pictures, sha256) = PictureImages::open(path, options)?;
            (Source::Pictures(pictures), sha256)
        } else {
            let (file, name) = match &named {
                Some((file, name)) => (file.as_path(), Some(name.as_str())),
                None => (path, None),
            };
            let input = Input::open(file)?;
            if !is_array && Container::of(&input).is_err() {
                let reason = "is no images that are read here: expected a folder, a .tar or a .zip of PNG or JPEG pictures, a \
                              .npy or a .npz";
                return Err(FileError::malformed(&place, reason));
            }
            let mut array = ArrayImages::open(input, name, options)?;
            let sha256 = sum_of(&mut array)?;
            array.check_range()?;
            array.restart()?;
            (Source::Array(array), sha256)
        };
        Ok(Self {
            place,
            source,
            sha256,
        })
    }

    /// What was opened, as it was given.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How many images there are, at least one.
    pub fn n(&self) -> usize {
        match &self.source {
            Source::Array(array) => array.n(),
            Source::Pictures(pictures) => pictures.n(),
        }
    }

    /// The size of all images; none where there are several.
    pub fn size(&self) -> Option<ImageSize> {
        match &self.source {
            Source::Array(array) => Some(array.size()),
            Source::Pictures(pictures) => pictures.size(),
        }
    }

    /// Whether [`ImageOptions::range`] says what the values mean: of arrays of floats.
    pub fn has_range(&self) -> bool {
        match &self.source {
            Source::Array(array) => array.has_range(),
            Source::Pictures(_) => false,
        }
    }

    /// 1 where all are grey, else 3.
    pub fn channels(&self) -> usize {
        match &self.source {
            Source::Array(array) => array.size().channels,
            Source::Pictures(pictures) => pictures.channels(),
        }
    }

    /// SHA-256 of the images. Of an array it is that of n, height, width and channels, as 64 bits each, and of all pixels as
    /// [`ImageFiles::next`] gives them, so that it is the same in any layout of the file; of pictures that of the SHA-256 of
    /// each file, in order, so that it is the same for a folder and an archive of it.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What messages call image `index`: a picture's file, else a number in the array.
    pub fn name(&self, index: usize) -> String {
        match &self.source {
            Source::Array(array) => array.name(index),
            Source::Pictures(pictures) => pictures.name(index),
        }
    }

    /// What a user must know of what was read so far, line by line; complete after the last batch.
    pub fn notices(&self) -> Vec<String> {
        let lines = match &self.source {
            Source::Array(array) => array.notices(),
            Source::Pictures(pictures) => pictures.notices(),
        };
        lines
            .iter()
            .map(|line| format!("{}: {line}", self.place))
            .collect()
    }

    /// The next images, at most `max` of them, or one where that is 0; none after the last.
    ///
    /// # Errors
    /// A picture that is damaged, with its name; what has changed since it was opened; what the system refuses
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, max: usize) -> Result<Option<Batch>, FileError> {
        match &mut self.source {
            Source::Array(array) => array.next(max.max(1)),
            Source::Pictures(pictures) => pictures.next(max.max(1)),
        }
    }

    /// Begins with the first image again.
    ///
    /// # Errors
    /// What the system refuses
    pub fn restart(&mut self) -> Result<(), FileError> {
        match &mut self.source {
            Source::Array(array) => array.restart(),
            Source::Pictures(pictures) => {
                pictures.restart();
                Ok(())
            }
        }
    }
}

/// The sum of an array, which is read to its end.
fn sum_of(array: &mut ArrayImages) -> Result<String, FileError> {
    let size = array.size();
    let mut sum = Sha256::new();
    for side in [array.n(), size.height, size.width, size.channels] {
        sum.update((side as u64).to_le_bytes());
    }
    let at_once = AT_ONCE / size.values().unwrap_or(1).max(1);
    while let Some(batch) = array.next(at_once.max(1))? {
        match batch.pixels {
            Pixels::Bytes(bytes) => sum.update(bytes),
            Pixels::Units(values) => sum.update(bytemuck::cast_slice::<f32, u8>(&values)),
        }
    }
    Ok(hash::hex(sum))
}
