//! Reading zip archives as NumPy writes them, and distrusting them.
//!
//! Written here because a checkpoint must not be guessed at: two entries of one name, overlapping entries, local headers
//! that disagree with the directory and sizes that no compression explains are all errors. Stored and deflated entries,
//! zip64, one disk, no encryption.
//!
//! The crate zip (9.8) reads names from the directory alone: in an archive of three arrays it takes 189 of 7,168 flipped bits
//! for other names. With the checks that would have to stand before it, it saves half of these files and brings four crates.

use std::collections::HashSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::input::{Input, Source};
use super::zip_entry::{Entry, Fields};
use super::{FileError, MOST_COMPRESSION, shown};

/// First bytes of a zip archive with at least one entry.
pub(super) const MAGIC: &[u8; 4] = b"PK\x03\x04";
/// Whether a file that begins with `start` is a zip archive.
pub(crate) fn is_one(start: &[u8]) -> bool {
    start.starts_with(MAGIC) || start.starts_with(END_MAGIC)
}

/// First bytes of the record that ends an archive; an empty archive is nothing else.
const END_MAGIC: &[u8; 4] = b"PK\x05\x06";
const END: usize = 22;
const END64: u64 = 56;
const LOCATOR64: u64 = 20;
const LOCAL: u64 = 30;
const LONGEST_COMMENT: u64 = 0xffff;

/// An open archive whose directory has been read and checked.
#[derive(Debug)]
pub(crate) struct ZipReader {
    file: BufReader<Box<dyn Source>>,
    place: String,
    entries: Vec<Entry>,
}

