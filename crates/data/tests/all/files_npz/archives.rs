//! Archives that no usual library writes, and the most compressed ones that they do, made here record by record.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, Crc, write::DeflateEncoder};
use ganforge_data::files::{ArrayData, read_npz};

use super::{Folder, header, npy};

/// An entry: its name, its content compressed or not, the content's size and CRC-32.
struct Entry {
    name: &'static str,
    bytes: Vec<u8>,
    size: u32,
    crc: u32,
    deflated: bool,
}

impl Entry {
    fn stored(name: &'static str, content: Vec<u8>) -> Entry {
        let size = content.len() as u32;
        let mut crc = Crc::new();
        crc.update(&content);
        let crc = crc.sum();
        Entry {
            name,
            bytes: content,
            size,
            crc,
            deflated: false,
        }
    }

    fn deflated(name: &'static str, content: &[u8]) -> Entry {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        let bytes = encoder.finish().unwrap();
        let stored = Entry::stored(name, content.to_vec());
        Entry {
            bytes,
            deflated: true,
            ..stored
        }
    }

    /// What its local header and its record in the directory share.
    fn fields(&self) -> Vec<u8> {
        let mut fields = vec![
            20,
            0,
            0,
            0,
            if self.deflated { 8 } else { 0 },
            0,
            0,
            0,
            0,
            0,
        ];
        for word in [self.crc, self.bytes.len() as u32, self.size] {
            fields.extend(word.to_le_bytes());
        }
        fields.extend((self.name.len() as u32).to_le_bytes()); // no extra fields
        fields
    }

    fn local(&self) -> Vec<u8> {
        let parts = [
            b"PK\x03\x04",
            &self.fields()[..],
            self.name.as_bytes(),
            &self.bytes,
        ];
        parts.concat()
    }

    fn record(&self, at: usize) -> Vec<u8> {
        let mut record = [b"PK\x01\x02\x14\0", &self.fields()[..], &[0; 10]].concat();
        record.extend((at as u32).to_le_bytes());
        record.extend(self.name.as_bytes());
        record
    }
}

/// An archive of what lies before the directory and the directory's records.
fn archive(path: &Path, body: &[u8], records: &[Vec<u8>]) {
    let directory = records.concat();
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([records.len() as u16; 2].map(u16::to_le_bytes).concat());
    end.extend(
        [directory.len() as u32, body.len() as u32]
            .map(u32::to_le_bytes)
            .concat(),
    );
    end.extend([0, 0]);
    fs::write(path, [body, &directory, &end].concat()).unwrap();
}

fn bytes(values: &[u8]) -> Vec<u8> {
    npy(
        &header("'|u1'", "False", &format!("({},)", values.len())),
        values,
    )
}

#[test]
fn an_entry_within_another_is_refused() {
    let folder = Folder::new();
    let path = folder.path("a.npz");
    let inner = Entry::stored("b.npy", bytes(&[1, 2, 3]));
    // The values of the outer array are the inner entry, header and all: both are whole and have the right sums.
    let outer = Entry::stored("a.npy", bytes(&inner.local()));
    let body = outer.local();
    let at = body.len() - inner.local().len();
    archive(&path, &body, &[outer.record(0), inner.record(at)]);
    let message = read_npz(&path).unwrap_err().to_string();
    assert!(message.ends_with("a.npz: entries overlap"), "{message}");
    // By themselves, one after the other, they are read.
    let body = [outer.local(), inner.local()].concat();
    archive(
        &path,
        &body,
        &[outer.record(0), inner.record(outer.local().len())],
    );
    assert_eq!(read_npz(&path).unwrap().len(), 2);
}

#[test]
fn whatever_deflate_can_compress_is_read() {
    let folder = Folder::new();
    let path = folder.path("a.npz");
    // Pictures of zeros and ones as float64, as binarised digits are, here with few strokes: 138 to one, 71 MB.
    let (n, d) = (11_300, 784);
    let mut values = vec![0_u8; n * d * 8];
    for i in (0..n * d).step_by(1931) {
        values[8 * i + 6..8 * i + 8].copy_from_slice(&[0xf0, 0x3f]);
    }
    let array = npy(&header("'<f8'", "False", &format!("({n}, {d})")), &values);
    let entry = Entry::deflated("x.npy", &array);
    let ratio = array.len() / entry.bytes.len();
    assert!((101..1032).contains(&ratio), "{ratio}");
    archive(&path, &entry.local(), &[entry.record(0)]);
    let ArrayData::F64(read) = &read_npz(&path).unwrap()[0].1.data else {
        panic!("not float64")
    };
    assert_eq!(read.len(), n * d);
    assert_eq!(
        read.iter().filter(|&&x| x == 1.0).count(),
        (n * d).div_ceil(1931)
    );
}

#[test]
fn what_deflate_cannot_have_made_is_refused_before_it_is_read() {
    let folder = Folder::new();
    let path = folder.path("a.npz");
    let mut entry = Entry::deflated("x.npy", &bytes(&[0; 4000]));
    entry.size = 1033 * entry.bytes.len() as u32;
    archive(&path, &entry.local(), &[entry.record(0)]);
    let message = read_npz(&path).unwrap_err().to_string();
    assert!(
        message.contains("deflate makes at most 1032 of one"),
        "{message}"
    );
}
