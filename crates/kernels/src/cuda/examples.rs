//! The data set of a captured loop: a table per input of a plan, and the order of its rows.

use super::{Buffer, Device, Error, Launch, Result, Slice, rows};

/// f32 holds all whole numbers up to this one.
const LARGEST_INDEX: u32 = 1 << 24;

/// What an input of a plan takes its rows from: a value for each example of a data set.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    name: &'a str,
    example: &'a [usize],
    values: Values<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Values<'a> {
    /// With what they are scaled by and what is then added.
    Bytes(&'a [u8], (f32, f32)),
    Floats(&'a [f32]),
    Indices(&'a [u32]),
}

impl<'a> Source<'a> {
    /// Bytes for the input `name`, which reads 0..255 as 0..1; `example`: the shape of one example.
    pub fn bytes(name: &'a str, example: &'a [usize], values: &'a [u8]) -> Source<'a> {
        Source::scaled_bytes(name, example, values, (1.0, 0.0))
    }

    /// The same for an input that reads a byte b as `b / 255 · scale + shift`, each operation rounded to f32.
    pub fn scaled_bytes(
        name: &'a str,
        example: &'a [usize],
        values: &'a [u8],
        (scale, shift): (f32, f32),
    ) -> Source<'a> {
        Source::new(name, example, Values::Bytes(values, (scale, shift)))
    }

    /// Numbers for the input `name`; `example`: the shape of one example.
    pub fn floats(name: &'a str, example: &'a [usize], values: &'a [f32]) -> Source<'a> {
        Source::new(name, example, Values::Floats(values))
    }

    /// Indices such as labels for the input `name`, at most 2^24, which it reads as whole numbers in f32; `example`: the
    /// shape of one example, `[]` for one label.
    pub fn indices(name: &'a str, example: &'a [usize], values: &'a [u32]) -> Source<'a> {
        Source::new(name, example, Values::Indices(values))
    }

    fn new(name: &'a str, example: &'a [usize], values: Values<'a>) -> Source<'a> {
        Source {
            name,
            example,
            values,
        }
    }

    /// How many examples they are.
    fn count(&self) -> Result<usize> {
        let len = match self.values {
            Values::Bytes(values, _) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Indices(values) => values.len(),
        };
        let (name, example) = (self.name, self.example);
        let width: usize = example.iter().product();
        let count = len.checked_div(width).filter(|n| n * width == len);
        count.ok_or_else(|| {
            refused(format!(
                "{name}: {len} values, expected examples {example:?}"
            ))
        })
    }

    fn upload(&self, device: &Device) -> Result<Table> {
        let (data, largest) = match self.values {
            Values::Bytes(values, scale) => (Data::Bytes(device.copy_of(values)?, scale), None),
            Values::Floats(values) => (Data::Floats(device.copy_of(values)?), None),
            Values::Indices(values) => {
                let largest = values.iter().copied().enumerate().max_by_key(|v| v.1);
                if let Some((at, index)) = largest.filter(|l| l.1 > LARGEST_INDEX) {
                    let name = self.name;
                    return Err(refused(format!(
                        "{name}: index {index} at place {at}, at most {LARGEST_INDEX} is held by f32"
                    )));
                }
                let values: Vec<f32> = values.iter().map(|&i| i as f32).collect();
                (Data::Floats(device.copy_of(&values)?), largest)
            }
        };
        Ok(Table {
            name: self.name.to_string(),
            example: self.example.to_vec(),
            data,
            largest,
        })
    }
}

/// A [`Source`] on a device.
pub struct Table {
    name: String,
    example: Vec<usize>,
    data: Data,
    /// The largest index and its place.
    largest: Option<(usize, u32)>,
}

enum Data {
    /// With what b / 255 is scaled by and what is then added.
    Bytes(Buffer<u8>, (f32, f32)),
    Floats(Buffer),
}

impl Table {
    /// The largest index and its place, where the values are indices.
    pub fn largest(&self) -> Option<(usize, u32)> {
        self.largest
    }

    /// Writes the examples `index` to `out`.
    ///
    /// # Panics
    /// Where `out` has another length.
    pub fn gather(&self, index: Slice<u32>, out: Slice) -> Launch {
        let width = self.example.iter().product();
        match &self.data {
            Data::Bytes(bytes, scale) => {
                rows::gather_bytes(bytes.slice(), index, out, width, *scale)
            }
            Data::Floats(values) => rows::gather_values(values.slice(), index, out, width),
        }
    }
}

/// A data set on a device, of any number of inputs (images, labels, ...), and the order in which its examples are taken.
pub struct Examples {
    tables: Vec<Table>,
    order: Buffer<u32>,
}

impl Examples {
    /// Copies `sources` to the device; the order is that of the data.
    ///
    /// # Errors
    /// Sources of the same name, of other numbers of examples, or not of whole examples; an index above 2^24; the device's.
    pub fn new(device: &Device, sources: &[Source]) -> Result<Examples> {
        let mut count = 0;
        for (i, source) in sources.iter().enumerate() {
            let (name, n) = (source.name, source.count()?);
            if sources[..i].iter().any(|s| s.name == name) {
                return Err(refused(format!("two sources for {name}")));
            }
            if i > 0 && n != count {
                let (first, examples) = (sources[0].name, "examples");
                return Err(refused(format!(
                    "{name}: {n} {examples}, but {first}: {count}"
                )));
            }
            count = n;
        }
        let end = u32::try_from(count).map_err(|_| refused(format!("{count} examples")))?;
        let order: Vec<u32> = (0..end).collect();
        let tables = sources.iter().map(|s| s.upload(device));
        Ok(Examples {
            tables: tables.collect::<Result<_>>()?,
            order: device.copy_of(&order)?,
        })
    }

    /// How many examples there are.
    pub fn count(&self) -> usize {
        self.order.slice().len()
    }

    /// The order in which they are taken.
    pub fn order(&self) -> Slice<u32> {
        self.order.slice()
    }

    /// Sets the order in which the examples are taken: as many of them as there are, each any number of times.
    ///
    /// # Errors
    /// More or fewer, or no such example; the device's.
    pub fn set_order(&self, order: &[u32]) -> Result<()> {
        let (n, count) = (order.len(), self.count());
        let outside = order.iter().find(|i| **i as usize >= count);
        match (n == count, outside) {
            (true, None) => self.order.write(order),
            (true, Some(i)) => Err(refused(format!("example {i} of {count} in the order"))),
            (false, _) => Err(refused(format!("an order of {n} for {count} examples"))),
        }
    }

    /// What the input `name` of shape `[rows, example]` takes its rows from.
    ///
    /// # Errors
    /// No source of that name, or one of other examples.
    pub fn table(&self, name: &str, shape: &[usize]) -> Result<&Table> {
        let Some(table) = self.tables.iter().find(|t| t.name == name) else {
            let known: Vec<&str> = self.tables.iter().map(|t| t.name.as_str()).collect();
            let known = known.join(", ");
            return Err(refused(format!(
                "input {name} has no source; there are: {known}"
            )));
        };
        match shape.split_first() {
            Some((_, example)) if example == table.example => Ok(table),
            _ => Err(refused(format!(
                "input {name} of {shape:?}, its source has examples of {:?}",
                table.example
            ))),
        }
    }
}

fn refused(what: String) -> Error {
    Error::Examples { what }
}
