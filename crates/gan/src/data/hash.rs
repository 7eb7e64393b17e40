//! SHA-256 in hex, in one piece and on the way past.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::files::FileError;

/// The sum in lower-case hex.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Of a file, read in pieces.
pub(super) fn of_file(path: &Path) -> Result<String, FileError> {
    let mut file = File::open(path).map_err(|reason| FileError::io(path, "open", reason))?;
    let mut source = Hashing {
        inner: &mut file,
        hash: Sha256::new(),
    };
    io::copy(&mut source, &mut io::sink()).map_err(|reason| FileError::io(path, "read", reason))?;
    Ok(hex(source.hash))
}

/// Sums what passes.
pub(super) struct Hashing<R> {
    pub(super) inner: R,
    pub(super) hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}
