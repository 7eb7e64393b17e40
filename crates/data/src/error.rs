//! Errors of data sets, by kind.

use std::fmt;
use std::io;

use crate::files::FileError;

/// Whose fault an error is, and so what helps against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The work was done and came to nothing: a loss that is not finite, a kernel that failed.
    Work,
    /// What was given cannot be used, on any machine: arguments, files, folders, data.
    Input,
    /// The system refused, and may not do so elsewhere or later: disk full, no permission, no network, no driver, too
    /// little memory.
    System,
}

impl Kind {
    /// What an answer of the operating system is: a name that leads nowhere or to the wrong kind of file was given, the
    /// rest is refused.
    pub fn of_io(kind: io::ErrorKind) -> Kind {
        use io::ErrorKind::{
            AlreadyExists, DirectoryNotEmpty, InvalidData, InvalidFilename, InvalidInput,
            IsADirectory, NotADirectory, NotFound, UnexpectedEof,
        };
        match kind {
            NotFound | NotADirectory | IsADirectory | AlreadyExists | DirectoryNotEmpty
            | InvalidFilename | InvalidInput | InvalidData | UnexpectedEof => Kind::Input,
            _ => Kind::System,
        }
    }
}

/// What was tried and why it did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The source: a folder, a URL, a package.
    pub source: String,
    /// Why not, in one line.
    pub reason: String,
    /// Whose fault that is.
    pub kind: Kind,
}

impl Attempt {
    pub(super) fn new(source: String, reason: String, kind: Kind) -> Self {
        Self {
            source,
            reason,
            kind,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

/// Why a data set could not be had.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file is unreadable or not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither a data set we know nor a file.
    #[error("{name}: {reason}{hint}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What it is not, with the data sets there are.
        reason: String,
        /// The one that may have been meant, as a question.
        hint: String,
    },
    /// No source had it; one line for each.
    #[error("{name}: could not be fetched, tried{}", lines(.attempts))]
    NotFetched {
        /// The data set.
        name: String,
        /// Every source tried, in order.
        attempts: Vec<Attempt>,
    },
    /// The platform has no cache folder for this user.
    #[error("no cache folder: {reason}: set GANFORGE_DATA to a folder")]
    NoCacheFolder {
        /// Why not.
        reason: String,
    },
    /// What should be the cache folder is none.
    #[error("GANFORGE_DATA={folder}: is not a folder")]
    NotAFolder {
        /// What it names.
        folder: String,
    },
    /// Other data than a model has learnt from.
    #[error(
        "{who}: has learnt from other data than {name} holds now: SHA-256 {learnt}, now {found}; {advice}"
    )]
    Other {
        /// The run or the generator.
        who: String,
        /// The SHA-256 of what it has learnt from.
        learnt: String,
        /// The data that there are now.
        name: String,
        /// Their SHA-256.
        found: String,
        /// What can be done.
        advice: String,
    },
    /// Rows that are not there, or a buffer of the wrong size.
    #[error("images: rows {rows} with room for {room} values: there are {n} rows of {d}")]
    Rows {
        /// The rows asked for.
        rows: String,
        /// Length of the buffer given.
        room: usize,
        /// Rows there are.
        n: usize,
        /// Values in each.
        d: usize,
    },
}

ganforge_kernels::debug_as_display!(DataError);

impl DataError {
    /// Whose fault it is; of a data set that could not be fetched, the system's where any source needed the network.
    pub fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::NotFetched { attempts, .. } => {
                match attempts.iter().any(|a| a.kind == Kind::System) {
                    true => Kind::System,
                    false => Kind::Input,
                }
            }
            Self::NoCacheFolder { .. } => Kind::System,
            Self::Unknown { .. }
            | Self::NotAFolder { .. }
            | Self::Other { .. }
            | Self::Rows { .. } => Kind::Input,
        }
    }
}

fn lines(attempts: &[Attempt]) -> String {
    attempts
        .iter()
        .map(|attempt| format!("\n  {attempt}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of_file(code: i32) -> Kind {
        let answer = io::Error::from_raw_os_error(code);
        FileError::io(Path::new("a"), "open", answer).kind()
    }

    /// The numbers are Linux's.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_leads_nowhere_is_bad_input_and_the_rest_the_system_s_refusal() {
        let (enoent, eexist, enotdir, eisdir, enametoolong) = (2, 17, 20, 21, 36);
        for code in [enoent, eexist, enotdir, eisdir, enametoolong] {
            assert_eq!(of_file(code), Kind::Input, "{code}");
        }
        let (eio, enomem, eacces, emfile, enospc, erofs, edquot) = (5, 12, 13, 24, 28, 30, 122);
        for code in [eio, enomem, eacces, emfile, enospc, erofs, edquot] {
            assert_eq!(of_file(code), Kind::System, "{code}");
        }
    }
}
