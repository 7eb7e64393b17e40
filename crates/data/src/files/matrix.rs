//! Images or samples as one matrix [N, d], from any supported array file.

use std::path::{Path, PathBuf};

use super::{Array, ArrayData, FileError, Input, NpzReader, npy, shown, zip_read};

/// Reads a matrix as (rows, columns, values), row-major.
///
/// `path` is an .npy file, an .npz file with exactly one array, or `file.npz:name`. The array is [N, d], [N, h, w] or
/// [N, h, w, c], the latter two flattened to [N, d]; [N, 3, h, w] is turned to [N, h, w, 3] before; float16, float32, float64 (rounded to float32) or uint8 (divided by 255).
///
/// errors: what [`super::read_npy`] and [`super::read_npz`] refuse; another shape or type; no rows; NaN or infinities, with row
/// and column
pub fn read_matrix_f32(path: &Path) -> Result<(usize, usize, Vec<f32>), FileError> {
    read_matrix_f32_noting(path, &mut Vec::new())
}

/// As [`read_matrix_f32`]; `notices` gains a line where the values are not what somebody may have meant them to be.
///
/// errors: as [`read_matrix_f32`]
pub fn read_matrix_f32_noting(
    path: &Path,
    notices: &mut Vec<String>,
) -> Result<(usize, usize, Vec<f32>), FileError> {
    let named = split_name(path);
    let (file, name) = match &named {
        Some((file, name)) => (file.as_path(), Some(name.as_str())),
        None => (path, None),
    };
    let (mut array, place) = read_one(&Input::open(file)?, name)?;
    notices.extend(turned(&mut array, &place));
    if let ArrayData::U8(bytes) = &array.data {
        notices.extend(suspicion(bytes).map(|s| format!("{place}: {s}")));
    }
    let (rows, columns) = rows_and_columns(&array.shape, &place)?;
    let values = match array.data {
        ArrayData::F32(values) => values,
        ArrayData::F64(values) => narrowed(values, columns, &place)?,
        ArrayData::F16(values) => values.into_iter().map(f32::from).collect(),
        ArrayData::U8(bytes) => bytes
            .into_iter()
            .map(|byte| f32::from(byte) / 255.0)
            .collect(),
        other => {
            return Err(FileError::Dtype {
                file: place,
                found: other.dtype().to_string(),
                expected: FileError::PIXEL_DTYPES,
            });
        }
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(FileError::Value {
            file: place,
            row: at / columns,
            column: at % columns,
            value: f64::from(values[at]),
            expected: "finite numbers",
        });
    }
    Ok((rows, columns, values))
}

/// Rows of f64 as f32; `place` is the file in errors.
///
/// errors: a finite number beyond those of f32, with row and column
pub(crate) fn narrowed(
    values: Vec<f64>,
    columns: usize,
    place: &str,
) -> Result<Vec<f32>, FileError> {
    match beyond_f32(&values) {
        None => Ok(values.into_iter().map(|value| value as f32).collect()),
        Some(at) => Err(FileError::Value {
            file: place.to_string(),
            row: at / columns,
            column: at % columns,
            value: values[at],
            expected: "numbers that are not too large for float32, at most 3.4e38",
        }),
    }
}

/// Where the first finite number is that float32 has no room for.
pub fn beyond_f32(values: &[f64]) -> Option<usize> {
    let is_too_large = |value: &f64| value.is_finite() && (*value as f32).is_infinite();
    values.iter().position(is_too_large)
}

/// The array of that name, or the only one, and the place to name in errors.
pub(crate) fn read_one(input: &Input, name: Option<&str>) -> Result<(Array, String), FileError> {
    let place = input.place.clone();
    if let Some(name) = name {
        let array = NpzReader::of(input)?.read(name)?;
        return Ok((array, format!("{place}:{}", shown(name))));
    }
    match Container::of(input)? {
        Container::Npy => Ok((npy::read_input(input)?, place)),
        Container::Npz => {
            let mut reader = NpzReader::of(input)?;
            let name = reader.only()?;
            Ok((reader.read(&name)?, place))
        }
    }
}

