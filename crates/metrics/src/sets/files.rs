//! Files of features and of their statistics.

use std::path::{Path, PathBuf};

use ganforge_data::DataError;
use ganforge_data::files::{
    Array, ArrayData, ArrayRef, DataRef, FileError, NpzReader, NpzWriter, listed, read_npy, shown,
    write_npy,
};

use super::protocol::Protocol;
use super::{Features, SetError, Statistics};
use crate::Error;

/// Which network made features, by which rules, and of which images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The network's name.
    pub extractor: String,
    /// SHA-256 of the file of its weights.
    pub extractor_sha256: String,
    /// The program whose rules for images were followed.
    pub protocol: Protocol,
    /// What the images are called.
    pub data: String,
    /// SHA-256 of the images.
    pub data_sha256: String,
}

impl Made {
    /// That two sets, each with its name, were made by one network and by the same rules.
    ///
    /// errors: which differs
    pub fn check_same(a: (&str, &Made), b: (&str, &Made)) -> Result<(), SetError> {
        let network = |made: &Made| {
            let sum = made.extractor_sha256.get(..12).unwrap_or_default();
            format!("{} (SHA-256 {sum}...)", made.extractor)
        };
        let rules = |made: &Made| format!("the rules of {}", made.protocol.name());
        let differ = if a.1.extractor_sha256 != b.1.extractor_sha256 {
            [a.1, b.1].map(network)
        } else if a.1.protocol != b.1.protocol {
            [a.1, b.1].map(rules)
        } else {
            return Ok(());
        };
        Err(SetError::Setting(format!(
            "features of {} are made by {}, those of {} by {}: they do not compare",
            a.0, differ[0], b.0, differ[1]
        )))
    }
}

/// A set of features: what a file holds, or what a network said.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    name: String,
    held: Held,
    made: Option<Made>,
}

#[derive(Clone, Debug, PartialEq)]
enum Held {
    /// Features, and logits where there are some.
    Rows(Rows, Option<Rows>),
    /// Mean and covariance, of which FID alone can be computed.
    Statistics(Statistics),
}

/// Values [n, d], row-major.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    values: Vec<f64>,
    d: usize,
}

impl Rows {
    fn new(name: &str, values: Vec<f64>, d: usize) -> Result<Rows, SetError> {
        Features::new(name, &values, d)?;
        Ok(Rows { values, d })
    }

    fn features<'a>(&'a self, name: &'a str) -> Result<Features<'a, f64>, SetError> {
        Features::new(name, &self.values, self.d)
    }

    fn n(&self) -> usize {
        self.values.len() / self.d
    }

    /// Adds them to a file, in float32 where that keeps every value, else in float64.
    fn add_to(&self, npz: &mut NpzWriter, name: &str) -> Result<(), FileError> {
        let shape = [self.n(), self.d];
        match self.single() {
            Some(values) => npz.add(name, ArrayRef::f32(&shape, &values)),
            None => npz.add(name, ArrayRef::f64(&shape, &self.values)),
        }
    }

    fn single(&self) -> Option<Vec<f32>> {
        let single = self.values.iter().map(|&v| v as f32);
        let values = self.values.iter().zip(single);
        values
            .map(|(&v, single)| (f64::from(single) == v).then_some(single))
            .collect()
    }
}

