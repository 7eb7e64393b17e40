//! The IDX format of the MNIST files: a magic number, the dimensions, big-endian, and the bytes; plain or gzipped.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::dataset::owned;
use super::hash::{self, Sum};
use super::published::{Check, PublishedFile};
use super::{DataError, Dataset, Images, Origin};
use crate::files::gunzip::{Gunzip, is_gzip};
use crate::files::{FileError, Input, MOST_COMPRESSION, read_regular};

/// Type 8 (unsigned byte), 3 dimensions.
const IMAGES: u32 = 0x0803;
/// Type 8 (unsigned byte), 1 dimension.
const LABELS: u32 = 0x0801;
const HEADER: u64 = 16;
/// Bytes before the labels in a file of labels.
const LABELS_HEADER: usize = 8;
/// Training images of MNIST's split, the first of 60,000.
const TRAIN: usize = 50_000;
const FIRST_CHUNK: usize = 1 << 20;

/// The images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub n: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// n·height·width bytes, image by image, row by row.
    pub bytes: Vec<u8>,
}

impl IdxImages {
    /// SHA-256 of the file these images make uncompressed.
    pub fn sha256(&self) -> String {
        let header =
            [IMAGES, self.n as u32, self.height as u32, self.width as u32].map(u32::to_be_bytes);
        let mut sum = Sha256::new();
        sum.update(header.concat());
        sum.update(&self.bytes);
        hash::hex(sum)
    }
}

/// Reads a file of images, plain or gzipped whatever its name.
///
/// errors: a [`FileError`] that names the path: labels, another type or rank, no images, fewer or more bytes than the
/// header announces; nothing is allocated for what the file does not hold
pub fn read_idx_images(path: &Path) -> Result<IdxImages, FileError> {
    read(&Input::open(path)?)
}

/// The four files of MNIST and of sets made after it: training images, training labels, test images, test labels.
pub(super) const fn files(sums: [&'static str; 4]) -> [PublishedFile; 4] {
    const fn file(name: &'static str, size: u64, sum: &'static str) -> PublishedFile {
        PublishedFile::new(name, size, Sum::Sha256, sum)
    }
    [
        file("train-images-idx3-ubyte", 47_040_016, sums[0]),
        file("train-labels-idx1-ubyte", 60_008, sums[1]),
        file("t10k-images-idx3-ubyte", 7_840_016, sums[2]),
        file("t10k-labels-idx1-ubyte", 10_008, sums[3]),
    ]
}

/// Reads those files: 60,000 images, of which the paper keeps the last 10,000 to validate, and 10,000 to test. `sha256` is
/// that of the two files of images, one after the other.
pub(super) fn dataset(
    folder: &Path,
    [train, train_labels, test, test_labels]: &[PublishedFile; 4],
    classes: &'static [&'static str],
    sha256: &str,
) -> Result<Dataset, DataError> {
    let part = |images: &PublishedFile, labels: &PublishedFile| {
        let path = folder.join(images.name);
        let read = read_idx_images(&path)?;
        if let Check::Sum { kind, sum, .. } = &images.check {
            kind.compare(path.display().to_string(), sum, read.sha256())?;
        }
        let (height, width) = (read.height, read.width);
        let path = folder.join(labels.name);
        labels.check.of_file(&path)?;
        let bytes = read_regular(&path)?;
        let labels = bytes.get(LABELS_HEADER..).unwrap_or_default();
        let images = Images::from_bytes(height * width, read.bytes).with_labels(labels);
        Ok::<_, DataError>((images, height, width))
    };
    let (all, height, width) = part(train, train_labels)?;
    Ok(Dataset {
        name: folder.display().to_string(),
        origin: Origin::Full,
        height,
        width,
        channels: 1,
        classes: owned(classes),
        train: all.slice(0..TRAIN)?,
        valid: all.slice(TRAIN..all.n())?,
        test: part(test, test_labels)?.0,
        further_folds: Vec::new(),
        sha256: sha256.to_string(),
    })
}

/// As [`read_idx_images`].
pub(super) fn read(input: &Input) -> Result<IdxImages, FileError> {
    parse(BufReader::new(input.source()?), input.size, &input.place)
}

/// Reads images from `source`, which holds `size` bytes, gzipped or not; `place` names it in errors.
pub(super) fn parse(
    mut source: impl BufRead,
    size: u64,
    place: &str,
) -> Result<IdxImages, FileError> {
    if is_gzip(&mut source).map_err(|e| FileError::read(place, e, "a header", 0))? {
        parse_content(&mut Gunzip::new(source), Size::Compressed(size), place)
    } else {
        parse_content(&mut source, Size::Exact(size), place)
    }
}

/// Bytes of a file.
#[derive(Clone, Copy)]
enum Size {
    /// Those of the content.
    Exact(u64),
    /// Those that the content is compressed to.
    Compressed(u64),
}

impl Size {
    /// Bytes that may come at most.
    fn most(self) -> u64 {
        match self {
            Size::Exact(size) => size,
            Size::Compressed(size) => size.saturating_mul(MOST_COMPRESSION),
        }
    }
}

