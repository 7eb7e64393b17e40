//! Files of features and of their statistics.

use std::path::{Path, PathBuf};

use ganforge_data::DataError;
use ganforge_data::files::{
    Array, ArrayData, ArrayRef, DataRef, FileError, NpzReader, listed, read_npy, shown, write_npz,
};

use super::{Features, SetError, Statistics};
use crate::Error;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Features [n, d].
    Features {
        /// The file.
        name: String,
        /// The values, row-major.
        values: Vec<f64>,
        /// Components of a row.
        d: usize,
    },
    /// Mean and covariance, of which FID alone can be computed.
    Statistics(Statistics),
}

impl Source {
    /// Reads an .npy file, an .npz file with one array, or `file.npz:name`: [n, d] of float16, float32 or float64; or an .npz file
    /// with the arrays `mu` \[d\] and `sigma` \[d, d\], as pytorch-fid and clean-fid write them, and perhaps `n`.
    ///
    /// errors: another shape or type; no rows; a NaN or an infinity, with its row and column; a `sigma` that is no covariance
    pub fn read(path: &Path) -> Result<Source, Error> {
        if let Some((file, name)) = named(path) {
            let array = NpzReader::open(&file).and_then(|mut npz| npz.read(&name));
            return features(array.map_err(DataError::from)?, &path.display().to_string());
        }
        if path.extension().is_none_or(|e| e != "npz") {
            let array = read_npy(path).map_err(DataError::from)?;
            return features(array, &path.display().to_string());
        }
        let mut npz = NpzReader::open(path).map_err(DataError::from)?;
        let names: Vec<String> = npz.names().map(str::to_owned).collect();
        let has = |name: &str| names.iter().any(|n| n == name);
        if has("mu") && has("sigma") {
            return statistics(&mut npz, path, has("n")).map(Source::Statistics);
        }
        let place = path.display().to_string();
        match names.as_slice() {
            [name] => {
                let array = npz.read(name).map_err(DataError::from)?;
                features(array, &place)
            }
            _ => Err(Error::Other(format!(
                "{place}: has the arrays {}: expected mu and sigma, or one array, chosen as {place}:NAME",
                listed(names.iter().map(String::as_str))
            ))),
        }
    }

    /// The file.
    pub fn name(&self) -> &str {
        match self {
            Source::Features { name, .. } => name,
            Source::Statistics(statistics) => &statistics.name,
        }
    }

    /// Rows, where the file says.
    pub fn n(&self) -> Option<usize> {
        match self {
            Source::Features { values, d, .. } => values.len().checked_div(*d),
            Source::Statistics(statistics) => statistics.n,
        }
    }

    /// Components of a row.
    pub fn d(&self) -> usize {
        match self {
            Source::Features { d, .. } => *d,
            Source::Statistics(statistics) => statistics.d(),
        }
    }

    /// The features, where the file holds them.
    ///
    /// errors: none, since they have been read
    pub fn features(&self) -> Result<Option<Features<'_, f64>>, SetError> {
        match self {
            Source::Features { name, values, d } => Features::new(name, values, *d).map(Some),
            Source::Statistics(_) => Ok(None),
        }
    }

    /// Mean and covariance.
    ///
    /// errors: fewer than two rows; values whose squares leave the range of f64; a covariance that takes more memory than there is
    pub fn statistics(&self) -> Result<Statistics, SetError> {
        match self {
            Source::Features { name, values, d } => {
                Statistics::of(Features::new(name, values, *d)?)
            }
            Source::Statistics(statistics) => Ok(statistics.clone()),
        }
    }
}

/// Writes `mu`, `sigma` and, where it is known, `n`, in float64 and int64; pytorch-fid and clean-fid read the file.
///
/// errors: what the system refuses
pub fn write_statistics(path: &Path, statistics: &Statistics) -> Result<(), FileError> {
    let d = statistics.d();
    let n: Vec<i64> = statistics.n.into_iter().map(|n| n as i64).collect();
    let (mean, square) = ([d], [d, d]);
    let mut entries = vec![
        ("mu".to_owned(), ArrayRef::f64(&mean, &statistics.mean)),
        (
            "sigma".to_owned(),
            ArrayRef::f64(&square, &statistics.covariance),
        ),
    ];
    if !n.is_empty() {
        let data = DataRef::I64(&n);
        entries.push(("n".to_owned(), ArrayRef { shape: &[], data }));
    }
    write_npz(path, entries)
}

/// `file.npz:name`, unless a file of that whole name exists.
fn named(path: &Path) -> Option<(PathBuf, String)> {
    let (file, name) = path.to_str()?.rsplit_once(".npz:")?;
    let archive = PathBuf::from(format!("{file}.npz"));
    (!path.exists()).then(|| (archive, name.to_owned()))
}

fn features(array: Array, place: &str) -> Result<Source, Error> {
    let shape = array.shape.clone();
    let values = floats(array, place)?;
    let &[n, d] = shape.as_slice() else {
        return Err(expected(place, "[N, d]", shape));
    };
    if n == 0 || d == 0 {
        return Err(expected(place, "[N, d] with rows and columns", shape));
    }
    Features::new(place, &values, d)?;
    Ok(Source::Features {
        name: place.to_owned(),
        values,
        d,
    })
}

fn statistics(npz: &mut NpzReader, path: &Path, has_n: bool) -> Result<Statistics, Error> {
    let place = path.display().to_string();
    let mut read = |name: &str| -> Result<(Array, String), Error> {
        let array = npz.read(name).map_err(DataError::from)?;
        Ok((array, format!("{place}:{}", shown(name))))
    };
    let (mean, at) = read("mu")?;
    let &[d] = mean.shape.as_slice() else {
        return Err(expected(&at, "[d]", mean.shape));
    };
    let mean = floats(mean, &at)?;
    Features::new(&at, &mean, d)?;
    let (covariance, at) = read("sigma")?;
    if covariance.shape != [d, d] {
        let shapes = format!("[{d}, {d}], as mu is [{d}]");
        return Err(expected(&at, &shapes, covariance.shape));
    }
    let covariance = floats(covariance, &at)?;
    Features::new(&at, &covariance, d)?;
    let n = match has_n.then(|| read("n")).transpose()? {
        None => None,
        Some((array, at)) => match &array.data {
            ArrayData::I64(n) if n.len() == 1 && n[0] >= 2 => Some(n[0] as usize),
            _ => {
                let message =
                    format!("{at}: expected a whole number of rows of at least 2, in int64");
                return Err(Error::Other(message));
            }
        },
    };
    Ok(Statistics::new(&place, n, mean, covariance)?)
}

fn floats(array: Array, place: &str) -> Result<Vec<f64>, Error> {
    match array.data {
        ArrayData::F64(values) => Ok(values),
        ArrayData::F32(values) => Ok(values.into_iter().map(f64::from).collect()),
        ArrayData::F16(values) => Ok(values.into_iter().map(f64::from).collect()),
        other => Err(DataError::from(FileError::Dtype {
            file: place.to_owned(),
            found: other.dtype().to_owned(),
            expected: "float16, float32 or float64",
        })
        .into()),
    }
}

fn expected(place: &str, shapes: &str, found: Vec<usize>) -> Error {
    DataError::from(FileError::Shape {
        file: place.to_owned(),
        expected: shapes.to_owned(),
        found,
    })
    .into()
}
