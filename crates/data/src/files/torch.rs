//! Files of PyTorch's `torch.save(model.state_dict(), path)`, which are of one of two forms.
//!
//! Since version 1.6 it is a zip archive: `ROOT/data.pkl`, a pickle that describes tensors, and `ROOT/data/KEY`, the numbers of
//! each storage. Before it was a stream: five pickles (a magic number, a version, what machine wrote it, the tensors, the
//! keys of the storages in order), then of each storage the count of its elements, as 8 bytes, and its numbers.

use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use bytemuck::AnyBitPattern;
use half::bf16;

use super::array::strided;
use super::npy::product;
use super::pickle::{MOST_BYTES, Named, TensorRef, Unpickled, unpickle};
use super::zip_entry::Entry;
use super::zip_read::{self, ZipReader};
use super::{Array, ArrayData, FileError, Input, shown};

const FORMAT: &str = "a file of torch.save";
/// The first pickle of a stream.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The second one.
const VERSION: i128 = 1001;
/// Tensors may share storages, but are not so many times as large as these.
const MOST_SHARED: u64 = 16;

/// Reads the tensors, in the order of the state_dict. Nothing that the file holds is executed.
///
/// errors: no such file; a pickle of more than a state_dict, or one that needs what a state_dict does not, with its name; two
/// tensors of one name; a storage that is not there or too small; bytes that belong to nothing; numbers of another byte order
/// or of a type that is not read here
pub fn read_torch(path: &Path) -> Result<Vec<(String, Array)>, FileError> {
    let input = Input::open(path)?;
    let start = input.start(4)?;
    match start.first() {
        Some(0x80) => of_stream(&input),
        _ if zip_read::is_one(&start) => of_archive(&input),
        _ => Err(FileError::magic(&input.place, FORMAT, &start)),
    }
}

/// Reads the form since version 1.6.
fn of_archive(input: &Input) -> Result<Vec<(String, Array)>, FileError> {
    let place = &input.place;
    let refuse = |reason: String| Err(FileError::malformed(place, reason));
    let mut zip = ZipReader::open(input, FORMAT)?;
    let entries: HashMap<String, Entry> = zip.entries().iter().map(by_name).collect();
    let names = zip.entries().iter().map(|entry| entry.name.as_str());
    let mut roots = names
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .filter(|root| root.is_empty() || root.ends_with('/'));
    let root = match (roots.next(), roots.next()) {
        (Some(root), None) => root.to_string(),
        (None, _) => return refuse(format!("is not {FORMAT}: it has no entry data.pkl")),
        (Some(_), Some(_)) => return refuse("has two entries data.pkl".to_string()),
    };
    if let Some(order) = entries.get(&format!("{root}byteorder"))
        && content(&mut zip, order, place, MOST_BYTES)? != b"little"
    {
        return refuse("its numbers are big-endian".to_string());
    }
    let name = format!("{root}data.pkl");
    let pickle = content(&mut zip, &entries[&name], place, MOST_BYTES)?;
    let mut rest = &pickle[..];
    let tensors = unpickle(&mut rest).and_then(|state| state.tensors());
    let tensors = match (tensors, rest.len()) {
        (Ok(tensors), 0) => tensors,
        (Ok(_), more) => return refuse(format!("{name}: {more} bytes follow its end")),
        (Err(reason), _) => return refuse(format!("{name}: {reason}")),
    };
    let plan = Plan::of(tensors, place)?;
    plan.arrays(0..plan.storages.len(), |storage, place| {
        let name = format!("{root}data/{}", storage.key);
        let Some(entry) = entries.get(&name) else {
            let reason = format!("there is no storage {}", shown(&name));
            return Err(FileError::malformed(place, reason));
        };
        if entry.size != storage.bytes {
            return Err(storage.wrong_size(place, &format!("{} bytes", entry.size)));
        }
        content(&mut zip, entry, place, u64::MAX)
    })
}

fn by_name(entry: &Entry) -> (String, Entry) {
    (entry.name.clone(), entry.clone())
}

