//! The safetensors format: the length of a header, the header as JSON, then the tensors' bytes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use bytemuck::AnyBitPattern;
use half::bf16;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView, View, serialize};
use serde_json::{Map, Value};

use super::{Array, ArrayData, ArrayRef, DataRef, FileError, shown, write_atomic};

/// The key of the metadata that is ours: several keys would have no fixed order in the file, and so equal content would
/// not be equal bytes.
const KEY: &str = "ganforge";

/// A safetensors file, read.
#[derive(Debug)]
pub struct Safetensors {
    /// What the file says of its tensors; empty where nobody wrote it for us.
    pub about: Map<String, Value>,
    /// The tensors, those that were not taken yet, in the order of their names, numbers in them by their value: the format
    /// has no other.
    pub tensors: Vec<(String, Array)>,
}

impl Safetensors {
    /// Reads a file.
    ///
    /// errors: no safetensors file; truncated; a type of numbers that is not read here
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let place = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|reason| FileError::io(path, "read", reason))?;
        let fail = |error| refusal(&place, &bytes, error);
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(fail)?;
        let about = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let about = match about.map(|text| serde_json::from_str(text)) {
            None => Map::new(),
            Some(Ok(Value::Object(about))) => about,
            Some(_) => {
                let reason = format!("metadata {KEY}: expected a JSON object");
                return Err(FileError::malformed(&place, reason));
            }
        };
        let file = SafeTensors::deserialize(&bytes).map_err(fail)?;
        let tensors = file.iter().map(|(name, view)| {
            let place = format!("{place}:{}", shown(name));
            Ok((name.to_string(), array(&view, &place)?))
        });
        let mut tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        tensors.sort_by_cached_key(|(name, _)| in_order(name));
        Ok(Self { about, tensors })
    }

    /// The tensor of this name; a second time it is gone.
    pub fn take(&mut self, name: &str) -> Option<Array> {
        let at = self.tensors.iter().position(|t| t.0 == name)?;
        Some(self.tensors.remove(at).1)
    }
}

/// Writes a safetensors file, atomically; equal content gives equal bytes.
///
/// errors: as [`write_atomic`]; a shape whose product is not the number of values
pub fn write_safetensors<'a>(
    path: &Path,
    about: Map<String, Value>,
    tensors: impl IntoIterator<Item = (&'a str, ArrayRef<'a>)>,
) -> Result<(), FileError> {
    let about = HashMap::from([(KEY.to_string(), Value::Object(about).to_string())]);
    let bytes = serialize(tensors, Some(about));
    let bytes =
        bytes.map_err(|e| FileError::malformed(&path.display().to_string(), e.to_string()))?;
    write_atomic(path, |w: &mut dyn Write| w.write_all(&bytes))
}

/// What orders names as one reads them: "2.weight" before "10.weight".
fn in_order(name: &str) -> Vec<(u64, String)> {
    let is_digit = |c: &char| c.is_ascii_digit();
    let mut parts = Vec::new();
    let mut rest = name.chars().peekable();
    while rest.peek().is_some() {
        let digits: String = std::iter::from_fn(|| rest.next_if(is_digit)).collect();
        let text: String = std::iter::from_fn(|| rest.next_if(|c| !is_digit(c))).collect();
        parts.push((digits.parse().unwrap_or(0), text));
    }
    parts
}

impl View for ArrayRef<'_> {
    fn dtype(&self) -> Dtype {
        match self.data {
            DataRef::F16(_) => Dtype::F16,
            DataRef::F32(_) => Dtype::F32,
            DataRef::F64(_) => Dtype::F64,
            DataRef::U8(_) => Dtype::U8,
            DataRef::I32(_) => Dtype::I32,
            DataRef::I64(_) => Dtype::I64,
            DataRef::U32(_) => Dtype::U32,
            DataRef::U64(_) => Dtype::U64,
        }
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.data.bytes())
    }

    fn data_len(&self) -> usize {
        self.data.bytes().len()
    }
}

fn array(view: &TensorView, place: &str) -> Result<Array, FileError> {
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F16 => ArrayData::F16(values(bytes)),
        Dtype::F32 => ArrayData::F32(values(bytes)),
        Dtype::BF16 => {
            let values = values::<bf16>(bytes).into_iter();
            ArrayData::F32(values.map(f32::from).collect())
        }
        Dtype::F64 => ArrayData::F64(values(bytes)),
        Dtype::U8 => ArrayData::U8(values(bytes)),
        Dtype::I32 => ArrayData::I32(values(bytes)),
        Dtype::I64 => ArrayData::I64(values(bytes)),
        Dtype::U32 => ArrayData::U32(values(bytes)),
        Dtype::U64 => ArrayData::U64(values(bytes)),
        other => {
            return Err(FileError::Dtype {
                file: place.to_string(),
                found: other.to_string(),
                expected: FileError::DTYPES,
            });
        }
    };
    let shape = view.shape().to_vec();
    Ok(Array { shape, data })
}

/// The bytes lie in the file at any address, so they are copied.
fn values<T: AnyBitPattern>(bytes: &[u8]) -> Vec<T> {
    let items = bytes.chunks_exact(size_of::<T>());
    items.map(bytemuck::pod_read_unaligned).collect()
}

/// The library's complaint, in the words of the other files.
fn refusal(place: &str, bytes: &[u8], error: SafeTensorError) -> FileError {
    let found = bytes.len() as u64;
    let announced = match bytes.first_chunk().map(|first| u64::from_le_bytes(*first)) {
        None => "a header".to_string(),
        Some(length) => format!("a header of {length} bytes"),
    };
    let file = place.to_string();
    match error {
        SafeTensorError::HeaderTooLarge => {
            FileError::magic(place, "a safetensors file", &bytes[..bytes.len().min(8)])
        }
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            FileError::Truncated {
                file,
                announced,
                found,
            }
        }
        SafeTensorError::MetadataIncompleteBuffer => FileError::malformed(
            place,
            format!("truncated or wrong header: its {found} bytes do not match its tensors"),
        ),
        other => FileError::malformed(place, format!("not a safetensors file: {other}")),
    }
}
