//! A folder of pictures: PNG or JPEG, all of one size, grey or RGB.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader};
use sha2::{Digest, Sha256};

use super::arrays::split;
use super::{DataError, Dataset, Images, Origin, hash};
use crate::files::FileError;

/// Reads the pictures in `folder`, sorted by name; the second value says how they are split, as for one array.
///
/// errors: no pictures; one that cannot be read, or of another size or kind than the first
pub(super) fn dataset(folder: &Path) -> Result<(Dataset, Vec<String>), DataError> {
    let place = folder.display().to_string();
    let mut hash = Sha256::new();
    let mut bytes = Vec::new();
    let mut first: Option<(Kind, PathBuf)> = None;
    for path in pictures(folder)? {
        let file = fs::read(&path).map_err(|reason| FileError::io(&path, "read", reason))?;
        hash.update(&file);
        let picture = decode(&file, &path)?;
        let kind = Kind::of(&picture, &path)?;
        let (expected, at) = first.get_or_insert_with(|| (kind, path.clone()));
        if kind != *expected {
            let reason = format!("is {kind}, but {} is {expected}", at.display());
            return Err(FileError::malformed(&path.display().to_string(), reason).into());
        }
        append(&picture, kind, &mut bytes);
    }
    let Some((kind, _)) = first else {
        return Err(FileError::Empty {
            file: place,
            what: "images (.png, .jpg, .jpeg), and no data_batch_1.bin of CIFAR-10 either",
        }
        .into());
    };
    let ([train, valid, test], notice) = split(Images::from_bytes(kind.len(), bytes), &place)?;
    let data = Dataset {
        name: place,
        origin: Origin::File,
        height: kind.height,
        width: kind.width,
        channels: kind.channels,
        train,
        valid,
        test,
        further_folds: Vec::new(),
        sha256: hash::hex(hash),
    };
    Ok((data, vec![notice]))
}

/// Size and channels of a picture.
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    height: usize,
    width: usize,
    channels: usize,
}

impl Kind {
    fn of(picture: &DynamicImage, path: &Path) -> Result<Kind, FileError> {
        let channels = match picture {
            DynamicImage::ImageLuma8(_) => 1,
            DynamicImage::ImageRgb8(_) => 3,
            other => {
                let reason = format!("is {:?}: expected grey or RGB of 8 bits", other.color());
                return Err(FileError::malformed(&path.display().to_string(), reason));
            }
        };
        Ok(Kind {
            height: picture.height() as usize,
            width: picture.width() as usize,
            channels,
        })
    }

    fn len(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colour = if self.channels == 1 { "grey" } else { "RGB" };
        write!(f, "{}x{} {colour}", self.height, self.width)
    }
}

/// The pictures in a folder, sorted by name.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let fail = |reason| FileError::io(folder, "read", reason);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn decode(file: &[u8], path: &Path) -> Result<DynamicImage, FileError> {
    let refuse = |reason: String| FileError::malformed(&path.display().to_string(), reason);
    let reader = ImageReader::new(std::io::Cursor::new(file)).with_guessed_format();
    let reader = reader.map_err(|reason| FileError::io(path, "read", reason))?;
    let picture = reader.decode();
    picture.map_err(|e| refuse(format!("is no picture that can be read: {e}")))
}

/// Appends a picture channel by channel.
fn append(picture: &DynamicImage, kind: Kind, bytes: &mut Vec<u8>) {
    for channel in 0..kind.channels {
        let values = picture.as_bytes().iter().skip(channel);
        bytes.extend(values.step_by(kind.channels));
    }
}