impl ZipReader {
    /// Opens an archive, which messages call `expected`, and checks its directory.
    pub(crate) fn open(input: &Input, expected: &'static str) -> Result<Self, FileError> {
        let size = input.size;
        let mut zip = Self {
            file: BufReader::new(input.source()?),
            place: input.place.clone(),
            entries: Vec::new(),
        };
        let start = zip.bytes_at(0, size.min(4))?;
        if start != MAGIC && start != END_MAGIC {
            return Err(FileError::magic(&zip.place, expected, &start));
        }
        let directory = zip.find_directory(size)?;
        zip.read_directory(&directory)?;
        Ok(zip)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of an entry: whole, or an error of `read` or of the check of size and CRC-32 that follows it.
    pub(crate) fn read<T>(
        &mut self,
        entry: &Entry,
        place: &str,
        read: impl FnOnce(&mut dyn Read) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let seek = self.file.seek(SeekFrom::Start(entry.data));
        seek.map_err(|e| FileError::read(place, e, "the entry", 0))?;
        let raw = (&mut self.file).take(entry.compressed);
        if entry.deflated {
            check(DeflateDecoder::new(raw), entry, place, read)
        } else {
            check(raw, entry, place, read)
        }
    }

    /// The content of an entry, to be read piece by piece and then to be [finished](Piecewise::finish).
    pub(crate) fn into_entry(mut self, entry: &Entry, place: &str) -> Result<Piecewise, FileError> {
        let seek = self.file.seek(SeekFrom::Start(entry.data));
        seek.map_err(|e| FileError::read(place, e, "the entry", 0))?;
        let raw = self.file.take(entry.compressed);
        let inner: Box<dyn Read + Send> = match entry.deflated {
            true => Box::new(DeflateDecoder::new(raw)),
            false => Box::new(raw),
        };
        Ok(Piecewise {
            source: Summed::new(inner),
            entry: entry.clone(),
        })
    }

    fn bytes_at(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        let seek = self.file.seek(SeekFrom::Start(offset));
        let read = seek.and_then(|_| (&mut self.file).take(length).read_to_end(&mut bytes));
        read.map_err(|e| FileError::read(&self.place, e, "a zip record", 0))?;
        if (bytes.len() as u64) < length {
            return Err(self.truncated(
                &format!("a zip record of {length} bytes at {offset}"),
                bytes.len() as u64,
            ));
        }
        Ok(bytes)
    }

    fn truncated(&self, announced: &str, found: u64) -> FileError {
        FileError::Truncated {
            file: self.place.clone(),
            announced: announced.to_string(),
            found,
        }
    }

    fn wrong(&self, reason: impl Into<String>) -> FileError {
        FileError::malformed(&self.place, reason)
    }

    /// Finds the end record, the last thing in the file, and where it says the directory is.
    fn find_directory(&mut self, size: u64) -> Result<Directory, FileError> {
        let tail_at = size.saturating_sub(LONGEST_COMMENT + END as u64);
        let tail = self.bytes_at(tail_at, size - tail_at)?;
        let fits = |at: &usize| {
            let comment = &tail[*at + END - 2..*at + END];
            tail[*at..].starts_with(END_MAGIC)
                && *at + END + u16::from_le_bytes([comment[0], comment[1]]) as usize == tail.len()
        };
        let last = tail.len().checked_sub(END);
        let at = last.and_then(|last| (0..=last).rev().find(fits));
        let at =
            at.ok_or_else(|| self.truncated("a zip archive that ends with its directory", size))?;
        let mut end = Fields(&tail[at + 4..]);
        let disks = (end.u16(), end.u16());
        let counts = (end.u16(), end.u16());
        let mut directory = Directory {
            entries: u64::from(counts.0),
            size: u64::from(end.u32()),
            offset: u64::from(end.u32()),
            end: tail_at + at as u64,
        };
        if disks != (0, 0) || counts.0 != counts.1 {
            return Err(self.wrong("the archive is one part of several"));
        }
        self.look_for_zip64(&mut directory)?;
        let sum = directory.offset.checked_add(directory.size);
        if sum != Some(directory.end) {
            let announced = format!(
                "a directory of {} bytes at {}",
                directory.size, directory.offset
            );
            return Err(self.truncated(&announced, directory.end));
        }
        Ok(directory)
    }

    /// Archives past 4 GiB or 65,535 entries have a second end record, found through a locator before the first.
    fn look_for_zip64(&mut self, directory: &mut Directory) -> Result<(), FileError> {
        let Some(locator_at) = directory.end.checked_sub(LOCATOR64) else {
            return Ok(());
        };
        let locator = self.bytes_at(locator_at, LOCATOR64)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(());
        }
        let at = Fields(&locator[8..]).u64();
        if at.checked_add(END64) != Some(locator_at) {
            return Err(self.wrong("the zip64 end record is not where its locator says"));
        }
        let record = self.bytes_at(at, END64)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(self.wrong("the zip64 end record is not one"));
        }
        let mut fields = Fields(&record[24..]);
        let entries = (fields.u64(), fields.u64());
        if entries.0 != entries.1 {
            return Err(self.wrong("the archive is one part of several"));
        }
        *directory = Directory {
            entries: entries.0,
            size: fields.u64(),
            offset: fields.u64(),
            end: at,
        };
        Ok(())
    }

    fn read_directory(&mut self, directory: &Directory) -> Result<(), FileError> {
        // Lies inside the file: checked by find_directory.
        let bytes = self.bytes_at(directory.offset, directory.size)?;
        let mut rest = &bytes[..];
        let mut names = HashSet::new();
        while !rest.is_empty() {
            let (mut entry, next) = Entry::parse(rest).map_err(|reason| self.wrong(reason))?;
            rest = next;
            if !names.insert(entry.name.clone()) {
                return Err(FileError::DuplicateName {
                    file: self.place.clone(),
                    name: entry.name,
                });
            }
            self.check_local_header(&mut entry, directory.offset)?;
            self.entries.push(entry);
        }
        if self.entries.len() as u64 != directory.entries {
            let reason = format!(
                "announces {} entries, has {}",
                directory.entries,
                self.entries.len()
            );
            return Err(self.wrong(reason));
        }
        let mut spans: Vec<(u64, u64)> = self
            .entries
            .iter()
            .map(|e| (e.header, e.data + e.compressed))
            .collect();
        spans.sort_unstable();
        if spans.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(self.wrong("entries overlap"));
        }
        Ok(())
    }

    fn check_local_header(&mut self, entry: &mut Entry, limit: u64) -> Result<(), FileError> {
        let name = shown(&entry.name);
        if entry
            .header
            .checked_add(LOCAL)
            .is_none_or(|end| end > limit)
        {
            return Err(self.truncated(&format!("entry `{name}` at {}", entry.header), limit));
        }
        let bytes = self.bytes_at(entry.header, LOCAL)?;
        let mut local = Fields(&bytes[8..]);
        let deflated = local.u16() == 8;
        local.u32(); // time and date
        let (crc, lengths) = (local.u32(), (local.u32(), local.u32()));
        let (name_length, extra) = (u64::from(local.u16()), u64::from(local.u16()));
        let streamed = bytes[6] & 8 != 0; // sizes follow the data
        let same_crc = streamed || crc == entry.crc;
        let same_sizes = streamed
            || [(lengths.0, entry.compressed), (lengths.1, entry.size)]
                .iter()
                .all(|&(local, central)| local == u32::MAX || u64::from(local) == central);
        let same_name = name_length <= limit
            && self.bytes_at(entry.header + LOCAL, name_length)? == entry.name.as_bytes();
        if !bytes.starts_with(MAGIC)
            || deflated != entry.deflated
            || !same_crc
            || !same_sizes
            || !same_name
        {
            return Err(self.wrong(format!(
                "entry `{name}`: its header disagrees with the directory"
            )));
        }
        entry.data = entry.header + LOCAL + name_length + extra;
        if entry
            .data
            .checked_add(entry.compressed)
            .is_none_or(|end| end > limit)
        {
            let announced = format!(
                "entry `{name}` of {} bytes at {}",
                entry.compressed, entry.data
            );
            return Err(self.truncated(&announced, limit));
        }
        if entry.deflated && entry.size > entry.compressed.saturating_mul(MOST_COMPRESSION) {
            let reason = format!(
                "entry `{name}` claims {} bytes from {} compressed ones",
                entry.size, entry.compressed
            );
            return Err(self.wrong(format!(
                "{reason}: deflate makes at most {MOST_COMPRESSION} of one"
            )));
        }
        Ok(())
    }
}