impl Source {
    /// Reads an .npy file, an .npz file with one array, or `file.npz:name`: [n, d] of float16, float32 or float64; an .npz file with
    /// the arrays `mu` \[d\] and `sigma` \[d, d\], as pytorch-fid and clean-fid write them, and perhaps `n`; or a file that
    /// [`Source::write`] wrote.
    ///
    /// errors: another shape or type; no rows; a NaN or an infinity, with its row and column; a `sigma` that is no covariance
    pub fn read(path: &Path) -> Result<Source, Error> {
        let place = path.display().to_string();
        if let Some((file, name)) = named(path) {
            let array = NpzReader::open(&file).and_then(|mut npz| npz.read(&name));
            let rows = rows(array.map_err(DataError::from)?, &place)?;
            return Ok(Source::of(place, Held::Rows(rows, None)));
        }
        if !ends_in(path, "npz") {
            let array = read_npy(path).map_err(DataError::from)?;
            let rows = rows(array, &place)?;
            return Ok(Source::of(place, Held::Rows(rows, None)));
        }
        let mut npz = NpzReader::open(path).map_err(DataError::from)?;
        let names: Vec<String> = npz.names().map(str::to_owned).collect();
        let has = |name: &str| names.iter().any(|n| n == name);
        let mut read = |name: &str| -> Result<Rows, Error> {
            let array = npz.read(name).map_err(DataError::from)?;
            rows(array, &format!("{place}:{}", shown(name)))
        };
        let held = if has("mu") && has("sigma") {
            Held::Statistics(statistics(&mut npz, path, has("n"))?)
        } else if has(FEATURES) {
            let features = read(FEATURES)?;
            let logits = has(LOGITS).then(|| read(LOGITS)).transpose()?;
            if let Some(logits) = logits.as_ref().filter(|l| l.n() != features.n()) {
                return Err(expected(
                    &format!("{place}:{LOGITS}"),
                    &format!("[{}, classes], as many rows as of features", features.n()),
                    vec![logits.n(), logits.d],
                ));
            }
            Held::Rows(features, logits)
        } else if let [name] = names.as_slice() {
            let array = npz.read(name).map_err(DataError::from)?;
            Held::Rows(rows(array, &place)?, None)
        } else {
            return Err(Error::Other(format!(
                "{place}: has the arrays {}: expected mu and sigma, features, or one array, chosen as {place}:NAME",
                listed(names.iter().map(String::as_str))
            )));
        };
        let made = has(MADE[0]).then(|| made(&mut npz, &place)).transpose()?;
        Ok(Source {
            made,
            ..Source::of(place, held)
        })
    }

    fn of(name: String, held: Held) -> Source {
        Source {
            name,
            held,
            made: None,
        }
    }

    /// What a network said of images: features [n, d], and logits [n, classes] where it has classes.
    ///
    /// errors: no rows; a NaN or an infinity, with its row and column
    pub fn of_rows(
        name: &str,
        (features, d): (Vec<f64>, usize),
        logits: Option<(Vec<f64>, usize)>,
    ) -> Result<Source, SetError> {
        let logits = logits.map(|(values, classes)| Rows::new(name, values, classes));
        let held = Held::Rows(Rows::new(name, features, d)?, logits.transpose()?);
        Ok(Source::of(name.to_owned(), held))
    }

    /// Mean and covariance alone.
    pub fn of_statistics(statistics: Statistics) -> Source {
        Source::of(statistics.name.clone(), Held::Statistics(statistics))
    }

    /// The same, with what is known of its origin.
    pub fn with_made(self, made: Made) -> Source {
        Source {
            made: Some(made),
            ..self
        }
    }

    /// The same, with the rows of another set as its logits.
    ///
    /// errors: another number of rows than of features; mean and covariance alone in either
    pub fn with_logits(self, logits: &Source) -> Result<Source, SetError> {
        let (n, logits) = (self.features()?.n(), logits.features()?);
        if logits.n() != n {
            return Err(SetError::Setting(format!(
                "{}: {} rows of logits, expected {n} as in {}",
                logits.name(),
                logits.n(),
                self.name
            )));
        }
        let logits = Rows::new(logits.name(), logits.values().to_vec(), logits.d())?;
        let held = match self.held {
            Held::Rows(features, _) => Held::Rows(features, Some(logits)),
            statistics => statistics,
        };
        Ok(Source { held, ..self })
    }

    /// What it is called: the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it comes from, if that is known.
    pub fn made(&self) -> Option<&Made> {
        self.made.as_ref()
    }

    /// Rows, where the file says.
    pub fn n(&self) -> Option<usize> {
        match &self.held {
            Held::Rows(features, _) => Some(features.n()),
            Held::Statistics(statistics) => statistics.n,
        }
    }

    /// Components of a row.
    pub fn d(&self) -> usize {
        match &self.held {
            Held::Rows(features, _) => features.d,
            Held::Statistics(statistics) => statistics.d(),
        }
    }

