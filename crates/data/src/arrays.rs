//! Data sets in the user's own files: .npy, .npz and single IDX files.

use std::path::Path;

use super::{DataError, Dataset, HeldOut, ImageSize, Images, Origin, hash, idx};
use crate::files::matrix::{Container, narrowed, read_one, rows_and_columns, split_name, turned};
use crate::files::{Array, ArrayData, FileError, Input, NpzReader, listed};

const PARTS: [&str; 3] = ["train", "valid", "test"];
/// Of a file that is not split, one image in seven validates and one in seven tests, as in MNIST.
pub(super) const SHARE: usize = 7;

/// Reads `path`: an .npz of `train`, `valid` and `test`, or one array or IDX file whose last seventh is the test part and
/// whose seventh before that is the validation part, or as many as are `held_out`. Values are uint8, or float.
pub(super) fn dataset(path: &Path, held_out: HeldOut) -> Result<(Dataset, Vec<String>), DataError> {
    let place = path.display().to_string();
    let named = split_name(path);
    let (file, array) = match &named {
        Some((file, name)) => (file.as_path(), Some(name.as_str())),
        None => (path, None),
    };
    let input = Input::open(file)?;
    let sha256 = hash::of_input(&input)?;
    let build = |size: ImageSize, [train, valid, test]: [Images; 3]| Dataset {
        name: place.clone(),
        origin: Origin::File,
        height: size.height,
        width: size.width,
        channels: size.channels,
        train,
        valid,
        test,
        classes: Vec::new(),
        further_folds: Vec::new(),
        sha256: sha256.clone(),
    };
    if named.is_none() && looks_like_idx(path, &input)? {
        let images = idx::read(&input)?;
        let size = ImageSize {
            channels: 1,
            height: images.height,
            width: images.width,
        };
        let (parts, notice) = split(
            Images::from_bytes(images.height * images.width, images.bytes),
            &place,
            held_out,
        )?;
        return Ok((build(size, parts), vec![notice]));
    }
    if named.is_none() && matches!(Container::of(&input)?, Container::Npz) {
        let mut reader = NpzReader::of(&input)?;
        if PARTS
            .iter()
            .all(|part| reader.names().any(|name| name == *part))
        {
            held_out.refuse(&place, "the arrays train, valid and test")?;
            let mut notices = Vec::new();
            let (size, parts) = three_parts(&mut reader, &place, &mut notices)?;
            return Ok((build(size, parts), notices));
        }
        let present: Vec<&str> = reader.names().collect();
        if present.len() != 1 {
            let expected = "expected the arrays train, valid and test, or a single one";
            let reason = format!("{expected}, got {}", listed(present));
            return Err(FileError::malformed(&place, reason).into());
        }
    }
    let (array, place) = read_one(&input, array)?;
    let mut notices = Vec::new();
    let (size, images) = images(array, &place, &mut notices)?;
    let (parts, notice) = split(images, &place, held_out)?;
    notices.insert(0, notice);
    Ok((build(size, parts), notices))
}

