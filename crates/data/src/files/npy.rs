//! The npy format: magic, version, a Python dict literal as header, then the raw values.
//!
//! The header is parsed here and not by npyz because npyz allocates the header length a file claims and multiplies the
//! dimensions unchecked; npyz reads the dtype string and writes our headers.

use std::io::{BufReader, Read};
use std::path::Path;

use bytemuck::Pod;
use npyz::WriterBuilder;

use super::npy_header::Header;
use super::{Array, ArrayData, ArrayRef, FileError, Input, shown, strided, write_atomic};

/// First bytes of every npy file.
pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy, too, refuses longer headers of files it does not trust.
const LONGEST_HEADER: usize = 10_000;
/// A buffer starts at this many bytes and doubles, so that a lie costs at most twice what the file holds.
const FIRST_CHUNK: usize = 1 << 20;

/// Reads an npy file.
///
/// Accepts versions 1 to 3, C and Fortran order, float16, float32, float64, uint8, int32, int64, uint32 and uint64 of either
/// byte order.
///
/// errors: a [`FileError`] that names the path, for anything else
pub fn read_npy(path: &Path) -> Result<Array, FileError> {
    read_input(&Input::open(path)?)
}

/// Reads what an npy file holds.
pub(super) fn read_input(input: &Input) -> Result<Array, FileError> {
    let mut source = BufReader::new(input.source()?);
    read_array(&mut source, input.size, &input.place)
}

/// Writes an npy file that NumPy reads; see [`write_atomic`] for what happens on errors.
///
/// errors: a shape whose product is not the number of values; what the operating system refuses
pub fn write_npy(path: &Path, array: ArrayRef<'_>) -> Result<(), FileError> {
    let header = header_of(&array, &path.display().to_string())?;
    write_atomic(path, |file| {
        file.write_all(&header)?;
        file.write_all(array.data.bytes())
    })
}

/// The bytes before the values: magic, version and padded header.
pub(super) fn header_of(array: &ArrayRef<'_>, place: &str) -> Result<Vec<u8>, FileError> {
    let values = array.data.len();
    if array
        .shape
        .iter()
        .try_fold(1, |n: usize, &dim| n.checked_mul(dim))
        != Some(values)
    {
        let expected = format!("of {values} values");
        return Err(FileError::Shape {
            file: place.to_string(),
            expected,
            found: array.shape.to_vec(),
        });
    }
    let shape: Vec<u64> = array.shape.iter().map(|&dim| dim as u64).collect();
    let dtype = npyz::DType::new_scalar(
        array
            .data
            .descr()
            .parse()
            .expect("our own type strings are valid"),
    );
    let header = npyz::WriteOptions::new_header_only()
        .dtype(dtype)
        .shape(&shape)
        .writer(Vec::new())
        .write_header_only();
    header.map_err(|reason| {
        FileError::malformed(place, format!("cannot describe the array: {reason}"))
    })
}

/// Reads an array from `source`, of which there are `size` bytes; `place` names it in errors.
pub(super) fn read_array(
    source: &mut dyn Read,
    size: u64,
    place: &str,
) -> Result<Array, FileError> {
    NpyHead::read(source, size, place)?.all(source, place)
}

/// What the header of an npy file says; as many bytes follow it.
#[derive(Debug)]
pub(crate) struct NpyHead {
    /// Dimensions, outermost first.
    pub(crate) shape: Vec<usize>,
    kind: Kind,
    is_swapped: bool,
    is_by_columns: bool,
    count: usize,
    /// Shape and type for people.
    announced: String,
}

impl NpyHead {
    /// Reads it from `source`, of which there are `size` bytes; `place` names it in errors.
    pub(crate) fn read(source: &mut dyn Read, size: u64, place: &str) -> Result<Self, FileError> {
        let (header, size) = read_header(source, size, place)?;
        Self::of(&header, size, place)
    }

    /// Whether the first index runs fastest, so that there are no values of one row after the other.
    pub(crate) fn is_by_columns(&self) -> bool {
        self.is_by_columns
    }

