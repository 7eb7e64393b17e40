//! The Toronto Face Database (Susskind, Anderson and Hinton 2010): a MATLAB 5 file of faces, most of them without a label, and five folds of the others.
//!
//! | variable | |
//! |---|---|
//! | `images` | uint8 [N, height, width] |
//! | `folds` | [N, 5], any numbers: 0 unlabelled, 1 train, 2 validation, 3 test |
//!
//! Labels (`labs_ex`, `labs_id`) are not read: the paper's model does not use them. It is trained on the
//! unlabelled images and scored on each fold's validation and test images (Goodfellow et al. 2014, section 5).

use std::path::Path;

use super::{Published, Reading};
use crate::files::mat::Mat;
use crate::files::{FileError, check_regular};
use crate::published::{Check, PublishedFile};
use crate::sources::Source;
use crate::{DataError, Dataset, Fold, ImageSize, Images, Origin, hash};

/// Faces, 48x48.
pub static TFD: Published = Published {
    name: "tfd",
    about: "faces, with five folds of them to choose by and to report on",
    image: ImageSize {
        height: 48,
        width: 48,
        channels: 1,
    },
    classes: &[],
    files: &[PublishedFile {
        name: FILE,
        check: Check::Content(|path, place| dataset(path, place).map(drop)),
    }],
    sources: &[Source::OnRequest(
        "the Toronto Face Database (Susskind, Anderson and Hinton 2010) has no public mirror: ask the University of \
         Toronto for TFD_48x48.mat, then `ganforge data fetch tfd --from FOLDER`",
    )],
    on_disk: None,
    reading: Reading::Published(|folder| {
        let path = folder.join(FILE);
        dataset(&path, &path.display().to_string())
    }),
    sample: None,
};

const FILE: &str = "TFD_48x48.mat";

/// The official folds: columns of `folds`.
const FOLDS: usize = 5;
/// Codes of `folds`.
const UNLABELLED: f64 = 0.0;
const VALID: f64 = 2.0;
const TEST: f64 = 3.0;

/// Images gathered at once: few enough to stay in a cache while they are turned from column-major to row-major.
const BLOCK: usize = 64;

/// Reads `path`, which messages call `place`.
///
/// errors: a file that is no MATLAB 5 file of these variables; a fold without validation or test images; no unlabelled
/// images
pub(crate) fn dataset(path: &Path, place: &str) -> Result<Dataset, DataError> {
    check_regular(path)?; // it is read twice
    let sha256 = hash::of_file(path)?;
    let mat = Mat::read(path, place)?;
    let malformed = |reason: String| FileError::malformed(place, reason);
    let images = mat.get("images")?;
    let pixels = images.uint8();
    let pixels = pixels.ok_or_else(|| malformed("`images` is not uint8".to_string()))?;
    let &[n, height, width] = images.size.as_slice() else {
        let size = &images.size;
        let reason = format!("`images` is of size {size:?}: expected [N, height, width]");
        return Err(malformed(reason).into());
    };
    if pixels.is_empty() {
        return Err(malformed("`images` is empty".to_string()).into());
    }
    let folds = mat.get("folds")?;
    if folds.size != [n, FOLDS] {
        let size = &folds.size;
        let reason = format!(
            "`folds` is of size {size:?}: expected [{n}, {FOLDS}], a row for each image and a column for each fold"
        );
        return Err(malformed(reason).into());
    }
    let codes = folds.to_f64();
    if let Some(at) = codes.iter().position(|c| ![0.0, 1.0, 2.0, 3.0].contains(c)) {
        let (row, column, code) = (at % n, at / n, codes[at]);
        let reason = format!(
            "`folds` has {code} at row {row}, column {column}: expected 0 unlabelled, 1 train, 2 validation, 3 test"
        );
        return Err(malformed(reason).into());
    }
    let with = |what: &'static str, is_in: &dyn Fn(usize) -> bool| {
        let rows: Vec<usize> = (0..n).filter(|&row| is_in(row)).collect();
        match rows.is_empty() {
            true => Err(FileError::Empty {
                file: place.to_string(),
                what,
            }),
            false => Ok(gather(pixels, [n, height, width], &rows)),
        }
    };
    let code = |row: usize, fold: usize| codes[fold * n + row];
    let train = with("unlabelled images", &|row| {
        (0..FOLDS).all(|fold| code(row, fold) == UNLABELLED)
    })?;
    let mut folds = Vec::with_capacity(FOLDS);
    for fold in 0..FOLDS {
        folds.push(Fold {
            valid: with("validation images in one of its folds", &|row| {
                code(row, fold) == VALID
            })?,
            test: with("test images in one of its folds", &|row| {
                code(row, fold) == TEST
            })?,
        });
    }
    let first = folds.remove(0);
    Ok(Dataset {
        name: place.to_string(),
        origin: Origin::File,
        height,
        width,
        channels: 1,
        classes: Vec::new(),
        train,
        valid: first.valid,
        test: first.test,
        further_folds: folds,
        sha256,
    })
}

/// The images `rows` of `faces` [n, h, w], column-major, as rows of pixels from top to bottom.
fn gather(faces: &[u8], [n, h, w]: [usize; 3], rows: &[usize]) -> Images {
    let d = h * w;
    let mut out = vec![0; rows.len() * d];
    for (rows, out) in rows.chunks(BLOCK).zip(out.chunks_mut(BLOCK * d)) {
        for y in 0..h {
            for x in 0..w {
                let column = &faces[(x * h + y) * n..][..n];
                for (&row, image) in rows.iter().zip(out.chunks_exact_mut(d)) {
                    image[y * w + x] = column[row];
                }
            }
        }
    }
    Images::from_bytes(d, out)
}
