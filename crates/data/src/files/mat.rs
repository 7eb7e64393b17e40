//! MATLAB 5 files: their numeric variables.
//!
//! source: MAT-File Format (MathWorks), chapter 1, level 5

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use super::{FileError, MOST_COMPRESSION, listed, read_regular};

/// The text, the version and the mark of byte order.
const HEADER: usize = 128;
/// Of a variable: its tag, the tag of its flags, the flags, the tag of its dimensions.
const FLAGS: usize = 16;
const DIMENSIONS: usize = 32;
/// Types of a file's elements.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Of types of numbers: bytes of one, and its value from them, the lowest first.
type Number = (usize, fn(&[u8]) -> f64);
/// Classes of a variable; those of numbers lie from double to uint64.
const DOUBLE: u32 = 6;
const UINT8: u32 = 9;
const UINT64: u32 = 15;
/// The flag of a variable with imaginary parts.
const COMPLEX: u32 = 1 << 11;

/// The numeric variables of a file.
pub(crate) struct Mat {
    place: String,
    variables: Vec<Variable>,
}

/// A numeric variable.
pub(crate) struct Variable {
    name: String,
    /// Its dimensions.
    pub(crate) size: Vec<usize>,
    /// Class and flags.
    flags: u32,
    order: Order,
    number: Number,
    /// The real parts, column-major.
    data: Vec<u8>,
}

impl Variable {
    /// The numbers of a real variable of class uint8, column-major.
    pub(crate) fn uint8(&self) -> Option<&[u8]> {
        let is_uint8 = self.flags & (COMPLEX | 0xff) == UINT8 && self.number.0 == 1;
        is_uint8.then_some(&self.data)
    }

    /// The real parts of the numbers, column-major.
    pub(crate) fn to_f64(&self) -> Vec<f64> {
        let (bytes, value) = self.number;
        let numbers = self.data.chunks_exact(bytes).map(|number| {
            let mut number = number.to_vec();
            if !self.order.is_little {
                number.reverse();
            }
            value(&number)
        });
        numbers.collect()
    }
}

/// Byte order of a file.
#[derive(Clone, Copy)]
struct Order {
    is_little: bool,
}

impl Order {
    /// The number at `at`, where there are four bytes.
    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let word = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self.is_little {
            true => u32::from_le_bytes(word),
            false => u32::from_be_bytes(word),
        })
    }
}

impl Mat {
    /// Reads `path`, which messages call `place`; variables that hold no numbers are left out.
    ///
    /// errors: a file that is no MATLAB 5 file, or not all of one
    pub(crate) fn read(path: &Path, place: &str) -> Result<Mat, FileError> {
        let bytes = read_regular(path)?;
        let order = byte_order(&bytes, place)?;
        let mut rest = &bytes[HEADER..];
        let mut variables = Vec::new();
        while !rest.is_empty() {
            let (kind, element) = first_element(rest, order, place)?;
            let found = match kind {
                COMPRESSED => {
                    let inner = inflate(&element[8..], place)?;
                    let (_, inner) = first_element(&inner, order, place)?;
                    numbers(inner, order)
                }
                MATRIX => numbers(element, order),
                _ => None,
            };
            variables.extend(found);
            let padding = match kind {
                COMPRESSED => 0,
                _ => element.len().next_multiple_of(8) - element.len(),
            };
            rest = &rest[(element.len() + padding).min(rest.len())..];
        }
        Ok(Mat {
            place: place.to_string(),
            variables,
        })
    }

    /// The variable `name`.
    ///
    /// errors: no such variable of numbers
    pub(crate) fn get(&self, name: &str) -> Result<&Variable, FileError> {
        let found = self.variables.iter().find(|v| v.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.variables.iter().map(|v| v.name.as_str()).collect();
            FileError::MissingName {
                file: self.place.clone(),
                name: name.to_string(),
                present: match names.is_empty() {
                    true => "none of numbers".to_string(),
                    false => listed(names),
                },
            }
        })
    }
}