    /// Its rows.
    ///
    /// errors: there are none, but mean and covariance
    pub fn features(&self) -> Result<Features<'_, f64>, SetError> {
        match &self.held {
            Held::Rows(features, _) => features.features(&self.name),
            Held::Statistics(_) => Err(SetError::Alone {
                name: self.name.clone(),
            }),
        }
    }

    /// Its logits, where it has some.
    ///
    /// errors: none: they were checked
    pub fn logits(&self) -> Result<Option<Features<'_, f64>>, SetError> {
        match &self.held {
            Held::Rows(_, Some(logits)) => logits.features(&self.name).map(Some),
            _ => Ok(None),
        }
    }

    /// Mean and covariance.
    ///
    /// errors: fewer than two rows; values whose squares leave the range of f64; a covariance that takes more memory than there is
    pub fn statistics(&self) -> Result<Statistics, SetError> {
        match &self.held {
            Held::Rows(features, _) => Statistics::of(features.features(&self.name)?),
            Held::Statistics(statistics) => Ok(statistics.clone()),
        }
    }

    /// Writes the features alone to an .npy file; to any other an .npz: `features` and `logits`, or `mu`, `sigma` and, where it is
    /// known, `n`, which pytorch-fid and clean-fid read; then where it comes from, as text in arrays of bytes, which those ignore.
    ///
    /// errors: what the system refuses; mean and covariance in an .npy file
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        if ends_in(path, "npy") {
            let features = self.features()?;
            let shape = [features.n(), features.d()];
            let written = match &self.held {
                Held::Rows(rows, _) => match rows.single() {
                    Some(values) => write_npy(path, ArrayRef::f32(&shape, &values)),
                    None => write_npy(path, ArrayRef::f64(&shape, &rows.values)),
                },
                Held::Statistics(_) => Ok(()),
            };
            return Ok(written.map_err(DataError::from)?);
        }
        self.write_npz(path).map_err(|e| DataError::from(e).into())
    }

    fn write_npz(&self, path: &Path) -> Result<(), FileError> {
        let mut npz = NpzWriter::create(path)?;
        match &self.held {
            Held::Rows(features, logits) => {
                features.add_to(&mut npz, FEATURES)?;
                if let Some(logits) = logits {
                    logits.add_to(&mut npz, LOGITS)?;
                }
            }
            Held::Statistics(statistics) => {
                let d = statistics.d();
                npz.add("mu", ArrayRef::f64(&[d], &statistics.mean))?;
                npz.add("sigma", ArrayRef::f64(&[d, d], &statistics.covariance))?;
                if let Some(n) = statistics.n {
                    let data = DataRef::I64(&[n as i64]);
                    npz.add("n", ArrayRef { shape: &[], data })?;
                }
            }
        }
        if let Some(made) = &self.made {
            let texts = [
                &made.extractor,
                &made.extractor_sha256,
                made.protocol.name(),
                &made.data,
                &made.data_sha256,
            ];
            for (name, text) in MADE.into_iter().zip(texts) {
                npz.add_text(name, text)?;
            }
        }
        npz.finish()
    }
}

const FEATURES: &str = "features";
const LOGITS: &str = "logits";

/// The entries that say where features come from.
const MADE: [&str; 5] = [
    "extractor",
    "extractor_sha256",
    "protocol",
    "data",
    "data_sha256",
];

fn made(npz: &mut NpzReader, place: &str) -> Result<Made, Error> {
    let mut text = |name: &str| -> Result<String, Error> {
        let array = npz.read(name).map_err(DataError::from)?;
        let text = match array.data {
            ArrayData::U8(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        };
        text.ok_or_else(|| Error::Other(format!("{place}:{name}: expected text in uint8")))
    };
    let [extractor, extractor_sha256, protocol, data, data_sha256] = MADE.map(&mut text);
    let protocol = protocol?;
    let known = Protocol::ALL.into_iter().find(|p| p.name() == protocol);
    let none = || Error::Other(format!("{place}: there is no protocol {protocol:?}"));
    Ok(Made {
        extractor: extractor?,
        extractor_sha256: extractor_sha256?,
        protocol: known.ok_or_else(none)?,
        data: data?,
        data_sha256: data_sha256?,
    })
}

/// `file.npz:name`, unless a file of that whole name exists.
fn named(path: &Path) -> Option<(PathBuf, String)> {
    let text = path.to_str()?;
    let end = text.to_ascii_lowercase().rfind(".npz:")? + ".npz".len();
    (!path.exists()).then(|| (PathBuf::from(&text[..end]), text[end + 1..].to_owned()))
}

/// Whether the name ends so, in small or large letters.
fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

fn rows(array: Array, place: &str) -> Result<Rows, Error> {
    let shape = array.shape.clone();
    let values = floats(array, place)?;
    let &[n, d] = shape.as_slice() else {
        return Err(expected(place, "[N, d]", shape));
    };
    if n == 0 || d == 0 {
        return Err(expected(place, "[N, d] with rows and columns", shape));
    }
    Ok(Rows::new(place, values, d)?)
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
