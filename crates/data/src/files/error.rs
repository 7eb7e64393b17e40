//! Errors of files. Each message is one line: the file, the reason, what was expected and found.

use std::io;
use std::path::Path;

use crate::error::Kind;

/// Why a file could not be read or written.
///
/// `file` is the path as the caller gave it; for an array inside an npz it is `path:name`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused: missing, no permission, full disk.
    #[error("{file}: cannot {action}: {reason}")]
    Io {
        /// The file.
        file: String,
        /// What was tried, as a verb: "open", "write".
        action: &'static str,
        /// What the operating system answered.
        reason: io::Error,
    },
    /// The first bytes are not those of the format.
    #[error("{file}: not {expected}: it starts with {found}")]
    Magic {
        /// The file.
        file: String,
        /// The format that was expected.
        expected: &'static str,
        /// The bytes that came.
        found: String,
    },
    /// An IDX file of labels where images were expected.
    #[error("{file}: contains labels (magic 0x00000801), expected images (magic 0x00000803)")]
    LabelsNotImages {
        /// The file.
        file: String,
    },
    /// Fewer bytes than the header announces, which also covers headers that lie.
    #[error(
        "{file}: truncated or wrong header: it announces {announced}, but there are {found} bytes"
    )]
    Truncated {
        /// The file.
        file: String,
        /// What the header claims.
        announced: String,
        /// The bytes there are.
        found: u64,
    },
    /// More bytes than the header announces.
    #[error("{file}: {}{expected} bytes its header announces", too_many(*.extra))]
    TrailingBytes {
        /// The file.
        file: String,
        /// The bytes the header asks for.
        expected: u64,
        /// How many follow them; nothing where the rest was not read, as of a compressed file.
        extra: Option<u64>,
    },
    /// The content does not match its checksum.
    #[error("{file}: damaged: {kind} is {found}, expected {expected}")]
    Checksum {
        /// The file.
        file: String,
        /// The kind of checksum: "CRC-32", "SHA-256".
        kind: &'static str,
        /// The stated checksum.
        expected: String,
        /// The checksum of what is there.
        found: String,
    },
    /// A dtype that is not read here.
    #[error("{file}: unsupported dtype {found}: expected {expected}")]
    Dtype {
        /// The file.
        file: String,
        /// The dtype in words.
        found: String,
        /// Those that are read.
        expected: &'static str,
    },
    /// A shape that does not fit the use.
    #[error("{file}: expected shape {expected}, got {found:?}")]
    Shape {
        /// The file.
        file: String,
        /// The shapes that would do.
        expected: String,
        /// The shape that came.
        found: Vec<usize>,
    },
    /// Nothing in it.
    #[error("{file}: contains no {what}")]
    Empty {
        /// The file.
        file: String,
        /// What is missing: "rows", "images", "arrays".
        what: &'static str,
    },
    /// A value that cannot be used: NaN, infinite, or outside the stated range.
    #[error("{file}: value {} at row {row}, column {column}: expected {expected}", short(*.value))]
    Value {
        /// The file.
        file: String,
        /// Row, from 0.
        row: usize,
        /// Column of the flattened row, from 0.
        column: usize,
        /// The value.
        value: f64,
        /// What was expected instead.
        expected: &'static str,
    },
    /// Two arrays of one name.
    #[error("{file}: array `{}` occurs twice", shown(.name))]
    DuplicateName {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// An array that is not there.
    #[error("{file}: has no array `{}`; it has {present}", shown(.name))]
    MissingName {
        /// The file.
        file: String,
        /// The name asked for.
        name: String,
        /// The names there are.
        present: String,
    },
    /// More than there is memory for.
    #[error("{file}: {what}: more memory than is available")]
    Memory {
        /// The file.
        file: String,
        /// What was to be held.
        what: String,
    },
    /// Anything else against the format.
    #[error("{file}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

ganforge_kernels::debug_as_display!(FileError);

/// How many bytes follow those announced, and what leads to their number.
fn too_many(extra: Option<u64>) -> String {
    match extra {
        None => "more than the ".to_string(),
        Some(1) => "1 byte too many after the ".to_string(),
        Some(extra) => format!("{extra} bytes too many after the "),
    }
}

/// A number without a hundred zeros.
fn short(value: f64) -> String {
    match value.is_finite() && value.abs() >= 1e16 {
        true => format!("{value:e}"),
        false => value.to_string(),
    }
}

impl FileError {
    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { reason, .. } => Kind::of_io(reason.kind()),
            Self::Memory { .. } => Kind::System,
            _ => Kind::Input,
        }
    }

    /// The dtypes that arrays may have.
    pub(crate) const DTYPES: &str =
        "float16, float32, float64, uint8, int32, int64, uint32 or uint64";
    /// Those that images and samples may have.
    pub(crate) const PIXEL_DTYPES: &str =
        "float16, float32, float64 or uint8, as images or samples have";

    /// An operating system error while doing `action` to `path`.
    pub fn io(path: &Path, action: &'static str, reason: io::Error) -> Self {
        Self::Io {
            file: path.display().to_string(),
            action,
            reason,
        }
    }

    /// A violation of the format, in words.
    pub fn malformed(file: &str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            file: file.to_string(),
            reason: reason.into(),
        }
    }

    /// No memory for `what`.
    pub fn memory(file: &str, what: impl Into<String>) -> Self {
        Self::Memory {
            file: file.to_string(),
            what: what.into(),
        }
    }

    /// A read that failed after `found` of the bytes in `announced`: too few bytes, bad compressed data, or the disk.
    pub fn read(file: &str, reason: io::Error, announced: &str, found: u64) -> Self {
        match reason.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated {
                file: file.to_string(),
                announced: announced.to_string(),
                found,
            },
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::malformed(file, format!("damaged compressed data: {reason}"))
            }
            _ => Self::Io {
                file: file.to_string(),
                action: "read",
                reason,
            },
        }
    }

    /// A wrong beginning; `start` is what the file has there.
    pub fn magic(file: &str, expected: &'static str, start: &[u8]) -> Self {
        let found = match start {
            [] => "nothing: it is empty".to_string(),
            bytes => {
                let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                hex.join(" ")
            }
        };
        Self::Magic {
            file: file.to_string(),
            expected,
            found,
        }
    }
}

/// Names that a message lists at most.
const LISTED: usize = 20;
/// Characters of a name that a message shows at most.
const SHOWN: usize = 60;

/// A name from a file as messages show it: cut where it is long, on one line, without what would steer a terminal.
pub fn shown(name: &str) -> String {
    let mut text: String = name
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(SHOWN).is_some() {
        text.push_str("...");
    }
    text
}

/// Names from a file, or of many things, as messages list them: the first ones, and how many there are beside.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(LISTED).map(shown).collect();
    match (first.is_empty(), names.count()) {
        (true, _) => "none".to_string(),
        (false, 0) => first.join(", "),
        (false, more) => format!("{} and {more} more", first.join(", ")),
    }
}