fn parse_content(source: &mut dyn Read, size: Size, place: &str) -> Result<IdxImages, FileError> {
    let mut header = Vec::new();
    let read = source.take(HEADER).read_to_end(&mut header);
    read.map_err(|e| FileError::read(place, e, "an IDX header of 16 bytes", 0))?;
    let word = |at: usize| {
        header
            .get(at..at + 4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    };
    check_magic(word(0), &header, place)?;
    let truncated = |announced: String, found| FileError::Truncated {
        file: place.to_string(),
        announced,
        found,
    };
    let (Some(n), Some(height), Some(width)) = (word(4), word(8), word(12)) else {
        return Err(truncated(
            "an IDX header of 16 bytes".to_string(),
            header.len() as u64,
        ));
    };
    let announced = format!("{n} images of {height}x{width}");
    if n == 0 {
        return Err(FileError::Empty {
            file: place.to_string(),
            what: "images",
        });
    }
    if height == 0 || width == 0 {
        return Err(FileError::Empty {
            file: place.to_string(),
            what: "pixels",
        });
    }
    let wanted = [n, height, width]
        .iter()
        .try_fold(1_u64, |product, &dim| product.checked_mul(u64::from(dim)));
    let most = size.most().saturating_sub(HEADER);
    let Some(wanted) = wanted.filter(|&wanted| wanted <= most) else {
        return Err(match size {
            Size::Exact(_) => truncated(announced, most),
            Size::Compressed(size) => FileError::malformed(
                place,
                format!(
                    "truncated or wrong header: it announces {announced}, more than {size} compressed bytes can hold"
                ),
            ),
        });
    };
    let bytes = read_exactly(source, wanted, &announced, size, place)?;
    Ok(IdxImages {
        n: n as usize,
        height: height as usize,
        width: width as usize,
        bytes,
    })
}

fn check_magic(magic: Option<u32>, header: &[u8], place: &str) -> Result<(), FileError> {
    match magic {
        Some(IMAGES) => Ok(()),
        Some(LABELS) => Err(FileError::LabelsNotImages {
            file: place.to_string(),
        }),
        Some(other) if other >> 16 == 0 && matches!(other >> 8, 0x08..=0x0e) => {
            let (kind, rank) = (other >> 8, other & 0xff);
            let reason = format!(
                "IDX type 0x{kind:02x} of {rank} dimensions: expected type 0x08 (bytes) of 3 dimensions"
            );
            Err(FileError::malformed(place, reason))
        }
        _ => Err(FileError::magic(
            place,
            "an IDX file of images",
            &header[..header.len().min(4)],
        )),
    }
}

/// `wanted` bytes and then the end, into a buffer that grows with what comes.
fn read_exactly(
    source: &mut dyn Read,
    wanted: u64,
    announced: &str,
    size: Size,
    place: &str,
) -> Result<Vec<u8>, FileError> {
    let mut bytes: Vec<u8> = Vec::new();
    while (bytes.len() as u64) < wanted {
        let done = bytes.len();
        let more = (wanted - done as u64).min(done.max(FIRST_CHUNK) as u64);
        if bytes.try_reserve_exact(more as usize).is_err() {
            return Err(FileError::memory(place, announced));
        }
        let read = source.take(more).read_to_end(&mut bytes);
        let found = bytes.len() as u64;
        read.map_err(|e| FileError::read(place, e, announced, found))?;
        if found < done as u64 + more {
            return Err(FileError::Truncated {
                file: place.to_string(),
                announced: announced.to_string(),
                found,
            });
        }
    }
    let mut one_more = [0];
    let extra = source
        .read(&mut one_more)
        .map_err(|e| FileError::read(place, e, announced, wanted))?;
    if extra > 0 {
        let expected = wanted + HEADER;
        return Err(FileError::TrailingBytes {
            file: place.to_string(),
            expected,
            extra: match size {
                Size::Exact(all) => Some(all.saturating_sub(expected)),
                Size::Compressed(_) => None,
            },
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of that many numbers, each the rest of its place by `modulus`, behind `header`.
    fn file(header: &[u32], n: usize, modulus: usize) -> Vec<u8> {
        let words = header.iter().flat_map(|word| word.to_be_bytes());
        words.chain((0..n).map(|i| (i % modulus) as u8)).collect()
    }

    #[test]
    fn four_files_are_images_with_their_labels() {
        let folder = tempfile::tempdir().unwrap();
        let contents = [
            file(&[IMAGES, 60_000, 1, 1], 60_000, 251),
            file(&[LABELS, 60_000], 60_000, 10),
            file(&[IMAGES, 10_000, 1, 1], 10_000, 251),
            file(&[LABELS, 10_000], 10_000, 10),
        ];
        let sums = contents.each_ref().map(|content| {
            let sum = hash::hex(Sha256::new_with_prefix(content));
            &*sum.leak()
        });
        let files = files(sums);
        for (file, content) in files.iter().zip(&contents) {
            fs::write(folder.path().join(file.name), content).unwrap();
        }
        let read = || dataset(folder.path(), &files, &["a"; 10], "of both");
        let data = read().unwrap();
        assert_eq!(
            (data.train.n(), data.valid.n(), data.test.n()),
            (50_000, 10_000, 10_000)
        );
        assert_eq!(data.sha256, "of both");
        let (pixels, labels) = (data.valid.bytes().unwrap(), data.valid.labels().unwrap());
        assert_eq!((pixels[7], labels[7]), ((50_007 % 251) as u8, 7));
        assert_eq!(data.test.labels().unwrap().len(), 10_000);
        // A label that is another one is not taken.
        let path = folder.path().join(files[1].name);
        fs::write(path, file(&[LABELS, 60_000], 60_000, 9)).unwrap();
        let refused = read().unwrap_err().to_string();
        assert!(
            refused.contains("train-labels-idx1-ubyte: damaged: SHA-256"),
            "{refused}"
        );
    }
}
