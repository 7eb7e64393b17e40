//! Street View House Numbers (Netzer et al. 2011), the cropped digits: two MATLAB 5 files.
//!
//! | variable | |
//! |---|---|
//! | `X` | uint8 [32, 32, 3, N]: row, column, channel, image; column-major, as MATLAB stores arrays |
//! | `y` | [N, 1], any numeric type: the digit, 10 for 0 |
//!
//! source: <http://ufldl.stanford.edu/housenumbers/>, format 2; SHA-256 and sizes as in `svhn_cropped.txt` of TensorFlow
//! Datasets

use std::borrow::Cow;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Published, Reading};
use crate::arrays::SHARE;
use crate::files::FileError;
use crate::files::mat::Mat;
use crate::hash::Sum;
use crate::published::PublishedFile;
use crate::sources::Source;
use crate::{DataError, Dataset, ImageSize, Images, hash};

/// Digits of house numbers in colour, 32x32.
pub static SVHN: Published = Published {
    name: "svhn",
    about: "digits of house numbers in colour",
    image: ImageSize {
        height: SIDE,
        width: SIDE,
        channels: CHANNELS,
    },
    classes: CLASSES,
    files: &FILES,
    sources: &[Source::Files(Cow::Borrowed(
        "http://ufldl.stanford.edu/housenumbers/",
    ))],
    on_disk: Some("246 MB"),
    reading: Reading::Files(dataset),
    sample: None,
};

const CLASSES: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PIXELS: usize = SIDE * SIDE * CHANNELS;
const TRAIN: &str = "train_32x32.mat";
const TEST: &str = "test_32x32.mat";

static FILES: [PublishedFile; 2] = [
    PublishedFile::new(
        TRAIN,
        182_040_794,
        Sum::Sha256,
        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    ),
    PublishedFile::new(
        TEST,
        64_275_384,
        Sum::Sha256,
        "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    ),
];

/// Reads both files in `folder`; the last seventh of the training images validates.
///
/// errors: a missing or damaged file, one without `X` and `y` as above; fewer than seven training images
fn dataset(folder: &Path) -> Result<Dataset, DataError> {
    let place = folder.display().to_string();
    let mut sums = Sha256::new_with_prefix("hwc");
    let mut of = |name: &str| {
        let path = folder.join(name);
        let images = images(&path)?;
        sums.update(hash::of_file(&path)?);
        Ok::<_, FileError>(images)
    };
    let parts = [of(TRAIN)?, of(TEST)?];
    SVHN.of_images(place, parts, SHARE, hash::hex(sums))
}

/// The images of a file, with their labels.
fn images(path: &Path) -> Result<Images, FileError> {
    let place = path.display().to_string();
    let malformed = |reason: String| FileError::malformed(&place, reason);
    let mat = Mat::read(path, &place)?;
    let x = mat.get("X")?;
    let columns = x.uint8();
    let columns = columns.ok_or_else(|| malformed("`X` is not uint8".to_string()))?;
    let &[SIDE, SIDE, CHANNELS, n] = x.size.as_slice() else {
        let size = &x.size;
        let reason = format!("`X` is of size {size:?}: expected [32, 32, 3, N]");
        return Err(malformed(reason));
    };
    if n == 0 {
        let what = "images";
        return Err(FileError::Empty { file: place, what });
    }
    let y = mat.get("y")?;
    if y.size != [n, 1] {
        let size = &y.size;
        let reason =
            format!("`y` is of size {size:?}: expected [{n}, 1], a label for each image of `X`");
        return Err(malformed(reason));
    }
    let mut labels = Vec::with_capacity(n);
    for (row, label) in y.to_f64().into_iter().enumerate() {
        match (1..=10_u8).find(|&digit| f64::from(digit) == label) {
            Some(digit) => labels.push(digit % 10),
            None => {
                let reason = format!("`y` has {label} at row {row}: expected 1 to 10, 10 for 0");
                return Err(malformed(reason));
            }
        }
    }
    let mut pixels = Vec::with_capacity(columns.len());
    for image in columns.chunks_exact(PIXELS) {
        for y in 0..SIDE {
            for x in 0..SIDE {
                let at = |channel: usize| image[(channel * SIDE + x) * SIDE + y];
                pixels.extend([0, 1, 2].map(at));
            }
        }
    }
    Ok(Images::from_bytes(PIXELS, pixels).with_labels(labels))
}
