//! Checksums of files, in hex.

use std::io::Read;
use std::path::Path;

use md5::Md5;
use sha2::digest::DynDigest;
use sha2::{Digest, Sha256};

use crate::files::{FileError, Input};

/// A kind of sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sum {
    Sha256,
    Md5,
}

impl Sum {
    /// The sum of nothing yet.
    pub(super) fn digest(self) -> Box<dyn DynDigest> {
        match self {
            Self::Sha256 => Box::new(Sha256::default()),
            Self::Md5 => Box::new(Md5::default()),
        }
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Fails unless the sum `found` of `file` is the `expected` one.
    pub(super) fn compare(
        self,
        file: String,
        expected: &str,
        found: String,
    ) -> Result<(), FileError> {
        if found == expected {
            return Ok(());
        }
        Err(FileError::Checksum {
            file,
            kind: self.name(),
            expected: expected.to_string(),
            found,
        })
    }

    /// Of a file.
    pub(super) fn of_file(self, path: &Path) -> Result<String, FileError> {
        self.of_input(&Input::open(path)?)
    }

    /// Of what is read in pieces.
    fn of_input(self, input: &Input) -> Result<String, FileError> {
        let mut file = input.source()?;
        let mut digest = self.digest();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hex_of(&digest.finalize())),
                Ok(count) => digest.update(&buffer[..count]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(reason) => return Err(FileError::io(Path::new(&input.place), "read", reason)),
            }
        }
    }
}

/// SHA-256 of a file.
pub fn of_file(path: &Path) -> Result<String, FileError> {
    Sum::Sha256.of_file(path)
}

/// What `read` makes of files, with the SHA-256 of each, which is taken before and after: no other file's sum stands beside it.
///
/// # Errors
/// Those of `read`; a file that cannot be read, or that changed meanwhile
pub fn of_unchanged<T, E: From<FileError>>(
    files: &[&Path],
    read: impl FnOnce() -> Result<T, E>,
) -> Result<(T, Vec<String>), E> {
    let sums = || -> Result<Vec<String>, FileError> { files.iter().map(|f| of_file(f)).collect() };
    let before = sums()?;
    let found = read()?;
    let after = sums()?;
    let mut pairs = files.iter().zip(before.iter().zip(&after));
    match pairs.find(|(_, (before, after))| before != after) {
        Some((file, _)) => {
            let place = file.display().to_string();
            Err(FileError::malformed(&place, "changed while it was read: read it again").into())
        }
        None => Ok((found, after)),
    }
}

/// SHA-256 of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// SHA-256 of a text and of the bytes of numbers after it, little-endian.
pub fn of_values(text: &str, values: &[f32]) -> String {
    let mut sum = Sha256::new_with_prefix(text);
    for part in values.chunks(1 << 14) {
        let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
        sum = sum.chain_update(&bytes);
    }
    hex(sum)
}

/// SHA-256 of what is read.
pub(super) fn of_input(input: &Input) -> Result<String, FileError> {
    Sum::Sha256.of_input(input)
}

/// The sum in lower-case hex.
pub(super) fn hex(hash: Sha256) -> String {
    hex_of(&hash.finalize())
}

/// Bytes in lower-case hex.
pub(super) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_has_no_sum() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let write = |i: usize, text: &str| std::fs::write(&paths[i], text).expect("written");
        write(0, "one");
        write(1, "two");
        let files = [&*paths[0], &*paths[1]];
        let read =
            || std::fs::read_to_string(&paths[1]).map_err(|e| FileError::io(&paths[1], "read", e));
        let (text, sums) = of_unchanged(&files, read).expect("unchanged");
        assert_eq!(
            (&*text, sums),
            (
                "two",
                ["one", "two"].map(|t| of_bytes(t.as_bytes())).to_vec()
            )
        );
        let change = || {
            let text = read();
            write(1, "three");
            text
        };
        let error = of_unchanged(&files, change)
            .expect_err("changed")
            .to_string();
        assert!(
            error.ends_with("b: changed while it was read: read it again"),
            "{error}"
        );
    }
}
