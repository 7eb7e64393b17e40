//! The input of array readers: a file, or a pipe, which is read once and to its end.

use std::fmt::Debug;
use std::fs::{self, File, Metadata};
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FileError;
use crate::error::Kind;

/// The bytes of a regular file, or of what a link to one leads to: a pipe in a folder would keep whoever reads it waiting.
///
/// errors: what is no regular file; what the system refuses
pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>, FileError> {
    check_regular(path)?;
    fs::read(path).map_err(|reason| FileError::io(path, "read", reason))
}

/// Refuses what [`read_regular`] refuses to read.
///
/// errors: as there
pub(crate) fn check_regular(path: &Path) -> Result<(), FileError> {
    let found = fs::metadata(path).map_err(|reason| FileError::io(path, "read", reason))?;
    if found.is_file() {
        return Ok(());
    }
    let what = match found.is_dir() {
        true => "a folder",
        false => "a pipe, a socket or a device",
    };
    let reason = format!("is {what}, expected a regular file");
    Err(FileError::malformed(&path.display().to_string(), reason))
}

/// What is at `path`, of a link where it leads; nothing where there is nothing of that name.
///
/// errors: what the system refuses, as a folder that may not be looked into
pub fn found(path: &Path) -> Result<Option<Metadata>, FileError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(reason) if Kind::of_io(reason.kind()) == Kind::Input => Ok(None),
        Err(reason) => Err(FileError::io(path, "look at", reason)),
    }
}

/// Bytes in any order.
pub(crate) trait Source: Read + Seek + Debug + Send {}

impl<T: Read + Seek + Debug + Send> Source for T {}

/// Something to read, as often as one likes.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// What it is called in messages.
    pub(crate) place: String,
    /// Bytes in it.
    pub(crate) size: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

impl Input {
    /// Looks at `path`; what is no regular file (a pipe, `/dev/stdin`) is read here, to its end.
    ///
    /// errors: what the system refuses
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let place = path.display().to_string();
        let found = fs::metadata(path).map_err(|reason| FileError::io(path, "open", reason))?;
        if found.is_file() || found.is_dir() {
            let (content, size) = (Content::File(path.to_path_buf()), found.len());
            return Ok(Self {
                place,
                size,
                content,
            });
        }
        let bytes = fs::read(path).map_err(|reason| FileError::io(path, "read", reason))?;
        Ok(Self::of_bytes(bytes, place))
    }

    /// Bytes in memory, called `place` in messages.
    pub(crate) fn of_bytes(bytes: impl Into<Arc<[u8]>>, place: String) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        let content = Content::Memory(bytes);
        Self {
            place,
            size,
            content,
        }
    }

    /// From its first byte on.
    ///
    /// errors: what the system refuses
    pub(crate) fn source(&self) -> Result<Box<dyn Source>, FileError> {
        match &self.content {
            Content::File(path) => {
                let file = File::open(path);
                let file = file.map_err(|reason| FileError::io(path, "open", reason))?;
                Ok(Box::new(file))
            }
            Content::Memory(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
        }
    }

    /// Its first bytes, `count` of them or all there are.
    ///
    /// errors: what the system refuses
    pub(crate) fn start(&self, count: u64) -> Result<Vec<u8>, FileError> {
        let mut start = Vec::new();
        let read = self.source()?.take(count).read_to_end(&mut start);
        read.map_err(|reason| FileError::io(Path::new(&self.place), "read", reason))?;
        Ok(start)
    }
}