/// How numbers of a type of a file's elements are read; none of other types.
fn number(kind: u32) -> Option<Number> {
    macro_rules! number {
        ($type:ty) => {
            (size_of::<$type>(), |bytes| {
                let bytes = bytes.try_into().expect("as many bytes as the type has");
                <$type>::from_le_bytes(bytes) as f64
            })
        };
    }
    Some(match kind {
        1 => number!(i8),
        2 => number!(u8),
        3 => number!(i16),
        4 => number!(u16),
        5 => number!(i32),
        6 => number!(u32),
        7 => number!(f32),
        9 => number!(f64),
        12 => number!(i64),
        13 => number!(u64),
        _ => return None,
    })
}

fn byte_order(bytes: &[u8], place: &str) -> Result<Order, FileError> {
    let no_mat = || FileError::magic(place, "a MATLAB 5 file", &bytes[..bytes.len().min(8)]);
    if bytes.starts_with(b"MATLAB 7.3") || bytes.get(512..520) == Some(b"\x89HDF\r\n\x1a\n") {
        let reason = "is a MATLAB 7.3 file (HDF5): expected version 5, which `save -v7` in MATLAB \
                      and `scipy.io.savemat` in Python write";
        return Err(FileError::malformed(place, reason));
    }
    let order = match bytes.get(124..HEADER) {
        Some([0, 1, b'I', b'M']) => Order { is_little: true },
        Some([1, 0, b'M', b'I']) => Order { is_little: false },
        _ => return Err(no_mat()),
    };
    Ok(order)
}

/// Type and bytes, tag included, of the element at the start of `bytes`.
fn first_element<'b>(
    bytes: &'b [u8],
    order: Order,
    place: &str,
) -> Result<(u32, &'b [u8]), FileError> {
    let truncated = |announced: String| FileError::Truncated {
        file: place.to_string(),
        announced,
        found: bytes.len() as u64,
    };
    let (Some(kind), Some(size)) = (order.u32(bytes, 0), order.u32(bytes, 4)) else {
        return Err(truncated("the 8 bytes before a variable".to_string()));
    };
    let element = bytes.get(..8 + size as usize);
    let element = element.ok_or_else(|| truncated(format!("a variable of {} bytes", size)))?;
    Ok((kind, element))
}

fn inflate(compressed: &[u8], place: &str) -> Result<Vec<u8>, FileError> {
    let most = MOST_COMPRESSION * compressed.len() as u64;
    let mut bytes = Vec::new();
    let read = ZlibDecoder::new(compressed)
        .take(most)
        .read_to_end(&mut bytes);
    read.map_err(|e| FileError::read(place, e, "a compressed variable", bytes.len() as u64))?;
    Ok(bytes)
}

/// The variable in `element`, if it is one of numbers and all of them are there.
fn numbers(element: &[u8], order: Order) -> Option<Variable> {
    let flags = order.u32(element, FLAGS)?;
    if !(DOUBLE..=UINT64).contains(&(flags & 0xff)) || order.u32(element, 0)? != MATRIX {
        return None;
    }
    let rest = element.get(DIMENSIONS - 8..)?;
    let (_, dimensions, rest) = part(rest, order)?;
    let dimensions = 0..dimensions.len() / 4;
    let size = dimensions.map(|i| order.u32(element, DIMENSIONS + 4 * i).map(|d| d as usize));
    let size = size.collect::<Option<Vec<usize>>>()?;
    let (_, name, rest) = part(rest, order)?;
    let (kind, data, _) = part(rest, order)?;
    let number = number(kind)?;
    let count = size
        .iter()
        .try_fold(1_usize, |n, dim| n.checked_mul(*dim))?;
    let is_whole = count.checked_mul(number.0)? == data.len();
    is_whole.then(|| Variable {
        name: String::from_utf8_lossy(name).into_owned(),
        size,
        flags,
        order,
        number,
        data: data.to_vec(),
    })
}

/// Type and bytes of the part at the start of `bytes`, and what follows it. Up to four bytes may stand in the tag itself.
fn part(bytes: &[u8], order: Order) -> Option<(u32, &[u8], &[u8])> {
    let tag = order.u32(bytes, 0)?;
    let (kind, start, len) = match tag >> 16 {
        0 => (tag, 8_usize, order.u32(bytes, 4)? as usize),
        small => (tag & 0xffff, 4, small as usize),
    };
    let end = start.checked_add(len)?;
    let data = bytes.get(start..end)?;
    Some((
        kind,
        data,
        bytes.get(end.next_multiple_of(8)..).unwrap_or_default(),
    ))
}