struct Directory {
    entries: u64,
    size: u64,
    offset: u64,
    /// Where the directory must end: the (zip64) end record.
    end: u64,
}

/// Lets `read` have the content, then requires that it is used up and that its CRC-32 is right.
fn check<T>(
    inner: impl Read,
    entry: &Entry,
    place: &str,
    read: impl FnOnce(&mut dyn Read) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let mut source = Summed::new(inner);
    let result = read(&mut source)?;
    source.finish(entry, place)?;
    Ok(result)
}

/// An entry that is read piece by piece.
pub(crate) struct Piecewise {
    source: Summed<Box<dyn Read + Send>>,
    entry: Entry,
}

impl Piecewise {
    /// Requires that the content is used up and that its CRC-32 is right.
    pub(crate) fn finish(self, place: &str) -> Result<(), FileError> {
        self.source.finish(&self.entry, place)
    }

    /// Bytes of the content.
    pub(crate) fn size(&self) -> u64 {
        self.entry.size
    }
}

impl Read for Piecewise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }
}

/// Counts and sums what passes.
struct Summed<R> {
    inner: R,
    crc: Crc,
    count: u64,
}

impl<R: Read> Summed<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            crc: Crc::new(),
            count: 0,
        }
    }

    fn finish(mut self, entry: &Entry, place: &str) -> Result<(), FileError> {
        let mut one_more = [0];
        let after = self
            .read(&mut one_more)
            .map_err(|e| FileError::read(place, e, "the entry", self.count))?;
        if after != 0 || self.count != entry.size {
            let (expected, extra) = (entry.size, None);
            return Err(FileError::TrailingBytes {
                file: place.to_string(),
                expected,
                extra,
            });
        }
        if self.crc.sum() != entry.crc {
            let [expected, found] = [entry.crc, self.crc.sum()].map(|sum| format!("{sum:08x}"));
            return Err(FileError::Checksum {
                file: place.to_string(),
                kind: "CRC-32",
                expected,
                found,
            });
        }
        Ok(())
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}
