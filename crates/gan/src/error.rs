//! What can go wrong while training, sampling or scoring.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::data::DataError;
use crate::figures::grid::GridError;
use crate::files::FileError;
use crate::metrics::parzen::ParzenError;

/// An error of this crate, by where it comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine.
    #[error(transparent)]
    Tensor(#[from] ganforge_tensor::Error),
    /// A Parzen score.
    #[error(transparent)]
    Parzen(#[from] ParzenError),
    /// A picture.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A plot that cannot be drawn.
    #[error("plot: {0}")]
    Plot(String),
    /// A checkpoint that does not fit its run.
    #[error("{}: {reason}", .file.display())]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// What was expected and what is there.
        reason: String,
    },
    /// A checkpoint that cannot be read, where an older one is left.
    #[error("{error}; to use {} instead, delete {}", .older.display(), .newest.display())]
    Damaged {
        /// What is wrong with it.
        error: Box<Error>,
        /// The checkpoint.
        newest: PathBuf,
        /// The one before.
        older: PathBuf,
    },
    /// A run folder that cannot be used as asked.
    #[error("{}: {reason}", .folder.display())]
    Run {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The data do not fit the configuration.
    #[error("{0}")]
    Mismatch(String),
    /// More memory than there is.
    #[error("{what}: needs {gib:.1} GiB of memory, more than this machine can give")]
    Memory {
        /// What was asked for.
        what: String,
        /// What it takes, in units of 2^30 bytes.
        gib: f64,
    },
    /// A value that is not finite.
    #[error(
        "step {step}: {what} is not finite; the first node that went bad is {node}; \
         the last good state is {last_good}"
    )]
    NotFinite {
        /// The step, from 0.
        step: u64,
        /// What was noticed.
        what: String,
        /// The first bad node of that step with its inputs.
        node: String,
        /// The last good checkpoint, or that there is none.
        last_good: String,
    },
}

impl Error {
    /// Whether the caller gave something wrong (exit code 2), or else the work failed (1).
    pub fn is_bad_input(&self) -> bool {
        match self {
            Error::NotFinite { .. } | Error::Parzen(ParzenError::Device(_)) => false,
            Error::Tensor(ganforge_tensor::Error::Device(error)) => {
                use ganforge_kernels::cuda::Error::{NoDevice, Unsupported};
                matches!(error, NoDevice { .. } | Unsupported { .. })
            }
            _ => true,
        }
    }
}

/// Refuses work on `floats` values of f32 that this machine has no memory for: a sentence now
/// instead of an abort later.
pub(crate) fn room_for(what: &str, floats: u64) -> Result<()> {
    let count = usize::try_from(floats).unwrap_or(usize::MAX);
    let found = Vec::<f32>::new().try_reserve_exact(count);
    found.map_err(|_| Error::Memory {
        what: what.to_string(),
        gib: floats as f64 * 4.0 / f64::from(1 << 30),
    })
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
