//! Distinguishes operations that a file system does not support from those that failed.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Waits until the file, or folder, lasts through a power cut, where the file system can say so.
///
/// Network and user-space file systems answer EINVAL, ENOTSUP or ENOSYS for what they cannot sync, folders above all; nothing
/// is lost then that was safe before. A disk that fails answers EIO: that is an error.
pub fn sync(file: &File) -> io::Result<()> {
    unless_impossible(file.sync_all())
}

fn unless_impossible(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(answer) if has_no_such_call(answer.kind()) => Ok(()),
        other => other,
    }
}

fn has_no_such_call(answer: ErrorKind) -> bool {
    matches!(answer, ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

/// Waits until the names in a folder last, as a rename needs it, where that can be said: not of a folder whose names one
/// may not read, and not on Windows, which has no such call.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder) {
        Err(answer) if answer.kind() == ErrorKind::PermissionDenied => Ok(()),
        opened => sync(&opened?),
    }
}

/// Whether a lock was not refused but does not exist on this file system: ENOSYS, ENOTSUP, of some network file systems
/// EINVAL, and of NFS without its lock daemon ENOLCK.
pub fn has_no_locks(answer: &io::Error) -> bool {
    #[cfg(unix)]
    if answer.raw_os_error() == Some(libc::ENOLCK) {
        return true;
    }
    has_no_such_call(answer.kind())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn answers(codes: &[i32]) -> impl Iterator<Item = io::Error> {
        codes.iter().map(|code| io::Error::from_raw_os_error(*code))
    }

    #[test]
    fn a_sync_that_is_impossible_is_no_failure_and_one_that_failed_is() {
        for answer in answers(&[libc::EINVAL, libc::ENOTSUP, libc::EOPNOTSUPP, libc::ENOSYS]) {
            assert!(unless_impossible(Err(answer)).is_ok());
        }
        for answer in answers(&[
            libc::EIO,
            libc::ENOSPC,
            libc::EDQUOT,
            libc::EROFS,
            libc::EACCES,
        ]) {
            assert!(unless_impossible(Err(answer)).is_err());
        }
    }

    #[test]
    fn a_lock_that_is_held_or_failed_is_not_a_lock_that_does_not_exist() {
        for answer in answers(&[libc::ENOSYS, libc::ENOLCK, libc::EINVAL, libc::EOPNOTSUPP]) {
            assert!(has_no_locks(&answer), "{answer}");
        }
        for answer in answers(&[libc::EIO, libc::EACCES, libc::EWOULDBLOCK, libc::ENOSPC]) {
            assert!(!has_no_locks(&answer), "{answer}");
        }
    }
}
