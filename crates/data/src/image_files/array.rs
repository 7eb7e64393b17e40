//! Images in an array that is read piece by piece.

use std::io::{BufReader, Cursor, Read};

use super::{Batch, ImageOptions, Pixels, ValueRange};
use crate::ImageSize;
use crate::arrays::size_of;
use crate::files::matrix::{Container, rows_and_columns, turned, turned_shape};
use crate::files::npy::NpyHead;
use crate::files::zip_read::Piecewise;
use crate::files::{Array, ArrayData, FileError, Input, NpzReader, shown};

/// The images of an array.
pub(super) struct ArrayImages {
    input: Input,
    entry: Option<String>,
    /// What messages call the array.
    place: String,
    range: ValueRange,
    n: usize,
    size: ImageSize,
    notices: Vec<String>,
    stream: Stream,
    /// Of the next image.
    at: usize,
    /// The least and the largest value so far, as they lie in the file.
    extremes: (f64, f64),
}

/// An array that is being read.
struct Stream {
    content: Content,
    head: NpyHead,
}

enum Content {
    Whole(Box<dyn Read + Send>),
    /// To be checked at its end.
    Entry(Piecewise),
    Finished,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Content::Whole(source) => source.read(buffer),
            Content::Entry(entry) => entry.read(buffer),
            Content::Finished => Ok(0),
        }
    }
}

impl Stream {
    /// Opens the array of that name, or the only one; the second value is what messages call it.
    fn open(input: &Input, entry: Option<&str>) -> Result<(Self, String), FileError> {
        let mut place = input.place.clone();
        let is_npy = entry.is_none() && matches!(Container::of(input)?, Container::Npy);
        let (mut content, size) = if is_npy {
            let source = Box::new(BufReader::new(input.source()?));
            (Content::Whole(source), input.size)
        } else {
            let reader = NpzReader::of(input)?;
            let name = match entry {
                Some(name) => name.to_string(),
                None => reader.only()?,
            };
            if entry.is_some() {
                place = format!("{place}:{}", shown(&name));
            }
            let entry = reader.into_array(&name)?;
            let size = entry.size();
            (Content::Entry(entry), size)
        };
        let head = NpyHead::read(&mut content, size, &place)?;
        let mut stream = Self { content, head };
        if stream.head.is_by_columns() {
            let array = stream.head.all(&mut stream.content, &place)?;
            stream.finish(&place)?;
            let bytes = array.as_ref().data.bytes().to_vec();
            stream = Self {
                content: Content::Whole(Box::new(Cursor::new(bytes))),
                head: stream.head.by_rows(),
            };
        }
        Ok((stream, place))
    }

    /// Checks what has been read to its end.
    fn finish(&mut self, place: &str) -> Result<(), FileError> {
        match std::mem::replace(&mut self.content, Content::Finished) {
            Content::Entry(entry) => entry.finish(place),
            Content::Whole(_) | Content::Finished => Ok(()),
        }
    }
}

impl ArrayImages {
    /// errors: no array; another shape
    pub(super) fn open(
        input: Input,
        entry: Option<&str>,
        options: &ImageOptions,
    ) -> Result<Self, FileError> {
        let (stream, place) = Stream::open(&input, entry)?;
        let shape = &stream.head.shape;
        let (n, _) = rows_and_columns(shape, &place)?;
        let mut notices = Vec::new();
        let size = match *shape.as_slice() {
            [_, d] => of_rows(d, options.size, &place, &mut notices)?,
            _ => {
                let turned = turned_shape(shape);
                if let Some(turned) = turned.filter(|turned| turned[3] > 1) {
                    notices.push(format!(
                        "images {shape:?}, channel by channel, turned to {turned:?}"
                    ));
                }
                let shape = turned.map_or(shape.clone(), Vec::from);
                let size = size_of(&shape, &place)?;
                match options.size {
                    Some(given) if given != size => {
                        let reason =
                            format!("holds images of {size}, but {given} is said to be their size");
                        return Err(FileError::malformed(&place, reason));
                    }
                    _ => size,
                }
            }
        };
        Ok(Self {
            entry: entry.map(str::to_string),
            input,
            place,
            range: options.range,
            n,
            size,
            notices,
            stream,
            at: 0,
            extremes: (f64::INFINITY, f64::NEG_INFINITY),
        })
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    pub(super) fn size(&self) -> ImageSize {
        self.size
    }

    pub(super) fn has_range(&self) -> bool {
        !self.stream.head.is_bytes()
    }

    pub(super) fn name(&self, index: usize) -> String {
        format!("{}, image {index}", self.place)
    }

    /// What is odd about the values is known when all were read.
    pub(super) fn notices(&self) -> Vec<String> {
        let is_bytes = self.stream.head.is_bytes();
        let odd = match self.extremes.1 {
            1.0 if is_bytes => Some(
                "all bytes are 0 or 1, which are pixels of 0 and 1/255: is white meant to be 255?",
            ),
            _ => self.misfit(),
        };
        let odd = odd.map(String::from);
        self.notices.iter().cloned().chain(odd).collect()
    }

    /// What makes the values that were read look like those of another range.
    fn misfit(&self) -> Option<&'static str> {
        let (least, largest) = self.extremes;
        match self.range {
            _ if self.stream.head.is_bytes() => None,
            ValueRange::Bytes if largest <= 1.0 => {
                Some("no value is above 1, which is 1/255 of white in the range from 0 to 255")
            }
            ValueRange::Signed if least >= 0.0 => {
                Some("no value is below 0, which is grey in the range from -1 to 1")
            }
            _ => None,
        }
    }

