//! Writing zip archives: stored entries, fixed times, so that equal content gives equal bytes.

use std::io::{self, Write};

use flate2::Crc;

/// 1 January 1980, the first date the format knows: bits are year - 1980, month, day.
const DATE: u16 = (1 << 5) | 1;
/// Flag: the name is UTF-8.
const UTF8: u16 = 1 << 11;
const VERSION_STORED: u16 = 20;
const VERSION_ZIP64: u16 = 45;

/// An archive being written front to back; nothing is ever sought.
#[derive(Debug)]
pub(super) struct ZipWriter<W> {
    out: W,
    offset: u64,
    directory: Vec<u8>,
    entries: u64,
    /// From here on numbers take 64 bits; smaller in tests.
    limit: u64,
}

impl<W: Write> ZipWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            offset: 0,
            directory: Vec::new(),
            entries: 0,
            limit: u64::from(u32::MAX),
        }
    }

    #[cfg(test)]
    pub(super) fn with_zip64_from(out: W, limit: u64) -> Self {
        Self {
            limit,
            ..Self::new(out)
        }
    }

    /// Adds an entry whose content is `parts`, one after the other. The name has at most 65,535 bytes.
    pub(super) fn add(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let too_long = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a name of more than 65535 bytes",
            )
        };
        let name_length = u16::try_from(name.len()).map_err(|_| too_long())?;
        let size = parts.iter().map(|part| part.len() as u64).sum();
        let mut crc = Crc::new();
        parts.iter().for_each(|part| crc.update(part));

        let mut local_wide = Vec::new();
        let local_size = self.narrow(size, &mut local_wide);
        if !local_wide.is_empty() {
            local_wide.extend(size.to_le_bytes()); // a local header has both sizes or none
        }
        let mut wide = Vec::new();
        let sizes = [self.narrow(size, &mut wide), self.narrow(size, &mut wide)];
        let offset = self.narrow(self.offset, &mut wide);

        let mut local = Vec::new();
        local.extend(b"PK\x03\x04");
        common_fields(
            &mut local,
            version(&local_wide),
            crc.sum(),
            [local_size; 2],
            name_length,
            &local_wide,
        );
        local.extend(name.as_bytes());
        extra_field(&mut local, &local_wide);
        self.put(&local)?;
        for part in parts {
            self.put(part)?;
        }

        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(version(&wide).to_le_bytes());
        common_fields(
            &mut self.directory,
            version(&wide),
            crc.sum(),
            sizes,
            name_length,
            &wide,
        );
        self.directory.extend([0; 10]); // no comment, first disk, no attributes
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        extra_field(&mut self.directory, &wide);
        self.entries += 1;
        Ok(())
    }

    /// Writes the directory and gives the output back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let (start, size) = (self.offset, self.directory.len() as u64);
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        let mut wide = Vec::new();
        let (size32, start32) = (self.narrow(size, &mut wide), self.narrow(start, &mut wide));
        let many = self.entries >= u64::from(u16::MAX);
        let entries = if many { u16::MAX } else { self.entries as u16 };
        if many || !wide.is_empty() {
            let end64 = self.offset;
            let mut record = Vec::new();
            record.extend(b"PK\x06\x06");
            record.extend(44_u64.to_le_bytes());
            record.extend([VERSION_ZIP64; 2].map(u16::to_le_bytes).concat());
            record.extend([0; 8]); // first disk
            record.extend(
                [self.entries, self.entries, size, start]
                    .map(u64::to_le_bytes)
                    .concat(),
            );
            record.extend(b"PK\x06\x07");
            record.extend([0; 4]);
            record.extend(end64.to_le_bytes());
            record.extend(1_u32.to_le_bytes());
            self.put(&record)?;
        }
        let mut end = Vec::new();
        end.extend(b"PK\x05\x06");
        end.extend([0; 4]);
        end.extend([entries; 2].map(u16::to_le_bytes).concat());
        end.extend([size32, start32].map(u32::to_le_bytes).concat());
        end.extend([0; 2]);
        self.put(&end)?;
        Ok(self.out)
    }

    /// The 32-bit form of a number; one that does not fit goes to `wide`.
    fn narrow(&self, value: u64, wide: &mut Vec<u8>) -> u32 {
        if value < self.limit {
            return value as u32;
        }
        wide.extend(value.to_le_bytes());
        u32::MAX
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

fn version(wide: &[u8]) -> u16 {
    if wide.is_empty() {
        VERSION_STORED
    } else {
        VERSION_ZIP64
    }
}

/// The fields a local header and a directory entry share.
fn common_fields(
    out: &mut Vec<u8>,
    version: u16,
    crc: u32,
    sizes: [u32; 2],
    name: u16,
    wide: &[u8],
) {
    let extra = if wide.is_empty() {
        0
    } else {
        4 + wide.len() as u16
    };
    let (stored, midnight) = (0_u16, 0_u16);
    out.extend(
        [version, UTF8, stored, midnight, DATE]
            .map(u16::to_le_bytes)
            .concat(),
    );
    out.extend(crc.to_le_bytes());
    out.extend(sizes.map(u32::to_le_bytes).concat());
    out.extend([name, extra].map(u16::to_le_bytes).concat());
}

fn extra_field(out: &mut Vec<u8>, wide: &[u8]) {
    if !wide.is_empty() {
        out.extend([1, wide.len() as u16].map(u16::to_le_bytes).concat());
        out.extend(wide);
    }
}
