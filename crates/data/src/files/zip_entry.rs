//! The directory entries of a zip archive.

use super::shown;

/// One file in the archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Size of the content in bytes; checked against the archive's size.
    pub(crate) size: u64,
    pub(super) compressed: u64,
    pub(super) crc: u32,
    pub(super) deflated: bool,
    /// Where its local header is.
    pub(super) header: u64,
    /// Where its bytes are; known once the local header is read.
    pub(super) data: u64,
}

impl Entry {
    /// One record of the directory and what follows it.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        const CENTRAL: usize = 46;
        if bytes.len() < CENTRAL || !bytes.starts_with(b"PK\x01\x02") {
            return Err("the directory contains an invalid entry".to_string());
        }
        let mut fields = Fields(&bytes[8..]);
        let (flags, method) = (fields.u16(), fields.u16());
        fields.u32(); // time and date
        let crc = fields.u32();
        let (mut compressed, mut size) = (u64::from(fields.u32()), u64::from(fields.u32()));
        let lengths = [fields.u16(), fields.u16(), fields.u16()].map(usize::from);
        let disk = fields.u16();
        fields.u16(); // attributes
        fields.u32();
        let mut header = u64::from(fields.u32());
        let rest = &bytes[CENTRAL..];
        if lengths.iter().sum::<usize>() > rest.len() {
            return Err("a directory entry is longer than the directory".to_string());
        }
        let (name, rest) = rest.split_at(lengths[0]);
        let (extra, rest) = rest.split_at(lengths[1]);
        let rest = &rest[lengths[2]..];
        let name = std::str::from_utf8(name)
            .map_err(|_| "an entry's name is not UTF-8")?
            .to_string();
        let shown = shown(&name);
        widen(extra, [&mut size, &mut compressed, &mut header])
            .ok_or_else(|| format!("entry `{shown}`: bad zip64 field"))?;
        if flags & 1 != 0 {
            return Err(format!("entry `{shown}` is encrypted"));
        }
        let deflated = match method {
            0 => false,
            8 => true,
            other => {
                return Err(format!(
                    "entry `{shown}`: compression method {other}: expected stored (0) or deflated (8)"
                ));
            }
        };
        if disk != 0 {
            return Err("multi-part archives are not supported".to_string());
        }
        if !deflated && size != compressed {
            return Err(format!(
                "entry `{shown}` is stored, but its two sizes differ: {size} and {compressed} bytes"
            ));
        }
        Ok((
            Entry {
                name,
                size,
                compressed,
                crc,
                deflated,
                header,
                data: 0,
            },
            rest,
        ))
    }
}

/// Values that do not fit 32 bits are 2^32 - 1 and stand in extra field 1, in order.
fn widen(mut extra: &[u8], values: [&mut u64; 3]) -> Option<()> {
    let mut wide: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let mut head = Fields(head);
        let (id, length) = (head.u16(), usize::from(head.u16()));
        let (body, rest) = rest.split_at_checked(length)?;
        if id == 1 {
            wide = body;
        }
        extra = rest;
    }
    for value in values {
        if *value == u64::from(u32::MAX) {
            let (field, rest) = wide.split_at_checked(8)?;
            *value = Fields(field).u64();
            wide = rest;
        }
    }
    Some(())
}

/// Little-endian numbers from the front of a slice whose length the caller has checked.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self
            .0
            .split_first_chunk()
            .expect("records have fixed sizes, read whole");
        self.0 = rest;
        *head
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
