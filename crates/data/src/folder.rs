//! A folder of pictures: PNG or JPEG, grey or RGB, all of the same size or resized to one.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::arrays::split;
use super::pictures::Picture;
use super::{DataError, Dataset, ImageSize, Images, Origin, hash};
use crate::files::{FileError, read_regular};

/// Reads the pictures in `folder`, sorted by name, each cropped and resized to `size`, [height, width], where that is
/// given; the second value says how they are split, as for one array, and what was done to them.
///
/// Pictures are turned as their EXIF orientation says, transparent ones are blended over black, and 16 bits
/// become 8. Files of other endings and hidden ones are left out.
///
/// errors: no pictures; one that cannot be read; without `size`, one of another size than the first; one of another kind
pub(super) fn dataset(
    folder: &Path,
    size: Option<[usize; 2]>,
) -> Result<(Dataset, Vec<String>), DataError> {
    let place = folder.display().to_string();
    let mut done = Done::default();
    let mut bytes = Vec::new();
    let mut first: Option<(ImageSize, PathBuf)> = None;
    for path in pictures(folder)? {
        let picture = read(&path, size, &mut done)?;
        let kind = picture.size();
        let (expected, at) = first.get_or_insert_with(|| (kind, path.clone()));
        if kind != *expected {
            return Err(odd(&path, kind, at, *expected).into());
        }
        bytes.extend_from_slice(picture.bytes());
    }
    let Some((kind, _)) = first else {
        return Err(FileError::Empty {
            file: place,
            what: "images (.png, .jpg, .jpeg) and no data_batch_1.bin of CIFAR-10",
        }
        .into());
    };
    let sha256 = sum(kind, &bytes);
    let all = Images::from_bytes(kind.height * kind.width * kind.channels, bytes);
    let notices = done.notices(&place, all.n(), kind);
    let ([train, valid, test], notice) = split(all, &place)?;
    let data = Dataset {
        name: place,
        origin: Origin::File,
        height: kind.height,
        width: kind.width,
        channels: kind.channels,
        train,
        valid,
        test,
        classes: Vec::new(),
        further_folds: Vec::new(),
        sha256,
    };
    Ok((data, [vec![notice], notices].concat()))
}

/// Size and colours for people.
fn words(size: ImageSize) -> String {
    let colour = if size.channels == 1 { "grey" } else { "RGB" };
    format!("{}x{} {colour}", size.height, size.width)
}

/// How many pictures something was done to that the user must know.
#[derive(Default)]
struct Done {
    turned: usize,
    transparent: usize,
    deep: usize,
    resized: usize,
}

impl Done {
    fn notices(&self, place: &str, n: usize, kind: ImageSize) -> Vec<String> {
        let resized = format!("cropped at the centre and resized to {}", words(kind));
        let all = [
            (self.turned, "rotated by their EXIF orientation"),
            (
                self.transparent,
                "with transparent pixels, blended over black",
            ),
            (self.deep, "with 16 bits per channel, rounded to 8"),
            (self.resized, &resized),
        ];
        let said = all.into_iter().filter(|(count, _)| *count > 0);
        said.map(|(count, what)| format!("{place}: {count} of {n} pictures {what}"))
            .collect()
    }
}

/// The pictures in a folder, sorted by name. Hidden files are none: macOS leaves a `._a.png` beside each `a.png`.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let fail = |reason| FileError::io(folder, "read", reason);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let path = entry.path();
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if !is_hidden && matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A picture, and what was done to it.
fn read(path: &Path, size: Option<[usize; 2]>, done: &mut Done) -> Result<Picture, FileError> {
    let read = Picture::decode(&read_regular(path)?).map_err(|e| {
        let reason = format!("is not a readable picture: {e}");
        FileError::malformed(&path.display().to_string(), reason)
    })?;
    done.turned += usize::from(read.is_turned);
    done.transparent += usize::from(read.is_transparent);
    done.deep += usize::from(read.is_deep);
    let is = read.picture.size();
    match size {
        Some([height, width]) if [is.height, is.width] != [height, width] => {
            done.resized += 1;
            Ok(read.picture.cropped_and_resized(height, width))
        }
        _ => Ok(read.picture),
    }
}

/// What is learnt from is not what the files say, but what was made of them: sizes and pixels.
fn sum(kind: ImageSize, bytes: &[u8]) -> String {
    let mut sum = Sha256::new();
    for side in [kind.channels, kind.height, kind.width] {
        sum.update((side as u64).to_le_bytes());
    }
    sum.update(bytes);
    hash::hex(sum)
}

/// A picture that is not as the first one, and what can be done.
fn odd(path: &Path, kind: ImageSize, first: &Path, expected: ImageSize) -> FileError {
    let mut reason = format!(
        "is {}, but {} is {}",
        words(kind),
        first.display(),
        words(expected)
    );
    let ImageSize { height, width, .. } = expected;
    if kind.channels != expected.channels {
        reason += ": all pictures must have the same size and channels";
    } else if height == width {
        reason += &format!(": `--set data.resize={height}` crops and resizes all of them");
    } else {
        reason +=
            &format!(": `--set \"data.resize=[{height}, {width}]\"` crops and resizes all of them");
    }
    FileError::malformed(&path.display().to_string(), reason)
}
