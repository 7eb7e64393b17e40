//! Published files: their verification, and how they are copied into a folder.

use std::fmt;
use std::io::{BufRead, Read, Write};
use std::path::Path;

use super::DataError;
use super::hash::{self, Sum};
use crate::files::FileError;
use crate::files::atomic::AtomicFile;
use crate::files::gunzip::{Gunzip, is_gzip};

/// One of the files, uncompressed.
#[derive(Debug)]
pub(super) struct PublishedFile {
    pub(super) name: &'static str,
    pub(super) check: Check,
}

/// How one knows that a file is the right one.
#[derive(Debug)]
pub(super) enum Check {
    /// By its published sum.
    Sum {
        kind: Sum,
        size: u64,
        sum: &'static str,
    },
    /// No sum is published: it must be readable, which the function finds out. The text names the file in messages.
    Content(fn(&Path, &str) -> Result<(), DataError>),
}

impl PublishedFile {
    /// A file of `size` bytes with this sum.
    pub(super) const fn new(
        name: &'static str,
        size: u64,
        kind: Sum,
        sum: &'static str,
    ) -> PublishedFile {
        let check = Check::Sum { kind, size, sum };
        PublishedFile { name, check }
    }
}

impl Check {
    /// Fails unless the file in the cache is the right one; what has no sum was looked into before it came there.
    pub(super) fn of_file(&self, path: &Path) -> Result<(), FileError> {
        let place = path.display().to_string();
        match self {
            Self::Sum { kind, sum, .. } => kind.compare(place, sum, kind.of_file(path)?),
            Self::Content(_) if path.is_file() => Ok(()),
            Self::Content(_) => Err(FileError::malformed(&place, "is not there")),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum { kind, size, .. } => write!(f, "{size} bytes, {} verified", kind.name()),
            Self::Content(_) => f.write_str("read, contains everything needed"),
        }
    }
}

/// Takes one file from `source`, gzipped or not, into `folder`, if it is the right one. `place` names the source.
pub(super) fn install(
    file: &PublishedFile,
    folder: &Path,
    mut source: impl BufRead,
    place: &str,
) -> Result<(), DataError> {
    let gzip = is_gzip(&mut source).map_err(|e| FileError::read(place, e, file.name, 0))?;
    let mut content: Box<dyn Read + '_> = if gzip {
        Box::new(Gunzip::new(source))
    } else {
        Box::new(source)
    };
    let target = folder.join(file.name);
    let mut out = AtomicFile::create(&target)?;
    match &file.check {
        Check::Sum { kind, size, sum } => {
            let mut digest = kind.digest();
            let announced = format!("{size} bytes");
            let mut content = content.as_mut().take(size + 1);
            let found = copy(&mut content, &mut out, (place, &announced), |piece| {
                digest.update(piece)
            })?;
            let file = place.to_string();
            if found < *size {
                return Err(FileError::Truncated {
                    file,
                    announced,
                    found,
                }
                .into());
            }
            if found > *size {
                let (expected, extra) = (*size, None);
                return Err(FileError::TrailingBytes {
                    file,
                    expected,
                    extra,
                }
                .into());
            }
            kind.compare(file, sum, hash::hex_of(&digest.finalize()))?;
        }
        Check::Content(check) => {
            copy(&mut content, &mut out, (place, file.name), |_| {})?;
            check(out.flushed()?, place)?;
        }
    }
    Ok(out.commit()?)
}

/// Copies all of `content`, showing each piece to `see`; the number of bytes. `named` are its place and what it is.
fn copy(
    content: &mut dyn Read,
    out: &mut AtomicFile,
    named: (&str, &str),
    mut see: impl FnMut(&[u8]),
) -> Result<u64, FileError> {
    let mut buffer = vec![0; 1 << 16];
    let mut found = 0;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => return Ok(found),
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(FileError::read(named.0, e, named.1, found)),
        };
        see(&buffer[..count]);
        out.write_all(&buffer[..count])
            .map_err(|reason| FileError::io(out.target(), "write", reason))?;
        found += count as u64;
    }
}