    /// To be called when all was read.
    ///
    /// errors: values of another range, see [`ImageOptions::range`]
    pub(super) fn check_range(&self) -> Result<(), FileError> {
        let (least, largest) = self.extremes;
        match self.misfit() {
            Some(misfit) if least < largest => {
                let range = match self.range {
                    ValueRange::Unit => "unit",
                    ValueRange::Signed => "signed",
                    ValueRange::Bytes => "bytes",
                };
                let reason = format!(
                    "does not look like `--range {range}`: {misfit}; `--range unit` reads values from 0 to 1"
                );
                Err(FileError::malformed(&self.place, reason))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn restart(&mut self) -> Result<(), FileError> {
        let (stream, _) = Stream::open(&self.input, self.entry.as_deref())?;
        if stream.head.shape != self.stream.head.shape {
            let reason = "has changed since it was opened";
            return Err(FileError::malformed(&self.place, reason));
        }
        (self.stream, self.at) = (stream, 0);
        Ok(())
    }

    pub(super) fn next(&mut self, max: usize) -> Result<Option<Batch>, FileError> {
        let count = max.min(self.n - self.at);
        if count == 0 {
            return Ok(None);
        }
        let Stream { content, head } = &mut self.stream;
        let d = self.size.values().unwrap_or(0);
        let values = count * d; // no more than there are
        let mut array = Array {
            shape: [&[count], &head.shape[1..]].concat(),
            data: head.values(content, values, &self.place)?,
        };
        turned(&mut array, &self.place);
        let pixels = match array.data {
            ArrayData::U8(bytes) => {
                let most = f64::from(bytes.iter().copied().max().unwrap_or(0));
                self.extremes.1 = self.extremes.1.max(most);
                Pixels::Bytes(bytes)
            }
            ArrayData::F16(values) => Pixels::Units(self.units(values)?),
            ArrayData::F32(values) => Pixels::Units(self.units(values)?),
            ArrayData::F64(values) => Pixels::Units(self.units(values)?),
            other => {
                return Err(FileError::Dtype {
                    file: self.place.clone(),
                    found: other.dtype().to_string(),
                    expected: FileError::PIXEL_DTYPES,
                });
            }
        };
        let first = self.at;
        self.at += count;
        if self.at == self.n {
            self.stream.finish(&self.place)?;
        }
        Ok(Some(Batch {
            first,
            size: self.size,
            pixels,
        }))
    }

    /// Values of images from the next one on, in 0 to 1.
    ///
    /// errors: one out of range
    fn units<T: Copy + Into<f64>>(&mut self, values: Vec<T>) -> Result<Vec<f32>, FileError> {
        let (least, largest) = match self.range {
            ValueRange::Unit => (0.0, 1.0),
            ValueRange::Signed => (-1.0, 1.0),
            ValueRange::Bytes => (0.0, 255.0),
        };
        let is_odd = |value: &T| !(least..=largest).contains(&(*value).into());
        if let Some(at) = values.iter().position(is_odd) {
            return Err(self.out_of_range(at, values[at].into(), [least, largest]));
        }
        for value in &values {
            let value: f64 = (*value).into();
            self.extremes.0 = self.extremes.0.min(value);
            self.extremes.1 = self.extremes.1.max(value);
        }
        let unit = |value: T| ((value.into() - least) / (largest - least)) as f32;
        Ok(values.into_iter().map(unit).collect())
    }

    fn out_of_range(&self, at: usize, value: f64, [least, largest]: [f64; 2]) -> FileError {
        let ImageSize {
            width, channels, ..
        } = self.size;
        let d = self.size.values().unwrap_or(1);
        let (image, at) = (self.at + at / d, at % d);
        let (row, column, channel) = (at / channels / width, at / channels % width, at % channels);
        let advice = match value {
            v if v.is_nan() => "",
            v if (0.0..=1.0).contains(&v) => "",
            v if (-1.0..0.0).contains(&v) => "; `--range signed` reads values from -1 to 1",
            v if (1.0..=255.0).contains(&v) => "; `--range bytes` reads values from 0 to 255",
            _ => "",
        };
        FileError::malformed(
            &self.place,
            format!(
                "image {image}, row {row}, column {column}, channel {channel} is {value}: expected values from {least} to \
                 {largest}{advice}"
            ),
        )
    }
}

/// The size of images in rows of `d` values.
fn of_rows(
    d: usize,
    given: Option<ImageSize>,
    place: &str,
    notices: &mut Vec<String>,
) -> Result<ImageSize, FileError> {
    let square = |channels: usize| {
        let side = (d / channels).isqrt();
        let size = ImageSize {
            height: side,
            width: side,
            channels,
        };
        (size.values() == Some(d)).then_some(size)
    };
    match given {
        Some(size) if size.values() == Some(d) => Ok(size),
        Some(size) => {
            let reason = format!("holds rows of {d} values, which are no images of {size}");
            Err(FileError::malformed(place, reason))
        }
        None => {
            let size = square(1).or_else(|| square(3)).ok_or_else(|| {
                let reason = format!(
                    "holds rows of {d} values, which are no square, grey or RGB: say the size of the images"
                );
                FileError::malformed(place, reason)
            })?;
            notices.push(format!(
                "rows of {d} values, taken as images [height, width, channels] of {size}"
            ));
            Ok(size)
        }
    }
}