/// The bytes of an entry, at most `most`.
fn content(
    zip: &mut ZipReader,
    entry: &Entry,
    place: &str,
    most: u64,
) -> Result<Vec<u8>, FileError> {
    if entry.size > most {
        let (name, size) = (shown(&entry.name), entry.size);
        let reason = format!("{name}: {size} bytes, expected at most {most}");
        return Err(FileError::malformed(place, reason));
    }
    zip.read(entry, place, |source| bytes(source, entry.size, place))
}

/// The next `size` bytes.
fn bytes(source: &mut dyn Read, size: u64, place: &str) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let room = usize::try_from(size).unwrap_or(usize::MAX);
    if bytes.try_reserve_exact(room).is_err() {
        return Err(FileError::memory(place, format!("{size} bytes")));
    }
    let result = source.take(size).read_to_end(&mut bytes);
    let found = result.map_err(|e| FileError::read(place, e, "a storage", 0))? as u64;
    match found == size {
        true => Ok(bytes),
        false => Err(FileError::Truncated {
            file: place.to_string(),
            announced: format!("{size} bytes"),
            found,
        }),
    }
}

/// Reads the form before version 1.6.
fn of_stream(input: &Input) -> Result<Vec<(String, Array)>, FileError> {
    let place = &input.place;
    let head = input.start(MOST_BYTES)?;
    let mut rest = &head[..];
    let fail = |which: &str, reason: String| {
        FileError::malformed(place, format!("its pickle of {which}: {reason}"))
    };
    let mut next = |which: &str| -> Result<Unpickled, FileError> {
        unpickle(&mut rest).map_err(|reason| fail(which, reason))
    };
    if !next("the magic number")?.is(MAGIC) {
        let reason = format!("is a pickle, but not {FORMAT}: it does not begin with its number");
        return Err(FileError::malformed(place, reason));
    }
    if !next("the version")?.is(VERSION) {
        return Err(fail("the version", format!("is not {VERSION}")));
    }
    if !next("the machine")?.says("little_endian") {
        let reason = "does not say little_endian: its numbers are big-endian";
        return Err(fail("the machine", reason.to_string()));
    }
    let tensors = next("the tensors")?.tensors();
    let plan = Plan::of(
        tensors.map_err(|reason| fail("the tensors", reason))?,
        place,
    )?;
    let keys = next("the storages")?.texts();
    let keys = keys.map_err(|reason| fail("the storages", reason))?;
    let order = plan
        .order(&keys)
        .map_err(|reason| fail("the storages", reason))?;

    let before = (head.len() - rest.len()) as u64;
    let each = plan.storages.iter().map(|storage| storage.bytes);
    let expected = each.fold(before, |sum, bytes| {
        sum.saturating_add(8).saturating_add(bytes)
    });
    if expected > input.size {
        let count = keys.len();
        return Err(FileError::Truncated {
            file: place.clone(),
            announced: format!("{count} storages that end at byte {expected}"),
            found: input.size,
        });
    }
    if expected < input.size {
        return Err(FileError::TrailingBytes {
            file: place.clone(),
            expected,
            extra: Some(input.size - expected),
        });
    }
    let mut source = BufReader::new(input.source()?);
    let sought = source.seek(SeekFrom::Start(before));
    sought.map_err(|e| FileError::read(place, e, "a storage", 0))?;
    plan.arrays(order, |storage, place| {
        let mut count = [0; 8];
        let read = source.read_exact(&mut count);
        read.map_err(|e| FileError::read(place, e, "the elements of a storage", 0))?;
        match u64::from_le_bytes(count) {
            count if count == storage.room => bytes(&mut source, storage.bytes, place),
            count => Err(storage.wrong_size(place, &format!("{count} of them"))),
        }
    })
}

/// What the numbers of a storage are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Half,
    Float,
    BFloat16,
    Double,
    Byte,
    Int,
    Long,
}

