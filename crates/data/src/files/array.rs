//! Arrays as stored in files: a shape and row-major values of one type.

use half::f16;

/// An array read from a file. A scalar has the empty shape and one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The values, row-major; as many as the product of the shape.
    pub data: ArrayData,
}

/// The values of an [`Array`].
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    /// float16
    F16(Vec<f16>),
    /// float32
    F32(Vec<f32>),
    /// float64
    F64(Vec<f64>),
    /// uint8; also how text is stored
    U8(Vec<u8>),
    /// int32
    I32(Vec<i32>),
    /// int64
    I64(Vec<i64>),
    /// uint32
    U32(Vec<u32>),
    /// uint64
    U64(Vec<u64>),
}

/// A borrowed array to write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrayRef<'a> {
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: &'a [usize],
    /// The values, row-major.
    pub data: DataRef<'a>,
}

/// The values of an [`ArrayRef`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DataRef<'a> {
    /// float16
    F16(&'a [f16]),
    /// float32
    F32(&'a [f32]),
    /// float64
    F64(&'a [f64]),
    /// uint8; also how text is stored
    U8(&'a [u8]),
    /// int32
    I32(&'a [i32]),
    /// int64
    I64(&'a [i64]),
    /// uint32
    U32(&'a [u32]),
    /// uint64
    U64(&'a [u64]),
}

impl Array {
    /// Borrows it for writing.
    pub fn as_ref(&self) -> ArrayRef<'_> {
        let data = match &self.data {
            ArrayData::F16(values) => DataRef::F16(values),
            ArrayData::F32(values) => DataRef::F32(values),
            ArrayData::F64(values) => DataRef::F64(values),
            ArrayData::U8(values) => DataRef::U8(values),
            ArrayData::I32(values) => DataRef::I32(values),
            ArrayData::I64(values) => DataRef::I64(values),
            ArrayData::U32(values) => DataRef::U32(values),
            ArrayData::U64(values) => DataRef::U64(values),
        };
        ArrayRef {
            shape: &self.shape,
            data,
        }
    }

    /// The values as text, where it is a one-dimensional uint8 array of UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match (&self.data, self.shape.len()) {
            (ArrayData::U8(bytes), 1) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// The elements of an array of `shape` in row-major order, where they lie `strides` apart from the one at `first` on; none
/// where there is no memory for them. All of them must lie in `values`.
pub fn strided<T: Copy>(
    values: &[T],
    first: usize,
    shape: &[usize],
    strides: &[usize],
) -> Option<Vec<T>> {
    let count = shape.iter().product();
    let mut out = Vec::new();
    out.try_reserve_exact(count).ok()?;
    let mut index = vec![0; shape.len()];
    let mut at = first;
    while out.len() < count {
        out.push(values[at]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    Some(out)
}

impl ArrayData {
    /// How many values.
    pub fn len(&self) -> usize {
        match self {
            Self::F16(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// NumPy's name of the type: "float32".
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::F16(_) => "float16",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
            Self::U8(_) => "uint8",
            Self::I32(_) => "int32",
            Self::I64(_) => "int64",
            Self::U32(_) => "uint32",
            Self::U64(_) => "uint64",
        }
    }
}

impl<'a> ArrayRef<'a> {
    /// A float32 array.
    pub fn f32(shape: &'a [usize], values: &'a [f32]) -> Self {
        Self {
            shape,
            data: DataRef::F32(values),
        }
    }

    /// A float16 array.
    pub fn f16(shape: &'a [usize], values: &'a [f16]) -> Self {
        Self {
            shape,
            data: DataRef::F16(values),
        }
    }

    /// A float64 array.
    pub fn f64(shape: &'a [usize], values: &'a [f64]) -> Self {
        Self {
            shape,
            data: DataRef::F64(values),
        }
    }

    /// A uint8 array.
    pub fn u8(shape: &'a [usize], values: &'a [u8]) -> Self {
        Self {
            shape,
            data: DataRef::U8(values),
        }
    }

    /// A uint64 array.
    pub fn u64(shape: &'a [usize], values: &'a [u64]) -> Self {
        Self {
            shape,
            data: DataRef::U64(values),
        }
    }
}

impl<'a> DataRef<'a> {
    /// How many values.
    pub fn len(&self) -> usize {
        self.bytes().len() / self.item_size()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The values as the bytes that go to the file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        match *self {
            Self::F16(values) => bytemuck::cast_slice(values),
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::F64(values) => bytemuck::cast_slice(values),
            Self::U8(values) => values,
            Self::I32(values) => bytemuck::cast_slice(values),
            Self::I64(values) => bytemuck::cast_slice(values),
            Self::U32(values) => bytemuck::cast_slice(values),
            Self::U64(values) => bytemuck::cast_slice(values),
        }
    }

    /// The npy type string.
    pub(crate) fn descr(&self) -> &'static str {
        match self {
            Self::F16(_) => "<f2",
            Self::F32(_) => "<f4",
            Self::F64(_) => "<f8",
            Self::U8(_) => "|u1",
            Self::I32(_) => "<i4",
            Self::I64(_) => "<i8",
            Self::U32(_) => "<u4",
            Self::U64(_) => "<u8",
        }
    }

    fn item_size(&self) -> usize {
        match self {
            Self::U8(_) => 1,
            Self::F16(_) => 2,
            Self::F32(_) | Self::I32(_) | Self::U32(_) => 4,
            Self::F64(_) | Self::I64(_) | Self::U64(_) => 8,
        }
    }
}

// Values are moved between memory and file as they are, so both must have the same byte order.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "ganforge reads and writes arrays on little-endian machines only"
);
