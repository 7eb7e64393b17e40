//! CIFAR-10's binary version: files of records, each a label and an image of 32x32, channel by channel.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::{DataError, Dataset, Images, Origin, hash};
use crate::files::{FileError, read_regular};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PIXELS: usize = SIDE * SIDE * CHANNELS;
const RECORD: usize = 1 + PIXELS;
const CLASSES: u8 = 10;
/// Files of training images, in order.
pub(super) const BATCHES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The file of test images.
pub(super) const TEST: &str = "test_batch.bin";
/// One training image in five validates: the last 10,000 of 50,000, as in the paper's code.
const SHARE: usize = 5;

/// Whether a folder is one of CIFAR-10's files.
pub(super) fn is_in(folder: &Path) -> bool {
    BATCHES
        .iter()
        .chain([&TEST])
        .any(|file| folder.join(file).exists())
}

/// Reads the files in `folder`: the first or more of [`BATCHES`], and [`TEST`].
///
/// errors: a missing or damaged file; fewer than five training images
pub(super) fn dataset(folder: &Path) -> Result<Dataset, DataError> {
    let place = folder.display().to_string();
    let mut hash = Sha256::new();
    let present = BATCHES.iter().filter(|file| folder.join(file).exists());
    let count = present.count().max(1);
    let mut train = Vec::new();
    for file in &BATCHES[..count] {
        append(&folder.join(file), &mut hash, &mut train)?;
    }
    let mut test = Vec::new();
    append(&folder.join(TEST), &mut hash, &mut test)?;
    let train = Images::from_bytes(PIXELS, train);
    let first_valid = train.n() - train.n() / SHARE;
    if first_valid == train.n() {
        let reason = format!(
            "{} training images cannot be split: expected at least {SHARE}",
            train.n()
        );
        return Err(FileError::malformed(&place, reason).into());
    }
    Ok(Dataset {
        name: place,
        origin: Origin::File,
        height: SIDE,
        width: SIDE,
        channels: CHANNELS,
        valid: train.slice(first_valid..train.n())?,
        train: train.slice(0..first_valid)?,
        test: Images::from_bytes(PIXELS, test),
        further_folds: Vec::new(),
        sha256: hash::hex(hash),
    })
}

/// Appends the pixels of a file's records to `pixels`, and all its bytes to what `hash` has seen.
fn append(path: &Path, hash: &mut Sha256, pixels: &mut Vec<u8>) -> Result<(), FileError> {
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
            "{} bytes are no whole number of CIFAR-10 records of {RECORD}",
            bytes.len()
        );
        return Err(FileError::malformed(&place, reason));
    }
    hash.update(&bytes);
    pixels.reserve(bytes.len());
    for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
        let (label, image) = (record[0], &record[1..]);
        if label >= CLASSES {
            let reason = format!("record {i} has the label {label}: expected 0 to 9");
            return Err(FileError::malformed(&place, reason));
        }
        pixels.extend_from_slice(image);
    }
    Ok(())
}
