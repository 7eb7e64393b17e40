//! Files of PyTorch's `torch.save(model.state_dict(), path)`: a zip archive of a pickle that describes tensors, and of an
//! entry with the numbers of each storage.

use std::io::Read;
use std::path::Path;

use bytemuck::AnyBitPattern;
use half::{bf16, f16};

use super::array::strided;
use super::npy::product;
use super::pickle::{TensorRef, state_dict};
use super::zip_read::ZipReader;
use super::{Array, ArrayData, FileError, Input, shown};

/// Reads the tensors, in the order of the state_dict. Nothing that the file holds is executed.
///
/// errors: no such file; a pickle of more than a state_dict; a storage that is not there or too small; numbers of another
/// byte order or of a type that is not read here
pub fn read_torch(path: &Path) -> Result<Vec<(String, Array)>, FileError> {
    let input = Input::open(path)?;
    let place = input.place.clone();
    // Before version 1.6 it was no archive.
    if input.start(1)? == [0x80] {
        let reason = "is a bare pickle, as torch.save wrote it before version 1.6: save it again";
        return Err(FileError::malformed(&place, reason));
    }
    let mut zip = ZipReader::open(&input, "an npz archive")?;
    let names = zip.entries().iter().map(|entry| entry.name.as_str());
    let mut roots = names.filter_map(|name| name.strip_suffix("data.pkl"));
    let Some(root) = roots.next().map(String::from) else {
        let reason = "is not a file of torch.save: it has no entry data.pkl";
        return Err(FileError::malformed(&place, reason));
    };
    if let Some(order) = entry(&mut zip, &place, &format!("{root}byteorder"))?
        && order != b"little"
    {
        return Err(FileError::malformed(&place, "its numbers are big-endian"));
    }
    let pickle = entry(&mut zip, &place, &format!("{root}data.pkl"))?.unwrap_or_default();
    let tensors = state_dict(&pickle);
    let tensors = tensors
        .map_err(|reason| FileError::malformed(&place, format!("{root}data.pkl: {}", reason)))?;
    let mut arrays = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let place = format!("{place}:{}", shown(&name));
        let storage = format!("{root}data/{}", tensor.key);
        let bytes = entry(&mut zip, &place, &storage)?;
        let bytes = bytes.ok_or_else(|| {
            let reason = format!("there is no storage {}", shown(&storage));
            FileError::malformed(&place, reason)
        })?;
        arrays.push((name, array(&bytes, &tensor, &place)?));
    }
    Ok(arrays)
}

/// The bytes of an entry, if there is one of that name.
fn entry(zip: &mut ZipReader, place: &str, name: &str) -> Result<Option<Vec<u8>>, FileError> {
    let mut entries = zip.entries().iter();
    let Some(found) = entries.find(|entry| entry.name == name).cloned() else {
        return Ok(None);
    };
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        let room = usize::try_from(found.size).unwrap_or(usize::MAX);
        if bytes.try_reserve_exact(room).is_err() {
            return Err(FileError::memory(place, format!("{} bytes", found.size)));
        }
        let result = source.take(found.size).read_to_end(&mut bytes);
        let count = result.map_err(|e| FileError::read(place, e, "an entry", 0))?;
        match count as u64 == found.size {
            true => Ok(bytes),
            false => Err(FileError::Truncated {
                file: place.to_string(),
                announced: format!("an entry of {} bytes", found.size),
                found: count as u64,
            }),
        }
    };
    zip.read(&found, place, read).map(Some)
}

fn array(storage: &[u8], tensor: &TensorRef, place: &str) -> Result<Array, FileError> {
    let malformed = |reason: String| FileError::malformed(place, reason);
    let data = match &*tensor.kind {
        "Half" => ArrayData::F16(elements::<f16>(storage, tensor).map_err(malformed)?),
        "Float" => ArrayData::F32(elements(storage, tensor).map_err(malformed)?),
        "BFloat16" => {
            let values: Vec<bf16> = elements(storage, tensor).map_err(malformed)?;
            ArrayData::F32(values.into_iter().map(f32::from).collect())
        }
        "Double" => ArrayData::F64(elements(storage, tensor).map_err(malformed)?),
        "Byte" => ArrayData::U8(elements(storage, tensor).map_err(malformed)?),
        "Int" => ArrayData::I32(elements(storage, tensor).map_err(malformed)?),
        "Long" => ArrayData::I64(elements(storage, tensor).map_err(malformed)?),
        other => {
            return Err(FileError::Dtype {
                file: place.to_string(),
                found: shown(other),
                expected: FileError::DTYPES,
            });
        }
    };
    let shape = tensor.shape.iter().map(|&dim| dim as usize).collect();
    Ok(Array { shape, data })
}

/// The elements in row-major order.
fn elements<T: AnyBitPattern>(storage: &[u8], tensor: &TensorRef) -> Result<Vec<T>, String> {
    let (size, room) = (size_of::<T>() as u64, tensor.room);
    if room.checked_mul(size) != Some(storage.len() as u64) {
        let bytes = storage.len();
        return Err(format!("its storage of {room} elements has {bytes} bytes"));
    }
    let TensorRef {
        offset,
        shape,
        strides,
        ..
    } = tensor;
    let count = product(shape).unwrap_or(u64::MAX);
    let beyond =
        || format!("shape {shape:?}, strides {strides:?} from {offset} on, of {room} elements");
    if shape.len() != strides.len() || count > room {
        return Err(beyond());
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(*offset, |at, (dim, stride)| {
            at.checked_add((dim - 1).checked_mul(*stride)?)
        });
    if last.is_none_or(|last| last >= room) {
        return Err(beyond());
    }
    let items = storage.chunks_exact(size_of::<T>());
    let items: Vec<T> = items.map(bytemuck::pod_read_unaligned).collect();
    let usizes = |sizes: &[u64]| sizes.iter().map(|&n| n as usize).collect::<Vec<_>>();
    let elements = strided(&items, *offset as usize, &usizes(shape), &usizes(strides));
    elements.ok_or_else(|| "does not fit into memory".to_string())
}