fn looks_like_idx(path: &Path, input: &Input) -> Result<bool, FileError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if name.ends_with(".gz") || name.ends_with(".idx") || name.contains("-idx") {
        return Ok(true);
    }
    match Container::of(input) {
        Ok(_) => Ok(false),
        Err(FileError::Magic { found, .. })
            if found.starts_with("00 00 ") || found.starts_with("1f 8b") =>
        {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// [N, h, w] and [N, h, w, c] say it; [N, d] is a square where d is one, else a line.
///
/// errors: images of other than one or three channels; `place` names the array
pub(super) fn size_of(shape: &[usize], place: &str) -> Result<ImageSize, FileError> {
    let [height, width, channels] = match *shape {
        [_, height, width, channels @ (1 | 3)] => [height, width, channels],
        [_, _, _, _] => {
            return Err(FileError::Shape {
                file: place.to_string(),
                expected: "[N, height, width, channels] with 1 or 3 channels".to_string(),
                found: shape.to_vec(),
            });
        }
        [_, height, width] => [height, width, 1],
        _ => {
            let d = shape.last().copied().unwrap_or(0);
            match d.isqrt() {
                side if side * side == d => [side, side, 1],
                _ => [1, d, 1],
            }
        }
    };
    Ok(ImageSize {
        height,
        width,
        channels,
    })
}

fn three_parts(
    reader: &mut NpzReader,
    place: &str,
    notices: &mut Vec<String>,
) -> Result<(ImageSize, [Images; 3]), DataError> {
    let mut of = |name: &str| images(reader.read(name)?, &format!("{place}:{name}"), notices);
    let (train, valid, test) = (of("train")?, of("valid")?, of("test")?);
    for (name, size) in [("valid", valid.0), ("test", test.0)] {
        if size != train.0 {
            let file = format!("{place}:{name}");
            let expected = format!(
                "of images as in train, {}x{}x{}",
                train.0.height, train.0.width, train.0.channels
            );
            return Err(FileError::Shape {
                file,
                expected,
                found: vec![size.height, size.width, size.channels],
            }
            .into());
        }
    }
    for (name, images) in [("valid", &valid.1), ("test", &test.1)] {
        let kind = |images: &Images| match images.bytes() {
            Some(_) => "uint8, which is divided by 255",
            None => "floats, which are taken as they are",
        };
        if kind(images) != kind(&train.1) {
            let (found, of_train) = (kind(images), kind(&train.1));
            let reason = format!("holds {found}, but train {of_train}: expected one kind");
            return Err(FileError::malformed(&format!("{place}:{name}"), reason).into());
        }
    }
    Ok((train.0, [train.1, valid.1, test.1]))
}

fn images(
    mut array: Array,
    place: &str,
    notices: &mut Vec<String>,
) -> Result<(ImageSize, Images), DataError> {
    notices.extend(turned(&mut array, place));
    let (_, d) = rows_and_columns(&array.shape, place)?;
    let size = size_of(&array.shape, place)?;
    let images = match array.data {
        ArrayData::U8(bytes) => Images::from_bytes(d, bytes),
        ArrayData::F32(values) => Images::from_values(d, checked(values, d, place)?),
        ArrayData::F16(values) => {
            let values = values.into_iter().map(f32::from).collect();
            Images::from_values(d, checked(values, d, place)?)
        }
        ArrayData::F64(values) => {
            let values = narrowed(values, d, place)?;
            Images::from_values(d, checked(values, d, place)?)
        }
        other => {
            return Err(FileError::Dtype {
                file: place.to_string(),
                found: other.dtype().to_string(),
                expected: FileError::PIXEL_DTYPES,
            }
            .into());
        }
    };
    Ok((size, images))
}

fn checked(values: Vec<f32>, d: usize, place: &str) -> Result<Vec<f32>, FileError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(at) => Err(FileError::Value {
            file: place.to_string(),
            row: at / d,
            column: at % d,
            value: f64::from(values[at]),
            expected: "finite numbers",
        }),
    }
}

/// The last seventh tests, the seventh before validates, or as many as are held out; the second value says so.
fn split(all: Images, place: &str, held_out: HeldOut) -> Result<([Images; 3], String), DataError> {
    let [valid, test] = held_out.of(all.n(), place)?;
    if test == 0 {
        let reason = format!(
            "{} images cannot be split: expected at least {SHARE}",
            all.n()
        );
        return Err(FileError::malformed(place, reason).into());
    }
    let (valid, test) = (all.n() - valid - test, all.n() - test);
    let notice = format!(
        "{place}: one set of {} images: 0..{} train, {valid}..{} validate, {test}..{} test",
        all.n(),
        valid - 1,
        test - 1,
        all.n() - 1,
    );
    Ok((
        [
            all.slice(0..valid)?,
            all.slice(valid..test)?,
            all.slice(test..all.n())?,
        ],
        notice,
    ))
}
