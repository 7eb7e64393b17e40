//! MATLAB 5 files: their numeric variables, read by the matfile crate.
//!
//! What the crate (0.5) leaves out is done here: it stops silently at a truncated variable, multiplies dimensions
//! without a check, decompresses without a limit, and takes class int32 for uint32, whose data it then refuses. So every
//! variable is cut out, decompressed and looked at here, and handed over alone.

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;
use matfile::{Array, MatFile, NumericData};

use super::{FileError, MOST_COMPRESSION, listed, read_regular};

/// The text, the version and the mark of byte order.
const HEADER: usize = 128;
/// Of a variable: its tag, the tag of its flags, the flags, the tag of its dimensions.
const FLAGS: usize = 16;
const DIMENSIONS: usize = 32;
/// Types of a file's elements.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Classes of a variable; those of numbers lie from double to uint64.
const DOUBLE: u8 = 6;
const INT32: u8 = 12;
const INT64: u8 = 14;
const UINT64: u8 = 15;

/// The numeric variables of a file.
pub(crate) struct Mat {
    place: String,
    variables: Vec<MatFile>,
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
        let (header, mut rest) = bytes.split_at(HEADER);
        let mut variables = Vec::new();
        while !rest.is_empty() {
            let (kind, element) = first_element(rest, order, place)?;
            let found = match kind {
                COMPRESSED => {
                    let inner = inflate(&element[8..], place)?;
                    let (_, inner) = first_element(&inner, order, place)?;
                    numbers(header, inner, order)
                }
                MATRIX => numbers(header, element, order),
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
    pub(crate) fn get(&self, name: &str) -> Result<&Array, FileError> {
        let mut arrays = self.variables.iter().flat_map(MatFile::arrays);
        arrays.find(|a| a.name() == name).ok_or_else(|| {
            let names = self.variables.iter().flat_map(MatFile::arrays);
            let names: Vec<&str> = names.map(Array::name).collect();
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

/// The numbers as f64, column-major.
pub(crate) fn to_f64(data: &NumericData) -> Vec<f64> {
    fn all<T: Copy>(values: &[T], f64: impl Fn(T) -> f64) -> Vec<f64> {
        values.iter().map(|&v| f64(v)).collect()
    }
    match data {
        NumericData::Int8 { real, .. } => all(real, f64::from),
        NumericData::UInt8 { real, .. } => all(real, f64::from),
        NumericData::Int16 { real, .. } => all(real, f64::from),
        NumericData::UInt16 { real, .. } => all(real, f64::from),
        NumericData::Int32 { real, .. } => all(real, f64::from),
        NumericData::UInt32 { real, .. } => all(real, f64::from),
        NumericData::Int64 { real, .. } => all(real, |v| v as f64),
        NumericData::UInt64 { real, .. } => all(real, |v| v as f64),
        NumericData::Single { real, .. } => all(real, f64::from),
        NumericData::Double { real, .. } => real.clone(),
    }
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

/// The variable in `element`, if it is one of numbers whose size fits what is there.
fn numbers(header: &[u8], element: &[u8], order: Order) -> Option<MatFile> {
    let class_at = FLAGS + if order.is_little { 0 } else { 3 };
    let class = *element.get(class_at)?;
    if !(DOUBLE..=UINT64).contains(&class) || order.u32(element, 0)? != MATRIX {
        return None;
    }
    let mut count = 1_u64;
    for i in 0..order.u32(element, DIMENSIONS - 4)? as usize / 4 {
        let dim = order.u32(element, DIMENSIONS + 4 * i)?;
        count = count.checked_mul(u64::from(dim))?;
        if count > element.len() as u64 || i32::try_from(count).is_err() {
            return None;
        }
    }
    let mut start = element[..DIMENSIONS].to_vec();
    if class == INT32 {
        start[class_at] = INT64;
    }
    let source = header.chain(&start[..]).chain(&element[DIMENSIONS..]);
    MatFile::parse(source).ok()
}