impl Kind {
    /// By PyTorch's name of the storage.
    fn of(name: &str, place: &str) -> Result<Self, FileError> {
        Ok(match name {
            "Half" => Self::Half,
            "Float" => Self::Float,
            "BFloat16" => Self::BFloat16,
            "Double" => Self::Double,
            "Byte" => Self::Byte,
            "Int" => Self::Int,
            "Long" => Self::Long,
            other => {
                return Err(FileError::Dtype {
                    file: place.to_string(),
                    found: shown(other),
                    expected: FileError::DTYPES,
                });
            }
        })
    }

    /// Bytes of a number.
    fn size(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Half | Self::BFloat16 => 2,
            Self::Float | Self::Int => 4,
            Self::Double | Self::Long => 8,
        }
    }
}

/// A storage, as the tensors in it say.
struct Storage {
    key: Rc<str>,
    kind: Kind,
    /// Elements, and how many bytes these are.
    room: u64,
    bytes: u64,
    /// The tensors in it.
    users: Vec<usize>,
}

impl Storage {
    fn wrong_size(&self, place: &str, found: &str) -> FileError {
        let reason = format!("its storage of {} elements has {found}", self.room);
        FileError::malformed(place, reason)
    }
}

/// The tensors and storages of a file, checked against each other before any storage is read.
struct Plan<'a> {
    place: &'a str,
    tensors: Vec<Named>,
    /// In the order of their first use.
    storages: Vec<Storage>,
}

impl<'a> Plan<'a> {
    /// errors: two tensors of one name; a kind of numbers that is not read; a tensor beyond its storage; two tensors that say
    /// different things of one storage; a storage that is used too often
    fn of(tensors: Vec<Named>, place: &'a str) -> Result<Self, FileError> {
        let mut storages: Vec<Storage> = Vec::new();
        let mut names = HashSet::new();
        let mut at = HashMap::new();
        let mut needed = 0_u64;
        for (user, (name, tensor)) in tensors.iter().enumerate() {
            if !names.insert(name) {
                return Err(FileError::DuplicateName {
                    file: place.to_string(),
                    name: name.to_string(),
                });
            }
            let place = of_tensor(place, name);
            let refuse = |reason: String| FileError::malformed(&place, reason);
            let kind = Kind::of(&tensor.kind, &place)?;
            let room = tensor.room;
            let bytes = room.checked_mul(kind.size());
            let bytes = bytes.ok_or_else(|| refuse(format!("a storage of {room} elements")))?;
            let count = within(tensor).map_err(refuse)?;
            needed = needed.saturating_add(count * kind.size());
            let new = storages.len();
            let index = *at.entry(tensor.key.clone()).or_insert(new);
            if index == new {
                let (key, users) = (tensor.key.clone(), Vec::new());
                storages.push(Storage {
                    key,
                    kind,
                    room,
                    bytes,
                    users,
                });
            }
            let storage = &mut storages[index];
            if (storage.kind, storage.room) != (kind, room) {
                let (key, first) = (shown(&storage.key), &tensors[storage.users[0]].0);
                let reason = format!(
                    "describes storage {key} otherwise than {} does",
                    shown(first)
                );
                return Err(refuse(reason));
            }
            storage.users.push(user);
        }
        let all = storages
            .iter()
            .fold(0_u64, |sum, storage| sum.saturating_add(storage.bytes));
        if needed > all.saturating_mul(MOST_SHARED) {
            let reason = format!(
                "its tensors take {needed} bytes, its storages {all}: more than {MOST_SHARED} times"
            );
            return Err(FileError::malformed(place, reason));
        }
        Ok(Self {
            place,
            tensors,
            storages,
        })
    }

    /// Which storages `keys` name: each of them once.
    fn order(&self, keys: &[Rc<str>]) -> Result<Vec<usize>, String> {
        let mut at: HashMap<&str, usize> = HashMap::new();
        for (index, storage) in self.storages.iter().enumerate() {
            at.insert(&storage.key, index);
        }
        let mut order = Vec::with_capacity(self.storages.len());
        for key in keys {
            let index = at.remove(&**key);
            let reason = || format!("{} is there twice or no tensor's", shown(key));
            order.push(index.ok_or_else(reason)?);
        }
        match at.keys().next() {
            None => Ok(order),
            Some(key) => Err(format!("{} is not among them", shown(key))),
        }
    }

