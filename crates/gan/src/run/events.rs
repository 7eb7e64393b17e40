//! TensorBoard's event file: the rows of a run's tables as scalars, its pictures as images.
//!
//! A file is a list of records: the length of the data (u64), its masked CRC-32C, the data, their masked CRC-32C; all
//! little-endian. The data of a record are an `Event` in the encoding of protocol buffers.
//!
//! ```text
//! Event   1: wall_time (double)   2: step (varint)   3: file_version (string)   5: summary (Summary)
//! Summary 1: value (Value, repeated)
//! Value   1: tag (string)   2: simple_value (float)   4: image (Image)
//! Image   1: height   2: width   3: colorspace (varints)   4: encoded_image_string (bytes)
//! ```
//!
//! source: TensorFlow's event.proto and summary.proto, record_writer.h, crc32c.h

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::data::ImageSize;
use crate::error::Result;
use crate::files::durable::sync;
use crate::files::{FileError, write_atomic};

/// What every file begins with.
const VERSION: &[u8] = b"brain.Event:2";

/// Something that an event says of its step.
pub(super) enum Value<'a> {
    /// A number.
    Scalar(f32),
    /// A picture as the bytes of a PNG file.
    Png {
        /// Its size.
        size: ImageSize,
        /// The file.
        bytes: &'a [u8],
    },
}

/// The event file of a run.
pub(super) struct Events {
    path: PathBuf,
}

impl Events {
    /// The file of the run in `folder`, which need not be there yet.
    pub(super) fn of(folder: &Path) -> Events {
        let path = folder.join("tensorboard/events.out.tfevents.ganforge");
        Events { path }
    }

    /// Adds an event with some values under their tags.
    ///
    /// # Errors
    /// What the system refuses.
    pub(super) fn add(&self, step: u64, values: &[(String, Value)]) -> Result<()> {
        let record = record(&event(step, values));
        let file = OpenOptions::new().append(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(&record));
        Ok(written.map_err(|e| FileError::io(&self.path, "append to", e))?)
    }

    /// Cuts the file off before the first record that is damaged or of which `is_kept`, given its step and first
    /// tag, says no; makes the file where there is none.
    ///
    /// # Errors
    /// What the system refuses.
    pub(super) fn rewind(&self, is_kept: impl Fn(u64, &[u8]) -> bool) -> Result<()> {
        let path = &self.path;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| FileError::io(folder, "create", e))?;
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(FileError::io(path, "read", e).into()),
        };
        let mut rest = bytes.as_slice();
        while let Some((data, after)) = next_record(rest)
            && step_and_tag(data).is_some_and(|(step, tag)| is_kept(step, tag))
        {
            rest = after;
        }
        let kept = bytes.len() - rest.len();
        if kept == 0 {
            let mut first = wall_time();
            put_bytes(&mut first, 3, VERSION);
            return Ok(write_atomic(path, |w| w.write_all(&record(&first)))?);
        }
        let file = OpenOptions::new().write(true).open(path);
        let cut = file.and_then(|file| file.set_len(kept as u64));
        Ok(cut.map_err(|e| FileError::io(path, "cut", e))?)
    }

    /// Makes sure that the events last.
    ///
    /// # Errors
    /// What the system refuses.
    pub(super) fn sync(&self) -> Result<()> {
        let synced = File::open(&self.path).and_then(|file| sync(&file));
        Ok(synced.map_err(|e| FileError::io(&self.path, "sync", e))?)
    }
}

/// The time of an event, its first field.
fn wall_time() -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0.0, |t| t.as_secs_f64());
    let mut out = Vec::new();
    put_key(&mut out, 1, FIXED64);
    out.extend(seconds.to_le_bytes());
    out
}

fn event(step: u64, values: &[(String, Value)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, tag.as_bytes());
        match value {
            Value::Scalar(x) => {
                put_key(&mut out, 2, FIXED32);
                out.extend(x.to_le_bytes());
            }
            Value::Png { size, bytes } => {
                let mut image = Vec::new();
                put_varint(&mut image, 1, size.height as u64);
                put_varint(&mut image, 2, size.width as u64);
                put_varint(&mut image, 3, size.channels as u64);
                put_bytes(&mut image, 4, bytes);
                put_bytes(&mut out, 4, &image);
            }
        }
        put_bytes(&mut summary, 1, &out);
    }
    let mut out = wall_time();
    put_varint(&mut out, 2, step);
    put_bytes(&mut out, 5, &summary);
    out
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let parts = [&length, &masked_crc(&length)[..], data, &masked_crc(data)];
    parts.concat()
}

/// The data of the first record and what follows it; none where it is damaged or cut off.
fn next_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    if *crc != masked_crc(length) {
        return None;
    }
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (data, rest) = rest.split_at_checked(length)?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    (*crc == masked_crc(data)).then_some((data, rest))
}