    /// Whether its values are uint8.
    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self.kind, Kind::U8)
    }

    /// The array, all of it.
    pub(crate) fn all(&self, source: &mut dyn Read, place: &str) -> Result<Array, FileError> {
        let data = self.data(source, self.count, self.is_by_columns, place)?;
        let shape = self.shape.clone();
        Ok(Array { shape, data })
    }

    /// The next `count` values as they lie in the file.
    pub(crate) fn values(
        &self,
        source: &mut dyn Read,
        count: usize,
        place: &str,
    ) -> Result<ArrayData, FileError> {
        self.data(source, count, false, place)
    }

    /// That of the same array read whole and laid out row by row.
    pub(crate) fn by_rows(self) -> Self {
        Self {
            is_swapped: false,
            is_by_columns: false,
            ..self
        }
    }

    fn of(header: &Header, size: u64, place: &str) -> Result<Self, FileError> {
        let (kind, is_swapped) = Kind::of(&header.descr).map_err(|found| FileError::Dtype {
            file: place.to_string(),
            found,
            expected: FileError::DTYPES,
        })?;
        let announced = format!("shape {:?} of {}", header.shape, header.descr);
        let lie = || FileError::Truncated {
            file: place.to_string(),
            announced: announced.clone(),
            found: size,
        };
        let count = product(&header.shape).ok_or_else(lie)?;
        let bytes = count.checked_mul(kind.size()).ok_or_else(lie)?;
        if bytes > size {
            return Err(lie());
        }
        if bytes < size {
            return Err(FileError::TrailingBytes {
                file: place.to_string(),
                expected: bytes,
                extra: Some(size - bytes),
            });
        }
        let shape: Option<Vec<usize>> = header
            .shape
            .iter()
            .map(|&dim| usize::try_from(dim).ok())
            .collect();
        let (shape, count) = shape.zip(usize::try_from(count).ok()).ok_or_else(lie)?;
        Ok(Self {
            shape,
            kind,
            is_swapped,
            is_by_columns: header.fortran_order,
            count,
            announced,
        })
    }

    fn data(
        &self,
        source: &mut dyn Read,
        count: usize,
        is_by_columns: bool,
        place: &str,
    ) -> Result<ArrayData, FileError> {
        let from = Body {
            place,
            announced: &self.announced,
            count,
            is_swapped: self.is_swapped,
            columns: is_by_columns.then_some(&self.shape),
        };
        Ok(match self.kind {
            Kind::F16 => ArrayData::F16(from.read(source)?),
            Kind::F32 => ArrayData::F32(from.read(source)?),
            Kind::F64 => ArrayData::F64(from.read(source)?),
            Kind::U8 => ArrayData::U8(from.read(source)?),
            Kind::I32 => ArrayData::I32(from.read(source)?),
            Kind::I64 => ArrayData::I64(from.read(source)?),
            Kind::U32 => ArrayData::U32(from.read(source)?),
            Kind::U64 => ArrayData::U64(from.read(source)?),
        })
    }
}

/// The header, and how many bytes follow it.
fn read_header(source: &mut dyn Read, size: u64, place: &str) -> Result<(Header, u64), FileError> {
    let mut start = [0; 8];
    let known = (size.min(8)) as usize;
    source
        .read_exact(&mut start[..known])
        .map_err(|e| FileError::read(place, e, "an npy header", size))?;
    if !start.starts_with(MAGIC) {
        return Err(FileError::magic(place, "an npy array", &start[..known]));
    }
    let mut length = [0; 4];
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        version => {
            return Err(FileError::malformed(
                place,
                format!("npy version {version} is not known: expected 1, 2 or 3"),
            ));
        }
    };
    let eof = |e| FileError::read(place, e, "a whole npy header", size);
    source.read_exact(&mut length[..width]).map_err(eof)?;
    let length = u32::from_le_bytes(length) as usize;
    let before = 8 + width as u64 + length as u64;
    if before > size {
        let announced = format!("a header of {length} bytes");
        return Err(FileError::Truncated {
            file: place.to_string(),
            announced,
            found: size,
        });
    }
    if length > LONGEST_HEADER {
        return Err(FileError::malformed(
            place,
            format!("header of {length} bytes: expected at most {LONGEST_HEADER}"),
        ));
    }
    let mut text = vec![0; length];
    source.read_exact(&mut text).map_err(eof)?;
    let header = Header::parse(&text)
        .map_err(|reason| FileError::malformed(place, format!("npy header: {reason}")))?;
    Ok((header, size - before))
}

