//! Named tensors and metadata, read from an untrusted file: npz or safetensors.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ganforge_tensor::Shape;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files::{
    Array, ArrayData, NpzReader, Safetensors, beyond_f32, listed, read_torch, shown,
};

/// A file of state, opened. Every error names the file.
///
/// In an npz all that is said of the tensors are arrays of their own (text as bytes, numbers as uint64); in a safetensors
/// file they are one JSON object, the only entry of its metadata.
pub(crate) struct StateFile {
    source: Source,
    path: PathBuf,
}

enum Source {
    Npz(NpzReader),
    Safetensors(Safetensors),
}

impl StateFile {
    /// Opens an npz.
    pub(crate) fn npz(path: &Path) -> Result<StateFile> {
        Ok(StateFile::of_npz(NpzReader::open(path)?, path))
    }

    /// An npz that is open, called `path` in messages.
    pub(crate) fn of_npz(npz: NpzReader, path: &Path) -> StateFile {
        StateFile {
            source: Source::Npz(npz),
            path: path.to_path_buf(),
        }
    }

    /// Opens a safetensors file.
    pub(crate) fn safetensors(path: &Path) -> Result<StateFile> {
        Ok(StateFile {
            source: Source::Safetensors(Safetensors::read(path)?),
            path: path.to_path_buf(),
        })
    }

    /// Opens a file of `torch.save`.
    pub(crate) fn torch(path: &Path) -> Result<StateFile> {
        Ok(StateFile::of_tensors(read_torch(path)?, path))
    }

    /// Tensors alone, called `path` in messages.
    pub(crate) fn of_tensors(tensors: Vec<(String, Array)>, path: &Path) -> StateFile {
        let about = Map::new();
        StateFile {
            source: Source::Safetensors(Safetensors { about, tensors }),
            path: path.to_path_buf(),
        }
    }

    /// Names and shapes of all arrays, in order.
    pub(crate) fn tensors(&mut self) -> Result<Vec<(String, Vec<usize>)>> {
        match &mut self.source {
            Source::Npz(npz) => {
                let names: Vec<String> = npz.names().map(String::from).collect();
                let shape = |name: String| Ok((npz.read(&name)?.shape, name));
                let all = names.into_iter().map(shape);
                all.map(|found| found.map(|(shape, name)| (name, shape)))
                    .collect()
            }
            Source::Safetensors(file) => {
                let all = file.tensors.iter();
                Ok(all
                    .map(|(name, t)| (name.clone(), t.shape.clone()))
                    .collect())
            }
        }
    }

    /// Those as a message lists them.
    pub(crate) fn listed(&mut self) -> Result<String> {
        let all = self.tensors()?.into_iter();
        let all: Vec<String> = all
            .map(|(name, shape)| format!("{name} {shape:?}"))
            .collect();
        Ok(listed(all.iter().map(String::as_str)))
    }

    /// Whether the file says what its tensors are, or else holds them only.
    pub(crate) fn has_format(&self) -> bool {
        self.has("format")
    }

