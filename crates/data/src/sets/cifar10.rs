//! CIFAR-10 (Krizhevsky 2009), its binary version: files of records, each a label and an image of 32x32, channel by channel;
//! here pixel by pixel, as all images.

use std::borrow::Cow;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Published, Reading};
use crate::files::matrix::channels_last;
use crate::files::{FileError, read_regular};
use crate::hash::Sum;
use crate::published::PublishedFile;
use crate::sources::Source;
use crate::{DataError, Dataset, ImageSize, Images, hash};

/// Things and animals in colour, 32x32.
pub static CIFAR10: Published = Published {
    name: "cifar10",
    about: "things and animals in colour",
    image: ImageSize {
        height: SIDE,
        width: SIDE,
        channels: CHANNELS,
    },
    classes: CLASSES,
    files: &FILES,
    sources: &[Source::Archive(Cow::Borrowed(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ))],
    on_disk: Some("184 MB"),
    reading: Reading::Files(dataset),
    sample: None,
};

const CLASSES: &[&str] = &[
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

static FILES: [PublishedFile; 6] = [
    file(BATCHES[0], "5dd7e06a14cb22eb9f671a540d1b7c25"),
    file(BATCHES[1], "5ea93a67294ea407fff1d09f752e9692"),
    file(BATCHES[2], "942cd6a4bcdd0dd3c604fbe906cb4421"),
    file(BATCHES[3], "ae636b3ba5c66a11e91e8cb52e771fcb"),
    file(BATCHES[4], "53f37980c15c3d472c316c40844f3f0d"),
    file(TEST, "803d5f7f4d78ea53de84dbe85f74fb6d"),
];

/// The MD5 sums are the published ones; there are no others.
const fn file(name: &'static str, md5: &'static str) -> PublishedFile {
    PublishedFile::new(name, 10_000 * RECORD as u64, Sum::Md5, md5)
}

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PIXELS: usize = SIDE * SIDE * CHANNELS;
const RECORD: usize = 1 + PIXELS;
/// Files of training images, in order.
const BATCHES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The file of test images.
const TEST: &str = "test_batch.bin";
/// One training image in five validates: the last 10,000 of 50,000, as in the paper's code.
const SHARE: usize = 5;

/// Reads the files in `folder`: the first or more of [`BATCHES`], and [`TEST`].
///
/// errors: a missing or damaged file; fewer than five training images
fn dataset(folder: &Path) -> Result<Dataset, DataError> {
    let place = folder.display().to_string();
    // Not only which bytes, but in what order they are learnt from.
    let mut hash = Sha256::new_with_prefix("hwc");
    let present = BATCHES.iter().filter(|file| folder.join(file).exists());
    let count = present.count().max(1);
    let mut train = Records::default();
    for file in &BATCHES[..count] {
        train.append(&folder.join(file), &mut hash)?;
    }
    let mut test = Records::default();
    test.append(&folder.join(TEST), &mut hash)?;
    let parts = [train, test].map(Records::images);
    CIFAR10.of_images(place, parts, SHARE, hash::hex(hash))
}

/// What files hold.
#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Records {
    fn images(self) -> Images {
        Images::from_bytes(PIXELS, self.pixels).with_labels(self.labels)
    }

    /// Appends the records of a file, and all its bytes to what `hash` has seen.
    fn append(&mut self, path: &Path, hash: &mut Sha256) -> Result<(), FileError> {
        let bytes = read_regular(path)?;
        let place = path.display().to_string();
        if bytes.is_empty() {
            return Err(FileError::Empty {
                file: place,
                what: "images",
            });
        }
        if !bytes.len().is_multiple_of(RECORD) {
            let reason = format!(
                "{} bytes are not a multiple of CIFAR-10's record size, {RECORD}",
                bytes.len()
            );
            return Err(FileError::malformed(&place, reason));
        }
        hash.update(&bytes);
        self.pixels.reserve(bytes.len());
        for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
            let (label, image) = (record[0], &record[1..]);
            if usize::from(label) >= CLASSES.len() {
                let reason = format!("record {i} has the label {label}: expected 0 to 9");
                return Err(FileError::malformed(&place, reason));
            }
            self.labels.push(label);
            channels_last(image, CHANNELS, &mut self.pixels);
        }
        Ok(())
    }
}