/// The product of the dimensions; none where it passes 2^64. One zero makes it zero, whatever the others claim.
pub(super) fn product(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_u64, |n, &dim| n.checked_mul(dim))
}

struct Body<'a> {
    place: &'a str,
    announced: &'a str,
    count: usize,
    /// Whether the bytes of a value come in the other order.
    is_swapped: bool,
    /// The shape of an array in Fortran order, of which the first index runs fastest.
    columns: Option<&'a Vec<usize>>,
}

impl Body<'_> {
    fn read<T: Pod>(&self, source: &mut dyn Read) -> Result<Vec<T>, FileError> {
        let mut values: Vec<T> = Vec::new();
        // Found out before the first byte is decompressed; given back at once, for the header may lie.
        if values.try_reserve_exact(self.count).is_err() {
            return Err(self.too_large());
        }
        values.shrink_to_fit();
        let first = FIRST_CHUNK / size_of::<T>();
        while values.len() < self.count {
            let done = values.len();
            let more = (self.count - done).min(done.max(first));
            if values.try_reserve_exact(more).is_err() {
                return Err(self.too_large());
            }
            values.resize(done + more, T::zeroed());
            let read = source.read_exact(bytemuck::cast_slice_mut(&mut values[done..]));
            read.map_err(|e| {
                FileError::read(
                    self.place,
                    e,
                    self.announced,
                    (done * size_of::<T>()) as u64,
                )
            })?;
        }
        if self.is_swapped {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
            let items = bytes.chunks_exact_mut(size_of::<T>());
            items.for_each(<[u8]>::reverse);
        }
        match self.columns {
            Some(shape) if shape.len() > 1 && self.count > 0 => {
                let strides = shape.iter().scan(1, |next, &dim| {
                    let stride = *next;
                    *next *= dim;
                    Some(stride)
                });
                let strides: Vec<usize> = strides.collect();
                strided(&values, 0, shape, &strides).ok_or_else(|| self.too_large())
            }
            _ => Ok(values),
        }
    }

    fn too_large(&self) -> FileError {
        FileError::memory(self.place, self.announced)
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    F16,
    F32,
    F64,
    U8,
    I32,
    I64,
    U32,
    U64,
}

impl Kind {
    /// The type of a descr and whether it is big-endian, or what it is in words.
    fn of(descr: &str) -> Result<(Self, bool), String> {
        use npyz::{Endianness, TypeChar};
        if descr.starts_with('[') {
            return Err("structured records".to_string());
        }
        let parsed: npyz::TypeStr = descr.parse().map_err(|_| format!("`{}`", shown(descr)))?;
        let bits = parsed.size_field().saturating_mul(8);
        let name = match parsed.type_char() {
            TypeChar::Bool => "bool (convert with .astype(np.float32))".to_string(),
            TypeChar::Int => format!("int{bits}"),
            TypeChar::Uint => format!("uint{bits}"),
            TypeChar::Float => format!("float{bits}"),
            TypeChar::Complex => format!("complex{bits}"),
            TypeChar::Object => "object (pickled Python objects)".to_string(),
            _ => format!("`{descr}`"),
        };
        let kind = match name.as_str() {
            "float16" => Self::F16,
            "float32" => Self::F32,
            "float64" => Self::F64,
            "uint8" => Self::U8,
            "int32" => Self::I32,
            "int64" => Self::I64,
            "uint32" => Self::U32,
            "uint64" => Self::U64,
            _ => return Err(name),
        };
        Ok((kind, parsed.endianness() == Endianness::Big))
    }

    fn size(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}