    /// The tensors, from the storages as `read` reads them, in this order.
    fn arrays(
        &self,
        order: impl IntoIterator<Item = usize>,
        mut read: impl FnMut(&Storage, &str) -> Result<Vec<u8>, FileError>,
    ) -> Result<Vec<(String, Array)>, FileError> {
        let mut arrays = Vec::with_capacity(self.tensors.len());
        for storage in order.into_iter().map(|index| &self.storages[index]) {
            let place = of_tensor(self.place, &self.tensors[storage.users[0]].0);
            let bytes = read(storage, &place)?;
            let tensors = storage.users.iter().map(|&user| &*self.tensors[user].1);
            let views = views(&bytes, storage.kind, tensors);
            let views = views
                .ok_or_else(|| FileError::memory(&place, format!("{} bytes", storage.bytes)))?;
            arrays.extend(storage.users.iter().copied().zip(views));
        }
        arrays.sort_by_key(|(user, _)| *user);
        let names = self.tensors.iter().map(|(name, _)| name.to_string());
        Ok(names
            .zip(arrays.into_iter().map(|(_, array)| array))
            .collect())
    }
}

/// What a tensor of a file is called in messages.
fn of_tensor(place: &str, name: &str) -> String {
    format!("{place}:{}", shown(name))
}

/// How many elements it has, all of which lie in its storage.
fn within(tensor: &TensorRef) -> Result<u64, String> {
    let TensorRef {
        room,
        offset,
        shape,
        strides,
        ..
    } = tensor;
    let beyond =
        || format!("shape {shape:?}, strides {strides:?} from {offset} on, of {room} elements");
    let count = product(shape).unwrap_or(u64::MAX);
    if shape.len() != strides.len() || count > *room {
        return Err(beyond());
    }
    if count == 0 {
        return Ok(0);
    }
    let mut steps = shape.iter().zip(strides);
    let last = steps.try_fold(*offset, |at, (dim, stride)| {
        at.checked_add((dim - 1).checked_mul(*stride)?)
    });
    match last {
        Some(last) if last < *room => Ok(count),
        _ => Err(beyond()),
    }
}

/// The tensors of a storage, in which they lie; none where there is no memory for them.
fn views<'t>(
    storage: &[u8],
    kind: Kind,
    tensors: impl Iterator<Item = &'t TensorRef>,
) -> Option<Vec<Array>> {
    match kind {
        Kind::Half => of_type(storage, tensors, ArrayData::F16),
        Kind::Float => of_type(storage, tensors, ArrayData::F32),
        Kind::BFloat16 => of_type(storage, tensors, |values: Vec<bf16>| {
            ArrayData::F32(values.into_iter().map(f32::from).collect())
        }),
        Kind::Double => of_type(storage, tensors, ArrayData::F64),
        Kind::Byte => of_type(storage, tensors, ArrayData::U8),
        Kind::Int => of_type(storage, tensors, ArrayData::I32),
        Kind::Long => of_type(storage, tensors, ArrayData::I64),
    }
}

fn of_type<'t, T: AnyBitPattern>(
    storage: &[u8],
    tensors: impl Iterator<Item = &'t TensorRef>,
    data: impl Fn(Vec<T>) -> ArrayData,
) -> Option<Vec<Array>> {
    let items = storage.chunks_exact(size_of::<T>());
    let mut values = Vec::new();
    values.try_reserve_exact(items.len()).ok()?;
    values.extend(items.map(bytemuck::pod_read_unaligned::<T>));
    let sizes = |sizes: &[u64]| sizes.iter().map(|&n| n as usize).collect::<Vec<_>>();
    let view = |tensor: &TensorRef| {
        let shape = sizes(&tensor.shape);
        let values = match shape.contains(&0) {
            true => Vec::new(),
            false => {
                let first = tensor.offset as usize;
                strided(&values, first, &shape, &sizes(&tensor.strides))?
            }
        };
        let data = data(values);
        Some(Array { shape, data })
    };
    tensors.map(view).collect()
}

#[cfg(test)]
mod tests;