/// Appends an image that lies channel by channel pixel by pixel.
pub(crate) fn channels_last<T: Copy>(image: &[T], channels: usize, out: &mut Vec<T>) {
    let area = image.len() / channels;
    for pixel in 0..area {
        out.extend((0..channels).map(|channel| image[channel * area + pixel]));
    }
}

/// The shape [N, h, w, c] of images [N, c, h, w] of 1 channel or 3 that cannot be [N, h, w, c].
pub(crate) fn turned_shape(shape: &[usize]) -> Option<[usize; 4]> {
    match *shape {
        [_, 1 | 3, _, 1 | 3] => None,
        [n, c @ (1 | 3), h, w] => Some([n, h, w, c]),
        _ => None,
    }
}

/// Turns images of such a shape to that order; a line that says so where it changes anything.
pub(crate) fn turned(array: &mut Array, place: &str) -> Option<String> {
    let [n, h, w, c] = turned_shape(&array.shape)?;
    array.shape = vec![n, h, w, c];
    if c == 1 || array.data.is_empty() {
        return None;
    }
    fn all<T: Copy>(values: &mut Vec<T>, n: usize, channels: usize) {
        let mut out = Vec::with_capacity(values.len());
        let images = values.chunks_exact(values.len() / n);
        images.for_each(|image| channels_last(image, channels, &mut out));
        *values = out;
    }
    match &mut array.data {
        ArrayData::F16(values) => all(values, n, c),
        ArrayData::F32(values) => all(values, n, c),
        ArrayData::F64(values) => all(values, n, c),
        ArrayData::U8(values) => all(values, n, c),
        ArrayData::I32(values) => all(values, n, c),
        ArrayData::I64(values) => all(values, n, c),
        ArrayData::U32(values) => all(values, n, c),
        ArrayData::U64(values) => all(values, n, c),
    }
    Some(format!(
        "{place}: images [{n}, {c}, {h}, {w}], channel by channel, turned to [{n}, {h}, {w}, {c}]"
    ))
}

/// What is odd about bytes that are to be divided by 255: those of a binary image that was not meant so.
pub(crate) fn suspicion(bytes: &[u8]) -> Option<String> {
    (bytes.iter().max() == Some(&1)).then(|| {
        let advice =
            "store zeros and ones as float32 (in NumPy .astype(np.float32)), or white as 255";
        format!("all bytes are 0 or 1, which makes pixels of 0 and 1/255: {advice}")
    })
}

/// Which of the two formats a file has, by its first bytes.
pub(crate) enum Container {
    /// One array.
    Npy,
    /// A zip archive of arrays.
    Npz,
}

impl Container {
    /// Looks at the first bytes.
    pub(crate) fn of(input: &Input) -> Result<Self, FileError> {
        let start = input.start(6)?;
        if start.starts_with(npy::MAGIC) {
            Ok(Self::Npy)
        } else if start.starts_with(&zip_read::MAGIC[..2]) {
            Ok(Self::Npz)
        } else {
            Err(FileError::magic(&input.place, "an npy or npz file", &start))
        }
    }
}

/// `file.npz:name` as file and name, unless a file of that whole name exists.
pub(crate) fn split_name(path: &Path) -> Option<(PathBuf, String)> {
    let (archive, name) = path.to_str()?.rsplit_once(".npz:")?;
    if path.exists() {
        None
    } else {
        Some((PathBuf::from(format!("{archive}.npz")), name.to_string()))
    }
}

/// N and d of [N, d], [N, h, w] or [N, h, w, c].
pub(crate) fn rows_and_columns(shape: &[usize], place: &str) -> Result<(usize, usize), FileError> {
    if !(2..=4).contains(&shape.len()) {
        let expected = "[N, d], [N, h, w] or [N, h, w, c]".to_string();
        return Err(FileError::Shape {
            file: place.to_string(),
            expected,
            found: shape.to_vec(),
        });
    }
    let columns = shape[1..]
        .iter()
        .try_fold(1_usize, |product, &dim| product.checked_mul(dim))
        .unwrap_or(0);
    if shape[0] == 0 {
        return Err(FileError::Empty {
            file: place.to_string(),
            what: "rows",
        });
    }
    if columns == 0 {
        return Err(FileError::Empty {
            file: place.to_string(),
            what: "columns",
        });
    }
    Ok((shape[0], columns))
}