/// CRC-32C, rotated right by 15 bits, plus a constant: data that hold a CRC have another one.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    let crc = crc32c(bytes).rotate_right(15);
    crc.wrapping_add(0xA282_EAD8).to_le_bytes()
}

/// The cyclic redundancy check by Castagnoli's polynomial, bits reversed: 0x82F6_3B78. Bit by bit: events are small.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1));
    let add = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| shift(crc));
    !bytes.iter().fold(!0, add)
}

// The encoding of protocol buffers: a field is a key, of its number and its wire type, and a value.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn varint(out: &mut Vec<u8>, mut x: u64) {
    while x >= 0x80 {
        out.push(x as u8 | 0x80);
        x >>= 7;
    }
    out.push(x as u8);
}

fn put_key(out: &mut Vec<u8>, number: u64, wire: u64) {
    varint(out, number << 3 | wire);
}

fn put_varint(out: &mut Vec<u8>, number: u64, x: u64) {
    put_key(out, number, VARINT);
    varint(out, x);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_key(out, number, BYTES);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut x = 0;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        x |= u64::from(byte & 0x7F) << (7 * i);
        if byte < 0x80 {
            return Some((x, &bytes[i + 1..]));
        }
    }
    None
}

/// A field as [`event`] writes it: its number, its value where that is a varint or bytes, and what follows.
fn read_field(bytes: &[u8]) -> Option<(u64, u64, &[u8], &[u8])> {
    let (key, rest) = read_varint(bytes)?;
    let (x, value, rest) = match key & 7 {
        VARINT => {
            let (x, rest) = read_varint(rest)?;
            (x, &[][..], rest)
        }
        BYTES => {
            let (n, rest) = read_varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(n).ok()?)?;
            (0, value, rest)
        }
        FIXED64 => (0, &[][..], rest.get(8..)?),
        FIXED32 => (0, &[][..], rest.get(4..)?),
        _ => return None,
    };
    Some((key >> 3, x, value, rest))
}

/// The step and the first tag of an event; 0 and nothing for the first one of a file.
fn step_and_tag(event: &[u8]) -> Option<(u64, &[u8])> {
    let (mut step, mut tag) = (0, &[][..]);
    let mut rest = event;
    while !rest.is_empty() {
        let (number, x, value, after) = read_field(rest)?;
        match number {
            2 => step = x,
            5 => tag = read_field(read_field(value)?.2)?.2,
            _ => {}
        }
        rest = after;
    }
    Some((step, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(folder: &tempfile::TempDir) -> Events {
        Events::of(folder.path())
    }

    #[test]
    fn the_checksum_is_crc_32c_masked() {
        // CRC-32C of the digits 1 to 9 is e3069283 (RFC 3720); rotated and added to, by hand, this.
        assert_eq!(masked_crc(b"123456789"), 0xC78AB0E5_u32.to_le_bytes());
    }

    #[test]
    fn varints_of_all_lengths_come_back() {
        for x in (0..64)
            .map(|bits| 1u64 << bits)
            .chain([0, 127, 128, 300, u64::MAX])
        {
            let mut out = Vec::new();
            varint(&mut out, x);
            out.push(7);
            assert_eq!(read_varint(&out), Some((x, &[7][..])));
        }
        assert_eq!(read_varint(&[0x80; 11]), None);
        assert_eq!(read_varint(&[]), None);
    }

    #[test]
    fn a_rewound_file_has_the_records_before_the_first_unwanted_or_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let events = events(&folder);
        events.rewind(|_, _| true).unwrap();
        let read = || fs::read(&events.path).unwrap();
        let mut lengths = vec![read().len()];
        for step in [5, 10, 15] {
            let values = [("a/b".to_string(), Value::Scalar(step as f32))];
            events.add(step, &values).unwrap();
            lengths.push(read().len());
        }
        let whole = read();
        let rewind = |last: u64| {
            events.rewind(|step, tag| {
                assert!(step == 0 || tag == b"a/b");
                step <= last
            })
        };
        for (last, records) in [(20, 3), (15, 3), (14, 2), (5, 1), (4, 0)] {
            fs::write(&events.path, &whole).unwrap();
            rewind(last).unwrap();
            assert_eq!(read(), whole[..lengths[records]], "up to step {last}");
        }
        for at in (0..whole.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            let good = lengths.iter().filter(|&&n| n <= at).count();
            for bytes in [&damaged, &whole[..at]] {
                fs::write(&events.path, bytes).unwrap();
                rewind(20).unwrap();
                match good {
                    0 => assert_eq!(read().len(), lengths[0], "made anew"),
                    _ => assert_eq!(read(), whole[..lengths[good - 1]], "damage at {at}"),
                }
            }
        }
    }
}
