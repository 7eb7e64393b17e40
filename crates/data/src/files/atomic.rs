//! Atomic writes: at any time there is either the old file or the new one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::FileError;
use super::durable::{sync, sync_folder};

/// Writes `path` through `write`, or leaves it exactly as it was.
///
/// The bytes go to a temporary name in the same folder, are flushed and synced, and only then take the name `path`; the
/// folder is synced too, so that the rename survives a power cut. On any error the temporary file is removed.
/// A symbolic link is followed: the file it names is replaced.
///
/// errors: [`FileError::Io`] with the path and the operating system's reason (no such folder, read-only, disk full)
pub fn write_atomic<F>(path: &Path, write: F) -> Result<(), FileError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let mut file = AtomicFile::create(path)?;
    write(&mut file).map_err(|reason| FileError::io(path, "write", reason))?;
    file.commit()
}

/// Refuses a path that [`write_atomic`] could not write now: to be asked before work whose result goes there.
///
/// errors: as [`write_atomic`]
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    AtomicFile::create(path).map(drop)
}

/// A file being written under a temporary name; dropped without [`AtomicFile::commit`] it vanishes.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    target: PathBuf,
    folder: PathBuf,
    file: BufWriter<File>,
    temporary: TempPath,
}

impl AtomicFile {
    /// Opens the temporary file beside `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, FileError> {
        let fail = |reason| FileError::io(path, "write", reason);
        let target = match fs::metadata(path) {
            Ok(found) if found.is_file() => fs::canonicalize(path).map_err(fail)?,
            Ok(_) => {
                return Err(FileError::malformed(
                    &path.display().to_string(),
                    "exists and is not a regular file",
                ));
            }
            Err(_) => path.to_path_buf(),
        };
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        // tempfile adds the temporary name to what the system answers, which tells the user nothing.
        let mut refused = None;
        let made = tempfile::Builder::new()
            .prefix(".ganforge-")
            .suffix(".part")
            .make_in(&folder, |name| {
                File::create_new(name).inspect_err(|reason| refused = reason.raw_os_error())
            });
        let made =
            made.map_err(|reason| fail(refused.map_or(reason, io::Error::from_raw_os_error)))?;
        let (file, temporary) = made.into_parts();
        Ok(Self {
            target,
            folder,
            temporary,
            file: BufWriter::with_capacity(1 << 16, file),
        })
    }

    /// The name that it will take.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Flushes; where the bytes are for now.
    pub(crate) fn flushed(&mut self) -> Result<&Path, FileError> {
        let flushed = self.file.flush();
        flushed.map_err(|reason| FileError::io(&self.target, "write", reason))?;
        Ok(&self.temporary)
    }

    /// Flushes, syncs and renames.
    pub(crate) fn commit(self) -> Result<(), FileError> {
        let target = self.target;
        let fail = |reason| FileError::io(&target, "write", reason);
        let file = self
            .file
            .into_inner()
            .map_err(|error| fail(error.into_error()))?;
        sync(&file).map_err(fail)?;
        drop(file);
        self.temporary
            .persist(&target)
            .map_err(|error| fail(error.error))?;
        sync_folder(&self.folder).map_err(fail)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