    /// Whether there is an entry of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().contains(&name)
    }

    /// The version of the file; others than `known` are refused.
    pub(crate) fn check_format(&mut self, known: RangeInclusive<u64>) -> Result<u64> {
        if !self.has_format() {
            return Err(self.refuse("no entry format"));
        }
        let found = self.number("format")?;
        if known.contains(&found) {
            return Ok(found);
        }
        let program = match self.written_by() {
            Some(version) => format!("ganforge {version}"),
            None if found > *known.end() => "a newer ganforge".to_string(),
            None => "another program".to_string(),
        };
        let known = match (known.start(), known.end()) {
            (oldest, newest) if oldest == newest => format!("format {newest}"),
            (oldest, newest) => format!("formats {oldest} to {newest}"),
        };
        Err(self.refuse(format!(
            "is of format {found}, written by {program}; this is ganforge {}, which reads {known}",
            env!("CARGO_PKG_VERSION")
        )))
    }

    /// The version of the program that trained what the file holds, where it says so.
    fn written_by(&mut self) -> Option<String> {
        if !self.has("about") {
            return None;
        }
        let about: Value = serde_json::from_str(&self.text("about").ok()?).ok()?;
        Some(shown(about.get("version")?.as_str()?))
    }

    /// The name of an entry in messages.
    pub(crate) fn place(&self, entry: &str) -> String {
        format!("{}, entry {entry}", self.path.display())
    }

    pub(crate) fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::Checkpoint {
            file: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// Refuses a file without one of `expected`, or with more.
    pub(crate) fn check_names(&self, expected: &[&str]) -> Result<()> {
        let names = self.names();
        if let Some(missing) = expected.iter().find(|n| !names.contains(n)) {
            return Err(self.refuse(format!("no entry {missing}")));
        }
        match names.iter().find(|n| !expected.contains(n)) {
            Some(unknown) => Err(self.refuse(format!("unknown entry {}", shown(unknown)))),
            None => Ok(()),
        }
    }

    fn names(&self) -> Vec<&str> {
        match &self.source {
            Source::Npz(npz) => npz.names().collect(),
            Source::Safetensors(file) => {
                let tensors = file.tensors.iter().map(|t| t.0.as_str());
                file.about
                    .keys()
                    .map(String::as_str)
                    .chain(tensors)
                    .collect()
            }
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String> {
        let text = match &mut self.source {
            Source::Npz(npz) => npz.read(name)?.as_text().map(String::from),
            Source::Safetensors(file) => file
                .about
                .get(name)
                .and_then(Value::as_str)
                .map(String::from),
        };
        text.ok_or_else(|| self.refuse(format!("{name} is no text")))
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<u64> {
        match self.numbers(name)?[..] {
            [number] => Ok(number),
            _ => Err(self.refuse(format!("{name} is not a number"))),
        }
    }

    pub(crate) fn numbers(&mut self, name: &str) -> Result<Vec<u64>> {
        let numbers = match &mut self.source {
            Source::Npz(npz) => match npz.read(name)?.data {
                ArrayData::U64(values) => Some(values),
                _ => None,
            },
            Source::Safetensors(file) => match file.about.get(name) {
                Some(Value::Array(values)) => values.iter().map(Value::as_u64).collect(),
                Some(value) => value.as_u64().map(|n| vec![n]),
                None => None,
            },
        };
        numbers.ok_or_else(|| self.refuse(format!("{name}: expected whole numbers (uint64)")))
    }

    /// Values of an npz's float64 array.
    pub(crate) fn doubles(&mut self, name: &str) -> Result<Vec<f64>> {
        let data = match &mut self.source {
            Source::Npz(npz) => Some(npz.read(name)?.data),
            Source::Safetensors(_) => None,
        };
        match data {
            Some(ArrayData::F64(values)) => Ok(values),
            _ => Err(self.refuse(format!("{name}: expected float64"))),
        }
    }

    /// Finite values of this shape, float32 or float16, or float64, which is rounded.
    pub(crate) fn tensor(&mut self, name: &str, expected: Shape) -> Result<Vec<f32>> {
        let array = match &mut self.source {
            Source::Npz(npz) => Some(npz.read(name)?),
            Source::Safetensors(file) => file.take(name),
        };
        let Some(Array { shape, data }) = array else {
            return Err(self.refuse(format!("no tensor {name}")));
        };
        let data = match data {
            ArrayData::F32(data) => data,
            ArrayData::F16(data) => data.into_iter().map(f32::from).collect(),
            ArrayData::F64(data) => {
                if let Some(at) = beyond_f32(&data) {
                    let x = data[at];
                    return Err(self.refuse(format!(
                        "{name}: element {at} is {x:e}, out of range of float32"
                    )));
                }
                data.into_iter().map(|x| x as f32).collect()
            }
            other => {
                let dtype = other.dtype();
                let reason = format!("{name} is {dtype}, expected float32, float16 or float64");
                return Err(self.refuse(reason));
            }
        };
        if shape != expected.dims() {
            let reason = format!("{name}: shape {shape:?}, expected {expected}");
            return Err(self.refuse(reason));
        }
        match data.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(self.refuse(format!("{name}: element {at} is {}", data[at]))),
            None => Ok(data),
        }
    }
}
